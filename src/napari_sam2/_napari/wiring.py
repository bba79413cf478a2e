"""Connections that can be taken back, and work that waits for the next turn of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable


class Connections:
    """Connections to napari's events and callback lists, all taken back by `close`."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def connect(self, emitter: Any, callback: Callable[..., object]) -> None:  # noqa: ANN401 - napari's emitter
        """Connect a callback to an event of a layer or the viewer."""
        emitter.connect(callback)
        self._undo.append(lambda: emitter.disconnect(callback))

    def connect_last(self, emitter: Any, callback: Callable[..., object]) -> None:  # noqa: ANN401
        """Connect a callback to an event of napari's so that it comes after napari's own."""
        emitter.connect(callback, position="last")
        self._undo.append(lambda: emitter.disconnect(callback))

    def insert(self, callbacks: list[Any], callback: Callable[..., object]) -> None:
        """Put a callback before all others of a list of mouse callbacks."""
        callbacks.insert(0, callback)
        self._undo.append(lambda: callbacks.remove(callback) if callback in callbacks else None)

    def add(self, undo: Callable[[], object]) -> None:
        """Remember what else has to be done at the end."""
        self._undo.append(undo)

    def close(self) -> None:
        """Take everything back, the latest first."""
        while self._undo:
            self._undo.pop()()


class Later:
    """Calls a function once, on a later turn of the event loop, however often it was asked for.

    Parameters
    ----------
    function : callable
        Without arguments.
    milliseconds : int
        How long to wait; 0 for the next turn.
    restart : bool
        Whether asking again starts the wait anew, so that the call comes after a rest.
    """

    def __init__(
        self, function: Callable[[], object], milliseconds: int = 0, *, restart: bool = False
    ) -> None:
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(function)
        self._restart = restart
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether the call is still to come."""
        return not self._closed and bool(self._timer.isActive())

    def ask(self, milliseconds: int | None = None) -> None:
        """Ask for the call, after another wait if one is given."""
        if self._closed or (self.waiting and not self._restart):
            return
        if milliseconds is not None:
            self._timer.setInterval(milliseconds)
        self._timer.start()

    def cancel(self) -> None:
        """Forget the call."""
        if not self._closed:
            self._timer.stop()

    def close(self) -> None:
        """Forget the call and take no more."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self._timer.timeout.disconnect()
        self._timer.deleteLater()
