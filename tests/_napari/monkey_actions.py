"""What a monkey does to a dock: each action takes three numbers between 0 and 1 for where and what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from napari.layers import Points
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks
from numpy.typing import NDArray

from napari_sam2._napari.state import Tool
from tests._napari.dock import Dock, pause

T = TypeVar("T")


@dataclass(frozen=True)
class Act:
    """Something that is done.

    Attributes
    ----------
    name : str
        One of `ACTIONS`.
    draws : tuple of float
        Three numbers between 0 and 1.
    then : str
        One of `THEN`: what comes before the next action.
    """

    name: str
    draws: tuple[float, float, float]
    then: str = "now"


THEN = ("now", "turn", "rest", "check", "undo")
"""Nothing; a turn of the event loop; a short while; wait and check; wait before and after, undo and redo."""


@dataclass
class Monkey:
    """A dock, and what a monkey has at hand.

    Attributes
    ----------
    dock : Dock
        Over (t, z, y, x) or (z, y, x).
    seeds : Points
        A layer of seeds.
    folder : Path
        Where it saves.
    """

    dock: Dock
    seeds: Points
    folder: Path

    @property
    def view(self) -> Any:
        """The dock's parts."""
        return self.dock.view

    @property
    def objects(self) -> list[int]:
        """Objects in the table."""
        return [row.obj for row in self.dock.state.objects.rows]

    @property
    def shown(self) -> NDArray[Any]:
        """The labels (frames, H, W) of the position that is shown."""
        return self.dock.layers.geometry.frames_of(self.dock.labels)

    @property
    def frame(self) -> int:
        """The frame that is shown."""
        return self.dock.controller.space.frame

    def at(self, frame: int, y: float, x: float) -> NDArray[np.float64]:
        """Return a place on a frame, for the layers; y and x go from 0 to 1."""
        height, width = self.dock.layers.geometry.frame_shape
        place = np.rint([1 + y * (height - 3), 1 + x * (width - 3)])
        return np.asarray(self.dock.layers.geometry.to_layer(frame, *place), float)

    def any_frame(self, draw: float) -> int:
        """Return a frame."""
        return int(draw * self.dock.layers.geometry.num_frames)

    def points_here(self) -> list[int]:
        """Return the rows of points at the position that is shown."""
        inside = self.dock.layers.geometry.to_places(self.dock.layers.points.data).inside
        return [int(row) for row in np.flatnonzero(inside)]

    def shapes_here(self) -> list[int]:
        """Return the rows of shapes at the position that is shown."""
        return list(self.dock.layers._shapes._shapes())


def pick(options: Sequence[T], draw: float) -> T:
    """Return one of several."""
    return options[int(draw * len(options))]


# --- points and shapes


def click(monkey: Monkey, y: float, x: float, way: float, *, held_ms: int = 0) -> None:
    """Click on the frame that is shown, in four of ten cases with a key held."""
    layers = monkey.dock.layers
    layers.set_tool(Tool.POINT)
    held = {0: ("Shift",), 1: ("Shift",), 2: ("Control",)}.get(int(8 * way), ())
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        pos=np.zeros(2),
        modifiers=held,
        dims_displayed=list(monkey.dock.viewer.dims.displayed),
        position=tuple(layers.points.data_to_world(monkey.at(monkey.frame, y, x))),
    )
    mouse_press_callbacks(layers.points, event)
    if held_ms:
        pause(held_ms)
    event.type = "mouse_release"
    mouse_release_callbacks(layers.points, event)


def slow_click(monkey: Monkey, y: float, x: float, way: float) -> None:
    """Click, and keep the button down while answers come."""
    click(monkey, y, x, way, held_ms=1 + int(40 * way))


def add_point(monkey: Monkey, y: float, x: float, frame: float) -> None:
    monkey.dock.layers.points.add(monkey.at(monkey.any_frame(frame), y, x))


def move_point(monkey: Monkey, which: float, y: float, x: float) -> None:
    rows, points = monkey.points_here(), monkey.dock.layers.points
    if rows:
        row, data = pick(rows, which), points.data.copy()
        frame = int(monkey.dock.layers.geometry.to_places(data[[row]]).frame[0])
        data[row] = monkey.at(frame, y, x)
        points.data = data


def delete_point(monkey: Monkey, which: float, *_: float) -> None:
    _delete(monkey.dock.layers.points, monkey.points_here(), which)


def _delete(layer: Any, rows: list[int], which: float) -> None:
    if rows:
        layer.selected_data = {pick(rows, which)}
        layer.remove_selected()


def draw_shape(monkey: Monkey, y: float, x: float, kind: float) -> None:
    corners = [(y, x), (y, x + 0.3), (y + 0.3, x + 0.3), (y + 0.3, x)]
    vertices = np.array([monkey.at(monkey.frame, 0.8 * row, 0.8 * column) for row, column in corners])
    monkey.dock.layers.shapes.add(vertices, shape_type=pick(("rectangle", "polygon", "ellipse"), kind))


