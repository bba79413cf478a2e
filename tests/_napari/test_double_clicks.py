"""Double clicks on masks, over (t, z, y, x), with the mouse of a real viewer."""

from __future__ import annotations

from collections.abc import Iterator

import napari
import numpy as np
import pytest

from napari_sam2._napari.state import Tool
from napari_sam2.prompts import PromptKey
from tests._napari.dock import Dock, agree, at, four_axes
from tests._napari.hand import Hand
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


@pytest.fixture
def four(clean: napari.Viewer, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (t, z, y, x) in the viewer of this module, at t = 1, z = 2."""
    yield from four_axes(clean, fake_model)


@pytest.fixture
def mouse(four: Dock) -> Hand:
    return Hand(four.viewer)


@pytest.mark.parametrize("crowd", [True, False])
@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("undone", [True, False])
def test_a_double_click_that_picks_an_object_leaves_no_step(
    four: Dock, mouse: Hand, crowd: bool, live: bool, undone: bool
) -> None:
    four.controller.ahead.choose_live(live)
    four.controller.prompts.choose_each_click_new(crowd)
    for obj in (1, 2):
        four.prompt(obj, 2, 8 * obj, 10)
    if undone:
        four.prompt(3, 0, 4, 16)
        four.view.progress.undo_requested.emit()
        four.wait()
    four.view.objects.object_activated.emit(1)
    four.controller.prompts.choose_tool(Tool.POINT)
    before, labels = four.controller.space.picture, four.labels.copy()
    mouse.settle()
    mouse.double_click(at(four, 16, 10))
    four.wait()
    after = four.controller.space.picture
    assert four.controller.space.active == 2
    assert after.prompts == before.prompts
    assert (after.undo_label, after.redo_label) == (before.undo_label, before.redo_label)
    assert bool(after.redo_label) == undone
    np.testing.assert_array_equal(four.labels, labels)
    agree(four, {1: {PromptKey(1, 2), PromptKey(2, 2)}})
