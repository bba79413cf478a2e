"""Prompts are declared by the layers, whatever way they got there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import coerce_keybinding

from napari_sam2._napari.state import Tool
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.hand import settle
from tests._napari.prompting import SHAPE, Desk, point, square


@pytest.fixture
def desk(model: ViewerModel) -> Iterator[Desk]:
    desk = Desk(model)
    yield desk
    desk.layers.close(remove_layers=True)


def test_layers_lie_over_the_image_and_carry_its_name(desk: Desk) -> None:
    assert [layer.name for layer in desk.model.layers] == [
        "cells",
        "cells labels",
        "cells boxes",
        "cells points",
    ]
    for layer in desk.model.layers:
        assert np.allclose(layer.scale, (4, 1, 1))
    assert desk.layers.labels.data.dtype == np.uint16


def test_nothing_is_told_before_something_is_said(desk: Desk) -> None:
    desk.model.dims.set_current_step(0, 4)
    desk.layers.set_tool(Tool.POINT)
    settle()
    assert desk.told == []


def test_all_ways_to_a_point_are_the_same(desk: Desk) -> None:
    points = desk.layers.points
    points.add([2, 10, 20])
    assert desk.last() == {PromptKey(1, 2): point(10, 20)}
    points.data = [[3, 10, 21]]
    assert desk.last() == {PromptKey(1, 3): point(10, 21)}
    points.features = {"object": [4], "positive": [False]}
    assert desk.last() == {PromptKey(4, 3): point(10, 21, positive=False)}
    points.selected_data = {0}
    points.keymap[coerce_keybinding("Control-C")](points)
    desk.model.dims.set_current_step(0, 5)
    points.keymap[coerce_keybinding("Control-V")](points)
    assert desk.last() == {key: point(10, 21, positive=False) for key in (PromptKey(4, 3), PromptKey(4, 5))}
    assert points.selected_data == {1}
    points.selected_data = {0}
    points.remove_selected()
    assert set(desk.last()) == {PromptKey(4, 5)}
    points.data = np.zeros((0, 3))
    assert desk.last() == {}


def test_a_change_that_napari_tells_nobody_of_is_found(desk: Desk) -> None:
    desk.layers.points.add([2, 10, 20])
    settle()
    desk.layers.points.data[0, 2] = 25
    desk.layers.points.refresh()
    assert desk.last() == {PromptKey(1, 2): point(10, 25)}


def test_many_changes_of_one_turn_are_told_once(desk: Desk) -> None:
    for column in range(5):
        desk.layers.points.add([2, 10, column])
    desk.layers.shapes.add(square(2, 1, 1, 5, 5), shape_type="rectangle")
    assert desk.told == []
    (key,) = desk.last()
    assert len(desk.told) == 1
    assert [x for _, x in desk.last()[key].points] == [0, 1, 2, 3, 4]
    assert desk.last()[key].box == (1, 1, 5, 5)


def test_boxes_and_outlines_are_told_and_undone(desk: Desk) -> None:
    desk.layers.shapes.add(square(1, 4, 5, 10, 20), shape_type="polygon")
    told = desk.last()
    mask = told[PromptKey(1, 1)].mask
    assert mask is not None
    assert mask[5:10, 6:20].all()
    desk.layers.show_prompts({})
    assert len(desk.layers.shapes.data) == 0
    desk.layers.show_prompts(told)
    assert desk.layers.shapes.shape_type == ["polygon"]
    settle()
    assert len(desk.told) == 1


def test_a_second_box_takes_the_place_of_the_first(desk: Desk) -> None:
    desk.layers.shapes.add(square(1, 4, 5, 10, 20), shape_type="rectangle")
    settle()
    desk.layers.shapes.add(square(1, 6, 6, 9, 9), shape_type="rectangle")
    assert desk.last() == {PromptKey(1, 1): FramePrompts(box=(6, 6, 9, 9))}
    assert len(desk.layers.shapes.data) == 1


def test_shown_prompts_are_not_told_and_stay_what_they_are(desk: Desk) -> None:
    painted = np.zeros(SHAPE[1:], np.bool_)
    painted[3, 4] = True
    prompts = {
        PromptKey(1, 0): FramePrompts(((1, 2), (3, 4)), (True, False), candidate=1),
        PromptKey(2, 5): FramePrompts(mask=painted),
        PromptKey(3, 1): FramePrompts(((9, 9),), (True,), box=(1, 2, 30, 30.5)),
        PromptKey(4, 1): FramePrompts(mask=np.zeros_like(painted)),
    }
    desk.layers.show_prompts(prompts)
    settle()
    assert desk.told == []
    assert desk.layers.prompts == prompts
    desk.layers.points.add([5, 8, 8])
    assert desk.last() == prompts | {PromptKey(1, 5): point(8, 8)}


def test_a_stroke_absorbs_the_points_there(desk: Desk) -> None:
    desk.layers.points.add([2, 10, 20])
    told = dict(desk.last())
    painted = np.zeros(SHAPE[1:], np.bool_)
    painted[3, 4] = True
    desk.layers.show_prompts({PromptKey(1, 2): FramePrompts(mask=painted)})
    assert len(desk.layers.points.data) == 0
    desk.layers.show_prompts(told)
    assert desk.layers.points.data.tolist() == [[2, 10, 20]]
    settle()
    assert len(desk.told) == 1


def test_a_click_that_was_not_told_yet_is_never_lost(desk: Desk) -> None:
    desk.layers.points.add([2, 10, 20])
    settle()
    desk.layers.points.add([3, 11, 21])
    desk.layers.show_prompts({PromptKey(5, 0): point(1, 1)})
    assert desk.last() == {PromptKey(5, 0): point(1, 1), PromptKey(1, 3): point(11, 21)}


def test_a_click_that_was_not_told_yet_refines_a_mask_that_is_shown(desk: Desk) -> None:
    painted = np.zeros(SHAPE[1:], np.bool_)
    painted[3:9, 4:9] = True
    desk.layers.points.add([2, 10, 20])
    settle()
    desk.layers.points.add([2, 11, 21])
    desk.layers.show_prompts({PromptKey(1, 2): FramePrompts(mask=painted)})
    assert desk.last() == {PromptKey(1, 2): FramePrompts(((11, 21),), (True,), mask=painted)}
    desk.layers.points.remove([0])
    desk.layers.show_prompts({PromptKey(1, 2): FramePrompts(mask=~painted)})
    settle()
    assert desk.layers.prompts == {PromptKey(1, 2): FramePrompts(mask=~painted)}


def test_an_undo_takes_points_away_though_another_one_was_not_told_yet(desk: Desk) -> None:
    desk.layers.points.add([2, 10, 20])
    settle()
    desk.layers.points.add([2, 11, 21])
    desk.layers.show_prompts({})
    assert desk.last() == {PromptKey(1, 2): point(11, 21)}


def test_an_outline_takes_the_place_of_points_and_box(desk: Desk) -> None:
    desk.layers.points.add([2, 10, 20])
    desk.layers.points.add([3, 10, 20])
    desk.layers.shapes.add(square(2, 1, 1, 30, 30), shape_type="rectangle")
    before = dict(desk.last())
    desk.layers.points.add([2, 8, 8])
    desk.layers.shapes.add(square(2, 4, 5, 10, 20), shape_type="polygon")
    after = desk.last()[PromptKey(1, 2)]
    assert (after.points, after.box, after.mask is None) == (((8, 8),), None, False), "given with it"
    assert desk.layers.shapes.shape_type == ["polygon"]
    desk.layers.points.add([2, 9, 9])
    assert len(desk.last()[PromptKey(1, 2)].points) == 2, "later points refine it"
    desk.layers.show_prompts(before)
    assert desk.layers.prompts == before


def test_one_of_two_outlines_that_is_taken_out_takes_no_points_with_it(desk: Desk) -> None:
    desk.layers.shapes.add(square(2, 4, 5, 10, 20), shape_type="polygon")
    desk.layers.shapes.add(square(2, 20, 5, 30, 20), shape_type="polygon")
    settle()
    desk.layers.points.add([2, 8, 8])
    settle()
    desk.layers.shapes.remove([0])
    assert desk.last()[PromptKey(1, 2)].points == ((8, 8),)


def test_a_deletion_that_was_not_told_yet_is_never_lost(desk: Desk) -> None:
    shown = {PromptKey(5, 0): point(1, 1), PromptKey(6, 0): point(2, 2)}
    desk.layers.show_prompts(shown)
    desk.layers.points.remove([0])
    desk.layers.show_prompts(shown)
    assert desk.last() == {PromptKey(6, 0): point(2, 2)}


@pytest.mark.parametrize("place", [[2, -5, -5], [2, 10, 50], [7, 10, 20]])
def test_points_outside_of_the_image_are_taken_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, place: list[float]
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.layers.points.tell", notes.append)
    desk.layers.points.add([2, 10, 20])
    desk.layers.points.add(place)
    assert desk.last() == {PromptKey(1, 2): point(10, 20)}
    assert desk.layers.points.data.tolist() == [[2, 10, 20]]
    assert len(notes) == 1


def test_a_point_without_an_object_stays_with_the_one_that_was_active(desk: Desk) -> None:
    desk.layers.points.add([[2, 10, 20], [2, 11, 21]])
    desk.layers.points.features = {"object": [1.0, np.nan], "positive": [True, False]}
    desk.layers.set_active(3)
    settle()
    desk.layers.set_active(4)
    desk.layers.points.add([3, 1, 1])
    assert desk.last() == {
        PromptKey(1, 2): point(10, 20),
        PromptKey(3, 2): point(11, 21, positive=False),
        PromptKey(4, 3): point(1, 1),
    }


# --- the active object and the sign


def test_the_active_object_is_one_thing(desk: Desk) -> None:
    desk.layers.set_active(7)
    assert desk.layers.labels.selected_label == 7
    assert desk.layers.points.feature_defaults["object"][0] == 7
    assert desk.layers.shapes.feature_defaults["object"][0] == 7
    desk.layers.points.add([2, 1, 1])
    desk.layers.shapes.add(square(3, 1, 1, 5, 5))
    assert set(desk.last()) == {PromptKey(7, 2), PromptKey(7, 3)}
    assert desk.active == []


def test_the_picker_makes_an_object_active(desk: Desk) -> None:
    clicked: list[int] = []
    desk.layers.clicked_object.connect(clicked.append)
    desk.layers.labels.selected_label = 3
    assert (desk.active, clicked, desk.layers.active) == ([3], [3], 3)
    assert desk.layers.points.feature_defaults["object"][0] == 3
    desk.layers.labels.selected_label = 0  # the eraser's value is no object
    assert desk.layers.active == 3


def test_a_script_may_set_what_the_next_point_is(desk: Desk) -> None:
    signs: list[bool] = []
    desk.layers.sign_changed.connect(signs.append)
    desk.layers.points.feature_defaults = {"object": 4, "positive": False}
    assert (desk.active, signs) == ([4], [False])
    desk.layers.points.add([2, 1, 1])
    assert desk.last() == {PromptKey(4, 2): point(1, 1, positive=False)}


def test_a_script_may_set_what_follows_on_a_point_or_a_shape(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    desk.layers.points.feature_defaults = {"object": 4, "positive": True}
    assert desk.active == [4]
    desk.layers.shapes.add(square(3, 1, 1, 5, 5))
    desk.layers.shapes.selected_data = {0}
    desk.layers.shapes.feature_defaults = {"object": 6}
    assert desk.active == [4, 6]
    assert desk.layers.labels.selected_label == 6


def test_a_script_may_turn_to_the_object_of_a_selected_point(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    desk.layers.set_active(4)
    desk.layers.points.selected_data = {0}
    settle()
    assert (desk.active, desk.layers.active) == ([], 4)
    desk.layers.points.feature_defaults = {"object": 1, "positive": True}
    assert (desk.active, desk.layers.active) == ([1], 1)


def test_a_script_may_set_whose_the_next_shape_is(desk: Desk) -> None:
    desk.layers.shapes.feature_defaults = {"object": 4}
    assert desk.active == [4]
    assert desk.layers.labels.selected_label == 4
    assert desk.layers.points.feature_defaults["object"][0] == 4
    desk.layers.shapes.add(square(3, 1, 1, 5, 5))
    assert set(desk.last()) == {PromptKey(4, 3)}


@pytest.mark.parametrize("mode", ["select", "pan_zoom", "add"])
def test_selection_and_modes_leave_the_next_point_alone(desk: Desk, mode: str) -> None:
    desk.layers.points.add([2, 1, 1])
    desk.layers.set_active(2)
    desk.layers.set_positive(False)
    desk.layers.points.mode = mode
    desk.layers.points.selected_data = {0}
    settle()
    desk.layers.points.add([2, 5, 5])
    assert desk.last() == {PromptKey(1, 2): point(1, 1), PromptKey(2, 2): point(5, 5, positive=False)}


def test_new_ids_are_free(desk: Desk) -> None:
    assert desk.layers.next_object() == 1
    desk.layers.set_active(3)
    desk.layers.points.add([2, 1, 1])
    assert desk.layers.next_object() == 4
    desk.layers.set_next_object(9)
    assert desk.layers.next_object() == 9
    desk.layers.write([LabelChange(0, Box(0, 0, 1, 1), np.array([[12]], np.uint16))])
    assert desk.layers.next_object() == 13
