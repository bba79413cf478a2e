"""Small pieces of data held in memory up to a budget, beyond it in one temporary file."""

from __future__ import annotations

import tempfile
import threading
import weakref
from array import array
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]

_NOT_THERE = -1


class _SpillFile:
    """A nameless file that bytes are appended to; it is gone when it is closed."""

    def __init__(self) -> None:
        # Without a buffer: bytes that a full disk refuses would stay in it, and be tried again, and refused
        # again, by whatever reads or closes the file next.
        self._file = tempfile.TemporaryFile(buffering=0, prefix="napari-sam2-")  # noqa: SIM115 - outlives this
        self.close = weakref.finalize(self, self._file.close)
        self.size = 0

    def append(self, data: Bytes) -> int:
        """Write at the end; return where that was."""
        start = self.size
        self._file.seek(start)
        left = data.data
        while left:  # a disk that is nearly full takes a part, and refuses the rest only when asked again
            left = left[self._file.write(left) :]
        self.size += data.nbytes
        return start

    def read(self, start: int, nbytes: int) -> Bytes:
        self._file.seek(start)
        data = self._file.read(nbytes)
        if len(data) != nbytes:
            raise OSError(f"the temporary file gave {len(data)} of {nbytes} bytes")
        return np.frombuffer(data, dtype=np.uint8)


class Kept:
    """A piece of data in a store, which is dropped when nobody holds this any more.

    Parameters
    ----------
    store : SpillStore
        Where it lies.
    key : int
        From `SpillStore.put`; it belongs to this from now on.
    """

    __slots__ = ("_key", "_store")

    def __init__(self, store: SpillStore, key: int) -> None:
        self._store, self._key = store, key

    def read(self) -> Bytes:
        """Return the data, (n,) uint8."""
        return self._store.get(self._key)

    def __del__(self) -> None:
        self._store.drop_later(self._key)


class SpillStore:
    """Bytes by key; the oldest move to a temporary file when memory holds more than `budget` bytes.

    The file is made when it is first needed. It is written anew when more than half of it (and more than
    `budget`) belongs to what was dropped, so that it stays within a factor of what is kept. Where the disk
    has no room for both files meanwhile, the old one stays. Any thread may call.

    Parameters
    ----------
    budget : int
        Bytes held in memory; 0 keeps all but the newest in the file.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._memory: OrderedDict[int, Bytes] = OrderedDict()
        # By key, which count up: of many small pieces, objects that tell where they lie would take more.
        self._starts, self._sizes = array("q"), array("q")
        self._file: _SpillFile | None = None
        self._bytes_in_memory = 0
        self._bytes_live = 0
        self._pieces_live = 0
        self._bearable = budget  # bytes of the file that belong to nobody, and may before it is written anew
        self._left: deque[int] = deque()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        self._drop_left()
        return len(self._memory) + self._pieces_live

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the data held in memory."""
        self._drop_left()
        return self._bytes_in_memory

    @property
    def bytes_on_disk(self) -> int:
        """Size of the temporary file."""
        return self._file.size if self._file else 0

    def put(self, data: Bytes) -> int:
        """Keep `data`, (n,) uint8, itself and not a copy, and return its key; OSError if the disk is full."""
        self._drop_left()
        with self._lock:
            while self._memory and self._bytes_in_memory + data.nbytes > self._budget:
                self._spill(next(iter(self._memory)))
            key = len(self._starts)
            self._starts.append(_NOT_THERE)
            self._sizes.append(data.nbytes)
            self._memory[key] = data
            self._bytes_in_memory += data.nbytes
            return key

    def keep(self, data: Bytes) -> Kept:
        """Keep `data` as `put` does, for as long as what is returned is held."""
        return Kept(self, self.put(data))

    def get(self, key: int) -> Bytes:
        """Return the data of `key`; KeyError if there are none."""
        with self._lock:
            if self._file is None or key in self._memory:
                return self._memory[key]
            return self._file.read(self._start(key), self._sizes[key])

    def drop(self, key: int) -> None:
        """Forget the data of `key`; KeyError if there are none."""
        with self._lock:
            if key in self._memory:
                self._bytes_in_memory -= self._memory.pop(key).nbytes
                return
            self._start(key)
            self._starts[key] = _NOT_THERE
            self._bytes_live -= self._sizes[key]
            self._pieces_live -= 1
            self._give_back(self.bytes_on_disk - self._bytes_live)

    def drop_later(self, key: int) -> None:
        """Drop a key at the next call. It may be called at any time, as by a garbage collection in a call."""
        self._left.append(key)

    def _drop_left(self) -> None:
        while self._left:
            with suppress(IndexError, KeyError):  # another thread was faster, or all was forgotten since
                self.drop(self._left.popleft())

    def close(self) -> None:
        """Forget everything and delete the file."""
        with self._lock:
            self._left.clear()
            self._memory.clear()
            self._starts = array("q", [_NOT_THERE]) * len(self._starts)
            self._bytes_in_memory = self._bytes_live = self._pieces_live = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _start(self, key: int) -> int:
        start = self._starts[key] if 0 <= key < len(self._starts) else _NOT_THERE
        if start == _NOT_THERE:
            raise KeyError(key)
        return start

    def _spill(self, key: int) -> None:
        data = self._memory[key]
        if self._file is None:
            self._file = _SpillFile()
        self._starts[key] = self._file.append(data)
        self._bytes_live += data.nbytes
        self._pieces_live += 1
        del self._memory[key]
        self._bytes_in_memory -= data.nbytes

    def _give_back(self, dead: int) -> None:
        """Write the file anew where so many bytes of it, which belong to nobody, are too many."""
        if dead <= max(self.bytes_on_disk // 2, self._bearable):
            return
        try:
            self._compact()
        except OSError:  # no room for a second file: the first one serves, and trying takes time
            self._bearable = 2 * dead
        else:
            self._bearable = self._budget

    def _compact(self) -> None:
        """Copy what is kept to a new file, then let go of the old one."""
        if self._file is None:
            return
        fresh, starts = _SpillFile(), array("q", self._starts)
        for key, start in enumerate(self._starts):
            if start != _NOT_THERE:
                starts[key] = fresh.append(self._file.read(start, self._sizes[key]))
        self._file.close()
        self._file, self._starts = fresh, starts
