"""How well masks fit a truth: overlap J, boundary F, and the protocol of one click per object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping

BoolArray = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]]

MIN_FRAMES = 4
MIN_AREA = 60
MAX_OBJECTS = 12
MARGIN = 2
BOUNDARY_TOLERANCE = 0.008


class PixelPosition(NamedTuple):
    """A pixel (y, x)."""

    y: int
    x: int


@dataclass(frozen=True)
class Click:
    """A click on a pixel (y, x): on the object, or on something else."""

    y: int
    x: int
    positive: bool


@dataclass(frozen=True)
class ProtocolObject:
    """An object to track: where it is clicked, and which frames are scored.

    Attributes
    ----------
    id : int
        Its value in the labels.
    seed : int
        The frame of the click, where the object is largest.
    click : PixelPosition
        The innermost point there.
    first, last : int
        The first and last frame that are scored, both included.
    """

    id: int
    seed: int
    click: PixelPosition
    first: int
    last: int

    @property
    def frames(self) -> range:
        """The frames that are scored."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class ObjectScore:
    """How well one object was tracked.

    Attributes
    ----------
    id : int
    j, f : float
        Mean J and boundary F over all scored frames.
    j_present : float
        Mean J over the frames that show the object.
    absent_empty : float or None
        Share of the scored frames without the object on which nothing was found; None if there are none.
    beyond_empty : float or None
        The same share of the frames that are not scored, three and more before the object's first or after
        its last.
    j_seed : float
        J on the clicked frame.
    frames : tuple of int
        The scored frames.
    j_of_frame : tuple of float
        J on each of them.
    """

    id: int
    j: float
    f: float
    j_present: float
    absent_empty: float | None
    beyond_empty: float | None
    j_seed: float
    frames: tuple[int, ...]
    j_of_frame: tuple[float, ...]

    @property
    def worst_frame(self) -> int:
        """The frame of least J, of several the first."""
        return self.frames[self.j_of_frame.index(min(self.j_of_frame))]


def jaccard(a: BoolArray, b: BoolArray) -> float:
    """Return intersection over union of two masks of one shape, 1 where both are empty."""
    _check_pair(a, b)
    union = int(np.count_nonzero(a | b))
    return 1.0 if union == 0 else int(np.count_nonzero(a & b)) / union


