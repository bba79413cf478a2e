"""Saying to an empty session all that was said to another one, prompt by prompt."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2._session import edits, locking
from napari_sam2._session.state import PromptRecord
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.steps import result_of, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2._session.state import SessionState


class Retelling(Iterator[PromptKey]):
    """Brings an empty session up to date with what was said to another one.

    Parameters
    ----------
    source, target : SessionState
        Of frames of the same shape. The source may change until the last step.
    """

    def __init__(self, source: SessionState, target: SessionState) -> None:
        self._source, self._target = source, target
        self._said: dict[PromptKey, PromptRecord] = {}
        self._left: dict[PromptKey, None] = {}
        self._edition = -1
        self._has_ended = False

    def __next__(self) -> PromptKey:
        """Answer one more prompt; after the last one all else is taken over, and cannot be undone."""
        key = self.step()
        if key is None:
            self._end()
            raise StopIteration
        return key

    def step(self) -> PromptKey | None:
        """Answer one more prompt, or return None if there is none now: more may be said to the source."""
        return result_of(self.in_steps())

    def in_steps(self) -> Generator[None, None, PromptKey | None]:
        """Do what `step` does in steps no longer than to encode a window or to answer in it."""
        key = self._next()
        if key is None:
            return None
        yield from self._answered(key)
        with self._target.lock:
            self._say(key)
        return key

    def _answered(self, key: PromptKey) -> Generator[None, None, None]:
        """Work out what `_say` will be answered."""
        with self._source.lock:
            record = self._told(key)
        if record is not None:
            answering = self._target.tracker.answering(key.frame, record.prompts, None)
            yield from within(self._target.lock, answering)

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        source, target = self._source, self._target
        with source.lock, target.lock, target.postponed(), target.grouped("Take over"):
            locked = [obj for obj in source.objects if source.facts_of(obj).locked]
            for obj in locked:  # before their masks come, each of which would be written again
                target.put_facts(obj, source.facts_of(obj))
            prompted = {key.obj for key in self._said}
            kept = {*locked, *(obj for obj in source.objects if obj not in prompted)}
            said = {key.frame for key in source.records}
            for frame in sorted(said.union(source.labels.frames(*source.objects))):
                self._take_over(frame, kept)
            for obj in source.objects:
                target.put_facts(obj, source.facts_of(obj))
        target.history.clear()

    def _next(self) -> PromptKey | None:
        """Find a place where the two were told different things."""
        if self._has_ended:
            return None
        with self._source.lock:
            if self._source.edition != self._edition:
                self._look_through()
            return next(iter(self._left), None)

    def _look_through(self) -> None:
        """Find all places where the two were told different things: once, and again where more was said."""
        told = {key: record for key in self._source.records if (record := self._told(key)) is not None}
        gone = sorted(self._said.keys() - told.keys())
        new = sorted(key for key, record in told.items() if self._said.get(key) is not record)
        self._left = dict.fromkeys((*gone, *new))
        self._edition = self._source.edition

    def _told(self, key: PromptKey) -> PromptRecord | None:
        """Return what is to be answered anew at a place: not what is locked, on a frame or as a whole."""
        record = self._source.records.get(key)
        is_kept = record is None or record.source == "locked" or self._source.facts_of(key.obj).locked
        return None if is_kept else record

    def _say(self, key: PromptKey) -> None:
        with self._source.lock:
            record = self._told(key)
        if record is None:
            self._said.pop(key, None)  # it may be gone since it was chosen
            edits.take_back(self._target, key)
        else:
            edits.confirm(self._target, key, self._own(record.prompts, painted=record.source == "painted"))
            self._said[key] = record
        self._left.pop(key, None)  # last: what could not be answered is tried again

    def _own(self, prompts: FramePrompts, *, painted: bool) -> PromptRecord:
        """Make a record of the target: what the source had tracked there means nothing to it."""
        revision = self._target.next_revision()
        return PromptRecord(prompts, revision, source="painted" if painted else "prompts")

    def _take_over(self, frame: int, kept: set[int]) -> None:
        """Keep masks that nothing here would bring back: those of some objects, and locked ones."""
        locked = {
            obj for obj in self._source.labels.known_of(frame).locked if not self._source.facts_of(obj).locked
        }
        answered = {obj for obj in locked if PromptKey(obj, frame) in self._said}
        for obj in sorted(answered):
            self._lock(PromptKey(obj, frame))
        self._keep(frame, sorted((kept | locked) - answered))

    def _keep(self, frame: int, objects: Sequence[int]) -> None:
        """Take what was said and what is shown as they are."""
        for obj in objects:
            record = self._source.records.get(PromptKey(obj, frame))
            if record is not None:
                revision = self._target.next_revision()
                self._target.put_record(PromptKey(obj, frame), replace(record, revision=revision, base=None))
        known = self._source.labels.known_of(frame, objects).about()
        if self._source.labels.cleanup is self._target.labels.cleanup:
            self._target.put_all(frame, known.anew())
            return
        for obj in known.known:
            entry = self._source.entry(PromptKey(obj, frame))
            self._target.put_entry(
                PromptKey(obj, frame), None if entry is None else replace(entry, origin=None)
            )

    def _lock(self, key: PromptKey) -> None:
        """Confirm the very mask that was locked, where a prompt was answered."""
        mask = FramePrompts(mask=self._source.mask(key))
        edits.confirm(self._target, key, self._own(mask, painted=True))
        locking.lock(self._target, key)
