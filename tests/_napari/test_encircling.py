"""Napari's "encircle and fill", which a right click begins and which goes on without a button."""

from __future__ import annotations

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2._napari.keys import Command
from napari_sam2._napari.state import Tool
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from tests._napari.hand import CONTROL, RIGHT, Hand
from tests._napari.stage import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(stage: Desk) -> napari.Viewer:
    return stage.viewer


@pytest.fixture
def begun(desk: Desk, hand: Hand) -> Desk:
    desk.show_mask(1, Box(20, 20, 24, 24))
    desk.layers.set_tool(Tool.BRUSH)
    desk.layers.labels.brush_size = 4
    hand.settle()
    hand.click(desk.at(10, 10), button=RIGHT)
    if desk.strokes:
        pytest.skip("this napari has no such stroke")
    assert desk.layers.labels.data[2, 10, 10] == 1
    return desk


@pytest.mark.parametrize("way", ["Escape", "undo", "tool", "brush", "layer", "slider"])
def test_it_is_taken_back_where_it_is_given_up(begun: Desk, hand: Hand, way: str) -> None:
    commands: list[Command] = []
    begun.layers.commanded.connect(commands.append)
    if way == "Escape":
        hand.key(Qt.Key.Key_Escape)
    elif way == "undo":
        hand.key(Qt.Key.Key_Z, CONTROL)
    elif way == "layer":
        begun.viewer.layers.selection.active = begun.image
    else:
        if way == "slider":
            begun.viewer.dims.set_current_step(0, 3)
            hand.settle()
        begun.layers.set_tool(Tool.ERASER if way == "brush" else Tool.POINT)
    hand.settle()
    assert not begun.layers.labels.data[2, 10, 10]
    assert np.count_nonzero(begun.layers.labels.data) == 16
    assert begun.strokes == []
    assert commands == []
    begun.show_mask(7, Box(30, 30, 35, 35))
    assert (begun.layers.labels.data[2] == 7).any(), "nothing is held back any more"


def test_only_the_frame_that_is_painted_waits_for_its_end(begun: Desk, hand: Hand) -> None:
    box = Box(30, 30, 35, 35)
    values = np.full(box.shape, 7, np.uint16)
    begun.layers.write([LabelChange(frame, box, values) for frame in (2, 3)])
    hand.settle()
    assert [bool((begun.layers.labels.data[frame] == 7).any()) for frame in (2, 3)] == [False, True]
    hand.click(begun.at(35, 5))  # napari pans
    begun.layers.write([LabelChange(4, box, values)])
    assert (begun.layers.labels.data[4] == 7).any()
    assert not (begun.layers.labels.data[2] == 7).any()
    hand.key(Qt.Key.Key_Escape)
    assert (begun.layers.labels.data[2] == 7).any()
