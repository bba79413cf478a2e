"""Small arrays held in memory up to a budget, beyond it in one temporary file."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

A = TypeVar("A", bound=np.generic)


class _Span(NamedTuple):
    """Where an array lies in the file."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


class _SpillFile:
    """A nameless file that arrays are appended to; it is gone when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="napari-sam2-")  # noqa: SIM115 - outlives this call
        self.close = weakref.finalize(self, self._file.close)
        self.size = 0

    def append(self, array: npt.NDArray[Any]) -> _Span:
        span = _Span(self.size, array.shape, array.dtype)
        self._file.seek(span.start)
        self._file.write(np.ascontiguousarray(array).data)
        # Now rather than at some later write: a full disk has to be told while the array is still in memory.
        self._file.flush()
        self.size += span.nbytes
        return span

    def read(self, span: _Span) -> npt.NDArray[Any]:
        self._file.seek(span.start)
        data = self._file.read(span.nbytes)
        if len(data) != span.nbytes:
            raise OSError(f"the temporary file gave {len(data)} of {span.nbytes} bytes")
        return np.frombuffer(data, dtype=span.dtype).reshape(span.shape)


class ArrayStore(Generic[A]):
    """Arrays by key; the oldest move to a temporary file when memory holds more than `budget` bytes.

    The file is made when it is first needed. It is written anew when more than half of it (and more than
    `budget`) belongs to arrays that were dropped, so that it stays within a factor of what is kept. Any
    thread may call.

    Parameters
    ----------
    budget : int
        Bytes held in memory; 0 keeps all but the newest in the file.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._memory: OrderedDict[int, npt.NDArray[A]] = OrderedDict()
        self._spans: dict[int, _Span] = {}
        self._file: _SpillFile | None = None
        self._bytes_in_memory = 0
        self._bytes_live = 0
        self._next = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._memory) + len(self._spans)

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the arrays held in memory."""
        return self._bytes_in_memory

    @property
    def bytes_on_disk(self) -> int:
        """Size of the temporary file."""
        return self._file.size if self._file else 0

    def put(self, array: npt.NDArray[A]) -> int:
        """Keep `array` (itself, not a copy) and return its key; OSError if the disk is full."""
        with self._lock:
            while self._memory and self._bytes_in_memory + array.nbytes > self._budget:
                self._spill(next(iter(self._memory)))
            key = self._next
            self._next += 1
            self._memory[key] = array
            self._bytes_in_memory += array.nbytes
            return key

    def get(self, key: int) -> npt.NDArray[A]:
        """Return the array of `key`; KeyError if there is none."""
        with self._lock:
            if self._file is None or key in self._memory:
                return self._memory[key]
            return self._file.read(self._spans[key])

    def drop(self, key: int) -> None:
        """Forget the array of `key`; KeyError if there is none."""
        with self._lock:
            if key in self._memory:
                self._bytes_in_memory -= self._memory.pop(key).nbytes
                return
            self._bytes_live -= self._spans.pop(key).nbytes
            dead = self.bytes_on_disk - self._bytes_live
            if dead > max(self.bytes_on_disk // 2, self._budget):
                self._compact()

    def close(self) -> None:
        """Forget everything and delete the file."""
        with self._lock:
            self._memory.clear()
            self._spans.clear()
            self._bytes_in_memory = self._bytes_live = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _spill(self, key: int) -> None:
        array = self._memory[key]
        if self._file is None:
            self._file = _SpillFile()
        self._spans[key] = self._file.append(array)
        self._bytes_live += array.nbytes
        del self._memory[key]
        self._bytes_in_memory -= array.nbytes

    def _compact(self) -> None:
        """Copy what is kept to a new file, then let go of the old one."""
        if self._file is None:
            return
        fresh = _SpillFile()
        self._spans = {key: fresh.append(self._file.read(span)) for key, span in self._spans.items()}
        self._file.close()
        self._file = fresh
