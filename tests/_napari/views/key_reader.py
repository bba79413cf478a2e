"""A window that notes which keys come to it, as napari's does."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QWidget

_PLAIN, _CONTROL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
KEYS_OF_THE_VIEWER = (
    (Qt.Key.Key_N, _PLAIN),
    (Qt.Key.Key_G, Qt.KeyboardModifier.ShiftModifier),
    (Qt.Key.Key_Comma, _PLAIN),
    (Qt.Key.Key_Z, _CONTROL),
)
"""Some keys of the plugin, which napari gives to its layers."""


class KeyReader(QWidget):
    """Notes the keys that the widgets in it do not use."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Note the key, not those that are held with it."""
        if event is not None and event.key() in {key for key, _ in KEYS_OF_THE_VIEWER}:
            self.heard.append(event.key())
