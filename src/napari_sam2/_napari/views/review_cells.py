"""Colours of the review strip, and what many frames in one column look like: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_sam2.confidence import DOUBTFUL
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from napari_sam2._napari.state import ReviewState

Cells = npt.NDArray[np.uint8]
Marks = npt.NDArray[np.bool_]

_ANCHORS = (0.0, 0.4, DOUBTFUL, 0.75, 0.9, 1.0)
# From vermilion over orange and a pale middle to blue: told apart with every common colour blindness.
_COLOURS = np.array(
    [(170, 45, 10), (213, 94, 0), (240, 170, 70), (200, 208, 216), (110, 160, 205), (58, 112, 178)],
    np.float64,
)
UNSCORED = (140, 140, 140)
_TABLE = np.stack([np.interp(np.linspace(0, 1, 256), _ANCHORS, _COLOURS[:, k]) for k in range(3)], axis=-1)
_FILLED = (CellStatus.TRACKED, CellStatus.PROMPTED, CellStatus.PAINTED, CellStatus.LOCKED)


def confidence_colour(confidence: float) -> tuple[int, int, int]:
    """Return the colour of a confidence between 0 and 1, as red, green, blue of 0 to 255."""
    red, green, blue = _TABLE[round(255 * min(max(confidence, 0.0), 1.0))]
    return round(red), round(green), round(blue)


def _packed(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    red, green, blue = np.moveaxis(np.rint(rgb).astype(np.uint32), -1, 0)
    packed: npt.NDArray[np.uint32] = (
        np.uint32(0xFF000000) | red << np.uint32(16) | green << np.uint32(8) | blue
    )
    return packed


def cell_colours(
    status: Cells, confidence: npt.NDArray[np.float32], empty: tuple[int, int, int]
) -> npt.NDArray[np.uint32]:
    """Return the colour of every cell as 0xffRRGGBB.

    Parameters
    ----------
    status, confidence : array (objects, frames)
        As in `ReviewState`.
    empty : tuple of int
        Colour of cells without a mask.

    Returns
    -------
    array (objects, frames) of uint32
    """
    table = _packed(_TABLE)
    known = np.isfinite(confidence)
    index = np.rint(np.clip(np.where(known, confidence, 0), 0, 1) * 255).astype(np.uint8)
    colours = np.where(known, table[index], _packed(np.array(UNSCORED, np.float64)))
    filled = np.isin(status, [int(each) for each in _FILLED])
    return np.where(filled, colours, _packed(np.array(empty, np.float64))).astype(np.uint32)


def alarm(state: ReviewState) -> npt.NDArray[np.float32]:
    """Return how much each cell wants to be looked at: lost, jumps, unsure, then marks, then the rest.

    Returns
    -------
    array (objects, frames) of float32
        Higher wants it more.
    """
    sure = np.where(np.isfinite(state.confidence), state.confidence, 1.0)
    rank = np.where(state.status == CellStatus.TRACKED, 2 - sure, 0).astype(np.float32)
    rank = np.where((state.status != CellStatus.NOTHING) & (state.status != CellStatus.TRACKED), 1.2, rank)
    rank = np.where(state.jumps & (state.status != CellStatus.LOCKED), 3 + rank / 8, rank)
    return np.where(state.lost, 4, rank).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Columns:
    """The strip with `per_column` frames in a column, each column showing the frame that wants it most.

    Attributes
    ----------
    per_column : int
        Frames in a column.
    pick : array (objects, columns) of int
        Which frame each column shows.
    status, confidence, jumps, lost : array (objects, columns)
        Of these frames; for their meaning see `ReviewState`.
    """

    per_column: int
    pick: npt.NDArray[np.int64]
    status: Cells
    confidence: npt.NDArray[np.float32]
    jumps: Marks
    lost: Marks


def columns_of(state: ReviewState, per_column: int) -> Columns:
    """Return the strip with several frames in a column; the worst of them is shown.

    Raises
    ------
    ValueError
        If `per_column` is less than 1.
    """
    if per_column < 1:
        raise ValueError(f"a column has at least one frame, not {per_column}")
    objects, frames = state.status.shape
    count = -(-frames // per_column)
    padded = np.full((objects, count * per_column), -1, np.float32)
    padded[:, :frames] = alarm(state)
    within = padded.reshape(objects, count, per_column).argmax(axis=2)
    pick = within + np.arange(count) * per_column
    rows = np.arange(objects)[:, None]
    return Columns(
        per_column,
        pick,
        status=state.status[rows, pick],
        confidence=state.confidence[rows, pick],
        jumps=state.jumps[rows, pick],
        lost=state.lost[rows, pick],
    )


def lost_ends(columns: Columns) -> Marks:
    """Return the cells (objects, columns) on which an object is lost and beside which it has a mask.

    An object of a stack is nowhere on most of its frames: a mark on each of them would say nothing.
    """
    filled = np.isin(columns.status, [int(each) for each in _FILLED]) & ~columns.lost
    beside = np.pad(filled, ((0, 0), (1, 1)))
    return columns.lost & (beside[:, :-2] | beside[:, 2:])


def describe(state: ReviewState, row: int, frame: int) -> str:
    """Return a cell in words, for tooltips and screen readers."""
    status = CellStatus(int(state.status[row, frame]))
    words = {
        CellStatus.NOTHING: "nothing here",
        CellStatus.TRACKED: "tracked",
        CellStatus.PROMPTED: "prompted",
        CellStatus.PAINTED: "painted",
        CellStatus.LOCKED: "locked",
        CellStatus.ABSENT: "marked as absent",
    }
    parts = ["lost: tracked, but no mask" if state.lost[row, frame] else words[status]]
    sure = float(state.confidence[row, frame])
    if np.isfinite(sure) and status is not CellStatus.NOTHING:
        parts.append(f"{100 * sure:.0f} % sure" + (" (doubtful)" if sure < DOUBTFUL else ""))
    if state.jumps[row, frame]:
        parts.append("jumps in area or place")
    return f"Object {state.objects[row]}, frame {frame}: {', '.join(parts)}"
