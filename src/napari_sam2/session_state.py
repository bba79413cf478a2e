"""The state behind a session: prompts, labels and confirmed frames, changed together and undoably."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from napari_sam2.history import Change, Edit, History
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_sam2.conditioning import Base
    from napari_sam2.labels import Entry, LabelVolume
    from napari_sam2.placement import BoolArray
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.tracker import Tracker


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
    """

    prompts: FramePrompts
    revision: int
    base: Base | None = None
    source: Literal["prompts", "painted", "locked"] = "prompts"


class StateKey(NamedTuple):
    """Where a value lies: an object's record or its labels entry on a frame."""

    kind: Literal["record", "entry"]
    place: PromptKey


@dataclass
class _Recorder:
    """Collects the first value of everything that one edit replaces."""

    label: str
    before: dict[StateKey, object] = field(default_factory=dict)

    def edit(self) -> Edit:
        """Return the edit; what it leads to is read when it is undone."""
        return Edit(self.label, tuple(Change(key, value, None) for key, value in self.before.items()))


class SessionState:
    """Records and entries by (object, frame), and the history of their changes.

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
    """

    def __init__(self, labels: LabelVolume, tracker: Tracker) -> None:
        self.labels = labels
        self.tracker = tracker
        self.history = History()
        self.lock = threading.RLock()
        self.records: dict[PromptKey, PromptRecord] = {}
        self.revision = 0
        self._recorder: _Recorder | None = None

    def next_revision(self) -> int:
        """Return a number that no state of any prompts has had."""
        with self.lock:
            self.revision += 1
            return self.revision

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids with a record or an entry, in order."""
        with self.lock:
            return tuple(sorted({key.obj for key in self.records} | set(self.labels.all_objects)))

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

    def put_record(self, key: PromptKey, record: PromptRecord | None) -> None:
        """Replace a record, undoably, and tell the tracker."""
        self._note(StateKey("record", key))
        self._set_record(key, record)

    def put_entry(self, key: PromptKey, entry: Entry | None) -> None:
        """Replace a labels entry, undoably, and write the labels."""
        self._note(StateKey("entry", key))
        self.labels.replace(key.obj, key.frame, entry)

    @contextmanager
    def grouped(self, label: str, run: Hashable | None = None) -> Iterator[None]:
        """Make all changes inside one edit of the history; the outermost group names it.

        An error inside takes the changes back. Groups of one `run` in a row are undone together.
        """
        if self._recorder is not None:
            yield
            return
        recorder = self._recorder = _Recorder(label)
        try:
            yield
        except Exception:
            self._apply(recorder.edit().inverse())
            recorder.before.clear()
            raise
        finally:
            self._recorder = None
            self.history.push(recorder.edit(), run)

    def undo(self) -> str | None:
        """Take back the last edit and return its label."""
        with self.lock:
            return self._apply(self.history.undo(self._read))

    def redo(self) -> str | None:
        """Do the edit again that was taken back last, and return its label."""
        with self.lock:
            return self._apply(self.history.redo())

    def _apply(self, edit: Edit | None) -> str | None:
        if edit is None:
            return None
        for change in edit.changes:
            key = cast("StateKey", change.key)
            if key.kind == "record":
                self._set_record(key.place, cast("PromptRecord | None", change.after))
            else:
                self.labels.replace(key.place.obj, key.place.frame, cast("Entry | None", change.after))
        return edit.label

    def _set_record(self, key: PromptKey, record: PromptRecord | None) -> None:
        self.records.pop(key, None)
        if record is None:
            self.tracker.forget(key.obj, key.frame)
            return
        self.records[key] = record
        self.tracker.declare(key.obj, key.frame, record.prompts, revision=record.revision, base=record.base)

    def _read(self, key: Hashable) -> object:
        place = cast("StateKey", key)
        return self.records.get(place.place) if place.kind == "record" else self.entry(place.place)

    def _note(self, key: StateKey) -> None:
        if self._recorder is not None:
            self._recorder.before.setdefault(key, self._read(key))
