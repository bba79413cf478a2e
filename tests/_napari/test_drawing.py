"""Shapes that were begun only, drawn with the mouse on the canvas of a real viewer."""

from __future__ import annotations

import napari
import numpy as np
import pytest

from napari_sam2._napari.finding import camera_of
from napari_sam2._napari.shapes_layer import mask_of
from napari_sam2._napari.state import Tool
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey
from tests._napari.hand import Hand
from tests._napari.stage import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(stage: Desk) -> napari.Viewer:
    """Return the viewer of the stage, whose mouse and keyboard are used here."""
    return stage.viewer


def boxes(desk: Desk) -> dict[int, tuple[int, ...]]:
    """The boxes on the frame by object, to whole pixels."""
    given = {key.obj: each.box for key, each in desk.prompts[-1].items()} if desk.prompts else {}
    return {obj: tuple(round(side) for side in box) for obj, box in given.items() if box is not None}


def test_an_outline_that_is_too_small_leaves_nothing(desk: Desk, hand: Hand) -> None:
    scribble = [desk.at(12 + 0.1 * step, 10 + 0.1 * step) for step in range(12)]
    desk.layers.set_tool(Tool.OUTLINE)
    hand.stroke(*scribble)
    assert desk.prompts == []
    assert len(desk.layers.shapes.data) == len(desk.layers.shapes.features) == 0
    for obj, top in {2: 5, 3: 20}.items():
        desk.layers.set_active(obj)
        desk.layers.set_tool(Tool.BOX)
        hand.stroke(desk.at(top, 6), desk.at(top + 3, 12), desk.at(top + 10, 26))
        desk.layers.set_tool(Tool.OUTLINE)
        hand.stroke(*scribble)
    assert boxes(desk) == {2: (5, 6, 15, 26), 3: (20, 6, 30, 26)}
    assert len(desk.layers.shapes.edge_color) == 2
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(36, 40))
    assert desk.points(3) == [(36, 40, True)]


@pytest.mark.parametrize("mode", ["add_polygon_lasso", "add_polygon"])
@pytest.mark.parametrize("left_for", [Tool.POINT, Tool.BOX, Tool.BRUSH, Tool.PAN, None])
def test_an_outline_that_was_begun_and_left_is_dropped(
    desk: Desk, hand: Hand, mode: str, left_for: Tool | None
) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = mode
    hand.settle()
    hand.click(desk.at(12, 10))
    hand.move(desk.at(20, 30))
    if left_for is None:
        desk.viewer.layers.selection.active = desk.image
    else:
        desk.layers.set_tool(left_for)
    hand.settle()
    assert len(desk.layers.shapes.data) == 0
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(8, 8))
    assert desk.points(1) == [(8, 8, True)]


CORNERS = [(10, 10), (10, 30), (25, 30), (25, 10)]


@pytest.mark.parametrize("left_for", [Tool.POINT, Tool.PAN, None])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_an_outline_that_is_left_is_closed_at_its_last_corner(
    desk: Desk, hand: Hand, left_for: Tool | None, count: int
) -> None:
    desk.layers.set_active(2)
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = "add_polygon"
    hand.settle()
    for corner in CORNERS[:count]:
        hand.move(desk.at(*corner))
        hand.click(desk.at(*corner))
    hand.move(desk.at(38, 1))
    if left_for is None:
        desk.viewer.layers.selection.active = desk.image
    else:
        desk.layers.set_tool(left_for)
    hand.settle()
    if count < 3:
        assert (desk.prompts, len(desk.layers.shapes.data)) == ([], 0)
        return
    (said,) = desk.prompts[-1].values()
    assert desk.prompts[-1].keys() == {PromptKey(2, 2)}
    expected = mask_of(CORNERS[:count], "polygon", (40, 50))
    assert np.count_nonzero(said.mask != expected) <= 40, "to the pixels of its sides"
    assert desk.layers.shapes.shape_type == ["polygon"]


def test_an_object_that_is_chosen_while_an_outline_is_drawn_stays_the_active_one(
    desk: Desk, hand: Hand
) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = "add_polygon"
    hand.settle()
    for corner in CORNERS:
        hand.move(desk.at(*corner))
        hand.click(desk.at(*corner))
    desk.layers.set_active(3)
    desk.layers.set_tool(Tool.POINT)
    hand.settle()
    assert desk.layers.active == 3
    assert desk.prompts[-1].keys() == {PromptKey(1, 2)}
    hand.click(desk.at(35, 45))
    assert desk.points(3) == [(35, 45, True)]


def test_a_lasso_that_is_left_is_closed(desk: Desk, hand: Hand) -> None:
    path = [desk.at(20 + 9 * np.sin(angle), 25 + 9 * np.cos(angle)) for angle in np.linspace(0, 5, 20)]
    desk.layers.set_tool(Tool.OUTLINE)
    hand.click(path[0])
    for place in path:
        hand.move(place)
    desk.layers.set_tool(Tool.POINT)
    hand.settle()
    (said,) = desk.prompts[-1].values()
    assert said.mask is not None
    assert 180 < said.mask.sum() < 270
    hand.click(desk.at(20, 25))
    assert desk.points(1) == [(20, 25, True)]


def test_an_outline_that_was_begun_ends_before_another_position_is_turned_to(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    hand.click(desk.at(12, 10))
    desk.layers.finish()
    assert len(desk.layers.shapes.data) == 0


def test_a_layer_that_is_taken_again_is_in_its_mode(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    hand.click(desk.at(12, 10))
    desk.viewer.layers.selection.active = desk.layers.points
    hand.settle()
    desk.viewer.layers.selection.active = desk.layers.shapes
    hand.settle()
    assert desk.layers.tool is Tool.OUTLINE
    hand.stroke(*[desk.at(25 + 8 * np.sin(a), 25 + 8 * np.cos(a)) for a in np.linspace(0, 6, 14)])
    assert set(desk.prompts[-1]) == {PromptKey(1, 2)}


@pytest.mark.parametrize("zoom", [1.0, 0.1])
@pytest.mark.parametrize("mode", ["add_rectangle", "add_ellipse"])
def test_a_click_is_no_box(desk: Desk, hand: Hand, mode: str, zoom: float) -> None:
    desk.layers.set_tool(Tool.BOX)
    hand.stroke(desk.at(5, 6), desk.at(8, 12), desk.at(15, 26))
    camera_of(desk.viewer).zoom *= zoom
    desk.layers.shapes.mode = mode
    hand.settle()
    hand.click(desk.at(24, 30))
    assert boxes(desk) == {1: (5, 6, 15, 26)}
    assert len(desk.prompts) == len(desk.layers.shapes.data) == 1


@pytest.mark.parametrize("zoom", [1.0, 0.1])
def test_a_double_click_picks_while_boxes_are_drawn(desk: Desk, hand: Hand, zoom: float) -> None:
    desk.show_mask(5, Box(8, 8, 20, 20))
    desk.layers.set_tool(Tool.BOX)
    camera_of(desk.viewer).zoom *= zoom
    hand.settle()
    hand.double_click(desk.at(14, 14))
    assert desk.active == [5]
    assert desk.prompts == []
    assert len(desk.layers.shapes.data) == 0