def boundary_f(a: BoolArray, b: BoolArray, tolerance: float | None = None) -> float:
    """Return how well the boundaries of two masks agree.

    The harmonic mean of two shares: how much of each boundary lies within a tolerance of the other one, as in
    the DAVIS benchmark (Perazzi et al. 2016).

    Parameters
    ----------
    a, b : bool array, shape (H, W)
    tolerance : float, optional
        Distance in pixels; None takes 0.8 % of the frame's diagonal, rounded up.

    Returns
    -------
    float
        From 0 to 1. If neither mask has a boundary inside the frame, 1 if they are equal and 0 if not.
    """
    _check_pair(a, b)
    if tolerance is None:
        tolerance = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*a.shape))
    edge_a, edge_b = _boundary(a), _boundary(b)
    if not edge_a.any() and not edge_b.any():
        return float((a == b).all())
    if not edge_a.any() or not edge_b.any():
        return 0.0
    part = _bounding_box(edge_a | edge_b)  # no distance between two boundary pixels is cut off by it
    edge_a, edge_b = edge_a[part], edge_b[part]
    precision = _share_near(edge_a, edge_b, tolerance)
    recall = _share_near(edge_b, edge_a, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def innermost_point(mask: BoolArray) -> PixelPosition:
    """Return the pixel of a mask that is farthest from its edge and from the frame's, of several the first.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no innermost point")
    part = _bounding_box(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask[part], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return PixelPosition(int(y) + part[0].start, int(x) + part[1].start)


def correction_click(truth: BoolArray, mask: BoolArray) -> Click | None:
    """Return the click that mends most: the innermost point of what is missing or of what is too much.

    Parameters
    ----------
    truth, mask : bool array, shape (H, W)

    Returns
    -------
    Click or None
        On the object if more pixels are missing than too much, or as many; None if there is nothing to mend.
    """
    _check_pair(truth, mask)
    missing, excess = truth & ~mask, mask & ~truth
    if not missing.any() and not excess.any():
        return None
    positive = np.count_nonzero(missing) >= np.count_nonzero(excess)
    point = innermost_point(missing if positive else excess)
    return Click(point.y, point.x, bool(positive))


def choose_objects(labels: Labels, *, every: bool = False) -> tuple[ProtocolObject, ...]:
    """Choose the objects of a sequence that are tracked for its score.

    Parameters
    ----------
    labels : integer array, shape (frames, H, W)
        Ids that last through the sequence, 0 is background. It is read frame by frame.
    every : bool
        Take every object. Otherwise those on at least 4 frames whose largest frame has at least 60 pixels; of
        more than 12 such objects 12, evenly spaced in the order of ids.

    Returns
    -------
    tuple of ProtocolObject
        Sorted by id. The scored frames reach from two before the object's first to two after its last.
    """
    if labels.ndim != 3:
        raise ValueError(f"labels must have the axes (frame, y, x), shape {labels.shape} came")
    areas = _areas(labels)
    chosen = [
        obj
        for obj in sorted(areas)
        if every or (len(areas[obj]) >= MIN_FRAMES and max(areas[obj].values()) >= MIN_AREA)
    ]
    if len(chosen) > MAX_OBJECTS and not every:
        chosen = [chosen[k] for k in np.linspace(0, len(chosen) - 1, MAX_OBJECTS).round().astype(int)]
    return tuple(_protocol_object(labels, obj, areas[obj]) for obj in chosen)


def score_object(
    labels: Labels, obj: ProtocolObject, masks: Mapping[int, BoolArray], tolerance: float | None = None
) -> ObjectScore:
    """Score the masks of one object.

    Parameters
    ----------
    labels : integer array, shape (frames, H, W)
        The truth.
    obj : ProtocolObject
        Whose masks they are, and which frames count.
    masks : mapping of frame to bool array, shape (H, W)
        The object's own masks, before overlaps with others are resolved, on any frame of the sequence. A
        missing frame is an empty mask.
    tolerance : float, optional
        That of `boundary_f`, in pixels.

    Returns
    -------
    ObjectScore
    """
    nothing = np.zeros(labels.shape[1:], np.bool_)
    js, fs, present, empty = [], [], [], []
    for frame in obj.frames:
        truth: BoolArray = np.asarray(labels[frame]) == obj.id
        mask = masks.get(frame, nothing)
        js.append(jaccard(mask, truth))
        fs.append(boundary_f(mask, truth, tolerance))
        present.append(bool(truth.any()))
        empty.append(not mask.any())
    absent = [gone for gone, there in zip(empty, present, strict=True) if not there]
    beyond = [not masks.get(k, nothing).any() for k in range(len(labels)) if k not in obj.frames]
    return ObjectScore(
        id=obj.id,
        j=float(np.mean(js)),
        f=float(np.mean(fs)),
        j_present=float(np.mean([j for j, there in zip(js, present, strict=True) if there])),
        absent_empty=float(np.mean(absent)) if absent else None,
        beyond_empty=float(np.mean(beyond)) if beyond else None,
        j_seed=js[obj.seed - obj.first],
        frames=tuple(obj.frames),
        j_of_frame=tuple(js),
    )


def _areas(labels: Labels) -> dict[int, dict[int, int]]:
    """Return for each object the frames that show it, in order, and its pixels there."""
    areas: dict[int, dict[int, int]] = {}
    for frame in range(len(labels)):
        ids, counts = np.unique(np.asarray(labels[frame]), return_counts=True)
        for obj, count in zip(ids.tolist(), counts.tolist(), strict=True):
            if obj != 0:
                areas.setdefault(obj, {})[frame] = count
    return areas


def _protocol_object(labels: Labels, obj: int, areas: dict[int, int]) -> ProtocolObject:
    seed = max(areas, key=lambda frame: areas[frame])  # the first of equals
    return ProtocolObject(
        id=obj,
        seed=seed,
        click=innermost_point(np.asarray(labels[seed]) == obj),
        first=max(0, min(areas) - MARGIN),
        last=min(len(labels) - 1, max(areas) + MARGIN),
    )


def _boundary(mask: BoolArray) -> BoolArray:
    """Mark pixels that differ from their neighbour to the right, below, or diagonally below."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    edge: BoolArray = (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])
    return edge


def _share_near(edge: BoolArray, other: BoolArray, tolerance: float) -> float:
    distance = ndimage.distance_transform_edt(~other)
    return float(np.mean(distance[edge] <= tolerance))


def _bounding_box(mask: BoolArray) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _check_pair(a: BoolArray, b: BoolArray) -> None:
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"two masks of one shape (H, W) are compared, {a.shape} and {b.shape} came")
