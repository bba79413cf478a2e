"""The mouse on the plugin's layers: whose a click is, its sign, double clicks, and a cursor that rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sam2._napari.layers.finding import Look
from napari_sam2._napari.layers.held_button import HeldButton
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam2._napari.image.geometry import Place
    from napari_sam2._napari.layers.labels import LabelsView
    from napari_sam2._napari.layers.points import PointsView
    from napari_sam2._napari.layers.shapes import ShapesView

_RIGHT = 2
_DRAGGED = 4  # pixels of the screen; a hand that clicks may tremble
_PICKING = frozenset({"pan_zoom", "select", "pick", "add_rectangle", "add_ellipse"})  # on a double click
_REST_MS = 120


@dataclass(frozen=True)
class Given:
    """What a click or a drawn shape is.

    Attributes
    ----------
    obj : int
        Whose it is.
    positive : bool
        Whether it is on the object.
    """

    obj: int
    positive: bool


@dataclass(frozen=True)
class _Before:
    """How many points there were before a click, what was under the mouse, and which object was active."""

    points: int
    value: int
    active: int


@dataclass
class Intent:
    """What is chosen in the dock.

    Attributes
    ----------
    active : int
        The active object.
    positive : bool
        Whether clicks are positive.
    each_click_new : bool
        Whether each click makes an object.
    """

    active: int = 1
    positive: bool = True
    each_click_new: bool = False


def given(
    intent: Intent, modifiers: Collection[str], *, right_button: bool, fresh: int, refines: bool
) -> Given:
    """Decide what a click is.

    Parameters
    ----------
    intent : Intent
        What is chosen in the dock.
    modifiers : collection of str
        Held keys: Shift gives a negative point, Control refines where each click would be a new object.
    right_button : bool
        It gives a negative point too.
    fresh : int
        Id of a new object.
    refines : bool
        Whether the click belongs to the active object in any case: it has no prompt yet, or was hit.
    """
    negative = "Shift" in modifiers or right_button
    positive = intent.positive and not negative
    if intent.each_click_new and positive and not refines and "Control" not in modifiers:
        return Given(fresh, positive)
    return Given(intent.active, positive)


class Gestures:
    """Listens to the mouse on the three layers.

    Parameters
    ----------
    viewer : ViewerModel
        Whose camera stays where it is when a double click picks an object; napari zooms on one.
    points, shapes, labels : views
        Of the layers.
    intent : Intent
        Shared with the owner, read at each click.
    fresh : callable
        Returns the id of a new object.
    is_new : callable
        Tells whether the active object has no prompt and no mask.
    """

    released = Signal()
    picked = Signal(int)
    hovered = Signal(int, float, float)
    unhovered = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        points: PointsView,
        shapes: ShapesView,
        labels: LabelsView,
        intent: Intent,
        fresh: Callable[[], int],
        is_new: Callable[[], bool],
    ) -> None:
        self._viewer, self._look = viewer, Look.of(viewer)
        self._points, self._shapes, self._labels = points, shapes, labels
        self._intent, self._fresh, self._is_new = intent, fresh, is_new
        self.pressed = False
        self.pending: Given | None = None
        self._before: _Before | None = None  # the press that was last; None if it gave no point
        self._hover: Place | None = None
        self._shown = self._closed = False
        self._rest = Later(self._on_rest, _REST_MS, restart=True)
        self._wires = Connections()
        self._wires.insert(viewer.mouse_drag_callbacks, self._note_look)
        self._held = HeldButton((points.layer, shapes.layer, labels.layer))
        for layer in (points.layer, shapes.layer):
            self._wires.insert(layer.mouse_drag_callbacks, self._on_press)
        self._wires.insert(points.layer.mouse_move_callbacks, self._on_move)
        for layer in (points.layer, shapes.layer, labels.layer):
            self._wires.insert(layer.mouse_double_click_callbacks, self._on_double_click)

    @property
    def busy(self) -> bool:
        """Whether a button is down or a shape is being drawn, so that layers are not to be touched."""
        return self.pressed or self._shapes.drawing

    # --- clicks

    def _note_look(self, _viewer: ViewerModel, _event: object) -> None:
        """Note where the camera was before the first click of what may become two."""
        self._look = Look.of(self._viewer)

    def _on_press(self, layer: Layer, event: Any) -> Iterator[None]:  # noqa: ANN401 - napari's mouse event
        self.leave()
        self._before = None
        adds = str(layer.mode).startswith("add")
        if adds and not self._shapes.drawing:
            self._prepare(layer, event)
        self.pressed = True
        try:
            yield from self._follow(layer, event)
        finally:  # also when the release never comes: the next press drops this generator
            self.pressed = False
            if not self._closed:  # it may be dropped with the viewer, after those who listened
                self.released.emit()

    def _follow(self, layer: Layer, event: Any) -> Iterator[None]:  # noqa: ANN401 - napari's mouse event
        """Follow the mouse until the button is released; a shape that was not dragged is a click."""
        shapes = layer is self._shapes.layer
        start = np.array(event.pos) if shapes else None
        yield
        while event.type == "mouse_move":
            yield
        if start is not None and np.abs(np.asarray(event.pos) - start).max() < _DRAGGED:
            self._shapes.drawn.void_click()

    def _prepare(self, layer: Layer, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        """Make napari give the next point or shape to whom it belongs."""
        on_points = layer is self._points.layer
        place = self._place(layer, event)
        hit = place is not None and self._labels.value_at(place) == self._intent.active
        self.pending = given(
            self._intent,
            tuple(str(getattr(each, "name", each)) for each in event.modifiers),
            right_button=on_points and event.button == _RIGHT,
            fresh=self._fresh(),
            refines=hit or self._is_new(),
        )
        if on_points:
            count = len(self._points.layer.data)
            self._before = _Before(count, self._value_under(event), self._intent.active)
            self._points.set_next(self.pending.obj, positive=self.pending.positive)
        else:
            self._shapes.set_next(self.pending.obj)

    def _place(self, layer: Layer, event: Any) -> Place | None:  # noqa: ANN401 - napari's mouse event
        """Where the mouse is; None in the 3-D view and outside the sequence."""
        if len(event.dims_displayed) != 2:
            return None
        coords = layer.world_to_data(event.position)
        inside = self._points.geometry.to_places(coords[None]).inside[0]
        return self._points.geometry.to_place(coords) if inside else None

    def _on_double_click(self, layer: Layer, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        """Make the object under the mouse the active one; the point of its first click was not meant."""
        on_points, now = layer is self._points.layer, len(self._points.layer.data)
        draws = not on_points and str(layer.mode) not in _PICKING
        before = _Before(now, 0 if draws else self._value_under(event), self._intent.active)
        if on_points and self._before is not None and self._before.points == now - 1:
            before = self._before  # its point may have been answered, and be seen under the mouse
        if before.value in {0, before.active}:
            return
        if before.points < now:
            self._points.take_back_last()
        self.pending = self._before = None
        self._look.restore(self._viewer)
        self.picked.emit(before.value)

    def _value_under(self, event: Any) -> int:  # noqa: ANN401 - napari's mouse event
        value = self._labels.layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=list(event.dims_displayed),
            world=True,
        )
        return int(value or 0)

    # --- a cursor that rests

    def _on_move(self, layer: Layer, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        self.leave()
        if str(layer.mode) == "add":
            self._hover = self._place(layer, event)
            if self._hover is not None:
                self._rest.ask()

    def _on_rest(self) -> None:
        if self._hover is not None and not self.busy:
            self._shown = True
            self.hovered.emit(*self._hover)

    def leave(self) -> None:
        """Forget where the cursor rested."""
        self._rest.cancel()
        self._hover = None
        if self._shown:
            self._shown = False
            self.unhovered.emit()

    def release(self, selected: Layer | None = None) -> None:
        """End what is dragged, unless on the layer that is selected."""
        self._held.release(selected)

    def close(self) -> None:
        """Let the layers go."""
        self._closed = True
        self._rest.close()
        self._held.close()
        self._wires.close()
