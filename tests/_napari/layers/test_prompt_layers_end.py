"""Prompt layers that are deleted, closed, or used for long."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2._napari.state import Tool
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey
from tests._napari.hand import settle
from tests._napari.prompting import SHAPE, Desk, point
from tests.counting import calls_in


@pytest.fixture
def desk(model: ViewerModel) -> Iterator[Desk]:
    desk = Desk(model)
    yield desk
    desk.layers.close(remove_layers=True)


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


def test_a_button_that_was_down_at_the_end_tells_nothing(model: ViewerModel) -> None:
    layers, heard = Desk(model).layers, list[int]()
    layers._gestures.released.connect(lambda: heard.append(1))
    press: Any = layers._gestures._on_press(
        layers.shapes, SimpleNamespace(type="mouse_press", pos=(3, 4), modifiers=())
    )
    next(press)
    layers.close(remove_layers=True)
    press.close()  # as it is when napari lets it go with the canvas; who listened may have gone before
    assert heard == []


def test_two_viewers_do_not_meet(qapp: object) -> None:
    desks = [Desk(ViewerModel()), Desk(ViewerModel(), (4, 30, 20))]
    desks[0].layers.points.add([2, 1, 1])
    desks[1].layers.points.add([3, 5, 5])
    assert [set(desk.last()) for desk in desks] == [{PromptKey(1, 2)}, {PromptKey(1, 3)}]
    desks[0].layers.close(remove_layers=True)
    desks[1].layers.points.add([1, 5, 5])
    assert set(desks[1].last()) == {PromptKey(1, 3), PromptKey(1, 1)}
    desks[1].layers.close(remove_layers=True)


def objects_alive() -> int:
    """Count objects, less dead references: pandas clears those from its lists now and then."""
    gc.collect()
    return sum(not (isinstance(each, weakref.ref) and each() is None) for each in gc.get_objects())


def test_clicks_leave_nothing_behind(desk: Desk) -> None:
    clicks = 40

    def click(turn: int) -> None:
        desk.layers.points.add([2, turn % 40, turn % 50])
        settle(2)
        desk.layers.points.remove([0])
        settle(2)

    for turn in range(30):
        click(turn)
    listeners = connections(desk.model, desk.layers.points, desk.layers.labels)
    grown = []
    for _ in range(3):
        del desk.told[:-1]
        objects = objects_alive()
        for turn in range(clicks):
            click(turn)
        assert len(desk.told) == 2 * clicks + 1
        del desk.told[:-1]
        grown.append(objects_alive() - objects)
    assert connections(desk.model, desk.layers.points, desk.layers.labels) == listeners
    # What clicks leave behind grows each time; caches of others fill up once.
    assert min(grown) < clicks / 2


def test_reading_five_hundred_points_is_quick(desk: Desk) -> None:
    desk.layers.show_prompts({PromptKey(obj, obj % 6): point(obj % 40, obj % 50) for obj in range(1, 501)})
    settle()
    # They are 45 and 64 for each; one more walk over all points would be many more.
    assert calls_in(lambda: desk.layers.prompts) < 500 * 60
    assert calls_in(desk.layers.flush) < 500 * 85
