"""Strokes and outlines under way while something else comes, with the mouse of a real viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import napari
import pytest

from napari_sam2._napari.state import Tool
from napari_sam2.prompts import PromptKey
from tests._napari.dock import Dock, agree, at, four_axes
from tests._napari.hand import Hand
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


@pytest.fixture
def four(open_viewer: Callable[[], napari.Viewer], fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (t, z, y, x) in a real viewer, at t = 1, z = 2."""
    yield from four_axes(open_viewer(), fake_model)


@pytest.fixture
def mouse(four: Dock) -> Hand:
    return Hand(four.viewer)


def begin(dock: Dock, mouse: Hand) -> None:
    dock.controller.prompts.choose_tool(Tool.BRUSH)
    dock.layers.labels.brush_size = 2
    mouse.settle()
    mouse.press(at(dock, 5, 4))
    mouse.drag(at(dock, 5, 12))


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_was_painted_before_another_position_stays_there(four: Dock, mouse: Hand, goes_on: bool) -> None:
    begin(four, mouse)
    four.viewer.dims.set_current_step(0, 2)
    mouse.settle()
    if goes_on:
        mouse.drag(at(four, 16, 6))
    mouse.release(at(four, 16, 6))
    mouse.settle()
    painted = {PromptKey(1, 2)}
    agree(four, {2: painted if goes_on else set(), 1: painted})
    assert not four.labels[1, 2, 10:].any(), "the way to where the mouse went on is not painted"


@pytest.mark.parametrize("axis", [0, 1])
def test_a_polygon_of_the_labels_layer_is_painted_where_it_was_begun(
    four: Dock, mouse: Hand, axis: int
) -> None:
    four.controller.prompts.choose_tool(Tool.BRUSH)
    four.layers.labels.mode = "polygon"
    mouse.settle()
    mouse.corners(at(four, 4, 4), at(four, 4, 12))
    four.viewer.dims.set_current_step(axis, 0)
    mouse.settle()
    mouse.corners(at(four, 14, 12))
    mouse.double_click(at(four, 14, 12))
    four.wait()
    assert four.labels[1, 2, 6, 10]
    agree(four, {0: set(), 1: {PromptKey(1, 2)}, 2: set()})


@pytest.mark.parametrize("over", [0, 2])
def test_the_way_over_other_positions_is_taken_back_or_said(four: Dock, mouse: Hand, over: int) -> None:
    four.viewer.dims.set_current_step(0, 2 - over)
    four.wait()
    begin(four, mouse)
    four.viewer.dims.set_current_step(0, over)
    mouse.settle()
    mouse.drag(at(four, 16, 6))
    mouse.release(at(four, 16, 6))
    four.wait()
    painted = {PromptKey(1, 2)}
    between = painted if four.labels[1].any() else set()
    agree(four, {2 - over: painted, 1: between, over: painted})


def test_what_a_script_paints_on_another_frame_meanwhile_stays(four: Dock, mouse: Hand) -> None:
    begin(four, mouse)
    four.viewer.dims.set_current_step(0, 2)
    mouse.settle()
    four.labels[1, 0, 18:22, 2:6] = 3
    four.layers.labels.refresh()
    mouse.settle()
    mouse.drag(at(four, 16, 6))
    mouse.release(at(four, 16, 6))
    four.wait()
    agree(four, {1: {PromptKey(1, 2), PromptKey(3, 0)}})


def test_a_new_object_ends_the_stroke(four: Dock, mouse: Hand) -> None:
    begin(four, mouse)
    four.view.tools.new_object.emit()
    mouse.settle()
    mouse.release(at(four, 5, 12))
    four.wait()
    agree(four, {1: {PromptKey(1, 2)}})


def test_a_new_object_is_another_one_than_that_of_a_stroke_under_way(four: Dock, mouse: Hand) -> None:
    begin(four, mouse)
    four.view.tools.new_object.emit()
    assert four.controller.space.active == 2
    mouse.release(at(four, 5, 12))
    mouse.click(at(four, 18, 4))
    four.wait()
    agree(four, {1: {PromptKey(1, 2), PromptKey(2, 2)}})


def move_over(dock: Dock, mouse: Hand) -> None:
    """Move the mouse over the image with no button down."""
    mouse.settle()
    mouse.move(at(dock, 16, 6))
    mouse.move(at(dock, 18, 20))
    dock.wait()


def test_a_stroke_ends_where_another_tool_is_taken(four: Dock, mouse: Hand) -> None:
    begin(four, mouse)
    four.controller.prompts.choose_tool(Tool.POINT)
    mouse.release(at(four, 5, 12))
    four.controller.prompts.choose_tool(Tool.BRUSH)
    move_over(four, mouse)
    agree(four, {1: {PromptKey(1, 2)}})
    assert not four.labels[1, 2, 10:].any()


def test_a_box_ends_where_a_new_object_is_begun(four: Dock, mouse: Hand) -> None:
    four.controller.prompts.choose_tool(Tool.BOX)
    mouse.settle()
    mouse.press(at(four, 4, 4))
    mouse.drag(at(four, 8, 8))
    mouse.drag(at(four, 14, 16))
    four.view.tools.new_object.emit()
    assert four.controller.space.active == 2
    mouse.release(at(four, 14, 16))
    four.wait()
    agree(four, {1: {PromptKey(1, 2)}})
    box = four.session.prompts[PromptKey(1, 2)].box
    four.controller.prompts.choose_tool(Tool.BOX)
    move_over(four, mouse)
    assert four.session.prompts[PromptKey(1, 2)].box == box


def test_a_point_is_moved_to_where_another_tool_is_taken(four: Dock, mouse: Hand) -> None:
    mouse.click(at(four, 6, 6))
    four.wait()
    four.layers.points.mode = "select"
    mouse.settle()
    mouse.press(at(four, 6, 6))
    mouse.drag(at(four, 8, 10))
    mouse.drag(at(four, 10, 14))
    four.controller.prompts.choose_tool(Tool.BRUSH)
    mouse.release(at(four, 10, 14))
    four.wait()
    (moved,) = four.session.prompts[PromptKey(1, 2)].points
    assert moved == pytest.approx((10, 14), abs=0.7)
    four.viewer.layers.selection.active = four.layers.points
    move_over(four, mouse)
    assert four.session.prompts[PromptKey(1, 2)].points == (moved,)


def test_a_new_object_is_another_one_than_that_of_an_outline_that_is_not_closed(
    four: Dock, mouse: Hand
) -> None:
    four.controller.prompts.choose_tool(Tool.OUTLINE)
    four.layers.shapes.mode = "add_polygon"
    mouse.settle()
    mouse.corners(at(four, 4, 4), at(four, 4, 12), at(four, 14, 12))
    four.view.tools.new_object.emit()
    mouse.settle()
    assert four.controller.space.active == 2
    mouse.click(at(four, 18, 4))
    four.wait()
    agree(four, {1: {PromptKey(1, 2), PromptKey(2, 2)}})
