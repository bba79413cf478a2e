"""What can be done to a session's state on one frame: confirm, take back, write what was tracked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2._session.state import PromptRecord, Sought
from napari_sam2._tracking.conditioning import Base
from napari_sam2.labels import Entry
from napari_sam2.passes import PassKey, limited
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.refusals import ObjectLockedError
from napari_sam2.steps import within

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Hashable, Iterator, Mapping, Sequence

    from napari_sam2._session.state import SessionState
    from napari_sam2._tracking.state import Job
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.labels import Provenance
    from napari_sam2.passes import Direction


NOBODY = 0
"""Id of an object that only previews have."""


def check_known(state: SessionState, *objects: int) -> None:
    """Raise ValueError if there is no such object."""
    known = state.objects
    missing = set(objects).difference(known)
    if missing:
        there = f"choose one of {list(known)}" if known else "prompt one first"
        raise ValueError(f"there is no object {min(missing)}: {there}")


def check_free(state: SessionState, *objects: int) -> None:
    """Raise ValueError if one of the objects is not there or locked as a whole."""
    check_known(state, *objects)
    check_not_locked(state, *objects)


def check_not_locked(state: SessionState, *objects: int) -> None:
    """Raise ValueError if one of the objects, which need not be there yet, is locked as a whole."""
    for obj in objects:
        if state.facts_of(obj).locked:
            raise ObjectLockedError(obj)


def check_open(state: SessionState, key: PromptKey) -> None:
    """Raise ValueError where an object cannot be changed: locked, or beyond its beginning or end."""
    known = state.labels.known_of(key.frame, (key.obj,))
    check_open_all(state, key.frame, (key.obj,), known.locked)


def check_open_all(
    state: SessionState, frame: int, objects: Collection[int], locked: Collection[int]
) -> None:
    """Do what `check_open` does for many objects, some of which have a mask that is locked on the frame."""
    for obj in objects:
        if obj in locked or obj in state.facts:  # nothing is said of the others
            _check_open(state, PromptKey(obj, frame), locked=obj in locked)


def _check_open(state: SessionState, key: PromptKey, *, locked: bool) -> None:
    check_not_locked(state, key.obj)
    facts = state.facts_of(key.obj)
    if locked:
        raise ValueError(f"object {key.obj} is locked on frame {key.frame}: unlock it first")
    if key.frame not in facts.life:
        first, last = facts.life.first, facts.life.last
        ends = (
            f"begins on frame {first}" if first is not None and key.frame < first else f"ends on frame {last}"
        )
        raise ValueError(
            f"object {key.obj} {ends}: it cannot be on frame {key.frame}; "
            "say first that it begins or ends elsewhere, or take another object"
        )


def confirm(state: SessionState, key: PromptKey, record: PromptRecord) -> FrameResult:
    """Set what is said of an object on a frame, and its mask there."""
    state.put_record(key, record)
    result = state.tracker.confirmed_result(key.obj, key.frame)
    if record.source == "painted" and record.prompts.packed is not None:
        state.put_entry(key, painted_entry(record.prompts))
    else:
        state.put_entry(key, _entry(result, 0, "prompted"))
    state.put_record(key, replace(record, area=result.placed[0].area))
    if result.placed[0].pixel_box() is None:
        _erase_beyond(state, key.obj)
    return result


def preview(state: SessionState, key: PromptKey, prompts: FramePrompts, base: Base | None) -> FrameResult:
    """Answer prompts as `confirm` would, and forget them."""
    try:
        result = state.tracker.prompt(NOBODY, key.frame, prompts, base=base)
    finally:
        state.tracker.remove(NOBODY)
    return replace(result, objects=(key.obj,))


def base_of(state: SessionState, key: PromptKey, prompts: FramePrompts) -> Generator[None, None, Base | None]:
    """Return what prompts set out from; of many questions about one place only the first looks for it."""
    if prompts.packed is not None:
        return None
    sought = state.sought
    if sought is None or (sought.key, sought.edition) != (key, state.edition):
        edition = state.edition
        base = yield from find_base(state, key)
        sought = state.sought = Sought(key, edition, base)
    return sought.base


def take_back(state: SessionState, key: PromptKey) -> FrameResult:
    """Take prompts back; where the frame had been tracked before, that answer shows again."""
    record = state.records.get(key)
    if record is None:
        return state.tracker.empty_result(key.frame)
    state.put_record(key, None)
    state.put_entry(key, None)
    base = record.base
    if base is not None:
        # As origin, the base stays at hand for the next first correction of this frame.
        shown = state.tracker.place(base)
        state.put_entry(key, Entry(logits=shown, score=base.score, presence=base.presence, origin=base))
    return state.tracker.empty_result(key.frame)


def find_base(state: SessionState, key: PromptKey) -> Generator[None, None, Base | None]:
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
    base = yield from state.tracker.base_of(key.obj, key.frame, entry.logits, origin)
    return None if base is None else replace(base, score=entry.score, presence=entry.presence)


def _erase_beyond(state: SessionState, obj: int) -> None:
    """Erase what was tracked where nothing can be tracked any more."""
    covered = {frame for job in plan(state, [obj], "both", None) for frame in job.planned.frames}
    for key in state.keys(obj):
        if key.frame not in covered and key not in state.records:
            state.put_entry(key, None)


def plan(
    state: SessionState, objects: Sequence[int], direction: Direction, limits: range | None
) -> tuple[Job, ...]:
    """Plan a propagation of objects, each within its life; those that are locked have no pass."""
    frames = limits if limits is not None else range(state.labels.shape[0])
    free = [obj for obj in objects if not state.facts_of(obj).locked]
    if direction == "both":
        windows = {obj: state.facts_of(obj).life.within(frames) for obj in free}
        return tuple(job for obj in free for job in state.tracker.plan([obj], "both", windows[obj]))
    # All set out together, from the earliest (latest) prompted frame of any of them.
    jobs = [_limited(state, job, frames) for job in state.tracker.plan(free, direction, limits)]
    return tuple(job for job in jobs if job.planned.frames)


def _limited(state: SessionState, job: Job, frames: range) -> Job:
    life = state.facts_of(job.obj).life
    return job if life.is_whole else replace(job, planned=limited(job.planned, life.within(frames)))


def what_is_left(state: SessionState, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Leave out passes that are up to date; one that is so in part goes on where it stopped."""
    frames = [job.planned.frames for job in jobs]
    begins = _first_stale(state, jobs, frames)
    return tuple(
        job if begins[index] == frames[index][0] else replace(job, begin=begins[index])
        for index, job in enumerate(jobs)
        if index in begins
    )


