"""The objects as a Qt table model that changes only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal

from napari_sam2.confidence import DOUBTFUL

if TYPE_CHECKING:
    from napari_sam2._napari.state import ObjectRow, ObjectsState

SORT_ROLE = int(Qt.ItemDataRole.UserRole) + 1
GLYPH_ROLE = SORT_ROLE + 1


class Column(IntEnum):
    """Columns of the table."""

    ID = 0
    NAME = 1
    PROMPTS = 2
    FRAMES = 3
    WORST = 4
    SHOWN = 5
    SOLO = 6
    LOCKED = 7
    DELETE = 8


TOGGLES = (Column.SHOWN, Column.SOLO, Column.LOCKED, Column.DELETE)
_HEADERS = ("Id", "Name", "", "", "", "", "", "", "")
_HEADER_GLYPHS = {
    Column.PROMPTS: "point",
    Column.FRAMES: "range",
    Column.WORST: "warning",
    Column.SHOWN: "eye",
    Column.SOLO: "solo",
    Column.LOCKED: "lock",
    Column.DELETE: "delete",
}
# A screen reader says the head of its column before each cell.
_HEADER_NAMES = ("Id", "Name", "Prompts", "Frames", "Least confidence", "Shown", "Solo", "Locked", "Delete")
_HEADER_TIPS = (
    "Id, the value in the labels, on the object's colour.",
    "Name: double click, or F2, to write one.",
    "Prompts: on how many frames it was clicked, boxed or painted.",
    "Frames: on how many it has a mask.",
    "Least confidence of its tracked frames, in per cent; low is doubtful.",
    "Shown: click to hide or show its labels.",
    "Solo: show this object alone.",
    "Locked: nothing changes a locked object.",
    "Delete the object; this can be undone.",
)


_HEADER_TOLD: dict[int, tuple[str, ...]] = {
    Qt.ItemDataRole.DisplayRole: _HEADERS,
    Qt.ItemDataRole.ToolTipRole: _HEADER_TIPS,
    Qt.ItemDataRole.AccessibleTextRole: _HEADER_NAMES,
    Qt.ItemDataRole.AccessibleDescriptionRole: _HEADER_TIPS,
}


def _worst(row: ObjectRow) -> str:
    return "" if row.worst is None else f"{100 * row.worst:.0f}"


def _texts(row: ObjectRow) -> tuple[str, ...]:
    return (str(row.obj), row.name, str(row.prompts), str(row.frames), _worst(row), "", "", "", "")


def _sort_key(row: ObjectRow, column: int, *, solo: bool) -> int | float | str:
    worst = 2.0 if row.worst is None else row.worst
    return (
        row.obj,
        row.name.casefold(),
        row.prompts,
        row.frames,
        worst,
        row.shown,
        solo,
        row.locked,
        row.obj,
    )[column]


def _glyph(row: ObjectRow, column: int, *, solo: bool) -> str:
    return {
        Column.SHOWN: "eye" if row.shown else "eye_off",
        Column.SOLO: "solo" if solo else "solo_off",
        Column.LOCKED: "lock" if row.locked else "unlock",
        Column.DELETE: "delete",
    }.get(Column(column), "")


def _spoken(row: ObjectRow, column: int, *, solo: bool) -> str:
    doubt = "" if row.worst is None or row.worst >= DOUBTFUL else ", doubtful"
    parent = f", daughter of {row.parent}" if row.parent is not None else ""
    return (
        f"Object {row.obj}{parent}",
        f"Name: {row.name or 'none; double click, or F2, to write one'}",
        f"Prompts on {row.prompts} frame(s)",
        f"Masks on {row.frames} frame(s)",
        "No confidence yet" if row.worst is None else f"Least confidence {_worst(row)} %{doubt}",
        "Shown; click to hide" if row.shown else "Hidden; click to show",
        "Shown alone; click to show all" if solo else "Click to show it alone",
        "Locked; click to unlock" if row.locked else "Click to lock it against changes",
        f"Delete object {row.obj}",
    )[column]


class _Teller(Protocol):
    def __call__(self, row: ObjectRow, column: int, *, solo: bool) -> int | float | str: ...


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_TELL: dict[int, _Teller] = {
    SORT_ROLE: _sort_key,
    GLYPH_ROLE: _glyph,
    Qt.ItemDataRole.ToolTipRole: _spoken,
    Qt.ItemDataRole.AccessibleTextRole: _spoken,
}


class ObjectsModel(QAbstractTableModel):
    """Rows of `ObjectRow`; `renamed` tells of a name that was typed."""

    renamed = Signal(object, str)  # an int of Qt ends at 2**31

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ObjectRow] = []
        self._solo: int | None = None

    def row_at(self, row: int) -> ObjectRow:
        """Return what a row shows."""
        return self._rows[row]

    def row_of(self, obj: int | None) -> int | None:
        """Return the row of an object, None if there is none."""
        return next((row for row, each in enumerate(self._rows) if each.obj == obj), None)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(Column)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return that names may be written."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == Column.NAME else flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return what a cell shows, says, or is sorted by."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _texts(row)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column in (Column.PROMPTS, Column.FRAMES, Column.WORST) else None
        tell = _TELL.get(role)
        return None if tell is None else tell(row, column, solo=row.obj == self._solo)

    def setData(self, index: QModelIndex, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802
        """Tell of a new name; the table shows it when the next snapshot has it."""
        if role != Qt.ItemDataRole.EditRole or index.column() != Column.NAME:
            return False
        row = self._rows[index.row()]
        name = str(value).strip()
        if name != row.name:
            self.renamed.emit(row.obj, name)
        return True

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Return the head of a column; icons stand for the narrow ones."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == GLYPH_ROLE:
            return _HEADER_GLYPHS.get(Column(section), "")
        told = _HEADER_TOLD.get(role)
        return None if told is None else told[section]

    def show_state(self, state: ObjectsState) -> None:
        """Take a snapshot over: insert, remove and repaint only what differs."""
        solo_changed = {self._solo, state.solo} - {None} if state.solo != self._solo else set()
        self._solo = state.solo
        self._replace_middle(state.rows)
        changed = [
            row for row, new in enumerate(state.rows) if self._rows[row] != new or new.obj in solo_changed
        ]
        self._rows[:] = state.rows
        for first, last in runs(changed):
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(Column) - 1))

    def _replace_middle(self, rows: Sequence[ObjectRow]) -> None:
        """Remove and insert rows so that the ids agree; rows of the same ids before and after stay."""
        old, new = [each.obj for each in self._rows], [each.obj for each in rows]
        head = common_start(old, new)
        tail = common_start(old[head:][::-1], new[head:][::-1])
        gone, come = len(old) - tail, len(new) - tail
        if gone > head:
            self.beginRemoveRows(QModelIndex(), head, gone - 1)
            del self._rows[head:gone]
            self.endRemoveRows()
        if come > head:
            self.beginInsertRows(QModelIndex(), head, come - 1)
            self._rows[head:head] = rows[head:come]
            self.endInsertRows()


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and the last of every run of consecutive numbers; they come ascending."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def common_start(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many items two sequences have in common from the start."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
