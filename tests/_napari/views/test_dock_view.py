"""The whole dock: parts, signals, layout, and what a person without a mouse or without sight finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from napari.qt import get_stylesheet
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QProgressBar, QWidget

from napari_sam2._napari.state import ObjectsState, Tool, ToolState
from napari_sam2._napari.views.dock_view import DockView, locked_here
from napari_sam2.summary import CellStatus
from tests._napari.views.snapshots import IMAGE, MODEL, dock, review, rows


@pytest.fixture
def view(qtbot: QtBot) -> DockView:
    view = DockView({"undo": "Ctrl+Z"})
    qtbot.addWidget(view)
    view.resize(350, 900)
    view.show()
    for section in view.sections.values():
        section.set_open(True)
    return view


def test_only_parts_that_changed_are_drawn(view: DockView) -> None:
    state = dock()
    view.show_state(state)
    parts = ("image", "model", "tools", "objects", "progress", "review")
    changes: dict[str, Any] = {
        "image": replace(IMAGE, channel=0),
        "model": replace(MODEL, device=1),
        "tools": ToolState(positive=False),
        "objects": ObjectsState(rows(1, 2, 3), active=1),
        "progress": replace(state.progress, live=True),
        "review": review(active=1),
    }
    for changed, new in changes.items():
        spies = {name: MagicMock(wraps=getattr(view, name).show_state) for name in parts}
        for name, spy in spies.items():
            getattr(view, name).show_state = spy
        view.show_state(replace(state, **{changed: new}))
        assert [name for name, spy in spies.items() if spy.called] == [changed]
        view.show_state(state)
        for name in parts:
            del getattr(view, name).show_state


def controls(view: DockView) -> list[QWidget]:
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QProgressBar)
    own = [each for kind in kinds for each in view.findChildren(kind)]
    return [
        each for each in own if not each.objectName().startswith("qt_") and type(each).__module__ != "qtpy"
    ]


def test_every_control_has_a_tooltip_and_an_accessible_name(view: DockView) -> None:
    view.show_state(dock(tools=ToolState(candidates=3)))
    found = [each for each in controls(view) if each.accessibleName() or type(each) is not QAbstractButton]
    assert len(found) > 30
    assert [type(each).__name__ for each in found if not each.toolTip() or not each.accessibleName()] == []
    for each in (view.objects, view.review.strip):
        assert each.accessibleName()


def test_every_control_is_reached_with_the_keyboard(view: DockView) -> None:
    view.show_state(dock(tools=ToolState(candidates=3)))
    tabbed = set()
    widget: QWidget | None = view.image._layer
    for _ in range(400):
        if widget is None or widget in tabbed:
            break
        tabbed.add(widget)
        widget = widget.nextInFocusChain()
    wanted = [
        each for each in controls(view) if isinstance(each, QAbstractButton | QComboBox) and each.isVisible()
    ]
    unreachable = [
        each.accessibleName()
        for each in wanted
        if each not in tabbed or not each.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert unreachable == []
    assert view.objects in tabbed
    assert view.review.strip in tabbed


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("points", [9, 12, 15])
def test_nothing_is_wider_than_the_dock(view: DockView, qtbot: QtBot, points: int, theme: str) -> None:
    themed = get_stylesheet(theme, extra_variables={"font_size": f"{points}pt"})
    view.setStyleSheet(themed + view.styleSheet())
    blocked = ToolState(
        candidates=3, blocked="Leave the 3-D view with Ctrl+Y.", blocked_tools=frozenset(Tool)
    )
    view.show_state(dock(tools=blocked))
    view.progress._directions["range"].trigger()
    qtbot.wait(20)
    inside = view._area.widget()
    viewport = view._area.viewport()
    assert inside is not None
    assert viewport is not None
    assert inside.minimumSizeHint().width() <= viewport.width()
    assert view.minimumSizeHint().width() <= 350


def test_without_an_image_the_work_is_disabled(view: DockView) -> None:
    assert not view.tools.isEnabled()
    assert not view.progress.isEnabled()
    assert "Open an image" in view._hint.text()
    view.show_state(dock())
    assert view.tools.isEnabled()
    view.show_state(dock(image=replace(IMAGE, problem="One frame.")))
    assert not view.tools.isEnabled()


def test_a_closed_part_opens_when_it_has_a_problem(view: DockView) -> None:
    for name in ("Image", "Model"):
        view.sections[name].set_open(False)
    view.show_state(dock(model=replace(MODEL, problem="Broken.")))
    assert view.sections["Model"].is_open()
    assert not view.sections["Image"].is_open()
    view.show_state(dock(image=replace(IMAGE, problem="One frame.")))
    assert view.sections["Image"].is_open()


def test_closed_parts_say_what_is_in_them(view: DockView) -> None:
    view.show_state(dock())
    said = {name: section.summary() for name, section in view.sections.items()}
    assert said["Image"] == "nuclei · 12 frames along z"
    assert said["Model"] == "nano · auto"
    assert said["Objects"] == "3 objects"
    view.show_state(dock(objects=ObjectsState(rows(1))))
    assert view.sections["Objects"].summary() == "1 object"


def test_the_lock_button_knows_the_active_cell() -> None:
    state = review(frame=3, active=2)
    assert not locked_here(state, 2)
    state.status[1, 3] = CellStatus.LOCKED
    assert locked_here(state, 2)
    assert not locked_here(state, 1)
    assert not locked_here(state, None)
    assert not locked_here(state, 9)
    assert not locked_here(replace(state, frame=99), 2)


def test_keys_are_shown_in_tooltips(view: DockView) -> None:
    assert view.progress._undo.toolTip().endswith("(Ctrl+Z)")
