"""The state behind a session: prompts, labels and confirmed frames, changed together and undoably."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from napari_sam2._labels.entries import FrameRecords
from napari_sam2._session.edit_recorder import Recorder, StateKey
from napari_sam2.changes import ChangeLog
from napari_sam2.history import History
from napari_sam2.lineage import ObjectFacts
from napari_sam2.prompts import PromptKey
from napari_sam2.summary import ObjectSummary, SessionSummary, SummaryTable, least_confidence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from napari_sam2._labels.entries import Record
    from napari_sam2._session.edit_recorder import Kind
    from napari_sam2._tracking.conditioning import Base
    from napari_sam2.history import Change, Edit
    from napari_sam2.labels import Entry, LabelVolume
    from napari_sam2.placement import BoolArray
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.tracker import Tracker


WRITING_SECONDS = 0.012
"""For so long labels are written in one of many steps, an edit's own time included."""


@dataclass(frozen=True, eq=False)
class PromptRecord:
    """A confirmed frame of an object.

    Attributes
    ----------
    prompts : FramePrompts
        What was said; the mask itself where a frame was painted or locked.
    revision : int
        Number of this state.
    base : Base or None
        What was tracked there before the first correction.
    source : {"prompts", "painted", "locked"}
        Who confirmed the frame: prompts, a painted mask, or a lock on a tracked mask.
    area : int or None
        Pixels of the answer; None where it is not known.
    """

    prompts: FramePrompts
    revision: int
    base: Base | None = None
    source: Literal["prompts", "painted", "locked"] = "prompts"
    area: int | None = None


class Sought(NamedTuple):
    """The tracked answer that prompts of an object on a frame correct, as it was found last.

    To find it takes as long as to track a frame. A preview and the click that follows it ask the same: the
    answer holds as long as the session's `edition` is the same.
    """

    key: PromptKey
    edition: int
    base: Base | None


class _Store(NamedTuple):
    """How values of one kind are read and replaced; None stands for no value.

    `read` takes where the value lies and the one that is about to take its place (of entries this one tells
    which objects are meant); `write` takes where it lies and the new value.
    """

    read: Callable[[Any, Any], object]
    write: Callable[[Any, Any], object]


