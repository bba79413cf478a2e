"""Labels that a session makes itself: wide where an id needs it, copied a frame at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2._labels import array as label_array
from napari_sam2._labels.array import OwnLabels
from napari_sam2._labels.entries import Entry
from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.labels import LabelVolume

SHAPE = (3, 4, 4)
WIDE = 70_000


def large() -> npt.NDArray[np.uint32]:
    return np.array(WIDE, np.uint32)


def filled(labels: npt.NDArray[np.uint16]) -> OwnLabels:
    own = OwnLabels(labels.shape)
    for frame in range(len(labels)):
        own[frame, :, :] = labels[frame]
    return own


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)), st.data())
def test_wider_labels_are_the_same(labels: npt.NDArray[np.uint16], data: st.DataObject) -> None:
    """Whatever is written, read and handed out in between."""
    own, expected = filled(labels), labels.astype(np.uint32)
    own.widen()
    for frame in data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=4)):
        own[frame, :1, 1:] = expected[frame, :1, 1:] = large()
        if data.draw(st.booleans()):
            np.testing.assert_array_equal(own.whole(), expected)
    for frame in range(len(labels)):
        assert own[frame].dtype == own.dtype == np.uint32
        np.testing.assert_array_equal(own[frame], expected[frame])
        np.testing.assert_array_equal(own[frame, 1:, :], expected[frame, 1:])
    assert own.whole().dtype == np.uint32
    np.testing.assert_array_equal(own.whole(), expected)


def test_the_array_that_is_handed_out_is_the_one_that_is_written() -> None:
    own = filled(np.ones(SHAPE, np.uint16))
    own.widen()
    handed = own.whole()
    own[2, :, :] = large()
    assert (handed[2] == WIDE).all()
    assert own.whole() is handed


def test_narrow_labels_are_let_go_when_all_frames_are_wide() -> None:
    own = filled(np.ones(SHAPE, np.uint16))
    narrow = own.whole()
    own.widen()
    assert any(held is narrow for held in own._holders)
    own.whole()
    assert not any(held is narrow for held in own._holders)


class Counted(np.ndarray[Any, Any]):
    """An array that counts the pixels that are written into it, or into parts of it."""

    pixels = 0

    def __setitem__(self, place: Any, values: Any) -> None:
        Counted.pixels += self[place].size
        super().__setitem__(place, values)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    def blank(shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint16) -> Counted:
        return np.zeros(shape, dtype).view(Counted)

    monkeypatch.setattr(label_array, "blank_labels", blank)
    monkeypatch.setattr(Counted, "pixels", 0)
    return Counted


def test_the_first_large_id_copies_one_frame_only(counted: type[Counted]) -> None:
    volume = LabelVolume((50, 4, 4))
    top, bottom = np.indices((4, 4))[0] < 2, np.indices((4, 4))[0] >= 2
    for frame in range(50):
        volume.replace(1, frame, Entry(painted=PackedMask.pack(top)))
    counted.pixels = 0
    volume.replace(WIDE, 7, Entry(painted=PackedMask.pack(bottom)))
    assert counted.pixels <= 2 * 16, "the frame as it was, and what is written now"
    np.testing.assert_array_equal(volume.pixels(7)[:, 0], [1, 1, WIDE, WIDE])
    np.testing.assert_array_equal(volume.array[8, :, 0], [1, 1, 0, 0])


def test_frames_without_labels_are_not_written(counted: type[Counted]) -> None:
    own = OwnLabels(SHAPE)
    own[1, 0:1, 0:1] = np.array(7)
    own.widen()
    counted.pixels = 0
    assert (own.whole() != 0).sum() == 1
    assert counted.pixels == 16
