"""The review strip: objects x frames, coloured by confidence, with marks; a click goes there."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QAbstractScrollArea, QSizePolicy, QToolTip, QWidget

from napari_sam2._napari.state import ReviewState
from napari_sam2._napari.views.buttons import text_colour
from napari_sam2._napari.views.review_cells import Columns, cell_colours, columns_of, describe, lost_ends
from napari_sam2._napari.views.review_geometry import LARGEST, SMALLEST, StripGeometry, fit, tick_step
from napari_sam2._napari.views.review_marks import Mark, draw_mark, parts_of
from napari_sam2.summary import CellStatus

SHOWN_ROWS = 10
# The lines around the frame that is shown are at least so far apart: between them its colours are seen.
_FRAMED = 6.0
_MARK_OF = {
    CellStatus.PROMPTED: Mark.PROMPTED,
    CellStatus.PAINTED: Mark.PAINTED,
    CellStatus.LOCKED: Mark.LOCKED,
    CellStatus.ABSENT: Mark.ABSENT,
}

# Row and frame; by number, as not every key has a name.
_STEPS = {
    int(Qt.Key.Key_Left.value): (0, -1),
    int(Qt.Key.Key_Right.value): (0, 1),
    int(Qt.Key.Key_Up.value): (-1, 0),
    int(Qt.Key.Key_Down.value): (1, 0),
}


class ReviewStrip(QAbstractScrollArea):
    """Cells in a picture of one pixel each that is drawn scaled; only the visible marks are drawn one by one.

    A click or a drag emits `cell_visited`; the arrow keys step from frame to frame and from object to object;
    the wheel with Ctrl zooms. While all frames are shown at once, columns that hold several of them show, and
    lead to, the worst.
    """

    cell_visited = Signal(object, int)  # an int of Qt ends at 2**31, an id does not
    zoomed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ReviewState()
        self._zoom: float | None = None
        self._columns: Columns | None = None
        self._image: QImage | None = None
        self._key: tuple[Any, ...] = ()
        self._cell = SMALLEST
        self._pressed: tuple[int, int] | None = None
        self.setAccessibleName("Review strip, objects by frames")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        viewport = self.viewport()
        if viewport is not None:
            viewport.setMouseTracking(True)

    def show_state(self, state: ReviewState) -> None:
        """Draw a snapshot; the picture is made anew only if its arrays are others."""
        old, self._state = self._state, state
        if state.objects != old.objects:
            self.updateGeometry()
        moved = (state.frame, state.active) != (old.frame, old.active)
        self._arrange()
        if moved:
            self._follow()
        self._describe_current()
        self._repaint()

    def set_zoom(self, zoom: float | None) -> None:
        """Show a frame this many pixels wide; None shows all frames at once."""
        if zoom != self._zoom:
            self._zoom = zoom
            self.zoomed.emit(zoom is not None)
            self.updateGeometry()
            self._arrange()
            self._follow()
            self._repaint()

    def zoom(self) -> float | None:
        """Return the width of a frame, None while all are shown at once."""
        return self._zoom

    def row_height(self) -> int:
        """Return the height of a row in pixels."""
        return max(13, self.fontMetrics().height())

    def _margins(self) -> tuple[int, int]:
        metrics = self.fontMetrics()
        longest = max((len(str(obj)) for obj in self._state.objects), default=1)
        return metrics.horizontalAdvance("0" * max(longest, 2)) + 8, metrics.height() + 4

    def _size(self) -> QSize:
        viewport = self.viewport()
        return viewport.size() if viewport is not None else QSize(1, 1)

    def geometry_now(self) -> StripGeometry:
        """Return where the cells lie now."""
        left, top = self._margins()
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        return StripGeometry(
            rows=len(self._state.objects),
            columns=0 if self._columns is None else self._columns.pick.shape[1],
            cell=self._cell,
            row=self.row_height(),
            left=left,
            top=top,
            scroll_x=across.value() if across is not None else 0,
            scroll_y=down.value() if down is not None else 0,
        )

    def _arrange(self) -> None:
        """Lay the frames into columns, make the picture if it is out of date, and set the scroll bars."""
        state, size = self._state, self._size()
        left, top = self._margins()
        laid = fit(state.status.shape[1], size.width() - left - 2, self._zoom)
        self._cell = laid.cell
        empty = self._empty_colour()
        key = (
            id(state.status),
            id(state.confidence),
            id(state.jumps),
            id(state.lost),
            laid.per_column,
            empty.rgb(),
        )
        if key != self._key or self._columns is None:
            self._columns = columns_of(state, laid.per_column)
            self._image = self._picture(self._columns, empty)
            self._kept, self._key = (state.status, state.confidence, state.jumps, state.lost), key
        self._set_bars(
            round(self._columns.pick.shape[1] * laid.cell) + left,
            len(state.objects) * self.row_height() + top,
        )

    @staticmethod
    def _picture(columns: Columns, empty: QColor) -> QImage | None:
        # Where an object has no mask there is nothing to be sure of, and a cross says enough.
        status = np.where(columns.lost, np.uint8(CellStatus.NOTHING), columns.status)
        colours = cell_colours(status, columns.confidence, (empty.red(), empty.green(), empty.blue()))
        height, width = colours.shape
        if not height or not width:
            return None
        data = np.ascontiguousarray(colours).tobytes()
        return QImage(data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()

    def _set_bars(self, width: int, height: int) -> None:
        size = self._size()
        for bar, whole, seen in (
            (self.horizontalScrollBar(), width, size.width()),
            (self.verticalScrollBar(), height, size.height()),
        ):
            if bar is not None:
                bar.setRange(0, max(whole - seen, 0) if whole - seen > 2 else 0)
                bar.setPageStep(max(seen, 1))
                bar.setSingleStep(self.row_height())

    def _follow(self) -> None:
        """Scroll so that the current frame and the active row are seen."""
        place, size = self.geometry_now(), self._size()
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        if across is not None and self._columns is not None:
            x = place.x_of(self._state.frame // self._columns.per_column)
            if not place.left <= x <= size.width() - place.cell:
                across.setValue(round(x + place.scroll_x - (size.width() + place.left) / 2))
        row = self._active_row()
        if down is not None and row is not None:
            y = place.y_of(row)
            if not place.top <= y <= size.height() - place.row:
                down.setValue(y + place.scroll_y - (size.height() - place.row) // 2)

    def _active_row(self) -> int | None:
        objects, active = self._state.objects, self._state.active
        return objects.index(active) if active in objects else None

    def _empty_colour(self) -> QColor:
        """Return a colour between ground and text, so that empty cells are seen but quiet."""
        ground = self.palette().color(QPalette.ColorRole.Window)
        ink = text_colour(self)
        mixed = [round(0.9 * a + 0.1 * b) for a, b in zip(ground.getRgb()[:3], ink.getRgb()[:3], strict=True)]
        return QColor(*mixed)

    def _describe_current(self) -> None:
        state, row = self._state, self._active_row()
        inside = row is not None and 0 <= state.frame < state.status.shape[1]
        self.setAccessibleDescription(describe(state, row, state.frame) if inside and row is not None else "")

    def _repaint(self) -> None:
        viewport = self.viewport()
        if viewport is not None:
            viewport.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return room for the objects there are, at most ten rows."""
        rows = min(max(len(self._state.objects), 2), SHOWN_ROWS)
        bar = self.horizontalScrollBar() if self._zoom is not None else None
        below = 2 if bar is None else bar.sizeHint().height() + 2
        return QSize(280, self._margins()[1] + rows * self.row_height() + below)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the height of the hint and a narrow width."""
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: ARG002, N802
        """Paint cells, marks, ids, frame numbers, the current frame and the active row."""
        viewport, columns = self.viewport(), self._columns
        if viewport is None or columns is None:
            return
        place = self.geometry_now()
        painter = QPainter(viewport)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._image is not None:
            painter.save()
            # What frames the first column lies a little before it.
            painter.setClipRect(QRect(place.left - 3, place.top, viewport.width(), viewport.height()))
            self._paint_cells(painter, place)
            self._paint_cursor(painter, place, columns)
            self._paint_marks(painter, place, columns)  # last: marks are as small as lines are wide
            painter.restore()
        self._paint_ids(painter, place)
        self._paint_frames(painter, place, columns)
        painter.end()

    def _paint_cells(self, painter: QPainter, place: StripGeometry) -> None:
        if self._image is None:
            return
        size = self._size()
        across, down = place.visible_columns(size.width()), place.visible_rows(size.height())
        source = QRectF(across.start, down.start, len(across), len(down))
        corner = place.x_of(across.start), float(place.y_of(down.start))
        target = QRectF(*corner, len(across) * place.cell, len(down) * place.row)
        painter.drawImage(target, self._image, source)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Window), 2))
        for row in down:
            painter.drawLine(0, place.y_of(row), round(place.x_of(across.stop)), place.y_of(row))

    def _paint_marks(self, painter: QPainter, place: StripGeometry, columns: Columns) -> None:
        size, ink = self._size(), text_colour(self)
        across, down = place.visible_columns(size.width()), place.visible_rows(size.height())
        seen, lost = np.s_[down.start : down.stop, across.start : across.stop], lost_ends(columns)
        layers = [(columns.status[seen] == status, mark) for status, mark in _MARK_OF.items()]
        two = columns.jumps[seen] & np.any([there for there, _ in layers], axis=0)
        layers += [(columns.jumps[seen], Mark.JUMP), (lost[seen], Mark.LOST)]
        for there, mark in layers:
            for row, column in np.argwhere(there).tolist():
                x, y = place.x_of(column + across.start), place.y_of(row + down.start)
                cell = QRectF(x, y + 1, place.cell, place.row - 1)
                if two[row, column]:
                    cell = parts_of(cell).jump if mark is Mark.JUMP else parts_of(cell).other
                draw_mark(painter, mark, cell, ink)

    def _paint_cursor(self, painter: QPainter, place: StripGeometry, columns: Columns) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(text_colour(self), 1))
        row, size = self._active_row(), self._size()
        if row is not None:
            right = min(size.width() - 1.0, place.x_of(place.columns))
            painter.drawRect(QRectF(place.left, place.y_of(row) + 0.5, right - place.left, place.row))
        x = place.x_of(self._state.frame // columns.per_column)
        wide = max(place.cell, _FRAMED)
        frame = QRectF(x - (wide - place.cell) / 2, place.top - 1, wide, place.rows * place.row + 2)
        for colour, width in ((self.palette().color(QPalette.ColorRole.Window), 4), (text_colour(self), 2)):
            painter.setPen(QPen(colour, width))
            painter.drawRect(frame)

    def _paint_ids(self, painter: QPainter, place: StripGeometry) -> None:
        size, font = self._size(), self.font()
        painter.setClipRect(QRect(0, place.top, place.left, size.height()))
        for row in place.visible_rows(size.height()):
            font.setBold(self._state.objects[row] == self._state.active)
            painter.setFont(font)
            painter.setPen(text_colour(self))
            where = QRect(0, place.y_of(row), place.left - 5, place.row)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, int(flags.value), str(self._state.objects[row]))
        painter.setClipping(False)

    def _paint_frames(self, painter: QPainter, place: StripGeometry, columns: Columns) -> None:
        frames, metrics = self._state.status.shape[1], self.fontMetrics()
        font = self.font()
        font.setBold(False)
        painter.setFont(font)
        painter.setPen(text_colour(self))
        label = metrics.horizontalAdvance(str(frames)) + 12
        step = tick_step(columns.per_column / place.cell, label)
        painter.setClipRect(QRect(place.left - 4, 0, self._size().width(), place.top))
        for frame in range(0, frames, step):
            x = place.x_of(frame / columns.per_column)
            painter.drawText(QPoint(round(x) + 1, metrics.ascent()), str(frame))
            painter.drawLine(round(x), place.top - 4, round(x), place.top - 1)

    def _cell_under(self, place: QPoint) -> tuple[int, int] | None:
        """Return the row and the frame under the mouse; on the frame numbers, the active row."""
        geometry, columns = self.geometry_now(), self._columns
        if columns is None or not self._state.objects:
            return None
        if place.y() < geometry.top:
            column = geometry.column_near(place.x())
            return self._active_row() or 0, min(column * columns.per_column, self._state.status.shape[1] - 1)
        cell = geometry.cell_at(place.x(), place.y())
        return None if cell is None else (cell.row, int(columns.pick[cell.row, cell.column]))

    def _visit(self, place: QPoint) -> None:
        found = self._cell_under(place)
        if found is not None and found != self._pressed:
            self._pressed = found
            self.cell_visited.emit(self._state.objects[found[0]], found[1])

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go to the cell."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = None
            self._visit(event.position().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Follow the mouse while the button is down."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._visit(event.position().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Keep what ends a click from whatever lies beneath."""
        if event is not None:
            event.accept()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom with Ctrl, else scroll."""
        if event is None or not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        wider = self._cell * (1.25 if event.angleDelta().y() > 0 else 0.8)
        everything = fit(
            self._state.status.shape[1], self._size().width() - self._margins()[0] - 2, None
        ).cell
        self.set_zoom(None if wider <= max(everything, SMALLEST) else min(wider, 2 * LARGEST))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Step to the next frame or object with the arrow keys."""
        step = _STEPS.get(event.key()) if event is not None else None
        if step is None or not self._state.objects:
            super().keyPressEvent(event)
            return
        row = min(max((self._active_row() or 0) + step[0], 0), len(self._state.objects) - 1)
        frame = min(max(self._state.frame + step[1], 0), self._state.status.shape[1] - 1)
        self.cell_visited.emit(self._state.objects[row], frame)

    def tip_at(self, place: QPoint) -> str:
        """Return the tooltip of a place on the viewport."""
        found = self._cell_under(place)
        return describe(self._state, *found) if found is not None else ""

    def viewportEvent(self, event: QEvent | None) -> bool:  # noqa: N802
        """Show the tooltip of the cell under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos()), self)
            return True
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Lay the frames out for the new width."""
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw anew in the theme's colours."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.FontChange)
        if event is not None and event.type() in kinds and hasattr(self, "_pressed"):
            self._arrange()
            self._repaint()