class SessionState:
    """Records and entries by (object, frame), facts by object, and the history of their changes.

    Parameters
    ----------
    labels : LabelVolume
        Holds the entries and writes the labels.
    tracker : Tracker
        Is told every confirmed frame.

    Attributes
    ----------
    lock : RLock
        Held while anything is read or changed that must fit together.
    records : dict
        Confirmed frames; replace them by `put_record`.
    facts : dict
        What is said of objects, where anything is; replace it by `put_facts`.
    revision : int
        Highest number that any state of prompts, or any propagation, was given so far.
    edition : int
        Number of changes so far, undoing among them: what was found in one edition holds in that one alone.
    sought : Sought or None
        The answer that the last prompts or the last preview corrected.
    written : ChangeLog
        What was written into the labels since `Session.take_changes`.
    """

    def __init__(self, labels: LabelVolume, tracker: Tracker) -> None:
        self.labels = labels
        self.tracker = tracker
        self.history = History()
        self.lock = threading.RLock()
        self.records: dict[PromptKey, PromptRecord] = {}
        self.facts: dict[int, ObjectFacts] = {}
        self.written = ChangeLog()
        self.revision = 0
        self.edition = 0
        self.sought: Sought | None = None
        self._groups: list[Recorder] = []  # one within the other
        self._postpones = False
        self._stores: Mapping[Kind, _Store] = {
            "record": _Store(lambda key, _: self.records.get(key), self._set_record),
            "entries": _Store(lambda frame, of: labels.known_of(frame, of.objects), labels.restore_all),
            "facts": _Store(lambda obj, _: self.facts.get(obj), self._set_facts),
        }
        labels.watch(self.written.note)
        self._table = SummaryTable(labels, self._says_absent)

    def next_revision(self) -> int:
        """Return a number that no state of any prompts has had."""
        with self.lock:
            self.revision += 1
            return self.revision

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids with a record, an entry or facts, in order."""
        with self.lock:
            return tuple(sorted({key.obj for key in self.records} | {*self.labels.all_objects, *self.facts}))

    def facts_of(self, obj: int) -> ObjectFacts:
        """Return what is said of an object as a whole."""
        return self.facts.get(obj) or ObjectFacts()

    def keys(self, obj: int) -> tuple[PromptKey, ...]:
        """List the places of an object that have a record or an entry, in order."""
        frames = {key.frame for key in self.records if key.obj == obj} | set(self.labels.frames(obj))
        return tuple(PromptKey(obj, frame) for frame in sorted(frames))

    def entry(self, key: PromptKey) -> Entry | None:
        """Return the labels entry of a place."""
        with self.lock:
            return self.labels.get(key.obj, key.frame)

    def mask(self, key: PromptKey) -> BoolArray:
        """Return an object's own mask on a frame, (H, W)."""
        with self.lock:
            return self.labels.mask(key.obj, key.frame)

    def _says_absent(self, obj: int, frame: int) -> bool:
        record = self.records.get(PromptKey(obj, frame))
        return record is not None and record.prompts.says_absent

    def summary(self) -> SessionSummary:
        """Return objects and frames at a glance."""
        with self.lock:
            objects = self.objects
            cells = self._table.cells(objects)
            prompted = Counter(key.obj for key, record in self.records.items() if record.source != "locked")
            frames = (cells.area > 0).sum(axis=1).tolist()
            rows = [
                ObjectSummary(
                    obj, facts.name, prompted[obj], count, worst, facts.life, facts.parent, facts.locked
                )
                for obj, count, worst in zip(objects, frames, least_confidence(cells), strict=True)
                for facts in [self.facts_of(obj)]
            ]
            return SessionSummary(tuple(rows), cells)

    def put_record(self, key: PromptKey, record: PromptRecord | None) -> None:
        """Replace a record, undoably, and tell the tracker."""
        self._put(StateKey("record", key), record)

    def put_entry(self, key: PromptKey, entry: Entry | None) -> None:
        """Replace a labels entry, undoably."""
        record = None if entry is None else self.labels.record(key.obj, entry)
        self._put_known(key, record)

    def put_in_place_of(self, known: FrameRecords, key: PromptKey, entry: Entry) -> None:
        """Replace what is `known` of several objects on a frame by the entry of one of them, undoably."""
        record, told = self.labels.record(key.obj, entry), known.about(key.obj)
        self._put_all(key.frame, told, FrameRecords.of(told.objects, {key.obj: record}))

    def put_all(self, frame: int, records: FrameRecords) -> None:
        """Replace entries of a frame by what `LabelVolume.known_of` of any labels returned, undoably."""
        if len(records.objects):
            self.labels.make_room(int(records.objects[-1]))
            self._put_all(frame, self.labels.known_of(frame, records.objects), records)

    def put_known(self, key: PromptKey, record: Record | None) -> None:
        """Replace a labels entry by what `LabelVolume.known` returned of another object."""
        self.labels.make_room(key.obj)
        self._put_known(key, record)

    def _put_known(self, key: PromptKey, record: Record | None) -> None:
        self._note(key.frame, self.labels.known_of(key.frame, (key.obj,)))
        self.labels.restore(key.obj, key.frame, record)

    def erase(self, frame: int, objects: Collection[int]) -> None:
        """Forget the labels entries of many objects on a frame, undoably."""
        known = self.labels.known_of(frame, objects).about()
        if len(known.rows):
            self._put_all(frame, known, FrameRecords.of(known.objects, {}))

    def _put_all(self, frame: int, known: FrameRecords, records: FrameRecords) -> None:
        """Replace what is known of objects on a frame, undoably."""
        self._note(frame, known)
        self.labels.restore_all(frame, records)

    def _note(self, frame: int, known: FrameRecords) -> None:
        """Note what is known of objects on a frame before it is replaced."""
        if self._groups:
            self._groups[-1].note(frame, known)
        self.edition += 1

    def put_facts(self, obj: int, facts: ObjectFacts | None) -> None:
        """Replace what is said of an object as a whole, undoably; blank facts are none."""
        new = None if facts is None or facts.is_blank else facts
        if new != self.facts.get(obj):
            self._put(StateKey("facts", obj), new)

    def _put(self, key: StateKey, value: object) -> None:
        if self._groups:
            self._groups[-1].before.setdefault(key, self._stores[key.kind].read(key.place, value))
        self._write(key, value)

    def _write(self, key: StateKey, value: object) -> None:
        self.edition += 1
        self._stores[key.kind].write(key.place, value)

    @contextmanager
    def grouped(self, label: str, run: Hashable | None = None) -> Iterator[None]:
        """Make all changes inside one edit of the history; the outermost group names it.

        An error inside takes the changes of its group back, so that a group around it can go on with others.
        Groups of one `run` in a row are undone together.
        """
        recorder = Recorder(label)
        written = nullcontext if self._groups else self._written  # the outermost writes, each pixel once
        self._groups.append(recorder)
        try:
            with written():
                yield
        except Exception:
            failed = recorder.edit()
            recorder.clear()
            with written():
                self._apply(failed.inverse())
            raise
        finally:
            self._end_group(recorder, run)

    def _end_group(self, recorder: Recorder, run: Hashable | None) -> None:
        """Hand what a group has changed to the one around it, or to the history where there is none."""
        at = self._groups.index(recorder)  # not always the last: one thread may end its group in another's
        del self._groups[at]
        if at:
            self._groups[at - 1].take(recorder)
        else:
            self.history.push(recorder.edit(), run)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write the labels at the end, each pixel once, unless that is `postponed`."""
        with self.labels.gathered() as frames:
            yield
        if not self._postpones:
            for frame in sorted(frames):
                self.labels.settle(frame)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Leave what edits inside change in the labels to `settle`, or to whoever reads it."""
        with self.lock:
            before, self._postpones = self._postpones, True
            try:
                yield
            finally:
                self._postpones = before

    def settle(self, first: Sequence[int] = (), seconds: float = inf) -> bool:
        """Write what is left to be written, some frames first, for about so long; whether that is all."""
        until = perf_counter() + seconds
        with self.lock:
            behind = sorted(self.labels.behind, key=lambda frame: (frame not in first, frame))
            objects = self.objects if behind else ()
            for number, frame in enumerate(behind):
                self._table.catch_up(objects)  # with what there was no time for when it was written
                if number and perf_counter() > until:
                    break
                self.labels.settle(frame, until)
                if perf_counter() > until:
                    break
            return not self.labels.behind

    def settle_steps(self) -> Iterator[None]:
        """Write all that is left to be written, for some milliseconds in each step."""
        while not self.settle(seconds=WRITING_SECONDS):
            yield

    def undo(self) -> str | None:
        """Take back the last edit and return its label."""
        with self.lock, self._written():
            return self._apply(self.history.undo(self._read))

    def take_back(self, run: Hashable) -> str | None:
        """Take back the last edits, if of this run, as if they had never been, and return their label."""
        with self.lock, self._written():
            return self._apply(self.history.take_back(run))

    def redo(self) -> str | None:
        """Do the edit again that was taken back last, and return its label."""
        with self.lock, self._written():
            return self._apply(self.history.redo())

    def _apply(self, edit: Edit | None) -> str | None:
        if edit is None:
            return None
        for change in edit.changes:
            self._write(cast("StateKey", change.key), change.after)
        return edit.label

    def _read(self, change: Change) -> object:
        kind, place = cast("StateKey", change.key)
        return self._stores[kind].read(place, change.before)

    def _set_record(self, key: PromptKey, record: PromptRecord | None) -> None:
        self.records.pop(key, None)
        if record is None:
            self.tracker.forget(key.obj, key.frame)
            return
        self.records[key] = record
        self.tracker.declare(
            key.obj,
            key.frame,
            record.prompts,
            revision=record.revision,
            base=record.base,
            area=record.area,
        )

    def _set_facts(self, obj: int, facts: ObjectFacts | None) -> None:
        self.facts.pop(obj, None)
        if facts is not None:
            self.facts[obj] = facts
        self.labels.set_locked(obj, locked=facts is not None and facts.locked)
