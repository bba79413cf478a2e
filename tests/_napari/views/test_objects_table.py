"""The objects table."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QModelIndex, QPoint, Qt
from qtpy.QtGui import QColor, QHelpEvent
from qtpy.QtWidgets import QApplication, QToolTip

from napari_sam2._napari.state import ObjectsState
from napari_sam2._napari.views.objects_delegate import ink_on
from napari_sam2._napari.views.objects_model import SORT_ROLE, Column, ObjectsModel, common_start, runs
from napari_sam2._napari.views.objects_table import ObjectsTable
from tests._napari.views.key_reader import KEYS_OF_THE_VIEWER, KeyReader
from tests._napari.views.snapshots import rows


@pytest.fixture
def table(qtbot: QtBot) -> ObjectsTable:
    table = ObjectsTable()
    qtbot.addWidget(table)
    table.resize(330, 260)
    table.show()
    table.show_state(ObjectsState(rows(1, 2, 3), active=2))
    return table


def ids(table: ObjectsTable) -> list[int]:
    model = table.model()
    assert model is not None
    return [int(model.index(row, Column.ID).data()) for row in range(model.rowCount())]


def cell(table: ObjectsTable, obj: int, column: Column) -> QModelIndex:
    model = table.model()
    assert model is not None
    return model.index(ids(table).index(obj), column)


def centre(table: ObjectsTable, obj: int, column: Column) -> QPoint:
    return table.visualRect(cell(table, obj, column)).center()


def click(qtbot: QtBot, table: ObjectsTable, obj: int, column: Column) -> None:
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=centre(table, obj, column))


def select(table: ObjectsTable, *objects: int) -> None:
    table.clearSelection()
    selection = table.selectionModel()
    assert selection is not None
    flag = selection.SelectionFlag
    for obj in objects:
        selection.select(cell(table, obj, Column.ID), flag.Select | flag.Rows)


def menu_entry(table: ObjectsTable, text: str) -> None:
    menu = table.build_menu()
    assert menu is not None
    action = next(each for each in menu.actions() if each.text() == text)
    assert action.isEnabled()
    action.trigger()


small_ids = st.lists(st.integers(1, 8), unique=True, max_size=8)


@given(before=small_ids, after=small_ids)
def test_any_snapshot_is_reached_from_any_other(before: list[int], after: list[int]) -> None:
    model = ObjectsModel()
    model.show_state(ObjectsState(rows(*before)))
    model.show_state(ObjectsState(rows(*after, locked=True)))
    assert [model.row_at(row) for row in range(model.rowCount())] == list(rows(*after, locked=True))


@given(st.sets(st.integers(0, 30)))
def test_runs_cover_exactly_the_numbers(numbers: set[int]) -> None:
    found = runs(sorted(numbers))
    assert {each for first, last in found for each in range(first, last + 1)} == numbers
    assert all(left[1] + 1 < right[0] for left, right in pairwise(found))


@given(small_ids, small_ids)
def test_the_common_start_is_the_longest_one(first: list[int], second: list[int]) -> None:
    count = common_start(first, second)
    assert first[:count] == second[:count]
    assert first[count : count + 1] != second[count : count + 1] or count == len(first) == len(second)


def test_only_what_changed_is_drawn_anew(qtbot: QtBot) -> None:
    model = ObjectsModel()
    model.show_state(ObjectsState(rows(*range(1, 11))))
    heard: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: heard.append((first.row(), last.row())))
    model.show_state(ObjectsState(rows(*range(1, 11))))
    assert heard == []
    changed = list(rows(*range(1, 11)))
    changed[4] = replace(changed[4], frames=9)
    model.show_state(ObjectsState(tuple(changed)))
    assert heard == [(4, 4)]
    heard.clear()
    model.show_state(ObjectsState(tuple(changed), solo=2))
    assert heard == [(1, 1)]


def test_rows_that_stay_keep_their_place_when_others_come_and_go(qtbot: QtBot) -> None:
    model = ObjectsModel()
    heard: list[str] = []
    model.rowsInserted.connect(lambda _parent, first, last: heard.append(f"+{first}-{last}"))
    model.rowsRemoved.connect(lambda _parent, first, last: heard.append(f"-{first}-{last}"))
    model.modelReset.connect(lambda: heard.append("reset"))
    model.show_state(ObjectsState(rows(1, 2, 3)))
    model.show_state(ObjectsState(rows(1, 2, 3, 4)))
    model.show_state(ObjectsState(rows(1, 3, 4)))
    assert heard == ["+0-2", "+3-3", "-1-1"]


def test_a_thousand_objects_are_fast(qtbot: QtBot, table: ObjectsTable) -> None:
    many = rows(*range(1, 1001))
    table.show_state(ObjectsState(many, active=1))
    start = time.thread_time()  # other programs may share the processor
    for frames in range(20):
        changed = (*many[:500], replace(many[500], frames=frames), *many[501:])
        table.show_state(ObjectsState(changed, active=1))
    assert (time.thread_time() - start) / 20 < 0.05


def test_the_active_object_is_the_selected_row_and_showing_it_is_silent(
    table: ObjectsTable, qtbot: QtBot
) -> None:
    assert table.selected_objects() == (2,)
    with qtbot.assertNotEmitted(table.object_activated):
        table.show_state(ObjectsState(rows(1, 2, 3), active=3))
        table.show_state(ObjectsState(rows(1, 2, 3, 4), active=4))
        table.show_state(ObjectsState(rows(1, 2), active=1))
    assert table.selected_objects() == (1,)
    table.show_state(ObjectsState(rows(1, 2), active=None))
    assert table.selected_objects() == ()


@pytest.mark.parametrize("height", [150, 163, 178])
def test_the_active_row_is_seen_whole(table: ObjectsTable, height: int) -> None:
    table.resize(330, height)
    for count in range(1, 41):
        table.show_state(ObjectsState(rows(*range(1, count + 1)), active=count))
    viewport = table.viewport()
    assert viewport is not None
    area = table.visualRect(cell(table, 40, Column.ID))
    assert 0 <= area.top() < area.bottom() <= viewport.height()


def test_a_click_activates(table: ObjectsTable, qtbot: QtBot) -> None:
    with qtbot.waitSignal(table.object_activated) as told:
        click(qtbot, table, 3, Column.ID)
    assert told.args == [3]


@pytest.mark.parametrize(
    ("column", "signal", "args"),
    [
        (Column.SHOWN, "object_shown", [2, False]),
        (Column.SOLO, "object_solo", [2]),
        (Column.LOCKED, "object_locked", [2, True]),
        (Column.DELETE, "objects_deleted", [(2,)]),
    ],
)
def test_icons_toggle_by_mouse_and_by_keyboard(
    table: ObjectsTable, qtbot: QtBot, column: Column, signal: str, args: list[object]
) -> None:
    with qtbot.waitSignal(getattr(table, signal)) as told:
        click(qtbot, table, 2, column)
    assert told.args == args
    table.setCurrentIndex(cell(table, 2, column))
    with qtbot.waitSignal(getattr(table, signal)) as told:
        qtbot.keyClick(table, Qt.Key.Key_Space)
    assert told.args == args


def test_toggles_go_back(table: ObjectsTable, qtbot: QtBot) -> None:
    table.show_state(ObjectsState(rows(1, 2, shown=False, locked=True), active=2, solo=2))
    for column, signal, args in (
        (Column.SHOWN, table.object_shown, [2, True]),
        (Column.SOLO, table.object_solo, [None]),
        (Column.LOCKED, table.object_locked, [2, False]),
    ):
        with qtbot.waitSignal(signal) as told:
            click(qtbot, table, 2, column)
        assert told.args == args


def test_a_name_is_typed(table: ObjectsTable, qtbot: QtBot) -> None:
    table.edit(cell(table, 2, Column.NAME))
    editor = table.focusWidget() or table.indexWidget(cell(table, 2, Column.NAME))
    model = table.model()
    assert editor is not None
    assert model is not None
    with qtbot.waitSignal(table.object_renamed) as told:
        model.setData(cell(table, 2, Column.NAME), "  mother ")
    assert told.args == [2, "mother"]
    with qtbot.assertNotEmitted(table.object_renamed):
        model.setData(cell(table, 2, Column.NAME), "")
    assert not model.setData(cell(table, 2, Column.ID), "7")


def test_keys_visit_and_delete(table: ObjectsTable, qtbot: QtBot) -> None:
    with qtbot.waitSignal(table.object_visited) as told:
        qtbot.keyClick(table, Qt.Key.Key_Return)
    assert told.args == [2]
    deleted: list[tuple[int, ...]] = []
    table.objects_deleted.connect(deleted.append)
    select(table, 1, 3)
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert deleted == [(1, 3)], "in one go, so that one undo brings them back"


def test_keys_of_the_viewer_go_on_to_it(qtbot: QtBot) -> None:
    viewer = KeyReader()
    qtbot.addWidget(viewer)
    table = ObjectsTable(viewer)
    table.show_state(ObjectsState(rows(1, 2, 3), active=2))
    viewer.show()
    for key, modifier in KEYS_OF_THE_VIEWER:
        qtbot.keyClick(table, key, modifier)
    assert viewer.heard == [key for key, _ in KEYS_OF_THE_VIEWER], "Qt would look for a row by its name"
    assert table.selected_objects() == (2,)


def test_the_menu_of_one_object(table: ObjectsTable, qtbot: QtBot) -> None:
    for text, signal, args in (
        ("Go to", table.object_visited, [2]),
        ("Track only this", table.propagate_object_requested, [2]),
        ("Lock", table.object_locked, [2, True]),
        ("Split here", table.split_requested, [2]),
        ("Divide here", table.divide_requested, [2]),
        ("Delete", table.objects_deleted, [(2,)]),
    ):
        with qtbot.waitSignal(signal) as told:
            menu_entry(table, text)
        assert told.args == args


def test_the_menu_of_several_merges_and_deletes_only(table: ObjectsTable, qtbot: QtBot) -> None:
    select(table, 1, 3)
    with qtbot.waitSignal(table.merge_requested) as told:
        menu_entry(table, "Merge into one")
    assert told.args == [(1, 3)]
    menu = table.build_menu()
    assert menu is not None
    usable = {each.text() for each in menu.actions() if each.isEnabled() and each.text()}
    assert usable == {"Merge into one", "Delete"}


def test_a_row_can_be_taken_out_of_several(table: ObjectsTable, qtbot: QtBot) -> None:
    def activate(obj: int) -> None:
        table.show_state(ObjectsState(rows(1, 2, 3), active=obj))

    table.object_activated.connect(activate)
    click(qtbot, table, 1, Column.ID)
    keys = Qt.KeyboardModifier.ControlModifier
    for obj in (2, 3, 2):
        place = centre(table, obj, Column.ID)
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, keys, place)
    assert table.selected_objects() == (1, 3)
    activate(1)
    assert table.selected_objects() == (1,)


def test_no_menu_without_objects(table: ObjectsTable) -> None:
    table.show_state(ObjectsState())
    assert table.build_menu() is None


def test_long_numbers_have_room(table: ObjectsTable) -> None:
    """Ids are written on their swatch, which is a little narrower than the column."""
    letters = table.fontMetrics()
    (row,) = rows(700_000)
    table.show_state(ObjectsState((replace(row, prompts=1234, frames=25000),), active=1))
    for column, text in ((Column.ID, "700000"), (Column.PROMPTS, "1234"), (Column.FRAMES, "25000")):
        assert table.columnWidth(column) >= letters.horizontalAdvance(text) + 8
    assert table.columnWidth(Column.NAME) > 40
    table.show_state(ObjectsState(rows(1, 2), active=1))
    assert table.columnWidth(Column.ID) < letters.horizontalAdvance("700000")


def test_sorting_by_worst_brings_doubtful_ones_up_and_keeps_unscored_last(table: ObjectsTable) -> None:
    sure, doubtful, unknown = rows(1, 2, 3)
    state = ObjectsState((replace(sure, worst=0.9), replace(doubtful, worst=0.2), unknown), active=2)
    table.show_state(state)
    table.sortByColumn(Column.WORST, Qt.SortOrder.AscendingOrder)
    assert ids(table) == [2, 1, 3]
    assert table.selected_objects() == (2,)


def test_cells_say_what_they_mean(table: ObjectsTable) -> None:
    first, second, _ = rows(1, 2, 3)
    table.show_state(
        ObjectsState((replace(first, worst=0.314, parent=7, name="nucleus"), replace(second, shown=False)))
    )
    texts = [cell(table, 1, column).data() for column in Column]
    assert texts == ["1", "nucleus", "1", "5", "31", "", "", "", ""]
    assert cell(table, 1, Column.ID).data(Qt.ItemDataRole.ToolTipRole) == "Object 1, daughter of 7"
    assert "doubtful" in cell(table, 1, Column.WORST).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "Hidden" in cell(table, 2, Column.SHOWN).data(Qt.ItemDataRole.AccessibleTextRole)
    assert cell(table, 2, Column.WORST).data(SORT_ROLE) > 1


HEADS = {
    Column.ID: "Id",
    Column.NAME: "Name",
    Column.PROMPTS: "Prompts",
    Column.FRAMES: "Frames",
    Column.WORST: "Least confidence",
    Column.SHOWN: "Shown",
    Column.SOLO: "Solo",
    Column.LOCKED: "Locked",
    Column.DELETE: "Delete",
}


@pytest.mark.parametrize("column", list(Column))
def test_each_head_has_a_name_for_screen_readers_and_a_description(
    table: ObjectsTable, column: Column
) -> None:
    """Qt reads these roles out of the table's own model, a name before each cell of the column."""
    model, across, role = table.model(), Qt.Orientation.Horizontal, Qt.ItemDataRole
    assert model is not None
    assert model.headerData(column, across, role.AccessibleTextRole) == HEADS[column]
    tip = model.headerData(column, across, role.ToolTipRole)
    assert tip.startswith(HEADS[column])
    assert len(tip) > len(HEADS[column]) + 10, "it says more than the name"
    assert model.headerData(column, across, role.AccessibleDescriptionRole) == tip


