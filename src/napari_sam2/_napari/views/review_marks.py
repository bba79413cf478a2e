"""The marks on cells of the review strip, each of its own shape so that none depends on colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF

LIGHT = QColor("#ffffff")
DARK = QColor("#16181d")
LOST = QColor("#c2185b")
_JUMP_SHARE = 0.4
"""Of the height of a cell; its triangle fills little of it."""


class Mark(Enum):
    """What a mark says; its value is the word in the legend."""

    PROMPTED = "prompted"
    PAINTED = "painted"
    LOCKED = "locked"
    ABSENT = "absent"
    LOST = "lost"
    JUMP = "jump"


def _outline(painter: QPainter, fill: QColor) -> None:
    painter.setPen(QPen(DARK, 1))
    painter.setBrush(QBrush(fill))


def _prompted(painter: QPainter, centre: QPointF, size: float, _ink: QColor) -> None:
    _outline(painter, LIGHT)
    painter.drawEllipse(centre, size * 0.42, size * 0.42)


def _painted(painter: QPainter, centre: QPointF, size: float, _ink: QColor) -> None:
    _outline(painter, LIGHT)
    half = size * 0.5
    x, y = centre.x(), centre.y()
    corners = [QPointF(x, y - half), QPointF(x + half, y), QPointF(x, y + half), QPointF(x - half, y)]
    painter.drawPolygon(QPolygonF(corners))


def _locked(painter: QPainter, centre: QPointF, size: float, _ink: QColor) -> None:
    _outline(painter, DARK)
    painter.setPen(QPen(LIGHT, 1))
    side = size * 0.76
    painter.drawRect(QRectF(centre.x() - side / 2, centre.y() - side / 2, side, side))


def _absent(painter: QPainter, centre: QPointF, size: float, ink: QColor) -> None:
    painter.setPen(QPen(ink, 1.6))
    half = size * 0.4
    painter.drawLine(QPointF(centre.x() - half, centre.y()), QPointF(centre.x() + half, centre.y()))


def _lost(painter: QPainter, centre: QPointF, size: float, ink: QColor) -> None:
    half = size * 0.34
    x, y = centre.x(), centre.y()
    painter.setPen(QPen(ink, 1.8))
    painter.drawLine(QPointF(x - half, y - half), QPointF(x + half, y + half))
    painter.drawLine(QPointF(x + half, y - half), QPointF(x - half, y + half))


def _jump(painter: QPainter, cell: QRectF) -> None:
    """Draw a triangle that hangs at the top; beside another mark it is as wide as it is alone."""
    _outline(painter, DARK)
    painter.setPen(Qt.PenStyle.NoPen)
    size = _size_of(cell.width())
    top = cell.center().y() - min(size, cell.height()) * 0.5
    x, half, tip = cell.center().x(), size * 0.42, top + min(size * 0.6, cell.height())
    painter.drawPolygon(QPolygonF([QPointF(x - half, top), QPointF(x + half, top), QPointF(x, tip)]))


_DRAW: dict[Mark, Callable[[QPainter, QPointF, float, QColor], None]] = {
    Mark.PROMPTED: _prompted,
    Mark.PAINTED: _painted,
    Mark.LOCKED: _locked,
    Mark.ABSENT: _absent,
    Mark.LOST: _lost,
}


def draw_mark(painter: QPainter, mark: Mark, cell: QRectF, ink: QColor) -> None:
    """Draw a mark in the middle of a cell.

    Parameters
    ----------
    painter : QPainter
        Where to.
    mark : Mark
        Which one.
    cell : QRectF
        The cell; narrow ones get a narrow mark.
    ink : QColor
        A colour that is seen on empty cells.
    """
    if mark is Mark.JUMP:
        _jump(painter, cell)
    else:
        _DRAW[mark](painter, cell.center(), _size_of(min(cell.width(), cell.height())), ink)


def _size_of(room: float) -> float:
    return min(max(room - 1.0, 5.0), 11.0)


@dataclass(frozen=True)
class Parts:
    """Where two marks of one cell are drawn, one above the other: a cell may be narrow, but is never low.

    Attributes
    ----------
    jump, other : QRectF
        For the mark of a jump, and for what else is said.
    """

    jump: QRectF
    other: QRectF


def parts_of(cell: QRectF) -> Parts:
    """Share a cell out between two marks, so that none covers the other."""
    height = _JUMP_SHARE * cell.height()
    return Parts(cell.adjusted(0, 0, 0, height - cell.height()), cell.adjusted(0, height, 0, 0))
