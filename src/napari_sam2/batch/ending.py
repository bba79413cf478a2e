"""The end of a run: its workers have a while for the frame at hand, and none after a second Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from distributed import Status

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType

    from distributed import Future, LocalCluster

PATIENCE = 30.0
"""Seconds that workers have for the frame at hand when a run is stopped."""
GRACE = 1.0
"""Seconds that a worker has which is told to go at once."""
_POLL = 0.02
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Ending:
    """Ends the workers that this process has started; others end their frame by themselves.

    Attributes
    ----------
    cluster : LocalCluster or None
        That of this process.
    """

    def __init__(self) -> None:
        self.cluster: LocalCluster | None = None
        self._before: Any = None
        self._is_urgent = False  # no Event: it would be set while this very thread waits for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def begin(self) -> None:
        """Hear Ctrl-C from now on: raised in the middle of dask's own end, it would make that the longer."""
        is_main = threading.current_thread() is threading.main_thread()
        if self.cluster is not None and self._before is None and is_main:
            self._before = signal.signal(signal.SIGINT, self._hear)

    def wait(self, at_hand: Collection[Future[Any]]) -> None:
        """Give workers time for the frame at hand, unless they are told to go at once."""
        until = time.monotonic() + PATIENCE
        while not self._is_urgent and not all(future.done() for future in at_hand):
            if time.monotonic() > until:
                self._hurry()
                return
            time.sleep(_POLL)

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signals call it so
        self._hurry()

    def _hurry(self) -> None:
        """Let the workers go as they are; what they have kept on disk is what the next run goes on with."""
        if self._is_urgent or self.cluster is None:
            return
        self._is_urgent = True
        for nanny in self._nannies():
            if nanny.status == Status.running:  # and not closing already
                nanny.close_gracefully()  # which is to say, start no other worker in place of its own
        self._tell(signal.SIGTERM)
        last = threading.Timer(GRACE, self._tell, [_KILL])
        last.daemon = True
        last.start()

    def _tell(self, number: signal.Signals) -> None:
        for nanny in self._nannies():
            if nanny.pid is not None:
                with suppress(OSError):  # it has gone meanwhile
                    os.kill(nanny.pid, number)

    def _nannies(self) -> list[Any]:
        """List those that look after a worker's process each; dask's own thread takes out what has ended."""
        return [] if self.cluster is None else list(self.cluster.workers.values())
