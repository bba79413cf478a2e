"""Paint, lock, merge, split, remove: exactly these pixels, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests.fakes import SHAPE, FakeModel, click, noisy_frames, plain_frames, seeing_model

COUNT = 8
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def new_session() -> Session:
    return Session(IMAGES, model=REAL)


def tracked_session(*objects: int) -> Session:
    session = new_session()
    for obj in objects:
        session.set_prompts(obj, 3, click(10, 4 * obj))
    run(session)
    return session


def run(session: Session) -> set[tuple[int, int]]:
    return {(obj, result.frame) for result in session.propagate() for obj in result.objects}


def square(y: int, x: int, side: int = 5) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def masks(session: Session, obj: int) -> np.ndarray:
    return np.array([session.mask(obj, frame) for frame in range(COUNT)])


def provenance(session: Session, obj: int) -> list[str | None]:
    entries = [session.entry(obj, frame) for frame in range(COUNT)]
    return [entry.provenance if entry else None for entry in entries]


# ------------------------------------------------------------------------ paint


def test_paint_gives_exactly_these_pixels() -> None:
    session = new_session()
    session.paint(4, 2, square(3, 7, 1) | square(15, 2))
    np.testing.assert_array_equal(session.labels[2], (square(3, 7, 1) | square(15, 2)) * 4)
    assert provenance(session, 4)[2] == "painted"
    assert session.prompts[PromptKey(4, 2)].mask is not None


def test_paint_wins_over_every_tracked_object() -> None:
    session = tracked_session(1, 2)
    session.paint(3, 5, square(8, 5))
    assert (session.labels[5][square(8, 5)] == 3).all()


def test_paint_on_a_tracked_frame_is_tracked_from_there() -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    session.paint(1, 5, square(8, 5))
    assert run(session) - {(1, 3), (1, 5)} == {(1, 4), (1, 6), (1, 7)}
    np.testing.assert_array_equal(session.labels[5], square(8, 5))
    np.testing.assert_array_equal(session.labels[:3], before[:3])


def test_paint_drops_the_clicks_of_its_frame() -> None:
    session = tracked_session(1)
    session.paint(1, 3, square(8, 5))
    assert session.prompts == {PromptKey(1, 3): FramePrompts(mask=square(8, 5))}


def test_painting_nothing_ends_the_object() -> None:
    session = tracked_session(1)
    session.paint(1, 5, square(0, 0, 0))
    assert not session.labels[5:].any()
    assert session.labels[:5].any(axis=(1, 2)).all()
    assert run(session) == set()


def test_paint_takes_whatever_is_a_mask() -> None:
    session = new_session()
    session.paint(1, 2, square(3, 3).astype(np.uint8))
    session.paint(2, 2, square(12, 3).tolist())
    np.testing.assert_array_equal(session.labels[2], square(3, 3) + square(12, 3) * 2)


# ------------------------------------------------------------------------- lock


def test_a_locked_mask_is_not_tracked_over() -> None:
    session = tracked_session(1)
    session.lock(1, 5)
    locked = session.mask(1, 5)
    session.set_prompts(1, 3, click(20, 15))
    computed = run(session)
    np.testing.assert_array_equal(session.mask(1, 5), locked)
    assert session.entry(1, 5).locked  # type: ignore[union-attr]
    assert {(1, 4), (1, 6), (1, 7)} <= computed


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_lock_holds_in_sweeps_too(direction: str) -> None:
    session = tracked_session(1)
    session.lock(1, 5)
    session.lock(1, 1)
    locked = masks(session, 1)[[1, 5]]
    session.set_prompts(1, 3, click(20, 15))
    list(session.propagate(direction=direction))  # type: ignore[arg-type]
    np.testing.assert_array_equal(masks(session, 1)[[1, 5]], locked)


def test_a_locked_frame_cannot_be_prompted_or_painted() -> None:
    session = tracked_session(1)
    session.lock(1, 5)
    before = session.labels.copy()
    forbidden: list[Callable[[], object]] = [
        lambda: session.set_prompts(1, 5, click(3, 3)),
        lambda: session.set_prompts(1, 5, FramePrompts()),
        lambda: session.paint(1, 5, square(3, 3)),
    ]
    for edit in forbidden:
        with pytest.raises(ValueError, match="object 1 is locked on frame 5: unlock it first"):
            edit()
    np.testing.assert_array_equal(session.labels, before)


def test_a_locked_mask_wins_its_pixels() -> None:
    session = tracked_session(2)
    session.lock(2, 5)
    locked = session.mask(2, 5)
    session.set_prompts(1, 3, click(10, 4 * 2))
    run(session)
    assert (session.labels[5][locked] == 2).all()


def test_tracking_conditions_on_what_is_locked(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 0, click(10, 8))
    run(session)
    session.lock(1, 4)
    fake_model.attended.clear()
    run(session)
    assert {row.frame for row in fake_model.attended} == {1, 2, 3, 5, 6, 7}
    assert all(4 in row.spatial for row in fake_model.attended)


def test_what_is_unlocked_can_change_again() -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    session.lock(1, 5)
    assert PromptKey(1, 5) not in session.prompts
    session.unlock(1, 5)
    np.testing.assert_array_equal(session.labels, before)
    assert run(session) == set()
    session.set_prompts(1, 5, click(3, 3))


def test_a_lock_on_a_prompted_frame_keeps_its_prompts() -> None:
    session = tracked_session(1)
    session.lock(1, 3)
    session.unlock(1, 3)
    assert session.prompts == {PromptKey(1, 3): click(10, 4)}
    assert run(session) == set()


def test_unlocking_what_is_not_locked_is_no_step_to_undo() -> None:
    session = tracked_session(1)
    session.unlock(1, 5)
    session.unlock(7, 5)
    assert session.undo() == "Propagate"


def test_nothing_can_be_locked_where_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="object 1 has no mask on frame 5"):
        new_session().lock(1, 5)


# ----------------------------------------------------------------------- remove


def test_a_removed_object_gives_its_pixels_back() -> None:
    session, alone = tracked_session(1, 2), tracked_session(2)
    assert not np.array_equal(session.labels, alone.labels)
    session.remove_object(1)
    np.testing.assert_array_equal(session.labels, alone.labels)
    assert session.objects == (2,)
    assert {key.obj for key in session.prompts} == {2}


def test_a_removed_object_can_come_again_as_if_it_were_new() -> None:
    session, fresh = tracked_session(1), new_session()
    session.remove_object(1)
    for each in (session, fresh):
        each.set_prompts(1, 5, click(20, 15))
        run(each)
    np.testing.assert_array_equal(session.labels, fresh.labels)


# ------------------------------------------------------------------------ merge


def test_merged_objects_have_the_masks_of_both() -> None:
    session = tracked_session(1, 3)
    union = masks(session, 1) | masks(session, 3)
    session.merge(1, 3)
    np.testing.assert_array_equal(masks(session, 1), union)
    np.testing.assert_array_equal(session.labels, union)
    assert session.objects == (1,)


def test_where_only_one_had_a_mask_it_is_taken_over_as_it_is() -> None:
    """Two pieces of one track: what was tracked stays tracked."""
    session = new_session()
    session.set_prompts(1, 1, click(10, 8))
    list(session.propagate(frames=range(4)))
    session.set_prompts(2, 6, click(10, 8))
    list(session.propagate(frames=range(4, COUNT), objects=[2]))
    union = masks(session, 1) | masks(session, 2)
    session.merge(1, 2)
    np.testing.assert_array_equal(masks(session, 1), union)
    assert provenance(session, 1) == ["tracked", "prompted", *["tracked"] * 4, "prompted", "tracked"]
    assert list(session.prompts) == [PromptKey(1, 1), PromptKey(1, 6)]


def test_merging_does_not_paint_frames_where_one_of_them_is_empty(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 2, click(10, 8))
    session.set_prompts(2, 2, click(15, 12))
    session.paint(2, 4, square(0, 0, 0))
    run(session)
    assert session.entry(2, 4) is not None
    expected = masks(session, 1) | masks(session, 2)
    session.merge(1, 2)
    np.testing.assert_array_equal(masks(session, 1), expected)
    assert provenance(session, 1)[4:] == ["tracked"] * (COUNT - 4)


def test_prompts_are_taken_over_where_the_other_had_been_lost(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    fake_model.lost_from = 4
    session.set_prompts(1, 2, click(10, 8))
    run(session)
    assert not masks(session, 1)[4:].any()
    session.set_prompts(2, 5, click(15, 12))
    session.merge(1, 2)
    assert session.prompts == {PromptKey(1, 2): click(10, 8), PromptKey(1, 5): click(15, 12)}


def test_a_merged_object_is_tracked_from_all_its_prompts(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 1, click(10, 8))
    session.set_prompts(2, 6, click(10, 8))
    session.merge(1, 2)
    run(session)
    assert any(row.frame == 3 and row.spatial[:2] == (1, 6) for row in fake_model.attended)


@pytest.mark.parametrize("locked", [1, 2])
def test_a_mask_that_is_locked_is_merged_with_no_other(locked: int) -> None:
    session = tracked_session(1, 2)
    session.lock(locked, 3)
    before = session.labels[:].copy()
    with pytest.raises(ValueError, match=f"object {locked} is locked on frame 3: unlock it first"):
        session.merge(1, 2)
    np.testing.assert_array_equal(session.labels[:], before)
    assert session.objects == (1, 2)
    session.unlock(locked, 3)
    session.merge(1, 2)
    assert list(session.objects) == [1]


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("whole", [(False, False), (False, True), (True, False), (True, True)])
def test_what_is_locked_first_keeps_its_pixels(
    fake_model: FakeModel, first: int, whole: tuple[bool, bool]
) -> None:
    session = Session(plain_frames(4), model=fake_model.as_model(), view="frame")
    session.set_prompts(1, 1, click(8, 8))
    session.set_prompts(2, 1, click(9, 9))
    assert (session.mask(1, 1) & session.mask(2, 1)).any(), "they overlap"
    lock(session, first, whole=whole[0])
    kept = session.labels[1] == first
    second = 3 - first
    lock(session, second, whole=whole[1])
    np.testing.assert_array_equal(session.labels[1] == first, kept)
    np.testing.assert_array_equal(session.labels[1] == second, session.mask(second, 1))
    session.undo()
    np.testing.assert_array_equal(session.labels[1] == first, kept)
    assert (session.mask(1, 1) & session.mask(2, 1)).any()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("painted", [False, True])
def test_what_a_lock_has_kept_from_a_mask_comes_back_with_its_release(
    fake_model: FakeModel, whole: bool, painted: bool
) -> None:
    session = Session(plain_frames(4), model=fake_model.as_model(), view="frame")
    session.set_prompts(1, 1, click(8, 8))
    session.set_prompts(2, 1, click(9, 9))
    if painted:
        session.paint(2, 1, session.mask(2, 1))
    masks = session.mask(1, 1), session.mask(2, 1)
    for obj in (1, 2):
        lock(session, obj, whole=whole)
    assert not (session.mask(1, 1) & session.mask(2, 1)).any()
    for obj in (1, 2):
        release(session, obj, whole=whole)
    np.testing.assert_array_equal(session.mask(1, 1), masks[0])
    np.testing.assert_array_equal(session.mask(2, 1), masks[1])


def release(session: Session, obj: int, *, whole: bool) -> None:
    if whole:
        session.unlock_object(obj)
    else:
        session.unlock(obj, 1)


def lock(session: Session, obj: int, *, whole: bool) -> None:
    if whole:
        session.lock_object(obj)
    else:
        session.lock(obj, 1)


def test_nothing_cannot_be_split_off() -> None:
    session = tracked_session(1)
    session.ends_here(1, 4)
    with pytest.raises(
        ValueError, match="object 1 has nothing on frame 5 and later: there is nothing to split"
    ):
        session.split(1, 5)
    assert list(session.objects) == [1]


def test_an_object_cannot_be_merged_with_itself() -> None:
    with pytest.raises(ValueError, match="object 1 cannot be merged with itself"):
        tracked_session(1).merge(1, 1)


# ------------------------------------------------------------------------ split


def test_a_split_gives_the_masks_from_a_frame_on_to_a_new_object() -> None:
    session = tracked_session(1)
    before = masks(session, 1)
    session.set_prompts(1, 6, click(20, 15))
    later = session.mask(1, 6)
    assert session.split(1, 5) == 2
    np.testing.assert_array_equal(masks(session, 1)[:5], before[:5])
    assert not masks(session, 1)[5:].any()
    np.testing.assert_array_equal(session.mask(2, 6), later)
    assert session.objects == (1, 2)
    assert {key.obj: key.frame for key in session.prompts} == {1: 3, 2: 6}


def test_both_parts_of_a_split_go_on_by_themselves() -> None:
    session = tracked_session(1)
    session.set_prompts(1, 6, click(20, 15))
    run(session)
    session.split(1, 5, 9)
    run(session)
    fresh = new_session()
    fresh.set_prompts(1, 3, click(10, 4))
    run(fresh)
    np.testing.assert_array_equal(masks(session, 1), masks(fresh, 1))
    assert masks(session, 9).any(axis=(1, 2)).all()


def test_a_split_needs_a_free_id() -> None:
    session = tracked_session(1, 2)
    with pytest.raises(ValueError, match="object 2 is there already"):
        session.split(1, 5, 2)
    with pytest.raises(ValueError, match="object id is 0"):
        session.split(1, 5, 0)


def test_merging_what_was_split_gives_the_labels_back() -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    session.merge(1, session.split(1, 5))
    np.testing.assert_array_equal(session.labels, before)
    assert run(session) == set()


@pytest.mark.parametrize("edit", ["remove_object", "merge", "other", "split"])
def test_an_object_that_is_not_there_is_named(edit: str) -> None:
    session = tracked_session(1)
    before = session.labels.copy()
    calls: dict[str, Callable[[], object]] = {
        "remove_object": lambda: session.remove_object(5),
        "merge": lambda: session.merge(5, 1),
        "other": lambda: session.merge(1, 5),
        "split": lambda: session.split(5, 2),
    }
    with pytest.raises(ValueError, match=r"there is no object 5: choose one of \[1\]"):
        calls[edit]()
    np.testing.assert_array_equal(session.labels, before)
