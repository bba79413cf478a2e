"""What an image layer tells of its axes, and what the network is shown of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source

from napari_sam2._napari.image.network_view import freeze
from napari_sam2._napari.image.source import base_level, displayed_axes, geometry_of, read_axes, why_not


def image(*shape: int, **options: Any) -> Image:
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    return Image(data, **options)


@pytest.mark.parametrize(
    ("labels", "frames", "reason", "other"),
    [
        (("z", "y", "x"), 0, "labels", None),
        (("time", "y", "x"), 0, "labels", None),
        (("y", "x", "z"), 2, "labels", None),
        (("t", "z", "y", "x"), 1, "labels", 0),
        (("t", "c", "y", "x"), 0, "labels", None),
        (("t", "c", "z", "y", "x"), 2, "labels", 0),
    ],
)
def test_axis_labels(labels: tuple[str, ...], frames: int, reason: str, other: int | None) -> None:
    axes = read_axes(image(*range(4, 4 + len(labels)), axis_labels=labels))
    assert axes.frames == frames
    assert reason in axes.reason
    assert axes.other(frames) == other
    assert axes.channels == (labels.index("c") if "c" in labels else None)


def test_without_labels_the_slider_tells() -> None:
    axes = read_axes(image(5, 6, 7))
    assert (axes.names, axes.frames, axes.reason) == (
        ("axis 0", "axis 1", "axis 2"),
        0,
        "the axis with the slider",
    )
    assert read_axes(image(5, 6, 7), displayed=(0, 1)).frames == 2
    assert read_axes(image(3, 5, 6, 7)).frames == 1


@pytest.mark.parametrize(
    ("options", "frames", "channels", "reason"),
    [
        ({"metadata": {"axes": "TCZYX"}}, 2, 1, "metadata"),
        ({"metadata": {"axes": "TCZYX"}, "axis_labels": ("z", "c", "t", "y", "x")}, 0, 1, "labels"),
        ({"metadata": {"axes": "ZTCYX"}}, 0, 2, "metadata"),
        ({"metadata": {"axes": "PCTYX"}}, 2, 1, "metadata"),
        ({"axis_labels": ("-5", "c", "-3", "y", "x")}, 2, 1, "slider"),
    ],
)
def test_metadata_choose_frames_and_channels(
    options: dict[str, Any], frames: int, channels: int, reason: str
) -> None:
    layer = image(3, 2, 4, 6, 7, **options)
    axes = read_axes(layer)
    assert (axes.frames, axes.channels) == (frames, channels)
    assert reason in axes.reason
    assert not why_not(layer, axes)
    assert geometry_of(layer, axes, axes.frames).num_frames == layer.data.shape[frames]


def test_a_stack_that_a_program_wrote_as_channels_is_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), imagej=True)
    with layer_source(path=str(path)):
        axes = read_axes(image(5, 6, 7))
    assert (axes.frames, axes.channels, axes.names) == (0, None, ("axis 0", "y", "x"))
    assert read_axes(image(5, 6, 7, metadata={"axes": "CYX"})).channels == 0
    tifffile.imwrite(path, np.zeros((4, 5, 6, 7), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    with layer_source(path=str(path)):
        axes = read_axes(image(4, 5, 6, 7))
    assert (axes.frames, axes.channels, axes.reason) == (0, 1, "named by the image's file")


def test_rows_and_columns_are_never_channels() -> None:
    layer = image(4, 5, 6, axis_labels=("-3", "-2", "c"))
    axes = read_axes(layer, displayed=(1, 2))
    geometry = geometry_of(layer, axes, axes.frames)
    assert (axes.channels, axes.frames, geometry.frame_shape) == (2, None, (4, 5))
    assert read_axes(image(5, 6, axis_labels=("c", "x"))).channels is None


def test_axes_of_length_one_do_not_count() -> None:
    layer = image(1, 3, 5, 6, 7)
    axes = read_axes(layer)
    assert not why_not(layer, axes)
    assert (axes.candidates, axes.single, axes.frames, axes.other(2)) == ((1, 2), (0,), 2, 1)
    geometry = geometry_of(layer, axes, 1, position=4)
    assert (dict(geometry.index), geometry.num_frames) == ({2: 4, 0: 0}, 3)
    layer = image(6, 7, 1, 1, 1, axis_labels=("y", "x", "-3", "-2", "-1"))
    axes = read_axes(layer)
    assert geometry_of(layer, axes, axes.frames).frame_shape == (6, 7)


def test_what_the_user_may_call_an_axis() -> None:
    three = read_axes(image(5, 6, 7))
    assert (three.letters(0), three.letters(None), three.called(0, "t").names[0]) == (("z", "t"), (), "t")
    assert three.called(0, "t").called(0, "z").letters(0) == ("z", "t")
    four = read_axes(image(4, 5, 6, 7))
    assert four.called(1, "t").names[:2] == ("z", "t")
    assert four.called(1, "t").called(0, "t").names[:2] == ("t", "z")
    assert read_axes(image(4, 5, 6, 7, axis_labels=("t", "-3", "y", "x"))).letters(1) == ()
    stage = read_axes(image(4, 5, 6, 7, axis_labels=("stage", "-3", "y", "x")))
    assert stage.called(1, "t").names[:2] == ("stage", "t")
    assert stage.called(0, "t").called(1, "t").names[:2] == ("z", "t")


def test_units_tell_time() -> None:
    axes = read_axes(image(5, 6, 7, units=("second", "micrometer", "micrometer")))
    assert axes.names[0] == "t"
    assert axes.frames == 0


def test_single_images_and_single_slices() -> None:
    assert read_axes(image(6, 7)).frames is None
    assert read_axes(image(1, 6, 7)).frames == 0
    assert read_axes(image(1, 5, 6, 7)).frames == 1


def test_geometry() -> None:
    layer = image(3, 2, 5, 6, 7, axis_labels=("t", "c", "z", "y", "x"))
    axes = read_axes(layer)
    geometry = geometry_of(layer, axes, axes.frames, position=2)
    assert geometry.shape == (3, 1, 5, 6, 7)
    assert (geometry.frame_axis, dict(geometry.index), geometry.num_frames) == (2, {0: 2, 1: 0}, 5)


def test_multiscale_and_dask_are_read_lazily() -> None:
    fine = da.zeros((4, 64, 64), chunks=(1, 64, 64), dtype=np.uint16)
    layer = Image([fine, fine[:, ::2, ::2]], multiscale=True, contrast_limits=(0, 1))
    assert base_level(layer) is layer.data[0]
    assert not why_not(layer)
    assert freeze(layer, read_axes(layer), 0, [layer]).data.shape == (4, 64, 64)


def test_what_cannot_be_used_says_why() -> None:
    assert not why_not(image(4, 6, 7))
    assert "convert" in why_not(Image(np.zeros((4, 6, 7), np.complex64).real > 1, contrast_limits=(0, 1)))
    assert "axes" in why_not(image(2, 2, 2, 2, 6, 7))


def test_three_axes_without_channels_are_one_too_many() -> None:
    advice = why_not(image(2, 3, 4, 6, 7))
    assert "3 axes beside rows and columns (axis 0, axis 1, axis 2)" in advice
    assert "take a part" in advice
    assert "(t, z, stage)" in why_not(image(2, 3, 4, 6, 7, axis_labels=("t", "z", "stage", "y", "x")))


def test_which_axes_are_on_the_canvas() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 6, 7)))
    assert displayed_axes(viewer, layer) == (1, 2)
    viewer.dims.order = (2, 0, 1)
    assert displayed_axes(viewer, layer) == (0, 1)
    viewer.dims.ndisplay = 3
    assert displayed_axes(viewer, layer) == ()
