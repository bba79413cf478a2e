"""The review strip with its legend, its zoom and the way to the next doubtful frame."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QRectF, QSize, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_sam2._napari.state import ReviewState
from napari_sam2._napari.views.buttons import GlyphButton, text_colour
from napari_sam2._napari.views.review_cells import confidence_colour
from napari_sam2._napari.views.review_marks import Mark, draw_mark
from napari_sam2._napari.views.review_strip import ReviewStrip
from napari_sam2._napari.views.tips import with_key
from napari_sam2._napari.views.tool_row import NO_KEYS

READABLE = 12.0
_TRACKED = "The model has followed it to this frame; the colour tells how sure the mask is."
_TIPS = {
    Mark.PROMPTED: "You clicked or boxed the object on this frame.",
    Mark.PAINTED: "You painted or outlined its mask on this frame.",
    Mark.LOCKED: "Confirmed: nothing changes it on this frame.",
    Mark.ABSENT: "You said that it is not on this frame.",
    Mark.LOST: "It was tracked to this frame, but from here on no mask was found.",
    Mark.JUMP: "Its area or its place changes suddenly from the frame before.",
}


class _Sample(QWidget):
    """A cell with a mark, or without one, as in the strip."""

    def __init__(self, mark: Mark | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark = mark
        self.setFixedSize(QSize(14, 14))

    def paintEvent(self, a0: QPaintEvent | None) -> None:  # noqa: ARG002, N802
        """Paint the sample."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(1, 1, 12, 12)
        if self._mark not in (Mark.ABSENT, Mark.LOST):
            painter.fillRect(area, QColor(*confidence_colour(0.9)))
        if self._mark is not None:
            draw_mark(painter, self._mark, area, text_colour(self))
        painter.end()


class _ConfidenceBar(QWidget):
    """The colours of confidence from 0 to 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(9)
        self.setMinimumWidth(40)
        self.setToolTip(
            "From doubtful (orange) to sure (blue): no mask is surer than those that led to it. "
            "Grey where nothing is known."
        )
        self.setAccessibleName("Colours of confidence, from doubtful in orange to sure in blue")

    def paintEvent(self, a0: QPaintEvent | None) -> None:  # noqa: ARG002, N802
        """Paint the colours from left to right."""
        painter = QPainter(self)
        gradient = QLinearGradient(0, 0, self.width(), 0)
        for step in range(11):
            gradient.setColorAt(step / 10, QColor(*confidence_colour(step / 10)))
        painter.fillRect(self.rect(), gradient)
        painter.end()


def _entry(mark: Mark | None, word: str, tip: str) -> QWidget:
    entry = QWidget()
    row = QHBoxLayout(entry)
    row.setContentsMargins(0, 0, 6, 0)
    row.setSpacing(3)
    row.addWidget(_Sample(mark))
    row.addWidget(QLabel(word))
    entry.setToolTip(tip)
    entry.setAccessibleName(f"{word}: {tip}")
    return entry


class ReviewPanel(QWidget):
    """What the strip needs around it.

    Parameters
    ----------
    keys : mapping of str to str
        Keys that are shown in the tooltips: ``next_doubtful``.
    """

    cell_visited = Signal(object, int)  # an int of Qt ends at 2**31, an id does not
    next_doubtful = Signal()

    def __init__(self, keys: Mapping[str, str] = NO_KEYS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.strip = ReviewStrip()
        tip = "Go to the next stretch of frames that are not sure, to a jump or a lost object."
        self._next = GlyphButton("warning", "Next doubtful", tip=with_key(tip, keys.get("next_doubtful", "")))
        self._wide = GlyphButton(
            "range",
            "All frames",
            tip="Show all frames at once; else they are wide and scroll.",
            checkable=True,
        )
        self._empty = QLabel("Every object gets a row here, every frame a cell.")
        self._empty.setWordWrap(True)
        self._legend = QWidget()
        self._lay_out()
        self._wide.setChecked(True)
        self._next.clicked.connect(self.next_doubtful)
        self._wide.toggled.connect(lambda whole: self.strip.set_zoom(None if whole else READABLE))
        self.strip.zoomed.connect(self._show_zoomed)
        self.strip.cell_visited.connect(self.cell_visited)
        self.show_state(ReviewState())

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self._next, 1)
        buttons.addWidget(self._wide, 1)
        legend = QVBoxLayout(self._legend)
        legend.setContentsMargins(0, 0, 0, 0)
        legend.setSpacing(2)
        colours = QHBoxLayout()
        colours.addWidget(QLabel("doubtful"))
        colours.addWidget(_ConfidenceBar(), 1)
        colours.addWidget(QLabel("sure"))
        legend.addLayout(colours)
        marks = QFlowLayout()
        marks.setContentsMargins(0, 0, 0, 0)
        marks.setHorizontalSpacing(2)
        marks.setVerticalSpacing(1)
        marks.addWidget(_entry(None, "tracked", _TRACKED))
        for mark in Mark:
            marks.addWidget(_entry(mark, mark.value, _TIPS[mark]))
        legend.addLayout(marks)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addLayout(buttons)
        for each in (self._empty, self.strip, self._legend):
            column.addWidget(each)

    def _show_zoomed(self, zoomed: bool) -> None:
        self._wide.blockSignals(True)
        self._wide.setChecked(not zoomed)
        self._wide.blockSignals(False)

    def show_state(self, state: ReviewState) -> None:
        """Draw a snapshot."""
        anything = bool(state.objects)
        self._empty.setVisible(not anything)
        for each in (self.strip, self._legend):
            each.setVisible(anything)
        self._next.setEnabled(anything)
        self._wide.setEnabled(anything)
        self.strip.show_state(state)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Repaint the legend in the theme's colours."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and hasattr(self, "_legend"):
            self._legend.update()