@pytest.mark.parametrize("column", list(Column))
def test_the_mouse_over_a_head_shows_its_tooltip(table: ObjectsTable, column: Column) -> None:
    header = table.horizontalHeader()
    assert header is not None
    viewport = header.viewport()
    assert viewport is not None
    at = QPoint(header.sectionViewportPosition(column) + header.sectionSize(column) // 2, 5)
    QToolTip.hideText()
    help_event = QHelpEvent(QEvent.Type.ToolTip, at, viewport.mapToGlobal(at))
    QApplication.sendEvent(viewport, help_event)
    assert QToolTip.text().startswith(HEADS[column])


def test_swatches_and_icons_are_painted(table: ObjectsTable) -> None:
    image = table.grab().toImage()
    assert table.viewport() is not None
    area = table.visualRect(cell(table, 1, Column.ID))
    corner = table.viewport().mapTo(table, area.topLeft())  # type: ignore[union-attr]
    painted = image.pixelColor(corner.x() + 6, corner.y() + area.height() // 2)
    wanted = QColor.fromRgbF(*rows(1)[0].colour[:3])
    assert abs(painted.red() - wanted.red()) + abs(painted.green() - wanted.green()) < 8


def test_ids_are_readable_on_any_colour() -> None:
    assert ink_on(QColor("yellow")).name() == "#000000"
    assert ink_on(QColor("navy")).name() == "#ffffff"


def test_the_table_grows_with_its_objects_up_to_a_limit(table: ObjectsTable) -> None:
    heights = []
    for count in (0, 3, 6, 8, 200):
        table.show_state(ObjectsState(rows(*range(1, count + 1))))
        heights.append(table.sizeHint().height())
    assert heights[0] == heights[1] < heights[2] < heights[3] == heights[4]
