"""The array that labels are written into: given by somebody, or a session's own."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

LabelArray: TypeAlias = Any
"""A numpy or zarr array ``(frames, H, W)`` of integers: read and written by box."""

_AT_ONCE = 2**18
"""So many pixels are copied in a step: about a millisecond's worth."""


def blank_labels(shape: Sequence[int], dtype: npt.DTypeLike = np.uint16) -> npt.NDArray[Any]:
    """Make labels of zeros: in memory, or where that is too small in a temporary file.

    The file takes room only where something is written, so that a few objects in a sequence larger than the
    machine need no choice.
    """
    try:
        return np.zeros(shape, dtype)
    except MemoryError:
        with tempfile.TemporaryFile(prefix="napari-sam2-") as file:
            return np.memmap(file, dtype, "w+", shape=tuple(shape))


def copy_in_bands(labels: npt.NDArray[Any], blank: npt.NDArray[Any]) -> Iterator[None]:
    """Copy labels into zeros of the same shape, a few rows in each step; nothing where there are none."""
    rows = max(_AT_ONCE // max(labels.shape[-1], 1), 1)
    for place in np.ndindex(labels.shape[:-2]):
        for first in range(0, labels.shape[-2], rows):
            band = (*place, slice(first, first + rows))
            if labels[band].any():
                blank[band] = labels[band]
            yield


class OwnLabels:
    """Labels ``(frames, H, W)``, zeros at first: uint16, and uint32 after `widen`.

    A frame is copied when it is written for the first time after that, so that nobody waits for all of them
    at once. What is read has the type of all of them, copied or not.

    Attributes
    ----------
    shape : tuple of int
        ``(frames, H, W)``.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._array = blank_labels(shape)
        # The array that each frame is in. One thread may read a frame while another one copies it: it finds
        # the same labels in both.
        self._holders = [self._array] * self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the labels."""
        return self._array.dtype

    def widen(self) -> None:
        """Have room for ids that uint32 can hold."""
        self._array = blank_labels(self.shape, np.uint32)

    def whole(self) -> npt.NDArray[Any]:
        """Return all labels, the very array that is written into until they are widened."""
        for frame in range(self.shape[0]):
            self._copy(frame)
        return self._array

    def _copy(self, frame: int) -> None:
        held = self._holders[frame]
        if held is not self._array:
            for _ in copy_in_bands(held[frame], self._array[frame]):
                pass
            self._holders[frame] = self._array

    def __getitem__(self, place: int | tuple[int, slice, slice]) -> npt.NDArray[Any]:
        """Return a frame, or a box of it: a view where it has been copied."""
        frame = place[0] if isinstance(place, tuple) else place
        return self._holders[frame][place].astype(self.dtype, copy=False)

    def __setitem__(self, place: tuple[int, slice, slice], values: npt.NDArray[Any]) -> None:
        """Write a box of a frame."""
        self._copy(place[0])
        self._array[place] = values


def check_target(labels: LabelArray, shape: tuple[int, ...]) -> None:
    """See that labels of this shape can be written into an array: ValueError, TypeError if not."""
    if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
        raise TypeError(f"labels must be an array of integers, numpy or zarr, got {type(labels).__name__}")
    if tuple(labels.shape) != shape:
        raise ValueError(f"labels must have the shape of the images, {shape}, got {tuple(labels.shape)}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be an array of integers, got {labels.dtype}")