def _first_stale(state: SessionState, jobs: Sequence[Job], frames: Sequence[Sequence[int]]) -> dict[int, int]:
    """Find by the index of a job the first of its frames that is out of date; not there if none is.

    Frame by frame, since labels know all objects of a frame together: with hundreds of objects on hundreds of
    frames a question about each of them would hold up a click for seconds.
    """
    passing: defaultdict[int, list[int]] = defaultdict(list)
    for index, ways in enumerate(frames):
        for frame in ways:
            passing[frame].append(index)
    first: dict[int, int] = {}
    for frame in sorted(passing):
        made = state.labels.origins(frame)
        for index in passing[frame]:
            planned = jobs[index].planned
            if (index not in first or planned.reverse) and made.get(jobs[index].obj) != planned.key:
                first[index] = frame
    return first


def locked_steps(
    state: SessionState, steps: Generator[FrameResult | None, None, None], run: int
) -> Iterator[FrameResult | None]:
    """Hold the lock during each step, let others in between, and number the propagation."""
    for result in within(state.lock, steps):
        yield None if result is None else replace(result, run=run)


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
        facts = state.facts_of(obj)
        if facts.locked or result.frame not in facts.life:
            continue
        if origin.reaches(result.frame, state.tracker.anchors(obj)):
            state.put_entry(key, _entry(result, index, "tracked"))


def painted_entry(prompts: FramePrompts) -> Entry:
    """Return the entry of a painted mask."""
    if prompts.packed is None:
        raise ValueError("a painted frame has a mask")
    return Entry(
        painted=prompts.packed,
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
