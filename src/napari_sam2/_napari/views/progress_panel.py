"""Propagating, pausing, undoing, and where an object begins and ends."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2._napari.views.buttons import GlyphButton, text_colour, themed_icon
from napari_sam2._napari.views.forms import add_entry, menu_of, silent
from napari_sam2._napari.views.tips import with_key
from napari_sam2._napari.views.tool_row import NO_KEYS

if TYPE_CHECKING:
    from qtpy.QtGui import QAction

_DIRECTIONS = (
    ("both", "Both ways", "From every prompted frame, forward and backward."),
    ("forward", "Forward", "From the first prompted frame to the end."),
    ("backward", "Backward", "From the last prompted frame to the beginning."),
)
_RUNNING = (Activity.PROPAGATING, Activity.PAUSED)


def time_left(seconds: float | None) -> str:
    """Return a time as people say it, such as "40 s left" or "1 h 20 min left"; empty if it is not known."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{max(round(seconds), 0)} s left"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min left" if hours else f"{minutes} min left"


def pace(state: ProgressState) -> str:
    """Return how fast it goes and how long it will take, as one line."""
    if state.activity not in _RUNNING:
        return ""
    speed = state.frames_per_second
    frames = "" if speed is None else f"{speed:.1f} frames/s" if speed < 10 else f"{speed:.0f} frames/s"
    return (
        " · ".join(each for each in (frames, time_left(state.seconds_left)) if each)
        or "Measuring the speed ..."
    )


