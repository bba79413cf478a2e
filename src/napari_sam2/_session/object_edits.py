"""What can be done to whole objects of a session: remove, merge, split, divide, begin, end, name."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sam2._session.edits import (
    check_free,
    check_known,
    check_open,
    check_open_all,
    painted_entry,
)
from napari_sam2._session.state import PromptRecord
from napari_sam2.lineage import Daughters, Life, ObjectFacts, ancestors
from napari_sam2.prompts import MAX_OBJECT_ID, FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from napari_sam2._labels.entries import FrameRecords
    from napari_sam2._session.state import SessionState

# Masks of a frame that are joined in one step.
_AT_ONCE = 16
# How often masks are joined again that changed while others were; what is left is joined when all is changed.
_ROUNDS = 4


class Union(NamedTuple):
    """Masks of several objects on a frame as one mask, and what was known of them when they were joined.

    `prompts` is None where fewer than two have a mask.
    """

    known: FrameRecords
    prompts: FramePrompts | None


def remove(state: SessionState, objects: Collection[int]) -> None:
    """Remove objects with all that is known of them; their daughters are nobody's then."""
    check_free(state, *objects)
    gone = frozenset(objects)
    for key in [key for key in state.records if key.obj in gone]:
        state.put_record(key, None)
    for frame in _frames(state, gone):
        state.erase(frame, gone)
    for obj in gone & state.facts.keys():
        state.put_facts(obj, None)
    for child, parent in parents(state).items():
        if parent in gone:
            state.put_facts(child, replace(state.facts_of(child), parent=None))


def parents(state: SessionState) -> dict[int, int]:
    """Return the parent of each daughter."""
    return {obj: facts.parent for obj, facts in sorted(state.facts.items()) if facts.parent is not None}


def _give_children(state: SessionState, obj: int, parent: int, since: int = 0) -> None:
    """Make the daughters of an object that begin on a frame or later those of another one."""
    for child, of in parents(state).items():
        facts = state.facts_of(child)
        if of == obj and (facts.life.first or 0) >= since:
            state.put_facts(child, replace(facts, parent=parent if parent != child else None))


def merge(state: SessionState, obj: int, others: Sequence[int], unions: Mapping[int, Union]) -> None:
    """Give all that is known of `others` to `obj`; `unions` may know masks from `union_steps`."""
    objects = (obj, *others)
    for each in objects:
        if objects.count(each) > 1:
            raise ValueError(f"object {each} cannot be merged with itself")
    check_free(state, *objects)
    said: defaultdict[int, set[int]] = defaultdict(set)
    for key in state.records:
        said[key.frame].add(key.obj)
    for frame in _frames(state, objects):
        _join(state, objects, frame, said[frame], unions.get(frame))
    for other in others:
        one, two = state.facts_of(obj), state.facts_of(other)
        state.put_facts(other, None)
        parent = _parent_of_merged(state, obj, other, (one.parent, two.parent))
        state.put_facts(obj, ObjectFacts(one.name or two.name, one.life.joined(two.life), parent))
        _give_children(state, other, obj)


def union_steps(state: SessionState, objects: Sequence[int]) -> Generator[None, None, dict[int, Union]]:
    """Join the masks of objects, some of a frame at a time, and again where they changed meanwhile."""
    unions: dict[int, Union] = {}
    for _ in range(_ROUNDS):
        for frame in _frames(state, objects):
            known = _known_of(state, frame, objects)
            if frame not in unions or not known.is_same(unions[frame].known):
                unions[frame] = Union(known, (yield from _joined(state, known.masked, frame)))
    return unions


def _known_of(state: SessionState, frame: int, objects: Sequence[int]) -> FrameRecords:
    with state.lock:
        return state.labels.known_of(frame, objects)


def _joined(
    state: SessionState, masked: Sequence[int], frame: int
) -> Generator[None, None, FramePrompts | None]:
    """Join masks of a frame; None where there are fewer than two."""
    if len(masked) < 2:
        return None
    union = np.zeros(state.labels.shape[1:], np.bool_)
    for first in range(0, len(masked), _AT_ONCE):
        with state.lock:
            union |= state.labels.union(masked[first : first + _AT_ONCE], frame)
        yield
    prompts = FramePrompts(mask=union)
    prompts.mask_area  # noqa: B018 - counted here, and not for all frames in the step that merges them
    yield
    return prompts


def _frames(state: SessionState, objects: Collection[int]) -> list[int]:
    """List the frames on which anything is known of objects."""
    with state.lock:
        frames = {key.frame for key in state.records if key.obj in objects}
        return sorted(frames.union(state.labels.frames(*objects)))


def _union(state: SessionState, objects: Sequence[int], frame: int) -> FramePrompts:
    return FramePrompts(mask=state.labels.union(objects, frame))


def _join(
    state: SessionState, objects: Sequence[int], frame: int, said: set[int], union: Union | None
) -> None:
    """Give what is known of objects on a frame to the first; where several have a mask, all of them count.

    `said` are the objects of which something is said there.
    """
    target, known = PromptKey(objects[0], frame), state.labels.known_of(frame, objects)
    masked = known.masked
    if len(masked) < 2:
        something = said.union(known.known)
        for source in [obj for obj in objects[1:] if obj in something]:
            _hand_over(state, PromptKey(source, frame), target)
        return
    check_open_all(state, frame, masked, set(known.locked))
    ready = union.prompts if union and union.known.is_same(known) else None
    painted = ready or _union(state, masked, frame)
    for source in said.intersection(objects[1:]):
        state.put_record(PromptKey(source, frame), None)
    state.put_record(target, _painted_record(state, painted))
    state.put_in_place_of(known, target, painted_entry(painted))


