"""Buttons whose icons take the colour of the text, so that they follow every theme."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPalette, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QToolButton, QWidget

from napari_sam2._napari.views import icons

STYLE = """
QToolButton { border: 1px solid rgba(128, 128, 128, 90); border-radius: 3px; padding: 3px;
              background: rgba(128, 128, 128, 38); }
QToolButton:hover { background: rgba(128, 128, 128, 90); }
QToolButton:focus { border: 1px solid rgba(47, 127, 209, 255); }
QToolButton:pressed { background: rgba(47, 127, 209, 120); }
QToolButton:checked { background: rgba(47, 127, 209, 130); border: 1px solid rgba(47, 127, 209, 255); }
QToolButton:disabled { background: transparent; border: 1px solid rgba(128, 128, 128, 50); }
QToolButton[flat="true"] { background: transparent; border: 1px solid transparent; }
QToolButton[flat="true"]:hover { background: rgba(128, 128, 128, 70); }
QToolButton[flat="true"]:focus { border: 1px solid rgba(47, 127, 209, 255); }
QToolButton[under="true"] { padding: 3px 0px; }
QToolButton[popupMode="1"] { padding-right: 18px; }
QToolButton::menu-button { border: none; border-left: 1px solid rgba(128, 128, 128, 90); width: 16px; }
QToolButton::menu-indicator { image: none; }
"""
DISABLED = 0.35


def text_colour(widget: QWidget) -> QColor:
    """Return the colour that a widget writes in, as the theme has set it."""
    return widget.palette().color(QPalette.ColorGroup.Active, QPalette.ColorRole.WindowText)


def themed_icon(name: str, colour: QColor, size: int, ratio: float) -> QIcon:
    """Return an icon with a pale form for disabled buttons."""
    icon = QIcon(icons.pixmap(name, colour, size, ratio))
    pale = QColor(colour)
    pale.setAlphaF(DISABLED)
    icon.addPixmap(icons.pixmap(name, pale, size, ratio), QIcon.Mode.Disabled)
    return icon


class GlyphButton(QToolButton):
    """A tool button with one of our icons and, if there is room, a text that is elided to its width.

    Parameters
    ----------
    glyph : str
        Name of the icon.
    text : str
        What stands on the button; empty for an icon alone.
    tip : str
        Tooltip, one or two sentences.
    name : str
        Accessible name; the text if empty.
    checkable, flat, under : bool
        Whether it stays down, whether it has no frame, whether the text stands below the icon.
    """

    def __init__(
        self,
        glyph: str,
        text: str = "",
        *,
        tip: str,
        name: str = "",
        checkable: bool = False,
        flat: bool = False,
        under: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self._colour: QColor | None = None
        self._full = text
        self._under = under
        self.setCheckable(checkable)
        self.setProperty("flat", flat)
        self.setProperty("under", under)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(tip)
        self.setAccessibleName(name or text)
        self._arrange()
        self._draw()

    def _arrange(self) -> None:
        styles = Qt.ToolButtonStyle
        beside = styles.ToolButtonTextUnderIcon if self._under else styles.ToolButtonTextBesideIcon
        self.setToolButtonStyle(beside if self._full else styles.ToolButtonIconOnly)
        if self._full:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._write(self._full)

    def _write(self, text: str) -> None:
        """Write a text; a space keeps it off an icon beside it."""
        self.setText(text if self._under else f" {text}")

    def set_glyph(self, glyph: str) -> None:
        """Show another icon."""
        if glyph != self._glyph:
            self._glyph = glyph
            self._draw()

    def set_colour(self, colour: QColor | None) -> None:
        """Draw the icon in a colour of its own; None for that of the text."""
        if colour != self._colour:
            self._colour = colour
            self._draw()

    def set_full_text(self, text: str) -> None:
        """Write a text, elided to the width of the button."""
        if text != self._full:
            self._full = text
            self._elide()

    def full_text(self) -> str:
        """Return the text before it was elided."""
        return self._full

    def _draw(self) -> None:
        size = max(16, round(1.35 * self.fontMetrics().ascent()))
        self.setIconSize(QSize(size, size))
        colour = self._colour or text_colour(self)
        self.setIcon(themed_icon(self._glyph, colour, size, self.devicePixelRatioF()))

    def _room(self) -> int:
        icon = 0 if self._under else self.iconSize().width() + 6
        menu = 18 if self.popupMode() is QToolButton.ToolButtonPopupMode.MenuButtonPopup else 0
        return self.width() - icon - menu - (4 if self._under else 14)

    def _elide(self) -> None:
        if self._full:
            shown = self.fontMetrics().elidedText(
                self._full, Qt.TextElideMode.ElideRight, max(self._room(), 12)
            )
            if shown != self.text().strip():
                self._write(shown)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return a size that leaves room for the icon and a few letters."""
        hint = super().sizeHint()
        return QSize(min(hint.width(), self.iconSize().width() + (14 if self._under else 24)), hint.height())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size for the whole text, so that eliding does not make the button shrink for good."""
        hint = super().sizeHint()
        metrics = self.fontMetrics()
        missing = metrics.horizontalAdvance(self._full) - metrics.horizontalAdvance(self.text().strip())
        return QSize(hint.width() + max(missing, 0), hint.height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Elide the text anew."""
        super().resizeEvent(event)
        self._elide()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the icon anew in the theme's colour."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.FontChange)
        if event is not None and event.type() in kinds and hasattr(self, "_glyph"):
            self._draw()
