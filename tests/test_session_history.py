"""Undo and redo over everything that a session can do, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.labels import Entry
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests.fakes import SHAPE, absent, click, noisy_frames, seeing_model

COUNT = 6
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)

Action = Callable[[Session], object]


@dataclass(frozen=True)
class Named:
    """An action that shows what it is in a failing example."""

    name: str
    values: tuple[Any, ...]

    def __call__(self, session: Session) -> None:
        """Do it; what cannot be done, such as prompting a locked frame, is no action."""
        with suppress(ValueError):
            _ACTIONS[self.name](session, *self.values)


def paint(session: Session, obj: int, frame: int, side: int) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[5 : 5 + side, obj : obj + side] = True
    session.paint(obj, frame, mask)


def propagate(session: Session, steps: int, direction: Any) -> None:
    for _, _result in zip(range(steps), session.propagate(direction=direction), strict=False):
        pass


def correct_on_the_way(session: Session, obj: int, frame: int) -> None:
    for result in session.propagate():
        if result.frame == frame:
            session.set_prompts(obj, frame, click(4, 4))


_ACTIONS: dict[str, Callable[..., object]] = {
    "prompt": lambda session, obj, frame, y: session.set_prompts(obj, frame, click(y, 3 * obj)),
    "take back": lambda session, obj, frame: session.set_prompts(obj, frame, FramePrompts()),
    "end": lambda session, obj, frame: session.set_prompts(obj, frame, absent()),
    "paint": paint,
    "propagate": propagate,
    "correct": correct_on_the_way,
    "lock": lambda session, obj, frame: session.lock(obj, frame),
    "unlock": lambda session, obj, frame: session.unlock(obj, frame),
    "remove": lambda session, obj: session.remove_object(obj),
    "merge": lambda session, obj, *others: session.merge(obj, *others),
    "split": lambda session, obj, frame: session.split(obj, frame),
    "begin": lambda session, obj, frame: session.begins_here(obj, frame),
    "end for good": lambda session, obj, frame: session.ends_here(obj, frame),
    "divide": lambda session, obj, frame: session.divide(obj, frame),
    "lock object": lambda session, obj: session.lock_object(obj),
    "unlock object": lambda session, obj: session.unlock_object(obj),
    "rename": lambda session, obj, frame: session.rename(obj, f"number {frame}"),
}

objects, frames, rows = st.integers(1, 3), st.integers(0, COUNT - 1), st.integers(0, SHAPE[0] - 1)
directions = st.sampled_from(["both", "forward", "backward"])
actions = st.one_of(
    st.builds(Named, st.just("prompt"), st.tuples(objects, frames, rows)),
    st.builds(Named, st.just("prompt"), st.tuples(objects, frames, rows)),
    st.builds(Named, st.just("propagate"), st.tuples(st.just(99), st.just("both"))),
    st.builds(Named, st.just("propagate"), st.tuples(st.integers(1, 30), directions)),
    st.builds(Named, st.sampled_from(["take back", "end", "correct", "lock", "unlock", "split"]),
              st.tuples(objects, frames)),
    st.builds(Named, st.just("paint"), st.tuples(objects, frames, st.integers(0, 9))),
    st.builds(Named, st.sampled_from(["begin", "end for good", "divide", "rename"]),
              st.tuples(objects, frames)),
    st.builds(Named, st.sampled_from(["remove", "lock object", "unlock object"]), st.tuples(objects)),
    st.builds(Named, st.just("merge"), st.tuples(objects, objects)),
    st.builds(Named, st.just("merge"), st.permutations([1, 2, 3]).map(tuple)),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All that can be seen of a session."""

    labels: np.ndarray
    prompts: dict[PromptKey, FramePrompts]
    entries: dict[PromptKey, tuple[object, ...]]
    facts: tuple[object, ...]


def values(entry: Entry) -> tuple[object, ...]:
    logits = entry.logits.logits.tobytes() if entry.logits else None
    painted = entry.painted.bits.tobytes() if entry.painted else None
    return logits, painted, entry.locked, entry.provenance, entry.score, entry.presence, entry.origin


def snapshot(session: Session) -> Snapshot:
    places = [PromptKey(obj, frame) for obj in session.objects for frame in range(COUNT)]
    found = {place: session.entry(place.obj, place.frame) for place in places}
    entries = {place: values(entry) for place, entry in found.items() if entry is not None}
    lives = {obj: session.life(obj) for obj in session.objects}
    facts = session.names, session.parents, session.locked_objects, lives
    return Snapshot(session.labels.copy(), session.prompts, entries, facts)


def assert_same(first: Snapshot, second: Snapshot) -> None:
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.prompts == second.prompts
    assert first.entries == second.entries
    assert first.facts == second.facts


def carried_out(done: list[Named]) -> Session:
    session = Session(IMAGES, model=REAL)
    for action in done:
        action(session)
    return session


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, min_size=3, max_size=9))
def test_all_the_way_back_is_the_start_and_all_the_way_forward_the_end(done: list[Named]) -> None:
    session = Session(IMAGES, model=REAL)
    start = snapshot(session)
    for action in done:
        action(session)
    states = [snapshot(session)]
    while session.undo() is not None:
        states.append(snapshot(session))
    assert_same(states[-1], start)
    for state in reversed(states[:-1]):
        assert session.redo() is not None
        assert_same(snapshot(session), state)
    assert session.redo() is None


