"""Jumps of the field of view, told by what two frames show around an object.

A stage that misses its place when it comes back, or a section that was laid down anew, moves all that a
frame shows at once. A window that stayed where it is would lose its object; so it goes along, and memories of
frames before the jump are looked at as if they had been moved as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._tracking.odd_frames import likeness
from napari_sam2.placement import AT_REST, Box, Jump

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_sam2.features import FeatureCache
    from napari_sam2.window import Windows

# Cells along a side that a window is compared at, and below which likeness it is asked whether the field has
# jumped: between most frames it is well above, and no more is looked at.
_GLANCE, _CALM = 32, 0.6
# The surroundings that are searched: so many times the window's side, seen at so many cells along a side.
_SURROUNDINGS, _SIDE = 4.0, 128
# By how much more the surroundings have to resemble what they were after the jump is taken back, the least
# share of them that one of four sides has to have, and the least part of a window's side that counts as a
# jump: networks follow smaller steps by themselves.
_MARGIN, _SIDE_SHARE, _LEAST = 0.2, 1 / 16, 0.08
# Places that are tried, and the furthest in parts of the surroundings' side.
_TRIED, _FURTHEST = 3, 0.6
# Spectra are divided by their amplitudes to this power: 0 is plain correlation, which broad shapes rule, and
# 1 phase correlation, which noise rules.
_WHITENING = 0.5
# Pictures that are kept meanwhile, for objects whose surroundings are the same.
_KEPT = 16


class FieldJumps:
    """Tells how far all that is around an object has moved from one frame to the next.

    Parameters
    ----------
    features : FeatureCache
        Reads the frames.
    windows : Windows
        How windows lie in frames.
    """

    def __init__(self, features: FeatureCache, windows: Windows) -> None:
        self._windows = windows
        self._window = lru_cache(_KEPT)(partial(features.glance, side=_GLANCE))
        self._surroundings = lru_cache(_KEPT)(partial(features.glance, side=_SIDE))

    def forget(self) -> None:
        """Let go of the pictures that were looked at."""
        self._window.cache_clear()
        self._surroundings.cache_clear()

    def between(self, before: int, frame: int, window: Box, box: Box) -> Jump:
        """Measure the jump from one frame to another.

        Parameters
        ----------
        before, frame : int
            The two frames.
        window : Box
            The part of the first one that is looked at.
        box : Box
            Where the object was there. What is around it has to tell of the jump, since objects move by
            themselves; but the object has to agree.

        Returns
        -------
        Jump
            `AT_REST` unless what is around the object moved as a whole, by a good part of the window.
        """
        if likeness(self._window(before, window), self._window(frame, window)) >= _CALM:
            return AT_REST
        around = self._windows.surroundings(window, _SURROUNDINGS)
        images = [self._surroundings(t, around).mean(axis=0) for t in (before, frame)]
        cells = _Pair(images[0], images[1], _cells_of(box, around)).jump()
        height, width = around.shape
        jump = Jump(round(cells.down * height / _SIDE), round(cells.right * width / _SIDE))
        part = max(abs(jump.down) / window.shape[0], abs(jump.right) / window.shape[1])
        return jump if part >= _LEAST else AT_REST


def _cells_of(box: Box, around: Box) -> Box:
    """Return the cells of the surroundings that a box covers, and half as much around it; at least one."""
    (height, width), inside = around.shape, box.relative_to(around)
    rows, columns = (
        _stretch(first, last, length)
        for first, last, length in ((inside.y0, inside.y1, height), (inside.x0, inside.x1, width))
    )
    return Box(rows.start, columns.start, rows.stop, columns.stop)


def _stretch(first: int, last: int, length: int) -> range:
    margin = (last - first) / 4
    start = int(np.clip((first - margin) / length * _SIDE, 0, _SIDE - 1))
    return range(start, int(np.clip(np.ceil((last + margin) / length * _SIDE), start + 1, _SIDE)))


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two images (s, s) of one part of two frames, and the cells of the object on the first."""

    one: npt.NDArray[np.float32]
    other: npt.NDArray[np.float32]
    place: Box

    @cached_property
    def beside(self) -> npt.NDArray[np.bool_]:
        """The cells that are not the object's, (s, s)."""
        cells = np.ones(self.one.shape, np.bool_)
        cells[self.place.slices] = False
        return cells

    def jump(self) -> Jump:
        """Return how many cells the second image lies further down and further right."""
        if not self.beside.any():
            return AT_REST
        found = max(self.tried(), key=self.around)
        is_alike = self.around(found) >= self.around(AT_REST) + _MARGIN
        return found if is_alike and self._moves_as_a_whole(found) else AT_REST

    def around(self, jump: Jump) -> float:
        """Compare what lies around the object, if that is the jump."""
        return self._likeness(jump, self.beside)

    def _moves_as_a_whole(self, jump: Jump) -> bool:
        """Tell whether the jump makes the object more alike, and what is around it on all sides but one."""
        if self._gain(jump, ~self.beside) <= 0:
            return False
        sides = list(self._sides())
        gained = sum(self._gain(jump, side) >= _MARGIN for side in sides)
        return gained >= max(len(sides) - 1, 1)

    def _gain(self, jump: Jump, cells: npt.NDArray[np.bool_]) -> float:
        return self._likeness(jump, cells) - self._likeness(AT_REST, cells)

    def _sides(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Give the cells above and left of the object, above and right and so on, where that is something."""
        y0, x0, y1, x1 = self.place
        above, left = (np.arange(len(self.one)) < middle / 2 for middle in (y0 + y1, x0 + x1))
        for rows in (above, ~above):
            for columns in (left, ~left):
                cells = self.beside & rows[:, None] & columns
                if cells.mean() >= _SIDE_SHARE:
                    yield cells

    def _likeness(self, jump: Jump, cells: npt.NDArray[np.bool_]) -> float:
        side = len(self.one)
        (rows, other_rows), (columns, other_columns) = (_shared(side, by) for by in jump)
        counts = cells[rows, columns]
        return likeness(self.one[rows, columns][counts], self.other[other_rows, other_columns][counts])

    def tried(self) -> Iterator[Jump]:
        """Give no jump, then the likeliest ones."""
        yield AT_REST
        correlation, side, near = self._correlated(), len(self.one), np.arange(-3, 4)
        for _ in range(_TRIED):
            row, column = (int(k) for k in np.unravel_index(correlation.argmax(), correlation.shape))
            correlation[np.ix_((row + near) % side, (column + near) % side)] = -np.inf
            jump = Jump(*((k + side // 2) % side - side // 2 for k in (row, column)))
            if max(abs(by) for by in jump) <= _FURTHEST * side:
                yield jump

    def _correlated(self) -> npt.NDArray[np.float64]:
        """Correlate them, tapered to their edges, over all shifts, which are cyclic."""
        taper = np.hanning(len(self.one))[:, None] * np.hanning(len(self.one))
        even = np.where(self.beside, self.one, self.one[self.beside].mean())
        first, second = (np.fft.rfft2((each - each.mean()) * taper) for each in (even, self.other))
        cross = second * first.conj()
        whitened = cross / (np.abs(cross) ** _WHITENING + np.finfo(np.float64).tiny)
        shifts: npt.NDArray[np.float64] = np.fft.irfft2(whitened, self.one.shape)
        return shifts


def _shared(side: int, by: int) -> tuple[slice, slice]:
    """Cells of one axis that two images share where the second one is moved."""
    return slice(max(0, -by), side - max(0, by)), slice(max(0, by), side + min(0, by))
