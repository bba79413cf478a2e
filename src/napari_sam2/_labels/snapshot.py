"""Labels as they were at a time, for whoever reads them a frame at a time while work on them goes on."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt


class LabelSnapshot:
    """Labels (frames, H, W) as they are now; of what is written later, the frame before is kept.

    Parameters
    ----------
    array : array (frames, H, W)
        Integers, numpy or zarr. Whoever writes into it calls `keep` before.

    Attributes
    ----------
    shape : tuple of int
        ``(frames, H, W)``.
    dtype : dtype
        Of the array.

    Notes
    -----
    Any thread may read while another one writes.
    """

    def __init__(self, array: Any) -> None:  # noqa: ANN401 - numpy or zarr
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self._array = array
        self._kept: dict[int, npt.NDArray[Any]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def keep(self, frame: int) -> None:
        """Keep a frame that is about to change."""
        with self._lock:
            if not self._closed and frame not in self._kept:
                self._kept[frame] = self._read(frame)

    def __getitem__(self, place: int | tuple[int, *tuple[slice, ...]]) -> npt.NDArray[Any]:
        """Return a frame, or a part of it."""
        frame, *part = place if isinstance(place, tuple) else (place,)
        with self._lock:
            kept = self._kept.get(frame)
            return self._read(place) if kept is None else kept[tuple(part)]

    def _read(self, place: int | tuple[int, *tuple[slice, ...]]) -> npt.NDArray[Any]:
        return np.array(self._array[place], self.dtype)  # labels may have been widened meanwhile

    def close(self) -> None:
        """Keep nothing any more, whoever holds it still, as an error that was raised meanwhile."""
        with self._lock:
            self._closed, self._array = True, None
            self._kept.clear()
