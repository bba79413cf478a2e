"""Between the data axes of layers and (frame, y, x)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam2._napari.image.geometry import SequenceGeometry, spatial_shape


@st.composite
def geometries(draw: st.DrawFn) -> SequenceGeometry:
    ndim = draw(st.integers(2, 5))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(ndim))
    axes = draw(st.permutations(range(ndim)))
    rows, columns = sorted(axes[:2])
    frame = axes[2] if ndim > 2 and draw(st.booleans()) else None
    rest = [axis for axis in axes[2:] if axis != frame]
    index = {axis: draw(st.integers(0, shape[axis] - 1)) for axis in rest}
    return SequenceGeometry(shape, rows, columns, frame, index)


@given(geometries(), st.data())
def test_places_survive_the_way_to_the_layer_and_back(
    geometry: SequenceGeometry, data: st.DataObject
) -> None:
    frame = data.draw(st.integers(0, geometry.num_frames - 1))
    height, width = geometry.frame_shape
    y, x = data.draw(st.floats(-0.5, height - 0.5)), data.draw(st.floats(-0.5, width - 0.5))
    coords = geometry.to_layer(frame, y, x)
    assert coords.shape == (geometry.ndim,)
    assert geometry.to_place(coords) == (frame, y, x)
    assert geometry.to_places(coords[None]).inside.all()


@given(geometries())
def test_frames_are_views_of_the_array(geometry: SequenceGeometry) -> None:
    array = np.zeros(geometry.shape, np.uint16)
    frames = geometry.frames_of(array)
    assert frames.shape == (geometry.num_frames, *geometry.frame_shape)
    last = geometry.num_frames - 1, geometry.frame_shape[0] - 1, 0
    frames[last] = 7
    assert array[tuple(geometry.to_layer(*last).astype(int))] == 7
    assert array.sum() == 7


@given(geometries(), st.data())
def test_other_positions_are_outside(geometry: SequenceGeometry, data: st.DataObject) -> None:
    coords = geometry.to_layer(0, 0.0, 0.0)
    for axis in geometry.index:
        other = coords.copy()
        other[axis] += data.draw(st.sampled_from([-1, 1]))
        assert not geometry.to_places(other[None]).inside.any()
        assert not geometry.same_index(other[None]).any()


def test_points_beside_the_frames_are_outside() -> None:
    geometry = SequenceGeometry((5, 10, 12), 1, 2, 0)
    coords = [(2, 3, 4), (5, 3, 4), (-1, 3, 4), (2, -0.6, 4), (2, 9.4, 11.4), (2, 3, 11.6), (2, np.nan, 3)]
    assert geometry.to_places(coords).inside.tolist() == [True, False, False, False, True, False, False]


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((7, 8, 9), {"frame_axis": 0}, ((7, 8, 9), 0, 1, 2, {})),
        ((7, 8, 9), {"frame_axis": 2}, ((7, 8, 9), 2, 0, 1, {})),
        ((8, 9), {}, ((8, 9), None, 0, 1, {})),
        ((4, 7, 8, 9), {"frame_axis": 1, "index": {0: 3}}, ((4, 7, 8, 9), 1, 2, 3, {0: 3})),
        ((1, 7, 8, 9), {"frame_axis": 1}, ((1, 7, 8, 9), 1, 2, 3, {0: 0})),
        ((7, 3, 8, 9), {"frame_axis": 0, "channel_axis": 1}, ((7, 1, 8, 9), 0, 2, 3, {1: 0})),
    ],
)
def test_axes_of_an_image(shape: tuple[int, ...], options: dict[str, Any], expected: tuple[Any, ...]) -> None:
    geometry = SequenceGeometry.of(Image(np.zeros(shape, np.uint8)), **options)
    found = geometry.shape, geometry.frame_axis, geometry.y_axis, geometry.x_axis, dict(geometry.index)
    assert found == expected


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((4, 7, 8, 9), {"frame_axis": 1}, "axis 0 of length 4"),
        ((7, 8, 9), {"frame_axis": 3}, "no axis 3"),
        ((7, 8, 9), {"frame_axis": 0, "index": {1: 0}}, "leaves no rows"),
        ((4, 7, 8, 9), {"frame_axis": 1, "index": {0: 4}}, "no position 4"),
    ],
)
def test_axes_that_do_not_fit_are_refused(
    shape: tuple[int, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SequenceGeometry.of(Image(np.zeros(shape, np.uint8)), **options)


def test_an_axis_is_named_once() -> None:
    with pytest.raises(ValueError, match="name each axis once"):
        SequenceGeometry((5, 6, 7), 1, 1, 0)
    with pytest.raises(ValueError, match="length 1"):
        SequenceGeometry((5, 2, 6, 7), 2, 3, 0, {1: 0}, channel_axis=1)


def test_colour_and_lower_levels_are_no_axes() -> None:
    assert spatial_shape(Image(np.zeros((5, 8, 9, 3), np.uint8), rgb=True)) == (5, 8, 9)
    levels = [np.zeros((5, 16, 18), np.uint8), np.zeros((5, 8, 9), np.uint8)]
    assert spatial_shape(Image(levels, multiscale=True)) == (5, 16, 18)


@pytest.mark.parametrize(
    "transform",
    [
        {"scale": (4, 0.5, 0.25), "translate": (10, -3, 7)},
        {"rotate": 30, "scale": (2, 1, 1), "translate": (1, 2, 3)},
        {"shear": (0.1, 0.2, 0.3), "scale": (3, 1, 1)},
        {"affine": [[1, 0, 0, 5], [0, 0, 2, 0], [0, -2, 0, 1], [0, 0, 0, 1]], "scale": (2, 3, 4)},
        {"units": ("um", "nm", "nm"), "axis_labels": ("z", "y", "x")},
    ],
)
def test_layers_lie_where_the_image_lies(transform: dict[str, Any]) -> None:
    image = Image(np.zeros((5, 8, 9), np.uint8), **transform)
    geometry = SequenceGeometry.of(image, frame_axis=0)
    layer = Labels(np.zeros(geometry.shape, np.uint8), **geometry.layer_kwargs(image))
    for corner in [(0, 0, 0), (4, 7, 8), (2, -0.5, 3)]:
        assert np.allclose(layer.data_to_world(corner), image.data_to_world(corner))
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)


@pytest.mark.parametrize(
    "transform", [{}, {"rotate": 25}, {"scale": (3, 2, 1, 1), "translate": (1, 5, 0, 0)}]
)
def test_one_label_covers_all_channels(transform: dict[str, Any]) -> None:
    image = Image(np.zeros((5, 3, 8, 9), np.uint8), **transform)
    geometry = SequenceGeometry.of(image, frame_axis=0, channel_axis=1)
    layer = Labels(np.zeros(geometry.shape, np.uint8), **geometry.layer_kwargs(image))
    for channel in range(3):
        seen = layer.world_to_data(image.data_to_world((2, channel, 4, 5)))
        assert geometry.to_place(seen) == pytest.approx((2, 4, 5))
        assert geometry.to_places(seen[None]).inside.all()
    for beyond in (-1, 3):
        assert not geometry.to_places(
            [layer.world_to_data(image.data_to_world((2, beyond, 4, 5)))]
        ).inside.any()


def test_sliders(model: ViewerModel) -> None:
    model.add_image(np.zeros((3, 4, 6, 8, 9), np.uint8))  # makes the world five-dimensional
    image = model.add_image(np.zeros((4, 6, 8, 9), np.uint8), scale=(1, 2.5, 1, 1))
    geometry = SequenceGeometry.of(image, frame_axis=1, index={0: 1})
    model.dims.set_point(2, 7.5)
    model.dims.set_point(1, 3)
    assert geometry.frame_of(model.dims, image) == 3
    assert geometry.index_of(model.dims, image) == {0: 3}
    assert geometry.at({0: 3}).index == {0: 3}
    assert geometry.frames_shown(model)
    assert not geometry.frame_axis_displayed(model)
    model.dims.order = (0, 1, 3, 2, 4)
    assert geometry.frame_axis_displayed(model)
    assert not geometry.frames_shown(model)
    model.dims.order = (0, 1, 2, 4, 3)
    assert geometry.frames_shown(model)
    model.dims.ndisplay = 3
    assert geometry.frame_axis_displayed(model)


def test_which_places_lie_with_the_first() -> None:
    geometry = SequenceGeometry((3, 4, 30, 20), 2, 3, 1, {0: 1})
    places = np.array([[1, 2, 5, 6], [1, 2.4, 25, 0], [1, 3, 5, 6], [0, 2, 5, 6]])
    assert geometry.with_first(places).tolist() == [True, True, False, False]
