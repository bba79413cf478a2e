"""All that was said to one session is said to another one, which sees the images otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_sam2._session.state import PromptRecord
from napari_sam2.cleanup import Cleanup
from napari_sam2.lineage import Life
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from napari_sam2.steps import result_of
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model

COUNT = 7
REAL = seeing_model()


def session() -> Session:
    return Session(plain_frames(COUNT), model=FakeModel().as_model())


def real_session(contrast: tuple[float, float]) -> Session:
    return Session(noisy_frames(COUNT), model=REAL, contrast=contrast)


def mask(y: int, x: int) -> np.ndarray:
    painted = np.zeros(SHAPE, bool)
    painted[y : y + 4, x : x + 4] = True
    return painted


def run(chosen: Session) -> None:
    for _ in chosen.propagate():
        pass


def retold(source: Session, target: Session) -> list[PromptKey]:
    return list(target.say_again(source))


def saying(said: Session | None = None) -> Session:
    """Return a session in which all kinds of things were said."""
    said = said or session()
    said.set_prompts(1, 3, click(10, 4))
    said.set_prompts(2, 3, click(16, 10))
    said.paint(3, 2, mask(4, 10))
    said.set_prompts(3, 6, absent())
    run(said)
    return said


def test_prompts_are_answered_as_if_said_for_the_first_time() -> None:
    source, target, fresh = saying(real_session((0, 255))), real_session((0, 100)), real_session((0, 100))
    keys = retold(source, target)
    assert keys == [PromptKey(1, 3), PromptKey(2, 3), PromptKey(3, 2), PromptKey(3, 6)]
    assert target.prompts == source.prompts
    for key, prompts in source.prompts.items():
        if prompts.mask is None or prompts.says_absent:
            fresh.set_prompts(key.obj, key.frame, prompts)
        else:
            fresh.paint(key.obj, key.frame, prompts.mask)
    np.testing.assert_array_equal(target.labels, fresh.labels)
    run(target)
    run(fresh)
    np.testing.assert_array_equal(target.labels, fresh.labels)


def test_nothing_of_it_can_be_undone() -> None:
    target = session()
    retold(saying(), target)
    assert (target.undo_label, target.redo_label) == (None, None)
    target.rename(1, "one")
    assert target.undo_label == "Rename"


def test_what_was_said_of_whole_objects() -> None:
    source, target = saying(), session()
    source.rename(1, "mother")
    source.divide(1, 5)
    source.begins_here(2, 1)
    source.lock_object(2)
    retold(source, target)
    assert target.objects == source.objects == (1, 2, 3, 4, 5)
    assert (target.names, target.parents) == ({1: "mother"}, {4: 1, 5: 1})
    assert (target.life(1), target.life(2), target.life(4)) == (Life(None, 4), Life(1, None), Life(5, None))
    assert target.locked_objects == {2}


def test_a_locked_object_keeps_its_masks_and_prompts() -> None:
    source, target = saying(real_session((0, 255))), real_session((0, 100))
    source.lock(2, 5)
    source.lock_object(2)
    before = [source.mask(2, frame) for frame in range(COUNT)]
    assert all(key.obj != 2 for key in retold(source, target))
    for frame in range(COUNT):
        np.testing.assert_array_equal(target.mask(2, frame), before[frame])
    assert not target.mask(1, 5).any()
    assert target.prompts == source.prompts
    target.unlock_object(2)
    run(target)
    np.testing.assert_array_equal(target.mask(2, 5), before[5])
    assert any((target.mask(2, frame) != before[frame]).any() for frame in range(COUNT))


def test_an_object_that_is_locked_meanwhile_keeps_its_masks() -> None:
    source, target = saying(real_session((0, 255))), real_session((0, 100))
    steps = target.say_again(source)
    while next(steps) != PromptKey(2, 3):
        pass
    source.lock_object(2)
    list(steps)
    for frame in range(COUNT):
        np.testing.assert_array_equal(target.mask(2, frame), source.mask(2, frame))


def test_what_is_kept_is_written_when_it_is_read_or_settled() -> None:
    source, target = saying(), session()
    source.lock_object(2)
    retold(source, target)
    assert not target.is_settled
    while not target.settle(seconds=0):
        pass
    target.take_changes()
    np.testing.assert_array_equal(target.labels == 2, source.labels == 2)
    assert target.take_changes() == ()


def test_masks_go_through_the_clean_up_of_the_session_that_keeps_them() -> None:
    source = saying()
    target = Session(plain_frames(COUNT), model=FakeModel().as_model(), cleanup=Cleanup(fill_holes=10_000))
    source.lock_object(2)
    retold(source, target)
    assert not source.mask(2, 3).all()
    assert target.mask(2, 3).all()


@pytest.mark.parametrize("cleanup", [None, Cleanup(drop_specks=1)], ids=["the same clean-up", "another"])
def test_an_object_without_prompts_keeps_its_masks(cleanup: Cleanup | None) -> None:
    source, target = saying(), Session(plain_frames(COUNT), model=FakeModel().as_model(), cleanup=cleanup)
    new = source.split(1, 5)
    assert all(key.obj != new for key in source.prompts)
    retold(source, target)
    assert new in target.objects
    assert target.mask(new, 6).any()
    np.testing.assert_array_equal(target.mask(new, 6), source.mask(new, 6))
    run(target)
    np.testing.assert_array_equal(target.mask(new, 6), source.mask(new, 6))


@pytest.mark.parametrize("frame", [3, 5])
def test_a_locked_mask_is_the_same(frame: int) -> None:
    source, target = saying(), session()
    source.lock(1, frame)
    retold(source, target)
    entry = target.entry(1, frame)
    assert entry is not None
    assert entry.locked
    np.testing.assert_array_equal(target.mask(1, frame), source.mask(1, frame))
    target.unlock(1, frame)
    run(target)
    assert {key.frame for key in target.prompts if key.obj == 1} == {3}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda source: source.set_prompts(1, 3, click(12, 4)),
        lambda source: source.set_prompts(1, 3, FramePrompts()),
        lambda source: source.set_prompts(4, 0, click(8, 8)),
        lambda source: source.remove_object(1),
        lambda source: source.undo(),
        lambda source: source.rename(2, "two"),
    ],
)
def test_what_is_said_meanwhile_counts(meanwhile: Callable[[Session], object], late: bool) -> None:
    source, target, fresh = saying(), session(), session()
    steps = target.say_again(source)
    assert next(steps) == PromptKey(1, 3)
    assert next(steps) == PromptKey(2, 3)
    if late:
        assert [next(steps), next(steps)] == [PromptKey(3, 2), PromptKey(3, 6)]
        assert steps.step() is None
    meanwhile(source)
    list(steps)
    assert list(steps) == []
    retold(source, fresh)
    assert (target.prompts, target.objects, target.names) == (source.prompts, source.objects, source.names)
    np.testing.assert_array_equal(target.labels, fresh.labels)


def test_only_an_empty_session_of_such_frames() -> None:
    with pytest.raises(ValueError, match="take a new one"):
        saying().say_again(saying())
    smaller = Session(plain_frames(4), model=FakeModel().as_model())
    with pytest.raises(ValueError, match="the frames are"):
        smaller.say_again(saying())


def test_steps_are_counted() -> None:
    said = session()
    assert said.steps_made == 0
    said.set_prompts(1, 3, click(10, 4))
    said.rename(1, "one")
    assert said.steps_made == 2
    said.undo()
    assert (said.steps_made, said.redo_label) == (2, "Rename")
    said.forget_undone()
    assert (said.steps_made, said.undo_label, said.redo_label) == (2, "Prompt", None)


@pytest.mark.parametrize("how", ["taken back", "locked"])
def test_what_is_taken_back_while_it_is_answered_is_not_said(how: str) -> None:
    source, target = real_session((0, 255)), real_session((0, 100))
    source.set_prompts(1, 3, click(10, 4))
    telling = target.say_again(source)
    steps = telling.in_steps()
    next(steps)
    if how == "locked":
        source.lock_object(1)
    else:
        source.set_prompts(1, 3, FramePrompts())
    assert result_of(steps) == PromptKey(1, 3)
    list(telling)
    assert set(target.prompts) == set(source.prompts)
    assert target.locked_objects == source.locked_objects


def test_no_step_answers_more_than_once_and_the_prompt_is_said_in_the_last_one() -> None:
    source, target = real_session((0, 255)), real_session((0, 100))
    source.set_prompts(1, 3, click(10, 4))
    telling = target.say_again(source)
    steps = telling.in_steps()
    for _ in steps:
        assert not target.prompts
    assert set(target.prompts) == {PromptKey(1, 3)}


def test_what_was_said_is_looked_through_once_and_not_for_every_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target, looked = session(), session(), list[PromptKey]()
    for obj in range(1, 31):
        source.set_prompts(obj, obj % COUNT, click(10, 4))
    telling = target.say_again(source)
    told = telling._told

    def counted(key: PromptKey) -> PromptRecord | None:
        looked.append(key)
        return told(key)

    monkeypatch.setattr(telling, "_told", counted)
    assert len(list(telling)) == 30
    assert len(looked) == 3 * 30


def test_a_prompt_that_could_not_be_answered_is_answered_next(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = saying(), session()
    telling = target.say_again(source)

    def refuse(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(target._tracker, "confirmed_result", refuse)
        with pytest.raises(MemoryError):
            next(telling)
    assert next(telling) == PromptKey(1, 3)
    assert target.prompts == {PromptKey(1, 3): source.prompts[PromptKey(1, 3)]}
