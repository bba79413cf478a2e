"""Layers that go where their image goes, and are drawn anew only where something has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Points

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.alongside import Alongside

PLACED: dict[str, Any] = {
    "scale": (3, 0.5, 2),
    "translate": (4, 5, 6),
    "rotate": 30,
    "shear": (0.1, 0.2, 0.3),
    "affine": np.diag([1, 2, 3, 1]),
    "units": ("um", "nm", "nm"),
}


def beside(image: Image) -> tuple[Alongside, Labels, Points]:
    geometry = SequenceGeometry.of(image, frame_axis=0)
    options = geometry.layer_kwargs(image)
    labels = Labels(np.zeros(geometry.shape, np.uint16), **options)
    points = Points(ndim=3, **options)
    return Alongside(image, geometry, (labels, points)), labels, points


def image(**options: Any) -> Image:
    return Image(np.zeros((3, 8, 9), np.uint8), **options)


@pytest.mark.parametrize("name", PLACED)
def test_layers_follow_each_change(name: str) -> None:
    seen = image(scale=(1, 2, 1), rotate=10, translate=(0, 3, 0))
    alongside, labels, points = beside(seen)
    setattr(seen, name, PLACED[name])
    for layer in (labels, points):
        np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), seen.data_to_world((1, 2, 3)))
        assert layer.units == seen.units
    alongside.close()


@pytest.mark.parametrize("name", PLACED)
def test_what_has_not_changed_is_not_set_again(name: str) -> None:
    seen = image()
    alongside, labels, _points = beside(seen)
    told: list[str] = []
    for each in PLACED:
        getattr(labels.events, each).connect(lambda _event, each=each: told.append(each))
    setattr(seen, name, PLACED[name])
    assert told == [name]
    alongside.place()
    assert told == [name]
    alongside.close()


def test_layers_that_were_let_go_stay() -> None:
    seen = image()
    alongside, labels, _points = beside(seen)
    alongside.close()
    seen.scale = (2, 2, 2)
    assert labels.scale.tolist() == [1, 1, 1]
