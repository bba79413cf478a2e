"""Where the network's logits lie on a frame.

The network answers on a coarse grid. `PlacedLogits` keeps that grid, or the part of it that matters, beside
the window of the frame that it covers, and renders any box of frame pixels when asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

OUTSIDE = np.float32(-1024.0)
"""Logit of a pixel that the kept grid says nothing about: certainly not the object."""
_UNSEEN = -10.0


class Box(NamedTuple):
    """Half-open box of pixels: rows ``y0 .. y1 - 1``, columns ``x0 .. x1 - 1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels; zero where the box is empty."""
        return max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array ``(H, W)``."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def intersection(self, other: Box) -> Box | None:
        """Find the pixels in both boxes; None if there are none."""
        box = Box(
            max(self.y0, other.y0), max(self.x0, other.x0), min(self.y1, other.y1), min(self.x1, other.x1)
        )
        return box if box.y0 < box.y1 and box.x0 < box.x1 else None

    def union(self, other: Box) -> Box:
        """Find the smallest box that holds both."""
        return Box(
            min(self.y0, other.y0), min(self.x0, other.x0), max(self.y1, other.y1), max(self.x1, other.x1)
        )

    def iou(self, other: Box | None) -> float:
        """Return intersection over union with another box, 0 to 1; 0 if there is no other."""
        shared = None if other is None else self.intersection(other)
        if shared is None or other is None:
            return 0.0
        own, others, both = (prod(box.shape) for box in (self, other, shared))
        return both / (own + others - both)

    def relative_to(self, other: Box) -> Box:
        """Count the same pixels from the corner of `other`."""
        return Box(self.y0 - other.y0, self.x0 - other.x0, self.y1 - other.y0, self.x1 - other.x0)


class Jump(NamedTuple):
    """By how many pixels what a frame shows lies further down and further right than on another frame."""

    down: int
    right: int

    def plus(self, other: Jump) -> Jump:
        """Return this jump after another one."""
        return Jump(self.down + other.down, self.right + other.right)

    def minus(self, other: Jump) -> Jump:
        """Return what is left of this jump where another one is taken back."""
        return Jump(self.down - other.down, self.right - other.right)

    def moved(self, box: Box) -> Box:
        """Return where a box lies after the jump."""
        return Box(box.y0 + self.down, box.x0 + self.right, box.y1 + self.down, box.x1 + self.right)


AT_REST = Jump(0, 0)
"""No jump."""


def mask_box(mask: BoolArray) -> Box | None:
    """Find the smallest box that holds the True pixels of `mask`; None if there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    first, last = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[first:last].any(axis=0))
    return Box(first, int(columns[0]), last, int(columns[-1]) + 1)


class _Axis(NamedTuple):
    """Linear interpolation along one axis: value = grid[low] * near + grid[high] * far."""

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]
    near: FloatArray
    far: FloatArray


def _interpolation(first: int, last: int, start: float, stop: float, cells: int) -> _Axis:
    """Cells and weights of the pixels ``first .. last - 1`` of a window ``start .. stop``.

    Float32 in the same places as `torch.nn.functional.interpolate`, so that both pick the same weights.
    """
    scale = float(np.float32(cells) / np.float32(stop - start))
    centre = np.arange(first, last, dtype=np.float64) - start + 0.5
    position = np.clip((centre * scale - 0.5).astype(np.float32), 0, cells - 1)
    low = position.astype(np.intp)
    far = position - low.astype(np.float32)
    return _Axis(low, np.minimum(low + 1, cells - 1), np.float32(1) - far, far)


class _Resampling(NamedTuple):
    """Cells and weights of the centres of other cells along one axis, and which of them are covered."""

    axis: _Axis
    inside: BoolArray


def _resampling(first: float, last: float, count: int, start: float, stop: float, cells: int) -> _Resampling:
    """Where the centres of `count` cells over ``first .. last`` lie among `cells` over ``start .. stop``."""
    centre = first + (np.arange(count) + 0.5) * ((last - first) / count)
    position = np.clip((centre - start) * (cells / (stop - start)) - 0.5, 0, cells - 1).astype(np.float32)
    low = position.astype(np.intp)
    far = position - low.astype(np.float32)
    axis = _Axis(low, np.minimum(low + 1, cells - 1), np.float32(1) - far, far)
    return _Resampling(axis, (centre >= start) & (centre < stop))


class _Span(NamedTuple):
    """Pixels ``first .. last - 1`` along one axis; never empty."""

    first: int
    last: int


def _covered(start: float, stop: float, size: int) -> _Span | None:
    """Pixels of a frame whose centre lies in ``start <= centre < stop``."""
    first, last = max(int(np.ceil(start - 0.5)), 0), min(int(np.ceil(stop - 0.5)), size)
    return _Span(first, last) if first < last else None


