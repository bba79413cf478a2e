"""Colours of objects, and which are shown."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from napari.utils import DirectLabelColormap

from napari_sam2._napari.colours import ObjectColours


def test_colours_are_those_of_napari() -> None:
    layer, colours = Labels(np.zeros((2, 2), np.uint8)), ObjectColours()
    assert colours.is_plain
    for obj in (1, 7, 60, 70_000):
        assert np.allclose(colours.colour(obj), np.ravel(layer.colormap.map(obj)))


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
