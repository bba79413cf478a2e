"""What in a propagation deserves a look: sudden changes, lost objects, low scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sam2._napari.state import ReviewState
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_sam2.summary import Cells, SessionSummary

    Marks = npt.NDArray[np.bool_]

DOUBTFUL_SCORE = 0.5
# A change is sudden if it is so large, and so many times what the object usually does.
_AREA_RATIO, _STEP = 1.7, 0.5
_TIMES = 4.0


class Cell(NamedTuple):
    """An object on a frame."""

    obj: int
    frame: int


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
        Either of them, the first frame of a loss only, or a low score; frames that the user has confirmed
        are not.
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
    jumps = find_jumps(cells)
    lost = tracked & (cells.area == 0)
    with np.errstate(invalid="ignore"):
        low = tracked & ~lost & (cells.score < DOUBTFUL_SCORE)
    return Findings(jumps, lost, low | (jumps & tracked) | (lost & beside(cells.area > 0)))


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


def next_doubtful(summary: SessionSummary, at: Cell) -> Cell | None:
    """Return the next place that deserves a look: on the frame, then on later ones, then from the start.

    Parameters
    ----------
    summary : SessionSummary
        All objects on all frames.
    at : Cell
        Where the user is.
    """
    rows, frames = np.nonzero(find(summary.cells, status_of(summary)).doubtful)
    places = sorted((int(frame), summary.objects[row]) for row, frame in zip(rows, frames, strict=True))
    if not places:
        return None
    here = (at.frame, at.obj)
    frame, obj = next((place for place in places if place > here), places[0])
    return Cell(obj, frame)


def review_state(summary: SessionSummary, findings: Findings, frame: int, active: int) -> ReviewState:
    """Return what the strip shows."""
    cells = summary.cells
    return ReviewState(
        objects=summary.objects,
        status=status_of(summary),
        score=cells.score,
        jumps=findings.jumps,
        lost=findings.lost,
        frame=frame,
        active=active,
    )
