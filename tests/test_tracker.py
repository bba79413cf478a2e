"""The tracker: results that depend on the prompts alone, not on groups, order, stops or other objects."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._tracking.conditioning import Base
from napari_sam2._tracking.state import Job
from napari_sam2.frame_result import FrameResult
from napari_sam2.passes import Direction, PassKey
from napari_sam2.steps import result_of
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model

COUNT = 14
REAL = seeing_model()
VOLUME = Volume(noisy_frames(COUNT))

Answers = dict[tuple[int, int], FrameResult]


def real_tracker(**options: int) -> Tracker:
    return Tracker(REAL, VOLUME, VOLUME.shape, **options)  # type: ignore[arg-type]


def fake_tracker(fake: FakeModel, count: int = COUNT) -> Tracker:
    volume = Volume(plain_frames(count))
    return Tracker(fake.as_model(), volume, volume.shape)


def run(tracker: Tracker, direction: Direction = "both", limits: range | None = None) -> list[FrameResult]:
    return list(tracker.track(tracker.plan(tracker.objects, direction, limits)))


def by_place(results: Iterable[FrameResult]) -> Answers:
    """Split results into objects; each (object, frame) must come once."""
    places: Answers = {}
    for result in results:
        for obj in result.objects:
            assert (obj, result.frame) not in places
            places[obj, result.frame] = result
    return places


def logits(answers: Answers, place: tuple[int, int]) -> np.ndarray:
    result = answers[place]
    return result.placed[result.objects.index(place[0])].logits


def assert_same(first: Answers, second: Answers, *, exact: bool = True) -> None:
    assert first.keys() == second.keys()
    for place in first:
        if exact:
            np.testing.assert_array_equal(logits(first, place), logits(second, place))
        else:
            # Memories are kept in half precision, which turns the last bit of a float32 into more.
            np.testing.assert_allclose(logits(first, place), logits(second, place), atol=0.3)


# ---------------------------------------------------------------------- prompts


def test_an_ambiguous_click_shows_its_candidates() -> None:
    tracker = real_tracker()
    first = tracker.prompt(1, 3, click(10, 8))
    assert first.candidates.shape == (3, 16, 16)
    assert any(np.array_equal(first.placed[0].logits, each) for each in first.candidates)
    assert tracker.prompt(1, 3, click(10, 8, (4, 4, False))).candidates.size == 0


def test_prompts_are_answered_when_the_answer_is_needed(fake_model: FakeModel) -> None:
    tracker = fake_tracker(fake_model)
    tracker.declare(1, 3, click(10, 8))
    assert fake_model.encoded == []
    tracker.confirmed_result(1, 3)
    tracker.confirmed_result(1, 3)
    assert fake_model.encoded == [3]
    assert len(fake_model.asked) == 1


def test_confirmed_frames_are_listed_by_object() -> None:
    tracker = real_tracker()
    tracker.declare(2, 9, click(5, 5), revision=4)
    tracker.declare(2, 1, absent(), revision=7)
    tracker.declare(1, 0, click(5, 5))
    assert tracker.objects == (1, 2)
    assert [(a.frame, a.revision, a.present) for a in tracker.anchors(2)] == [(1, 7, False), (9, 4, True)]
    tracker.forget(1, 0)
    tracker.remove(7)
    assert list(tracker.objects) == [2]
    assert tracker.anchors(1) == ()


# ----------------------------------------------------------------------- groups


@pytest.mark.parametrize("group_size", [2, 5])
def test_answers_do_not_depend_on_the_group_size(group_size: int) -> None:
    answers = []
    for size in (1, group_size):
        tracker = real_tracker(group_size=size)
        for obj in range(1, 6):
            tracker.declare(obj, 4 + obj % 2, click(4 * obj, 3 * obj))
        answers.append(by_place(run(tracker)))
    assert_same(*answers, exact=False)


@pytest.mark.parametrize("group_size", [1, 3])
def test_answers_do_not_depend_on_other_objects(group_size: int) -> None:
    """To the last bit, where they go through the network one by one."""
    alone, together = real_tracker(group_size=group_size), real_tracker(group_size=group_size)
    for tracker in (alone, together):
        tracker.declare(2, 5, click(10, 8))
    together.declare(1, 2, click(3, 3))
    together.declare(3, 5, click(20, 15))
    others = {place: r for place, r in by_place(run(together)).items() if place[0] == 2}
    assert_same(by_place(run(alone)), others, exact=group_size == 1)


# --------------------------------------------------------------------- features


def test_a_frame_is_encoded_once_for_directions_objects_and_corrections(fake_model: FakeModel) -> None:
    tracker = fake_tracker(fake_model)
    tracker.prompt(1, 4, click(10, 8))
    tracker.prompt(2, 9, click(5, 5))
    places = by_place(run(tracker))
    entry = places[1, 7]
    base = result_of(tracker.base_of(1, 7, entry.placed[0], origin_of(entry, 1)))
    tracker.prompt(1, 7, click(3, 3), revision=1, base=base)
    run(tracker)
    run(tracker, "forward")
    run(tracker, "backward")
    assert sorted(fake_model.encoded) == list(range(COUNT))
    assert tracker.features.encoded == COUNT


def origin_of(result: FrameResult, obj: int) -> PassKey:
    origin = result.origins[result.objects.index(obj)]
    assert origin is not None
    return origin


# ------------------------------------------------------------------- directions


def test_both_directions_compute_every_frame_once() -> None:
    tracker = real_tracker()
    tracker.declare(1, 4, click(10, 8))
    tracker.declare(1, 10, click(10, 8))
    assert sorted(by_place(run(tracker))) == [(1, frame) for frame in range(COUNT)]


def test_forward_begins_at_the_earliest_prompt_of_all_objects() -> None:
    tracker = real_tracker()
    tracker.declare(1, 4, click(10, 8))
    tracker.declare(2, 8, click(3, 8))
    frames = [result.frame for result in run(tracker, "forward")]
    assert frames == list(range(4, COUNT))
    assert all(result.objects == (1, 2) for result in run(tracker, "forward"))


def test_backward_begins_at_the_latest_prompt_of_all_objects() -> None:
    tracker = real_tracker()
    tracker.declare(1, 4, click(10, 8))
    tracker.declare(2, 8, click(3, 8))
    assert [result.frame for result in run(tracker, "backward")] == list(range(8, -1, -1))


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_an_object_that_is_nowhere_is_not_tracked(direction: Direction) -> None:
    tracker = real_tracker()
    tracker.declare(1, 4, click(10, 8))
    tracker.declare(2, 6, absent())
    assert {obj for obj, _ in by_place(run(tracker, direction))} == {1}


def test_limits_are_frames_that_may_be_computed() -> None:
    tracker = real_tracker()
    tracker.declare(1, 4, click(10, 8))
    assert [result.frame for result in run(tracker, "both", range(6, 9))] == [6, 7, 8]
    assert [result.frame for result in run(tracker, "forward", range(6, 9))] == [6, 7, 8]
    assert [result.frame for result in run(tracker, "backward", range(1, 3))] == [2, 1]


# ------------------------------------------------------------------------ stops


@st.composite
def situations(draw: st.DrawFn) -> list[tuple[int, int]]:
    places = st.tuples(st.integers(1, 2), st.integers(0, COUNT - 1))
    return draw(st.lists(places, min_size=1, max_size=4, unique=True))


def resumed(tracker: Tracker, done: Answers) -> tuple[Job, ...]:
    """What is left to do, as the session plans it."""
    jobs = []
    for job in tracker.plan(tracker.objects):
        frames = [f for f in job.planned.frames if (job.obj, f) not in done]
        if frames:
            begin = None if frames[0] == job.planned.frames[0] else frames[0]
            jobs.append(Job(job.obj, job.planned, begin))
    return tuple(jobs)


@settings(max_examples=12, deadline=None)
@given(situations(), st.integers(1, 25))
def test_stopping_anywhere_and_going_on_gives_the_same(places: list[tuple[int, int]], stop: int) -> None:
    whole, halted = real_tracker(), real_tracker()
    for tracker in (whole, halted):
        for obj, frame in places:
            tracker.declare(obj, frame, click(4 + frame, 3 * obj))
    done: Answers = {}
    steps = halted.track(halted.plan(halted.objects))
    for _ in range(stop):
        result = next(steps, None)
        done |= by_place([result] if result else [])
    steps.close()  # type: ignore[attr-defined]  # a generator
    rest = by_place(halted.track(resumed(halted, done)))
    assert_same(by_place(run(whole)), done | rest)


def test_going_on_computes_nothing_again(fake_model: FakeModel) -> None:
    tracker = fake_tracker(fake_model)
    tracker.declare(1, 4, click(10, 8))
    steps = tracker.track(tracker.plan((1,)))
    done = by_place(next(steps) for _ in range(5))
    steps.close()  # type: ignore[attr-defined]
    run_first = len(fake_model.attended)
    list(tracker.track(resumed(tracker, done)))
    assert run_first == 4
    assert len(fake_model.attended) == COUNT - 1


def test_a_longer_range_goes_on_where_the_shorter_one_ended(fake_model: FakeModel) -> None:
    tracker = fake_tracker(fake_model)
    tracker.declare(1, 0, click(10, 8))
    done = by_place(run(tracker, "both", range(6)))
    list(tracker.track(resumed(tracker, done)))
    assert [row.frame for row in fake_model.attended] == list(range(1, COUNT))
    assert fake_model.attended_on(6).spatial == (0, 1, 2, 3, 4, 5)


# -------------------------------------------------------- while it is under way


def test_removing_an_object_stops_it_alone() -> None:
    tracker, other = real_tracker(group_size=1), real_tracker(group_size=1)
    for each in (tracker, other):
        each.declare(2, 3, click(20, 15))
    tracker.declare(1, 3, click(10, 8))
    found = []
    for index, result in enumerate(tracker.track(tracker.plan((1, 2)))):
        found.append(result)
        if index == 4:
            tracker.remove(1)
    places = by_place(found)
    assert max(frame for obj, frame in places if obj == 1) == 7
    assert_same(by_place(run(other)), {place: r for place, r in places.items() if place[0] == 2})


def test_an_object_that_is_removed_before_its_pass_begins_is_left_out() -> None:
    tracker = real_tracker()
    tracker.declare(1, 6, click(10, 8))
    tracker.declare(2, 6, click(3, 3))
    steps = tracker.track(tracker.plan((1, 2)))
    tracker.remove(1)
    assert {obj for obj, _ in by_place(steps)} == {2}


def test_an_object_that_is_prompted_anew_stops_and_the_others_go_on() -> None:
    tracker, other = real_tracker(), real_tracker()
    for each in (tracker, other):
        each.declare(2, 3, click(20, 15))
    tracker.declare(1, 6, click(10, 8))
    found = []
    for result in tracker.track(tracker.plan((1, 2))):
        found.append(result)
        if result.frame == 8:
            tracker.declare(1, 6, click(5, 5), revision=1)
    places = by_place(found)
    assert {frame for obj, frame in places if obj == 1} == {6, 7, 8}
    assert_same(by_place(run(other)), {place: r for place, r in places.items() if place[0] == 2})


def test_a_frame_that_is_confirmed_on_the_way_is_told_as_it_is_confirmed() -> None:
    tracker = real_tracker()
    tracker.declare(1, 3, click(10, 8))
    found = []
    for result in tracker.track(tracker.plan((1,))):
        found.append(result)
        if result.frame == 5:
            tracker.declare(1, 7, click(2, 2), revision=1)
    places = by_place(found)
    assert places[1, 7].origins == (None,)
    np.testing.assert_array_equal(logits(places, (1, 7)), tracker.confirmed_result(1, 7).placed[0].logits)
    assert (1, 9) in places


def test_nothing_is_tracked_beyond_a_frame_that_turns_out_to_be_without_the_object() -> None:
    tracker = real_tracker()
    tracker.declare(1, 3, click(10, 8))
    found = []
    for result in tracker.track(tracker.plan((1,))):
        found.append(result)
        if result.frame == 5:
            tracker.declare(1, 7, absent(), revision=1)
    tracked = {frame for (_, frame), r in by_place(found).items() if r.origins != (None,)}
    assert tracked == {0, 1, 2, 4, 5, 6}


def test_two_runs_at_once_disturb_one_another_in_nothing_but_who_computes() -> None:
    tracker = real_tracker()
    tracker.declare(1, 0, click(10, 8))
    tracker.declare(1, COUNT - 1, click(10, 8))
    jobs = tracker.plan((1,))
    first = tracker.track(jobs)
    found = [next(first) for _ in range(COUNT // 2)]
    second = by_place(tracker.track(jobs))
    found += list(first)
    assert sorted(second) == [(1, frame) for frame in range(COUNT)]
    assert_same(by_place(found), {place: second[place] for place in by_place(found)})


# ------------------------------------------------------------------------ bases


def test_a_base_is_the_tracked_answer_and_the_features_it_came_from() -> None:
    tracker = real_tracker()
    tracker.declare(1, 0, click(10, 8))
    steps = tracker.track(tracker.plan((1,)))
    found = [next(steps) for _ in range(6)]
    last = found[-1]
    base = result_of(tracker.base_of(1, 5, last.placed[0].tight(), origin_of(last, 1)))
    assert isinstance(base, Base)
    assert base.embedding is not None
    assert base.embedding.shape == (32, 4, 4)
    positive = last.placed[0].logits > 0
    np.testing.assert_array_equal(base.low_res > 0, positive)
    np.testing.assert_array_equal(base.low_res[positive], last.placed[0].logits[positive])


def test_there_is_no_base_once_the_confirmed_frames_are_gone() -> None:
    tracker = real_tracker()
    tracker.declare(1, 0, click(10, 8))
    last = run(tracker)[-1]
    tracker.remove(1)
    assert result_of(tracker.base_of(1, last.frame, last.placed[0], origin_of(last, 1))) is None


def test_a_result_knows_the_shape_of_its_frame() -> None:
    tracker = real_tracker()
    assert tracker.empty_result(3).masks.shape == (0, *SHAPE)
    tracker.declare(1, 0, click(10, 8))
    assert all(result.masks.shape == (1, *SHAPE) for result in run(tracker))
