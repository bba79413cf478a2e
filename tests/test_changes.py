"""What was written is told once, whoever wrote it, and a layer that follows shows the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.changes import ChangeLog, LabelChange, read_changes
from napari_sam2.placement import Box
from napari_sam2.session import Session
from tests.fakes import SHAPE, click, noisy_frames, seeing_model

COUNT = 6
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)

boxes = st.builds(
    lambda y, x, height, width: Box(y, x, y + height, x + width),
    st.integers(0, 10), st.integers(0, 10), st.integers(1, 9), st.integers(1, 9),
)  # fmt: skip


def follow(shown: np.ndarray, changes: tuple[LabelChange, ...]) -> None:
    """Draw changes as a layer does."""
    for change in changes:
        shown[(change.frame, *change.box.slices)] = change.values


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(boxes, st.none()))))
def test_a_log_holds_the_box_of_all_that_was_written_on_a_frame(notes: list[tuple[int, Box | None]]) -> None:
    log = ChangeLog()
    written = np.zeros((4, 24, 24), bool)
    for frame, box in notes:
        log.note(frame, box)
        if box:
            written[(frame, *box.slices)] = True
    assert bool(log) == bool(notes)
    told = log.drain()
    assert list(told) == sorted({frame for frame, _ in notes})
    for frame, box in told.items():
        rows, columns = np.nonzero(written[frame])
        expected = None if not rows.size else (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        assert box == expected
    assert not log
    assert log.drain() == {}


def test_values_are_copies_of_the_pixels_now() -> None:
    log = ChangeLog()
    log.note(1, Box(0, 0, 1, 2))
    log.note(2, None)
    labels = np.zeros((3, 4, 4), np.uint16)
    labels[1, 0, :2] = 5, 7
    (change,) = read_changes(log, lambda frame, box: labels[(frame, *box.slices)].copy())
    labels[:] = 0
    assert (change.frame, change.box) == (1, Box(0, 0, 1, 2))
    assert change.values.tolist() == [[5, 7]]
    assert change.values.dtype == np.uint16


def test_a_layer_that_follows_shows_the_record() -> None:
    session = Session(IMAGES, model=REAL)
    shown = np.zeros_like(session.labels)
    session.set_prompts(1, 2, click(10, 8))
    session.paint(2, 1, np.ones(SHAPE, bool))
    for _ in session.propagate():
        follow(shown, session.take_changes())
        np.testing.assert_array_equal(shown, session.labels)
    session.lock_object(1)
    session.unlock_object(1)
    session.ends_here(1, 4)
    session.split(1, 3)
    follow(shown, session.take_changes())
    np.testing.assert_array_equal(shown, session.labels)
    while session.undo() is not None:
        follow(shown, session.take_changes())
        np.testing.assert_array_equal(shown, session.labels)
    assert not shown.any()
    while session.redo() is not None:
        follow(shown, session.take_changes())
    np.testing.assert_array_equal(shown, session.labels)
    assert session.take_changes() == ()


def test_a_click_tells_of_its_own_pixels_alone() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    list(session.propagate())
    session.take_changes()
    session.paint(2, 4, np.eye(*SHAPE, dtype=bool) & (np.arange(SHAPE[0]) < 3)[:, None])
    (change,) = session.take_changes()
    assert (change.frame, change.box) == (4, Box(0, 0, 3, 3))
    np.testing.assert_array_equal(change.values, session.labels[4, :3, :3])


def test_a_loaded_session_tells_of_all_that_was_read(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    list(session.propagate())
    session.save(tmp_path / "cells.sam2.json")
    loaded = Session.load(tmp_path / "cells.sam2.json", IMAGES, REAL)
    shown = np.zeros_like(session.labels)
    follow(shown, loaded.take_changes())
    np.testing.assert_array_equal(shown, session.labels)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 2**20))
def test_ids_that_need_wider_labels_are_told_in_them(obj: int) -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(obj, 0, np.ones(SHAPE, bool))
    (change,) = session.take_changes()
    assert (change.values == obj).all()
    assert change.values.dtype == (np.uint16 if obj < 2**16 else np.uint32)


def test_what_there_is_no_time_for_is_told_later() -> None:
    log, read = ChangeLog(), list[int]()

    def pixels(frame: int, box: Box) -> np.ndarray:
        read.append(frame)
        return np.zeros(box.shape, np.uint16)

    for frame in (2, 0, 1):
        log.note(frame, Box(0, 0, 2, 3))
    log.note(3, None)
    assert log.frames == {0, 1, 2}
    told = []
    while log.frames:
        told.append([change.frame for change in read_changes(log, pixels, until=0)])
    assert told == [[0], [1], [2]]
    assert read == [0, 1, 2]
