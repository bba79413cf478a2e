"""The tool row."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam2._napari.state import Tool, ToolState
from napari_sam2._napari.views.tool_row import NEGATIVE, POSITIVE, ToolRow


@pytest.fixture
def row(qtbot: QtBot) -> ToolRow:
    row = ToolRow({"toggle_sign": "Q"})
    qtbot.addWidget(row)
    row.show()
    return row


@pytest.mark.parametrize("tool", list(Tool))
def test_a_tool_is_chosen_with_one_click(row: ToolRow, qtbot: QtBot, tool: Tool) -> None:
    with qtbot.waitSignal(row.tool_chosen) as told:
        qtbot.mouseClick(row._tools[tool], Qt.MouseButton.LeftButton)
    assert told.args == [tool]


@pytest.mark.parametrize("tool", list(Tool))
def test_exactly_the_active_tool_is_down_and_showing_is_silent(
    row: ToolRow, qtbot: QtBot, tool: Tool
) -> None:
    with qtbot.assertNotEmitted(row.tool_chosen):
        row.show_state(ToolState(tool=tool))
    assert [each for each, button in row._tools.items() if button.isChecked()] == [tool]


def test_the_sign_is_shown_by_shape_word_and_colour(row: ToolRow, qtbot: QtBot) -> None:
    assert (row._sign.full_text(), row._sign._glyph, row._sign._colour) == ("Positive", "plus", POSITIVE)
    with qtbot.waitSignal(row.positive_chosen) as told:
        qtbot.mouseClick(row._sign, Qt.MouseButton.LeftButton)
    assert told.args == [False]
    row.show_state(ToolState(positive=False))
    assert (row._sign.full_text(), row._sign._glyph, row._sign._colour) == ("Negative", "minus", NEGATIVE)
    with qtbot.waitSignal(row.positive_chosen) as told:
        qtbot.mouseClick(row._sign, Qt.MouseButton.LeftButton)
    assert told.args == [True]
    assert row._sign.toolTip().endswith("(Q)")


def test_blocked_tools_are_disabled_with_the_reason(row: ToolRow) -> None:
    blocked = frozenset(Tool) - {Tool.POINT, Tool.PAN}
    row.show_state(ToolState(blocked="Leave 3-D with Ctrl+Y.", blocked_tools=blocked))
    assert {tool for tool, button in row._tools.items() if not button.isEnabled()} == blocked
    assert "Click" in row._tools[Tool.POINT].toolTip()
    assert row._tools[Tool.BOX].toolTip() == "Leave 3-D with Ctrl+Y."
    assert row._blocked.text() == "Leave 3-D with Ctrl+Y."
    row.show_state(ToolState())
    assert all(button.isEnabled() for button in row._tools.values())
    assert "Drag" in row._tools[Tool.BOX].toolTip()
    assert not row._blocked.isVisible()


def test_candidates_are_offered_only_when_there_is_a_choice(row: ToolRow, qtbot: QtBot) -> None:
    row.show_state(ToolState(candidates=1))
    assert not row._candidate.isVisible()
    row.show_state(ToolState(candidates=3, candidate=1))
    assert row._candidate.isVisible()
    assert row._candidate.full_text() == "2 of 3"
    with qtbot.waitSignal(row.next_candidate):
        qtbot.mouseClick(row._candidate, Qt.MouseButton.LeftButton)


def test_each_click_new_is_toggled_by_the_user_only(row: ToolRow, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(row.each_click_new_toggled):
        row.show_state(ToolState(each_click_new=True))
    assert row._each.isChecked()
    with qtbot.waitSignal(row.each_click_new_toggled) as told:
        qtbot.keyClick(row._each, Qt.Key.Key_Space)
    assert told.args == [False]


def test_new_object_and_seeds(row: ToolRow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(row.new_object):
        qtbot.mouseClick(row._new, Qt.MouseButton.LeftButton)
    menu = row._seed.menu()
    assert menu is not None
    from_layer, next_t = menu.actions()
    with qtbot.waitSignal(row.seed_requested):
        from_layer.trigger()
    row.show_other_axis("")
    assert not next_t.isVisible()
    row.show_other_axis("t")
    assert next_t.isVisible()
    assert next_t.text() == "Next t from this t"
    row.show_other_axis("axis 0")
    assert next_t.text() == "Next position from this position"
    with qtbot.waitSignal(row.seed_next_t_requested):
        next_t.trigger()
