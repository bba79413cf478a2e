"""What is known of every object on every frame, at some hundred and sixty bytes each.

A long sequence with many objects has hundreds of thousands of entries. As objects of Python, each with its
numbers beside it, they would take several times as much, most of all that grows when labels are on disk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from napari_sam2.placement import Box, PlacedLogits

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from napari_sam2._labels.packed_mask import PackedMask
    from napari_sam2._labels.spill import Kept

Provenance: TypeAlias = Literal["prompted", "tracked", "painted"]


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """What is known of one object on one frame.

    Parameters
    ----------
    logits : PlacedLogits or None
        The network's answer; None if it found nothing or was not asked.
    painted : PackedMask or None
        The user's own mask. If there is one, it is the object's mask, whatever `logits` say.
    locked : bool
        Confirmed by the user: wins its pixels from entries that are not.
    provenance : {"prompted", "tracked", "painted"}
        Where the mask comes from.
    score : float
        The network's estimate of the overlap with the true mask, 0 to 1.
    presence : float
        Probability that the object is on the frame.
    origin : hashable, optional
        Which computation made the entry; kept, never looked at.
    """

    logits: PlacedLogits | None = None
    painted: PackedMask | None = None
    locked: bool = False
    provenance: Provenance = "tracked"
    score: float = 0.0
    presence: float = 0.0
    origin: Hashable | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """An entry less its logits, and what is needed to write it.

    Attributes
    ----------
    entry : Entry
        Without logits.
    kept : Kept or None
        Its logits, in memory or on disk.
    own : PackedMask or None
        The mask, where logits do not tell it.
    box : Box or None
        Holds the mask; None if there is none.
    """

    entry: Entry
    kept: Kept | None
    own: PackedMask | None
    box: Box | None


Objects: TypeAlias = Collection[int] | npt.NDArray[np.int64]
"""Ids; those in an array are in order."""
Boxes: TypeAlias = Sequence[Box] | npt.NDArray[np.int32]
"""Boxes, or the sides of each in a row (n, 4)."""
PROVENANCES: tuple[Provenance, ...] = get_args(Provenance)
"""In the order that session files count them in: another one may only be added at the end."""
_NO_BOX = (0, 0, 0, 0)
# What few entries have of their own, or many have in common, is held as it is.
_ROW = np.dtype(
    [("obj", np.int64), *((side, np.int32) for side in Box._fields)]
    + [("locked", np.bool_), ("provenance", np.uint8), ("score", np.float64), ("presence", np.float64)]
    + [(name, np.object_) for name in ("origin", "painted", "own", "kept")]
)
_Rows: TypeAlias = npt.NDArray[np.void]
_Row: TypeAlias = tuple[object, ...] | np.void
_NO_ROWS: _Rows = np.zeros(0, _ROW)


@dataclass(frozen=True, eq=False, slots=True)
class FrameRecords:
    """Records of some objects on a frame, as they are stored, so that many are exchanged in one go.

    Attributes
    ----------
    objects : array of int64
        Of whom it tells, in order.
    rows : array
        Their records, in order; an object without one is not there.
    """

    objects: npt.NDArray[np.int64]
    rows: _Rows

    @classmethod
    def of(cls, objects: Objects, records: Mapping[int, Record]) -> FrameRecords:
        """Tell of objects; those that are not in `records` have none."""
        rows = [_row(obj, record) for obj, record in sorted(records.items())]
        return cls(_in_order(objects), np.array(rows, _ROW) if rows else _NO_ROWS)

    @classmethod
    def joined(cls, several: Sequence[FrameRecords]) -> FrameRecords:
        """Return what several of different objects on the same frame tell."""
        if len(several) == 1:
            return several[0]
        objects = np.sort(np.concatenate([each.objects for each in several]))
        known = [each.rows for each in several if len(each.rows)]
        return cls(objects, _joined(known) if known else _NO_ROWS)

    def part(self, objects: Objects) -> FrameRecords:
        """Return what is told of some of the objects."""
        ids = _in_order(objects)
        told = _are_among(self.rows, ids)
        return FrameRecords(ids, self.rows[told] if told.any() else _NO_ROWS)  # the history has many of these

    def about(self, *objects: int) -> FrameRecords:
        """Tell of those that have a record, and of some others; of no more than that, which takes room."""
        return FrameRecords(_in_order({*self.known, *objects}), self.rows)

    def anew(self) -> FrameRecords:
        """Tell the same as known to a session that has computed none of it."""
        rows = np.array(self.rows)
        rows["origin"] = None
        return FrameRecords(self.objects, rows)

    def is_same(self, other: FrameRecords) -> bool:
        """Whether the very records of the same objects are told, so that nothing came in their place."""
        # Numbers and addresses: both sides hold what they tell of, so that no address is used again.
        return np.array_equal(self.objects, other.objects) and self.rows.tobytes() == other.rows.tobytes()

    @property
    def records(self) -> dict[int, Record]:
        """Records by object."""
        return dict(_each(self.rows))

    @property
    def known(self) -> list[int]:
        """Ids with a record, in order."""
        return list(self.rows["obj"].tolist())

    @property
    def masked(self) -> list[int]:
        """Ids of those that have a mask, in order."""
        return list(self.rows["obj"][self.rows["y1"] > self.rows["y0"]].tolist())

    @property
    def locked(self) -> list[int]:
        """Ids of those whose mask is locked, in order."""
        return list(self.rows["obj"][self.rows["locked"]].tolist())

    def meeting(self, box: Box) -> list[int]:
        """Return the ids of those whose masks may have pixels in a box, in order."""
        return list(self.rows["obj"][_meets(self.rows, box)].tolist())

    @property
    def origins(self) -> list[Hashable]:
        """Which computation made each of the records."""
        return list(self.rows["origin"])

    @property
    def boxes(self) -> npt.NDArray[np.int32]:
        """Sides (n, 4) of the boxes of those that have a mask."""
        sides = np.array([self.rows[side] for side in Box._fields]).T
        return sides[sides[:, 2] > sides[:, 0]]


class RecordTable:
    """Records by frame and object: for each frame an array of a row for every object, in the order of ids."""

    def __init__(self) -> None:
        """Start without records."""
        self._frames: dict[int, _Rows] = {}

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames with a record, in order."""
        return tuple(sorted(self._frames))

    def frames_of(self, *objects: int) -> tuple[int, ...]:
        """List the frames on which any of these objects has a record, in order."""
        ids = _in_order(objects)
        return tuple(sorted(frame for frame, rows in self._frames.items() if _have(rows, ids)))

    def objects(self, frame: int) -> tuple[int, ...]:
        """List the ids with a record on a frame, in order."""
        return tuple(self._rows(frame)["obj"].tolist())

    def origins(self, frame: int) -> dict[int, Hashable]:
        """Return which computation made the record of each object on a frame."""
        rows = self._rows(frame)
        return dict(zip(rows["obj"].tolist(), rows["origin"].tolist(), strict=True))

    def get(self, obj: int, frame: int) -> Record | None:
        """Return the record of an object on a frame, or None."""
        rows = self._rows(frame)
        at = _place(rows, obj)
        return _record(rows[at]) if _is_at(rows, at, obj) else None

    def on(self, frame: int, box: Box | None = None) -> Iterator[tuple[int, Record]]:
        """Give ids and records of a frame in the order of ids; with a box, those whose masks may meet it."""
        rows = self._rows(frame)
        return _each(rows if box is None else rows[_meets(rows, box)])

    def exchange(self, obj: int, frame: int, record: Record | None) -> Record | None:
        """Put a record (None: nothing) in place of what there was, and return that."""
        old = self.get(obj, frame)
        self._put(frame, obj, None if record is None else _row(obj, record))
        return old

    def _put(self, frame: int, obj: int, row: _Row | None) -> None:
        rows = self._rows(frame)
        at = _place(rows, obj)
        is_there = _is_at(rows, at, obj)
        if is_there and row is not None:
            rows[at] = row
        elif is_there:
            self._keep(frame, rows[np.arange(len(rows)) != at])
        elif row is not None:
            more = _with_room(rows, at)
            more[at] = row
            self._keep(frame, more)

    def of(self, frame: int, objects: Objects | None = None) -> FrameRecords:
        """Return the records of all or some objects on a frame, to be put there again by `exchange_all`."""
        rows = self._rows(frame)
        if objects is None:
            return FrameRecords(np.array(rows["obj"]), rows[np.arange(len(rows))])
        ids = _in_order(objects)
        if len(ids) == 1:  # as when thousands of edits of one object each are undone together
            at = _place(rows, ids[0])
            return FrameRecords(ids, rows[[at]] if _is_at(rows, at, ids[0]) else _NO_ROWS)
        return FrameRecords(ids, rows).part(ids)

    def exchange_all(self, frame: int, records: FrameRecords) -> FrameRecords:
        """Put records in place of what there was of the same objects, and return that."""
        if len(records.objects) == 1:
            old = self.of(frame, records.objects)
            self._put(frame, int(records.objects[0]), records.rows[0] if len(records.rows) else None)
            return old
        rows = self._rows(frame)
        told = _are_among(rows, records.objects)
        after = rows[~told]
        self._keep(frame, _joined([after, records.rows]) if len(records.rows) else after)
        return FrameRecords(records.objects, rows[told] if len(after) else rows)  # let go of as they are

    def _rows(self, frame: int) -> _Rows:
        return self._frames.get(frame, _NO_ROWS)

    def _keep(self, frame: int, rows: _Rows) -> None:
        if len(rows):
            self._frames[frame] = rows
        else:
            self._frames.pop(frame, None)


