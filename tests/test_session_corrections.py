"""Corrections: what is computed again and from what, also while it runs; where objects end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam2.frame_result import FrameResult
from napari_sam2.passes import PassKey
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model

COUNT = 12
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def new_session(**options: object) -> Session:
    return Session(IMAGES, model=REAL, **options)  # type: ignore[arg-type]


def fake_session(fake: FakeModel, count: int = COUNT) -> Session:
    return Session(plain_frames(count), model=fake.as_model())


def run(session: Session, **options: object) -> list[tuple[int, tuple[int, ...]]]:
    """Propagate and tell what was computed: frames and objects, in order."""
    return [(r.frame, r.objects) for r in session.propagate(**options)]  # type: ignore[arg-type]


def computed(fake: FakeModel) -> list[int]:
    frames = [row.frame for row in fake.attended]
    fake.attended.clear()
    return sorted(frames)


def own_masks(session: Session, obj: int) -> np.ndarray:
    return np.array([session.mask(obj, frame) for frame in range(COUNT)])


# ------------------------------------------------------------------ corrections


def corrected_session(fake: FakeModel, *prompts: int) -> Session:
    session = fake_session(fake)
    for frame in prompts:
        session.set_prompts(1, frame, click(10, 8))
    session.set_prompts(2, 0, click(20, 15))
    run(session)
    computed(fake)
    return session


@pytest.mark.parametrize(
    ("prompted", "corrected", "expected"),
    [
        ((5,), 8, [6, 7, 9, 10, 11]),
        ((5,), 2, [0, 1, 3, 4]),
        ((2, 6, 10), 6, [3, 4, 5, 7, 8, 9]),
        ((2, 6, 10), 8, [7, 9]),
        ((2, 6, 10), 2, [0, 1, 3, 4, 5]),
        ((2, 6, 10), 11, []),
        ((0, 11), 5, [1, 2, 3, 4, 6, 7, 8, 9, 10]),
    ],
)
def test_a_correction_computes_its_object_between_its_confirmed_frames(
    fake_model: FakeModel, prompted: tuple[int, ...], corrected: int, expected: list[int]
) -> None:
    session = corrected_session(fake_model, *prompted)
    encoded = session.frames_encoded
    session.set_prompts(1, corrected, click(3, 3))
    told = run(session)
    seeds = set(range(corrected + 1, COUNT)) if corrected <= min(prompted) else set()
    assert set(expected) <= set(computed(fake_model)) <= set(expected) | seeds
    assert {objects for _, objects in told} <= {(1,)}
    assert {frame for frame, _ in told} - {*prompted, corrected} == set(expected)
    assert session.frames_encoded == encoded == COUNT


def test_a_correction_touches_no_other_object() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    session.set_prompts(2, 0, click(20, 15))
    run(session)
    before = own_masks(session, 2)
    session.set_prompts(1, 8, click(3, 3))
    run(session)
    np.testing.assert_array_equal(own_masks(session, 2), before)


def test_a_correction_sets_out_from_what_was_tracked(fake_model: FakeModel) -> None:
    session = corrected_session(fake_model, 5)
    fake_model.asked.clear()
    session.set_prompts(1, 8, click(3, 3))
    session.set_prompts(1, 8, click(3, 3, (20, 10, False)))
    assert [asked.has_mask for asked in fake_model.asked] == [True, True]


def test_corrections_that_are_changed_set_out_from_the_same_tracked_mask() -> None:
    """Moving the click, taking it back and clicking again, with or without propagating in between."""
    sessions = [new_session() for _ in range(3)]
    for session in sessions:
        session.set_prompts(1, 5, click(10, 8))
        run(session)
    tracked = sessions[0].labels.copy()
    moved, again, fresh = sessions
    moved.set_prompts(1, 8, click(3, 3))
    moved.set_prompts(1, 8, click(20, 4))
    again.set_prompts(1, 8, click(3, 3))
    again.set_prompts(1, 8, FramePrompts())
    np.testing.assert_array_equal(again.labels, tracked)
    again.set_prompts(1, 8, click(20, 4))
    fresh.set_prompts(1, 8, click(20, 4))
    for session in (moved, again):
        np.testing.assert_array_equal(session.labels, fresh.labels)
        run(session)
    run(fresh)
    for session in (moved, again):
        np.testing.assert_array_equal(session.labels, fresh.labels)


def test_a_correction_that_is_taken_back_is_as_if_it_had_never_been() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    run(session)
    before = session.labels.copy()
    session.set_prompts(1, 8, click(3, 3))
    run(session)
    session.set_prompts(1, 8, FramePrompts())
    run(session)
    np.testing.assert_array_equal(session.labels, before)


def test_a_frame_whose_correction_is_taken_back_is_as_good_as_it_was(tmp_path: Path) -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    run(session)
    before, rows = session.entry(1, 8), session.summary().rows
    session.set_prompts(1, 8, click(3, 3))
    session.save(tmp_path / "cells.sam2.json")
    loaded = Session.load(tmp_path / "cells.sam2.json", IMAGES, REAL)
    for each in (session, loaded):
        each.set_prompts(1, 8, FramePrompts())
        after = each.entry(1, 8)
        assert before is not None
        assert after is not None
        assert (after.score, after.presence) == (before.score, before.presence)
        assert each.summary().rows == rows


def test_prompts_that_change_while_it_runs_stop_their_object_alone() -> None:
    session, other = new_session(), new_session()
    for each in (session, other):
        each.set_prompts(2, 3, click(20, 15))
    session.set_prompts(1, 3, click(10, 8))
    for result in session.propagate():
        if result.frame == 6:
            session.set_prompts(1, 3, click(2, 2))
        assert result.frame <= 6 or 1 not in result.objects
    run(other)
    np.testing.assert_array_equal(own_masks(session, 2), own_masks(other, 2))
    assert {objects for _, objects in run(session)} == {(1,)}


def test_an_object_can_be_added_while_it_runs() -> None:
    session, other = new_session(), new_session()
    for each in (session, other):
        each.set_prompts(1, 3, click(10, 8))
    for result in session.propagate():
        if result.frame == 6:
            session.set_prompts(2, 4, click(20, 15))
    run(session)
    other.set_prompts(2, 4, click(20, 15))
    run(other)
    np.testing.assert_array_equal(session.labels, other.labels)


def test_an_object_can_be_removed_while_it_runs() -> None:
    session, other = new_session(), new_session()
    for each in (session, other):
        each.set_prompts(2, 3, click(20, 15))
    session.set_prompts(1, 3, click(10, 8))
    for result in session.propagate():
        if result.frame == 6:
            session.remove_object(1)
    run(other)
    np.testing.assert_array_equal(session.labels, other.labels)


def test_a_late_result_of_prompts_that_have_changed_is_not_written() -> None:
    session = new_session()
    session.set_prompts(1, 3, click(10, 8))
    results: list[FrameResult] = list(session.track())
    session.set_prompts(1, 3, click(2, 2))
    before = session.labels.copy()
    for result in results:
        session.apply(result)
    np.testing.assert_array_equal(session.labels, before)


# ------------------------------------------------- clicks that leave nothing behind

NOT_HERE = FramePrompts(points=((10, 8),), positive=(False,))


def emptied_session(fake: FakeModel, *prompted: int, at: int) -> Session:
    session = corrected_session(fake, *prompted)
    result = session.set_prompts(1, at, NOT_HERE)
    assert not result.masks.any()
    return session


def test_a_click_that_empties_a_frame_ends_the_object_there_and_harms_nothing_before() -> None:
    fake = FakeModel()
    before = corrected_session(FakeModel(), 3).labels == 1
    session = emptied_session(fake, 3, at=8)
    assert not (session.labels[8:] == 1).any()
    assert computed(fake) == []
    run(session, objects=[1])
    np.testing.assert_array_equal(session.labels[:8] == 1, before[:8])
    assert not (session.labels[8:] == 1).any()


def test_the_gap_beside_an_empty_frame_is_tracked_from_its_other_end_alone() -> None:
    fake = FakeModel()
    session = emptied_session(fake, 2, 10, at=6)
    run(session, objects=[1])
    assert {row.frame: row.spatial for row in fake.attended}[5][:1] == (2,)
    assert all(6 not in row.spatial for row in fake.attended)
    assert computed(fake) == [3, 4, 5, 7, 8, 9]


def test_undo_and_a_file_know_that_a_frame_is_empty(tmp_path: Path) -> None:
    session = emptied_session(FakeModel(), 3, at=8)
    shown = session.labels.copy()
    session.save(tmp_path / "cells.sam2.json")
    loaded = Session.load(tmp_path / "cells.sam2.json", plain_frames(COUNT), model=FakeModel().as_model())
    np.testing.assert_array_equal(loaded.labels, shown)
    for each in (session, loaded):
        assert [frames for frames, objects in run(each, objects=[1]) if objects] == []
    session.undo()
    assert (session.labels[8:] == 1).any()
    session.redo()
    np.testing.assert_array_equal(session.labels, shown)


def test_what_is_empty_alone_is_tracked_from_as_the_reference_does() -> None:
    session = fake_session(FakeModel())
    session.set_prompts(1, 4, NOT_HERE)
    assert len(run(session)) > COUNT - 2


# -------------------------------------------------------------------- ends here


def test_what_was_tracked_beyond_the_end_is_erased_and_not_tracked_again() -> None:
    session = new_session()
    session.set_prompts(1, 3, click(10, 8))
    run(session)
    before = session.labels.copy()
    result = session.set_prompts(1, 7, absent())
    assert result.presence[0] < 0.01
    np.testing.assert_array_equal(session.labels[:7], before[:7])
    assert not session.labels[7:].any()
    assert run(session) == []
    assert [frame for frame in range(COUNT) if session.entry(1, frame)] == list(range(8))


def test_an_end_that_is_set_while_it_runs_holds() -> None:
    session = new_session()
    session.set_prompts(1, 3, click(10, 8))
    for result in session.propagate():
        if result.frame == 9:
            session.set_prompts(1, 7, absent())
    assert not session.labels[7:].any()
    assert session.labels[:7].any(axis=(1, 2)).all()


def test_an_end_can_be_taken_back() -> None:
    session = new_session()
    session.set_prompts(1, 3, click(10, 8))
    run(session)
    before = session.labels.copy()
    session.set_prompts(1, 7, absent())
    session.set_prompts(1, 7, FramePrompts())
    assert [frame for frame, _ in run(session)][-1] >= 8
    np.testing.assert_array_equal(session.labels, before)


def test_an_object_that_comes_back_is_tracked_from_there() -> None:
    session = new_session()
    session.set_prompts(1, 2, click(10, 8))
    session.set_prompts(1, 5, absent())
    session.set_prompts(1, 9, click(10, 8))
    run(session)
    assert session.labels.any(axis=(1, 2)).tolist() == [True] * 5 + [False] + [True] * 6


@pytest.mark.parametrize("again", ["as it is", "loaded", "undone and redone"])
def test_more_of_a_gap_is_tracked_from_the_frame_that_shows_more(
    fake_model: FakeModel, tmp_path: Path, again: str
) -> None:
    images = plain_frames(COUNT)
    session = Session(images, model=fake_model.as_model())
    large, small = np.zeros((2, *SHAPE), bool)
    large[2:20, 2:20] = small[8:14, 6:12] = True  # 324 and 36 pixels
    session.paint(1, 0, large)
    session.paint(1, 10, small)
    if again == "loaded":
        session.save(tmp_path / "a.sam2.json")
        session = Session.load(tmp_path / "a.sam2.json", images, model=fake_model.as_model())
    elif again == "undone and redone":
        session.undo()
        session.redo()
    run(session)
    origins = [session.entry(1, frame).origin for frame in range(1, 10)]  # type: ignore[union-attr]
    assert [isinstance(each, PassKey) and each.reverse for each in origins] == [False] * 9
    session.set_prompts(1, 10, FramePrompts(mask=large))
    run(session)
    origins = [session.entry(1, frame).origin for frame in range(1, 10)]  # type: ignore[union-attr]
    assert [isinstance(each, PassKey) and each.reverse for each in origins] == [False] * 5 + [True] * 4
