"""The mouse and the keyboard on the canvas of a real viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from napari_sam2._napari.keys import Command
from napari_sam2._napari.layers.finding import Look
from napari_sam2._napari.layers.gestures import Given, Intent, given
from napari_sam2._napari.state import Tool
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey
from tests._napari.hand import CONTROL, RIGHT, SHIFT, Hand, settle
from tests._napari.stage import Desk

gui = pytest.mark.gui


# --- what a click is


@for_all(st.booleans(), st.booleans(), st.booleans(), st.sets(st.sampled_from(["Shift", "Control", "Alt"])))
def test_a_click_refines_the_active_object(
    positive: bool, right: bool, refines: bool, held: set[str]
) -> None:
    found = given(Intent(3, positive), held, right_button=right, fresh=8, refines=refines)
    assert found == Given(3, positive and not right and "Shift" not in held)


@for_all(st.booleans(), st.booleans(), st.booleans(), st.sets(st.sampled_from(["Shift", "Control", "Alt"])))
def test_each_click_may_be_a_new_object(positive: bool, right: bool, refines: bool, held: set[str]) -> None:
    found = given(Intent(3, positive, True), held, right_button=right, fresh=8, refines=refines)
    new = positive and not right and not refines and not held & {"Shift", "Control"}
    assert found.obj == (8 if new else 3)


# --- the canvas


@pytest.fixture
def viewer(stage: Desk) -> napari.Viewer:
    """Return the viewer of the stage, whose mouse and keyboard are used here."""
    return stage.viewer


@gui
def test_clicks_have_the_sign_that_is_chosen_or_held(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(10, 20))
    hand.click(desk.at(12, 20), keys=SHIFT)
    hand.click(desk.at(14, 20), button=RIGHT)
    hand.click(desk.at(16, 20))
    desk.layers.set_positive(False)
    hand.click(desk.at(18, 20))
    assert desk.points(1) == [
        (10, 20, True),
        (12, 20, False),
        (14, 20, False),
        (16, 20, True),
        (18, 20, False),
    ]
    assert len(desk.prompts) == 5


@gui
def test_dragging_pans_and_gives_no_point(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.POINT)
    hand.stroke(desk.at(10, 20), desk.at(14, 24), desk.at(20, 30), keys=SHIFT)
    assert desk.prompts == []
    hand.click(desk.at(10, 20))
    assert [sign for *_, sign in desk.points(1)] == [True]


@gui
def test_points_are_moved_with_the_mouse_and_told_at_the_end(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(10, 20))
    desk.layers.points.mode = "select"
    settle()
    hand.stroke(desk.at(10, 20), desk.at(14, 24), desk.at(18, 30), desk.at(20, 30))
    assert desk.points(1) == [(20, 30, True)]
    assert len(desk.prompts) == 2
    hand.key(Qt.Key.Key_Delete)
    assert desk.prompts[-1] == {}


@gui
def test_each_click_is_a_new_object_except_inside_the_active_one(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.POINT)
    desk.layers.set_each_click_new(True)
    hand.click(desk.at(10, 20))
    second = desk.layers.next_object()
    hand.click(desk.at(30, 40))
    desk.show_mask(second, Box(25, 35, 36, 46))
    hand.click(desk.at(28, 38))
    hand.click(desk.at(5, 5), keys=CONTROL)
    hand.click(desk.at(6, 8), keys=SHIFT)
    hand.click(desk.at(20, 10))
    assert desk.points(1) == [(10, 20, True)]
    assert desk.points(second) == [(30, 40, True), (28, 38, True), (5, 5, True), (6, 8, False)]
    assert desk.points(second + 1) == [(20, 10, True)]
    assert desk.active == [second, second + 1]
    assert desk.layers.labels.selected_label == second + 1


@gui
def test_boxes_and_outlines_are_drawn(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.BOX)
    hand.stroke(desk.at(5, 6), desk.at(8, 12), desk.at(15, 26))
    box = desk.prompts[-1][PromptKey(1, 2)].box
    assert box is not None
    assert np.allclose(box, (5, 6, 15, 26), atol=0.3)
    assert len(desk.prompts) == 1
    desk.layers.set_active(2)
    desk.layers.set_tool(Tool.OUTLINE)
    ring = [desk.at(25 + 8 * np.sin(a), 25 + 8 * np.cos(a)) for a in np.linspace(0, 6, 14)]
    hand.stroke(*ring)
    mask = desk.prompts[-1][PromptKey(2, 2)].mask
    assert mask is not None
    assert 150 < mask.sum() < 210
    assert len(desk.prompts) == 2


@gui
def test_each_box_is_a_new_object(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.BOX)
    desk.layers.set_each_click_new(True)
    hand.stroke(desk.at(2, 2), desk.at(6, 7), desk.at(8, 9))
    second = desk.layers.next_object()
    hand.stroke(desk.at(12, 22), desk.at(16, 27), desk.at(18, 29))
    assert set(desk.prompts[-1]) == {PromptKey(1, 2), PromptKey(second, 2)}
    assert desk.active == [second]


@gui
def test_strokes_hold_results_back_and_are_told_at_their_end(desk: Desk, hand: Hand) -> None:
    desk.layers.set_active(4)
    desk.layers.set_tool(Tool.BRUSH)
    desk.layers.labels.brush_size = 3
    hand.press(desk.at(10, 10))
    hand.drag(desk.at(10, 16))
    desk.show_mask(7, Box(30, 30, 35, 35))
    assert desk.strokes == []
    assert not (desk.layers.labels.data == 7).any()
    hand.drag(desk.at(10, 20))
    hand.release(desk.at(10, 20))
    hand.settle()
    ((stroke,),) = desk.strokes
    assert (stroke.obj, stroke.frame) == (4, 2)
    assert stroke.mask[10, 10:20].all()
    assert (desk.layers.labels.data[2] == 7).sum() == 25


@gui
def test_the_eraser_takes_pixels_away(desk: Desk, hand: Hand) -> None:
    desk.show_mask(3, Box(8, 8, 20, 20))
    desk.layers.set_active(3)
    desk.layers.set_tool(Tool.ERASER)
    desk.layers.labels.brush_size = 5
    hand.click(desk.at(14, 14))
    ((stroke,),) = desk.strokes
    assert not stroke.mask[14, 14]
    assert stroke.mask[8, 8]
    assert desk.layers.active == 3


@gui
def test_encircling_with_the_right_button_is_one_stroke(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.BRUSH)
    desk.layers.labels.brush_size = 2
    hand.click(desk.at(10, 10), button=RIGHT)
    for place in [(10, 20), (20, 20), (20, 10)]:
        hand.move(desk.at(*place))
    desk.show_mask(7, Box(30, 30, 35, 35))
    waits = not (desk.layers.labels.data == 7).any()
    hand.move(desk.at(10, 10))
    hand.settle()
    if not desk.strokes:
        pytest.skip("this napari has no such stroke")
    ((stroke,),) = desk.strokes
    assert waits
    assert stroke.mask[15, 15]
    assert (desk.layers.labels.data == 7).any()


@gui
def test_a_double_click_makes_an_object_active(desk: Desk, hand: Hand) -> None:
    clicked: list[int] = []
    desk.layers.clicked_object.connect(clicked.append)
    desk.show_mask(5, Box(8, 8, 20, 20))
    desk.layers.set_tool(Tool.POINT)
    hand.double_click(desk.at(14, 14))
    assert (clicked, desk.active) == ([5], [5])
    assert desk.prompts[-1] == {}  # the click before it was not meant
    assert len(desk.layers.points.data) == 0


@gui
@pytest.mark.parametrize("tool", [Tool.PAN, Tool.POINT])
def test_a_double_click_that_picks_leaves_the_camera_where_it_is(desk: Desk, hand: Hand, tool: Tool) -> None:
    desk.show_mask(5, Box(8, 8, 20, 20))
    desk.layers.set_tool(tool)
    before = Look.of(desk.viewer)
    hand.double_click(desk.at(14, 12))
    assert desk.active == [5]
    assert Look.of(desk.viewer) == before
    desk.layers.set_tool(Tool.PAN)
    hand.double_click(desk.at(30, 30))
    assert Look.of(desk.viewer).zoom == 2 * before.zoom, "beside objects napari zooms"


@gui
def test_a_double_click_on_the_active_object_or_beside_is_a_click(desk: Desk, hand: Hand) -> None:
    desk.show_mask(1, Box(8, 8, 20, 20))
    desk.layers.set_tool(Tool.POINT)
    hand.double_click(desk.at(14, 14))
    hand.double_click(desk.at(30, 30))
    assert desk.active == []
    assert len(desk.points(1)) >= 2


@gui
def test_picking_with_napari_makes_an_object_active(desk: Desk, hand: Hand) -> None:
    desk.show_mask(5, Box(8, 8, 20, 20))
    desk.layers.set_tool(Tool.BRUSH)
    desk.layers.labels.mode = "pick"
    hand.click(desk.at(14, 14))
    assert desk.active == [5]
    assert desk.strokes == []


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        settle(1)
    assert condition()


@gui
def test_a_cursor_that_rests_is_told(desk: Desk, hand: Hand) -> None:
    rests: list[tuple[int, float, float]] = []
    left: list[int] = []
    desk.layers.hovered.connect(lambda *place: rests.append(place))
    desk.layers.unhovered.connect(lambda: left.append(1))
    desk.layers.set_tool(Tool.POINT)
    hand.move(desk.at(10, 20))
    hand.move(desk.at(12, 20))
    wait_for(lambda: bool(rests) and round(rests[-1][1]) == 12)
    frame, y, x = rests[-1]
    assert (frame, round(y), round(x)) == (2, 12, 20)
    assert len(left) == len(rests) - 1
    desk.layers.set_tool(Tool.PAN)
    hand.move(desk.at(14, 20))
    assert len(left) == len(rests)
    time.sleep(0.2)
    settle()
    assert round(rests[-1][1]) == 12


@gui
def test_keys_are_heard_on_all_our_layers_and_on_no_other(desk: Desk, hand: Hand) -> None:
    heard: list[Command] = []
    desk.layers.commanded.connect(heard.append)
    for tool in (Tool.POINT, Tool.BOX, Tool.BRUSH):
        desk.layers.set_tool(tool)
        settle()
        hand.key(Qt.Key.Key_N)
        hand.key(Qt.Key.Key_Z, CONTROL)
        hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
        assert heard == [Command.NEW_OBJECT, Command.UNDO, Command.REDO]
        heard.clear()
    for key, command in {
        Qt.Key.Key_Comma: Command.BEGINS_HERE,
        Qt.Key.Key_Period: Command.ENDS_HERE,
        Qt.Key.Key_G: Command.PROPAGATE,
    }.items():
        hand.key(key)
        assert heard[-1] is command
    hand.key(Qt.Key.Key_G, SHIFT)
    assert heard[-1] is Command.CANCEL
    heard.clear()
    desk.viewer.layers.selection.active = desk.image
    settle()
    hand.key(Qt.Key.Key_N)
    assert heard == []


@gui
def test_a_key_in_the_turn_of_a_click_is_of_what_was_clicked_on(desk: Desk, hand: Hand) -> None:
    """As where both have waited for a viewer that was busy."""
    heard: list[tuple[Command, list[int], int]] = []
    desk.layers.commanded.connect(
        lambda command: heard.append((command, desk.active[-1:], len(desk.prompts)))
    )
    desk.layers.set_each_click_new(True)
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(10, 10))
    told = len(desk.prompts)
    hand.press(desk.at(30, 30))
    hand.release(desk.at(30, 30))
    hand.key(Qt.Key.Key_K)
    (new,) = {key.obj for key in desk.prompts[-1]} - {1}
    assert heard == [(Command.LOCK, [new], told + 1)]


@gui
def test_a_key_in_the_turn_of_a_stroke_comes_after_it(desk: Desk, hand: Hand) -> None:
    heard: list[int] = []
    desk.layers.commanded.connect(lambda _: heard.append(len(desk.strokes)))
    desk.layers.set_tool(Tool.BRUSH)
    hand.settle()
    hand.press(desk.at(10, 10))
    hand.release(desk.at(10, 10))
    hand.key(Qt.Key.Key_K)
    assert heard == [1]


@gui
def test_undo_does_not_touch_the_labels(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.BRUSH)
    hand.click(desk.at(10, 10))
    before = desk.layers.labels.data.copy()
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert np.array_equal(desk.layers.labels.data, before)


@gui
@pytest.mark.parametrize(
    "transform", [{"rotate": 30, "scale": (2, 1, 1)}, {"scale": (3, 0.5, 0.25), "translate": (5, -4, 9)}]
)
def test_clicks_hit_the_pixels_of_turned_and_stretched_images(
    desk: Desk, hand: Hand, transform: dict[str, Any]
) -> None:
    desk.place(**transform)
    desk.layers.set_tool(Tool.POINT)
    hand.click(desk.at(10, 20))
    assert desk.points(1) == [(10, 20, True)]


@gui
def test_a_click_in_rolled_axes_is_on_the_frame_that_it_hits(desk: Desk, hand: Hand) -> None:
    desk.layers.set_tool(Tool.POINT)
    desk.viewer.dims.order = (1, 0, 2)
    desk.viewer.dims.set_current_step(1, 7)
    desk.viewer.reset_view()
    hand.settle()
    hand.click((4, 7, 20))
    ((key, prompts),) = desk.prompts[-1].items()
    assert key == PromptKey(1, 4)
    assert np.allclose(prompts.points, [(7, 20)], atol=0.3)