def move_shape(monkey: Monkey, which: float, y: float, x: float) -> None:
    rows, shapes = monkey.shapes_here(), monkey.dock.layers.shapes
    if rows:
        data, row = list(shapes.data), pick(rows, which)
        data[row] = data[row] + np.rint([0] * (data[row].shape[1] - 2) + [6 * y - 3, 6 * x - 3])
        shapes.data = data


def delete_shape(monkey: Monkey, which: float, *_: float) -> None:
    _delete(monkey.dock.layers.shapes, monkey.shapes_here(), which)


# --- strokes


def stroke(monkey: Monkey, y: float, x: float, what: float) -> None:
    """Paint the active object or, in one of four cases, erase."""
    layer = monkey.dock.layers.labels
    layer.brush_size = 3 + int(20 * what) % 4
    layer.paint(monkey.at(monkey.frame, y, x), layer.selected_label if what < 0.75 else 0)


def refine(monkey: Monkey, y: float, x: float, way: float) -> None:
    """Paint the active object and click on it, at once or while the stroke is answered."""
    stroke(monkey, y, x, 0.7 * way)
    if way < 0.5:
        pause(1 + int(10 * way))
    click(monkey, x, y, 0.9, held_ms=int(60 * way) % 20)


def stroke_many(monkey: Monkey, y: float, first: float, what: float) -> None:
    """Paint many frames at once, as a script does."""
    frames, row = slice(monkey.any_frame(first), None), 2 + int(18 * y)
    obj = 0 if what < 0.15 else pick(monkey.objects, what)
    monkey.shown[frames, row : row + 3, 3 + int(9 * what) : 8 + int(9 * what)] = obj
    monkey.dock.layers.labels.refresh()


def erase_object(monkey: Monkey, which: float, everywhere: float, _: float) -> None:
    shown = monkey.shown if everywhere < 0.4 else monkey.shown[monkey.frame]
    shown[shown == pick(monkey.objects, which)] = 0
    monkey.dock.layers.labels.refresh()


# --- the dock


def propagate(monkey: Monkey, way: float, first: float, last: float) -> None:
    progress = monkey.view.progress
    if way < 0.6:
        progress.propagate_requested.emit(pick(("both", "both", "forward", "backward"), way / 0.6))
    elif way < 0.8:
        progress.propagate_range_requested.emit(*sorted((monkey.any_frame(first), monkey.any_frame(last))))
    elif way < 0.9:
        progress.propagate_active_requested.emit()
    else:
        monkey.view.objects.propagate_object_requested.emit(pick(monkey.objects, first))


def lock_object(monkey: Monkey, which: float, locked: float, _: float) -> None:
    monkey.view.objects.object_locked.emit(pick(monkey.objects, which), locked < 0.5)


def delete(monkey: Monkey, which: float, other: float, both: float) -> None:
    objects = {pick(monkey.objects, which), pick(monkey.objects, other if both < 0.3 else which)}
    monkey.view.objects.objects_deleted.emit(tuple(sorted(objects)))


def merge(monkey: Monkey, which: float, other: float, _: float) -> None:
    first, second = pick(monkey.objects, which), pick(monkey.objects, other)
    if first != second:
        monkey.view.objects.merge_requested.emit((first, second))


def rename(monkey: Monkey, which: float, name: float, _: float) -> None:
    monkey.view.objects.object_renamed.emit(pick(monkey.objects, which), pick(("", "bud", "cell"), name))


def show_one(monkey: Monkey, which: float, way: float, _: float) -> None:
    obj, table = pick(monkey.objects, which), monkey.view.objects
    if way < 0.5:
        table.object_shown.emit(obj, way < 0.3)
    else:
        table.object_solo.emit(obj if way < 0.7 else None)


def visit(monkey: Monkey, which: float, way: float, frame: float) -> None:
    obj = pick(monkey.objects, which)
    if way < 0.6:
        monkey.view.objects.object_activated.emit(obj)
    elif way < 0.8:
        monkey.view.objects.object_visited.emit(obj)
    else:
        monkey.view.review.cell_visited.emit(obj, monkey.any_frame(frame))


def seed(monkey: Monkey, *_: float) -> None:
    monkey.dock.viewer.layers.selection = {monkey.seeds}
    monkey.view.tools.seed_requested.emit()


def slide(monkey: Monkey, where: float, *_: float) -> None:
    """Move the slider of the frames."""
    axis = monkey.dock.viewer.dims.ndim - 3
    monkey.dock.viewer.dims.set_current_step(axis, monkey.any_frame(where))


def slide_t(monkey: Monkey, where: float, *_: float) -> None:
    """Move the slider of the positions, if there is one."""
    dims = monkey.dock.viewer.dims
    if dims.ndim == 4:
        dims.set_current_step(0, int(where * dims.nsteps[0]))


