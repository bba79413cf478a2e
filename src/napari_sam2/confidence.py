"""How sure a tracked mask is, from what the network says of it and of those that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Marks = npt.NDArray[np.bool_]
    Values = npt.NDArray[np.floating[Any]]

DOUBTFUL = 0.6
"""Masks that are less sure deserve a look: docs/how-it-works.md tells how many of them are wrong."""

# Objects at once: arrays of them fit the caches of a processor.
_ROWS = 16


class Sources(NamedTuple):
    """What tracks set out from and where they end, (objects, frames).

    Attributes
    ----------
    confirmed : array of bool
        Frames that tracks set out from, to either side.
    absent : array of bool
        Frames that no track goes beyond.
    area : array of int
        Pixels of the masks: between two confirmed frames the larger one has more of the way.
    """

    confirmed: Marks
    absent: Marks
    area: npt.NDArray[np.integer[Any]]

    def of(self, rows: slice) -> Sources:
        """Return those of some objects."""
        return Sources(self.confirmed[rows], self.absent[rows], self.area[rows])

    @property
    def backward(self) -> Sources:
        """The same with the last frame first."""
        return Sources(self.confirmed[:, ::-1], self.absent[:, ::-1], self.area[:, ::-1])


def confidence(score: Values, presence: Values, seen: Marks, sources: Sources) -> npt.NDArray[np.float32]:
    """Tell how sure masks are: no mask is surer than those that it was tracked through.

    A mask that is wrong is remembered, and leads to the next one, of which the network may be sure again. So
    it is the worst score, times the worst presence, from the confirmed frame that a mask was tracked from up
    to the mask.

    Parameters
    ----------
    score, presence : array (objects, frames)
        The network's estimate of the overlap, and the probability that the object is there; NaN where nothing
        is known.
    seen : array (objects, frames) of bool
        Where there is a tracked mask.
    sources : Sources
        What tracks set out from.

    Returns
    -------
    array (objects, frames) of float32
        0 to 1; without a mask that was tracked what is known of the frame alone, or NaN.
    """
    found = np.empty(seen.shape, np.float32)
    for first in range(0, len(seen), _ROWS):
        rows = slice(first, first + _ROWS)
        found[rows] = _of_rows(np.stack((score[rows], presence[rows])), seen[rows], sources.of(rows))
    return found


def _of_rows(own: Values, seen: Marks, sources: Sources) -> Values:
    """Do what `confidence` does with scores and presences (2, objects, frames) of some objects."""
    told = np.where(np.isfinite(own), own, 1)
    before, after = _last_confirmed(sources), _last_confirmed(sources.backward).backward
    barriers, on_the_way = sources.confirmed | sources.absent, np.where(seen, told, 1)
    forward = _worst_so_far(on_the_way, barriers)
    backward = _worst_so_far(on_the_way[..., ::-1], barriers[:, ::-1])[..., ::-1]
    tracked = seen & (before.known | after.known)
    worst = np.where(tracked, np.where(before.leads(after), forward, backward), told)
    return np.where(np.isfinite(own).any(axis=0), worst.prod(axis=0), np.nan)


class _Confirmed(NamedTuple):
    """Of each cell the last confirmed frame before: how many frames ago, and the area of its mask.

    `known` is false where there is none, or the object was absent since.
    """

    known: Marks
    distance: npt.NDArray[np.int64]
    area: npt.NDArray[np.int64]

    @property
    def backward(self) -> _Confirmed:
        """The same with the last frame first."""
        return _Confirmed(self.known[:, ::-1], self.distance[:, ::-1], self.area[:, ::-1])

    def leads(self, after: _Confirmed) -> Marks:
        """Mark cells that are tracked from here, and not from the confirmed frame after them.

        The border is that of `napari_sam2.passes.plan_gaps`.
        """
        first, second = self.area, after.area
        alike = (first == 0) | (second == 0)
        first, second = np.where(alike, 1, first), np.where(alike, 1, second)
        length = self.distance + after.distance
        is_before = self.distance <= np.minimum(length * first // (first + second), length - 1)
        marks: Marks = self.known & (~after.known | is_before)
        return marks


def _last_confirmed(sources: Sources) -> _Confirmed:
    at = np.arange(sources.confirmed.shape[1])
    confirmed = np.maximum.accumulate(np.where(sources.confirmed, at, -1), axis=1)
    absent = np.maximum.accumulate(np.where(sources.absent, at, -1), axis=1)
    area = np.take_along_axis(sources.area.astype(np.int64), np.maximum(confirmed, 0), axis=1)
    return _Confirmed(confirmed > absent, at - confirmed, area)


def _worst_so_far(values: Values, barriers: Marks) -> Values:
    """Lowest of values between 0 and 1 since the last barrier, along the last axis.

    Stretches between barriers are lowered by two more than those before, so that one pass sees only its own.
    """
    lowered = 2.0 * np.cumsum(barriers, axis=-1)
    return np.asarray(np.minimum.accumulate(values - lowered, axis=-1) + lowered)
