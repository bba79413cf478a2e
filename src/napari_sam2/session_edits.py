"""What can be done to a session's state: confirm, take back, lock, hand over, write what was tracked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.conditioning import Base
from napari_sam2.labels import Entry, PackedMask
from napari_sam2.passes import PassKey
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session_state import PromptRecord

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from napari_sam2.frame_result import FrameResult
    from napari_sam2.labels import Provenance
    from napari_sam2.session_state import SessionState
    from napari_sam2.tracker_state import Job


def check_unlocked(state: SessionState, key: PromptKey) -> None:
    """Raise ValueError where an object's mask is locked."""
    entry = state.entry(key)
    if entry is not None and entry.locked:
        raise ValueError(f"object {key.obj} is locked on frame {key.frame}: unlock it first")


def _check_known(state: SessionState, obj: int) -> None:
    if obj not in state.objects:
        raise ValueError(f"there is no object {obj}: those that are there are {list(state.objects)}")


def confirm(state: SessionState, key: PromptKey, record: PromptRecord) -> FrameResult:
    """Set what is said of an object on a frame, and its mask there."""
    state.put_record(key, record)
    result = state.tracker.confirmed_result(key.obj, key.frame)
    if record.source == "painted" and record.prompts.mask is not None:
        state.put_entry(key, _painted(record.prompts))
    else:
        state.put_entry(key, _entry(result, 0, "prompted"))
    if record.prompts.says_absent:
        _erase_beyond(state, key.obj)
    return result


def take_back(state: SessionState, key: PromptKey) -> FrameResult:
    """Take prompts back; where the frame had been tracked before, that answer shows again."""
    record = state.records.get(key)
    if record is None:
        return state.tracker.empty_result(key.frame)
    state.put_record(key, None)
    state.put_entry(key, None)
    if record.base is not None:
        # The base stays at hand for the next first correction of this frame.
        shown = state.tracker.place(record.base.low_res)
        state.put_entry(key, Entry(logits=shown, presence=1.0, origin=record.base))
    return state.tracker.empty_result(key.frame)


def find_base(state: SessionState, key: PromptKey) -> Base | None:
    """Return what the frame's first correction sets out from: kept, or what is tracked there now."""
    record = state.records.get(key)
    if record is not None:
        return record.base
    entry = state.entry(key)
    origin = None if entry is None else entry.origin
    if isinstance(origin, Base):
        return origin
    if entry is None or not isinstance(origin, PassKey):
        return None
    return state.tracker.base_of(key.obj, key.frame, entry.logits, origin)


def _erase_beyond(state: SessionState, obj: int) -> None:
    """Erase what was tracked where nothing can be tracked any more."""
    covered = {frame for job in state.tracker.plan([obj]) for frame in job.planned.frames}
    for key in state.keys(obj):
        if key.frame not in covered and key not in state.records:
            state.put_entry(key, None)


def lock(state: SessionState, key: PromptKey) -> None:
    """Confirm a mask as it is."""
    entry = state.entry(key)
    if entry is None:
        raise ValueError(f"object {key.obj} has no mask on frame {key.frame}: prompt or propagate it first")
    if key not in state.records:
        prompts = FramePrompts(mask=state.mask(key))
        state.put_record(key, PromptRecord(prompts, state.next_revision(), source="locked"))
    state.put_entry(key, replace(entry, locked=True))


def unlock(state: SessionState, key: PromptKey) -> None:
    """Take back `lock`."""
    entry = state.entry(key)
    if entry is not None and entry.locked:
        state.put_entry(key, replace(entry, locked=False))
    record = state.records.get(key)
    if record is not None and record.source == "locked":
        state.put_record(key, None)


def remove(state: SessionState, obj: int) -> None:
    """Remove an object with all that is known of it."""
    _check_known(state, obj)
    for key in state.keys(obj):
        state.put_record(key, None)
        state.put_entry(key, None)


def merge(state: SessionState, obj: int, other: int) -> None:
    """Give all that is known of `other` to `obj`."""
    if obj == other:
        raise ValueError(f"object {obj} cannot be merged with itself")
    _check_known(state, obj)
    _check_known(state, other)
    for key in state.keys(other):
        _hand_over(state, key, PromptKey(obj, key.frame))


def split(state: SessionState, key: PromptKey, new: int | None) -> int:
    """Give what is known of an object from a frame on to a new one, and return its id."""
    _check_known(state, key.obj)
    target = max(state.objects) + 1 if new is None else new
    if target in state.objects:
        raise ValueError(f"object {target} is there already: choose a free id")
    for source in state.keys(key.obj):
        if source.frame >= key.frame:
            _hand_over(state, source, PromptKey(target, source.frame))
    return target


def _hand_over(state: SessionState, source: PromptKey, target: PromptKey) -> None:
    """Move record and entry to another object; where both have a mask, the union counts as painted."""
    record, entry = state.records.get(source), state.entry(source)
    mask, own = state.mask(source), state.mask(target)
    state.put_record(source, None)
    state.put_entry(source, None)
    if state.entry(target) is not None and not mask.any():
        return
    if own.any() or target in state.records:
        record = PromptRecord(FramePrompts(mask=mask | own), state.next_revision(), source="painted")
        entry = _painted(record.prompts)
    state.put_record(target, record)
    state.put_entry(target, entry)


def what_is_left(state: SessionState, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Leave out passes that are up to date; one that is so in part goes on where it stopped."""
    left: list[Job] = []
    for job in jobs:
        frames = job.planned.frames
        stale = [f for f in frames if not _is_current(state, PromptKey(job.obj, f), job.planned.key)]
        if stale:
            left.append(job if stale[0] == frames[0] else replace(job, begin=stale[0]))
    return tuple(left)


def _is_current(state: SessionState, key: PromptKey, origin: PassKey) -> bool:
    return state.labels.origin(key.obj, key.frame) == origin


def locked_steps(state: SessionState, steps: Iterator[FrameResult], run: int) -> Iterator[FrameResult]:
    """Hold the lock while a frame is computed, let others in between, and number the propagation."""
    while True:
        with state.lock:
            result = next(steps, None)
        if result is None:
            return
        yield replace(result, run=run)


def write_tracked(
    state: SessionState, result: FrameResult, only: Mapping[PromptKey, Hashable] | None = None
) -> None:
    """Write a tracked result, less objects whose prompts have changed since it was computed.

    `only` names the places to write and the pass whose answer each of them takes.
    """
    for index, (obj, origin) in enumerate(zip(result.objects, result.origins, strict=True)):
        key = PromptKey(obj, result.frame)
        if origin is None or key in state.records or (only is not None and only.get(key) != origin):
            continue
        if origin.reaches(result.frame, state.tracker.anchors(obj)):
            state.put_entry(key, _entry(result, index, "tracked"))


def _painted(prompts: FramePrompts) -> Entry:
    if prompts.mask is None:
        raise ValueError("a painted frame has a mask")
    return Entry(
        painted=PackedMask.pack(prompts.mask),
        provenance="painted",
        score=1.0,
        presence=0.0 if prompts.says_absent else 1.0,
    )


def _entry(result: FrameResult, index: int, provenance: Provenance) -> Entry:
    return Entry(
        logits=result.placed[index],
        provenance=provenance,
        score=float(result.iou[index]),
        presence=float(result.presence[index]),
        origin=result.origins[index],
    )