def hover(monkey: Monkey, y: float, x: float, _: float) -> None:
    monkey.dock.controller.ahead.hover(monkey.frame, round(1 + 20 * y), round(1 + 16 * x))


def other_view(monkey: Monkey, high: float, *_: float) -> None:
    """Show the network another contrast."""
    image = monkey.dock.controller.space.image
    if image is not None:
        image.contrast_limits = (0, pick((255, 220, 180), high))
        monkey.view.image.use_current_view.emit()


def other_channel(monkey: Monkey, which: float, *_: float) -> None:
    """Show the network the composite, or the image alone."""
    channels = monkey.dock.state.image.channels
    if channels:
        monkey.view.image.channel_chosen.emit(int(which * len(channels)))


def other_model(monkey: Monkey, which: float, *_: float) -> None:
    monkey.view.model.device_chosen.emit(int(2 * which))


def other_image(monkey: Monkey, which: float, *_: float) -> None:
    monkey.view.image.image_chosen.emit(int(which * len(monkey.dock.state.image.layers)))


def save(monkey: Monkey, *_: float) -> None:
    monkey.view.files.save_requested.emit(str(monkey.folder / "work"))


def load(monkey: Monkey, which: float, *_: float) -> None:
    files = sorted(monkey.folder.glob("work*.sam2.json"))
    if files:
        monkey.view.files.load_requested.emit(str(pick(files, which)))


def recent(monkey: Monkey, which: float, *_: float) -> None:
    works = monkey.dock.controller.saving.recent
    if works:
        monkey.view.files.recent_requested.emit(int(which * len(works)))


def _press(part: str, signal: str, *values: object) -> Callable[..., None]:
    """Return an action that is a button."""

    def press(monkey: Monkey, *_: float) -> None:
        getattr(getattr(monkey.view, part), signal).emit(*values)

    return press


def _switch(part: str, signal: str) -> Callable[..., None]:
    """Return an action that is a button with two states."""

    def press(monkey: Monkey, on: float, *_: float) -> None:
        getattr(getattr(monkey.view, part), signal).emit(on < 0.5)

    return press


def _of_object(signal: str) -> Callable[..., None]:
    """Return an action on a row of the table."""

    def press(monkey: Monkey, which: float, *_: float) -> None:
        getattr(monkey.view.objects, signal).emit(pick(monkey.objects, which))

    return press


def beat(monkey: Monkey, *_: float) -> None:
    monkey.dock.controller.saving.save()


ACTIONS: dict[str, tuple[float, Callable[..., None]]] = {
    "click": (16, click),
    "slow_click": (5, slow_click),
    "add_point": (8, add_point),
    "move_point": (5, move_point),
    "delete_point": (4, delete_point),
    "draw_shape": (6, draw_shape),
    "move_shape": (2, move_shape),
    "delete_shape": (2, delete_shape),
    "stroke": (9, stroke),
    "refine": (5, refine),
    "stroke_many": (3, stroke_many),
    "erase_object": (3, erase_object),
    "new_object": (6, _press("tools", "new_object")),
    "each_click_new": (2, _switch("tools", "each_click_new_toggled")),
    "sign": (2, _switch("tools", "positive_chosen")),
    "candidate": (3, _press("tools", "next_candidate")),
    "visit": (5, visit),
    "live": (3, _switch("progress", "live_toggled")),
    "propagate": (9, propagate),
    "pause": (2, _press("progress", "pause_toggled")),
    "cancel": (3, _press("progress", "cancel_requested")),
    "begins": (2, _press("progress", "begins_here")),
    "ends": (2, _press("progress", "ends_here")),
    "divides": (2, _press("progress", "divides_here")),
    "lock": (3, _press("progress", "lock_here")),
    "lock_object": (3, lock_object),
    "divide": (1, _of_object("divide_requested")),
    "split": (2, _of_object("split_requested")),
    "delete": (3, delete),
    "merge": (2, merge),
    "rename": (2, rename),
    "show_one": (1, show_one),
    "doubtful": (1, _press("review", "next_doubtful")),
    "seed": (2, seed),
    "seed_next": (2, _press("tools", "seed_next_t_requested")),
    "undo": (16, _press("progress", "undo_requested")),
    "redo": (9, _press("progress", "redo_requested")),
    "slide": (8, slide),
    "slide_t": (8, slide_t),
    "hover": (2, hover),
    "other_view": (3, other_view),
    "other_channel": (2, other_channel),
    "other_model": (2, other_model),
    "other_image": (0.7, other_image),
    "save": (1, save),
    "load": (1, load),
    "recent": (0.7, recent),
    "beat": (2, beat),
}
"""What a monkey does, and how often."""

NO_STEP = frozenset({"refine", "undo", "redo", "slide_t", "other_image", "load", "recent"})
"""Actions that one undo does not take back."""
