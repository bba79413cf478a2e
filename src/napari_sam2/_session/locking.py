"""What is locked: masks on a frame, or whole objects, and the pixels that they keep from others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sam2._session.edits import check_known, check_not_locked, painted_entry
from napari_sam2._session.state import PromptRecord
from napari_sam2.labels import PackedMask
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

    from napari_sam2._labels.entries import FrameRecords
    from napari_sam2._session.state import SessionState
    from napari_sam2.labels import Entry


class Left(NamedTuple):
    """What locked masks leave of another one on a frame, and what was known there when that was found.

    `mask` is None where they leave all of it.
    """

    known: FrameRecords
    locked: frozenset[int]
    mask: PackedMask | None


def lock(state: SessionState, key: PromptKey) -> None:
    """Confirm a mask as it is."""
    check_not_locked(state, key.obj)
    entry = state.entry(key)
    if entry is None:
        raise ValueError(f"object {key.obj} has no mask on frame {key.frame}: prompt or propagate it first")
    left = _left(state, key).mask
    state.put_entry(key, replace(entry, locked=True, painted=entry.painted if left is None else left))
    if key not in state.records:
        prompts = FramePrompts(mask=state.mask(key))
        record = PromptRecord(prompts, state.next_revision(), source="locked", area=prompts.mask_area)
        state.put_record(key, record)


def unlock(state: SessionState, key: PromptKey) -> None:
    """Take back `lock`."""
    check_not_locked(state, key.obj)
    entry = state.entry(key)
    if entry is not None and entry.locked:
        state.put_entry(key, _released(state, key, replace(entry, locked=False)))
    record = state.records.get(key)
    if record is not None and record.source == "locked":
        state.put_record(key, None)


def lock_object(state: SessionState, obj: int, left: Mapping[int, Left]) -> None:
    """Keep an object as it is; `left` may know masks by frame, from `left_steps`."""
    check_known(state, obj)
    if state.facts_of(obj).locked:
        return
    for key in state.keys(obj):
        mask = _left_now(state, key, left.get(key.frame))
        entry = None if mask is None else state.entry(key)
        if entry is not None:
            state.put_entry(key, replace(entry, painted=mask))
    state.put_facts(obj, replace(state.facts_of(obj), locked=True))


def unlock_object(state: SessionState, obj: int) -> None:
    """Let an object be changed again."""
    check_known(state, obj)
    if not state.facts_of(obj).locked:
        return
    state.put_facts(obj, replace(state.facts_of(obj), locked=False))
    for key in state.keys(obj):
        entry = state.entry(key)
        changed = entry and _released(state, key, entry)
        if changed is not entry:
            state.put_entry(key, changed)


def left_steps(state: SessionState, obj: int) -> Generator[None, None, dict[int, Left]]:
    """Find what locked masks leave of an object, a frame at a time."""
    left: dict[int, Left] = {}
    with state.lock:
        keys = list(state.keys(obj))
    for key in keys:
        with state.lock:
            left[key.frame] = _left(state, key)
        yield
    return left


def _left_now(state: SessionState, key: PromptKey, before: Left | None) -> PackedMask | None:
    """Return what is left of a mask, looking anew where anything changed since."""
    is_current = before is not None and _is_current(state, key, before)
    return before.mask if before and is_current else _left(state, key).mask


def _is_current(state: SessionState, key: PromptKey, left: Left) -> bool:
    is_same = left.known.is_same(state.labels.known_of(key.frame))
    return is_same and left.locked == _locked_beside(state, key)


def _locked_beside(state: SessionState, key: PromptKey) -> frozenset[int]:
    return state.labels.locked_on(key.frame) - {key.obj}


def _left(state: SessionState, key: PromptKey) -> Left:
    known, locked = state.labels.known_of(key.frame), _locked_beside(state, key)
    return Left(known, locked, _without(state, key, locked.intersection(_beside(state, key, known))))


def _beside(state: SessionState, key: PromptKey, known: FrameRecords) -> Collection[int]:
    """Return the objects whose masks may meet that of another one, found without looking at pixels."""
    box = state.labels.box(key.obj, key.frame)
    return () if box is None else known.meeting(box)


def _without(state: SessionState, key: PromptKey, others: Collection[int]) -> PackedMask | None:
    """Return a mask without the pixels of others; None where they have none of its pixels."""
    box = state.labels.box(key.obj, key.frame)
    if box is None or not others:
        return None
    own = state.labels.union((key.obj,), key.frame, box)
    taken = own & np.isin(state.labels.pixels(key.frame, box), list(others))
    return PackedMask.pack_within(own & ~taken, box, state.labels.shape[1:]) if taken.any() else None


def _released(state: SessionState, key: PromptKey, entry: Entry) -> Entry:
    """Return an entry that is locked no longer, with the pixels that others had kept from it."""
    record = state.records.get(key)
    if entry.locked or entry.painted is None:
        return entry
    if entry.logits is not None:
        return replace(entry, painted=None)
    is_painted = record is not None and record.source == "painted" and record.prompts.packed is not None
    return replace(entry, painted=painted_entry(record.prompts).painted) if record and is_painted else entry
