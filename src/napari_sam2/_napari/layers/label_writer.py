"""Labels that were computed, on their way into the Labels layer: some in each turn of the event loop."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sam2._napari.wiring import Later
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt
    from napari.layers import Labels

    from napari_sam2._napari.image.geometry import FrameKey, SequenceGeometry
    from napari_sam2._napari.layers.label_records import LabelRecords

# For so long is written in a turn, in seconds; then other events have theirs.
_SECONDS = 0.008
# So many pixels are written at once, in any turn: about a millisecond's worth, a few where memory is touched
# for the first time. A few small masks are there together even where other programs take the time. What a
# change costs beside its pixels is worth _EACH of them.
_AT_ONCE, _EACH = 2**18, 2**12


@dataclass(frozen=True, eq=False)
class _Waiting:
    """What has to be written into a frame, in order."""

    geometry: SequenceGeometry
    changes: deque[LabelChange] = field(default_factory=deque)

    def put(self, change: LabelChange) -> None:
        """Add a change; those that it covers need not be written any more."""
        left = [each for each in self.changes if each.box.intersection(change.box) != each.box]
        self.changes.clear()
        self.changes.extend((*left, *_bands(change)))


@dataclass(frozen=True)
class Hold:
    """What a stroke that is under way, or a wider type that is being made, keeps from being written.

    Attributes
    ----------
    seen : FrameKey or None
        The frame that is seen; None if all of them are, if only in part.
    all, one : bool
        Whether a stroke keeps everything, or the frame that is seen.
    widens : bool
        Whether everything waits for a wider type, which comes by itself.
    """

    seen: FrameKey | None
    all: bool
    one: bool
    widens: bool = False

    def keeps(self, key: FrameKey) -> bool:
        """Tell whether nothing is written into a frame now."""
        return self.all or self.widens or (self.one and self.shows(key))

    def shows(self, key: FrameKey) -> bool:
        """Tell whether a frame is seen."""
        return self.seen in {None, key}


class LabelWriter:
    """Writes into a Labels layer what was computed, for a few milliseconds at a time, by itself.

    A frame that waits shows what is on record of it, so it is never taken for a stroke.

    Parameters
    ----------
    layer : Labels
        Written on the GUI thread only.
    records : LabelRecords
        Of what was written.
    hold : callable
        Tells what has to wait now.
    look : callable
        Finds what was painted on frames of a sequence and is still being looked for there.

    Attributes
    ----------
    resumed : Signal
        It is about to go on; what was painted meanwhile is to be told before.
    coming : Signal(set[int])
        Objects are about to be written.
    seen_changed : Signal
        Pixels that are seen were written.
    """

    resumed = Signal()
    coming = Signal(set)
    seen_changed = Signal()

    def __init__(
        self,
        layer: Labels,
        records: LabelRecords,
        hold: Callable[[], Hold],
        look: Callable[[SequenceGeometry, set[int]], None],
    ) -> None:
        self._layer, self._records = layer, records
        self._hold, self._look = hold, look
        self._waiting: OrderedDict[FrameKey, _Waiting] = OrderedDict()
        self._turn = Later(self._resume)

    def put(self, changes: Iterable[LabelChange], geometry: SequenceGeometry) -> None:
        """Let changes of a sequence wait until they are written."""
        for change in (each for each in changes if each.values.size):
            self._waiting.setdefault(geometry.key(change.frame), _Waiting(geometry)).put(change)

    @property
    def is_at_work(self) -> bool:
        """Whether something goes on by itself: what no stroke keeps waits, or a wider type is being made."""
        hold = self._hold()
        return hold.widens or (bool(self._waiting) and self._next(hold) is not None)

    def go_on(self) -> None:
        """Write for a few milliseconds, and go on in the next turn if anything is left."""
        if not self._waiting:
            return
        hold = self._hold()
        try:
            self._write(hold, _SECONDS)
        finally:  # what cannot be shown, as without memory for a wider type, keeps back no other
            if self._next(hold) is not None:
                self._turn.ask()

    def _resume(self) -> None:
        self.resumed.emit()
        self.go_on()

    def _next(self, hold: Hold) -> FrameKey | None:
        """Name the frame that is written next: the one that is seen, or another one."""
        if hold.all or hold.widens:
            return None
        if hold.seen in self._waiting and not hold.one:
            return hold.seen
        return next((key for key in self._waiting if key != hold.seen), None)

    def _write(self, hold: Hold, seconds: float) -> None:
        end, spent, shows = time.perf_counter() + seconds, 0, False
        while (key := self._next(hold)) is not None:
            if self._widens(key):
                spent += _AT_ONCE
            else:
                spent += max(self._waiting[key].changes[0].values.size, _EACH)
                shows |= self._write_next(key) and hold.shows(key)
            if spent >= _AT_ONCE and time.perf_counter() >= end:
                break
        if shows:
            self.seen_changed.emit()

    def _widens(self, key: FrameKey) -> bool:
        """Copy some rows of what is on record of a frame, if it is too narrow for what is written next."""
        record = self._records.of(self._waiting[key].geometry)
        return not record.widen(key.frame, self._layer.data.dtype)

    def _write_next(self, key: FrameKey) -> bool:
        """Write the next change of a frame; return whether it made a difference."""
        waiting = self._waiting[key]
        self._look(waiting.geometry, {key.frame})  # which may write all of them beneath what it finds
        try:
            return bool(waiting.changes) and self._write_one(waiting.changes.popleft(), waiting.geometry)
        finally:
            if not waiting.changes:
                self._waiting.pop(key, None)

    def write_beneath(self, geometry: SequenceGeometry, frame: int) -> None:
        """Write what waits for a frame beneath what was painted there, unless a stroke keeps it."""
        key = geometry.key(frame)
        if key not in self._waiting or (hold := self._hold()).keeps(key):
            return
        changes = self._waiting.pop(key).changes
        for change in changes:  # first: the layer's array may become another one
            self._announce(change)
        with self._records.of(geometry).beneath(frame, geometry.frames_of(self._layer.data)[frame]):
            while changes:
                self._write_one(changes.popleft(), geometry)
        if hold.shows(key):
            self.seen_changed.emit()

    def _announce(self, change: LabelChange) -> None:
        if change.values.any():  # which is quick, where finding out what there is is not
            self.coming.emit(_objects_in(change.values))

    def _write_one(self, change: LabelChange, geometry: SequenceGeometry) -> bool:
        self._announce(change)
        frame = geometry.frames_of(self._layer.data)[change.frame]
        part = frame[change.box.slices]
        if np.array_equal(part, change.values):
            return False
        record = self._records.of(geometry)
        record.ensure(change.frame, frame)
        part[...] = change.values
        record.put(change.frame, change.box, part)
        return True

    def close(self) -> None:
        """Write all that waits; nobody will tell strokes from it, so nothing is put on record."""
        self._turn.close()
        writes = bool(self._waiting)
        while self._waiting:
            _, waiting = self._waiting.popitem()
            for change in waiting.changes:
                self._announce(change)
                frame = waiting.geometry.frames_of(self._layer.data)[change.frame]
                frame[change.box.slices] = change.values
        if writes:
            self.seen_changed.emit()


def _bands(change: LabelChange) -> Iterator[LabelChange]:
    """Cut a change into rows that are written at once."""
    box, rows = change.box, max(_AT_ONCE // change.values.shape[1], 1)
    for first in range(0, change.values.shape[0], rows):
        values = change.values[first : first + rows]
        top = box.y0 + first
        yield LabelChange(change.frame, Box(top, box.x0, top + len(values), box.x1), values)


def _objects_in(values: npt.NDArray[Any]) -> set[int]:
    """Return the labels that occur; one is looked at where it begins along the rows, which are long runs."""
    flat = values.ravel()
    begins = flat[1:][flat[1:] != flat[:-1]]
    return {int(flat[0]), *np.unique(begins).tolist()} - {0}