@settings(max_examples=25, deadline=None)
@given(st.lists(actions, min_size=2, max_size=6), st.integers(1, 4))
def test_going_on_after_undo_and_redo_is_going_on(done: list[Named], back: int) -> None:
    session, plain = carried_out(done), carried_out(done)
    steps = [session.undo() for _ in range(back)]
    for step in steps:
        assert step is None or session.redo() is not None
    for each in (session, plain):
        propagate(each, 99, "both") if each.prompts else None
    np.testing.assert_array_equal(session.labels, plain.labels)


def cut_and_merge(session: Session) -> None:
    with session.grouped("Both"):
        session.begins_here(2, 2)
        session.merge(3, 2, 1)


@pytest.mark.parametrize(
    "edit", [lambda session: session.merge(3, 2, 1), cut_and_merge], ids=["merge", "cut and merge"]
)
def test_undo_and_redo_of_merging_several_give_back_all_there_was(edit: Action) -> None:
    session = Session(IMAGES, model=REAL)
    for obj in (1, 2, 3):
        session.set_prompts(obj, 3, click(10, 4 * obj))
    propagate(session, 99, "both")
    session.ends_here(1, 4)
    before = snapshot(session)
    edit(session)
    assert session.objects == (3,)
    after = snapshot(session)
    for _ in range(2):
        session.undo()
        assert_same(snapshot(session), before)
        session.redo()
        assert_same(snapshot(session), after)


# ------------------------------------------------------------------------ names


def test_steps_have_names() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    propagate(session, 99, "both")
    session.lock(1, 4)
    session.unlock(1, 4)
    session.paint(2, 1, np.ones(SHAPE, bool))
    session.split(1, 3, 5)
    session.merge(1, 5)
    session.remove_object(2)
    session.set_prompts(1, 2, FramePrompts())
    names = [
        "Prompt",
        "Propagate",
        "Lock",
        "Unlock",
        "Paint",
        "Split",
        "Merge",
        "Remove object",
        "Remove prompts",
    ]
    assert [session.undo() for _ in range(10)] == [*reversed(names), None]
    assert [session.redo() for _ in range(10)] == [*names, None]


def test_a_propagation_is_one_step_and_the_next_one_another() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    propagate(session, 3, "both")
    half = session.labels.copy()
    propagate(session, 99, "both")
    session.undo()
    np.testing.assert_array_equal(session.labels, half)
    session.undo()
    assert session.labels.any(axis=(1, 2)).sum() == 1


def test_a_prompt_in_the_middle_parts_a_propagation() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 0, click(10, 8))
    correct_on_the_way(session, 2, 3)
    assert [session.undo() for _ in range(5)] == ["Propagate", "Prompt", "Propagate", "Prompt", None]


def test_steps_can_be_grouped_under_a_name() -> None:
    session = Session(IMAGES, model=REAL)
    with session.grouped("Click and go"):
        session.set_prompts(1, 2, click(10, 8))
        propagate(session, 99, "both")
    assert session.undo() == "Click and go"
    assert not session.labels.any()
    assert session.redo() == "Click and go"
    assert session.labels.any(axis=(1, 2)).all()


def prompt_here_and_there(session: Session) -> None:
    session.set_prompts(1, 2, click(20, 15))
    session.paint(2, 3, np.ones(SHAPE, bool))
    session.set_prompts(1, 99, click(20, 15))


def test_an_error_in_a_group_takes_the_whole_group_back() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    before = snapshot(session)
    with pytest.raises(ValueError, match="no frame 99"), session.grouped("Both"):
        prompt_here_and_there(session)
    assert_same(snapshot(session), before)
    assert session.undo() == "Prompt"


def test_an_error_in_a_group_within_takes_that_one_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    first = snapshot(session)
    with session.grouped("Many"):
        session.set_prompts(1, 5, click(20, 15))
        before = snapshot(session)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(session._tracker, "confirmed_result", refuse)
            with pytest.raises(MemoryError):
                session.set_prompts(1, 5, click(3, 3))
        assert_same(snapshot(session), before)
        session.paint(2, 3, np.ones(SHAPE, bool))
    after = snapshot(session)
    assert session.undo() == "Many"
    assert_same(snapshot(session), first)
    assert session.redo() == "Many"
    assert_same(snapshot(session), after)


def test_a_group_that_ends_before_one_within_it_leaves_two_steps() -> None:
    session = Session(IMAGES, model=REAL)
    outer, inner = session.grouped("First"), session.grouped("Second")
    outer.__enter__()
    session.set_prompts(1, 2, click(10, 8))
    inner.__enter__()
    outer.__exit__(None, None, None)
    session.set_prompts(2, 2, click(20, 15))
    inner.__exit__(None, None, None)
    assert [session.undo() for _ in range(3)] == ["Second", "First", None]
    session.set_prompts(1, 2, click(10, 8))
    assert session.undo() == "Prompt"


def test_undoing_a_prompt_lets_its_object_be_tracked_as_before() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    propagate(session, 99, "both")
    before = session.labels.copy()
    session.set_prompts(1, 4, click(3, 3))
    session.undo()
    assert list(session.propagate()) == []
    np.testing.assert_array_equal(session.labels, before)


def test_undo_stops_an_object_that_is_under_way() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    steps = session.propagate()
    next(steps)
    next(steps)
    assert session.undo() == "Propagate"
    assert session.undo() == "Prompt"
    assert list(steps) == []
    assert not session.labels.any()
