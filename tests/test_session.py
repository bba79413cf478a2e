"""A session: prompts to masks to labels, in every direction, stopped and gone on with, corrected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.cleanup import Cleanup
from napari_sam2.labels import Entry
from napari_sam2.passes import Direction
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests.fakes import (
    SHAPE,
    BrokenFrames,
    FakeModel,
    click,
    noisy_frames,
    plain_frames,
    seeing_model,
)

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


def assert_same_entry(first: Entry | None, second: Entry | None) -> None:
    assert first is not None
    assert second is not None
    assert (first.score, first.presence) == (second.score, second.presence)
    assert (first.logits is None) == (second.logits is None)
    if first.logits and second.logits:
        np.testing.assert_array_equal(first.logits.logits, second.logits.logits)


# ---------------------------------------------------------------------- prompts


def test_a_click_gives_the_mask_that_is_written() -> None:
    session = new_session()
    result = session.set_prompts(3, 5, click(10, 8))
    assert (result.frame, result.objects) == (5, (3,))
    assert result.masks.shape == (1, *SHAPE)
    assert result.masks.any()
    assert result.candidates.shape == (3, 16, 16)
    np.testing.assert_array_equal(session.labels[5], result.masks[0] * 3)
    assert not np.delete(session.labels, 5, axis=0).any()
    assert session.objects == (3,)


def test_prompts_are_listed_in_order() -> None:
    session = new_session()
    for obj, frame in ((2, 1), (1, 7), (1, 3)):
        session.set_prompts(obj, frame, click(10, 8))
    assert session.prompts == {PromptKey(*place): click(10, 8) for place in ((1, 3), (1, 7), (2, 1))}
    assert list(session.prompts) == [PromptKey(1, 3), PromptKey(1, 7), PromptKey(2, 1)]


@pytest.mark.parametrize(
    "prompts",
    [
        FramePrompts(box=(2, 3, 12, 15)),
        FramePrompts(mask=np.pad(np.ones((8, 8), bool), ((4, 12), (6, 6)))),
        FramePrompts(points=((5, 5), (20, 15)), positive=(True, False), box=(2, 3, 12, 15)),
        FramePrompts(points=((5, 5),), positive=(True,), candidate=2),
    ],
    ids=["box", "mask", "both", "candidate"],
)
def test_every_kind_of_prompt_gives_a_mask_and_can_be_propagated(prompts: FramePrompts) -> None:
    session = new_session()
    result = session.set_prompts(1, 5, prompts)
    np.testing.assert_array_equal(session.labels[5], result.masks[0])
    assert len(run(session)) == COUNT
    assert session.entry(1, 5).provenance == "prompted"  # type: ignore[union-attr]  # it is there


def test_a_mask_prompt_is_kept_as_it_was_drawn() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[6:18, 5:15] = True
    session = new_session()
    session.set_prompts(1, 5, FramePrompts(mask=mask))
    assert np.mean(session.mask(1, 5) == mask) > 0.95


def test_another_candidate_gives_another_mask() -> None:
    session = new_session()
    first = session.set_prompts(1, 5, click(10, 8))
    masks = []
    for candidate in range(3):
        prompts = FramePrompts(points=((10, 8),), positive=(True,), candidate=candidate)
        result = session.set_prompts(1, 5, prompts)
        np.testing.assert_array_equal(result.placed[0].logits, first.candidates[candidate])
        masks.append(session.mask(1, 5))
    assert not np.array_equal(masks[0], masks[1])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 19), st.booleans()), min_size=2, max_size=4))
def test_moved_and_deleted_clicks_give_what_clicking_afresh_gives(
    clicks: list[tuple[int, int, bool]],
) -> None:
    session = new_session()
    places = [row[:2] for row in clicks]
    signs = [row[2] for row in clicks]
    for count in range(1, len(clicks) + 1):
        session.set_prompts(1, 5, FramePrompts(points=places[:count], positive=signs[:count]))
    moved = FramePrompts(points=[(1, 1), *places[1:]], positive=signs)
    deleted = FramePrompts(points=places[1:], positive=signs[1:])
    for prompts in (moved, deleted):
        session.set_prompts(1, 5, prompts)
        fresh = new_session()
        fresh.set_prompts(1, 5, prompts)
        np.testing.assert_array_equal(session.labels, fresh.labels)
        assert_same_entry(session.entry(1, 5), fresh.entry(1, 5))


def test_prompts_that_are_taken_back_leave_nothing() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    result = session.set_prompts(1, 5, FramePrompts())
    assert result.objects == ()
    assert result.masks.shape == (0, *SHAPE)
    assert session.objects == ()
    assert session.prompts == {}
    assert not session.labels.any()


def test_taking_back_what_was_never_said_changes_nothing() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    run(session)
    before = session.labels.copy()
    assert session.set_prompts(1, 8, FramePrompts()).objects == ()
    np.testing.assert_array_equal(session.labels, before)
    assert session.undo() == "Propagate"


# -------------------------------------------------------------------- propagate


def test_labels_are_the_masks_of_the_results() -> None:
    session = new_session()
    session.set_prompts(2, 5, click(10, 8))
    for result in session.propagate():
        assert result.objects == (2,)
        np.testing.assert_array_equal(session.labels[result.frame], result.masks[0] * 2)
        entry = session.entry(2, result.frame)
        assert entry is not None
        assert entry.provenance == ("prompted" if result.frame == 5 else "tracked")
        assert entry.score == pytest.approx(float(result.iou[0]))
        assert entry.presence == pytest.approx(float(result.presence[0]))
    assert session.labels.any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("direction", "frames", "expected"),
    [
        ("both", None, [*range(5, 12), *range(4, -1, -1)]),
        ("forward", None, [*range(5, 12)]),
        ("backward", None, [*range(5, -1, -1)]),
        ("both", range(3, 8), [5, 6, 7, 4, 3]),
        ("forward", range(3, 8), [5, 6, 7]),
        ("backward", range(3, 8), [5, 4, 3]),
        ("both", range(7, 4, -1), [5, 6, 7]),
        ("forward", range(8, 10), [8, 9]),
        ("backward", range(8, 10), []),
    ],
)
def test_directions_and_ranges(direction: Direction, frames: range | None, expected: list[int]) -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    assert run(session, direction=direction, frames=frames) == [(frame, (1,)) for frame in expected]
    written = {frame for frame in range(COUNT) if session.entry(1, frame) is not None}
    assert written == {5, *expected}


def test_only_the_objects_that_are_named() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    session.set_prompts(2, 5, click(20, 15))
    assert {objects for _, objects in run(session, objects=[2])} == {(2,)}
    assert session.entry(1, 6) is None
    assert {objects for _, objects in run(session)} == {(1,)}


def test_propagating_twice_computes_nothing_again(fake_model: FakeModel) -> None:
    session = fake_session(fake_model)
    session.set_prompts(1, 5, click(10, 8))
    run(session)
    computed(fake_model)
    assert run(session) == []
    assert computed(fake_model) == []


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
@pytest.mark.parametrize("frames", [None, range(3, 9)])
def test_what_is_ahead_is_what_is_computed(direction: Direction, frames: range | None) -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    session.set_prompts(2, 8, click(20, 15))
    ahead = session.steps_ahead(frames, None, direction)
    results = list(session.track(frames, None, direction))
    ways = {(r.frame, origin.reverse) for r in results for origin in r.origins if origin is not None}
    assert ahead == ways


@pytest.mark.parametrize(("direction", "end"), [("backward", "ends_here"), ("forward", "begins_here")])
def test_an_object_is_not_tracked_beyond_its_life_with_others(direction: Direction, end: str) -> None:
    session = new_session()
    first, second = (5, 6) if direction == "backward" else (6, 5)
    session.set_prompts(1, first, click(10, 8))
    session.set_prompts(2, second, click(20, 15))
    getattr(session, end)(1, first)
    results = list(session.propagate(direction=direction))
    assert session.steps_ahead(None, None, direction, stale=True) == frozenset()
    beyond = [r.frame for r in results for o, key in zip(r.objects, r.origins, strict=True) if o == 1 and key]
    assert set(beyond) <= set(range(first) if direction == "backward" else range(first + 1, 100))


def test_what_is_done_is_not_ahead() -> None:
    session = new_session()
    session.set_prompts(1, 5, click(10, 8))
    ahead = session.steps_ahead()
    steps = session.propagate()
    done = {next(steps).frame for _ in range(4)} - {5}
    assert session.steps_ahead() == {step for step in ahead if step.frame not in done}
    assert list(steps)
    assert session.steps_ahead() == frozenset()


def test_forward_tracks_everything_again(fake_model: FakeModel) -> None:
    session = fake_session(fake_model)
    session.set_prompts(1, 5, click(10, 8))
    run(session, direction="forward")
    computed(fake_model)
    assert len(run(session, direction="forward")) == 7
    assert computed(fake_model) == list(range(6, 12))


def test_tracking_writes_nothing_until_it_is_applied() -> None:
    session, other = new_session(), new_session()
    for each in (session, other):
        each.set_prompts(1, 5, click(10, 8))
    before = session.labels.copy()
    results = list(session.track())
    np.testing.assert_array_equal(session.labels, before)
    for result in reversed(results):
        session.apply(result)
    run(other)
    np.testing.assert_array_equal(session.labels, other.labels)
    assert run(session) == []


def test_results_that_were_never_applied_are_computed_again() -> None:
    session, whole = new_session(), new_session()
    for each in (session, whole):
        each.set_prompts(1, 5, click(10, 8))
    run(whole)
    steps = session.track()
    for applied in (True, True, True, False, False):
        result = next(steps)
        if applied:
            session.apply(result)
    run(session)
    np.testing.assert_array_equal(session.labels, whole.labels)


@pytest.mark.parametrize("stop", range(1, 13))
def test_what_was_done_is_kept_and_the_rest_is_done_later(stop: int) -> None:
    session, whole = new_session(), new_session()
    for each in (session, whole):
        each.set_prompts(1, 5, click(10, 8))
        each.set_prompts(2, 8, click(20, 15))
    run(whole)
    steps = session.propagate()
    done = [next(steps).frame for _ in range(stop)]
    steps.close()  # type: ignore[attr-defined]  # a generator
    assert len(done) == stop
    for frame in {5, *done} - {5, 8}:
        obj = 1 if session.entry(1, frame) else 2
        np.testing.assert_array_equal(session.mask(obj, frame), whole.mask(obj, frame))
    run(session)
    np.testing.assert_array_equal(session.labels, whole.labels)
    assert run(session) == []


def test_a_generator_that_is_let_go_of_can_be_followed_by_another() -> None:
    session, whole = new_session(), new_session()
    for each in (session, whole):
        each.set_prompts(1, 5, click(10, 8))
    run(whole)
    for stop in (2, 3, 4):
        for _, _result in zip(range(stop), session.propagate(), strict=False):
            pass
    run(session)
    np.testing.assert_array_equal(session.labels, whole.labels)


def test_frames_that_cannot_be_read_stop_it_and_lose_nothing() -> None:
    frames = BrokenFrames(IMAGES, set())
    session, whole = Session(frames, model=REAL), new_session()
    for each in (session, whole):
        each.set_prompts(1, 5, click(10, 8))
    run(whole)
    frames.broken.add(8)
    with pytest.raises(OSError, match="frame 8"):
        run(session)
    np.testing.assert_array_equal(session.labels[5:8], whole.labels[5:8])
    frames.broken.clear()
    run(session)
    np.testing.assert_array_equal(session.labels, whole.labels)


def test_a_prompt_on_a_frame_that_cannot_be_read_is_not_there() -> None:
    session = Session(BrokenFrames(IMAGES, {8}), model=REAL)
    session.set_prompts(1, 5, click(10, 8))
    with pytest.raises(OSError, match="frame 8"):
        session.set_prompts(1, 8, click(10, 8))
    assert list(session.prompts) == [PromptKey(1, 5)]
    assert session.undo() == "Prompt"
    assert session.undo() is None


# --------------------------------------------------------------------- clean-up


def test_clean_up_never_changes_a_mask_that_is_locked() -> None:
    session = new_session(cleanup=Cleanup(keep_largest=True, fill_holes=50))
    painted = np.zeros(SHAPE, bool)
    painted[4:10, 4:10] = True
    painted[6, 6] = painted[14, 14] = True
    painted[7, 7] = False
    session.set_prompts(1, 5, FramePrompts(mask=painted))
    run(session)
    before = session.labels[4:6].copy()
    for frame in (4, 5):
        session.lock(1, frame)
    session.set_prompts(1, 8, click(10, 8))
    run(session)
    np.testing.assert_array_equal(session.labels[4:6], before)


def test_clean_up_touches_what_is_written_and_not_what_is_remembered() -> None:
    plain, mended = new_session(), new_session(cleanup=Cleanup(keep_largest=True, fill_holes=50))
    for session in (plain, mended):
        session.set_prompts(1, 5, click(10, 8))
        run(session)
    assert not np.array_equal(plain.labels, mended.labels)
    for frame in range(COUNT):
        assert_same_entry(plain.entry(1, frame), mended.entry(1, frame))
