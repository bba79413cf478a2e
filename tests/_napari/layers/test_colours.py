"""Colours of objects, and which are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils import DirectLabelColormap
from numpy.typing import NDArray
from skimage.color import rgb2lab

from napari_sam2._napari.layers.colours import PALETTE, ObjectColours

ALL = np.eye(3)
# What eyes without cones for green and for red make of linear light (Machado, Oliveira and Fernandes 2009).
GREENLESS = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
REDLESS = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))


def seen(colours: NDArray[Any], eyes: Any = ALL) -> NDArray[Any]:
    """Return (n, 3) colours in CIE Lab as these eyes see them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear @ np.transpose(eyes), 0, 1)
    back = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(back[None])[0])


def palette(count: int) -> NDArray[Any]:
    colours = ObjectColours()
    return np.array([colours.colour(obj)[:3] for obj in range(1, count + 1)])


def test_colours_are_bright_and_far_from_the_grey_of_an_image() -> None:
    light, a, b = seen(palette(len(PALETTE))).T
    assert light.min() > 55
    assert np.hypot(a, b).min() > 35


@pytest.mark.parametrize("eyes", [ALL, GREENLESS, REDLESS], ids=["three cones", "no green", "no red"])
@pytest.mark.parametrize(("count", "apart"), [(6, 14), (18, 12.5)])
def test_colours_are_told_apart(eyes: Any, count: int, apart: float) -> None:
    colours = seen(palette(count), eyes)
    far = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert far[~np.eye(count, dtype=bool)].min() > apart


def test_an_object_has_the_same_colour_in_every_session() -> None:
    first, second = ObjectColours(), ObjectColours()
    second.colormap([7, 3])
    layer = Labels(np.zeros((2, 2), np.uint16), colormap=first.colormap(()))
    for obj in (1, 7, len(PALETTE), len(PALETTE) + 1, 70_000):
        assert first.colour(obj) == second.colour(obj)
        assert np.allclose(first.colour(obj), np.ravel(layer.colormap.map(obj)), atol=1e-6)
    assert first.colour(len(PALETTE) + 1) == first.colour(1)
    assert np.ravel(layer.colormap.map(0))[3] == 0


def test_hidden_objects_are_transparent_and_others_keep_their_colours() -> None:
    colours = ObjectColours()
    colours.show(2, visible=False)
    colormap = colours.colormap([1, 2, 3])
    assert isinstance(colormap, DirectLabelColormap)
    assert np.ravel(colormap.map(2))[3] == 0
    assert np.allclose(np.ravel(colormap.map(3)), colours.colour(3))
    assert np.ravel(colormap.map(99))[3] == 1
    assert not colours.is_shown(2)
    assert colours.is_shown(1)
    colours.show(2, visible=True)
    assert colours.is_plain


def test_one_object_alone() -> None:
    colours = ObjectColours()
    colours.show(4, visible=False)
    colours.show_only(4)
    assert [colours.is_shown(obj) for obj in (1, 4)] == [False, True]
    assert np.ravel(colours.colormap([1, 4]).map(1))[3] == 0
    colours.show_only(None)
    assert [colours.is_shown(obj) for obj in (1, 4)] == [True, False]


def test_chosen_colours_and_shuffled_ones() -> None:
    colours, layer = ObjectColours(), Labels(np.zeros((2, 2), np.uint8))
    before = colours.colour(5)
    colours.choose(5, (1.0, 0.0, 0.0, 1.0))
    assert colours.colour(5) == (1.0, 0.0, 0.0, 1.0)
    assert not colours.is_plain
    assert not colours.take_base(colours.colormap([5]))
    colours.choose(5, None)
    assert colours.colour(5) == before
    layer.new_colormap(seed=3)
    assert colours.take_base(layer.colormap)
    assert not colours.take_base(layer.colormap)
    assert np.allclose(colours.colour(5), np.ravel(layer.colormap.map(5)))
