"""Objects x frames at a glance, for tables: what is known, how good it is, how large and where."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_sam2.changes import ChangeLog
from napari_sam2.confidence import Sources, confidence
from napari_sam2.lineage import Life

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam2.labels import Entry, LabelVolume
    from napari_sam2.placement import Box

_BLANKS = (0, np.nan, np.nan, 0, np.nan, np.nan)
"""What the arrays of `Cells` hold where nothing is known."""

_ALL = slice(None)


class CellStatus(IntEnum):
    """What is known of an object on a frame."""

    NOTHING = 0
    TRACKED = 1
    PROMPTED = 2
    PAINTED = 3
    LOCKED = 4
    ABSENT = 5


_CONFIRMED = (CellStatus.PROMPTED, CellStatus.PAINTED, CellStatus.LOCKED)


def update_confidence(cells: Cells, rows: slice | Sequence[int] = _ALL) -> None:
    """Work out the confidence of some objects anew from all else."""
    status, presence, there = cells.status[rows], cells.presence[rows], cells.area[rows] > 0
    tracked = status == CellStatus.TRACKED
    confirmed = np.isin(status, [int(each) for each in _CONFIRMED])
    # From prompts that leave nothing of an object no track sets out, as from a frame that it is not on.
    absent = (status == CellStatus.ABSENT) | (confirmed & ~there)
    sources = Sources(confirmed & there, absent, cells.area[rows])
    found = confidence(cells.score[rows], presence, tracked & there, sources)
    cells.confidence[rows] = np.where(tracked & ~there, 1 - presence, found)


@dataclass(frozen=True)
class ObjectSummary:
    """One object.

    Attributes
    ----------
    obj : int
        Its id, the label value.
    name : str
        Given by the user, or empty.
    prompts, frames : int
        Prompted frames, and frames on which it has pixels.
    worst : float or None
        Lowest `Cells.confidence` of its tracked frames on which it has pixels; None if there is none.
    life : Life
        When it was said to begin and to end.
    parent : int or None
        Of whom it is a daughter.
    locked : bool
        Whether it is locked as a whole.
    """

    obj: int
    name: str = ""
    prompts: int = 0
    frames: int = 0
    worst: float | None = None
    life: Life = field(default_factory=Life)
    parent: int | None = None
    locked: bool = False


@dataclass(frozen=True, eq=False)
class Cells:
    """Arrays (objects, frames); nobody changes them.

    Attributes
    ----------
    status : array of uint8
        `CellStatus`.
    score, presence : array of float32
        The network's estimate of the overlap with the true mask, and the probability that the object is on
        the frame; NaN where nothing is known.
    area : array of int32
        Pixels of the object in the labels.
    centroid : array (objects, frames, 2) of float32
        Their mean (y, x), pixel centres at integers; NaN without pixels.
    confidence : array of float32
        How sure the masks are, see `napari_sam2.confidence`; where a tracked object has no pixels, how sure
        it is that it is not there; NaN where nothing is known.
    """

    status: npt.NDArray[np.uint8]
    score: npt.NDArray[np.float32]
    presence: npt.NDArray[np.float32]
    area: npt.NDArray[np.int32]
    centroid: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, objects: int, frames: int) -> Cells:
        """Make arrays that know nothing."""
        shape = (objects, frames)
        status, score, presence, area, place, confidence = _BLANKS
        return cls(
            status=np.full(shape, status, np.uint8),
            score=np.full(shape, score, np.float32),
            presence=np.full(shape, presence, np.float32),
            area=np.full(shape, area, np.int32),
            centroid=np.full((*shape, 2), place, np.float32),
            confidence=np.full(shape, confidence, np.float32),
        )

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """List the arrays."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def frozen_copy(self) -> Cells:
        """Copy what is there now."""
        copies = [array.copy() for array in self.arrays()]
        for copy in copies:
            copy.flags.writeable = False
        return Cells(*copies)