@dataclass(frozen=True, eq=False)
class PlacedLogits:
    """Mask logits on a coarse grid that is stretched over a window of a frame.

    Parameters
    ----------
    logits : array (h, w), float32
        Logits of the grid, or of the part of it that `offset` and `grid` tell.
    window : tuple of 4 numbers
        ``(y0, x0, y1, x1)`` in frame pixels; pixel ``y`` covers ``y .. y + 1`` here, so that the whole frame
        is ``(0, 0, H, W)``. It may stick out of the frame.
    frame_shape : tuple of 2 ints
        ``(H, W)`` of the frame.
    offset : tuple of 2 ints
        Row and column of ``logits[0, 0]`` in the whole grid.
    grid : tuple of 2 ints, optional
        Rows and columns of the whole grid; by default `logits` is all of it.

    Raises
    ------
    ValueError
        If `logits` is not two-dimensional, empty or not finite, the window has no area, the frame no pixels,
        or the part does not lie in the grid.

    Notes
    -----
    Logits are kept as float32: the labels that are written from a tight crop then agree bit for bit with the
    masks of the result that the crop was taken from.
    """

    logits: FloatArray
    window: tuple[float, float, float, float]
    frame_shape: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check and freeze the array."""
        logits = np.ascontiguousarray(self.logits, dtype=np.float32).view()
        if logits.ndim != 2 or logits.size == 0:
            raise ValueError(f"logits must be a non-empty (h, w) array, got shape {logits.shape}")
        if not np.isfinite(logits).all():
            raise ValueError("logits hold NaN or infinite values; compute them in float32")
        logits.flags.writeable = False
        object.__setattr__(self, "logits", logits)
        if self.grid is None:
            object.__setattr__(self, "grid", logits.shape)
        self._check_placement()

    def _check_placement(self) -> None:
        y0, x0, y1, x1 = self.window
        if not (np.isfinite(self.window).all() and y0 < y1 and x0 < x1):
            raise ValueError(f"window must be (y0, x0, y1, x1) with y0 < y1 and x0 < x1, got {self.window}")
        if min(self.frame_shape) < 1:
            raise ValueError(f"frame_shape must be (H, W), both at least 1, got {self.frame_shape}")
        for start, part, whole in zip(self.offset, self.logits.shape, self._grid, strict=True):
            if start < 0 or start + part > whole:
                raise ValueError(
                    f"logits {self.logits.shape} at {self.offset} do not lie in a grid of {self._grid}"
                )

    @property
    def _grid(self) -> tuple[int, int]:
        return self.grid or self.logits.shape

    @cached_property
    def _positive_cells(self) -> Box | None:
        """Box of the cells > 0, counted in the whole grid."""
        box = mask_box(self.logits > 0)
        i, j = self.offset
        return box.relative_to(Box(-i, -j, 0, 0)) if box else None

    def tight(self) -> PlacedLogits | None:
        """Keep the cells > 0 and one more on each side: all that a mask needs.

        Returns
        -------
        PlacedLogits or None
            Renders the same bits wherever the whole grid renders a positive value, and a value <= 0
            elsewhere. None if no cell is positive.
        """
        cells = self._positive_cells
        if cells is None:
            return None
        i, j = self.offset
        here = Box(i, j, i + self.logits.shape[0], j + self.logits.shape[1])
        wider = Box(cells.y0 - 1, cells.x0 - 1, cells.y1 + 1, cells.x1 + 1)
        kept = wider.intersection(here) or here
        part = self.logits[kept.relative_to(here).slices].copy()
        return PlacedLogits(part, self.window, self.frame_shape, (kept.y0, kept.x0), self._grid)

    @cached_property
    def _pixel_box(self) -> Box | None:
        cells = self._positive_cells
        if cells is None:
            return None
        rows = self._reach(0, cells.y0, cells.y1)
        columns = self._reach(1, cells.x0, cells.x1)
        return Box(rows.first, columns.first, rows.last, columns.last) if rows and columns else None

    def pixel_box(self) -> Box | None:
        """Find the box of pixels outside of which no rendered logit is positive; None if none can be."""
        return self._pixel_box

    @property
    def area(self) -> int:
        """Pixels that cells > 0 cover, about; 0 only if no pixel can be positive."""
        if self._pixel_box is None:
            return 0
        y0, x0, y1, x1 = self.window
        rows, columns = self._grid
        cell = (y1 - y0) * (x1 - x0) / (rows * columns)
        return max(round(int(np.count_nonzero(self.logits > 0)) * cell), 1)

    def _reach(self, axis: int, first_cell: int, last_cell: int, *, only: bool = False) -> _Span | None:
        """Pixels along `axis` that see any (`only`: none but) of cells ``first_cell .. last_cell - 1``."""
        start, stop = self.window[axis], self.window[axis + 2]
        span = _covered(start, stop, self.frame_shape[axis])
        if span is None or (first_cell == 0 and last_cell == self._grid[axis]):
            return span
        table = _interpolation(*span, start, stop, self._grid[axis])
        lower, upper = (table.low, table.high) if only else (table.high, table.low)
        seen = np.flatnonzero((lower >= first_cell) & (upper < last_cell))
        return _Span(span.first + int(seen[0]), span.first + int(seen[-1]) + 1) if seen.size else None

    def _known_box(self) -> Box | None:
        """Frame pixels that can be interpolated from the kept cells alone."""
        i, j = self.offset
        rows = self._reach(0, i, i + self.logits.shape[0], only=True)
        columns = self._reach(1, j, j + self.logits.shape[1], only=True)
        return Box(rows.first, columns.first, rows.last, columns.last) if rows and columns else None

    def render(self, box: Box | tuple[int, int, int, int] | None = None) -> FloatArray:
        """Interpolate frame pixels bilinearly between the centres of the grid's cells, clamped at its border.

        Parameters
        ----------
        box : Box, optional
            Pixels wanted, within the frame; the whole frame if None. A part has the same bits as the whole.

        Returns
        -------
        array (height, width), float32
            `OUTSIDE` (-1024) where the window or the kept cells do not reach.

        Raises
        ------
        ValueError
            If `box` sticks out of the frame.
        """
        wanted = self._checked_box(box)
        known = self._known_box()
        part = wanted.intersection(known) if known else None
        if part is None:
            return np.full(wanted.shape, OUTSIDE, dtype=np.float32)
        values = self._interpolate(part)
        if part == wanted:
            return values
        rendered = np.full(wanted.shape, OUTSIDE, dtype=np.float32)
        rendered[part.relative_to(wanted).slices] = values
        return rendered

    def sample(self, window: Box, cells: tuple[int, int]) -> FloatArray:
        """Interpolate at the centres of the cells of a grid over another window.

        Parameters
        ----------
        window : Box
            Part of the frame, which it may stick out of.
        cells : (int, int)
            Rows and columns of the new grid.

        Returns
        -------
        array (rows, columns), float32
            At most -10 where this window does not reach.
        """
        y0, x0, y1, x1 = self.window
        rows = _resampling(window.y0, window.y1, cells[0], y0, y1, self._grid[0])
        columns = _resampling(window.x0, window.x1, cells[1], x0, x1, self._grid[1])
        grid = np.full(self._grid, min(float(self.logits.min()), _UNSEEN), np.float32)
        (i, j), (height, width) = self.offset, self.logits.shape
        grid[i : i + height, j : j + width] = self.logits
        wide = grid[:, columns.axis.low] * columns.axis.near + grid[:, columns.axis.high] * columns.axis.far
        values = wide[rows.axis.low] * rows.axis.near[:, None] + wide[rows.axis.high] * rows.axis.far[:, None]
        inside = rows.inside[:, None] & columns.inside
        return np.where(inside, values, np.minimum(values, _UNSEEN)).astype(np.float32)

    def _checked_box(self, box: Box | tuple[int, int, int, int] | None) -> Box:
        height, width = self.frame_shape
        wanted = Box(0, 0, height, width) if box is None else Box(*box)
        if not (0 <= wanted.y0 <= wanted.y1 <= height and 0 <= wanted.x0 <= wanted.x1 <= width):
            raise ValueError(f"box {tuple(wanted)} does not lie in a frame of shape {self.frame_shape}")
        return wanted

    def _interpolate(self, box: Box) -> FloatArray:
        """Columns first on the few rows needed, then rows: elementwise, so bits do not depend on the box."""
        y0, x0, y1, x1 = self.window
        rows = _interpolation(box.y0, box.y1, y0, y1, self._grid[0])
        columns = _interpolation(box.x0, box.x1, x0, x1, self._grid[1])
        i, j = self.offset
        top, bottom = int(rows.low[0]), int(rows.high[-1]) + 1
        cells = self.logits[top - i : bottom - i]
        wide = cells.take(columns.low - j, axis=1)
        wide *= columns.near
        wide += cells.take(columns.high - j, axis=1) * columns.far
        values = wide.take(rows.low - top, axis=0)
        values *= rows.near[:, None]
        lower = wide.take(rows.high - top, axis=0)
        lower *= rows.far[:, None]
        values += lower
        return values
