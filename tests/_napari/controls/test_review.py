"""Reviewing, correcting and locking."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._napari.controls.review import review_state
from napari_sam2._napari.keys import Command
from napari_sam2.doubt import find
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.summary import CellStatus
from tests._napari.dock import COUNT, MIDDLE, Dock
from tests.fakes import click

pytestmark = pytest.mark.gui
ALL = list(range(COUNT))


def paint(dock: Dock, obj: int, frame: int, *pixels: tuple[int, int]) -> None:
    """Paint with the brush of napari's Labels layer."""
    layer = dock.layers.labels
    layer.selected_label = obj
    layer.brush_size = 1
    dock.show(frame)
    with layer.block_history():
        for pixel in pixels:
            layer.paint((frame, *pixel), obj)
    dock.wait()


def status(dock: Dock, obj: int) -> list[CellStatus]:
    review = dock.state.review
    return [CellStatus(int(value)) for value in review.status[review.objects.index(obj)]]


def test_the_strip_tells_prompted_tracked_painted_and_locked(dock: Dock) -> None:
    dock.prompt(1, MIDDLE, 8, 10)
    dock.propagate()
    paint(dock, 1, 0, (20, 2), (20, 3))
    dock.show(MIDDLE + 1)
    dock.view.progress.lock_here.emit()
    dock.wait()
    wanted = [CellStatus.TRACKED] * COUNT
    wanted[0], wanted[MIDDLE], wanted[MIDDLE + 1] = CellStatus.PAINTED, CellStatus.PROMPTED, CellStatus.LOCKED
    assert status(dock, 1) == wanted
    assert dock.state.review.frame == MIDDLE + 1


def test_a_stroke_is_a_mask_prompt_and_can_be_undone(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    before = bench.labels.copy()
    paint(bench, 1, MIDDLE, (20, 2), (20, 3))
    prompts = bench.session.prompts[PromptKey(1, MIDDLE)]
    assert not prompts.points, "it absorbs the points"
    assert prompts.mask is not None
    np.testing.assert_array_equal(prompts.mask, bench.labels[MIDDLE] == 1)
    assert not len(bench.layers.points.data)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, before)
    assert len(bench.layers.points.data) == 1


def test_points_refine_a_painted_mask(bench: Dock) -> None:
    paint(bench, 1, MIDDLE, (8, 9), (8, 10), (8, 11))
    bench.layers.points.add(bench.layers.geometry.to_layer(MIDDLE, 16, 10))
    bench.wait()
    prompts = bench.session.prompts[PromptKey(1, MIDDLE)]
    assert prompts.points == ((16, 10),)
    assert prompts.mask is not None


