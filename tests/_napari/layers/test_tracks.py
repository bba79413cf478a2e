"""Tracks layers lie over the image, whatever its axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Layer, Tracks

from napari_sam2 import tracks
from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.tracks import tracks_layer

PATHS = tracks.Tracks(
    np.array([[1, 0, 3, 4], [1, 1, 4, 4], [2, 2, 5, 5.5], [3, 2, 1, 2]], float), {2: [1], 3: [1]}
)


def shown(image: Image, **where: Any) -> Tracks:
    data, kwargs, kind = tracks_layer(PATHS, SequenceGeometry.of(image, **where), image)
    layer = Layer.create(data, kwargs, kind)
    assert isinstance(layer, Tracks)
    return layer


def test_paths_lie_where_the_image_does() -> None:
    there = {"scale": (4, 0.5, 0.25), "translate": (7, 1, 2), "units": ("s", "um", "um")}
    image = Image(np.zeros((5, 9, 8)), name="cells", axis_labels=("t", "y", "x"), **there)
    layer = shown(image, frame_axis=0)
    np.testing.assert_array_equal(layer.data, PATHS.data)
    assert layer.graph == {2: [1], 3: [1]}
    assert layer.name == "cells tracks"
    np.testing.assert_allclose(layer.scale, image.scale)
    np.testing.assert_allclose(layer.translate, image.translate)
    assert layer.units == image.units


def test_other_axes_stay_where_they_are() -> None:
    image = Image(np.zeros((3, 5, 9, 8)))
    layer = shown(image, frame_axis=1, index={0: 2})
    assert layer.data[3].tolist() == [3, 2, 2, 1, 2]
    along_t = shown(image, frame_axis=0, index={1: 4})
    assert along_t.data[2].tolist() == [2, 2, 4, 5, 5.5]


def test_what_cannot_be_shown_is_told() -> None:
    image = Image(np.zeros((5, 9, 8)), name="cells")
    nothing = tracks.Tracks(np.zeros((0, 4)), {})
    with pytest.raises(ValueError, match="No object has a mask yet"):
        tracks_layer(nothing, SequenceGeometry.of(image, frame_axis=0), image)
    single = Image(np.zeros((9, 8)), name="one")
    with pytest.raises(ValueError, match="has 3 or 4 axes, “one” has 2"):
        tracks_layer(PATHS, SequenceGeometry.of(single), single)
