"""A monkey at a dock, and what it does to the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from napari.layers import Points
from napari.utils.interactions import (
    mouse_double_click_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
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
        One of `monkey_actions.ACTIONS`.
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


def click(monkey: Monkey, y: float, x: float, way: float, *, held_ms: int = 0) -> Any:
    """Click on the frame that is shown, in four of ten cases with a key held; return the event."""
    layers = monkey.dock.layers
    layers.set_tool(Tool.POINT)
    held = {0: ("Shift",), 1: ("Shift",), 2: ("Control",)}.get(int(8 * way), ())
    position = tuple(layers.points.data_to_world(monkey.at(monkey.frame, y, x)))
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        pos=np.zeros(2),
        modifiers=held,
        dims_displayed=list(monkey.dock.viewer.dims.displayed),
        position=position,
        view_direction=None,
        handled=False,
    )
    mouse_press_callbacks(layers.points, event)
    if held_ms:
        pause(held_ms)
    event.type = "mouse_release"
    mouse_release_callbacks(layers.points, event)
    return event


def double_click(monkey: Monkey, y: float, x: float, way: float) -> None:
    """Click twice at one place; in one of three cases the first is answered before the second."""
    event = click(monkey, y, x, 0.9)
    pause(30 if way < 0.3 else 1)
    event.type = "mouse_double_click"
    mouse_double_click_callbacks(monkey.dock.layers.points, event)


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


def paint_elsewhere(monkey: Monkey, y: float, frame: float, where: float) -> None:
    """Paint at any position, as a script does."""
    labels, row = monkey.dock.labels, 2 + int(18 * y)
    volume = labels[int(where * len(labels))] if labels.ndim == 4 else labels
    volume[monkey.any_frame(frame), row : row + 3, 4:9] = pick([0, *monkey.objects], where * 7 % 1)
    monkey.dock.layers.labels.refresh()
