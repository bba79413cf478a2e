"""What in a propagation deserves a look: sudden changes, lost objects, masks that are not sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sam2.confidence import DOUBTFUL
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_sam2.summary import Cells, SessionSummary

    Marks = npt.NDArray[np.bool_]

# A change is sudden if it is so large, and so many times what the object usually does.
_AREA_RATIO, _STEP = 1.7, 0.5
_TIMES = 4.0


class Place(NamedTuple):
    """An object on a frame."""

    obj: int
    frame: int


class Stretch(NamedTuple):
    """Frames of an object one after the other that deserve a look, both ends included."""

    obj: int
    first: int
    last: int

    @property
    def middle(self) -> Place:
        """Where to look: what is confirmed or corrected there reaches as far as it can to either side."""
        return Place(self.obj, (self.first + self.last + 1) // 2)


@dataclass(frozen=True, eq=False)
class Findings:
    """What deserves a look, arrays (objects, frames) of bool.

    Attributes
    ----------
    jumps : array
        Area or place changes suddenly from the frame before.
    lost : array
        The object was tracked there and has no mask.
    doubtful : array
        Tracked frames with a mask that jumps or is not sure, and of a loss its first frame.
    """

    jumps: Marks
    lost: Marks
    doubtful: Marks


def status_of(summary: SessionSummary) -> npt.NDArray[np.uint8]:
    """Return what is known of each object on each frame; all of an object that is locked is confirmed."""
    status = summary.cells.status
    rows = np.array([row.locked for row in summary.rows], bool)
    if not rows.any():
        return status
    has_mask = (status != CellStatus.NOTHING) & (status != CellStatus.ABSENT)
    return np.where(rows[:, None] & has_mask, np.uint8(CellStatus.LOCKED), status)


def find(cells: Cells, status: npt.NDArray[np.uint8] | None = None) -> Findings:
    """Look for what deserves a look.

    Parameters
    ----------
    cells : Cells
        Of a session's summary.
    status : array (objects, frames) of uint8, optional
        From `status_of`; by default that of the cells.
    """
    tracked = (cells.status if status is None else status) == CellStatus.TRACKED
    jumps, there = find_jumps(cells), cells.area > 0
    lost = tracked & ~there
    with np.errstate(invalid="ignore"):
        unsure = cells.confidence < DOUBTFUL
    return Findings(jumps, lost, (tracked & there & (unsure | jumps)) | (lost & beside(there)))


def find_jumps(cells: Cells) -> Marks:
    """Mark frames, (objects, frames), on which area or place differ suddenly from the frame before."""
    area = cells.area.astype(np.float64)
    jumps = np.zeros(area.shape, np.bool_)
    both = (area[:, 1:] > 0) & (area[:, :-1] > 0)
    if not both.any():
        return jumps
    ratio = np.abs(np.log(np.where(both, area[:, 1:], 1) / np.where(both, area[:, :-1], 1)))
    moved = np.linalg.norm(np.diff(cells.centroid.astype(np.float64), axis=1), axis=2)
    diameter = np.sqrt(np.where(both, np.minimum(area[:, 1:], area[:, :-1]), 1) * 4 / np.pi)
    step = np.where(both, moved, 0) / diameter
    jumps[:, 1:] = both & (_sudden(ratio, both, float(np.log(_AREA_RATIO))) | _sudden(step, both, _STEP))
    return jumps


def _sudden(change: npt.NDArray[np.float64], known: Marks, least: float) -> Marks:
    """Mark changes that are large, and many times the usual one of their object."""
    rows = zip(change, known, strict=True)
    usual = np.array([np.median(row[there]) if there.any() else 0.0 for row, there in rows])
    return np.asarray(change > np.maximum(least, _TIMES * usual)[:, None])


def beside(present: Marks) -> Marks:
    """Mark frames, (objects, frames), with a neighbour on which the object is present."""
    near = np.zeros_like(present)
    near[:, 1:] |= present[:, :-1]
    near[:, :-1] |= present[:, 1:]
    return near


def stretches(summary: SessionSummary) -> tuple[Stretch, ...]:
    """List the stretches of doubtful frames, by object and frame."""
    doubtful = find(summary.cells, status_of(summary)).doubtful
    steps = np.diff(doubtful.astype(np.int8), axis=1, prepend=0, append=0)
    rows, begins = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    ids = [summary.objects[row] for row in rows]
    return tuple(map(Stretch, ids, begins.tolist(), (ends - 1).tolist()))


def next_doubtful(summary: SessionSummary, at: Place) -> Place | None:
    """Return the next middle of a stretch: on the frame, then on later ones, then from the start.

    Parameters
    ----------
    summary : SessionSummary
        All objects on all frames.
    at : Place
        Where the user is.
    """
    places = sorted((each.middle for each in stretches(summary)), key=_by_frame)
    later = (place for place in places if _by_frame(place) > _by_frame(at))
    return next(later, places[0] if places else None)


def _by_frame(place: Place) -> tuple[int, int]:
    return place.frame, place.obj
