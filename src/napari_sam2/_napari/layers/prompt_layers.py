"""The layers in which the user prompts and paints, and in which masks are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.keys import Command, bind_copies, bind_keys, unbind_keys
from napari_sam2._napari.layers.alongside import Alongside
from napari_sam2._napari.layers.colours import ObjectColours
from napari_sam2._napari.layers.declared import Declaration, Drawn, absorbing, same_prompts, unread
from napari_sam2._napari.layers.gestures import Gestures, Intent
from napari_sam2._napari.layers.ids import next_id
from napari_sam2._napari.layers.labels import LabelsView
from napari_sam2._napari.layers.points import PointsView
from napari_sam2._napari.layers.shapes import ShapesView
from napari_sam2._napari.layers.toolbox import Toolbox
from napari_sam2._napari.state import Tool
from napari_sam2._napari.wiring import Connections, Later
from napari_sam2.labels import blank_labels
from napari_sam2.prompts import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer, Points, Shapes

    from napari_sam2.changes import LabelChange
    from napari_sam2.prompts import FramePrompts, PromptKey


class PromptLayers:
    """Points, boxes and outlines, and labels over one image layer.

    What the layers say is declared: after any event they are read anew, and the whole set of prompts is
    told, once on the next turn of the event loop. So it makes no difference whether a point was clicked,
    moved, deleted, pasted or set by a script.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are added.
    image : Image
        The layer that is segmented; it is never changed. When it is moved or scaled, the layers follow.
    geometry : SequenceGeometry
        Which of its axes are what.

    Attributes
    ----------
    points, shapes, labels : layers
        Held by reference; their names are the user's.
    colours : ObjectColours
        Which colour each object has, and which are shown; a change is seen in all layers.
    search : StrokeSearch
        Looks for strokes on frames that are not shown.
    writer : LabelWriter
        Writes what was computed.
    tools : Toolbox
        Which tool is in use, and which cannot be used in this view.
    prompts_changed : Signal(dict[PromptKey, FramePrompts], set[PromptKey])
        All prompts that are declared now, painted masks that were shown by `show_prompts` included; and where
        a click was taken back that was not meant.
    strokes : Signal(tuple[Stroke, ...], SequenceGeometry)
        What was painted, after the stroke has ended; all frames of a 3-D brush in one. The sequence that it
        belongs to is another one than that which is worked on where a script painted at another position.
    active_changed : Signal(int)
        The user made another object the active one, possibly one that does not exist yet.
    sign_changed : Signal(bool)
        Somebody changed the sign of the next point in the layer.
    tool_changed : Signal(Tool)
        Another tool is in use.
    blocked_changed : Signal(str)
        What `Toolbox.blocked_reason` says now.
    clicked_object : Signal(int)
        An object was double-clicked or picked; `active_changed` is told as well.
    hovered : Signal(int, float, float), unhovered : Signal()
        The cursor rests with the point tool at frame, y, x; it has left that place.
    commanded : Signal(Command)
        A key was pressed, or the button beside it.
    colours_changed : Signal()
        The user shuffled the colours.
    removed : Signal()
        The user deleted one of the layers; nothing is told any more, `close` has still to be called.
    """

    prompts_changed = Signal(dict, set)
    strokes = Signal(tuple, SequenceGeometry)
    active_changed = Signal(int)
    sign_changed = Signal(bool)
    tool_changed = Signal(Tool)
    blocked_changed = Signal(str)
    clicked_object = Signal(int)
    hovered = Signal(int, float, float)
    unhovered = Signal()
    commanded = Signal(Command)
    colours_changed = Signal()
    removed = Signal()

    def __init__(self, viewer: ViewerModel, image: Image, geometry: SequenceGeometry) -> None:
        self._viewer, self._geometry = viewer, geometry
        self._intent, self.colours, self._declaration = Intent(), ObjectColours(), Declaration()
        self.is_elsewhere: Callable[[int], bool] = lambda _: False  # at another position: not a new one
        self._told: dict[PromptKey, FramePrompts] = {}
        self._to_show: Mapping[PromptKey, FramePrompts] | None = None
        self._next_object, self._gone = 1, False
        options = geometry.layer_kwargs(image)
        self._labels = LabelsView(viewer, geometry, blank_labels(geometry.shape), self.colours, options)
        self.search, self.writer = self._labels.search, self._labels.writer
        self._shapes = ShapesView(geometry, self.colours, options, viewer)
        self._points = PointsView(geometry, self.colours, options, viewer.dims)
        for layer, what in zip(self._layers, ("labels", "boxes", "points"), strict=True):
            layer.name = f"{image.name} {what}"
            viewer.add_layer(layer)
        self._alongside = Alongside(image, geometry, self._layers)
        self._turn = Later(self.flush)
        self.tools = Toolbox(viewer, geometry, self.points, self.shapes, self.labels)
        self._views = self._points, self._shapes, self._labels
        self._gestures = Gestures(viewer, *self._views, self._intent, self.next_object, self._active_is_new)
        self._wires = Connections()
        self._connect()
        self.set_active(1)

    def _connect(self) -> None:
        wires, events = self._wires, self._viewer.layers.events
        wires.connect(events.removed, self._on_layer_removed)
        wires.connect(self._viewer.layers.selection.events.active, self._on_selected)
        for layer in self._layers:
            bind_keys(layer, self.command)
        bind_copies(self.points, self._points.copy_selected, self._paste)
        for signal in (self._points.touched, self._shapes.touched, self._gestures.released):
            signal.connect(self._turn_soon)
        self._points.defaults_changed.connect(self._on_defaults)
        self._shapes.defaults_changed.connect(self._on_defaults)
        self._gestures.picked.connect(self._on_picked)
        self._gestures.hovered.connect(self.hovered)
        self._gestures.unhovered.connect(self.unhovered)
        self._labels.strokes.connect(self.strokes)
        self._labels.touched.connect(self._tell_before)
        self._labels.picked.connect(self._on_picked)
        self.colours.changed.connect(self._show_colours)
        self._labels.shuffled.connect(self._on_shuffled)
        self._labels.replaced.connect(self._alongside.place)
        self.tools.tool_changed.connect(self.tool_changed)
        self.tools.blocked_changed.connect(self.blocked_changed)
        self.tools.switched.connect(self._restore_next)

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return self.labels, self.shapes, self.points

    @property
    def points(self) -> Points:
        """The layer of points."""
        return self._points.layer

    @property
    def shapes(self) -> Shapes:
        """The layer of boxes and outlines."""
        return self._shapes.layer

    @property
    def labels(self) -> Labels:
        """The layer that shows the masks."""
        return self._labels.layer

    @property
    def geometry(self) -> SequenceGeometry:
        """The sequence that is worked on."""
        return self._geometry

    # --- what the user does

    def _turn_soon(self) -> None:
        self._labels.compare()  # what was painted before a click is told before it
        self._turn.ask()

    def _tell_before(self) -> None:
        if self._turn.waiting:
            self.flush()

    def flush(self) -> None:
        """Read the layers and tell of changes now; not while a button is down."""
        if self._gone or self._gestures.busy:
            return
        self._turn.cancel()
        if self._to_show is not None:
            waited, self._to_show = self._to_show, None
            self.show_prompts(waited)
        unmeant = self._points.take_unmeant()
        self._points.tidy()
        drawn = self._shapes.tidy()
        prompts = self._declaration.prompts(Drawn(self._points.read(), drawn.boxes, drawn.outlines))
        if absorbed := absorbing(prompts, self._told, drawn.outlines):
            prompts |= absorbed
            self._draw(prompts)
        self._settle({key.obj for key in prompts})
        if not same_prompts(prompts, self._told):
            changed = difference(self._told, prompts).changed
            self.search.look_at(self._geometry, {key.frame for key in changed})
            self._told = prompts
            self._labels.note_objects({key.obj for key in prompts})
            self.prompts_changed.emit(dict(prompts), unmeant)

    def _settle(self, objects: set[int]) -> None:
        """After a click: a new object is the active one, and the next click is as the dock says."""
        pending, self._gestures.pending = self._gestures.pending, None
        if pending is not None and pending.obj in objects:
            self._activate(pending.obj)
        self._restore_next()
        self._points.show_colours()
        self._shapes.show_colours()

    @property
    def prompts(self) -> dict[PromptKey, FramePrompts]:
        """All prompts that are declared now."""
        drawn = self._shapes.read()
        return self._declaration.prompts(Drawn(self._points.read(), drawn.boxes, drawn.outlines))

    def _restore_next(self) -> None:
        if self._gestures.busy:
            return
        self._points.set_next(self._intent.active, positive=self._intent.positive)
        self._shapes.set_next(self._intent.active)
        self._labels.select(self._intent.active)

    def _activate(self, obj: int) -> None:
        if obj != self._intent.active:
            self.set_active(obj)
            self.active_changed.emit(obj)

    def _on_picked(self, obj: int) -> None:
        self._activate(obj)
        self.clicked_object.emit(obj)

    def _on_defaults(self, obj: int, positive: bool | None = None) -> None:
        if positive is not None and positive != self._intent.positive:
            self._intent.positive = positive
            self.sign_changed.emit(positive)
        self._activate(obj)
        self._restore_next()
        self._labels.make_room_now()

    def _paste(self) -> None:
        self._points.paste(self._geometry.frame_of(self._viewer.dims, self.labels))

    def command(self, command: Command) -> None:
        """Ask for what a key stands for, or the button beside it; what was said and painted comes before.

        Undo takes back what is just being painted or drawn, if there is anything.
        """
        takes_back = command is Command.UNDO and (self._labels.give_up() or self._shapes.drawn.give_up())
        if not (self._gone or takes_back):
            self.tell()
            self.commanded.emit(command)

    def _on_shuffled(self) -> None:
        self._points.show_colours()
        self._shapes.show_colours()
        self.colours_changed.emit()

    def _on_selected(self, _event: object = None) -> None:
        active = self._viewer.layers.selection.active
        self._gestures.release(active)
        leave = self._labels.let_go, self._shapes.drawn.end, self._gestures.leave
        for layer, ended in zip(self._layers, leave, strict=True):
            if layer is not active:
                ended()

    def _on_layer_removed(self, event: Any) -> None:  # noqa: ANN401 - napari's event
        if not self._gone and any(event.value is layer for layer in self._layers):
            self._gone = True
            self._turn.cancel()
            self.removed.emit()

    # --- what the owner does

    def show_prompts(self, prompts: Mapping[PromptKey, FramePrompts]) -> None:
        """Show these prompts, as after an undo; nothing is told of it.

        What the user has just done and was not told yet is kept and told. While a button is down it waits.
        """
        if self._gestures.busy:
            self._to_show = dict(prompts)
            return
        self._to_show = None  # what waited is older
        mine = unread(prompts, self._told, self.prompts)
        wanted = {key: each for key, each in {**prompts, **mine}.items() if not each.is_empty}
        self._draw(wanted)
        self._told = dict(prompts)
        self._labels.note_objects({key.obj for key in wanted})
        if mine:
            self._turn.ask()

    def _draw(self, prompts: Mapping[PromptKey, FramePrompts]) -> None:
        outlined = self._shapes.show(prompts)
        self._points.show(prompts)
        self._declaration.remember(prompts, outlined)

    def write(self, changes: Sequence[LabelChange], geometry: SequenceGeometry | None = None) -> None:
        """Show pixels that were computed.

        Much is written in many turns of the event loop, the frame that is seen first. During a stroke they
        wait until it has ended. Frames that are not seen are not refreshed, and refreshes are merged: about
        ten a second in 2-D, one or fewer in 3-D.

        Parameters
        ----------
        changes : sequence of LabelChange
            Also a way to put back what the user painted: pass the pixels of the frame as they have to be.
        geometry : SequenceGeometry, optional
            The sequence that they belong to, if it is not the one that is worked on.
        """
        if not self._gone:
            self._labels.write(changes, geometry)

    def end_drawing(self) -> None:
        """End what is drawn or painted, and tell of changes now, as before a new object."""
        self._gestures.release()
        self._shapes.drawn.end()
        self._labels.compare()
        self.flush()

    def tell(self) -> None:
        """Tell now of all that was said and painted, at all positions; what is under way goes on."""
        self.flush()
        self._labels.tell()

    def finish(self, *, everywhere: bool = False) -> None:
        """Tell of all changes now, as before another position is turned to; at all of them only if asked."""
        self._shapes.drawn.end()
        self.flush()
        self._labels.finish(everywhere=everywhere)

    def set_geometry(self, geometry: SequenceGeometry, prompts: Mapping[PromptKey, FramePrompts]) -> None:
        """Turn to another position along the other axes, for which these prompts were given."""
        self.finish()
        self._geometry = self.tools.geometry = geometry
        self._points.geometry = self._shapes.geometry = geometry
        self._labels.set_geometry(geometry)
        self._told = self.prompts
        self.show_prompts(prompts)

    def set_tool(self, tool: Tool) -> None:
        """Select the tool's layer and mode; one that is blocked now comes back with the flat view."""
        self.tools.choose(tool)

    @property
    def active(self) -> int:
        """The active object."""
        return self._intent.active

    def set_active(self, obj: int) -> None:
        """Give the next points, shapes and strokes to an object, also one that does not exist yet."""
        self._intent.active, self._gestures.pending = obj, None
        self._labels.note_objects({obj})
        self._restore_next()

    def set_positive(self, positive: bool) -> None:
        """Make the next points positive or negative."""
        self._intent.positive = positive
        self._restore_next()

    def set_each_click_new(self, on: bool) -> None:
        """Make a new object with each positive click or drawn shape outside the active object's mask."""
        self._intent.each_click_new = on

    def set_next_object(self, obj: int) -> None:
        """Tell the lowest id that a new object may have."""
        self._next_object = obj

    def next_object(self) -> int:
        """Return an id that is not in use."""
        drawn = {*self._points.objects().tolist(), *self._shapes.objects().tolist()}
        return next_id({*drawn, self._labels.highest(), self._next_object - 1}, self._next_object)

    def _active_is_new(self) -> bool:
        active = self._intent.active
        return not any(key.obj == active for key in self._told) and not self.is_elsewhere(active)

    def _show_colours(self, objects: set[int]) -> None:
        self._labels.note_objects(objects)
        self._labels.show_colours()
        self._points.show_colours()
        self._shapes.show_colours()
        self._restore_next()

    def close(self, *, remove_layers: bool) -> None:
        """Let viewer and layers go; layers that are not removed stay in the viewer as any other."""
        self._gone = True
        for part in (self._turn, self._gestures, self.tools, self._alongside, *self._views, self._wires):
            part.close()
        for layer in self._layers:
            unbind_keys(layer)
            if remove_layers and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