def test_erasing_all_says_that_the_object_is_absent(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    layer = bench.layers.labels
    bench.show(0)
    with layer.block_history():
        for y, x in zip(*np.nonzero(bench.labels[0]), strict=True):
            layer.paint((0, y, x), 0)
    bench.wait()
    assert bench.session.prompts[PromptKey(1, 0)].says_absent
    assert status(bench, 1)[0] is CellStatus.ABSENT


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what strokes are told."""
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.prompts.warn", notes.append)
    return notes


def test_a_stroke_over_locked_masks_is_put_back_with_a_notification(bench: Dock, warned: list[str]) -> None:
    """Their own, those of another object over both, and those that erase them."""
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress.lock_here.emit()
    bench.prompt(2, MIDDLE, 18, 4)
    bench.view.objects.object_locked.emit(2, True)
    bench.wait()
    before = bench.labels.copy()
    for painted, locked in ((1, {1}), (2, {2}), (3, {1, 2}), (0, {1, 2})):
        where = [(8, 10), (18, 4)] if len(locked) == 2 else [(22, 18)]
        paint(bench, painted, MIDDLE, *where)
        np.testing.assert_array_equal(bench.labels, before)
        np.testing.assert_array_equal(bench.labels, bench.session.labels)
        (told,) = warned
        warned.clear()
        named = "Objects 1, 2 are" if len(locked) == 2 else f"Object {min(locked)} is"
        assert told.startswith(f"{named} locked here, the stroke was put back")


def test_a_stroke_over_a_locked_mask_is_put_back(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress.lock_here.emit()
    bench.wait()
    before = bench.labels.copy()
    paint(bench, 1, MIDDLE, (20, 2), (20, 3))
    np.testing.assert_array_equal(bench.labels, before)
    paint(bench, 2, MIDDLE, (8, 10), (8, 11), (20, 3))
    assert bench.labels[MIDDLE, 8, 10] == 1, "another object does not take its pixels either"
    assert bench.labels[MIDDLE, 20, 3] == 2
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_locking_is_taken_back_by_the_same_key(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    for wanted in (CellStatus.LOCKED, CellStatus.PROMPTED):
        bench.layers.commanded.emit(Command.LOCK)
        bench.wait()
        assert status(bench, 1)[MIDDLE] is wanted


def test_a_correction_computes_only_the_gaps_beside_it(bench: Dock) -> None:
    bench.prompt(1, 0, 8, 10)
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(1, COUNT - 1, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.propagate()
    bench.fake.attended.clear()
    written: list[int] = []
    bench.controller.space.answered.connect(lambda _, a: written.extend(c.frame for c in a.changes))
    bench.set(1, MIDDLE + 2, click(9, 11))
    bench.propagate()
    frames = {row.frame - 60 for row in bench.fake.attended}
    assert frames <= {MIDDLE + 1, MIDDLE + 2, MIDDLE + 3}
    assert set(written) <= {MIDDLE + 1, MIDDLE + 2, MIDDLE + 3}


def test_the_next_doubtful_frame(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.fake.lost_from = 60 + MIDDLE + 2
    bench.propagate()
    review = bench.state.review
    assert review.lost[0, MIDDLE + 2 :].all()
    assert not review.lost[0, MIDDLE : MIDDLE + 2].any()
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.objects.object_activated.emit(2)
    bench.show(MIDDLE + 1)
    bench.layers.commanded.emit(Command.NEXT_DOUBTFUL)
    assert bench.controller.space.frame == MIDDLE + 2
    assert bench.state.objects.active == 1


def test_a_cell_of_the_strip_is_visited(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.review.cell_visited.emit(2, 1)
    assert (bench.controller.space.frame, bench.state.objects.active) == (1, 2)
    assert bench.state.review.active == 2


def test_the_strip_is_the_same_object_while_nothing_changes(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.state.review is bench.state.review
    before = bench.state.review
    bench.show(0)
    assert bench.state.review is not before


def test_what_other_objects_cover_is_told(bench: Dock, notices: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.objects.object_locked.emit(1, True)
    bench.wait()
    bench.prompt(2, MIDDLE, 8, 10)
    assert "Other objects cover all of object 2 on frame 4" in notices.pop()
    bench.prompt(3, MIDDLE, 16, 10)
    assert not notices


def test_a_correction_that_leaves_nothing_says_what_follows(bench: Dock, notices: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.prompt(1, MIDDLE + 1, 8, 10)
    assert not notices
    bench.set(1, MIDDLE + 2, FramePrompts(points=((8, 10),), positive=(False,)))
    assert "Nothing is left of object 1 on frame 6" in notices.pop()
    bench.propagate()
    assert [int(f) for f in np.flatnonzero((bench.labels == 1).any(axis=(1, 2)))] == ALL[: MIDDLE + 2]


def test_the_strip_shows_the_summary(bench: Dock) -> None:
    bench.prompt(3, MIDDLE, 8, 10)
    bench.propagate()
    told = bench.session.summary()
    state = review_state(told, find(told.cells), 3, 7)
    assert (state.objects, state.frame, state.active) == ((3,), 3, 7)
    assert state.status is told.cells.status
    assert state.confidence is told.cells.confidence
    assert np.isfinite(state.confidence).all()


@pytest.mark.parametrize("what", ["visible", "opacity"])
def test_a_hidden_layer_of_masks_is_told_once(bench: Dock, notices: list[str], what: str) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    assert not notices
    for _ in range(2):  # again after it was shown
        setattr(bench.layers.labels, what, False)
        bench.prompt(1, MIDDLE, 9, 11)
        bench.prompt(1, MIDDLE, 10, 10)
        assert notices.pop().endswith(" is hidden: show it in the list of layers to see masks.")
        assert not notices
        setattr(bench.layers.labels, what, True)
        bench.prompt(1, MIDDLE, 8, 11)
        assert not notices
