"""Files of one shape as one array with an axis more; a file is opened when something of it is read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

OPEN_FILES = 8
"""Files that are kept open; going through an axis within the files comes back to them."""


class FileStack:
    """An array whose first axis counts files.

    Parameters
    ----------
    files : sequence of Path
        In order.
    opened : callable
        Opens one, as an array that is read when it is indexed.

    Attributes
    ----------
    shape : tuple of int
        Number of files, and the shape of the first one.
    dtype : dtype
        Of the first one.
    """

    def __init__(self, files: Sequence[Path], opened: Callable[[Path], Any]) -> None:
        self._files = tuple(files)
        self._opener = opened
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()
        first = opened(self._files[0])
        self._open[0] = first
        self.shape = (len(self._files), *first.shape)
        self.dtype = np.dtype(first.dtype)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - an index of integers and slices
        key = key if isinstance(key, tuple) else (key,)
        which, rest = (key[0], key[1:]) if key and key[0] is not Ellipsis else (slice(None), key)
        if isinstance(which, slice):
            chosen = range(len(self))[which]
            parts = [self._file(i)[rest or ...] for i in chosen]
            return np.stack(parts) if parts else np.zeros((0, *self.shape[1:]), self.dtype)
        if not -len(self) <= which < len(self):
            raise IndexError(f"there is no file {which}: there are {len(self)}")
        return np.asarray(self._file(int(which) % len(self))[rest or ...])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: ANN401
        return np.array(self[...], dtype=dtype, copy=True if copy is None else copy)

    def _file(self, i: int) -> Any:  # noqa: ANN401 - an array
        with self._lock:
            if i not in self._open:
                self._open[i] = self._checked(self._opener(self._files[i]), i)
                while len(self._open) > OPEN_FILES:
                    self._open.popitem(last=False)
            self._open.move_to_end(i)
            return self._open[i]

    def _checked(self, array: Any, i: int) -> Any:  # noqa: ANN401
        if tuple(array.shape) != self.shape[1:] or array.dtype != self.dtype:
            raise ValueError(
                f"{self._files[i]} holds {array.dtype} of shape {tuple(array.shape)}, but "
                f"{self._files[0].name} {self.dtype} of shape {self.shape[1:]}: "
                "the files of a folder are stacked and must be alike"
            )
        return array
