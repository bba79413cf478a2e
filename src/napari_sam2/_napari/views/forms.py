"""Small helpers for forms: boxes of choices, sentences that wrap, and setting without signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QAction, QColor
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QMenu, QSizePolicy, QWidget

from napari_sam2._napari.views import icons
from napari_sam2._napari.views.buttons import text_colour

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

_AMBER_ON_DARK, _AMBER_ON_LIGHT = "#ffb032", "#7a4300"


def amber(widget: QWidget) -> QColor:
    """Return the colour of what is wrong or doubtful, to be read on the ground that a widget writes on."""
    on_dark = text_colour(widget).lightnessF() > 0.5
    return QColor(_AMBER_ON_DARK if on_dark else _AMBER_ON_LIGHT)


@contextmanager
def silent(*objects: QObject) -> Iterator[None]:
    """Keep objects from sending signals within the block."""
    before = [each.blockSignals(True) for each in objects]
    try:
        yield
    finally:
        for each, was in zip(objects, before, strict=True):
            each.blockSignals(was)


def is_sign(event: QKeyEvent) -> bool:
    """Tell whether a key writes a letter or another sign, with Ctrl or without.

    Qt looks for an entry that begins with it: pressed for *New object*, N would choose the image "nuclei".
    """
    return bool(event.text().strip())


class ChoiceBox(QComboBox):
    """A box of choices that is set without signals, and does not grow with its texts.

    Parameters
    ----------
    name : str
        Accessible name.
    tip : str
        Tooltip.
    empty : str
        What stands in it, grey, when there is nothing to choose.
    """

    def __init__(self, name: str, tip: str, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setPlaceholderText(empty)
        self.setMinimumContentsLength(4)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return room for a few letters and the arrow; what is longer is cut and shown in the tooltip."""
        return QSize(self.fontMetrics().horizontalAdvance("0" * 4) + 40, super().minimumSizeHint().height())

    def keyPressEvent(self, e: QKeyEvent | None) -> None:  # noqa: N802
        """Leave letters to the viewer, whose keys they are; arrows choose."""
        if e is not None and is_sign(e):
            e.ignore()
        else:
            super().keyPressEvent(e)

    def show_choices(self, texts: Sequence[str], chosen: int | None) -> None:
        """Show these texts with one of them chosen, silently."""
        with silent(self):
            if [self.itemText(row) for row in range(self.count())] != list(texts):
                self.clear()
                self.addItems(list(texts))
                for row, text in enumerate(texts):
                    self.setItemData(row, text, Qt.ItemDataRole.ToolTipRole)
            self.setCurrentIndex(-1 if chosen is None else chosen)
        self.setEnabled(bool(texts))


class Note(QWidget):
    """A sentence that wraps, with an icon in front; hidden while it is empty.

    Parameters
    ----------
    glyph : str
        Name of the icon.
    warns : bool
        Whether the icon is amber, not in the colour of the text.
    """

    def __init__(self, glyph: str = "info", *, warns: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self._warns = warns
        self._icon = QLabel(self)
        self._text = QLabel(self)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 2)
        row.setSpacing(6)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)
        self.setVisible(False)
        self._draw()

    def say(self, text: str, glyph: str = "", *, warns: bool | None = None, tip: str = "") -> None:
        """Show a sentence, with a tooltip if more is to be said; an empty one hides the note."""
        self._glyph = glyph or self._glyph
        self._warns = self._warns if warns is None else warns
        self._text.setText(text)
        self.setAccessibleName(text)
        self.setToolTip(tip or text)
        self.setAccessibleDescription(tip)
        self.setVisible(bool(text))
        self._draw()

    def text(self) -> str:
        """Return the sentence."""
        return self._text.text()

    def _draw(self) -> None:
        size = max(16, self.fontMetrics().height())
        colour = amber(self) if self._warns else text_colour(self)
        self._icon.setPixmap(icons.pixmap(self._glyph, colour, size, self.devicePixelRatioF()))
        self._icon.setFixedSize(QSize(size, size))

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the icon anew in the theme's colour."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._draw()


def menu_of(parent: QWidget) -> QMenu:
    """Return an empty menu that shows tooltips."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    return menu


def add_entry(menu: QMenu, text: str, tip: str, act: Callable[[], object]) -> QAction:
    """Add an entry to a menu.

    Parameters
    ----------
    menu : QMenu
        The menu, which owns the entry.
    text, tip : str
        What it says, and its tooltip.
    act : callable
        Called without arguments when it is chosen.
    """
    action = QAction(text, menu)
    action.setToolTip(tip)
    action.triggered.connect(lambda _checked=False: act())
    menu.addAction(action)
    return action


def form(parent: QWidget) -> QFormLayout:
    """Return a layout of labelled fields that fits a narrow dock."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout
