"""Prompts for many objects from any layer of points, shapes or labels, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_sam2._napari.image.geometry import spatial_shape
from napari_sam2._napari.layers.columns import sign_column
from napari_sam2._napari.layers.shapes import CLOSED, mask_of
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from napari.layers import Layer

    from napari_sam2._napari.image.geometry import SequenceGeometry

    Seeds = dict[int, dict[int, FramePrompts]]
    Floats = npt.NDArray[np.float64]

ID_COLUMNS = ("object", "label", "id", "track_id")
"""Columns of a feature table that tell which points or shapes belong together."""
_HUGE = 2**63


def read_seeds(layer: Layer, target: Layer, geometry: SequenceGeometry, frame: int) -> Seeds:
    """Read a layer of the user's as prompts; it is not changed. Labels are read by `LabelSeeds`.

    Parameters
    ----------
    layer : Points or Shapes
        Points are positive clicks unless a column ``positive`` of the features says otherwise; rectangles are
        boxes, other closed shapes masks. It is read where it lies in the world, whatever
        its scale, translation or rotation. A layer without the frame axis counts on the frame that is shown.
    target : Layer
        The plugin's Labels layer, which says where the sequence lies in the world.
    geometry : SequenceGeometry
        Of the sequence.
    frame : int
        The frame that is shown.

    Returns
    -------
    dict of int to dict of int to FramePrompts
        Prompts by object and frame. Points and shapes are an object each, counted from 1, unless the features
        have a column of whole numbers named ``object``, ``label``, ``id`` or ``track_id``; words in it may as
        well be classes, and tell nothing. What lies outside the sequence is left out.

    Raises
    ------
    TypeError
        If the layer is of another kind.
    """
    if isinstance(layer, Points):
        return _from_points(layer, target, geometry, frame)
    if isinstance(layer, Shapes):
        return _from_shapes(layer, target, geometry, frame)
    raise TypeError(
        f"{layer.name!r} is a layer of {type(layer).__name__}: choose one of points, shapes or labels"
    )


class _Carrier:
    """Converts data coordinates of a layer to those of another one, as both lie in the world when it is made.

    Parameters
    ----------
    layer, target : Layer
        From where, and to where.
    base : array (ndim,)
        A world position of the target, for axes that the layer lacks.
    """

    def __init__(self, layer: Layer, target: Layer, base: Floats) -> None:
        self._shared, self._ndim, self._base = min(layer.ndim, target.ndim), target.ndim, base
        self._to_world = _matrix(layer.data_to_world, layer.ndim)
        self._to_target = _matrix(target.world_to_data, target.ndim)

    def __call__(self, coords: npt.ArrayLike) -> Floats:
        """Convert (n, ndim)."""
        moved = _applied(self._to_world, np.asarray(coords, float))
        world = np.tile(self._base, (len(moved), 1))
        world[:, self._ndim - self._shared :] = moved[:, -self._shared :]
        return _applied(self._to_target, world)


def _matrix(transform: Callable[[Floats], Any], ndim: int) -> Floats:
    """Return an affine transform as its value at the origin and its columns, (1 + ndim, ndim)."""
    origin = np.asarray(transform(np.zeros(ndim)), float)
    return np.vstack([origin, *(np.asarray(transform(axis), float) - origin for axis in np.eye(ndim))])


def _applied(matrix: Floats, coords: Floats) -> Floats:
    moved: Floats = matrix[0] + coords @ matrix[1:]
    return moved


def _base(target: Layer, geometry: SequenceGeometry, frame: int) -> Floats:
    """Return a world position on the frame that is shown."""
    return np.asarray(target.data_to_world(geometry.to_layer(frame, 0.0, 0.0)), float)


@dataclass(frozen=True, eq=False)
class Owners:
    """Whose each point or shape of a layer is.

    Attributes
    ----------
    ids : array of int64
        One for each.
    are_given : bool
        Whether the layer says these numbers; else they are counted from 1.
    """

    ids: npt.NDArray[np.int64]
    are_given: bool = False


def owners_of(layer: Points | Shapes) -> Owners:
    """Read it from a column of whole numbers of the features; without one, each is an object."""
    columns = [layer.features[name].tolist() for name in ID_COLUMNS if name in layer.features]
    numbers = next((values for values in columns if all(map(_is_number, values))), None)
    if numbers is not None:
        return Owners(np.array(numbers, np.int64), are_given=True)
    return Owners(np.arange(1, len(layer.data) + 1))


def _is_number(value: object) -> bool:
    """Whether it can be an id; a column of which a part was missing once holds floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return bool(1 <= value < _HUGE and value == int(value))


def _from_points(layer: Points, target: Layer, geometry: SequenceGeometry, frame: int) -> Seeds:
    places = geometry.to_places(_Carrier(layer, target, _base(target, geometry, frame))(layer.data))
    ids, signs = owners_of(layer).ids, sign_column(layer.features, len(layer.data))
    seeds: Seeds = {}
    nothing = FramePrompts()
    for row in np.flatnonzero(places.inside):
        on_frame = seeds.setdefault(int(ids[row]), {})
        before = on_frame.get(int(places.frame[row]), nothing)
        on_frame[int(places.frame[row])] = FramePrompts(
            (*before.points, places.yx[row].tolist()), (*before.positive, bool(signs[row]))
        )
    return seeds


@dataclass(frozen=True, eq=False)
class _Outline:
    """A box or closed shape: in data coordinates of its layer, or in pixels of a frame."""

    obj: int
    kind: str
    vertices: Floats


class ShapeSeeds:
    """Boxes and outlines in a layer, of which pixels are drawn later, on any thread.

    Parameters
    ----------
    layer, target, geometry, frame
        As for `read_seeds`.

    Attributes
    ----------
    count : int
        How many there are, wherever they lie.
    """

    def __init__(self, layer: Shapes, target: Layer, geometry: SequenceGeometry, frame: int) -> None:
        self._geometry = geometry
        self._carry = _Carrier(layer, target, _base(target, geometry, frame))
        rows = zip(owners_of(layer).ids.tolist(), layer.shape_type, layer.data, strict=True)
        closed = {"rectangle", *CLOSED}
        self._outlines = [
            _Outline(obj, kind, np.array(vertices, float)) for obj, kind, vertices in rows if kind in closed
        ]
        self.count = len(self._outlines)

    def read(self) -> Iterator[tuple[PromptKey, FramePrompts]]:
        """Draw what lies in the sequence: of each object what is said on a frame, one after the other."""
        for key, outlines in self._by_place().items():
            said: FramePrompts | None = None
            for each in outlines:
                said = _shape_prompts(said or FramePrompts(), each, self._geometry) or said
            if said is not None:
                yield key, said

    def _by_place(self) -> dict[PromptKey, list[_Outline]]:
        """Find the frame of each; what lies on several, or at other positions, is left out."""
        found: dict[PromptKey, list[_Outline]] = {}
        for each in self._outlines:
            coords = self._carry(each.vertices)
            places = self._geometry.to_places(coords)
            at = int(places.frame[0])
            on_frame = 0 <= at < self._geometry.num_frames and bool((places.frame == at).all())
            if on_frame and self._geometry.same_index(coords).all():
                key = PromptKey(each.obj, at)
                found.setdefault(key, []).append(_Outline(each.obj, each.kind, places.yx))
        return found


def _from_shapes(layer: Shapes, target: Layer, geometry: SequenceGeometry, frame: int) -> Seeds:
    seeds: Seeds = {}
    for key, said in ShapeSeeds(layer, target, geometry, frame).read():
        seeds.setdefault(key.obj, {})[key.frame] = said
    return seeds


def _shape_prompts(before: FramePrompts, shape: _Outline, geometry: SequenceGeometry) -> FramePrompts | None:
    """Add a shape to what is known of an object on a frame; None if nothing of it lies there."""
    yx, kind = shape.vertices, shape.kind
    if kind == "rectangle" and _is_upright(yx):
        low = np.maximum(yx.min(axis=0), -0.5)
        high = np.minimum(yx.max(axis=0), geometry.frame_shape)
        if (low >= high).any():
            return None
        return FramePrompts(box=(*low.tolist(), *high.tolist()), mask=before.packed)
    mask = mask_of(yx, "ellipse" if kind == "ellipse" else "polygon", geometry.frame_shape)
    if not mask.any():
        return None
    if before.packed is not None:
        mask |= before.packed.unpack()
    return FramePrompts(box=before.box, mask=mask)


def _is_upright(yx: Floats) -> bool:
    """Tell whether the sides of a rectangle run along the axes."""
    steps = np.abs(np.diff(yx, axis=0))
    return bool((steps.min(axis=1) <= 1e-6 * max(float(steps.max()), 1.0)).all())


class LabelSeeds:
    """Masks in a layer of labels, of which pixels are read a frame at a time, on any thread.

    Parameters
    ----------
    layer, target, geometry, frame
        As for `read_seeds`.

    Attributes
    ----------
    frames : range
        Frames of the sequence on which the layer counts.
    found : dict of int to tuple of int
        Objects on the frames that were looked at.
    """

    def __init__(self, layer: Labels, target: Layer, geometry: SequenceGeometry, frame: int) -> None:
        has_frames = geometry.frame_axis is not None and layer.ndim >= target.ndim - geometry.frame_axis
        self.frames = range(geometry.num_frames) if has_frames else range(frame, frame + 1)
        self.found: dict[int, tuple[int, ...]] = {}
        self._data = layer.data[0] if layer.multiscale else layer.data
        self._shape, self._frame_shape = np.array(spatial_shape(layer)), geometry.frame_shape
        # Layers are asked where they lie now: they belong to the GUI thread.
        origin, ahead, down, right = (
            np.asarray(layer.world_to_data(np.asarray(target.data_to_world(geometry.to_layer(*place)))))
            for place in ((0, 0.0, 0.0), (1, 0.0, 0.0), (0, 1.0, 0.0), (0, 0.0, 1.0))
        )
        self._origin = origin
        self._ahead, self._down, self._right = ahead - origin, down - origin, right - origin
        self._read: tuple[int, npt.NDArray[Any]] | None = None

    def look(self, frame: int) -> tuple[int, ...]:
        """Find the objects on a frame."""
        values = self._values(frame)
        self.found[frame] = tuple(np.unique(values[values > 0]).tolist())
        return self.found[frame]

    def read(self) -> Iterator[tuple[int, ...]]:
        """Find the objects on all frames, one after the other."""
        for frame in self.frames:
            yield self.look(frame)

    @property
    def wanted(self) -> dict[PromptKey, Callable[[], FramePrompts]]:
        """What is said of each object on the frames that were looked at; masks are read when it is said."""
        return {
            PromptKey(obj, frame): partial(self.prompts, obj, frame)
            for frame, objects in self.found.items()
            for obj in objects
        }

    def prompts(self, obj: int, frame: int) -> FramePrompts:
        """Return the mask of an object on a frame."""
        return FramePrompts(mask=self._values(frame) == obj)

    def _values(self, frame: int) -> npt.NDArray[Any]:
        """Return the labels (H, W) that lie at the pixels of a frame; the last ones are kept."""
        if self._read is None or self._read[0] != frame:
            self._read = frame, self._resampled(frame)
        return self._read[1]

    def _resampled(self, frame: int) -> npt.NDArray[Any]:
        index = [self._index(axis, frame) for axis in range(len(self._shape))]
        inside = np.ones((1, 1), np.bool_)
        for at, size in zip(index, self._shape, strict=True):
            inside = inside & (at >= 0) & (at < size)
        inside = np.broadcast_to(inside, self._frame_shape)
        if not inside.any():
            return np.zeros(self._frame_shape, np.int64)
        index = [np.clip(at, 0, size - 1) for at, size in zip(index, self._shape, strict=True)]
        low = [int(at.min()) for at in index]
        part = np.asarray(
            self._data[tuple(slice(a, int(at.max()) + 1) for a, at in zip(low, index, strict=True))]
        )
        values = part[tuple(at - a for a, at in zip(low, index, strict=True))]
        if values.dtype.itemsize == 8:
            values = values.astype(np.int64)
        return np.where(inside, values, 0)

    def _index(self, axis: int, frame: int) -> npt.NDArray[np.intp]:
        """Return where the pixels of a frame lie along an axis of the layer, as far as they differ in it."""
        at: Floats = np.full((1, 1), self._origin[axis] + frame * self._ahead[axis])
        for step, size, shape in (
            (self._down[axis], self._frame_shape[0], (-1, 1)),
            (self._right[axis], self._frame_shape[1], (1, -1)),
        ):
            if step:
                at = at + step * np.arange(size).reshape(shape)
        index: npt.NDArray[np.intp] = np.rint(at).astype(np.intp)
        return index
