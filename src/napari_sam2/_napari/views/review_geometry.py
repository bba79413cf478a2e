"""Where the cells of the review strip lie: whole numbers in, whole numbers out, no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALLEST = 4.0
LARGEST = 16.0


@dataclass(frozen=True)
class Cell:
    """A row and a column of the strip."""

    row: int
    column: int


@dataclass(frozen=True)
class StripGeometry:
    """Cells on a viewport, in logical pixels.

    Attributes
    ----------
    rows, columns : int
        How many there are.
    cell : float
        Width of a column.
    row : int
        Height of a row.
    left, top : int
        Room for the ids and for the frame numbers.
    scroll_x, scroll_y : int
        How far the cells are scrolled.
    """

    rows: int
    columns: int
    cell: float
    row: int
    left: int
    top: int
    scroll_x: int = 0
    scroll_y: int = 0

    def x_of(self, column: float) -> float:
        """Return the left edge of a column on the viewport."""
        return self.left + column * self.cell - self.scroll_x

    def y_of(self, row: int) -> int:
        """Return the upper edge of a row on the viewport."""
        return self.top + row * self.row - self.scroll_y

    def cell_at(self, x: float, y: float) -> Cell | None:
        """Return the cell under a point; None in the margins and beyond the last cell."""
        if x < self.left or y < self.top:
            return None
        row = int((y - self.top + self.scroll_y) // self.row)
        column = int((x - self.left + self.scroll_x) // self.cell)
        return Cell(row, column) if row < self.rows and column < self.columns else None

    def column_near(self, x: float) -> int:
        """Return the column at x, or the nearest one."""
        column = int((x - self.left + self.scroll_x) // self.cell)
        return min(max(column, 0), max(self.columns - 1, 0))

    def visible_columns(self, width: int) -> range:
        """Return the columns of which anything is seen on a viewport of this width."""
        first = max(int(self.scroll_x // self.cell), 0)
        last = math.ceil((width - self.left + self.scroll_x) / self.cell)
        return range(first, max(min(last, self.columns), first))

    def visible_rows(self, height: int) -> range:
        """Return the rows of which anything is seen on a viewport of this height."""
        first = max(self.scroll_y // self.row, 0)
        last = math.ceil((height - self.top + self.scroll_y) / self.row)
        return range(first, max(min(last, self.rows), first))


@dataclass(frozen=True)
class Fit:
    """How many frames share a column, and how wide a column is."""

    per_column: int
    cell: float


def fit(frames: int, room: int, zoom: float | None) -> Fit:
    """Return how frames are laid into columns.

    Parameters
    ----------
    frames : int
        How many there are.
    room : int
        Width for them in pixels.
    zoom : float or None
        Width of a frame in pixels that the user wants; None for all frames at once, several of them in a
        column if need be.
    """
    frames, room = max(frames, 1), max(room, 1)
    if zoom is not None:
        return Fit(1, max(zoom, min(room / frames, LARGEST)))
    per_column = max(math.ceil(frames * SMALLEST / room), 1)
    columns = -(-frames // per_column)
    return Fit(per_column, min(room / columns, LARGEST * 2))


def tick_step(frames_per_pixel: float, label: int) -> int:
    """Return the distance of frame numbers (1, 2, 5, 10, ...) so that labels of that width do not touch."""
    least = max(frames_per_pixel * label, 1)
    power = 10 ** math.floor(math.log10(least))
    return next(int(power * each) for each in (1, 2, 5, 10) if power * each >= least)
