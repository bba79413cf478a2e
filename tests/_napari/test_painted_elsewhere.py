"""Strokes on frames and at positions that are not shown, beside answers, views and other scripts."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers import stroke_search
from napari_sam2._napari.layers.stroke_search import StrokeSearch
from napari_sam2.prompts import PromptKey
from tests._napari.dock import Dock, Held, pause

pytestmark = pytest.mark.gui


def paint(dock: Dock, t: int, z: int, row: int, obj: int) -> None:
    """Paint two rows as a script does."""
    dock.labels[t, z, row : row + 2, 2:6] = obj
    dock.layers.labels.refresh()


def said(dock: Dock) -> dict[int, set[PromptKey]]:
    """Return where something was said, by position; the layer shows what the sessions have."""
    found = {}
    for sequence in dock.controller.space.touched():
        session = sequence.desk.opened
        np.testing.assert_array_equal(sequence.geometry.frames_of(dock.labels), session.labels)
        found[sequence.geometry.index[0]] = set(session.prompts)
    return found


@pytest.mark.parametrize("place", [(0, 2), (1, 0), (1, 2)])
def test_an_answer_does_not_cover_a_stroke_that_was_not_found_yet(
    four: Dock, monkeypatch: pytest.MonkeyPatch, place: tuple[int, int]
) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    four.prompt(1, 2, 8, 10)
    held = Held(monkeypatch, "repaint")
    paint(four, *place, 18, 3)
    held.until_entered()
    paint(four, *place, 2, 4)
    held.gate.set()
    time.sleep(0.05)
    four.wait()
    assert {PromptKey(obj, place[1]) for obj in (3, 4)} <= said(four)[place[0]]


@pytest.mark.parametrize("place", [(0, 2), (1, 0)])
def test_many_strokes_one_after_the_other(four: Dock, place: tuple[int, int]) -> None:
    four.prompt(1, 2, 8, 10)
    for obj in range(3, 15):
        paint(four, *place, 2 * obj - 6, obj)
        pause(obj % 3)
        time.sleep(0.004)
    four.wait()
    assert {PromptKey(obj, place[1]) for obj in range(3, 15)} <= said(four)[place[0]]


@pytest.mark.parametrize("contrast", [True, False])
def test_the_first_stroke_at_positions_that_were_looked_at(four: Dock, contrast: bool) -> None:
    for position in (0, 2, 1):
        four.viewer.dims.set_current_step(0, position)
        four.wait()
    image = four.controller.space.image
    assert image is not None
    if contrast:
        image.contrast_limits = (0, 200)
    four.labels[:, 2, 18:20, 2:6] = 3
    four.layers.labels.refresh()
    four.wait()
    assert said(four) == {position: {PromptKey(3, 2)} for position in range(3)}
    assert not four.controller.sequences.loading


def test_labels_of_another_number_of_axes_are_put_back_while_strokes_are_looked_for(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    paint(four, 0, 2, 18, 3)
    pause(0)
    assert four.layers.search.is_on
    four.layers.points.add([1, 2, 8, 10])
    four.layers.labels.data = np.zeros((3, 4, 9), np.uint16)
    four.wait()
    assert said(four) == {0: {PromptKey(3, 2)}, 1: {PromptKey(1, 2)}}


def test_thousands_of_positions_may_be_asked_for_again_and_again(four: Dock) -> None:
    shown = SequenceGeometry((20_000, 2, 8, 8), 2, 3, 1, {0: 0})
    search = StrokeSearch(lambda *_: (), lambda *_: None, lambda: True)
    started = time.process_time()
    for _ in range(3):
        search.begin((shown, *shown.elsewhere()), 0, object())
    assert time.process_time() - started < 10, "quadratic, it took a minute"
    assert search.is_on
    search.close()


def test_strokes_take_little_memory(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "paint")
    for obj in range(1, 9):
        four.labels[:, :, 2 * obj : 2 * obj + 2, 2:10] = obj
    four.layers.labels.refresh()
    four.controller.image.catch_up()
    waiting = [
        stroke
        for sequence in four.controller.space.touched()
        for painting in sequence.paintings
        for strokes in painting._waiting.values()
        for stroke in strokes
    ]
    assert len(waiting) >= 8 * 11
    assert max(stroke.pixels.bits.nbytes for stroke in waiting) <= 2, "a bit for each pixel of its box"
    held.gate.set()
    four.wait()
    assert all(len(keys) == 8 * 4 for keys in said(four).values())
