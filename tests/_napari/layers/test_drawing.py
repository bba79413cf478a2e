"""Shapes that were begun only, drawn with the mouse on the canvas of a real viewer."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2._napari.image.geometry import Place
from napari_sam2._napari.keys import Command
from napari_sam2._napari.layers.drawing import CORNERS_MOVED, MOVED, NO_LINES
from napari_sam2._napari.layers.finding import Look, camera_of, look_at
from napari_sam2._napari.layers.shapes import mask_of
from napari_sam2._napari.state import Tool
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey
from tests._napari.hand import CONTROL, Hand
from tests._napari.stage import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(stage: Desk) -> napari.Viewer:
    """Return the viewer of the stage, whose mouse and keyboard are used here."""
    return stage.viewer


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told of shapes."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.layers.shapes.tell", told.append)
    return told


def boxes(desk: Desk) -> dict[int, tuple[int, ...]]:
    """The boxes on the frame by object, to whole pixels."""
    given = {key.obj: each.box for key, each in desk.prompts[-1].items()} if desk.prompts else {}
    return {obj: tuple(round(side) for side in box) for obj, box in given.items() if box is not None}


def scribble(desk: Desk, hand: Hand) -> None:
    """Draw an outline within a pixel, of which napari makes a shape: the view is near meanwhile."""
    before = Look.of(desk.viewer)
    look_at(desk.viewer, desk.layers.labels, desk.layers.geometry, Place(2, 12, 10))
    camera_of(desk.viewer).zoom = 60
    desk.layers.set_tool(Tool.OUTLINE)
    hand.settle()
    hand.stroke(*(desk.at(12 + 0.06 * step, 10 + 0.06 * step) for step in range(12)))
    before.restore(desk.viewer)
    hand.settle()


def test_an_outline_that_is_too_small_leaves_nothing(desk: Desk, hand: Hand) -> None:
    scribble(desk, hand)
    assert desk.prompts == []
    assert len(desk.layers.shapes.data) == len(desk.layers.shapes.features) == 0
    for obj, top in {2: 5, 3: 20}.items():
        desk.layers.set_active(obj)
        desk.layers.set_tool(Tool.BOX)
        hand.stroke(desk.at(top, 6), desk.at(top + 3, 12), desk.at(top + 10, 26))
        scribble(desk, hand)
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
    hand.corners(*(desk.at(*corner) for corner in CORNERS[:count]))
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


def test_undo_takes_back_the_outline_that_is_being_drawn(desk: Desk, hand: Hand) -> None:
    commands: list[Command] = []
    desk.layers.commanded.connect(commands.append)
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = "add_polygon"
    hand.settle()
    hand.corners(*(desk.at(*corner) for corner in CORNERS))
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert (commands, desk.prompts, len(desk.layers.shapes.data)) == ([], [], 0)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert commands == [Command.UNDO]


def around(desk: Desk) -> list[Any]:
    """Return places on a circle that is not quite closed."""
    return [desk.at(20 + 9 * np.sin(angle), 25 + 9 * np.cos(angle)) for angle in np.linspace(0, 5, 20)]


def test_undo_takes_back_the_lasso_that_follows_the_mouse(desk: Desk, hand: Hand) -> None:
    commands: list[Command] = []
    desk.layers.commanded.connect(commands.append)
    desk.layers.set_tool(Tool.OUTLINE)
    hand.click(around(desk)[0])
    for place in around(desk):
        hand.move(place)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert (commands, desk.prompts, len(desk.layers.shapes.data)) == ([], [], 0)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert commands == [Command.UNDO]


@pytest.mark.parametrize("tool", [Tool.OUTLINE, Tool.BOX])
def test_undo_does_nothing_while_a_shape_is_dragged(desk: Desk, hand: Hand, tool: Tool) -> None:
    commands: list[Command] = []
    desk.layers.commanded.connect(commands.append)
    desk.layers.set_tool(tool)
    start, *way = around(desk)
    hand.press(start)
    for place in way:
        hand.drag(place)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert commands == []
    hand.release(way[-1])
    hand.settle()
    (said,) = desk.prompts[-1].values()
    assert (said.mask is None, said.box is None) == ((tool is Tool.BOX), (tool is Tool.OUTLINE))


def test_the_key_that_moves_the_view_ends_no_outline(desk: Desk, hand: Hand) -> None:
    shapes, modes = desk.layers.shapes, list[str]()
    desk.layers.set_tool(Tool.OUTLINE)
    shapes.mode = "add_polygon"
    hand.settle()
    hand.corners(*(desk.at(*corner) for corner in CORNERS[:2]))
    shapes.events.mode.connect(lambda event: modes.append(str(event.mode)))
    hand.key(Qt.Key.Key_Space)
    assert modes == []
    hand.corners(*(desk.at(*corner) for corner in CORNERS[2:]))
    hand.key(Qt.Key.Key_Escape)
    (said,) = desk.prompts[-1].values()
    assert np.count_nonzero(said.mask != mask_of(CORNERS, "polygon", (40, 50))) <= 40, (
        "to the pixels of its sides"
    )
    hand.key(Qt.Key.Key_Space)
    assert modes == ["pan_zoom", "add_polygon"]


def test_an_object_that_is_chosen_while_an_outline_is_drawn_stays_the_active_one(
    desk: Desk, hand: Hand
) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = "add_polygon"
    hand.settle()
    hand.corners(*(desk.at(*corner) for corner in CORNERS))
    desk.layers.set_active(3)
    desk.layers.set_tool(Tool.POINT)
    hand.settle()
    assert desk.layers.active == 3
    assert desk.prompts[-1].keys() == {PromptKey(1, 2)}
    hand.click(desk.at(35, 45))
    assert desk.points(3) == [(35, 45, True)]


def test_a_lasso_that_is_left_is_closed(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    hand.click(around(desk)[0])
    for place in around(desk):
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
    assert desk.layers.tools.tool is Tool.OUTLINE
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


def show_frame(desk: Desk, hand: Hand, frame: int) -> None:
    desk.viewer.dims.set_point(0, float(frame))
    hand.settle()


def masks(desk: Desk) -> dict[PromptKey, int]:
    """How many pixels each mask has that was told last."""
    given = desk.prompts[-1] if desk.prompts else {}
    return {key: int(each.mask.sum()) for key, each in given.items() if each.mask is not None}


@pytest.mark.parametrize("mode", ["add_polygon", "add_polygon_lasso"])
@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("count", [2, 4])
def test_an_outline_ends_where_another_frame_is_shown(
    desk: Desk, hand: Hand, words: list[str], mode: str, moves: bool, count: int
) -> None:
    desk.layers.set_tool(Tool.OUTLINE)
    desk.layers.shapes.mode = mode
    hand.settle()
    hand.click(desk.at(*CORNERS[0]))
    for corner in CORNERS[1:count]:
        hand.move(desk.at(*corner))
        if mode == "add_polygon":
            hand.click(desk.at(*corner))
    show_frame(desk, hand, 4)
    if moves:
        hand.move(desk.at(20, 20))
        hand.settle()
        assert masks(desk).keys() == ({PromptKey(1, 2)} if count == 4 else set())
    desk.layers.shapes.mode = "add_polygon" if moves else mode
    hand.settle()
    begun = len(desk.layers.shapes.data)
    hand.click(desk.at(4, 4))
    assert len(desk.layers.shapes.data) == begun + 1, "another outline is begun"
    hand.corners(desk.at(4, 30), desk.at(30, 30))
    desk.layers.set_tool(Tool.POINT)
    hand.settle()
    first = {PromptKey(1, 2)} if count == 4 else set()
    assert first <= masks(desk).keys() <= {PromptKey(1, 2), PromptKey(1, 4)}
    assert mode != "add_polygon" or 300 < masks(desk)[PromptKey(1, 4)] < 400
    assert words == []


@pytest.mark.parametrize("here", [2, 6])
def test_a_lasso_that_is_dragged_on_over_another_frame_is_of_its_own_frame(
    desk: Desk, hand: Hand, words: list[str], here: int
) -> None:
    path = [desk.at(20 + 14 * np.sin(angle), 25 + 14 * np.cos(angle)) for angle in np.linspace(0, 6, 12)]
    desk.layers.set_tool(Tool.OUTLINE)
    hand.press(path[0])
    for place in path[1:here]:
        hand.drag(place)
    show_frame(desk, hand, 4)
    for place in path[here:]:
        hand.drag(place)
    hand.release(path[-1])
    hand.settle()
    assert masks(desk).keys() == ({PromptKey(1, 2)} if here > 2 else set())
    assert all(each < 450 for each in masks(desk).values()), "the whole disc has 615"
    assert words == [CORNERS_MOVED]
    assert len(desk.layers.shapes.data) == len(masks(desk))


@pytest.mark.parametrize("mode", ["add_rectangle", "add_ellipse", "add_line"])
def test_a_shape_that_is_dragged_over_frames_is_taken_out(
    desk: Desk, hand: Hand, words: list[str], mode: str
) -> None:
    desk.layers.set_tool(Tool.BOX)
    hand.stroke(desk.at(5, 6), desk.at(8, 12), desk.at(15, 26))
    desk.layers.shapes.mode = mode
    hand.settle()
    hand.press(desk.at(20, 6))
    hand.drag(desk.at(25, 12))
    show_frame(desk, hand, 3)
    hand.drag(desk.at(28, 20))
    hand.drag(desk.at(30, 26))
    hand.release(desk.at(30, 26))
    hand.settle()
    assert words == [NO_LINES if mode == "add_line" else MOVED]
    assert boxes(desk) == {1: (5, 6, 15, 26)}
    assert len(desk.layers.shapes.data) == 1


@pytest.mark.parametrize("mode", ["add_line", "add_path", "add_polyline"])
@pytest.mark.parametrize("left", [True, False])
def test_lines_are_taken_out(desk: Desk, hand: Hand, words: list[str], mode: str, left: bool) -> None:
    desk.layers.set_tool(Tool.BOX)
    hand.stroke(desk.at(5, 6), desk.at(8, 12), desk.at(15, 26))
    desk.layers.shapes.mode = mode
    hand.settle()
    if mode == "add_polyline":
        hand.corners(*(desk.at(*corner) for corner in CORNERS))
    else:
        hand.stroke(*[desk.at(*corner) for corner in CORNERS])
    if left:
        desk.layers.set_tool(Tool.POINT)
    else:
        hand.key(Qt.Key.Key_Escape)
    hand.settle()
    assert words == [NO_LINES]
    assert desk.layers.shapes.shape_type == ["rectangle"]
    assert boxes(desk) == {1: (5, 6, 15, 26)}


@pytest.mark.parametrize("mode", ["add_line", "add_path", "add_rectangle", "add_polygon"])
def test_what_scripts_add_stays(desk: Desk, hand: Hand, words: list[str], mode: str) -> None:
    desk.layers.set_tool(Tool.BOX)
    desk.layers.shapes.mode = mode
    hand.settle()
    over_frames = np.array([[1, 4, 4], [1, 4, 9], [3, 9, 9], [3, 9, 4]])
    kinds = ["line", "path", "rectangle", "polygon"]
    for kind in kinds:
        desk.layers.shapes.add(over_frames[: 2 if kind == "line" else 4], shape_type=kind)
    hand.settle()
    assert (desk.layers.shapes.shape_type, words) == (kinds, [])
    desk.layers.shapes.data = []
    hand.settle()
