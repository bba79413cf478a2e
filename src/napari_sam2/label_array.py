"""The array that labels are written into."""

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


def widened(labels: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Copy labels into an array of a wider type; frames without labels take neither time nor room."""
    wide = blank_labels(labels.shape, dtype)
    for _ in copy_in_bands(labels, wide):
        pass
    return wide


def copy_in_bands(labels: npt.NDArray[Any], blank: npt.NDArray[Any]) -> Iterator[None]:
    """Copy labels into zeros of the same shape, a few rows in each step; nothing where there are none."""
    rows = max(_AT_ONCE // max(labels.shape[-1], 1), 1)
    for place in np.ndindex(labels.shape[:-2]):
        for first in range(0, labels.shape[-2], rows):
            band = (*place, slice(first, first + rows))
            if labels[band].any():
                blank[band] = labels[band]
            yield


def check_target(labels: LabelArray, shape: tuple[int, ...]) -> None:
    """See that labels of this shape can be written into an array: ValueError, TypeError if not."""
    if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
        raise TypeError(f"labels must be an array of integers, numpy or zarr, got {type(labels).__name__}")
    if tuple(labels.shape) != shape:
        raise ValueError(f"labels must have the shape of the images, {shape}, got {tuple(labels.shape)}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be an array of integers, got {labels.dtype}")
