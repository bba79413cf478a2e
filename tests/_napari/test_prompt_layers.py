"""Prompts are declared by the layers, whatever way they got there."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import coerce_keybinding

from napari_sam2._napari.geometry import SequenceGeometry
from napari_sam2._napari.prompt_layers import PromptLayers
from napari_sam2._napari.state import Tool
from napari_sam2._napari.strokes import Stroke
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.hand import settle

SHAPE = (6, 40, 50)


class Desk:
    """Prompt layers over a stack, and all that they told."""

    def __init__(self, model: ViewerModel, shape: tuple[int, ...] = SHAPE, **options: Any) -> None:
        self.model = model
        self.image = model.add_image(np.zeros(shape, np.uint8), scale=(4, 1, 1), name="cells", **options)
        self.layers = PromptLayers(model, self.image, SequenceGeometry.of(self.image, frame_axis=0))
        self.told: list[dict[PromptKey, FramePrompts]] = []
        self.active: list[int] = []
        self.strokes: list[tuple[Stroke, ...]] = []
        self.layers.prompts_changed.connect(self.told.append)
        self.layers.active_changed.connect(self.active.append)
        self.layers.strokes.connect(self.strokes.append)
        settle()

    def tool(self) -> Tool:
        return self.layers.tool

    def last(self) -> dict[PromptKey, FramePrompts]:
        settle()
        return self.told[-1]


@pytest.fixture
def desk(model: ViewerModel) -> Iterator[Desk]:
    desk = Desk(model)
    yield desk
    desk.layers.close(remove_layers=True)


def square(frame: float, y0: float, x0: float, y1: float, x1: float) -> npt.NDArray[np.float64]:
    return np.array([[frame, y0, x0], [frame, y0, x1], [frame, y1, x1], [frame, y1, x0]], float)


def point(y: float, x: float, *, positive: bool = True) -> FramePrompts:
    return FramePrompts(((y, x),), (positive,))


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


def test_a_deletion_that_was_not_told_yet_is_never_lost(desk: Desk) -> None:
    shown = {PromptKey(5, 0): point(1, 1), PromptKey(6, 0): point(2, 2)}
    desk.layers.show_prompts(shown)
    desk.layers.points.remove([0])
    desk.layers.show_prompts(shown)
    assert desk.last() == {PromptKey(6, 0): point(2, 2)}


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


# --- tools


@pytest.mark.parametrize(
    ("tool", "layer", "mode"),
    [
        (Tool.POINT, "points", "add"),
        (Tool.BOX, "shapes", "add_rectangle"),
        (Tool.OUTLINE, "shapes", "add_polygon_lasso"),
        (Tool.BRUSH, "labels", "paint"),
        (Tool.ERASER, "labels", "erase"),
        (Tool.PAN, "points", "pan_zoom"),
    ],
)
def test_tools_activate_layer_and_mode(desk: Desk, tool: Tool, layer: str, mode: str) -> None:
    told: list[Tool] = []
    desk.layers.set_tool(Tool.POINT)
    desk.layers.tool_changed.connect(told.append)
    desk.layers.set_tool(tool)
    settle()
    assert desk.model.layers.selection.active is getattr(desk.layers, layer)
    assert str(getattr(desk.layers, layer).mode) == mode
    assert desk.layers.tool is tool
    assert told == ([] if tool is Tool.POINT else [tool])


def test_a_hidden_layer_is_shown_when_its_tool_is_taken(desk: Desk) -> None:
    desk.layers.points.visible = False
    desk.layers.set_tool(Tool.POINT)
    assert desk.layers.points.visible
    assert str(desk.layers.points.mode) == "add"


def test_modes_chosen_in_napari_are_followed(desk: Desk) -> None:
    told: list[Tool] = []
    desk.layers.set_tool(Tool.POINT)
    desk.layers.tool_changed.connect(told.append)
    desk.model.layers.selection.active = desk.layers.labels
    desk.layers.labels.mode = "erase"
    settle()
    desk.model.layers.selection.active = desk.image
    settle()
    assert told == [Tool.ERASER, Tool.PAN]


def test_boxes_and_brushes_need_the_flat_view_of_frames(desk: Desk) -> None:
    told: list[str] = []
    desk.layers.blocked_changed.connect(told.append)
    assert desk.layers.blocked_reason() == ""
    desk.layers.set_tool(Tool.BRUSH)
    desk.model.dims.order = (1, 0, 2)
    settle()
    assert "roll the axes" in desk.layers.blocked_reason()
    assert not desk.layers.labels.editable
    assert desk.tool() is Tool.PAN
    desk.layers.set_tool(Tool.BOX)
    assert desk.tool() is Tool.PAN
    desk.layers.set_tool(Tool.POINT)
    assert desk.tool() is Tool.POINT
    desk.layers.set_tool(Tool.BRUSH)
    desk.model.dims.order = (0, 1, 2)
    settle()
    assert desk.tool() is Tool.BRUSH
    assert desk.layers.labels.editable
    assert [bool(reason) for reason in told] == [True, False]


def test_the_volume_view_is_for_looking(desk: Desk) -> None:
    desk.layers.set_tool(Tool.POINT)
    desk.model.dims.ndisplay = 3
    settle()
    assert "2D view" in desk.layers.blocked_reason()
    assert desk.tool() is Tool.PAN
    desk.layers.points.add([2, 1, 1])  # a script's points count in any view
    assert PromptKey(1, 2) in desk.last()
    desk.model.dims.ndisplay = 2
    settle()
    assert desk.tool() is Tool.POINT
    assert str(desk.layers.points.mode) == "add"


def test_points_count_while_the_axes_are_rolled(desk: Desk) -> None:
    desk.model.dims.order = (1, 0, 2)
    settle()
    desk.layers.points.add([4, 10, 20])
    assert desk.last() == {PromptKey(1, 4): point(10, 20)}


# --- other images


def test_a_single_image(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((40, 50), np.uint8))
    layers = PromptLayers(model, image, SequenceGeometry.of(image))
    layers.points.add([3, 4])
    settle()
    assert layers.prompts == {PromptKey(1, 0): point(3, 4)}
    layers.write([LabelChange(0, Box(0, 0, 1, 1), np.array([[2]], np.uint16))])
    assert layers.labels.data[0, 0] == 2
    layers.close(remove_layers=True)


@pytest.mark.parametrize(
    "options",
    [
        {"rgb": True, "data": np.zeros((*SHAPE, 3), np.uint8)},
        {"multiscale": True, "data": [np.zeros(SHAPE, np.uint8), np.zeros((6, 20, 25), np.uint8)]},
        {"rotate": 30, "data": np.zeros(SHAPE, np.uint8)},
        {"shear": (0.1, 0.2, 0.3), "data": np.zeros(SHAPE, np.uint8)},
    ],
    ids=["colour", "multiscale", "rotated", "sheared"],
)
def test_points_lie_in_the_pixels_of_the_image(model: ViewerModel, options: dict[str, Any]) -> None:
    image = model.add_image(**options)
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0))
    world = image.data_to_world((2, 10, 20))
    layers.points.add(layers.points.world_to_data(world))
    settle()
    ((key, prompts),) = layers.prompts.items()
    assert key == PromptKey(1, 2)
    assert np.allclose(prompts.points, [(10, 20)])
    assert layers.labels.data.shape == SHAPE
    layers.close(remove_layers=True)


def test_a_dask_image_is_not_computed(model: ViewerModel) -> None:
    da = pytest.importorskip("dask.array")
    image = model.add_image(da.zeros(SHAPE, np.uint8, chunks=(1, 40, 50)), contrast_limits=(0, 1))
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0))
    layers.points.add([2, 3, 4])
    settle()
    assert set(layers.prompts) == {PromptKey(1, 2)}
    layers.close(remove_layers=True)


def test_a_channel_axis_is_one_for_the_prompts(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((6, 3, 40, 50), np.uint8))
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0, channel_axis=1))
    for channel in range(3):
        layers.points.add(layers.points.world_to_data((2, channel, 10, channel)))
    settle()
    assert layers.prompts == {PromptKey(1, 2): FramePrompts(((10, 0), (10, 1), (10, 2)), (True,) * 3)}
    layers.close(remove_layers=True)


def test_each_position_of_another_axis_has_its_own_prompts(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((3, *SHAPE), np.uint8))
    geometry = SequenceGeometry.of(image, frame_axis=1, index={0: 0})
    layers = PromptLayers(model, image, geometry)
    told: list[dict[PromptKey, FramePrompts]] = []
    layers.prompts_changed.connect(told.append)
    layers.points.add([0, 2, 3, 4])
    settle()
    first = dict(told[-1])
    layers.set_geometry(geometry.at({0: 1}), {})
    layers.points.add([1, 5, 6, 7])
    settle()
    assert told[-1] == {PromptKey(1, 5): point(6, 7)}
    layers.set_geometry(geometry, first)
    settle()
    assert layers.prompts == first
    assert len(told) == 2
    assert len(layers.points.data) == 2
    layers.close(remove_layers=True)


def test_layers_follow_the_image(desk: Desk) -> None:
    desk.image.scale = (7, 2, 2)
    desk.image.translate = (1, 2, 3)
    for layer in (desk.layers.points, desk.layers.shapes, desk.layers.labels):
        assert np.allclose(layer.data_to_world((2, 3, 4)), desk.image.data_to_world((2, 3, 4)))


def test_colours_are_the_same_everywhere(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    desk.layers.set_active(6)
    desk.layers.points.add([2, 5, 5])
    desk.layers.shapes.add(square(2, 4, 5, 10, 20))
    settle()
    colour = desk.layers.colour(6)
    assert np.allclose(desk.layers.points.border_color[1], colour, atol=1e-6)
    assert np.allclose(desk.layers.shapes.edge_color[0], colour, atol=1e-6)
    assert np.allclose(np.ravel(desk.layers.labels.colormap.map(6)), colour, atol=1e-6)
    desk.layers.set_visible(6, False)
    assert desk.layers.points.shown.tolist() == [True, False]
    assert np.ravel(desk.layers.labels.colormap.map(6))[3] == 0
    desk.layers.set_solo(6)
    assert desk.layers.points.shown.tolist() == [False, True]
    desk.layers.set_solo(None)
    desk.layers.set_visible(6, True)
    desk.layers.set_colour(6, (0.0, 1.0, 0.0, 1.0))
    assert np.allclose(desk.layers.points.border_color[1], (0, 1, 0, 1))
    settle()
    assert len(desk.told) == 1


# --- the end


def test_a_deleted_layer_is_told_once_and_its_prompts_are_not_taken_back(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    settle()
    removed: list[int] = []
    desk.layers.removed.connect(lambda: removed.append(1))
    desk.model.layers.remove(desk.layers.points)
    desk.model.layers.remove(desk.layers.labels)
    settle()
    assert removed == [1]
    assert len(desk.told) == 1
    desk.layers.write([LabelChange(0, Box(0, 0, 1, 1), np.array([[2]], np.uint16))])
    desk.layers.show_prompts({})


def test_a_renamed_layer_is_still_ours(desk: Desk) -> None:
    desk.layers.points.name = "something else"
    desk.layers.points.add([2, 1, 1])
    assert set(desk.last()) == {PromptKey(1, 2)}


def callbacks(emitters: Any) -> int:
    return sum(len(emitter.callbacks) for emitter in emitters.emitters.values()) + len(emitters.callbacks)


def connections(model: ViewerModel, *layers: Any) -> list[int]:
    """Count what listens to the viewer and to layers."""
    counts = [callbacks(model.events), callbacks(model.dims.events), callbacks(model.layers.events)]
    counts += [callbacks(model.layers.selection.events)]
    for layer in layers:
        counts += [callbacks(layer.events), len(layer.keymap)]
        counts += [len(layer.mouse_drag_callbacks), len(layer.mouse_move_callbacks)]
        counts += [len(layer.mouse_double_click_callbacks)]
    return counts


def test_closing_leaves_nothing(model: ViewerModel) -> None:
    image = model.add_image(np.zeros(SHAPE, np.uint8))
    before = connections(model, image)
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0))
    layers.set_tool(Tool.BRUSH)
    layers.points.add([2, 1, 1])
    kept = [layers.points, layers.shapes, layers.labels]
    gone = weakref.ref(layers)
    layers.close(remove_layers=True)
    layers.close(remove_layers=True)
    assert list(model.layers) == [image]
    assert connections(model, image) == before
    del layers
    settle()
    gc.collect()
    assert gone() is None
    for layer in kept:
        assert not layer.keymap


def test_closed_layers_stay_as_layers_like_any_other(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    settle()
    points = desk.layers.points
    desk.layers.close(remove_layers=False)
    points.add([3, 1, 1])
    settle()
    assert points in desk.model.layers
    assert len(points.data) == 2
    assert len(desk.told) == 1


def test_two_viewers_do_not_meet(qapp: object) -> None:
    desks = [Desk(ViewerModel()), Desk(ViewerModel(), (4, 30, 20))]
    desks[0].layers.points.add([2, 1, 1])
    desks[1].layers.points.add([3, 5, 5])
    assert [set(desk.last()) for desk in desks] == [{PromptKey(1, 2)}, {PromptKey(1, 3)}]
    desks[0].layers.close(remove_layers=True)
    desks[1].layers.points.add([1, 5, 5])
    assert set(desks[1].last()) == {PromptKey(1, 3), PromptKey(1, 1)}
    desks[1].layers.close(remove_layers=True)


def test_five_hundred_clicks_leave_nothing_behind(desk: Desk) -> None:
    def click(turn: int) -> None:
        desk.layers.points.add([2, turn % 40, turn % 50])
        settle(2)
        desk.layers.points.remove([0])
        settle(2)

    for turn in range(100):
        click(turn)
    gc.collect()
    listeners = connections(desk.model, desk.layers.points, desk.layers.labels)
    objects = len(gc.get_objects())
    for turn in range(400):
        click(turn)
    gc.collect()
    assert len(desk.told) >= 900
    desk.told[:] = desk.told[-1:]
    gc.collect()
    assert connections(desk.model, desk.layers.points, desk.layers.labels) == listeners
    assert len(gc.get_objects()) < objects + 2000


def best_of(count: int, function: Callable[[], object]) -> float:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_reading_five_hundred_points_is_quick(desk: Desk) -> None:
    desk.layers.show_prompts({PromptKey(obj, obj % 6): point(obj % 40, obj % 50) for obj in range(1, 501)})
    settle()
    assert best_of(20, lambda: desk.layers.prompts) < 0.005
