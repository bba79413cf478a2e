"""Icons: every one is drawn, in the colour asked for."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor, QPalette, QPixmap
from qtpy.QtWidgets import QWidget

from napari_sam2._napari.views import icons
from napari_sam2._napari.views.buttons import GlyphButton, text_colour, themed_icon


def inked(pixmap: QPixmap) -> set[str]:
    image = pixmap.toImage()
    pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return {colour.name() for colour in pixels if colour.alpha() == 255}


@pytest.mark.parametrize("name", icons.NAMES)
def test_every_icon_is_drawn_in_its_colour_alone(qtbot: QtBot, name: str) -> None:
    ET.fromstring(icons.svg(name, "#ff0000"))
    drawn = icons.pixmap(name, QColor("#ff0000"), 32)
    assert inked(drawn) == {"#ff0000"}


def test_icons_differ_from_one_another(qtbot: QtBot) -> None:
    assert len({icons.svg(name, "#000000") for name in icons.NAMES}) == len(icons.NAMES)


def test_icons_are_sharp_on_fine_screens(qtbot: QtBot) -> None:
    drawn = icons.pixmap("point", QColor("black"), 16, 1.5)
    assert (drawn.width(), drawn.devicePixelRatio()) == (24, 1.5)


def test_an_unknown_icon_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"'pencil'.*point"):
        icons.svg("pencil", "#000000")


def test_a_disabled_icon_is_paler(qtbot: QtBot) -> None:
    icon = themed_icon("play", QColor("black"), 24, 1.0)
    assert inked(icon.pixmap(24)) == {"#000000"}
    pale = icon.pixmap(QSize(24, 24), mode=icon.Mode.Disabled)
    assert inked(pale) == set()
    assert pale.toImage().pixelColor(11, 12).alpha() > 0


def icon_colours(button: GlyphButton) -> set[str]:
    return inked(button.icon().pixmap(button.iconSize()))


def test_the_icon_follows_the_style_sheet(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    button = GlyphButton("plus", tip="Add.", name="Add", parent=window)
    for colour in ("#ffeedd", "#112233"):
        window.setStyleSheet(f"QWidget {{ color: {colour}; }}")
        button.ensurePolished()
        assert text_colour(button).name() == colour
        assert icon_colours(button) == {colour}


def test_the_icon_follows_the_palette(qtbot: QtBot) -> None:
    button = GlyphButton("plus", tip="Add.", name="Add")
    qtbot.addWidget(button)
    palette = button.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#00ff00"))
    button.setPalette(palette)
    assert icon_colours(button) == {"#00ff00"}


def test_an_icon_of_its_own_colour_keeps_it(qtbot: QtBot) -> None:
    button = GlyphButton("plus", tip="Add.", name="Add")
    qtbot.addWidget(button)
    button.set_colour(QColor("#aa0000"))
    button.changeEvent(QEvent(QEvent.Type.PaletteChange))
    assert icon_colours(button) == {"#aa0000"}
    button.set_colour(None)
    assert icon_colours(button) == {text_colour(button).name()}


def test_a_long_text_is_elided_and_comes_back(qtbot: QtBot) -> None:
    button = GlyphButton("undo", "Undo: point on frame 12 of object 4", tip="Undo.")
    qtbot.addWidget(button)
    wide = button.sizeHint().width()
    button.show()
    button.resize(90, 30)
    assert "…" in button.text()
    assert button.full_text() == "Undo: point on frame 12 of object 4"
    assert button.sizeHint().width() == pytest.approx(wide, abs=3)
    assert button.minimumSizeHint().width() < 60
    button.resize(wide + 10, 30)
    assert button.text().strip() == button.full_text()


def test_a_button_takes_the_keyboard(qtbot: QtBot) -> None:
    button = GlyphButton("undo", "Undo", tip="Take back.")
    qtbot.addWidget(button)
    assert button.focusPolicy() == Qt.FocusPolicy.StrongFocus
    with qtbot.waitSignal(button.clicked, timeout=5000):
        qtbot.keyClick(button, Qt.Key.Key_Space)