def _in_order(objects: Objects) -> npt.NDArray[np.int64]:
    """Return ids in order as an array."""
    return objects if isinstance(objects, np.ndarray) else np.array(sorted(objects), np.int64)


def _place(rows: _Rows, obj: int) -> int:
    """Return where an object is, or would be."""
    return int(rows["obj"].searchsorted(obj))


def _is_at(rows: _Rows, at: int, obj: int) -> bool:
    return at < len(rows) and bool(rows["obj"][at] == obj)


def _have(rows: _Rows, ids: npt.NDArray[np.int64]) -> bool:
    if len(ids) == 1:
        return _is_at(rows, _place(rows, ids[0]), ids[0])
    return bool(_are_among(rows, ids).any())


def _are_among(rows: _Rows, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell of each row whether its object is one of `ids`, which are in order; quicker than `numpy.isin`."""
    if not len(ids):
        return np.zeros(len(rows), np.bool_)
    at = ids.searchsorted(rows["obj"])
    found: npt.NDArray[np.bool_] = ids[np.minimum(at, len(ids) - 1)] == rows["obj"]
    return found


def _with_room(rows: _Rows, at: int) -> _Rows:
    """Copy rows with one more; of an array of fields, to index is by far the fastest way."""
    if not len(rows):
        return np.empty(1, _ROW)
    index = np.arange(len(rows) + 1)
    index[at + 1 :] -= 1
    return rows[np.minimum(index, len(rows) - 1)]


def _joined(several: Sequence[_Rows]) -> _Rows:
    """Copy rows of different objects into one array, in the order of ids."""
    rows = np.concatenate(several, dtype=_ROW)  # to find out the type takes longer than to copy
    ids = rows["obj"]
    return rows if (ids[1:] > ids[:-1]).all() else rows[ids.argsort()]


def _each(rows: _Rows) -> Iterator[tuple[int, Record]]:
    for row in rows:
        yield int(row["obj"]), _record(row)


def _meets(rows: _Rows, box: Box) -> npt.NDArray[np.bool_]:
    along_y = (rows["y0"] < box.y1) & (rows["y1"] > box.y0)
    return along_y & (rows["x0"] < box.x1) & (rows["x1"] > box.x0)


def _row(obj: int, record: Record) -> tuple[object, ...]:
    entry = record.entry
    numbers = (obj, *(record.box or _NO_BOX))
    told = (entry.locked, PROVENANCES.index(entry.provenance), entry.score, entry.presence)
    return (*numbers, *told, entry.origin, entry.painted, record.own, record.kept)


def _record(row: Any) -> Record:  # noqa: ANN401 - one row of an array
    _, *sides, locked, provenance, score, presence, origin, painted, own, kept = row.item()
    box = Box(*sides)
    return Record(
        Entry(None, painted, locked, PROVENANCES[provenance], score, presence, origin),
        kept=kept,
        own=own,
        box=None if box == _NO_BOX else box,
    )
