"""Edits whose pixels are written later: all else is as it would have been at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2.positions import Positions
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from tests.fakes import SHAPE, click, noisy_frames, seeing_model
from tests.test_session_history import assert_same, snapshot

COUNT = 8
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def tracked(*objects: int) -> Session:
    session = Session(IMAGES, model=REAL)
    for obj in objects:
        session.set_prompts(obj, 3, click(10, 4 * obj))
    list(session.propagate())
    session.take_changes()
    session.summary()
    return session


def lock_both(session: Session) -> None:
    session.lock_object(2)
    session.lock_object(1)


def shorten_both(session: Session) -> None:
    session.ends_here(1, 5)
    session.begins_here(2, 2)


def merge_a_part(session: Session) -> None:
    session.merge(session.split(2, 4), 1)


def merge_and_undo(session: Session) -> None:
    session.merge(2, 1, 3)
    session.undo()


EDITS: dict[str, Callable[[Session], object]] = {
    "undo": lambda session: session.undo(),
    "undo and redo": lambda session: [session.undo(), session.redo()],
    "remove": lambda session: session.remove_object(1),
    "remove all": lambda session: session.remove_object(1, 2, 3),
    "merge": lambda session: session.merge(1, 2, 3),
    "merge into the last": lambda session: session.merge(3, 1, 2),
    "merge a part": merge_a_part,
    "merge and undo": merge_and_undo,
    "split": lambda session: session.split(2, 4),
    "lock": lock_both,
    "life": shorten_both,
    "divide": lambda session: session.divide(1, 4),
    "prompt": lambda session: session.set_prompts(2, 6, FramePrompts(mask=np.zeros(SHAPE, bool))),
}


@pytest.mark.parametrize("parts", [1, SHAPE[0]], ids=["frames", "rows of frames"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_is_settled_is_what_would_have_been_written_at_once(
    edit: Callable[[Session], object], parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parts > 1:
        monkeypatch.setattr("napari_sam2.labels._STRIP", 1)
    now, later = tracked(1, 2, 3), tracked(1, 2, 3)
    shown = later.labels.copy()
    edit(now)
    with later.postponed():
        edit(later)
    steps = 0
    while not later.settle(seconds=0):
        steps += 1
        follow(later, shown)
    follow(later, shown)
    assert later.is_settled
    np.testing.assert_array_equal(shown, now.labels)
    assert_same(snapshot(later), snapshot(now))
    for ours, theirs in zip(later.summary().cells.arrays(), now.summary().cells.arrays(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert later.summary().rows == now.summary().rows
    assert steps <= parts * COUNT


def follow(session: Session, shown: NDArray[np.uint16]) -> None:
    for change in session.take_changes():
        shown[(change.frame, *change.box.slices)] = change.values


def test_the_frames_that_are_named_go_first() -> None:
    session = tracked(1)
    with session.postponed():
        session.undo()
    assert not session.settle(first=(6,), seconds=0)
    assert [change.frame for change in session.take_changes()] == [6]
    assert not session.settle(seconds=0)
    assert [change.frame for change in session.take_changes()] == [0]


def test_a_frame_that_is_read_is_as_it_has_to_be() -> None:
    session = tracked(1, 2)
    with session.postponed():
        session.remove_object(1)
        assert not (session.pixels(5) == 1).any()
    assert not session.is_settled
    assert not (session.labels == 1).any()
    assert session.is_settled


def test_prompts_are_answered_and_written_between() -> None:
    session = tracked(1, 2)
    with session.postponed():
        session.undo()
    session.set_prompts(2, 6, click(16, 12))
    assert (session.pixels(6) == 2).any()
    assert 6 in {change.frame for change in session.take_changes()}
    assert not session.is_settled
    session.settle()
    assert session.undo() == "Prompt"
    assert not (session.labels[6] == 2).any()


def test_an_error_takes_back_what_was_not_written_yet() -> None:
    session = tracked(1, 2)
    before = snapshot(session)

    def fail() -> None:
        with session.grouped("Both"):
            session.remove_object(1)
            session.remove_object(9)

    with session.postponed(), pytest.raises(ValueError, match="no object 9"):
        fail()
    assert_same(snapshot(session), before)


def test_many_are_merged_as_one_after_the_other() -> None:
    together, apart = tracked(1, 2, 3), tracked(1, 2, 3)
    together.merge(1, 2, 3)
    apart.merge(1, 2)
    apart.merge(1, 3)
    np.testing.assert_array_equal(together.labels, apart.labels)
    assert list(together.objects) == [1]
    assert together.undo() == "Merge"
    assert list(together.objects) == [1, 2, 3]


def test_what_is_said_while_masks_are_joined_counts() -> None:
    session, plain = tracked(1, 2), tracked(1, 2)
    steps = session.merge_steps(1, 2)
    for _ in range(4):  # two for each frame: masks, and the whole
        next(steps)
    assert session.objects == (1, 2)
    for each in (session, plain):
        each.set_prompts(2, 1, click(16, 12))
    assert list(steps) == [None] * 2 * (COUNT - 2 + 1), "the frame that changed is joined again, and no other"
    plain.merge(1, 2)
    np.testing.assert_array_equal(session.labels, plain.labels)


def test_a_merger_that_is_given_up_changes_nothing() -> None:
    session = tracked(1, 2)
    before = snapshot(session)
    steps = session.merge_steps(1, 2)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert_same(snapshot(session), before)


def test_steps_are_taken_as_if_postponed() -> None:
    session = tracked(1, 2)
    for _ in session.postponing(session.merge_steps(1, 2)):
        assert session.objects == (1, 2)
    assert session.objects == (1,)
    assert not session.is_settled


def export_all(session: Session, path: Path) -> Iterator[None]:
    return Positions({0: session}, 1).export_steps(path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (Session.export_steps, "cells.csv"),
        (Session.export_steps, "cells.tif"),
        (export_all, "cells.csv"),
        (export_all, "cells.tif"),
        (Session.save_steps, "cells.sam2.json"),
    ],
)
def test_what_is_left_to_be_written_is_written_in_steps_before_a_file(
    write: Callable[[Session, Path], Iterator[None]],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_sam2._session.state.WRITING_SECONDS", 0.0)
    session = tracked(1, 2)
    with session.postponed():
        session.undo()
    behind = len(session._state.labels.behind)
    assert behind == COUNT - 1
    steps = write(session, tmp_path / name)
    for left in range(behind - 1, 0, -1):
        next(steps)
        assert len(session._state.labels.behind) == left
        assert not list(tmp_path.iterdir())
    list(steps)
    assert (tmp_path / name).exists()


def lock_neighbour(session: Session) -> None:
    session.lock_object(2)


def move_it(session: Session) -> None:
    session.set_prompts(1, 1, click(16, 12))


@pytest.mark.parametrize("meanwhile", [lock_neighbour, move_it])
def test_what_is_said_while_an_object_is_locked_counts(meanwhile: Callable[[Session], None]) -> None:
    session, plain = tracked(1, 2, 3), tracked(1, 2, 3)
    for each in (session, plain):
        each.lock_object(3)
    assert (session.mask(1, 1) & session.mask(2, 1)).any(), "they overlap"
    steps = session.lock_object_steps(1)
    for _ in range(4):
        next(steps)
    for each in (session, plain):
        meanwhile(each)
    assert list(steps) == [None] * (COUNT - 4)
    plain.lock_object(1)
    for frame in range(COUNT):
        np.testing.assert_array_equal(session.mask(1, frame), plain.mask(1, frame))
    np.testing.assert_array_equal(session.labels, plain.labels)


def test_a_lock_that_is_given_up_changes_nothing() -> None:
    session = tracked(1, 2)
    session.lock_object(2)
    before = snapshot(session)
    steps = session.lock_object_steps(1)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert_same(snapshot(session), before)
