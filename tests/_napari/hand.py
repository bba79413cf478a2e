"""A mouse and a keyboard for a real viewer."""

from __future__ import annotations

import time
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_KEY = Qt.KeyboardModifier.NoModifier
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def settle(turns: int = 4) -> None:
    """Let the event loop turn a few times."""
    for _ in range(turns):
        QApplication.processEvents()


class Hand:
    """Real mouse and key events on the canvas of a viewer, at places given in world coordinates."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas
        QApplication.processEvents()

    @property
    def widget(self) -> Any:
        return self._canvas.native

    @property
    def canvas(self) -> Any:
        """What vispy draws on."""
        return self._canvas._scene_canvas

    def pixel(self, world: Any) -> QPoint:
        """Where a world position is on the canvas."""
        shown = np.asarray(world, float)[list(self.viewer.dims.displayed)][::-1]
        view = self._canvas.view
        mapped = (view.transform * view.scene.transform).map([*shown, *[0] * (3 - len(shown)), 1])
        return QPoint(round(float(mapped[0] / mapped[3])), round(float(mapped[1] / mapped[3])))

    def _send(self, kind: Any, at: QPoint, button: Any, buttons: Any, keys: Any) -> None:
        place = QPointF(at)
        event = QMouseEvent(kind, place, QPointF(self.widget.mapToGlobal(at)), button, buttons, keys)
        QApplication.sendEvent(self.widget, event)

    def press(self, world: Any, *, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self._send(QMouseEvent.Type.MouseButtonPress, self.pixel(world), button, button, keys)

    def drag(self, world: Any, *, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self._send(QMouseEvent.Type.MouseMove, self.pixel(world), Qt.MouseButton.NoButton, button, keys)
        self._pause()

    def release(self, world: Any, *, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self._send(
            QMouseEvent.Type.MouseButtonRelease, self.pixel(world), button, Qt.MouseButton.NoButton, keys
        )

    def move(self, world: Any) -> None:
        self._send(
            QMouseEvent.Type.MouseMove,
            self.pixel(world),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.NoButton,
            NO_KEY,
        )
        self._pause()

    def _pause(self) -> None:
        time.sleep(0.008)  # napari takes a move every 5 ms
        settle(1)

    def click(self, world: Any, *, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        self.press(world, button=button, keys=keys)
        self.release(world, button=button, keys=keys)
        self.settle()

    def corners(self, *places: Any) -> None:
        """Move to each place and click there, as for the corners of an outline."""
        for place in places:
            self.move(place)
            self.click(place)

    def stroke(self, *path: Any, button: Any = LEFT, keys: Any = NO_KEY) -> None:
        """Press at the first place, drag over the others, release at the last one."""
        self.press(path[0], button=button, keys=keys)
        for place in path[1:]:
            self.drag(place, button=button, keys=keys)
        self.release(path[-1], button=button, keys=keys)
        self.settle()

    def double_click(self, world: Any) -> None:
        self.press(world)
        self.release(world)
        self.settle()
        self._send(QMouseEvent.Type.MouseButtonDblClick, self.pixel(world), LEFT, LEFT, NO_KEY)
        self.release(world)
        self.settle()

    def key(self, key: Any, keys: Any = NO_KEY) -> None:
        QTest.keyClick(self.widget, key, keys)
        self.settle()

    def settle(self) -> None:
        """Let the event loop turn a few times."""
        settle()
