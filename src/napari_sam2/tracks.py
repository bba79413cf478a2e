"""Objects as points that move, for napari's Tracks layer and for tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.summary import SessionSummary

TABLE_COLUMNS = (
    "object",
    "frame",
    "area",
    "y",
    "x",
    "score",
    "presence",
    "confidence",
    "provenance",
    "parent",
)
"""Columns of `table_rows`: pixels, (y, x) of the centre with pixel centres at integers."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Paths of objects.

    Attributes
    ----------
    data : array (n, 4) of float64
        Rows (id, frame, y, x), by id and frame: the centre of an object's pixels in the labels; of
        `Positions`, (n, 5) rows (id, t, z, y, x). Positions are those of the labels' array: pass `scale`, or
        the scale of the image layer, beside them.
    graph : dict
        Parents of each daughter, of those that have a row.
    scale : tuple of floats, or None
        Size of a step along frame, y and x (t, z, y and x); None if nothing is known.
    """

    data: npt.NDArray[np.float64]
    graph: dict[int, list[int]]
    scale: tuple[float, ...] | None = None


def make_tracks(summary: SessionSummary, scale: tuple[float, ...] | None = None) -> Tracks:
    """Make the paths of all objects that have pixels."""
    rows, frames = np.nonzero(summary.cells.area)
    ids = np.asarray(summary.objects, np.float64)[rows]
    data = np.column_stack([ids, frames, summary.cells.centroid[rows, frames]])
    shown = set(ids.tolist())
    graph = {
        row.obj: [row.parent]
        for row in summary.rows
        if row.parent is not None and {row.obj, row.parent} <= shown
    }
    return Tracks(data.astype(np.float64).reshape(-1, 4), graph, scale)


def table_rows(summary: SessionSummary) -> Iterator[tuple[object, ...]]:
    """Give a row of `TABLE_COLUMNS` for each object and frame that anything is known of.

    Without pixels the place is empty, as is the parent of an object that has none.
    """
    cells = summary.cells
    for index, row in enumerate(summary.rows):
        for frame in np.flatnonzero(cells.status[index]).tolist():
            area = int(cells.area[index, frame])
            place = [f"{value:.3f}" for value in cells.centroid[index, frame]] if area else ["", ""]
            told = (cells.score, cells.presence, cells.confidence)
            values = [f"{array[index, frame]:.4f}" for array in told]
            status = CellStatus(cells.status[index, frame]).name.lower()
            yield row.obj, frame, area, *place, *values, status, "" if row.parent is None else row.parent
