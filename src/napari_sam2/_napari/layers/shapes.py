"""The Shapes layer: rectangles are boxes, closed shapes are masks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from psygnal import Signal
from skimage.draw import polygon2mask

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._napari.layers.columns import OBJECT, fill_objects, object_column
from napari_sam2._napari.layers.drawing import Drawing
from napari_sam2._napari.layers.lines import EvenLines
from napari_sam2._napari.layers.shape_rows import rebuild, trim_features
from napari_sam2._napari.notices import tell
from napari_sam2._napari.wiring import Connections
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from napari.components import ViewerModel

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.colours import ObjectColours
    from napari_sam2.prompts import FramePrompts, PromptBox

    Mask = npt.NDArray[np.bool_]
    Vertices = npt.NDArray[np.float64]

CLOSED = frozenset({"polygon", "ellipse"})
_REMEMBERED = 200
_ELLIPSE_POINTS = 72
_LEAST_WIDTH = 1.0  # of a box, in pixels of the frame


@dataclass
class DrawnShapes:
    """What the shapes of a sequence say.

    Attributes
    ----------
    boxes : dict of PromptKey to PromptBox
    outlines : dict of PromptKey to PackedMask
        Union of the closed shapes.
    rows : dict of PromptKey to list of int
        Which shapes these are.
    void : list of int
        Shapes that say nothing: rectangles that a later one of the same object and frame took the place of,
        those not as wide as a pixel, and closed shapes without pixels.
    """

    boxes: dict[PromptKey, PromptBox] = field(default_factory=dict)
    outlines: dict[PromptKey, PackedMask] = field(default_factory=dict)
    rows: dict[PromptKey, list[int]] = field(default_factory=dict)
    void: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Shape:
    """A shape on one frame; vertices (n, 2) in pixels."""

    key: PromptKey
    kind: str
    yx: Vertices


class ShapesView:
    """Keeps a Shapes layer whose feature says whose each shape is.

    Parameters are those of `PointsView`, with the viewer instead of its sliders. A shape is a prompt if it
    lies on one frame of the sequence, as it does if it was drawn while the frame axis was a slider.

    Attributes
    ----------
    layer : Shapes
    touched : Signal
        Something happened that may have changed the shapes.
    defaults_changed : Signal(int)
        A script says whose the next shape is.
    """

    touched = Signal()
    defaults_changed = Signal(int)

    def __init__(
        self,
        geometry: SequenceGeometry,
        colours: ObjectColours,
        options: dict[str, Any],
        viewer: ViewerModel,
    ) -> None:
        self.geometry, self._colours, self._obj = geometry, colours, 1
        self._selected: set[int] = set()
        self._given: dict[PromptKey, PromptBox] = {}
        self._masks: dict[bytes, PackedMask] = {}
        self._unions: dict[tuple[bytes, ...], PackedMask] = {}
        self._memory: OrderedDict[tuple[PromptKey, PackedMask], list[_Shape]] = OrderedDict()
        self.layer = Shapes(
            None,
            ndim=geometry.ndim,
            features={OBJECT: np.zeros(0, np.int64)},
            feature_defaults={OBJECT: 1},
            face_color="#ffffff10",
            **options,
        )
        self.drawn = Drawing(self.layer, self._with_first)
        self._lines = EvenLines(viewer, self.layer, lambda: self.drawing)
        self._wires = Connections()
        events = self.layer.events
        self._wires.connect(events.data, self._on_data)
        for emitter in (events.features, events.properties, events.set_data, events.mode):
            self._wires.connect(emitter, self._on_touched)
        self._wires.connect(events.feature_defaults, self._on_defaults)
        self._wires.connect(self.layer.selected_data.events.items_changed, self._on_selected)
        self.set_next(1)

    def _on_data(self, event: Any) -> None:  # noqa: ANN401 - napari's event
        self.drawn.follow(event)
        if not self.drawing and trim_features(self.layer):
            self.restore_next()
        self.touched.emit()

    def _with_first(self, vertices: Vertices) -> npt.NDArray[np.bool_]:
        return self.geometry.with_first(vertices)  # of the position that is worked on then

    @property
    def drawing(self) -> bool:
        """Whether a shape is being drawn, so that the layer is not to be touched."""
        return self.drawn.is_on

    def _on_touched(self, _event: object = None) -> None:
        self.touched.emit()

    def _on_selected(self, *_news: object) -> None:
        self._selected = set(self.layer.selected_data)
        self.touched.emit()

    # --- whose the next shape is

    def set_next(self, obj: int) -> None:
        """Say whose the next shape is."""
        self._obj = obj
        self.restore_next()

    def restore_next(self) -> None:
        """Say it again: napari takes the values of a shape that is selected."""
        self._selected, table = set(self.layer.selected_data), self.layer.feature_defaults
        if OBJECT not in table or table[OBJECT].to_numpy()[0] != self._obj:
            self.layer.feature_defaults = {OBJECT: self._obj}
        with self.layer.block_update_properties():
            self.layer.current_edge_color = np.array(self._colours.colour(self._obj))

    def _on_defaults(self, _event: object = None) -> None:
        obj = int(object_column(self.layer.feature_defaults, 1, self._obj)[0])
        if obj == self._obj:
            return
        if set(self.layer.selected_data) != self._selected:  # some versions take the values of those selected
            self.restore_next()  # before anybody else hears that they are
        else:
            self.defaults_changed.emit(obj)

    # --- reading

    def objects(self) -> npt.NDArray[np.int64]:
        """Return whose each shape is (n,)."""
        count = len(self.layer.data)
        return object_column(self.layer.features, count, self._obj)[:count]

    def read(self) -> DrawnShapes:
        """Read the shapes of the sequence; of rectangles of an object on a frame the last one counts."""
        drawn, parts = DrawnShapes(), dict[PromptKey, list[bytes]]()
        boxed: dict[PromptKey, int] = {}
        known, self._masks = self._masks, {}
        for row, shape in self._shapes().items():
            if shape.kind == "rectangle":
                box = self._box(shape)
                if box is None:
                    drawn.void.append(row)
                    continue
                if shape.key in boxed:
                    drawn.void.append(boxed[shape.key])
                drawn.boxes[shape.key], boxed[shape.key] = box, row
            elif self._masks[name := self._rasterise(shape, known)].box:
                parts.setdefault(shape.key, []).append(name)
                drawn.rows.setdefault(shape.key, []).append(row)
            else:
                drawn.void.append(row)
        for key, row in boxed.items():
            drawn.rows.setdefault(key, []).append(row)
        self._unite(parts, drawn)
        return drawn

    def _shapes(self) -> dict[int, _Shape]:
        """Shapes that lie on a frame of the sequence, by row."""
        found, objects = {}, self.objects()
        for row, (vertices, kind) in enumerate(zip(self.layer.data, self.layer.shape_type, strict=True)):
            closed = kind == "rectangle" or kind in CLOSED
            shape = self._shape(vertices, str(kind), int(objects[row])) if closed else None
            if shape is not None:
                found[row] = shape
        return found

    def _shape(self, vertices: Vertices, kind: str, obj: int) -> _Shape | None:
        """Return a shape of the layer; None if it does not lie on one frame of the sequence."""
        places = self.geometry.to_places(vertices)
        first = int(places.frame[0])
        on_one = bool((places.frame == first).all() and self.geometry.same_index(vertices).all())
        inside = on_one and 0 <= first < self.geometry.num_frames
        return _Shape(PromptKey(obj, first), kind, places.yx) if inside else None

    def _box(self, shape: _Shape) -> PromptBox | None:
        """Bounding box, kept within the frame; None if it is too narrow there and was not shown as it is."""
        low = np.maximum(shape.yx.min(axis=0), -0.5)
        high = np.minimum(shape.yx.max(axis=0), self.geometry.frame_shape)
        box, given = (*low.tolist(), *high.tolist()), self._given.get(shape.key)
        if given is not None and np.array_equal(np.array(box, np.float32), np.array(given, np.float32)):
            return given  # napari keeps fewer digits than were given
        return box if (high - low >= _LEAST_WIDTH).all() else None

    def _rasterise(self, shape: _Shape, known: dict[bytes, PackedMask]) -> bytes:
        name = shape.kind.encode() + np.ascontiguousarray(shape.yx).tobytes()
        if name not in self._masks:
            self._masks[name] = known.get(name) or PackedMask.pack(
                mask_of(shape.yx, shape.kind, self.geometry.frame_shape)
            )
        return name

    def _unite(self, parts: Mapping[PromptKey, list[bytes]], drawn: DrawnShapes) -> None:
        known, self._unions = self._unions, {}
        for key, names in parts.items():
            masks = [self._masks[name] for name in names]
            union = known.get(tuple(names)) or _united(masks)
            drawn.outlines[key] = self._unions[tuple(names)] = union

    def tidy(self) -> DrawnShapes:
        """Take out what says nothing and write down whose each shape is; read the rest."""
        self._mend()
        self._exchange(self.drawn.take_void(), [])
        self._close(self.drawn.take_open())
        for sentence in self.drawn.take_words():
            tell(sentence)
        drawn = self.read()
        if drawn.void:
            self._exchange(drawn.void, [])
            drawn = self.read()
        self.remember(drawn)
        return drawn

    def _close(self, corners: Mapping[int, Vertices]) -> None:
        """Close outlines at their last corners."""
        objects = self.objects()
        shapes = [self._shape(each, "polygon", int(objects[row])) for row, each in corners.items()]
        self._exchange(list(corners), [each for each in shapes if each is not None])

    def _mend(self) -> None:
        """Have a row of features and colours for each shape, and an object."""
        if any([rebuild(self.layer), fill_objects(self.layer, self._obj)]):
            self.restore_next()
            self.show_colours()

    def remember(self, drawn: DrawnShapes) -> None:
        """Keep the vertices of outlines, so that an undo brings back the outline and not its mask only."""
        shapes: dict[int, _Shape] | None = None
        for key, mask in drawn.outlines.items():
            entry = key, mask
            if entry in self._memory:
                continue
            shapes = self._shapes() if shapes is None else shapes
            self._memory[entry] = [
                shapes[row] for row in drawn.rows[key] if row in shapes and shapes[row].kind in CLOSED
            ]
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)

    # --- showing

    def show(self, prompts: Mapping[PromptKey, FramePrompts]) -> set[PromptKey]:
        """Show these boxes and those outlines that are known; return the keys whose mask is drawn."""
        self._mend()
        self._given = {key: each.box for key, each in prompts.items() if each.box is not None}
        drawn = self.read()
        stale, fresh, outlined = list(drawn.void), list[_Shape](), set[PromptKey]()
        for key in {*drawn.rows, *prompts}:
            wanted = prompts.get(key)
            shapes = self._wanted(key, wanted, drawn)
            if wanted is not None and any(each.kind in CLOSED for each in shapes):
                outlined.add(key)
            if not self._agrees(key, wanted, drawn, outlined):
                stale += drawn.rows.get(key, [])
                fresh += shapes
        self._exchange(stale, fresh)
        return outlined

    def _wanted(self, key: PromptKey, prompts: FramePrompts | None, drawn: DrawnShapes) -> list[_Shape]:
        """Shapes that say what the prompts say, as far as shapes can."""
        if prompts is None:
            return []
        shapes = []
        if prompts.packed is not None and prompts.packed.box:
            if drawn.outlines.get(key) == prompts.packed:
                rows = self._shapes()
                shapes += [rows[row] for row in drawn.rows[key] if rows[row].kind in CLOSED]
            else:
                shapes += self._memory.get((key, prompts.packed), [])
        if prompts.box is not None:
            y0, x0, y1, x1 = prompts.box
            corners = np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])
            shapes.append(_Shape(key, "rectangle", corners))
        return shapes

    def _agrees(
        self, key: PromptKey, prompts: FramePrompts | None, drawn: DrawnShapes, outlined: set[PromptKey]
    ) -> bool:
        """Tell whether what is drawn for a key may stay as it is."""
        box = None if prompts is None else prompts.box
        if drawn.boxes.get(key) != box:
            return False
        mask = drawn.outlines.get(key)
        if mask is None:
            return key not in outlined
        return prompts is not None and prompts.packed == mask

    def _exchange(self, stale: list[int], fresh: list[_Shape]) -> None:
        """Remove shapes by row, and add others."""
        if not stale and not fresh:
            return
        self.layer.selected_data = set()
        if stale:
            self.layer.remove(sorted(set(stale)))
        if fresh:
            objects = np.concatenate([self.objects(), [each.key.obj for each in fresh]]).astype(np.int64)
            vertices = [
                (self.geometry.to_layers([each.key.frame] * len(each.yx), each.yx), each.kind)
                for each in fresh
            ]
            self.layer.add(vertices)
            self.layer.features = {OBJECT: objects}
        self.restore_next()
        self.show_colours()

    def show_colours(self) -> None:
        """Draw the edges in the colours of the objects; those of hidden objects are transparent."""
        objects = self.objects().tolist()
        if not objects:
            return
        edges = np.array([self._colours.colour(obj) for obj in objects], float)
        edges[:, 3] *= [self._colours.is_shown(obj) for obj in objects]
        now = np.asarray(self.layer.edge_color)
        if now.shape != edges.shape or not np.allclose(now, edges):
            self.layer.edge_color = edges

    def close(self) -> None:
        """Let the layer go."""
        self.drawn.close()
        self._lines.close()
        self._wires.close()


def mask_of(yx: npt.ArrayLike, kind: str, shape: tuple[int, int]) -> Mask:
    """Rasterise a closed shape: the pixels whose centres lie in it.

    Parameters
    ----------
    yx : array (n, 2)
        Vertices of a polygon, or the four corners of the rectangle that an ellipse fills.
    kind : {"polygon", "ellipse", "rectangle"}
    shape : (int, int)
        Height and width of the frame.

    Returns
    -------
    array (H, W) of bool
    """
    vertices = np.asarray(yx, float).reshape(-1, 2)
    if kind == "ellipse":
        centre, a, b = vertices.mean(axis=0), vertices[1] - vertices[0], vertices[3] - vertices[0]
        angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
        vertices = centre + np.cos(angle) * a / 2 + np.sin(angle) * b / 2
    mask: Mask = np.zeros(shape, np.bool_)
    low = np.clip(np.floor(vertices.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(vertices.max(axis=0)) + 1, 0, shape).astype(int)
    if (low < high).all():
        part = polygon2mask(tuple(high - low), vertices - low)
        mask[low[0] : high[0], low[1] : high[1]] = part
    return mask


def _united(masks: Sequence[PackedMask]) -> PackedMask:
    if len(masks) == 1:
        return masks[0]
    return PackedMask.pack(np.logical_or.reduce([mask.unpack() for mask in masks]))
