"""Labels as they were at a time."""

from __future__ import annotations

import gc
from contextlib import closing

import numpy as np
import pytest

from napari_sam2._labels.entries import Entry
from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._labels.snapshot import LabelSnapshot
from napari_sam2.labels import LabelVolume

SHAPE = (4, 6, 5)


def square(y: int, x: int) -> Entry:
    mask = np.zeros(SHAPE[1:], bool)
    mask[y : y + 2, x : x + 2] = True
    return Entry(painted=PackedMask.pack(mask), provenance="painted")


@pytest.fixture
def volume() -> LabelVolume:
    made = LabelVolume(SHAPE)
    for frame in range(SHAPE[0]):
        made.replace(frame + 1, frame, square(frame, 0))
    return made


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_written_later_is_not_in_it(volume: LabelVolume, wide: bool) -> None:
    before, taken = volume.array.copy(), volume.snapshot()
    volume.replace(70_000 if wide else 9, 1, square(1, 1))
    volume.replace(9, 1, square(3, 3))
    volume.remove(3)
    assert (taken.shape, taken.dtype) == (SHAPE, before.dtype)
    np.testing.assert_array_equal([taken[frame] for frame in range(SHAPE[0])], before)
    np.testing.assert_array_equal(taken[(2,)], before[2])
    for frame in range(SHAPE[0]):
        np.testing.assert_array_equal(taken[frame, 1:4, :3], before[frame, 1:4, :3])
    assert (volume.array != before).any()


def test_it_keeps_its_type_where_labels_become_wide(volume: LabelVolume) -> None:
    before, taken = volume.array.copy(), volume.snapshot()
    volume.make_room(70_000)
    volume.replace(9, 1, square(1, 1))
    read = [taken[frame] for frame in range(SHAPE[0])]
    assert {frame.dtype for frame in read} == {before.dtype} == {taken.dtype}
    np.testing.assert_array_equal(read, before)


def test_a_frame_that_is_read_is_wide_before_it_was_written(volume: LabelVolume) -> None:
    volume.make_room(70_000)
    with closing(volume.snapshot()) as taken:
        assert taken.dtype == taken[0].dtype == volume.pixels(0).dtype == np.uint32
        np.testing.assert_array_equal(taken[0], volume.pixels(0))


def test_frames_are_kept_only_where_they_changed_and_while_somebody_reads(volume: LabelVolume) -> None:
    taken = volume.snapshot()
    volume.replace(9, 1, square(1, 1))
    assert set(taken._kept) == {1}
    del taken
    gc.collect()
    assert not len(volume._snapshots)


def test_what_is_read_is_nobody_elses() -> None:
    array = np.zeros(SHAPE, np.uint16)
    frame = LabelSnapshot(array)[0]
    array[0] = 1
    assert not frame.any()