class RangeRow(QWidget):
    """Two frame numbers and a button, shown on demand."""

    chosen = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first = self._box("First frame of the range")
        self._last = self._box("Last frame of the range")
        self._go = GlyphButton("play", tip="Propagate within these frames.", name="Propagate the range")
        self._close = GlyphButton("cancel", tip="Close the range.", name="Close the range", flat=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for each, stretch in ((QLabel("Frames"), 0), (self._first, 1), (QLabel("to"), 0), (self._last, 1)):
            row.addWidget(each, stretch)
        row.addWidget(self._go)
        row.addWidget(self._close)
        self._go.clicked.connect(self._send)
        self._close.clicked.connect(self.hide)

    @staticmethod
    def _box(name: str) -> QSpinBox:
        box = QSpinBox()
        # Themes make room for large buttons; here two boxes have to fit into a narrow dock.
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        box.setStyleSheet("QSpinBox { min-width: 30px; padding: 1px 4px; }")
        box.setAccessibleName(name)
        box.setToolTip(f"{name}, counted from 0; both ends belong to it.")
        return box

    def show_frames(self, frames: int) -> None:
        """Limit the numbers to the frames there are; a range that covered all goes on doing so."""
        last = max(frames - 1, 0)
        whole = self._last.value() == self._last.maximum()
        for box in (self._first, self._last):
            box.setRange(0, last)
        if whole:
            self._last.setValue(last)

    def _send(self) -> None:
        ends = sorted((self._first.value(), self._last.value()))
        self.chosen.emit(ends[0], ends[1])


class ProgressPanel(QWidget):
    """What starts, stops and takes back.

    Parameters
    ----------
    keys : mapping of str to str
        Keys that are shown in the tooltips, by the name of what they do: ``propagate``, ``cancel``, ``undo``,
        ``redo``, ``begins_here``, ``ends_here``, ``divides_here``, ``lock``.
    """

    propagate_requested = Signal(str)
    propagate_range_requested = Signal(int, int)
    propagate_active_requested = Signal()
    pause_toggled = Signal()
    cancel_requested = Signal()
    live_toggled = Signal(bool)
    undo_requested = Signal()
    redo_requested = Signal()
    begins_here = Signal()
    ends_here = Signal()
    divides_here = Signal()
    lock_here = Signal()

    def __init__(self, keys: Mapping[str, str] = NO_KEYS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._state = ProgressState()
        self._start = self._button(
            "both", "Propagate", "Follow every object through the frames.", "propagate"
        )
        self._live = GlyphButton(
            "live",
            "Live",
            tip="After a click, spread to the neighbouring frames in the background.",
            checkable=True,
        )
        self._bar = QProgressBar()
        self._pace = QLabel()
        self._pause = self._button("pause", "", "Pause; what is done stays.", name="Pause")
        self._cancel = self._button("cancel", "", "Stop; what is done stays.", "cancel", name="Cancel")
        self._range = RangeRow()
        self._undo = self._button("undo", "Undo", "", "undo")
        self._redo = self._button("redo", "Redo", "", "redo")
        self._begin = self._button(
            "begin", "Begins here", "The active object is on no frame before this one.", "begins_here"
        )
        self._end = self._button(
            "end", "Ends here", "The active object is on no frame after this one.", "ends_here"
        )
        self._divide = self._button(
            "divide",
            "Divides here",
            "The active object ends, two daughters begin on this frame.",
            "divides_here",
        )
        self._lock = self._button("lock", "Lock frame", "", "lock")
        self._directions = self._build_menu()
        self._finish()
        self._lay_out()
        self._connect()
        self.show_state(ProgressState())
        self.show_place(0, active=None, locked=False)

    def _button(self, glyph: str, text: str, tip: str, key: str = "", name: str = "") -> GlyphButton:
        return GlyphButton(glyph, text, tip=with_key(tip, self._keys.get(key, "")), name=name)

    def _build_menu(self) -> dict[str, QAction]:
        menu = menu_of(self._start)
        actions = {
            direction: add_entry(menu, text, tip, partial(self.propagate_requested.emit, direction))
            for direction, text, tip in _DIRECTIONS
        }
        menu.addSeparator()
        tip = "Choose the first and the last frame."
        actions["range"] = add_entry(menu, "A range of frames ...", tip, self._range.show)
        tip = "Leave the others as they are."
        actions["object"] = add_entry(
            menu, "Only the active object", tip, self.propagate_active_requested.emit
        )
        self._start.setMenu(menu)
        self._start.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        return actions

    def _finish(self) -> None:
        self._bar.setAccessibleName("Progress")
        self._bar.setToolTip("Frames that are done, of those to be computed; or seeds.")
        self._pace.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._pace.setToolTip("Frames a second, and an estimate of the time left.")
        self._range.setVisible(False)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setSpacing(4)
        first, running, history = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for layout, widgets in (
            (first, ((self._start, 3), (self._live, 1))),
            (running, ((self._bar, 1), (self._pause, 0), (self._cancel, 0))),
            (history, ((self._undo, 1), (self._redo, 1))),
        ):
            layout.setSpacing(4)
            for widget, stretch in widgets:
                layout.addWidget(widget, stretch)
        column.addLayout(first)
        column.addWidget(self._range)
        column.addLayout(running)
        column.addWidget(self._pace)
        column.addLayout(history)
        places = QGridLayout()
        places.setSpacing(4)
        for number, button in enumerate((self._begin, self._end, self._divide, self._lock)):
            places.addWidget(button, number // 2, number % 2)
        column.addLayout(places)

    def _connect(self) -> None:
        self._start.clicked.connect(lambda: self.propagate_requested.emit("both"))
        self._range.chosen.connect(self.propagate_range_requested)
        self._live.toggled.connect(self.live_toggled)
        for button, signal in (
            (self._pause, self.pause_toggled),
            (self._cancel, self.cancel_requested),
            (self._undo, self.undo_requested),
            (self._redo, self.redo_requested),
            (self._begin, self.begins_here),
            (self._end, self.ends_here),
            (self._divide, self.divides_here),
            (self._lock, self.lock_here),
        ):
            button.clicked.connect(signal)

    def show_state(self, state: ProgressState) -> None:
        """Draw a snapshot."""
        self._state = state
        running = state.activity in _RUNNING
        paused = state.activity is Activity.PAUSED
        ends = running or state.activity in {Activity.SEEDING, Activity.RENEWING}
        self._start.setEnabled(state.can_propagate)
        self._show_bar(state, running=ends)
        self._pause.setEnabled(running)
        self._pause.set_glyph("play" if paused else "pause")
        self._pause.setToolTip("Go on." if paused else "Pause; what is done stays.")
        self._pause.setAccessibleName("Resume" if paused else "Pause")
        self._cancel.setEnabled(ends)
        with silent(self._live):
            self._live.setChecked(state.live)
        self._show_history(self._undo, "Undo", state.undo_label, usable=state.can_undo)
        self._show_history(self._redo, "Redo", state.redo_label, usable=state.can_redo)

    def _show_bar(self, state: ProgressState, *, running: bool) -> None:
        self._bar.setRange(0, max(state.total, 1) if running or not state.total else state.total)
        self._bar.setValue(state.done if running else 0)
        self._bar.setFormat(f"{state.done} of {state.total}" if running and state.total else "")
        self._bar.setEnabled(running)
        self._pace.setText("Paused" if state.activity is Activity.PAUSED else pace(state))
        self._pace.setVisible(state.activity in _RUNNING)

    def _show_history(self, button: GlyphButton, verb: str, label: str, *, usable: bool) -> None:
        text = f"{verb}: {label}" if usable and label else verb
        button.setEnabled(usable)
        button.set_full_text(text.partition(" (")[0])  # there is no room for more
        button.setAccessibleName(text)
        tip = f"{text}." if usable else f"There is nothing to {verb.lower()}."
        button.setToolTip(with_key(tip, self._keys.get(verb.lower(), "")))

    def show_place(self, frames: int, *, active: int | None, locked: bool) -> None:
        """Follow the number of frames, the active object, and whether that is locked on this frame."""
        self._range.show_frames(frames)
        for button in (self._begin, self._end, self._divide, self._lock):
            button.setEnabled(active is not None)
        self._directions["object"].setEnabled(active is not None)
        self._lock.set_full_text("Unlock frame" if locked else "Lock frame")
        self._lock.setAccessibleName(self._lock.full_text())
        self._lock.set_glyph("unlock" if locked else "lock")
        tip = "Let the active object on this frame be changed again." if locked else (
            "Confirm the active object on this frame: nothing changes it there, and tracking starts from it."
        )  # fmt: skip
        self._lock.setToolTip(with_key(tip, self._keys.get("lock", "")))

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the menu's icons anew in the theme's colour."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_directions"):
            for name, action in self._directions.items():
                glyph = {"object": "solo"}.get(name, name)
                action.setIcon(themed_icon(glyph, text_colour(self), 16, self.devicePixelRatioF()))
