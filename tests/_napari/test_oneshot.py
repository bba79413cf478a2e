"""Prompts of layers in, a Labels layer out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer, Points, Shapes
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QLabel

from napari_sam2._napari import oneshot
from napari_sam2._napari.image import network_view
from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.outline import Outline
from napari_sam2._napari.layers.seeds import LabelSeeds
from napari_sam2._napari.layers.shapes import mask_of
from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.oneshot import (
    Request,
    propagate_prompts,
    propagate_widget,
    read_layers,
    run,
)
from napari_sam2._napari.oneshot_fields import axis_choices
from napari_sam2._napari.settings import Settings
from napari_sam2.frame_result import PlacedMask
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests._napari.dock import pause, until
from tests.fakes import SHAPE, FakeModel, plain_frames

COUNT = 6


def image(data: Any = None, **options: Any) -> Image:
    data = plain_frames(COUNT) + np.uint8(60) if data is None else data
    said = {"name": "cells", "contrast_limits": (0, 255), "axis_labels": ("t", "y", "x")}
    return Image(data, **{**said, **options})


def placed(result: Any) -> Labels:
    data, kwargs, kind = result
    assert kind == "labels"
    return Labels(data, **kwargs)


def objects(labels: Labels) -> list[int]:
    return [int(value) for value in np.unique(labels.data) if value]


def rectangle(frame: int, y0: float, x0: float, y1: float, x1: float) -> list[list[float]]:
    return [[frame, y0, x0], [frame, y0, x1], [frame, y1, x1], [frame, y1, x0]]


def said(request: Request) -> dict[PromptKey, FramePrompts]:
    assert list(request.prompts.read()) == list(range(request.prompts.steps))
    return dict(request.prompts.items())


def test_a_point_is_tracked_through_all_frames(fake_model: FakeModel) -> None:
    layer = Points([[2, 10, 8]])
    result = placed(propagate_prompts(image(), points=layer, model=fake_model.as_model()))
    assert result.data.shape == (COUNT, *SHAPE)
    assert result.data.dtype == np.uint16
    assert (result.data == 1).any(axis=(1, 2)).all()
    assert result.data[2, 10, 8] == 1
    assert result.name == "cells tracked"


def test_the_labels_lie_where_the_image_does(fake_model: FakeModel) -> None:
    there = {"scale": (4, 0.5, 0.5), "translate": (7, 1, 2), "units": ("s", "um", "um")}
    seen = image(**there)
    layer = Points([seen.data_to_world((2, 10, 8))])
    result = placed(propagate_prompts(seen, points=layer, model=fake_model.as_model()))
    np.testing.assert_allclose(result.scale, seen.scale)
    np.testing.assert_allclose(result.translate, seen.translate)
    assert result.units == seen.units
    assert result.axis_labels == seen.axis_labels
    assert result.data[2, 10, 8] == 1


def test_each_kind_of_layer_gives_objects_of_its_own() -> None:
    mask = np.zeros((COUNT, *SHAPE), np.uint8)
    mask[1, 2:5, 3:6] = 7
    layers = Labels(mask), Points([[0, 10, 8], [3, 4, 4]]), Shapes([rectangle(2, 2, 3, 12, 15)])
    found = said(read_layers(image(), layers))
    assert list(found) == [PromptKey(7, 1), PromptKey(8, 0), PromptKey(9, 3), PromptKey(10, 2)]
    assert found[PromptKey(7, 1)] == FramePrompts(mask=mask[1] > 0)
    assert found[PromptKey(8, 0)] == FramePrompts([(10, 8)], [True])
    assert found[PromptKey(10, 2)].box == (2, 3, 12, 15)


def test_equal_numbers_are_one_object() -> None:
    points = Points([[2, 10, 8], [2, 4, 4]], features={"object": [3, 3], "positive": [True, False]})
    boxes = Shapes([rectangle(2, 2, 3, 12, 15)], features={"object": [3]})
    found = said(read_layers(image(), (None, points, boxes)))
    assert found == {
        PromptKey(3, 2): FramePrompts([(10, 8), (4, 4)], [True, False], box=(2, 3, 12, 15)),
    }


@pytest.mark.parametrize("column", [[0.5, np.nan], ["bud", "mother"], ["cell", "cell"]])
def test_columns_that_tell_nothing_join_no_object(column: list[object]) -> None:
    mask = np.zeros((COUNT, *SHAPE), np.uint8)
    mask[2, 2:5, 3:6] = 1
    points = Points([[2, 10, 8], [2, 4, 4]], features={"id": column})
    found = said(read_layers(image(), (Labels(mask), points)))
    assert list(found) == [PromptKey(1, 2), PromptKey(2, 2), PromptKey(3, 2)]


def test_whole_numbers_are_ids_also_as_floats() -> None:
    points = Points([[2, 10, 8], [2, 4, 4]], features={"object": [3.0, 3.0]})
    boxes = Shapes([rectangle(2, 2, 3, 12, 15)], features={"object": [3]})
    assert list(said(read_layers(image(), (None, points, boxes)))) == [PromptKey(3, 2)]


def test_layers_without_frames_count_on_the_frame_that_is_said(fake_model: FakeModel) -> None:
    layer = Points([[10, 8]])
    assert list(said(read_layers(image(), (layer,), frame=4))) == [PromptKey(1, 4)]


def test_the_direction_counts(fake_model: FakeModel) -> None:
    layer = Points([[2, 10, 8]])
    options: dict[str, Any] = {"points": layer, "model": fake_model.as_model()}
    forward = placed(propagate_prompts(image(), direction="forward", **options))
    assert np.flatnonzero(forward.data.any(axis=(1, 2))).tolist() == [2, 3, 4, 5]


def test_other_axes_are_fixed(fake_model: FakeModel) -> None:
    data = np.stack([plain_frames(COUNT)] * 2) + np.uint8(60)
    seen = Image(data, contrast_limits=(0, 255), axis_labels=("t", "z", "y", "x"))
    layer = Points([[1, 2, 10, 8]])
    model = fake_model.as_model()
    result = placed(propagate_prompts(seen, points=layer, index={0: 1}, model=model))
    assert result.data.shape == data.shape
    assert not result.data[0].any()
    assert result.data[1].any(axis=(1, 2)).all()
    along_t = placed(propagate_prompts(seen, points=layer, axis=0, index={1: 2}, model=model))
    assert along_t.data.any(axis=(2, 3)).tolist() == [[False, False, True, False, False, False]] * 2


def _two_channels() -> Image:
    """Return an image whose second channel alone is bright."""
    data = np.stack([np.zeros_like(plain_frames(COUNT)), plain_frames(COUNT) + np.uint8(60)])
    return Image(data, name="cells", contrast_limits=(0, 255), axis_labels=("c", "z", "y", "x"))


@pytest.mark.parametrize("channel", [0, 1])
def test_a_channel_is_seen(channel: int) -> None:
    request = read_layers(_two_channels(), (Points([[0, 2, 10, 8]]),), index={0: channel})
    assert request.view.index == {0: channel}


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there_is_told(channel: int) -> None:
    with pytest.raises(ValueError, match=f"“cells” has no channel {channel}: its channels are 0 to 1"):
        read_layers(_two_channels(), (Points([[0, 2, 10, 8]]),), index={0: channel})


@pytest.mark.gui
def test_the_button_takes_the_channel_that_is_shown(
    open_viewer: Callable[[], Any], fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def noted(layer: Image, axes: Any, channel: int, layers: Any) -> Any:
        seen.append(channel)
        return freeze(layer, axes, channel, layers)

    freeze = network_view.freeze
    monkeypatch.setattr(oneshot, "freeze", noted)
    monkeypatch.setattr(oneshot, "load", lambda choice: fake_model.as_model())
    viewer = open_viewer()
    viewer.add_layer(_two_channels())
    points = viewer.add_points([[0, 2, 10, 8]], name="clicks")
    widget = propagate_widget()
    viewer.window.add_dock_widget(widget, name="Propagate prompts")
    widget.points.value, widget.boxes.value, widget.mask.value = points, None, None
    for channel in (1, 0):
        viewer.dims.set_point(0, channel)
        worker: Any = widget()  # type: ignore[call-arg]  # the widget fills them in
        until(lambda worker=worker: not worker.is_running)
    assert seen == [1, 0]


def test_large_ids_have_wide_labels(fake_model: FakeModel) -> None:
    layer = Points([[2, 10, 8]], features={"object": [70000]})
    result = placed(propagate_prompts(image(), points=layer, model=fake_model.as_model()))
    assert objects(result) == [70000]


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ((), {}, "No prompt lies in “cells”: choose a layer"),
        ((Points(np.zeros((0, 3))),), {}, "No prompt lies in"),
        ((Points([[2, 900, 900]]),), {}, "No prompt lies in"),
        ((Shapes([[[2, 1, 1], [2, 9, 9]]], shape_type="line"),), {}, "No prompt lies in"),
        ((Points([[2, 10, 8]]),), {"axis": 3}, "has no axis 3: its axes are 0 to 2"),
        ((Points([[2, 10, 8]]),), {"axis": 2}, "cannot lie along axis 2: choose 0"),
    ],
)
def test_what_cannot_be_tracked_is_told(layers: tuple[Layer, ...], options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_layers(image(), layers, **options)


def test_an_image_without_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="convert it to integers or floats"):
        read_layers(Image(np.zeros((2, 9, 9), bool)), (Points([[0, 2, 2]]),))


@pytest.mark.gui
def test_the_button_adds_a_layer(
    open_viewer: Callable[[], Any], fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[ModelChoice] = []

    def load(choice: ModelChoice) -> Any:
        chosen.append(choice)
        return fake_model.as_model()

    monkeypatch.setattr(oneshot, "load", load)
    monkeypatch.setattr(oneshot, "read_settings", lambda: Settings(device="cpu", precision="float32"))
    viewer = open_viewer()
    viewer.add_layer(image(scale=(1, 0.5, 0.5)))
    points = viewer.add_points([[5.0, 4.0]], name="clicks")
    widget = propagate_widget()
    viewer.window.add_dock_widget(widget, name="Propagate prompts")
    viewer.dims.set_point(0, 3)
    assert widget.image.value is viewer.layers["cells"]
    assert [name for name, _ in axis_choices(widget.axis)] == ["as the image says", "t (axis 0)"]
    fields = [each for each in widget if each.name not in {"viewer", "call_button"}]
    pause(50)
    assert len({each.native.mapTo(widget.native, QPoint(0, 0)).x() for each in fields}) == 1, "in a column"
    assert all(each.tooltip for each in fields)
    assert all(each.width() >= each.sizeHint().width() for each in widget.native.findChildren(QLabel))
    widget.points.value = points
    widget.boxes.value = widget.mask.value = None
    worker: Any = widget()  # type: ignore[call-arg]  # the widget fills them in
    until(lambda: "cells tracked" in viewer.layers)
    until(lambda: not worker.is_running)
    labels = viewer.layers["cells tracked"]
    assert labels.data[3, 10, 8] == 1
    assert labels.data.any(axis=(1, 2)).all()
    np.testing.assert_allclose(labels.scale, (1, 0.5, 0.5))
    assert chosen == [ModelChoice("nano", "cpu", "float32")], "as the Preferences say"


@pytest.mark.gui
def test_shapes_are_listed_as_they_come_and_go_less_the_preview(open_viewer: Callable[[], Any]) -> None:
    viewer = open_viewer()
    cells = viewer.add_layer(image())
    widget = propagate_widget()
    viewer.window.add_dock_widget(widget, name="Propagate prompts")
    assert list(widget.boxes.choices) == [None]
    mask = PlacedMask(Box(2, 2, 6, 6), np.ones((4, 4), bool))
    Outline(viewer, cells).show(2, mask, SequenceGeometry.of(cells, frame_axis=0), (1, 0, 0, 1))
    assert "cells preview" in viewer.layers
    boxes = viewer.add_shapes(ndim=3, name="boxes")
    assert list(widget.boxes.choices) == [None, boxes]
    viewer.layers.remove(boxes)
    assert list(widget.boxes.choices) == [None]


def test_axes_are_listed_without_an_image(qapp: object) -> None:
    assert axis_choices(None) == [("as the image says", -1)]
    assert len(propagate_widget().axis.choices) == 1


def test_masks_are_read_by_whoever_tracks(fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    look = LabelSeeds.look

    def looking(masks: LabelSeeds, frame: int) -> tuple[int, ...]:
        looked.append(frame)
        return look(masks, frame)

    monkeypatch.setattr(LabelSeeds, "look", looking)
    mask = np.zeros((COUNT, *SHAPE), np.uint8)
    mask[1, 2:5, 3:6] = 7
    request = read_layers(image(), (Labels(mask),))
    assert not looked, "that would hold the GUI thread up"
    steps = list(run(request, fake_model.as_model(), "both"))
    assert looked == list(range(COUNT)), "each frame once"
    assert len(steps) <= request.steps


def test_outlines_are_drawn_by_whoever_tracks(fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def drawing(yx: Any, kind: str, shape: tuple[int, int]) -> Any:
        drawn.append(kind)
        return mask_of(yx, kind, shape)

    monkeypatch.setattr("napari_sam2._napari.layers.seeds.mask_of", drawing)
    corners = rectangle(2, 2, 3, 12, 15)
    outlines = Shapes([corners, corners, [corners[0], corners[2]]], shape_type=["polygon", "ellipse", "line"])
    request = read_layers(image(), (outlines,))
    assert not drawn, "that would hold the GUI thread up"
    outlines.data = []
    model = fake_model.as_model()
    steps = run(request, model, "both")
    assert [next(steps), len(drawn)] == [0, 1]
    assert [next(steps), len(drawn)] == [1, 2]
    assert len(list(steps)) + 2 <= request.steps
    assert drawn == ["polygon", "ellipse"]


def test_outlines_of_an_object_are_one_mask() -> None:
    corners = [rectangle(2, 2, 3, 6, 8), rectangle(2, 8, 3, 12, 8), rectangle(0, 2, 3, 6, 8)]
    layer = Shapes(corners, shape_type="polygon", features={"object": [4, 4, 4]})
    request = read_layers(image(), (layer,))
    assert list(request.prompts.read()) == [0, 1]
    found = dict(request.prompts.items())
    assert list(found) == [PromptKey(4, 0), PromptKey(4, 2)]
    mask = found[PromptKey(4, 2)].mask
    assert mask is not None
    assert mask[4, 5]
    assert mask[10, 5]
    assert not mask[7, 5]


def test_windows_are_square_in_the_world(fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    views: list[Any] = []
    begin = Session.__init__

    def noted(session: Session, *data: Any, **options: Any) -> None:
        views.append(options["view"])
        begin(session, *data, **options)

    monkeypatch.setattr(Session, "__init__", noted)
    flat = image(scale=(5, 3, 1.5))
    points = Points([[2, 8, 10]], scale=(5, 3, 1.5))
    propagate_prompts(flat, points=points, model=fake_model.as_model())
    assert [view.aspect for view in views] == [2]


def test_of_many_outlines_bits_are_kept() -> None:
    size, count = 512, 16
    layer = Shapes([rectangle(0, 5, i, 300, i + 200) for i in range(count)], shape_type="polygon")
    request = read_layers(image(data=np.zeros((COUNT, size, size), np.uint8)), (layer,))
    tracemalloc.start()
    try:
        read = list(request.prompts.read())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read) == count
    assert kept < count * size * size / 4


def test_outlines_elsewhere_are_told_when_they_were_drawn(fake_model: FakeModel) -> None:
    layer = Shapes([rectangle(2, 900, 900, 950, 950)], shape_type="polygon")
    request = read_layers(image(), (layer,))
    with pytest.raises(ValueError, match="No prompt lies in “cells”: choose a layer"):
        list(run(request, fake_model.as_model(), "both"))


def test_of_many_masks_bits_are_kept() -> None:
    size, count = 512, 20
    mask = np.zeros((COUNT, size, size), np.uint8)
    for obj in range(count):
        mask[:, 20 * obj : 20 * obj + 15, 5:60] = obj + 1
    request = read_layers(image(data=np.zeros((COUNT, size, size), np.uint8)), (Labels(mask),))
    tracemalloc.start()
    try:
        assert len(list(request.prompts.read())) == COUNT
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < COUNT * count * size * size / 10
    found = dict(request.prompts.items())
    assert len(found) == COUNT * count
    assert found[PromptKey(3, 5)] == FramePrompts(mask=mask[5] == 3)


def test_masks_of_nothing_are_told_when_they_were_read(fake_model: FakeModel) -> None:
    request = read_layers(image(), (Labels(np.zeros((COUNT, *SHAPE), np.uint8)),))
    with pytest.raises(ValueError, match="No prompt lies in “cells”: choose a layer"):
        list(run(request, fake_model.as_model(), "both"))
