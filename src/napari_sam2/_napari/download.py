"""Fetching a released model on a thread of its own, so that work with another model goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_sam2._model.registry import cache_dir, fetch

if TYPE_CHECKING:
    from napari_sam2._model.registry import ReleasedCheckpoint


class _Stopped(Exception):  # noqa: N818 - no error, a way out
    """Ends a download that nobody waits for any more."""


class _Meter:
    """Takes the progress of a download, as `tqdm` would."""

    def __init__(self, download: Download, size: int | None) -> None:
        self.total = size or 0
        self._download = download
        self._done = 0
        self._told = 0.0

    def update(self, count: int) -> None:
        """Count bytes."""
        if self._download.stopped.is_set():
            raise _Stopped
        self._done += count
        share = min(self._done / self.total, 1.0) if self.total else 0.0
        # pooch counts every kilobyte; nobody can see so much.
        if share - self._told >= 0.005:
            self._told = share
            self._download.progress.emit(share)

    def reset(self) -> None:
        """Begin to count anew."""
        self._done, self._told = 0, 0.0

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
    progress : Signal(float)
        0 to 1.
    finished : Signal(object)
        None, or the error.
    """

    progress = Signal(float)
    finished = Signal(object)

    def __init__(self, checkpoint: ReleasedCheckpoint) -> None:
        super().__init__()
        self.stopped = threading.Event()
        self._checkpoint = checkpoint
        self._thread = threading.Thread(target=self._run, name="napari-sam2-download")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        meter = _Meter(self, self._checkpoint.size)
        try:
            fetch(self._checkpoint, cache_dir(), progressbar=meter)
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            self._tell(error)
        else:
            self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        if not self.stopped.is_set():
            self.finished.emit(error)

    def close(self) -> None:
        """Stop at the next piece that arrives, and leave nothing behind."""
        self.stopped.set()
        if self._thread.is_alive():
            self._thread.join()
