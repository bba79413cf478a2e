"""A person at the mouse and the keyboard of a real viewer.

All is done by events: places of the image and entries of menus are clicked on, the handles of sliders are
dragged, what is not in sight is scrolled to by the wheel, paths and numbers are typed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, QRect, Qt, QTimer
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QFileDialog,
    QLineEdit,
    QMainWindow,
    QMenu,
    QScrollArea,
    QScrollBar,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QWidget,
)

from napari_sam2._napari.widget import Sam2Widget

if TYPE_CHECKING:
    import napari

Place = Sequence[float]
W = TypeVar("W", bound=QWidget)
LEFT = Qt.MouseButton.LeftButton
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
TEST: Any = QTest  # its annotations differ between the bindings
PATIENCE = 900.0
# How often a menu or a dialog is looked at, in milliseconds, and how many times at most.
READING, TURNS = 300, 60
# One notch of a wheel, in eighths of a degree.
WHEEL = 120


class Hand:
    """A person at mouse and keyboard, who counts what is done.

    Parameters
    ----------
    viewer : Viewer
        With a window.

    Attributes
    ----------
    done : Counter of str
        Actions by kind. Each notch of the wheel is one.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.done: Counter[str] = Counter()
        self.window = next(each for each in QApplication.topLevelWidgets() if isinstance(each, QMainWindow))
        # The canvas belongs to vispy; its class is known by name alone.
        inside = self.window.findChildren(QWidget)
        self.canvas = next(each for each in inside if "CanvasBackend" in type(each).__name__)

    @property
    def actions(self) -> int:
        """All that was done."""
        return self.done.total()

    @cached_property
    def widget(self) -> Sam2Widget:
        """The dock, once it is open."""
        return next(each for each in self.window.findChildren(QWidget) if isinstance(each, Sam2Widget))

    def rest(self, milliseconds: int) -> None:
        """Let the viewer live for a while."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(
                    f"waited {PATIENCE:.0f} s for nothing; the dock says: {self.widget.view.hint()}"
                )
            self.rest(20)

    def wait_until_idle(self) -> None:
        """Wait until the network rests and what it found is shown."""
        self.rest(300)
        self.widget.wait()
        self.rest(300)

    def place_of(self, place: Place) -> QPoint:
        """Return where a place (y, x) of the image lies on the canvas."""
        camera = self.viewer.scene.camera if hasattr(self.viewer, "scene") else self.viewer.camera
        centre, zoom = camera.center[-2:], camera.zoom
        y = (place[0] - centre[0]) * zoom + self.canvas.height() / 2
        x = (place[1] - centre[1]) * zoom + self.canvas.width() / 2
        return QPoint(round(x), round(y))

    def click(self, place: Place, modifier: Qt.KeyboardModifier = PLAIN) -> None:
        """Click on the image."""
        where = self.place_of(place)
        TEST.mouseMove(self.canvas, where)
        self.rest(50)
        TEST.mouseClick(self.canvas, LEFT, modifier, where)
        self.done["click"] += 1

    def drag(self, places: Sequence[Place]) -> None:
        """Press on the first place, move over the others, and let go."""
        points = [self.place_of(place) for place in places]
        TEST.mouseMove(self.canvas, points[0])
        TEST.mousePress(self.canvas, LEFT, PLAIN, points[0])
        # Napari may skip a move that comes soon after another, so the last one is made again.
        for point in (*points[1:], points[-1], points[-1]):
            self._move_pressed(self.canvas, point)
            self.rest(60)
        TEST.mouseRelease(self.canvas, LEFT, PLAIN, points[-1])
        self.done["drag"] += 1

    def _move_pressed(self, over: QWidget, point: QPoint) -> None:
        at, on_screen = QPointF(point), QPointF(over.mapToGlobal(point))
        kind, none = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
        QApplication.sendEvent(over, QMouseEvent(kind, at, on_screen, none, LEFT, PLAIN))
        self.rest(20)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = PLAIN) -> None:
        """Press a key over the image."""
        TEST.keyClick(self.canvas, key, modifier)
        self.done["key"] += 1
        self.rest(100)

    def find(self, kind: type[W], name: str) -> W:
        """Return the control that a screen reader would read so, scrolled into what the dock shows."""
        found = (each for each in self.widget.findChildren(kind) if each.accessibleName() == name)
        control = next((each for each in found if each.isVisible()), None)
        if control is None:
            raise LookupError(f"the dock shows nothing of the name {name}")
        self._scroll_to(control)
        return control

    def _scroll_to(self, control: QWidget) -> None:
        """Turn the wheel over the dock until a control lies wholly within what is shown."""
        for area in self.widget.findChildren(QScrollArea):
            inside = cast("QWidget", area.viewport())
            if inside.isAncestorOf(control):
                self._turn_until(inside, inside.rect(), partial(_within, control, inside))

    def _turn_until(self, over: QWidget, room: QRect, place: Callable[[], QRect]) -> None:
        """Turn the wheel until what has a place lies within a room, or nothing moves any more."""
        last = None
        for _ in range(TURNS):
            at = place()
            if room.contains(at) or at.height() > room.height() or at == last:
                break
            self._turn_wheel(over, -WHEEL if at.bottom() > room.bottom() else WHEEL)
            last = at

    def _turn_wheel(self, over: QWidget, angle: int) -> None:
        at = QPointF(over.rect().center())
        on_screen, none = QPointF(over.mapToGlobal(over.rect().center())), Qt.MouseButton.NoButton
        turn, phase = QPoint(0, angle), Qt.ScrollPhase.NoScrollPhase
        QApplication.sendEvent(over, QWheelEvent(at, on_screen, QPoint(), turn, none, PLAIN, phase, False))
        self.done["wheel"] += 1
        self.rest(20)

    def press(self, name: str) -> None:
        """Press a button of the dock."""
        TEST.mouseClick(self.find(QAbstractButton, name), LEFT)
        self.done["button"] += 1
        self.rest(100)

    def choose(self, button: str, entry: str) -> None:
        """Open a button's menu, and click on an entry."""
        at, where = self.find(QToolButton, button), None
        if at.popupMode() is QToolButton.ToolButtonPopupMode.MenuButtonPopup:
            where = QPoint(at.width() - 4, at.height() // 2)
        with self._reader(lambda turn: _click_entry(entry, turn)):
            TEST.mouseClick(at, LEFT, PLAIN, where or at.rect().center())
        self.done["choice"] += 1
        self.rest(100)

    def menu(self, *names: str) -> None:
        """Open the window's menus, and click on the entries whose names begin with these."""
        bar = cast("Any", self.window.menuBar())
        first = next(each for each in bar.actions() if _plain(each.text()).startswith(names[0]))
        TEST.mouseClick(bar, LEFT, PLAIN, bar.actionGeometry(first).center())
        for name in names[1:]:
            self._wait_for_entry(name)
        self.done["menu"] += 1
        self.rest(100)

    def _wait_for_entry(self, name: str) -> None:
        for turn in range(TURNS + 1):
            self.rest(READING)
            if _click_entry(name, turn):
                return
        raise TimeoutError(f"no menu with {name} opened")

    def answer(self, path: Path, ask: Callable[[], None]) -> None:
        """Ask for a file dialog, and type a path into it."""
        with self._reader(lambda turn: _type_path(str(path), turn)):
            ask()
        self.wait_until_idle()

    def open_file(self, path: Path) -> None:
        """Open a file by the menu."""
        self.answer(path, lambda: self.menu("File", "Open File(s)"))

    @contextmanager
    def _reader(self, read: Callable[[int], bool]) -> Iterator[None]:
        """Look at menus and dialogs while they are open, until one was answered."""
        turns, timer = count(), QTimer()

        def look() -> None:
            if timer.isActive() and read(next(turns)):
                timer.stop()

        timer.timeout.connect(look)
        timer.start(READING)
        yield
        if timer.isActive():
            timer.stop()
            raise TimeoutError("a menu or a dialog did not do what was asked of it")

    def type_number(self, name: str, number: int) -> None:
        """Type into a box for numbers."""
        line = cast("Any", self.find(QAbstractSpinBox, name)).lineEdit()
        TEST.mouseClick(line, LEFT)
        _retype(line, str(number))
        self.done["number"] += 1

    def visit(self, obj: int, frame: int) -> None:
        """Click on a cell of the review strip; if it is one for several frames, go on to the right one."""
        strip, review = self.widget.view.review.strip, self.widget.view.shown().review
        self._scroll_to(strip)
        seen, row = cast("QWidget", strip.viewport()), review.objects.index(obj)
        room = seen.rect().adjusted(0, strip.geometry_now().top, 0, 0)
        height = strip.row_height()
        self._turn_until(seen, room, lambda: QRect(0, strip.geometry_now().y_of(row), 1, height))
        place, count = strip.geometry_now(), review.status.shape[1]
        column = frame // -(-count // place.columns)
        at = QPoint(round(place.x_of(column + 0.5)), place.y_of(row) + place.row // 2 + 1)
        TEST.mouseClick(seen, LEFT, PLAIN, at)
        self.done["strip"] += 1
        self.wait_until_idle()
        self.go_to(frame)

    def go_to(self, frame: int, at: int | None = None) -> None:
        """Go to a frame; of (t, z, y, x), to one at a time `at`."""
        last = self.viewer.dims.ndim - 3
        if at is not None:
            self._slide(0, at)
        self._slide(last, frame)

    def _slide(self, axis: int, step: int) -> None:
        """Drag the handle of a slider to where a step is, and walk on to it by the arrow keys."""
        if self._step(axis) == step:
            return
        sliders = (each for each in self.window.findChildren(QWidget) if "DimSlider" in type(each).__name__)
        bar = next(each for each in sliders if cast("Any", each).axis == axis).findChild(QScrollBar)
        self._drag_bar(bar, step)
        while self._step(axis) != step:
            self.key(Qt.Key.Key_Right if self._step(axis) < step else Qt.Key.Key_Left)

    def _drag_bar(self, bar: QScrollBar, value: int) -> None:
        """Press on the handle of a horizontal bar, move it to where a value is, and let go."""
        handle, room = _parts(bar)
        start = handle.center()
        whole = room.width() - handle.width()
        at = QStyle.sliderPositionFromValue(bar.minimum(), bar.maximum(), value, whole)
        end = QPoint(start.x() + room.left() + at - handle.left(), start.y())
        TEST.mousePress(bar, LEFT, PLAIN, start)
        for point in ((start + end) / 2, end):
            self._move_pressed(bar, point)
        TEST.mouseRelease(bar, LEFT, PLAIN, end)
        self.done["slider"] += 1
        self.rest(200)

    def _step(self, axis: int) -> int:
        return int(self.viewer.dims.current_step[axis])


def _within(control: QWidget, around: QWidget) -> QRect:
    """Return where a control lies on a widget around it."""
    return QRect(control.mapTo(around, QPoint(0, 0)), control.size())


def _parts(bar: QScrollBar) -> tuple[QRect, QRect]:
    """Return where the handle of a bar lies, and the room in which it moves."""
    option, style = QStyleOptionSlider(), cast("QStyle", bar.style())
    bar.initStyleOption(option)
    kind, part = QStyle.ComplexControl.CC_ScrollBar, QStyle.SubControl
    handle = style.subControlRect(kind, option, part.SC_ScrollBarSlider, bar)
    return handle, style.subControlRect(kind, option, part.SC_ScrollBarGroove, bar)


def _plain(text: str) -> str:
    """Return a text of a menu without the mark of its key."""
    return text.replace("&", "")


def _click_entry(name: str, turn: int) -> bool:
    """Click on an entry of the menu that is open; false if it is not there. In the end close the menu."""
    menu = QApplication.activePopupWidget()
    if not isinstance(menu, QMenu):
        return False
    entry = next((each for each in menu.actions() if _plain(each.text()).startswith(name)), None)
    if entry is None:
        if turn >= TURNS:
            menu.close()
        return False
    TEST.mouseClick(menu, LEFT, PLAIN, menu.actionGeometry(entry).center())
    return True


def _type_path(path: str, turn: int) -> bool:
    """Type a path into the file dialog that is open, if one is; in the end close what is open."""
    dialog = QApplication.activeModalWidget()
    if dialog is None:
        return False
    if turn >= TURNS or not isinstance(dialog, QFileDialog):
        dialog.close()
        return False
    line = dialog.findChild(QLineEdit, "fileNameEdit")
    if line.text() != path:
        _retype(line, path)
    TEST.keyClick(line, Qt.Key.Key_Return)
    return not dialog.isVisible()


def _retype(line: QLineEdit, text: str) -> None:
    """Replace what a line says, key by key."""
    TEST.keyClick(line, Qt.Key.Key_A, CONTROL)
    TEST.keyClicks(line, text)
