"""What was painted is what differs from what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2._labels import array as label_array
from napari_sam2._napari.layers.label_records import LabelRecord
from napari_sam2._napari.layers.strokes import Stroke, Sweep, strokes_between
from napari_sam2.placement import Box

Frame = npt.NDArray[np.uint16]


def record_of(frames: npt.NDArray[Any]) -> LabelRecord:
    """Return the record of a sequence in which these frames were written."""
    record = LabelRecord()
    for frame, written in enumerate(frames):
        record.take(frame, written)
    return record


FRAMES = arrays(np.uint16, (4, 5), elements=st.integers(0, 3))


@given(FRAMES, FRAMES)
def test_strokes_tell_all_that_changed(before: Frame, after: Frame) -> None:
    strokes = strokes_between(3, before, after)
    told = {stroke.obj: stroke for stroke in strokes}
    assert [stroke.obj for stroke in strokes] == sorted(told)
    for obj in range(1, 4):
        changed = ((before == obj) != (after == obj)).any()
        assert (obj in told) == changed
        if changed:
            assert told[obj].frame == 3
            assert np.array_equal(told[obj].mask, after == obj)
            lost = (before == obj) & (after != obj)
            only_covered = not ((after == obj) & (before != obj)).any() and not (lost & (after == 0)).any()
            assert told[obj].overpainted == only_covered


def test_labels_below_zero_erase() -> None:
    before = np.array([[1, 1, 2, 0]])
    after = np.array([[1, -1, 2, -7]])
    (stroke,) = strokes_between(3, before, after)
    assert (stroke.obj, stroke.overpainted) == (1, False)
    assert stroke.mask.tolist() == [[True, False, False, False]]
    (back,) = strokes_between(3, after, before)
    assert back.obj == 1


def test_labels_below_zero_on_the_background_are_set_to_zero() -> None:
    shown = np.array([[[1, 1, 0, 0]]] * 2)
    record = record_of(shown)
    shown[:, 0, 2] = -1
    assert record.take(0, shown[0]) == ()
    assert shown.tolist() == [[[1, 1, 0, 0]], [[1, 1, -1, 0]]]
    assert record_of(np.zeros((1, 1, 4), int)).take(0, shown[1] - 1) == ()


@given(FRAMES, FRAMES)
def test_a_frame_is_told_once(before: Frame, after: Frame) -> None:
    record = record_of(before[None])
    assert len(record.take(0, after)) == len(strokes_between(0, before, after))
    assert record.take(0, after) == ()


def test_erased_entirely() -> None:
    record = record_of(np.full((1, 2, 2), 4, np.uint16))
    (stroke,) = record.take(0, np.zeros((2, 2), np.uint16))
    assert (stroke.obj, stroke.overpainted) == (4, False)
    assert not stroke.mask.any()


def test_what_is_written_is_no_stroke() -> None:
    frames = np.zeros((2, 4, 4), np.uint16)
    record = record_of(frames)
    record.ensure(1, frames[1])
    frames[1, 1:3, 1:3] = 5
    record.put(1, Box(1, 1, 3, 3), frames[1, 1:3, 1:3])
    assert record.take(1, frames[1]) == ()


def test_wider_labels_fit() -> None:
    record = record_of(np.ones((1, 2, 2), np.uint16))
    record.put(0, Box(0, 0, 1, 1), np.array([[70_000]], np.uint32))
    assert record.take(0, np.array([[70_000, 1], [1, 1]], np.uint32)) == ()


def test_a_frame_becomes_wide_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_array, "_AT_ONCE", 2)
    narrow, wide = np.ones((5, 2), np.uint16), np.dtype(np.uint32)
    record = record_of(narrow[None])
    steps = 0
    while not record.widen(0, wide):
        steps += 1
        assert record.take(0, narrow) == ()
    assert steps == 5
    record.put(0, Box(4, 0, 5, 1), np.array([[70_000]], np.uint32))
    shown = narrow.astype(np.uint32)
    shown[4, 0] = 70_000
    assert record.take(0, shown) == ()


def test_what_is_written_or_painted_while_a_frame_becomes_wide_is_on_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(label_array, "_AT_ONCE", 2)
    record, shown = record_of(np.ones((1, 5, 2), np.uint16)), np.ones((5, 2), np.uint16)
    record.widen(0, np.dtype(np.uint32))
    shown[0, 0] = 2
    record.put(0, Box(0, 0, 1, 1), shown[:1, :1])
    record.widen(0, np.dtype(np.uint32))
    shown[0, 1] = 3
    assert {stroke.obj for stroke in record.take(0, shown)} == {1, 3}
    while not record.widen(0, np.dtype(np.uint32)):
        pass
    assert record.take(0, shown.astype(np.uint32)) == ()


def test_a_sweep_goes_on_where_it_stopped() -> None:
    frames = np.zeros((6, 3, 3), np.uint16)
    record = record_of(frames)
    frames[1, 0, 0], frames[4, 1, 1], frames[5, 2, 2] = 3, 2, 1
    sweep, seen = Sweep(6, 4), list[int]()

    def take(frame: int) -> Sequence[Stroke]:
        seen.append(frame)
        return record.take(frame, frames[frame])

    steps = 1
    while not sweep.step(take, 0.0):
        steps += 1
    assert steps == 6
    assert seen[0] == 4
    assert sorted(seen) == list(range(6))
    assert [(stroke.frame, stroke.obj) for stroke in sweep.found()] == [(1, 3), (4, 2), (5, 1)]
    assert sweep.found() == []


def test_a_quick_sweep_is_one_step() -> None:
    frames, record = np.ones((50, 3, 3), np.uint16), LabelRecord()
    assert Sweep(50, 20).step(lambda frame: record.take(frame, frames[frame]), 10.0)
    assert Sweep(0, 0).step(lambda _: (), 0.0)
