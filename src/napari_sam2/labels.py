"""Labels composed from what is known of every object on every frame.

`LabelVolume` remembers an `Entry` for each (object, frame) and writes the integer volume from them. Since a
pixel is decided by all entries of its frame together, the order in which they arrive does not matter, and an
object that is removed gives its pixels back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from time import perf_counter
from typing import Any, TypeAlias
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from napari_sam2._labels.array import LabelArray, OwnLabels, blank_labels, check_target
from napari_sam2._labels.composition import Claim, Claimant, apart, around, compose, listed, strips
from napari_sam2._labels.entries import Boxes, Entry, FrameRecords, Objects, Provenance, Record, RecordTable
from napari_sam2._labels.logit_bytes import pack_logits, unpack_logits
from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._labels.snapshot import LabelSnapshot
from napari_sam2._labels.spill import SpillStore
from napari_sam2.placement import BoolArray, Box, PlacedLogits

__all__ = ["Box", "Entry", "LabelVolume", "PackedMask", "PlacedLogits", "Provenance", "blank_labels"]

# Pixels of a frame that are written in one go: some milliseconds where large masks meet.
_STRIP = 2**18

CleanUp: TypeAlias = Callable[[BoolArray], BoolArray]
Watcher: TypeAlias = Callable[[int, "Box | None"], None]
"""Is told the frame of every change, and the box of its pixels that was written."""


class LabelVolume:
    """Integer labels ``(frames, H, W)`` and the entries that they are composed from.

    A pixel goes to the locked mask, else the painted one, else the highest logit, else the lower id. The
    owner sees to it that one thread writes at a time, and none reads meanwhile.

    Parameters
    ----------
    shape : tuple of 3 ints
        ``(frames, H, W)``.
    labels : array (frames, H, W), optional
        Integers, numpy or zarr, to write into. It is never replaced. Values in it that belong to none of the
        objects are somebody else's and stay. By default a uint16 array, which becomes uint32 when an id needs
        it.
    cleanup : callable, optional
        Takes a mask ``(H, W)``, returns the mask to be written. Painted masks are not cleaned up.
    budget : int
        Bytes of logits held in memory; older ones go to a temporary file.

    Raises
    ------
    ValueError
        If `shape` is not three positive numbers, or `labels` has another shape.
    TypeError
        If `labels` does not hold integers.

    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        labels: LabelArray | None = None,
        cleanup: CleanUp | None = None,
        *,
        budget: int = 256 * 2**20,
    ) -> None:
        frames, height, width = shape
        if min(frames, height, width) < 1:
            raise ValueError(f"shape must be (frames, H, W), each at least 1, got {tuple(shape)}")
        if labels is not None:
            check_target(labels, tuple(shape))
        self._shape = shape
        self._own = OwnLabels(shape) if labels is None else None
        self._array: LabelArray = labels if self._own is None else self._own
        self._cleanup = cleanup
        self._store = SpillStore(budget)
        self._records = RecordTable()
        self._written: set[int] = set()
        self._counts: Counter[int] = Counter()
        self._locked: set[int] = set()
        self._watchers: list[Watcher] = []
        self._entry_watchers: list[Callable[[int], None]] = []
        self._behind: dict[int, list[Boxes]] = {}
        self._gathered: set[int] | None = None
        self._snapshots: WeakSet[LabelSnapshot] = WeakSet()

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` from now on of every frame that something changed on, when it is written."""
        self._watchers.append(watcher)

    def watch_entries(self, watcher: Callable[[int], None]) -> Callable[[], None]:
        """Tell `watcher` of the frame of every entry that is replaced, until what is returned is called."""
        self._entry_watchers.append(watcher)
        return lambda: self._entry_watchers.remove(watcher)

    @contextmanager
    def gathered(self) -> Iterator[set[int]]:
        """Put off the writing of pixels that change inside of this context, and give the frames of them.

        They are `behind` until `settle` writes them, each pixel once; whoever reads them has that done first.
        """
        outer, self._gathered = self._gathered, set()
        try:
            yield self._gathered
        finally:
            if outer is not None:
                outer |= self._gathered
            self._gathered = outer

    @property
    def cleanup(self) -> CleanUp | None:
        """What masks go through before they are written."""
        return self._cleanup

    @property
    def behind(self) -> tuple[int, ...]:
        """Frames on which something has still to be written, in order."""
        return tuple(sorted(self._behind))

    def settle(self, frame: int | None = None, until: float = inf) -> None:
        """Write the pixels that are `behind`, of one frame or of all, each of them once.

        A frame is written in parts: always the first one, and no other after `until` (`time.perf_counter`).
        """
        for each in self.behind if frame is None else (frame,):
            if each in self._behind:
                self._write_behind(each, until)

    def _write_behind(self, frame: int, until: float) -> None:
        boxes = [part for box in apart(listed(self._behind[frame])) for part in strips(box, _STRIP)]
        done = 0
        while done < len(boxes) and (not done or perf_counter() <= until):
            self._compose(frame, boxes[done])
            done += 1
        self._behind[frame] = [boxes[done:]]
        if done == len(boxes):
            del self._behind[frame]
        self._tell(frame, around(boxes[:done]))

    def snapshot(self) -> LabelSnapshot:
        """Return the labels as they are now, whatever is written later."""
        self.settle()
        taken = LabelSnapshot(self._array)
        self._snapshots.add(taken)
        return taken

    @property
    def array(self) -> LabelArray:
        """The composed labels, the very array that is written into: look it up again after `replace`."""
        self.settle()
        return self._array if self._own is None else self._own.whole()

    def pixels(self, frame: int, box: Box | None = None) -> npt.NDArray[Any]:
        """Return a copy of the composed labels of a frame, or of a box of it, (H, W)."""
        self.settle(frame)
        return self.pixels_so_far(frame, box)

    def pixels_so_far(self, frame: int, box: Box | None = None, *, copy: bool = True) -> npt.NDArray[Any]:
        """Return what `pixels` does, where the frame is `behind` as it was before; a view if not copied."""
        part = self._array[frame] if box is None else self._array[(frame, *box.slices)]
        return np.array(part, copy=copy or None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(frames, H, W)``."""
        return self._shape

    @property
    def all_objects(self) -> tuple[int, ...]:
        """Ids that have an entry on any frame, in order."""
        return tuple(sorted(self._counts))

    def objects(self, frame: int) -> tuple[int, ...]:
        """List the ids that have an entry on `frame`, in order."""
        return self._records.objects(frame)

    def frames(self, *objects: int) -> tuple[int, ...]:
        """List the frames on which any of the objects has an entry, in order."""
        return self._records.frames_of(*objects)

    def get(self, obj: int, frame: int) -> Entry | None:
        """Return what is known of `obj` on `frame`, logits cropped to what the mask needs, or None."""
        record = self._records.get(obj, frame)
        return self.entry_of(record) if record else None

    def entry_of(self, record: Record) -> Entry:
        """Return an entry with its logits."""
        return replace(record.entry, logits=self._logits(record))

    def origins(self, frame: int) -> dict[int, Hashable]:
        """Return which computation made the entry of each object on `frame`, without reading logits."""
        return self._records.origins(frame)

    def box(self, obj: int, frame: int) -> Box | None:
        """Return a box that holds the mask of `obj` on `frame`; None if there is no mask."""
        record = self._records.get(obj, frame)
        return record.box if record else None

    def mask(self, obj: int, frame: int) -> BoolArray:
        """Return the mask ``(H, W)`` of `obj` on `frame`, cleaned up, before overlaps are decided.

        All False if none is known; IndexError if there is no such frame.
        """
        return self.union((obj,), frame)

    def union(self, objects: Sequence[int], frame: int, box: Box | None = None) -> BoolArray:
        """Return the pixels of a frame, or of a box of it, that any of these objects has in its own mask."""
        self._check_frame(frame)
        within = box or Box(0, 0, *self._shape[1:])
        union = np.zeros(within.shape, dtype=np.bool_)
        for obj in objects:
            record = self._records.get(obj, frame)
            common = record.box.intersection(within) if record and record.box else None
            if record is not None and common is not None:
                union[common.relative_to(within).slices] |= self._claim(record, common).mask
        return union

    def replace(self, obj: int, frame: int, entry: Entry | None) -> Box | None:
        """Store `entry` (None: forget it) and write again what that may change.

        Parameters
        ----------
        obj : int
            Label value, at least 1.
        frame : int
            Index of the frame.
        entry : Entry or None
            Its logits are cropped before they are kept.

        Returns
        -------
        Box or None
            The pixels of `frame` that are written; None if there is nothing to write.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If the id is below 1 or does not fit into the labels array, or a mask has another frame's shape.
        """
        return self.restore(obj, frame, None if entry is None else self.record(obj, entry))

    def record(self, obj: int, entry: Entry) -> Record:
        """Keep an entry of an object for `restore`; ValueError as `replace`."""
        self.make_room(obj)
        return self._record(entry)

    def make_room(self, obj: int) -> None:
        """See that the labels array can hold `obj`; ValueError if it cannot."""
        if obj < 1:
            raise ValueError(f"an object id must be at least 1 (0 is the background), got {obj}")
        if obj <= np.iinfo(self._array.dtype).max:
            return
        if self._own is None or obj > np.iinfo(np.uint32).max:
            raise ValueError(
                f"object id {obj} does not fit into labels of type {self._array.dtype}; use a smaller id"
                + (" or give an array of a wider type" if self._own is None else "")
            )
        self._own.widen()

    def known(self, obj: int, frame: int) -> Record | None:
        """Return what is known of an object on a frame, its logits unread, for `restore`."""
        return self._records.get(obj, frame)

    def restore(self, obj: int, frame: int, record: Record | None) -> Box | None:
        """Put what `record` or `known` returned in place of what is known; otherwise as `replace`."""
        self._check_frame(frame)
        old = self._records.exchange(obj, frame, record)
        self._count((obj,) if old else (), (obj,) if record else ())
        boxes = [each.box for each in (old, record) if each and each.box]
        self._write(frame, boxes)
        return around(boxes)

    def known_of(self, frame: int, objects: Objects | None = None) -> FrameRecords:
        """Return what is known of all or some objects on a frame, for `restore_all`."""
        return self._records.of(frame, objects)

    def restore_all(self, frame: int, records: FrameRecords) -> None:
        """Do what `restore` does for many objects of a frame in one go; each id has to fit."""
        self._check_frame(frame)
        old = self._records.exchange_all(frame, records)
        self._count(old.known, records.known)
        self._write(frame, old.boxes, records.boxes)

    def _count(self, gone: Collection[int], come: Collection[int]) -> None:
        """Count on how many frames objects have an entry."""
        self._written.update(come)
        self._counts.update(come)
        for obj in gone:
            self._counts[obj] -= 1
            if not self._counts[obj]:
                del self._counts[obj]

    def _write(self, frame: int, *boxes: Boxes) -> None:
        """Compose what a change touches, now or later."""
        for watcher in self._entry_watchers:
            watcher(frame)
        if self._gathered is not None:
            self._gathered.add(frame)
            self._behind.setdefault(frame, []).extend(boxes)
            return
        whole = around(listed(boxes))
        if whole is not None:
            self._compose(frame, whole)
        self._tell(frame, whole)

    def _tell(self, frame: int, box: Box | None) -> None:
        for watcher in self._watchers:
            watcher(frame, box)

    def locked_on(self, frame: int) -> frozenset[int]:
        """Return the ids whose mask on a frame is locked, by itself or with the whole object."""
        known = self._records.of(frame)
        return frozenset(known.locked) | self._locked.intersection(known.known)

    def set_locked(self, obj: int, *, locked: bool) -> None:
        """Lock all masks of `obj`, those to come included, or take that back, and write them again."""
        if locked == (obj in self._locked):
            return
        (self._locked.add if locked else self._locked.discard)(obj)
        for frame in self.frames(obj):
            box = self.box(obj, frame)
            self._write(frame, [box] if box else [])

    def remove(self, obj: int) -> Mapping[int, Box | None]:
        """Forget `obj` on every frame; return the box that was written on each."""
        return {frame: self.replace(obj, frame, None) for frame in self.frames(obj)}

    def _check_frame(self, frame: int) -> None:
        last = self._shape[0] - 1
        if not 0 <= frame <= last:
            raise IndexError(f"there is no frame {frame}: the labels have frames 0 to {last}")

    def _record(self, entry: Entry) -> Record:
        self._check_shape(entry.logits.frame_shape if entry.logits else None)
        self._check_shape(entry.painted.shape if entry.painted else None)
        tight = entry.logits.tight() if entry.logits else None
        own = entry.painted or (self._cleaned(tight) if tight else None)
        kept = self._store.keep(pack_logits(tight)) if tight else None
        return Record(replace(entry, logits=None), kept, own, _own_box(own, tight))

    def _check_shape(self, shape: tuple[int, int] | None) -> None:
        if shape is not None and tuple(shape) != tuple(self._shape[1:]):
            raise ValueError(f"the mask is for a frame of shape {shape}, the frames have {self._shape[1:]}")

    def _cleaned(self, logits: PlacedLogits) -> PackedMask | None:
        """Mask after clean-up, None without one; on the whole frame, where sizes have their meaning."""
        if self._cleanup is None:
            return None
        mask = np.zeros(self._shape[1:], dtype=np.bool_)
        box = logits.pixel_box()
        if box is not None:
            mask[box.slices] = logits.render(box) > 0
        return PackedMask.pack(self._cleanup(mask))

    def _logits(self, record: Record) -> PlacedLogits | None:
        return None if record.kept is None else unpack_logits(record.kept.read(), self._shape[1:])

    def _claim(self, record: Record, box: Box) -> Claim:
        """Pixels of `box` that the record's object wants; a painted mask wants all of them equally."""
        logits = None if record.entry.painted is not None else self._logits(record)
        values = np.zeros(box.shape, dtype=np.float32) if logits is None else logits.render(box)
        return Claim(values > 0 if record.own is None else record.own.unpack(box), values)

    def _compose(self, frame: int, box: Box) -> None:
        """Decide the pixels of `box` anew from all entries of the frame."""
        met = self._records.on(frame, box)
        claimants = [Claimant(self._rank(obj, record), obj, record) for obj, record in met]
        labels = compose(claimants, box, self._array.dtype, self._claim)
        for snapshot in self._snapshots:
            snapshot.keep(frame)
        target = (frame, *box.slices)
        if self._own is None:
            present = np.asarray(self._array[target])
            foreign = ~np.isin(present, [0, *self._written])
            labels[foreign] = present[foreign]
        self._array[target] = labels

    def _rank(self, obj: int, record: Record) -> tuple[bool, bool]:
        """Higher wins: locked, then painted."""
        return record.entry.locked or obj in self._locked, record.entry.painted is not None


def _own_box(own: PackedMask | None, tight: PlacedLogits | None) -> Box | None:
    if own is not None:
        return own.box
    return tight.pixel_box() if tight else None
