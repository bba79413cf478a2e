"""How a cell of the objects table is painted: swatches and icons in the theme's colours."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPalette
from qtpy.QtWidgets import QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_sam2._napari.state import ObjectRow
from napari_sam2._napari.views import icons
from napari_sam2._napari.views.buttons import text_colour
from napari_sam2._napari.views.forms import amber
from napari_sam2._napari.views.objects_model import GLYPH_ROLE, Column, ObjectsModel
from napari_sam2.confidence import DOUBTFUL

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
_FAINT = ("unlock", "solo_off", "delete", "eye_off")
AnyIndex = QModelIndex | QPersistentModelIndex


def ink_on(colour: QColor) -> QColor:
    """Return black or white, whichever is readable on a colour."""
    light = 0.299 * colour.redF() + 0.587 * colour.greenF() + 0.114 * colour.blueF()
    return QColor("black" if light > 0.5 else "white")


def _icon_rect(rect: QRect, size: int) -> QRect:
    return QRect(rect.center().x() - size // 2 + 1, rect.center().y() - size // 2 + 1, size, size)


class ObjectsDelegate(QStyledItemDelegate):
    """Paints the id on its colour, and toggles as icons in the colour of the table's text."""

    def __init__(self, table: QWidget) -> None:
        super().__init__(table)
        self._table = table

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        """Paint a cell."""
        super().paint(painter, option, index)  # type: ignore[arg-type]
        row = index.data(ROW_ROLE)
        if painter is None or not isinstance(row, ObjectRow):
            return
        painter.save()
        if index.column() == Column.ID:
            self._paint_swatch(painter, option.rect, row)
        elif glyph := index.data(GLYPH_ROLE):
            self._paint_glyph(painter, option, str(glyph))
        painter.restore()

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: AnyIndex) -> None:  # noqa: N802
        """Keep Qt from writing what is painted here, and write what is doubtful in amber."""
        super().initStyleOption(option, index)  # type: ignore[arg-type]
        if option is None:
            return
        if index.column() == Column.ID:
            option.text = ""
        row = index.data(ROW_ROLE)
        if index.column() == Column.WORST and isinstance(row, ObjectRow) and (row.worst or 1.0) < DOUBTFUL:
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                option.palette.setColor(role, amber(self._table))
            option.font.setBold(True)

    @staticmethod
    def _paint_swatch(painter: QPainter, rect: QRect, row: ObjectRow) -> None:
        colour = QColor.fromRgbF(*row.colour[:3])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(rect).adjusted(3, 3, -3, -3), 3, 3)
        painter.setPen(ink_on(colour))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, str(row.obj))

    def _paint_glyph(self, painter: QPainter, option: QStyleOptionViewItem, glyph: str) -> None:
        colour = text_colour(self._table)
        colour.setAlphaF(0.45 if glyph in _FAINT else 1.0)
        device = painter.device()
        ratio = device.devicePixelRatioF() if device is not None else 1.0
        painter.drawPixmap(_icon_rect(option.rect, 15), icons.pixmap(glyph, colour, 15, ratio))

    def sizeHint(self, option: QStyleOptionViewItem, index: AnyIndex) -> QSize:  # noqa: N802
        """Return a size that leaves air around the text."""
        hint = super().sizeHint(option, index)  # type: ignore[arg-type]
        return QSize(hint.width(), max(22, option.fontMetrics.height() + 6))


class GlyphHeader(QHeaderView):
    """A header that paints icons in the theme's colour for columns too narrow for a word."""

    def __init__(self, model: ObjectsModel, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._heads = model
        self.setAccessibleName("Columns of the objects table; press one to sort by it")
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setMinimumSectionSize(22)

    def paintSection(self, painter: QPainter | None, rect: QRect, logicalIndex: int) -> None:  # noqa: N802
        """Paint the head of a column."""
        if painter is None:
            return
        painter.save()
        super().paintSection(painter, rect, logicalIndex)
        painter.restore()
        glyph = self._heads.headerData(logicalIndex, Qt.Orientation.Horizontal, GLYPH_ROLE)
        if glyph:
            icon = QIcon(icons.pixmap(str(glyph), text_colour(self), 14, self.devicePixelRatioF()))
            icon.paint(painter, _icon_rect(rect, 14))
