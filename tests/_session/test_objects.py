"""Objects as a whole: when they begin and end, whom they come from, their names, their locks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_sam2.labels import Entry, PlacedLogits
from napari_sam2.lineage import Daughters, Life
from napari_sam2.prompts import MAX_OBJECT_ID, FramePrompts, PromptKey
from napari_sam2.session import Session
from tests.counting import calls_in
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model

COUNT = 10
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def new_session() -> Session:
    return Session(IMAGES, model=REAL)


def tracked_session(*objects: int) -> Session:
    session = new_session()
    for obj in objects:
        session.set_prompts(obj, 4, click(10, 4 * obj))
    run(session)
    return session


def run(session: Session, **options: object) -> set[tuple[int, int]]:
    steps = session.propagate(**options)  # type: ignore[arg-type]
    return {(obj, result.frame) for result in steps for obj in result.objects}


def shown(session: Session, obj: int) -> list[int]:
    """Frames on which an object has pixels."""
    return np.flatnonzero((session.labels == obj).any(axis=(1, 2))).tolist()


# ------------------------------------------------------------------------- life


def test_what_lies_beyond_beginning_and_end_is_erased() -> None:
    session = tracked_session(1)
    session.begins_here(1, 2)
    session.ends_here(1, 6)
    assert shown(session, 1) == [2, 3, 4, 5, 6]
    assert session.life(1) == Life(2, 6)
    assert session.life(7) == Life()


def test_what_lies_within_is_as_it_was() -> None:
    session = tracked_session(1, 2)
    before = session.labels.copy()
    session.ends_here(1, 6)
    np.testing.assert_array_equal(session.labels[:7], before[:7])


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_nothing_is_computed_beyond(direction: str, fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 4, click(10, 8))
    session.set_prompts(2, 1, click(10, 8))
    session.set_prompts(2, 8, click(10, 8))
    session.begins_here(1, 3)
    session.ends_here(1, 5)
    fake_model.encoded.clear()
    computed = run(session, objects=[1], direction=direction)
    assert {frame for _, frame in computed} <= {3, 4, 5}
    assert set(fake_model.encoded) <= {3, 4, 5}
    both = run(session, direction=direction)
    assert {frame for obj, frame in both if obj == 1} <= {3, 4, 5}
    assert set(shown(session, 1)) <= {3, 4, 5}
    assert {(2, 2), (2, 7)} <= both


def test_a_life_and_a_range_are_both_kept_to() -> None:
    session = new_session()
    session.set_prompts(1, 4, click(10, 8))
    session.ends_here(1, 6)
    assert {frame for _, frame in run(session, frames=range(5, 9))} - {4} == {5, 6}
    session.begins_here(1, 4)
    assert run(session, frames=range(3)) == set()


def test_an_end_while_it_is_tracked_holds() -> None:
    session = new_session()
    session.set_prompts(1, 1, click(10, 8))
    for result in session.propagate(direction="forward"):
        if result.frame == 3:
            session.ends_here(1, 5)
    assert shown(session, 1) == [1, 2, 3, 4, 5]


def test_prompts_beyond_are_erased_and_new_ones_refused() -> None:
    session = tracked_session(1)
    session.set_prompts(1, 8, click(3, 3))
    session.ends_here(1, 6)
    assert list(session.prompts) == [PromptKey(1, 4)]
    with pytest.raises(ValueError, match="object 1 ends on frame 6: it cannot be on frame 8"):
        session.set_prompts(1, 8, click(3, 3))
    session.begins_here(1, 2)
    with pytest.raises(ValueError, match="object 1 begins on frame 2: it cannot be on frame 0"):
        session.paint(1, 0, np.ones(SHAPE, bool))


def test_an_end_can_be_taken_back_and_moved() -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    session.ends_here(1, 6)
    session.ends_here(1, 7)
    run(session)
    assert shown(session, 1)[-1] == 7
    session.ends_here(1, None)
    assert session.life(1) == Life()
    run(session)
    np.testing.assert_array_equal(session.labels, before)


def test_an_end_is_undone() -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    session.ends_here(1, 6)
    assert session.undo() == "Ends here"
    assert session.life(1) == Life()
    np.testing.assert_array_equal(session.labels, before)
    assert session.redo() == "Ends here"
    assert session.life(1) == Life(None, 6)


def test_a_locked_frame_is_not_erased() -> None:
    session = tracked_session(1)
    session.lock(1, 8)
    before = session.labels.copy()
    with pytest.raises(ValueError, match="object 1 is locked on frame 8"):
        session.ends_here(1, 6)
    np.testing.assert_array_equal(session.labels, before)
    assert session.life(1) == Life()


def test_an_object_does_not_end_before_it_begins() -> None:
    session = tracked_session(1)
    session.begins_here(1, 5)
    with pytest.raises(ValueError, match="begin on frame 5 and end on frame 3"):
        session.ends_here(1, 3)
    with pytest.raises(ValueError, match="no frame 10"):
        session.ends_here(1, 10)


def test_absence_erases_only_what_the_life_had_left() -> None:
    session = tracked_session(1)
    session.begins_here(1, 2)
    session.set_prompts(1, 6, absent())
    assert shown(session, 1) == [2, 3, 4, 5]


# ---------------------------------------------------------------------- lineage


def test_a_mother_ends_and_two_daughters_begin() -> None:
    session = tracked_session(1)
    assert session.divide(1, 6) == Daughters(2, 3)
    assert shown(session, 1) == [0, 1, 2, 3, 4, 5]
    assert session.objects == (1, 2, 3)
    assert session.parents == {2: 1, 3: 1}
    assert session.life(1) == Life(None, 5)
    assert session.life(2) == session.life(3) == Life(6)
    session.set_prompts(2, 7, click(5, 5))
    run(session)
    assert shown(session, 2) == [6, 7, 8, 9]
    assert session.undo() == "Propagate"
    assert session.undo() == "Prompt"
    assert session.undo() == "Divide"
    assert list(session.objects) == [1]
    assert not session.parents


def test_objects_that_are_there_become_daughters() -> None:
    session = tracked_session(1, 2)
    assert session.divide(1, 6, (2, 9)) == Daughters(2, 9)
    assert shown(session, 2) == [6, 7, 8, 9]
    assert session.parents == {2: 1, 9: 1}


def test_beside_the_highest_id_lower_ones_are_taken() -> None:
    session = tracked_session(2)
    assert session.split(2, 6, MAX_OBJECT_ID) == MAX_OBJECT_ID
    assert session.split(MAX_OBJECT_ID, 7) == 1
    assert session.divide(1, 8) == Daughters(3, 4), "two in a row"
    assert session.divide(MAX_OBJECT_ID, 7) == Daughters(5, 6)


def divide_twice(session: Session) -> None:
    session.divide(1, 5, (2, 3))
    session.divide(2, 7, (4, 5))


@pytest.mark.parametrize(
    ("obj", "frame", "daughters", "message"),
    [
        (1, 0, None, "object 1 begins on frame 0: it can divide on a later one, not on frame 0"),
        (2, 5, None, "object 2 begins on frame 5"),
        (1, 3, (2, 2), "object 1 cannot divide into 2 and 2"),
        (1, 3, (1, 2), "object 1 cannot divide into 1 and 2"),
        (4, 8, (1, 9), "object 4 cannot divide into 1 and 9: .* none that it descends from"),
        (1, 3, (0, 2), "object id is 0"),
        (1, 3, (2, 3, 4), "two daughters; got 3"),
        (7, 3, None, "there is no object 7"),
    ],
)
def test_what_cannot_divide(obj: int, frame: int, daughters: tuple[int, int] | None, message: str) -> None:
    session = tracked_session(1)
    divide_twice(session)
    before = session.labels.copy(), session.parents
    with pytest.raises(ValueError, match=message):
        session.divide(obj, frame, daughters)
    np.testing.assert_array_equal(session.labels, before[0])
    assert session.parents == before[1]


def test_daughters_of_a_removed_object_are_nobodys() -> None:
    session = tracked_session(1)
    divide_twice(session)
    session.remove_object(2)
    assert session.parents == {3: 1}
    session.undo()
    assert session.parents == {2: 1, 3: 1, 4: 2, 5: 2}


def test_many_removed_at_once_are_removed_as_each_would_be() -> None:
    together, one_by_one = tracked_session(1, 2, 4), tracked_session(1, 2, 4)
    for session in (together, one_by_one):
        session.divide(4, 7)
        session.rename(2, "second")
        session.lock(1, 5)
    before = together.labels.copy()
    together.remove_object(1, 2, 4)
    for obj in (1, 2, 4):
        one_by_one.remove_object(obj)
    np.testing.assert_array_equal(together.labels, one_by_one.labels)
    assert set(together.objects) == set(one_by_one.objects) == {5, 6}
    assert (together.parents, together.names, together.prompts) == ({}, {}, {})
    assert together.undo() == "Remove 3 objects"
    np.testing.assert_array_equal(together.labels, before)
    assert set(together.objects) == {1, 2, 4, 5, 6}
    assert (together.parents, together.names) == ({5: 4, 6: 4}, {2: "second"})


def test_a_merged_object_keeps_family_and_life_of_both() -> None:
    session = tracked_session(1)
    divide_twice(session)
    session.merge(1, 2)
    assert session.parents == {3: 1, 4: 1, 5: 1}
    assert session.life(1) == Life(None, 6)


def test_a_merger_makes_nobody_its_own_ancestor() -> None:
    session = tracked_session(1)
    divide_twice(session)
    session.merge(4, 1)
    assert session.parents == {2: 4, 3: 4, 5: 2}


def test_a_split_gives_the_daughters_to_the_later_part() -> None:
    session = tracked_session(1)
    session.divide(1, 7)
    assert session.split(1, 5) == 4
    assert session.parents == {2: 4, 3: 4}
    assert session.life(4) == Life(None, 6)


# ------------------------------------------------------------------------ names


def test_an_object_has_a_name() -> None:
    session = tracked_session(1, 2)
    session.rename(1, "  left nucleus ")
    assert session.names == {1: "left nucleus"}
    session.merge(2, 1)
    assert session.names == {2: "left nucleus"}
    session.rename(2, "")
    assert session.names == {}
    assert session.undo() == "Rename"


# ------------------------------------------------------------------------ locks


FORBIDDEN: dict[str, Callable[[Session], object]] = {
    "prompt": lambda session: session.set_prompts(1, 5, click(3, 3)),
    "take back": lambda session: session.set_prompts(1, 4, FramePrompts()),
    "preview": lambda session: session.preview(1, 5, click(3, 3)),
    "paint": lambda session: session.paint(1, 5, np.ones(SHAPE, bool)),
    "lock": lambda session: session.lock(1, 5),
    "unlock": lambda session: session.unlock(1, 5),
    "remove": lambda session: session.remove_object(1),
    "remove two": lambda session: session.remove_object(2, 1),
    "merge into": lambda session: session.merge(1, 2),
    "merge away": lambda session: session.merge(2, 1),
    "split": lambda session: session.split(1, 5),
    "begin": lambda session: session.begins_here(1, 5),
    "end": lambda session: session.ends_here(1, 5),
    "divide": lambda session: session.divide(1, 5),
    "become a daughter": lambda session: session.divide(2, 5, (1, 9)),
}


@pytest.mark.parametrize("edit", FORBIDDEN)
def test_a_locked_object_cannot_be_edited(edit: str) -> None:
    session = tracked_session(1, 2)
    session.lock_object(1)
    before = session.labels.copy()
    with pytest.raises(ValueError, match="object 1 is locked: unlock it first"):
        FORBIDDEN[edit](session)
    np.testing.assert_array_equal(session.labels, before)
    assert (session.objects, session.parents) == ((1, 2), {})
    assert session.undo() == "Lock object"


def test_a_locked_object_is_not_tracked() -> None:
    session = new_session()
    session.set_prompts(1, 4, click(10, 8))
    session.set_prompts(2, 4, click(10, 12))
    session.lock_object(1)
    assert {obj for obj, _ in run(session)} == {2}
    assert shown(session, 1) == [4]
    session.unlock_object(1)
    assert (1, 5) in run(session)


def test_a_lock_while_it_is_tracked_holds() -> None:
    session = new_session()
    session.set_prompts(1, 1, click(10, 8))
    for result in session.propagate(direction="forward"):
        if result.frame == 3:
            session.lock_object(1)
    assert shown(session, 1) == [1, 2, 3]


def test_nobody_takes_the_pixels_of_a_locked_object() -> None:
    session = tracked_session(1)
    mine = session.labels == 1
    session.lock_object(1)
    session.paint(2, 5, np.ones(SHAPE, bool))
    session.set_prompts(3, 4, click(10, 4))
    run(session)
    np.testing.assert_array_equal(session.labels == 1, mine)
    session.unlock_object(1)
    assert not (session.labels[5] == 1).any()
    session.lock_object(1)
    np.testing.assert_array_equal(session.labels == 1, mine)


def test_a_locked_mask_is_not_painted_over() -> None:
    session = tracked_session(1)
    session.lock(1, 5)
    mine = session.mask(1, 5)
    session.paint(2, 5, np.ones(SHAPE, bool))
    np.testing.assert_array_equal(session.labels[5] == 1, mine)


def test_locks_are_listed_and_a_second_one_is_no_step() -> None:
    session = tracked_session(1, 2)
    session.lock_object(2)
    session.lock_object(2)
    assert session.locked_objects == {2}
    assert [session.undo(), session.undo()] == ["Lock object", "Propagate"]
    with pytest.raises(ValueError, match="there is no object 9"):
        session.lock_object(9)


# ------------------------------------------------------------------------ files


@pytest.mark.parametrize("recompute", [False, True])
def test_all_that_is_said_of_objects_is_saved(tmp_path: Path, recompute: bool) -> None:
    session = tracked_session(1)
    divide_twice(session)
    session.set_prompts(4, 8, click(5, 5))
    run(session)
    session.rename(3, "left")
    session.lock_object(1)
    session.save(tmp_path / "cells.sam2.json")
    loaded = Session.load(tmp_path / "cells.sam2.json", IMAGES, REAL, recompute=recompute)
    assert loaded.objects == session.objects
    assert (loaded.names, loaded.parents) == (session.names, session.parents)
    assert loaded.locked_objects == {1}
    assert [loaded.life(obj) for obj in loaded.objects] == [session.life(obj) for obj in session.objects]
    np.testing.assert_array_equal(loaded.labels, session.labels)


def test_releasing_what_is_not_locked_is_no_step() -> None:
    session = tracked_session(1)
    made = session.steps_made
    session.unlock_object(1)
    assert session.steps_made == made
    session.lock_object(1)
    session.lock_object(1)
    assert session.steps_made == made + 1


# ------------------------------------------------------------------------ many


def crowd(objects: int) -> Session:
    """Return a session of objects that have a mask on every frame, all of one step."""
    session = new_session()
    logits = np.full((8, 8), -4.0, np.float32)
    logits[2:6, 2:6] = 4.0
    with session.grouped("Propagate"):
        for obj in range(1, objects + 1):
            for frame in range(COUNT):
                placed = PlacedLogits(logits, (0.0, 0.0, 8.0, 8.0), SHAPE)
                session._state.put_entry(PromptKey(obj, frame), Entry(placed))
    return session


@pytest.mark.parametrize(
    "edit",
    [
        lambda session: session.undo(),
        lambda session: [session.undo(), session.redo()],
        lambda session: session.remove_object(*session.objects),
    ],
    ids=["undo", "redo", "remove"],
)
def test_an_edit_of_many_objects_takes_little_for_each_of_their_masks(
    edit: Callable[[Session], object],
) -> None:
    """A mask by itself would take more than a hundred calls; their pixels are written later."""
    few, many = crowd(10), crowd(60)

    def edit_later(session: Session) -> None:
        with session.postponed():
            edit(session)

    more = calls_in(lambda: edit_later(many)) - calls_in(lambda: edit_later(few))
    assert more / (50 * COUNT) < 10


@pytest.mark.parametrize("edit", ["undo", "redo"])
def test_a_run_of_edits_of_one_object_each_takes_no_more_beside_many(edit: str) -> None:
    """As of seeds on one frame."""

    def calls(seeds: int) -> int:
        session = crowd(seeds)
        for obj in range(1, seeds + 1):
            with session.grouped("Remove object", "run"):
                session.remove_object(obj)
        if edit == "redo":
            session.undo()
        return calls_in(getattr(session, edit))

    few, many = calls(10), calls(40)
    assert many < 6 * few
