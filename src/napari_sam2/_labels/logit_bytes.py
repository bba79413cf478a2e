"""Logits and where they lie, put together as bytes: of many masks, small values would take more than they."""

from __future__ import annotations

from struct import Struct

import numpy as np
import numpy.typing as npt

from napari_sam2.placement import PlacedLogits

_HEAD = Struct("<4d6q")
"""Window, offset, grid and shape of the logits."""


def pack_logits(placed: PlacedLogits) -> npt.NDArray[np.uint8]:
    """Put logits and where they lie together, (n,) bytes."""
    grid = placed.grid or placed.logits.shape
    head = _HEAD.pack(*placed.window, *placed.offset, *grid, *placed.logits.shape)
    return np.frombuffer(head + placed.logits.tobytes(), np.uint8)


def unpack_logits(packed: npt.NDArray[np.uint8], frame_shape: tuple[int, int]) -> PlacedLogits:
    """Return what `pack_logits` took, on a frame of this shape (H, W)."""
    y0, x0, y1, x1, i, j, rows, columns, height, width = _HEAD.unpack(packed[: _HEAD.size].tobytes())
    logits = packed[_HEAD.size :].view(np.float32).reshape(height, width)
    return PlacedLogits(logits, (y0, x0, y1, x1), frame_shape, (i, j), (rows, columns))
