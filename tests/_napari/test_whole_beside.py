"""The dock beside the user's own layers, in the volume view, and with several channels or images."""

from __future__ import annotations

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2._napari.state import Tool
from napari_sam2._napari.views.hints import hint
from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, add_frames, frames, until
from tests._napari.hand import CONTROL, settle
from tests._napari.test_whole import Docked, Work, X, Y, channels, docked
from tests.fakes import SHAPE

__all__ = ["docked"]  # a fixture
pytestmark = pytest.mark.gui


def test_the_volume_view_has_review_seeds_and_navigation(viewer: napari.Viewer, docked: Docked) -> None:
    image = add_frames(viewer, scale=(3, 1, 1))
    with docked(viewer) as dock:
        work = Work(dock, image)
        work.click(Y, X)
        dock.fake.lost_from = 60 + MIDDLE + 2
        work.propagate()
        viewer.dims.ndisplay = 3
        dock.wait()
        assert "2D view" in dock.state.tools.blocked
        until(lambda: not dock.view.tools._tools[Tool.POINT].isEnabled())  # drawn a moment later
        viewer.add_points([[0, 16, 10]], name="nuclei", scale=(3, 1, 1))
        dock.view.tools.seed_requested.emit()
        dock.wait()
        assert dock.session.prompts[PromptKey(2, 0)].points == ((16, 10),)
        assert work.labels[0, 16, 10] == 2
        viewer.layers.selection.active = dock.layers.labels
        work.hand.key(Qt.Key.Key_J)
        assert (dock.controller.space.frame, dock.state.objects.active) == (MIDDLE + 2, 1)
        dock.view.review.cell_visited.emit(2, 0)
        assert (dock.controller.space.frame, dock.state.objects.active) == (0, 2)
        viewer.dims.ndisplay = 2
        dock.wait()
        assert dock.state.tools.blocked == ""


def test_the_volume_view_promises_no_clicks(viewer: napari.Viewer, docked: Docked) -> None:
    add_frames(viewer, scale=(3, 1, 1))
    with docked(viewer) as dock:
        assert hint(dock.state).text == "Click on an object."
        viewer.dims.ndisplay = 3
        dock.wait()
        assert "Switch to the 2D view (Ctrl+Y)" in hint(dock.state).text
        for _ in range(2):
            dock.controller.prompts.new_object()
            dock.wait()
            assert dock.state.tools.tool is dock.layers.tools.tool is Tool.PAN
        viewer.dims.ndisplay = 2
        dock.wait()
        assert dock.state.tools.tool is dock.layers.tools.tool is Tool.POINT
        until(dock.view.tools._tools[Tool.POINT].isEnabled)  # the dock is drawn a little later


def test_layers_of_the_user_keep_their_state_undo_and_tools(viewer: napari.Viewer, docked: Docked) -> None:
    image = add_frames(viewer, scale=(3, 1, 1))
    own = viewer.add_labels(np.zeros((COUNT, *SHAPE), np.uint8), name="mine", scale=(3, 1, 1))
    dots = viewer.add_points([[MIDDLE, 3, 3]], name="dots", scale=(3, 1, 1))
    own.mode, dots.mode = "paint", "select"
    with own.block_history():
        own.paint((MIDDLE, 4, 4), 3)
    before = [each.as_layer_data_tuple() for each in (image, own, dots)]
    pixels = [np.array(data) for data, _, _ in before]
    viewer.layers.selection.active = image
    with docked(viewer) as dock:
        work = Work(dock, image)
        work.click(Y, X)
        work.propagate()
        work.hand.key(Qt.Key.Key_Z, CONTROL)
        dock.wait()
        assert (str(own.mode), str(dots.mode)) == ("paint", "select")
        for each, (_, options, _), data in zip((image, own, dots), before, pixels, strict=True):
            np.testing.assert_array_equal(each.data, data)
            now = each.as_layer_data_tuple()[1]
            plain = {name for name, value in options.items() if isinstance(value, str | float | int | bool)}
            assert {name: now[name] for name in plain} == {name: options[name] for name in plain}
        viewer.layers.selection.active = own
        settle()
        work.hand.key(Qt.Key.Key_Z, CONTROL)
        assert not own.data.any(), "its own undo works on it"
        assert dock.labels[MIDDLE, Y, X] == 1


def test_a_channel_is_chosen(viewer: napari.Viewer, docked: Docked) -> None:
    image = channels(viewer)
    with docked(viewer) as dock:
        assert dock.state.image.channels == ("Channel 1", "Channel 2", "All channels, in colour")
        dock.view.image.channel_chosen.emit(1)
        dock.wait()
        assert dock.session.volume.frame(MIDDLE).max() == 0, "the second channel is black"
        dock.view.image.channel_chosen.emit(0)
        dock.wait()
        work = Work(dock, image)
        work.click(Y, X)
        assert dock.state.image.seen == "model sees 0-255, channel 1"


def test_a_composite_of_the_visible_images_is_chosen(viewer: napari.Viewer, docked: Docked) -> None:
    first = add_frames(viewer, colormap="red")
    viewer.add_image(255 - frames(), name="other", colormap="green", contrast_limits=(0, 255))
    with docked(viewer) as dock:
        dock.view.image.image_chosen.emit(0)
        dock.wait()
        assert dock.state.image.channels[-1].startswith("Composite")
        dock.view.image.channel_chosen.emit(1)
        dock.wait()
        red, green, blue = dock.session.volume.frame(MIDDLE)[3, 3]
        assert (red, green) == pytest.approx((frames()[MIDDLE, 3, 3], 255 - frames()[MIDDLE, 3, 3]), abs=2)
        assert blue == 0
        work = Work(dock, first)
        work.click(Y, X)
        assert "composite of “cells”" in dock.state.image.seen


def test_the_undo_button_takes_back_first_what_is_being_drawn(viewer: napari.Viewer, docked: Docked) -> None:
    image = add_frames(viewer)
    with docked(viewer) as dock:
        work = Work(dock, image)
        work.click(Y, X)
        dock.controller.prompts.choose_tool(Tool.OUTLINE)
        work.hand.click(work.world(MIDDLE, Y + 4, X))
        for step in range(6):
            work.hand.move(work.world(MIDDLE, Y + 4 + step / 2, X - step / 2))
        for left in ({PromptKey(1, MIDDLE)}, set()):
            dock.view.progress.undo_requested.emit()
            dock.wait()
            assert set(dock.session.prompts) == left
            assert len(dock.layers.shapes.data) == 0
