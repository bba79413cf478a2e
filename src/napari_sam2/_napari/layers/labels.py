"""The Labels layer that shows the masks: results are written into it, strokes are read from it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from psygnal import Signal

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.ids import is_allowed
from napari_sam2._napari.layers.label_records import LabelRecords, LeftBehind
from napari_sam2._napari.layers.label_writer import Hold, LabelWriter
from napari_sam2._napari.layers.refreshing import Refreshing
from napari_sam2._napari.layers.stroke_search import StrokeSearch
from napari_sam2._napari.layers.widening import Widening
from napari_sam2._napari.notices import tell
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from napari.components import ViewerModel

    from napari_sam2._napari.image.geometry import Place
    from napari_sam2._napari.layers.colours import ObjectColours
    from napari_sam2._napari.layers.strokes import Stroke
    from napari_sam2.changes import LabelChange

_ENCIRCLE = 2  # the button that begins napari's "encircle and fill", which goes on after it is released


class LabelsView:
    """Keeps a Labels layer and the record of what was written into it.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer is shown; it is not added here.
    geometry : SequenceGeometry
        Of the sequence that is worked on.
    array : array of unsigned integers
        Of the geometry's shape, zeros; shown as it is, and written on the GUI thread only.
    colours : ObjectColours
        Of the objects.
    options : dict
        Further options of the layer.

    Attributes
    ----------
    layer : Labels
    search : StrokeSearch
        Looks for strokes on frames that are not shown.
    writer : LabelWriter
        Writes what was computed.
    strokes : Signal(tuple[Stroke, ...], SequenceGeometry)
        What was painted, and the sequence that it belongs to.
    touched : Signal
        Somebody paints; what was said before is to be told before.
    replaced : Signal
        Labels that did not fit were put back; where they had other axes, the layer has lost its place.
    """

    strokes = Signal(tuple, SequenceGeometry)
    touched = Signal()
    picked = Signal(int)
    shuffled = Signal()
    replaced = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        geometry: SequenceGeometry,
        array: npt.NDArray[Any],
        colours: ObjectColours,
        options: dict[str, Any],
    ) -> None:
        if array.shape != geometry.shape:
            raise ValueError(f"the labels have shape {array.shape}, the image {geometry.shape}")
        self._viewer, self._geometry, self._colours = viewer, geometry, colours
        self.layer = Labels(array, multiscale=False, opacity=0.5, colormap=colours.colormap(()), **options)
        self.layer.brush_size = 10
        self._array = array
        self._records = LabelRecords(self.layer)
        self._objects: set[int] = set()
        self._highest = self._wanted = 0
        self._pressed = self._encircling = self._by_hand = self._own_write = self._is_down = False
        self._wake, self._all_frames = False, False
        self._left = LeftBehind(self._records)
        self._shown_at = self._position()
        self._turn = Later(self._compare)
        self._widening = Widening(self.layer, self._quietly, self._on_widened)
        self.search = StrokeSearch(self._take, self._emit, lambda: self._looks_later)
        self.writer = LabelWriter(self.layer, self._records, self._hold, self.search.look_at)
        self._refreshing = Refreshing(self.layer, viewer, self._quietly)
        self._wires = Connections()
        self._connect()

    def _connect(self) -> None:
        self.writer.resumed.connect(self.compare)
        self.writer.coming.connect(self._prepare)
        self.writer.seen_changed.connect(self._refreshing.soon)
        events, wires = self.layer.events, self._wires
        wires.connect(events.paint, self._on_paint)
        wires.connect(events.set_data, self._on_set_data)
        wires.connect(events.data, self._on_data)
        wires.connect(events.mode, self._end_encircling)
        for emitter in (events.n_edit_dimensions, self._viewer.dims.events.order):
            wires.connect(emitter, self._keep_within)
        wires.connect(events.selected_label, self._on_selected_label)
        wires.connect(events.colormap, self._on_colormap)
        wires.connect(self._viewer.dims.events.point, self._on_moved)
        wires.insert(self.layer.mouse_drag_callbacks, self._on_drag)

    # --- what is shown

    @property
    def geometry(self) -> SequenceGeometry:
        """The sequence that strokes belong to."""
        return self._geometry

    def set_geometry(self, geometry: SequenceGeometry) -> None:
        """Turn to another position along the axes that are neither frames, rows nor columns."""
        if self._is_down:
            self._left.note(self._geometry, self._shown())
        self.finish()
        self._geometry = geometry

    def value_at(self, place: Place) -> int:
        """Return the label at a place; 0 outside."""
        row, column = round(place.y), round(place.x)
        height, width = self._geometry.frame_shape
        if not (0 <= place.frame < self._geometry.num_frames and 0 <= row < height and 0 <= column < width):
            return 0
        self.writer.write_beneath(self._geometry, place.frame)
        return int(self._geometry.frames_of(self.layer.data)[place.frame, row, column])

    def highest(self) -> int:
        """Return the highest label that was written or painted."""
        return self._highest

    def select(self, obj: int) -> None:
        """Make an object the one that the brush paints."""
        self._wanted = obj
        self._begin_to_widen(obj)
        if not self._widening.fits(obj):
            return
        self._wanted = 0
        if self.layer.selected_label != obj:
            with self._quietly():
                self.layer.selected_label = obj

    def make_room_now(self) -> None:
        """Have room at once for what was selected: a script may write it into the pixels in the same turn."""
        if self._wanted:
            self._widening.finish()

    # --- writing

    def write(self, changes: Sequence[LabelChange], geometry: SequenceGeometry | None = None) -> None:
        """Show pixels that were computed; see `PromptLayers.write`."""
        self.compare()
        self.writer.put(changes, geometry or self._geometry)
        here = self.layer.data.dtype.itemsize
        wide = [each.values for each in changes if each.values.dtype.itemsize > here]
        self._begin_to_widen(max((int(values.max(initial=0)) for values in wide), default=0))
        self.writer.go_on()

    def _hold(self) -> Hold:
        """Tell which frames may be painted right now; napari puts back what an encircling stroke began."""
        seen = self._geometry.seen(self._viewer, self.layer)
        anywhere = self._encircling and (self._all_frames or seen is None)
        held = self._pressed or bool(self._left) or anywhere
        return Hold(seen, held, self._encircling, self._widening.is_on)

    def _begin_to_widen(self, label: int) -> None:
        self._widening.begin(label)
        if self._pressed or self._encircling:  # nothing may be painted while it goes on
            self._widening.finish()

    def _prepare(self, objects: set[int]) -> None:
        """Make room for labels that are about to be written."""
        self._highest = max(self._highest, *objects)
        self._widening.make_room(max(objects))
        self.note_objects(objects)

    def _on_widened(self) -> None:
        """Go on with what has waited for a wider type."""
        if self._wanted:
            self.select(self._wanted)
        self._turn.ask()

    def note_objects(self, objects: set[int]) -> None:
        """Remember that these objects exist; they need a place in the colormap when some are hidden."""
        fresh = objects - self._objects
        self._objects |= fresh
        if fresh and not self._colours.is_plain:
            self.show_colours()

    def show_colours(self) -> None:
        """Draw the objects in their colours."""
        with self._quietly():
            self.layer.colormap = self._colours.colormap(self._objects)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Do not take what happens to the layer for the user's doing."""
        before, self._own_write = self._own_write, True
        try:
            yield
        finally:
            self._own_write = before

    # --- strokes

    def _keep_within(self, _event: object = None) -> None:
        """Keep brush and fill within the sequence: nobody sees what they paint at other positions."""
        most = self._geometry.brush_reach(self._viewer.dims)
        if self.layer.n_edit_dimensions > most:
            self.layer.n_edit_dimensions = most
            tell(f"With more than {most} dimensions a brush would paint at other positions too: it does not.")

    def _shown(self) -> int:
        return self._geometry.frame_of(self._viewer.dims, self.layer)

    def _position(self) -> tuple[object, ...]:
        dims = self._viewer.dims
        return tuple(dims.point), tuple(dims.order), dims.ndisplay

    def _on_paint(self, _event: object = None) -> None:
        self._end_encircling()
        self._look_soon(everywhere=not self._by_hand)  # a script may paint where nobody looks

    def _look_soon(self, *, everywhere: bool = False) -> None:
        """Look for strokes on the next turn, on the frame that is shown or on all."""
        if not self._wake:
            self.touched.emit()
        self._wake, self._all_frames = True, self._all_frames or everywhere
        self._widening.begin_again()  # what was copied may be painted over
        self._turn.ask()

    def _on_moved(self, _event: object = None) -> None:
        """Look everywhere for a stroke under way: what was painted before is not on the frame shown now.

        A polygon is painted where it was begun.
        """
        under_way = self._wake or self._pressed or self._encircling or self.layer.mode == "polygon"
        self._all_frames |= under_way

    def _on_set_data(self, _event: object = None) -> None:
        """Somebody refreshed the layer without moving a slider: a script, an undo, a stroke given up."""
        moved, self._shown_at = self._shown_at != self._position(), self._position()
        if not (self._own_write or moved) and self.layer.data.shape == self._geometry.shape:
            self._encircling = False
            self._look_soon(everywhere=True)

    def _on_data(self, _event: object = None) -> None:
        if self.layer.data.shape != self._geometry.shape:
            self._put_back()
            return
        self._array = self.layer.data
        if not self._own_write:
            self._look_soon(everywhere=True)

    def _put_back(self) -> None:
        """Show the labels that were shown before somebody set others that do not fit."""
        came = self.layer.data.shape
        with self._quietly():
            self.layer.data = self._array
        self.replaced.emit()
        tell(
            f"Labels of shape {came} do not fit the image, {self._geometry.shape}: they were not taken. "
            "Add them as a layer of their own, and seed from it."
        )

    def _on_drag(self, _layer: Labels, event: Any) -> Iterator[None]:  # noqa: ANN401 - napari's mouse event
        """Hold results back while the button is down; the mode's own function paints."""
        paints = self.layer.mode in {"paint", "erase", "fill", "polygon"}
        encircles = self.layer.mode == "paint" and event.button == _ENCIRCLE
        self._pressed = paints and not self._encircling  # another button pans then
        self._is_down, self._by_hand = paints, self._by_hand or paints
        if paints:
            self._widening.finish()
        self._encircling = self._encircling or encircles
        try:
            yield
            while event.type == "mouse_move":
                yield
        finally:  # also when the release never comes: the next press drops this generator
            self._pressed = self._is_down = False
            self._all_frames |= bool(self._left)  # the way may have led over other positions
            self._left.put_back(self._geometry, self._shown())
            self._turn.ask()

    def _end_encircling(self, _event: object = None) -> None:
        self._encircling = False
        self._turn.ask()

    def let_go(self) -> None:
        """Take a stroke as ended, since another layer has been selected; an encircling one is given up."""
        self.give_up()
        self._take_as_ended()

    def give_up(self) -> bool:
        """Take back the encircling stroke that is under way, as napari does with another mode."""
        was_on, self._encircling = self._encircling, False
        if was_on:
            mode = self.layer.mode
            self.layer.mode = "pan_zoom"
            self.layer.mode = mode
        return was_on

    def _take_as_ended(self) -> None:
        """Look for a stroke the button of which is still down: napari tells of it at its end only."""
        if self._pressed:
            self._pressed = False
            self._look_soon()

    def compare(self) -> None:
        """Tell of a stroke that has ended now, not on the next turn."""
        if self._turn.waiting:
            self._turn.cancel()
            self._compare()

    @property
    def _looks_later(self) -> bool:
        """Whether a stroke is under way, or what it left at other positions was not taken back yet."""
        return self._pressed or self._encircling or bool(self._left)

    def tell(self) -> None:
        """Tell now of all strokes that have ended, also of those that are still being looked for."""
        self.compare()
        if not self._looks_later:
            self.search.finish()

    def finish(self, *, everywhere: bool = False) -> None:
        """Tell of all strokes now, those under way and those that are still being looked for among them.

        Those at other positions only if asked for: to look there takes long.
        """
        self.let_go()
        self._turn.cancel()
        self._compare()
        self.search.finish(None if everywhere else self._geometry)

    def _compare(self) -> None:
        """Find strokes on the frame that is shown at once, on others in the background."""
        if self._pressed or self._encircling:
            return
        if self._wake:
            self._wake = False
            self._find_strokes()
        self._by_hand = False
        self.writer.go_on()
        self.search.go_on()

    def _find_strokes(self) -> None:
        here, action = self._geometry, object()
        shown = self._shown()
        flat = self.layer.n_edit_dimensions <= 2 and here.frames_shown(self._viewer)
        if flat:
            self._emit(self._take(here, shown), action, here)
        if self._all_frames or not flat:
            others = here.elsewhere() if self._all_frames else ()
            self._all_frames = False
            self.search.begin((here, *others), shown, action)

    def _take(self, geometry: SequenceGeometry, frame: int) -> tuple[Stroke, ...]:
        """Find what was painted on a frame, over what is to be written there."""
        self.writer.write_beneath(geometry, frame)
        return self._records.take(geometry, frame)

    def _emit(self, strokes: Sequence[Stroke], action: object, geometry: SequenceGeometry) -> None:
        if strokes:
            painted = {stroke.obj for stroke in strokes}
            taken = {obj for obj in painted if is_allowed(obj, (self._highest,))}
            self._highest = max({self._highest, *taken})
            self.note_objects(painted)
            self.strokes.emit(tuple(replace(stroke, action=action) for stroke in strokes), geometry)

    # --- what the user picks

    def _on_selected_label(self, _event: object = None) -> None:
        if not self._own_write and self.layer.selected_label > 0:
            self.picked.emit(int(self.layer.selected_label))
            self.make_room_now()

    def _on_colormap(self, _event: object = None) -> None:
        if not self._own_write and self._colours.take_base(self.layer.colormap):
            self.shuffled.emit()

    def close(self) -> None:
        """Let the layer go, with all that was computed in it."""
        for part in (self._turn, self._widening, self.search, self.writer, self._refreshing):
            part.close()
        self._wires.close()