def _parent_of_merged(
    state: SessionState, obj: int, other: int, known: tuple[int | None, int | None]
) -> int | None:
    """Choose a parent that is neither one of the two nor one of their descendants."""
    family = parents(state)
    for parent in known:
        if parent is not None and not {obj, other} & {parent, *ancestors(family, parent)}:
            return parent
    return None


def split(state: SessionState, key: PromptKey, new: int | None) -> int:
    """Give what is known of an object from a frame on to a new one, and return its id."""
    check_free(state, key.obj)
    target = _free_id(state) if new is None else new
    if target in state.objects:
        raise ValueError(f"object {target} is there already: choose a free id")
    given = [source for source in state.keys(key.obj) if source.frame >= key.frame]
    if not given:
        raise ValueError(
            f"object {key.obj} has nothing on frame {key.frame} and later: there is nothing to split off, "
            "go to a frame where it is"
        )
    for source in given:
        _hand_over(state, source, PromptKey(target, source.frame))
    # Both may be tracked on through the frames of the other: a cut says which mask is whose, not who ends.
    state.put_facts(target, ObjectFacts(life=state.facts_of(key.obj).life))
    _give_children(state, key.obj, target, since=key.frame)
    return target


def _free_id(state: SessionState, count: int = 1) -> int:
    """Return the first of so many free ids in a row: above all others, or the lowest where none fit above."""
    used = set(state.objects)
    above = max(used, default=0) + 1
    if above + count - 1 <= MAX_OBJECT_ID:
        return above
    return next(first for first in itertools.count(1) if used.isdisjoint(range(first, first + count)))


def _hand_over(state: SessionState, source: PromptKey, target: PromptKey) -> None:
    """Move record and entry to another object, which has no mask there; one that has none gains none."""
    record, entry = state.records.get(source), state.labels.known(source.obj, source.frame)
    if record is None and entry is None:
        return
    is_seen = entry is not None and entry.box is not None
    painted = _union(state, (source.obj,), source.frame) if is_seen and target in state.records else None
    is_known = state.labels.known(target.obj, target.frame) is not None
    _forget(state, source)
    if painted is not None:
        _put_painted(state, target, painted)
    elif is_seen or not is_known:
        state.put_record(target, record)
        state.put_known(target, entry)


def _forget(state: SessionState, key: PromptKey) -> None:
    if key in state.records:
        state.put_record(key, None)
    if state.labels.known(key.obj, key.frame) is not None:
        state.put_entry(key, None)


def _put_painted(state: SessionState, key: PromptKey, prompts: FramePrompts) -> None:
    state.put_record(key, _painted_record(state, prompts))
    state.put_entry(key, painted_entry(prompts))


def _painted_record(state: SessionState, prompts: FramePrompts) -> PromptRecord:
    return PromptRecord(prompts, state.next_revision(), source="painted", area=prompts.mask_area)


def set_life(state: SessionState, obj: int, life: Life) -> None:
    """Say when an object begins and ends, and erase what was beyond."""
    check_free(state, obj)
    beyond = [key for key in state.keys(obj) if key.frame not in life]
    for key in beyond:
        check_open(state, key)
    state.put_facts(obj, replace(state.facts_of(obj), life=life))
    for key in beyond:
        state.put_record(key, None)
        state.put_entry(key, None)


def divide(state: SessionState, key: PromptKey, daughters: tuple[int, int] | None) -> Daughters:
    """End an object on the frame before, and let two daughters begin."""
    check_free(state, key.obj)
    life = state.facts_of(key.obj).life
    if key.frame <= (life.first or 0):
        raise ValueError(
            f"object {key.obj} begins on frame {life.first or 0}: it can divide on a later one, "
            f"not on frame {key.frame}"
        )
    free = _free_id(state, 2)
    first, second = daughters or (free, free + 1)
    family = {key.obj, *ancestors(parents(state), key.obj)}
    if first == second or family & {first, second}:
        raise ValueError(
            f"object {key.obj} cannot divide into {first} and {second}: the daughters are two other objects, "
            "and none that it descends from"
        )
    set_life(state, key.obj, Life(life.first, key.frame - 1))
    for daughter in (first, second):
        _begin_daughter(state, daughter, key)
    return Daughters(first, second)


def _begin_daughter(state: SessionState, daughter: int, mother: PromptKey) -> None:
    if daughter in state.objects:
        set_life(state, daughter, Life(mother.frame, state.facts_of(daughter).life.last))
    else:
        state.put_facts(daughter, ObjectFacts(life=Life(mother.frame)))
    state.put_facts(daughter, replace(state.facts_of(daughter), parent=mother.obj))


def rename(state: SessionState, obj: int, name: str) -> None:
    """Name an object; an empty name takes its name away."""
    if not isinstance(name, str):
        raise TypeError(f"the name of an object is text; got {name!r}")
    check_known(state, obj)
    state.put_facts(obj, replace(state.facts_of(obj), name=name.strip()))
