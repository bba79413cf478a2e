"""Keys of the plugin's layers do not hide those of napari."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts

from napari_sam2._napari.keys import KEYS, MODIFIERS, Command, Key, bind_keys, key_of, unbind_keys

OURS_ON_PURPOSE = {Command.UNDO, Command.REDO}  # napari's own history of the Labels layer is not used


def layers() -> list[Layer]:
    return [Points(ndim=3), Shapes(ndim=3), Labels(np.zeros((2, 3, 4), np.uint8))]


def napari_keys() -> set[str]:
    """All keys that napari gives a meaning by default, on any layer or in the viewer."""
    keys = {str(key) for keys in default_shortcuts.values() for key in keys}
    for provider in (Points, Shapes, Labels, Layer, ViewerModel):
        keys |= {str(key) for key in provider.class_keymap}
    return keys


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.command.value)
def test_keys_are_clear_of_napari(key: Key) -> None:
    if key.command not in OURS_ON_PURPOSE:
        assert str(coerce_keybinding(key.binding)) not in napari_keys()


def test_undo_and_redo_hide_those_of_labels() -> None:
    assert {str(coerce_keybinding(key_of(each).binding)) for each in OURS_ON_PURPOSE} <= napari_keys()


def test_each_command_has_one_key_and_words() -> None:
    assert [key.command for key in KEYS] == list(Command)
    assert len({str(coerce_keybinding(key.binding)) for key in KEYS}) == len(KEYS)
    assert all(key.description[0].isupper() for key in KEYS)
    assert key_of(Command.REDO).label == "Ctrl+Shift+Z"
    assert key_of(Command.ENDS_HERE).label == "."
    assert set(MODIFIERS) == {"Shift", "Control"}


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: type(layer).__name__)
def test_keys_are_bound_on_the_layer_alone_and_taken_back(layer: Layer) -> None:
    asked: list[Command] = []
    bind_keys(layer, asked.append)
    for key in KEYS:
        layer.keymap[coerce_keybinding(key.binding)](layer)
    assert asked == list(Command)
    unbind_keys(layer)
    assert not layer.keymap
    assert not type(layer)(**({"ndim": 3} if not isinstance(layer, Labels) else {"data": layer.data})).keymap
