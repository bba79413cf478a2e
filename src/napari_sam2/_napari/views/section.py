"""A part of the dock that opens and closes, with a summary in its header while it is closed."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sam2._napari.views.buttons import GlyphButton


class Section(QWidget):
    """A titled part of the dock.

    Parameters
    ----------
    title : str
        What stands in the header.
    body : QWidget
        What is shown while it is open.
    is_open : bool
        Whether it begins open.
    """

    toggled = Signal(bool)

    def __init__(
        self, title: str, body: QWidget, *, is_open: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.title = title
        self.body = body
        self._open = is_open
        self._header = GlyphButton("open", title, tip="", flat=True, parent=self)
        font = self._header.font()
        font.setBold(True)
        self._header.setFont(font)
        self._header.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._header.clicked.connect(self.toggle)
        self._summary = QElidingLabel(parent=self)
        self._summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._lay_out()
        self._apply()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 4, 0)
        top.addWidget(self._header, 0, Qt.AlignmentFlag.AlignLeft)
        top.addWidget(self._summary, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(top)
        column.addWidget(self.body)
        self.body.setContentsMargins(8, 0, 4, 6)

    def is_open(self) -> bool:
        """Return whether the body is shown."""
        return self._open

    def set_open(self, is_open: bool) -> None:
        """Open or close."""
        if is_open != self._open:
            self._open = is_open
            self._apply()
            self.toggled.emit(is_open)

    def toggle(self) -> None:
        """Open if closed, close if open."""
        self.set_open(not self._open)

    def set_summary(self, text: str) -> None:
        """Set what the header says beside the title while the section is closed."""
        self._summary.setText(text)
        self._summary.setToolTip(text)

    def summary(self) -> str:
        """Return what the header says while the section is closed."""
        return str(self._summary.text())

    def _apply(self) -> None:
        self.body.setVisible(self._open)
        self._summary.setVisible(not self._open)
        self._header.set_glyph("open" if self._open else "closed")
        verb = "Close" if self._open else "Open"
        self._header.setToolTip(f"{verb} the part “{self.title}”.")
        self._header.setAccessibleName(f"{self.title}, {'open' if self._open else 'closed'}")
