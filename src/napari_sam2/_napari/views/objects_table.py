"""The table of objects: rename, show, solo, lock, delete, and a menu for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView, QWidget

from napari_sam2._napari.state import ObjectRow, ObjectsState
from napari_sam2._napari.views.buttons import text_colour
from napari_sam2._napari.views.forms import add_entry, is_sign, menu_of
from napari_sam2._napari.views.objects_delegate import ROW_ROLE, GlyphHeader, ObjectsDelegate
from napari_sam2._napari.views.objects_model import SORT_ROLE, TOGGLES, Column, ObjectsModel

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QPaintEvent


class _Sorted(QSortFilterProxyModel):
    """Sorts by the role for sorting, and hands the whole row to the delegate."""

    def __init__(self, objects: ObjectsModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._objects = objects
        self.setSortRole(SORT_ROLE)
        self.setSourceModel(objects)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return the row itself for `ROW_ROLE`, else what the model says."""
        if role == ROW_ROLE:
            return self._objects.row_at(self.mapToSource(index).row())
        return super().data(index, role)


class ObjectsTable(QTableView):
    """Objects as rows, of which one is active.

    Clicking an icon, or Space on it, toggles; Return goes to the object; Delete deletes the selected ones.
    """

    # Ids are objects: an int of Qt ends at 2**31.
    object_activated = Signal(object)
    object_renamed = Signal(object, str)
    object_shown = Signal(object, bool)
    object_solo = Signal(object)
    object_locked = Signal(object, bool)
    objects_deleted = Signal(object)
    object_visited = Signal(object)
    merge_requested = Signal(object)
    split_requested = Signal(object)
    divide_requested = Signal(object)
    propagate_object_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ObjectsState()
        self._objects = ObjectsModel(self)
        self._sorted = _Sorted(self._objects, self)
        self._showing = False
        self.setModel(self._sorted)
        self.setItemDelegate(ObjectsDelegate(self))
        self._set_up()
        self._set_up_header()
        self._objects.renamed.connect(self.object_renamed)
        self.clicked.connect(self._press)
        self.customContextMenuRequested.connect(self._open_menu)
        selection = self.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._activate)

    def _set_up(self) -> None:
        self.setAccessibleName("Objects")
        self.setToolTip("Objects; the selected row is active. Right click for merging, splitting and more.")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        triggers = QAbstractItemView.EditTrigger
        self.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # By rows, the last of them would stay half hidden.
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        rows = self.verticalHeader()
        if rows is not None:
            rows.hide()
            rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _set_up_header(self) -> None:
        header = GlyphHeader(self._objects, self)
        self.setHorizontalHeader(header)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
        self._set_widths()
        self.setSortingEnabled(True)
        self.sortByColumn(Column.ID, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorShown(False)

    def _set_widths(self) -> None:
        rows = self.verticalHeader()
        if rows is not None:
            rows.setDefaultSectionSize(max(24, self.fontMetrics().height() + 8))
        digits, signs = self.fontMetrics().horizontalAdvance("0"), self._signs
        for column in Column:
            if column != Column.NAME:
                self.setColumnWidth(column, signs[column] * digits + 12 if column in signs else 22)

    @property
    def _signs(self) -> dict[Column, int]:
        """How many digits there is room for."""
        rows = self._state.rows
        ids, prompts = [each.obj for each in rows], [each.prompts for each in rows]
        frames = [each.frames for each in rows]
        least = {Column.ID: (3, ids), Column.PROMPTS: (2, prompts), Column.FRAMES: (4, frames)}
        most = {each: max(few, len(str(max(values, default=0)))) for each, (few, values) in least.items()}
        return {**most, Column.WORST: 3}

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the size of the font."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._set_widths()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return room for the objects there are, from three to eight rows."""
        header, rows = self.horizontalHeader(), self.verticalHeader()
        row = rows.defaultSectionSize() if rows is not None else 24
        top = header.sizeHint().height() if header is not None else 24
        return QSize(280, top + row * min(max(len(self._state.rows), 3), 8) + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the height of the rows, so that a scroll area around it does not squeeze them."""
        return QSize(200, self.sizeHint().height())

    def paintEvent(self, e: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the rows, or a sentence while there are none."""
        super().paintEvent(e)
        viewport = self.viewport()
        if viewport is not None and not self._state.rows:
            painter = QPainter(viewport)
            painter.setPen(text_colour(self))
            painter.setOpacity(0.7)
            flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
            painter.drawText(
                viewport.rect().adjusted(8, 0, -8, 0), flags, "Objects appear here as you click."
            )
            painter.end()

    def show_state(self, state: ObjectsState) -> None:
        """Draw a snapshot."""
        grown = len(state.rows) != len(self._state.rows)
        moved = state.active != self._state.active
        signs, self._state = self._signs, state
        if signs != self._signs:
            self._set_widths()
        self._showing = True
        try:
            self._objects.show_state(state)
            if moved or grown:
                self._show_active()
        finally:
            self._showing = False
        if grown:
            self.updateGeometry()

    def _show_active(self) -> None:
        selection, row = self.selectionModel(), self._objects.row_of(self._state.active)
        if selection is None:
            return
        if row is None:
            selection.clear()
            return
        index = self._sorted.mapFromSource(self._objects.index(row, Column.NAME))
        # A row that the user has taken out of several is the active one, and stays out.
        if selection.currentIndex().row() != index.row() or not selection.hasSelection():
            flags = QItemSelectionModel.SelectionFlag
            selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(index)

    def _row(self, index: QModelIndex) -> ObjectRow:
        return self._objects.row_at(self._sorted.mapToSource(index).row())

    def selected_objects(self) -> tuple[int, ...]:
        """Return the ids of the selected rows, ascending."""
        selection = self.selectionModel()
        rows = selection.selectedRows() if selection is not None else []
        return tuple(sorted(self._row(index).obj for index in rows))

    def _activate(self, current: QModelIndex) -> None:
        if not self._showing and current.isValid() and self._row(current).obj != self._state.active:
            self.object_activated.emit(self._row(current).obj)

    def _press(self, index: QModelIndex) -> None:
        if not index.isValid() or Column(index.column()) not in TOGGLES:
            return
        row = self._row(index)
        match Column(index.column()):
            case Column.SHOWN:
                self.object_shown.emit(row.obj, not row.shown)
            case Column.SOLO:
                self.object_solo.emit(None if self._state.solo == row.obj else row.obj)
            case Column.LOCKED:
                self.object_locked.emit(row.obj, not row.locked)
            case _:
                self.objects_deleted.emit((row.obj,))

    def keyPressEvent(self, e: QKeyEvent | None) -> None:  # noqa: N802
        """Toggle with Space, go there with Return, delete with Delete; letters are the viewer's."""
        if e is not None and is_sign(e) and e.text().isprintable():
            e.ignore()
        elif e is None or not self.currentIndex().isValid():
            super().keyPressEvent(e)
        elif e.key() == Qt.Key.Key_Space and Column(self.currentIndex().column()) in TOGGLES:
            self._press(self.currentIndex())
        elif e.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.object_visited.emit(self._row(self.currentIndex()).obj)
        elif e.key() == Qt.Key.Key_Delete:
            self.objects_deleted.emit(self.selected_objects())
        else:
            super().keyPressEvent(e)

    def build_menu(self) -> QMenu | None:
        """Return the menu for the selected objects, None if there are none."""
        chosen = self.selected_objects()
        if not chosen:
            return None
        row = self._row(self.currentIndex()) if self.currentIndex().isValid() else None
        obj = row.obj if row is not None and row.obj in chosen else chosen[0]
        locked = row is not None and row.locked
        menu = menu_of(self)
        one = len(chosen) == 1
        entries = (
            ("Go to", "Show a frame on which it is, and centre it.",
             lambda: self.object_visited.emit(obj), one),
            ("Track only this", "Propagate this object alone.",
             lambda: self.propagate_object_requested.emit(obj), one),
            ("Rename", "Write a name.", self._edit_name, one),
            ("Unlock" if locked else "Lock", "A locked object is never changed.",
             lambda: self.object_locked.emit(obj, not locked), one),
            ("", "", None, True),
            ("Merge into one", "Select several objects with Ctrl or Shift first.",
             lambda: self.merge_requested.emit(chosen), not one),
            ("Split here", "From this frame on it becomes an object of its own.",
             lambda: self.split_requested.emit(obj), one),
            ("Divide here", "It ends before this frame, two daughters begin on it.",
             lambda: self.divide_requested.emit(obj), one),
            ("", "", None, True),
            ("Delete", "Remove what is selected; this can be undone.",
             lambda: self.objects_deleted.emit(chosen), True),
        )  # fmt: skip
        for text, tip, act, usable in entries:
            if act is None:
                menu.addSeparator()
                continue
            add_entry(menu, text, tip, act).setEnabled(usable)
        return menu

    def _edit_name(self) -> None:
        self.edit(self._sorted.index(self.currentIndex().row(), Column.NAME))

    def _open_menu(self, place: QPoint) -> None:
        menu, viewport = self.build_menu(), self.viewport()
        if menu is not None and viewport is not None:
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(viewport.mapToGlobal(place))
