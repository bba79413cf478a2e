"""Choices, notes, sections and menus."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.theme import get_theme
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QCheckBox, QLabel, QMenu, QWidget

from napari_sam2._napari.views.forms import ChoiceBox, Note, add_entry, amber, menu_of, silent
from napari_sam2._napari.views.section import Section
from napari_sam2._napari.views.tips import with_key
from tests._napari.views.key_reader import KEYS_OF_THE_VIEWER, KeyReader


def test_showing_choices_is_silent_and_choosing_is_not(qtbot: QtBot) -> None:
    box = ChoiceBox("Image", "An image.", "none")
    qtbot.addWidget(box)
    heard: list[int] = []
    box.currentIndexChanged.connect(heard.append)
    box.show_choices(["a", "b"], 1)
    assert (box.currentText(), heard, box.isEnabled()) == ("b", [], True)
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert heard == [0]


def test_a_letter_chooses_nothing_and_goes_on_to_the_viewer(qtbot: QtBot) -> None:
    viewer = KeyReader()
    qtbot.addWidget(viewer)
    box = ChoiceBox("Image", "An image.", parent=viewer)
    box.show_choices(["cells", "nuclei", "genes", ",", "zebra"], 0)
    viewer.show()
    for key, modifier in KEYS_OF_THE_VIEWER:
        qtbot.keyClick(box, key, modifier)
    assert (box.currentText(), viewer.heard) == ("cells", [key for key, _ in KEYS_OF_THE_VIEWER])


def test_nothing_to_choose_is_disabled_and_says_so(qtbot: QtBot) -> None:
    box = ChoiceBox("Image", "An image.", "no image is open")
    qtbot.addWidget(box)
    box.show_choices(["a"], 0)
    box.show_choices([], None)
    assert not box.isEnabled()
    assert box.currentText() == ""
    assert box.placeholderText() == "no image is open"


def test_a_long_choice_does_not_widen_the_dock(qtbot: QtBot) -> None:
    box = ChoiceBox("Image", "An image.")
    qtbot.addWidget(box)
    box.show_choices(["a"], 0)
    narrow = box.minimumSizeHint().width()
    box.show_choices(["a very long name of a layer, as acquisition programs make them up"], 0)
    assert box.minimumSizeHint().width() == narrow
    assert box.itemData(0, Qt.ItemDataRole.ToolTipRole).startswith("a very long name")


def test_a_note_is_there_only_when_it_says_something(qtbot: QtBot) -> None:
    note = Note()
    qtbot.addWidget(note)
    assert note.isHidden()
    note.say("Look here.", "warning", warns=True)
    assert not note.isHidden()
    assert (note.text(), note.accessibleName()) == ("Look here.", "Look here.")
    note.say("")
    assert note.isHidden()


def contrast(one: QColor, other: QColor) -> float:
    """Return the ratio of luminances as WCAG defines it."""
    values = [np.array(colour.getRgbF()[:3]) for colour in (one, other)]
    linear = [np.where(each <= 0.03928, each / 12.92, ((each + 0.055) / 1.055) ** 2.4) for each in values]
    dark, light = sorted(float(each @ (0.2126, 0.7152, 0.0722)) + 0.05 for each in linear)
    return light / dark


@pytest.mark.parametrize("name", ["dark", "light"])
def test_what_warns_is_read_on_every_ground_of_a_theme(qtbot: QtBot, name: str) -> None:
    note, theme = Note(warns=True), get_theme(name)
    qtbot.addWidget(note)
    palette = note.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor(str(theme.text)))
    note.setPalette(palette)
    grounds = [theme.background, theme.foreground, theme.primary, theme.highlight]
    assert min(contrast(amber(note), QColor(str(ground))) for ground in grounds) > 3


def test_silence_ends_as_it_was_before(qtbot: QtBot) -> None:
    quiet, loud = QCheckBox(), QCheckBox()
    for each in (quiet, loud):
        qtbot.addWidget(each)
    quiet.blockSignals(True)
    with silent(quiet, loud):
        assert loud.signalsBlocked()
    assert quiet.signalsBlocked()
    assert not loud.signalsBlocked()


def test_entries_call_without_arguments(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    menu: QMenu = menu_of(parent)
    heard: list[str] = []
    action = add_entry(menu, "Go", "Go there.", lambda: heard.append("went"))
    action.trigger()
    assert heard == ["went"]
    assert (menu.actions(), action.toolTip()) == ([action], "Go there.")


def test_a_section_opens_and_closes_by_mouse_and_keyboard(qtbot: QtBot) -> None:
    body = QLabel("inside")
    section = Section("Model", body, is_open=False)
    qtbot.addWidget(section)
    section.set_summary("nano")
    section.show()
    assert not body.isVisible()
    assert section.summary() == "nano"
    with qtbot.waitSignal(section.toggled, check_params_cb=lambda is_open: is_open is True):
        qtbot.mouseClick(section._header, Qt.MouseButton.LeftButton)
    assert body.isVisible()
    assert section._header.accessibleName() == "Model, open"
    qtbot.keyClick(section._header, Qt.Key.Key_Space)
    assert not section.is_open()
    assert not body.isVisible()


def test_opening_twice_tells_once(qtbot: QtBot) -> None:
    section = Section("Model", QLabel(), is_open=False)
    qtbot.addWidget(section)
    heard: list[bool] = []
    section.toggled.connect(heard.append)
    section.set_open(True)
    section.set_open(True)
    assert heard == [True]


def test_tooltips_name_their_key() -> None:
    assert with_key("Undo.", "Ctrl+Z") == "Undo. (Ctrl+Z)"
    assert with_key("Undo.", "") == "Undo."