@dataclass(frozen=True, eq=False)
class SessionSummary:
    """All objects on all frames.

    Attributes
    ----------
    rows : tuple of ObjectSummary
        One per object, in the order of their ids, which the arrays of `cells` follow.
    cells : Cells
        Arrays (objects, frames).
    """

    rows: tuple[ObjectSummary, ...]
    cells: Cells

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of the rows."""
        return tuple(row.obj for row in self.rows)

    def is_covered(self, obj: int, frame: int) -> bool:
        """Whether an object that was prompted on a frame has no pixels there."""
        if obj not in self.objects:
            return False
        row = self.objects.index(obj)
        return bool(self.cells.status[row, frame] == CellStatus.PROMPTED and not self.cells.area[row, frame])


class SummaryTable:
    """Keeps `Cells` up to date with labels: only frames on which something changed are looked at again.

    Parameters
    ----------
    labels : LabelVolume
        The labels, which are watched from now on.
    says_absent : callable
        Takes an object and a frame that it was prompted on; whether it was said not to be there.
    """

    def __init__(self, labels: LabelVolume, says_absent: Callable[[int, int], bool]) -> None:
        self._labels = labels
        self._says_absent = says_absent
        self._changed = ChangeLog()
        self._ids: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._cells = Cells.empty(0, labels.shape[0])
        self._shown, self._is_new = self._cells.frozen_copy(), False
        self._outdated: set[int] = set()
        labels.watch(self._changed.note)

    def cells(self, objects: Sequence[int]) -> Cells:
        """Return the cells of these objects, ids in order."""
        self.catch_up(objects)
        if self._outdated:
            update_confidence(self._cells, sorted(self._outdated))
            self._outdated.clear()
        if self._is_new:
            self._shown, self._is_new = self._cells.frozen_copy(), False
        return self._shown

    def catch_up(self, objects: Sequence[int]) -> None:
        """Look at what has changed and was written, so that `cells` has less to look at."""
        self._arrange(np.asarray(objects, np.int64))
        behind = self._labels.behind
        for frame, box in self._changed.drain().items():
            if frame in behind:
                self._changed.note(frame, box)  # in part only
            else:
                self._look(frame, box)
                self._is_new = True

    def _arrange(self, ids: npt.NDArray[np.int64]) -> None:
        """Make rows for these objects, keeping what is known of them."""
        if np.array_equal(ids, self._ids):
            return
        cells = Cells.empty(len(ids), self._labels.shape[0])
        _, new, old = np.intersect1d(ids, self._ids, assume_unique=True, return_indices=True)
        for target, source in zip(cells.arrays(), self._cells.arrays(), strict=True):
            target[new] = source[old]
        kept = dict(zip(old.tolist(), new.tolist(), strict=True))
        self._outdated = {kept[row] for row in self._outdated if row in kept}
        self._ids, self._cells, self._is_new = ids, cells, True

    def _look(self, frame: int, changed: Box | None) -> None:
        before = self._told_of(frame)
        self._read(frame, changed)
        differs = [was != now for was, now in zip(before, self._told_of(frame), strict=True)]
        self._outdated |= set(np.flatnonzero(np.any(differs, axis=0)).tolist())

    def _told_of(self, frame: int) -> list[npt.NDArray[Any]]:
        """Copy all of a frame that confidence depends on."""
        cells = self._cells
        told = (np.nan_to_num(array[:, frame], nan=-1.0) for array in (cells.score, cells.presence))
        return [cells.status[:, frame].copy(), cells.area[:, frame].copy(), *told]

    def _read(self, frame: int, changed: Box | None) -> None:
        records = self._labels.known_of(frame).records
        entries = {obj: record.entry for obj, record in records.items()}
        rows = np.searchsorted(self._ids, list(entries))
        gone = np.setdiff1d(np.arange(len(self._ids)), rows)
        for array, blank in zip(self._cells.arrays(), _BLANKS, strict=True):
            array[gone, frame] = blank
        if not entries:
            return
        self._cells.status[rows, frame] = [self._status(obj, frame, e) for obj, e in entries.items()]
        self._cells.score[rows, frame] = [entry.score for entry in entries.values()]
        self._cells.presence[rows, frame] = [entry.presence for entry in entries.values()]
        for row, (obj, record) in zip(rows.tolist(), records.items(), strict=True):
            self._measure(row, obj, frame, record.box, changed)

    def _measure(self, row: int, obj: int, frame: int, box: Box | None, changed: Box | None) -> None:
        """Measure an object again if it may have won or lost pixels, all of which lie in its box."""
        if box is not None and (changed is None or box.intersection(changed) is None):
            return
        area, centroid = 0, (np.nan, np.nan)
        if box is not None:
            mask = self._labels.pixels_so_far(frame, box, copy=False) == obj
            in_rows, in_columns = mask.sum(axis=1), mask.sum(axis=0)
            if area := int(in_rows.sum()):
                y, x = (
                    in_rows @ np.arange(len(in_rows)) / area,
                    in_columns @ np.arange(len(in_columns)) / area,
                )
                centroid = box.y0 + float(y), box.x0 + float(x)
        self._cells.area[row, frame] = area
        self._cells.centroid[row, frame] = centroid

    def _status(self, obj: int, frame: int, entry: Entry) -> CellStatus:
        if entry.locked:
            return CellStatus.LOCKED
        if entry.provenance == "tracked":
            return CellStatus.TRACKED
        if self._says_absent(obj, frame):
            return CellStatus.ABSENT
        return CellStatus.PAINTED if entry.provenance == "painted" else CellStatus.PROMPTED


def least_confidence(cells: Cells) -> list[float | None]:
    """Return the lowest confidence of each object's tracked frames, of those on which it has pixels."""
    seen = (cells.status == CellStatus.TRACKED) & (cells.area > 0)
    values = np.where(seen & np.isfinite(cells.confidence), cells.confidence, np.inf)
    lowest = values.min(axis=1, initial=np.inf)
    return [float(value) if np.isfinite(value) else None for value in lowest]
