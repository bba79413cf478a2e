"""What the tracker attends to and what it keeps: memories by frame, bounded however long the sequence is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2._tracking.state import Job
from napari_sam2.frame_result import FrameResult
from napari_sam2.keeping import Keeping
from napari_sam2.passes import Direction
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume
from tests.fakes import Attended, FakeModel, absent, click, plain_frames, seeing_model

COUNT = 40


def tracker_of(fake: FakeModel, count: int = COUNT, budget: int = 2**30) -> Tracker:
    volume = Volume(plain_frames(count))
    return Tracker(fake.as_model(), volume, volume.shape, keeping=Keeping(features=budget))


def run(tracker: Tracker, direction: Direction = "both", limits: range | None = None) -> list[FrameResult]:
    return list(tracker.track(tracker.plan(tracker.objects, direction, limits)))


def frames_of(fake: FakeModel) -> list[int]:
    return [row.frame for row in fake.attended]


# ---------------------------------------------------------------------- attends


def test_a_forward_frame_attends_to_the_prompt_and_the_frames_before_it(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 5, click(10, 8))
    run(tracker, "forward")
    assert fake_model.attended_on(8).spatial == (5, 6, 7)
    assert fake_model.attended_on(30).spatial == (5, 24, 25, 26, 27, 28, 29)
    assert fake_model.attended_on(30).pointers == (5, *range(29, 14, -1))


def test_backward_after_forward_attends_to_the_forward_memories(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 10, click(10, 8))
    run(tracker)
    assert fake_model.attended_on(9).spatial == (10, 15, 14, 13, 12, 11)
    assert fake_model.attended_on(7).spatial == (10, 13, 12, 11, 9, 8)
    assert fake_model.attended_on(9).pointers == (10, *range(11, 25))
    assert fake_model.attended_on(0).spatial == (10, *range(6, 0, -1))


def test_one_way_and_then_the_other_attends_as_both_do() -> None:
    attended = []
    ways: tuple[tuple[Direction, ...], ...] = (("both",), ("forward", "backward"))
    for directions in ways:
        fake = FakeModel()
        tracker = tracker_of(fake)
        tracker.declare(1, 10, click(10, 8))
        for direction in directions:
            run(tracker, direction)
        attended.append(fake.attended)
    assert attended[0] == attended[1]


def test_backward_alone_knows_no_forward_memories(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 10, click(10, 8))
    run(tracker, "backward")
    assert fake_model.attended_on(9).spatial == (10,)


def test_a_gap_attends_to_its_ends_alone(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    for frame in (2, 10, 20, 30):
        tracker.declare(1, frame, click(10, 8), revision=frame)
    jobs = [job for job in tracker.plan((1,)) if job.planned.anchors[0].frame == 10]
    list(tracker.track([job for job in jobs if len(job.planned.anchors) == 2]))
    assert sorted(frames_of(fake_model)) == [*range(11, 20)]
    for row in fake_model.attended:
        assert set(row.spatial) <= {10, 20} | set(range(11, 20))
        assert row.spatial[:2] == (10, 20)
    assert fake_model.attended_on(16).spatial == (10, 20, 19, 18, 17)


def test_a_sweep_attends_to_all_prompts(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    for frame in (2, 10, 20):
        tracker.declare(1, frame, click(10, 8), revision=frame)
    run(tracker, "forward")
    assert fake_model.attended_on(3).spatial == (2, 10, 20)
    assert fake_model.attended_on(3).pointers == (2,)
    assert fake_model.attended_on(13).spatial == (2, 10, 20, 7, 8, 9, 11, 12)


def test_memories_of_objects_are_not_mixed_up(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    for obj in (1, 2, 3):
        tracker.declare(obj, 10, click(10, 4 * obj))
    run(tracker)
    codes = {row.codes for row in fake_model.attended}
    assert codes == {(round(4 * obj * 64 / 20, 3),) for obj in (1, 2, 3)}


def test_frames_without_the_object_are_not_attended(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 5, click(10, 8))
    tracker.declare(1, 12, absent())
    tracker.declare(1, 20, click(10, 8))
    list(tracker.track([job for job in tracker.plan((1,)) if job.planned.key.first == 5][:1]))
    list(tracker.track([job for job in tracker.plan((1,)) if job.planned.key.first == 20]))
    assert {row.frame for row in fake_model.attended} >= {*range(6, 12), *range(13, 20)}
    assert all(12 not in row.spatial and 12 not in row.pointers for row in fake_model.attended)


@pytest.mark.parametrize("direction", ["both", "forward"])
def test_image_mode_attends_to_nothing(direction: Direction) -> None:
    fake = FakeModel(memory_frames=0)
    tracker = tracker_of(fake, 12)
    tracker.declare(1, 5, click(10, 8))
    results = run(tracker, direction)
    assert sorted(r.frame for r in results) == list(range(0 if direction == "both" else 5, 12))
    assert all(row.spatial == row.pointers == () for row in fake.attended)


def test_image_mode_of_the_network_tracks_every_frame_by_itself() -> None:
    rng = np.random.default_rng(0)
    volume = Volume(rng.integers(0, 256, (8, 24, 20), dtype=np.uint8))
    tracker = Tracker(seeing_model(memory_frames=0), volume, volume.shape)
    tracker.declare(1, 3, click(10, 8))
    one_way = {r.frame: r.placed[0].logits for r in run(tracker)}
    tracker.declare(1, 3, click(20, 3), revision=1)
    for result in run(tracker):
        same = np.array_equal(result.placed[0].logits, one_way[result.frame])
        assert same == (result.frame != 3)


# ------------------------------------------------------------------------ seeds


def test_seeds_that_are_gone_are_made_again(fake_model: FakeModel) -> None:
    tracker, fresh = tracker_of(fake_model), FakeModel()
    tracker.declare(1, 10, click(10, 8))
    run(tracker)
    other = tracker_of(fresh)
    other.declare(1, 10, click(10, 8))
    list(other.track([job for job in other.plan((1,)) if job.planned.reverse]))
    backward = [row for row in fresh.attended if row.frame < 10]
    assert backward == [row for row in fake_model.attended if row.frame < 10]
    assert max(frames_of(fresh)) == 25


def test_seeds_are_told_to_nobody(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 10, click(10, 8))
    results = list(tracker.track([job for job in tracker.plan((1,)) if job.planned.reverse]))
    assert [result.frame for result in results] == list(range(10, -1, -1))


def replayed(tracker: Tracker, jobs: tuple[Job, ...]) -> list[np.ndarray]:
    return [result.placed[0].logits for result in tracker.track(jobs)]


def test_a_backward_sweep_of_several_objects_can_be_repeated_from_its_plan() -> None:
    """The forward memories it attends to lie beyond the latest prompt of all, not of the object itself."""
    first, second = FakeModel(), FakeModel()
    tracker, again = tracker_of(first), tracker_of(second)
    for each in (tracker, again):
        each.declare(1, 3, click(10, 8))
        each.declare(2, 10, click(3, 15))
    run(tracker, "forward")
    first.attended.clear()
    jobs = tracker.plan((1, 2), "backward")
    assert all(job.planned.seed is not None for job in jobs)
    expected = replayed(tracker, jobs)
    got = replayed(again, jobs)
    assert second.attended[-len(first.attended) :] == first.attended
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one, other)


def attended_backward(tracker: Tracker, fake: FakeModel, jobs: tuple[Job, ...]) -> list[Attended]:
    fake.attended.clear()
    backward = [job for job in jobs if job.planned.reverse]
    count = sum(len(job.planned.frames) for job in backward)
    list(tracker.track(backward))
    return fake.attended[-count:]


def test_forward_memories_kept_for_another_start_are_made_again() -> None:
    first, second = FakeModel(), FakeModel()
    tracker, again = tracker_of(first), tracker_of(second)
    for each in (tracker, again):
        each.declare(1, 3, click(10, 8))
        each.declare(2, 25, click(3, 15))
    run(tracker, "forward")
    jobs = tracker.plan((1,), "backward")
    assert attended_backward(tracker, first, jobs) == attended_backward(again, second, jobs)
    assert first.attended_on(2).spatial == (3, 8, 7, 6, 5, 4)


def test_a_range_attends_to_no_forward_memory_beyond_it() -> None:
    first, second = FakeModel(), FakeModel()
    tracker, again = tracker_of(first), tracker_of(second)
    for each in (tracker, again):
        each.declare(1, 10, click(10, 8))
    run(tracker)
    jobs = tracker.plan((1,), "both", range(13))
    assert attended_backward(tracker, first, jobs) == attended_backward(again, second, jobs)
    assert first.attended_on(9).spatial == (10, 12, 11)


# ---------------------------------------------------------------------- bounded


def test_what_is_kept_does_not_grow_with_the_sequence() -> None:
    sizes = []
    for count in (60, 200):
        fake = FakeModel()
        tracker = tracker_of(fake, count, budget=2000)
        tracker.declare(1, 30, click(10, 8))
        tracker.declare(2, 10, click(10, 8))
        steps = tracker.track(tracker.plan((1, 2)))
        largest = 0
        for _ in steps:
            banks = [track.bank for track in tracker._sweeps._tracks.values()]
            largest = max(largest, *(len(bank.tracked) + len(bank.tracked_pointers) for bank in banks))
            assert len(banks) <= 4
            assert tracker.features.nbytes <= 2000
        sizes.append(largest)
    assert sizes[0] == sizes[1] <= 2 * (6 + 15)


def test_finished_passes_are_let_go_of(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    for frame in range(0, COUNT, 8):
        tracker.declare(1, frame, click(10, 8), revision=frame)
    run(tracker)
    assert len(tracker._sweeps._tracks) <= 2
    for start in range(5, 35, 3):
        run(tracker, "both", range(start, start + 2))
    assert len(tracker._sweeps._tracks) <= 2


def test_ranges_away_from_the_prompt_leave_nothing_behind(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    tracker.declare(1, 0, click(10, 8))
    for start in range(5, 35, 3):
        run(tracker, "both", range(start, start + 2))
    assert tracker._sweeps._tracks == {}


def test_passes_of_earlier_prompts_are_let_go_of(fake_model: FakeModel) -> None:
    tracker = tracker_of(fake_model)
    for revision in range(5):
        tracker.declare(1, 10, click(10, 8), revision=revision)
        run(tracker)
    assert len(tracker._sweeps._tracks) == 1
    tracker.remove(1)
    assert tracker._sweeps._tracks == {}


def test_a_bank_kept_for_one_start_is_not_taken_for_another(fake_model: FakeModel) -> None:
    """A forward sweep keeps memories for the latest prompt of all objects, ``both`` for the object's own."""
    tracker, fresh = tracker_of(fake_model), FakeModel()
    tracker.declare(1, 5, click(10, 8))
    tracker.declare(2, 20, click(10, 15))
    run(tracker, "forward")
    fake_model.attended.clear()
    run(tracker)
    other = tracker_of(fresh)
    other.declare(1, 5, click(10, 8))
    run(other)
    code = fresh.attended[0].codes
    got = {row for row in fake_model.attended if row.codes == code and row.frame < 5}
    assert got == {row for row in fresh.attended if row.frame < 5}


def test_a_sweep_that_was_stopped_is_not_gone_on_with_where_other_memories_are_needed() -> None:
    attended = []
    for swept in (True, False):
        fake = FakeModel()
        tracker = tracker_of(fake)
        tracker.declare(1, 5, click(10, 8))
        tracker.declare(2, 20, click(10, 15))
        if swept:
            run(tracker, "forward", range(5, 31))
        begin = 31 if swept else None
        forward, backward = tracker.plan((1,))
        list(tracker.track([Job(1, forward.planned, begin), backward]))
        attended.append([row for row in fake.attended if row.frame < 5])
    assert attended[0] == attended[1]


def test_memories_are_kept_in_half_precision() -> None:
    volume = Volume(np.random.default_rng(0).integers(0, 256, (6, 24, 20), dtype=np.uint8))
    tracker = Tracker(seeing_model(), volume, volume.shape)
    tracker.declare(1, 2, click(10, 8))
    run(tracker)
    (track,) = tracker._sweeps._tracks.values()
    assert {track.bank.features(f).dtype for f in (*track.bank.tracked, 2)} == {torch.bfloat16}
