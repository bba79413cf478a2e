"""Fetching a released model on a thread of its own, so that work with another model goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal

from napari_sam2._model.registry import cache_dir, fetch

if TYPE_CHECKING:
    from napari_sam2._model.registry import ReleasedCheckpoint

# So long a dock that closes waits for the next piece of a download, in seconds. A server that says nothing
# any more is left alone after a minute; what had come is deleted then.
_PATIENCE = 2.0
_MEGABYTE = 1e6
# Whoever waits for a download on another thread looks so often whether it is still wanted, in seconds.
_LOOKS = 0.1
PARTS = 100
"""How many parts `Download.parts` tells of."""


@dataclass(frozen=True)
class Fetched:
    """How far a download has come.

    Attributes
    ----------
    done, total : int
        Bytes; a total of 0 is not known.
    """

    done: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """0 to 1; 0 where the total is not known."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def text(self) -> str:
        """What has come, as in "12 of 156 MB"."""
        total = f" of {self.total / _MEGABYTE:.0f}" if self.total else ""
        return f"{min(self.done, self.total or self.done) / _MEGABYTE:.0f}{total} MB"


class _Stopped(Exception):  # noqa: N818 - no error, a way out
    """Ends a download that nobody waits for any more."""


class _Meter:
    """Takes the progress of a download, as `tqdm` would."""

    def __init__(self, download: Download, size: int | None) -> None:
        self.total = size or 0
        self._download = download
        self._done = self._told = 0

    def update(self, count: int) -> None:
        """Count bytes."""
        if self._download.stopped.is_set():
            raise _Stopped
        self._done += count
        # pooch counts every kilobyte; nobody can see so much.
        if self._done - self._told >= max(self.total / 200, 1):
            self._told = self._done
            self._download.progress.emit(Fetched(self._done, self.total))

    def reset(self) -> None:
        """Begin to count anew."""
        self._done = self._told = 0

    def close(self) -> None:
        """Nothing is open."""


class Download(QObject):
    """One download.

    Parameters
    ----------
    checkpoint : ReleasedCheckpoint
        What to fetch.

    Attributes
    ----------
    checkpoint : ReleasedCheckpoint
        What is fetched.
    progress : Signal(Fetched)
        How far it has come.
    finished : Signal(object)
        None, or the error; not after `stop`.
    """

    progress = Signal(object)
    finished = Signal(object)

    def __init__(self, checkpoint: ReleasedCheckpoint) -> None:
        super().__init__()
        self.stopped = threading.Event()
        self.checkpoint = checkpoint
        # A daemon: Python's end does not wait for a server.
        self._thread = threading.Thread(target=self._run, name="napari-sam2-download", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        meter = _Meter(self, self.checkpoint.size)
        try:
            fetch(self.checkpoint, cache_dir(), progressbar=meter)
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            self._tell(error)
        else:
            self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        if not self.stopped.is_set():
            self.finished.emit(error)

    def parts(self, is_over: Callable[[], bool]) -> Generator[int, None, None]:
        """Fetch it, and wait on the thread that asks; `PARTS` are told of, fewer if it is over before.

        Raises
        ------
        Exception
            Whatever goes wrong.
        """
        heard: queue.SimpleQueue[Fetched | Exception | None] = queue.SimpleQueue()
        direct = Qt.ConnectionType.DirectConnection  # no event loop turns where it waits
        for signal in (self.progress, self.finished):
            signal.connect(heard.put, direct)
        self.start()
        done = 0
        while not is_over() and done < PARTS:
            new = _share(heard)
            while done < int(new * PARTS) and not is_over():
                done += 1
                yield done
        self.close()

    def stop(self) -> None:
        """Stop at the next piece that arrives, and leave nothing behind; nobody is told."""
        self.stopped.set()

    def close(self) -> None:
        """Stop, and wait for it a moment."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)


def _share(heard: queue.SimpleQueue[Fetched | Exception | None]) -> float:
    """Return how much of a download has come, 1 only when it is whole; raise what went wrong."""
    try:
        said = heard.get(timeout=_LOOKS)
    except queue.Empty:
        return 0.0
    if isinstance(said, Exception):
        raise said
    return 1.0 if said is None else min(said.share, 1 - 1 / PARTS)
