"""Objects among look-alikes: motion keeps the right one, poor memories are passed over, anchors stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2._model.results import ImageFeatures, Prediction, Recall
from napari_sam2._tracking.confirmed import ConfirmedFrames
from napari_sam2._tracking.judging import Judge
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.motion import Motion
from napari_sam2._tracking.odd_frames import OddFrames
from napari_sam2._tracking.sighting import Answer
from napari_sam2._tracking.state import Track
from napari_sam2._tracking.stepping import Bank
from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.resumable import ResumableSession
from napari_sam2.memory import MemoryRules
from napari_sam2.passes import Anchor, Direction, Pass
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts
from napari_sam2.selection import Merit, SelectionRules
from napari_sam2.session import Session
from napari_sam2.window import View, WindowRules, Windows
from tests.fakes import FakeModel, click, noisy_frames, plain_frames, seeing_model
from tests.twins import TwinFake, passing

COUNT = 40
REAL = seeing_model()
IMAGES = noisy_frames(24)
# Half of the frames of random weights fail these, so that much is passed over.
STRICT = SelectionRules(
    quality=True,
    motion=0.4,
    anchors=2,
    blinks=True,
    least_iou=0.8,
    anchor_iou=0.8,
    anchor_alone=1.0,
    reach=9,
)


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))


# ------------------------------------------------------------------ look-alikes


def twins(memory: str | SelectionRules, direction: Direction, view: View) -> Session:
    """Track the first of two discs that pass each other; backward in a movie that runs backward."""
    seen, _ = passing()
    turn = -1 if direction == "backward" else 1
    session = Session(seen.frames[::turn], model=TwinFake().as_model(), view=view, memory=memory)
    session.set_prompts(1, 9 if turn < 0 else 0, FramePrompts(mask=seen.truth[0]))
    list(session.propagate(direction=direction))
    return session


@pytest.mark.parametrize("view", ["frame", "window"])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_motion_keeps_to_the_object_where_one_like_it_passes(direction: Direction, view: View) -> None:
    seen, other = passing()
    turn = -1 if direction == "backward" else 1
    end = 0 if turn < 0 else 9
    plain, moving = (twins(memory, direction, view) for memory in ("plain", "motion"))
    assert overlap(plain.mask(1, end), other[9]) > 0.9
    assert overlap(moving.mask(1, end), seen.truth[9]) > 0.9
    assert sum(overlap(moving.mask(1, f), truth) > 0.9 for f, truth in enumerate(seen.truth[::turn])) >= 9


@pytest.mark.parametrize(("weight", "chosen"), [(0.1, 0), (0.9, 1)])
def test_the_weight_of_motion_decides_between_it_and_the_score(weight: float, chosen: int) -> None:
    side = Box(0, 0, 32, 32)
    judge = Judge(
        TwinFake().as_model(),
        Windows(WindowRules(), side.shape, 64),
        cast("ConfirmedFrames", None),  # not asked here
        SelectionRules(motion=weight),
        cast("OddFrames", None),
    )
    masks = torch.full((1, 2, 32, 32), -5.0)
    masks[0, 0, 2:8, 2:8] = masks[0, 1, 20:28, 20:28] = 5.0
    one = torch.ones(1, 1)
    answer = Answer(
        Prediction(masks, masks, torch.tensor([[0.9, 0.7]]), torch.tensor([0]), one, torch.zeros(1, 2)), side
    )
    expected = Motion.at(Box(20, 20, 28, 28))
    assert judge.choose(answer, expected).prediction.best.tolist() == [chosen]
    assert judge.choose(answer, None) is answer
    assert judge.choose(answer, expected.forecast()) is answer  # seen once: it may be anywhere by now


class AllOdd:
    """Takes every frame that it is asked about for a bad one, and notes which it was."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def is_odd(self, frame: int, before: int, _window: Box) -> bool:
        self.asked.append((frame, before))
        return True


@pytest.mark.parametrize("reverse", [False, True])
def test_a_frame_is_a_blink_only_where_the_object_was_seen_before(reverse: bool) -> None:
    side, odd, rules = Box(0, 0, 32, 32), AllOdd(), SelectionRules(blinks=True)
    windows = Windows(WindowRules(), side.shape, 64)
    judge = Judge(
        TwinFake().as_model(), windows, cast("ConfirmedFrames", None), rules, cast("OddFrames", odd)
    )
    nothing, one = torch.full((1, 1, 32, 32), -1024.0), -torch.ones(1, 1)
    answer = Answer(
        Prediction(nothing, nothing, torch.ones(1, 1), torch.tensor([0]), one, torch.zeros(1, 2)), side
    )
    step, first = (-1, 8) if reverse else (1, 0)
    bank: Bank = MemoryBank(MemoryRules(selection=rules), 9)
    # A sweep sets out from the end of the sequence; its prompt lies ahead.
    bank.add_conditioning(4, torch.zeros(1), torch.zeros(1))
    track = Track(1, Pass(first, 8 - first, reverse, (Anchor(4, 1),)), bank, side)
    assert judge.judge(track, first, answer, None) == Merit().unseen(blink=False)
    assert odd.asked == [], "there is no frame before it"
    for distance in (1, 2):
        frame = 4 + distance * step
        merit = judge.judge(track, frame, answer, None)
        assert merit == Merit().unseen(blink=True)
        bank.add_tracked(frame, torch.zeros(1), torch.zeros(1), merit)
    assert odd.asked == [(4 + step, 4), (4 + 2 * step, 4)], "a bad frame is compared with none"
    bank.add_tracked(4 + 2 * step, torch.zeros(1), torch.zeros(1), Merit().unseen(blink=False))
    assert judge.judge(track, 4 + 3 * step, answer, None) == Merit().unseen(blink=False)
    assert len(odd.asked) == 2, "the object was gone before"


def test_a_confirmed_frame_on_the_way_tells_of_the_motion() -> None:
    seen, other = passing()
    session = Session(seen.frames, model=TwinFake().as_model(), view="frame", memory="motion")
    session.set_prompts(1, 0, FramePrompts(mask=seen.truth[0]))
    session.set_prompts(1, 1, FramePrompts(mask=other[1]))  # the user goes over to the other one
    session.set_prompts(1, 2, FramePrompts(mask=other[2]))
    list(session.propagate(direction="forward"))
    assert overlap(session.mask(1, 9), other[9]) > 0.9


# -------------------------------------------------------------- fake of scores


class ScoredFake(FakeModel):
    """Scores some frames poorly; on some, an alternative mask holds much beside the object."""

    def __init__(self, poor: set[int], doubtful: set[int]) -> None:
        super().__init__()
        self.poor, self.doubtful = poor, doubtful
        self.rows: dict[int, tuple[int, ...]] = {}

    def step(self, features: ImageFeatures, memories: Recall) -> Prediction:
        found = super().step(features, memories)
        frame = int(features.embedding.mean().round())
        self.rows[frame] = memories.rows
        masks = found.masks[:, 1:2].expand(-1, 3, -1, -1).clone()
        if frame in self.doubtful:
            masks[:, 0] = 5.0
        share = 0.2 if frame in self.poor else 0.9
        return replace(found, masks=masks, ious=torch.tensor([[0.1, share, 0.1]]).expand(len(masks), -1))

    def choose(
        self, prediction: Prediction, best: Tensor | None = None, *, present: bool = False
    ) -> Prediction:
        raise AssertionError("nothing is chosen where motion does not count")


def scored(memory: str | SelectionRules, poor: set[int], doubtful: set[int]) -> ScoredFake:
    fake = ScoredFake(poor, doubtful)
    session = Session(plain_frames(COUNT), model=fake.as_model(), view="frame", memory=memory)
    session.set_prompts(1, 5, click(10, 8))
    list(session.propagate())
    return fake


def test_frames_that_score_poorly_are_looked_at_by_the_next_one_only() -> None:
    fake = scored("quality", {20, 21, 23}, set())
    assert fake.attended_on(24).spatial == (5, 16, 17, 18, 19, 22, 23)
    assert fake.attended_on(25).spatial == (5, 16, 17, 18, 19, 22, 24)
    assert fake.attended_on(24).pointers == (5, *range(23, 8, -1))
    plain = scored("plain", {20, 21, 23}, set())
    assert plain.attended_on(24).spatial == (5, *range(18, 24))


def test_frames_where_alternatives_disagree_stay_as_anchors() -> None:
    fake = scored("anchors", {15}, {9, 11, 15, 16})
    # 11 comes too soon after 9, 15 scores poorly
    assert fake.attended_on(35).spatial == (5, 9, 16, 31, 32, 33, 34)
    assert fake.rows[35] == (6, 6, 6, 3, 2, 1, 0)
    assert fake.attended_on(12).spatial == (5, 9, 7, 8, 10, 11)


def test_backward_looks_at_the_anchors_of_the_way_forward_within_its_reach() -> None:
    fake = scored("anchors", set(), {9, 30})
    assert fake.attended_on(2).spatial == (5, 9, 7, 6, 4, 3)


def test_all_together_keep_to_the_number_of_memories() -> None:
    fake = scored(SelectionRules.parse("quality,anchors"), {20, 21, 23}, {9, 14, 19, 25})
    assert max(len(row.spatial) for row in fake.attended) == 7
    assert fake.attended_on(24).spatial == (5, 14, 19, 17, 18, 22, 23)


# --------------------------------------------------------------- exact as ever


def noisy(memory: str | SelectionRules = "plain", **options: object) -> Session:
    session = Session(IMAGES, model=REAL, memory=memory, **options)  # type: ignore[arg-type]
    session.set_prompts(1, 12, click(10, 8))
    session.set_prompts(2, 3, click(20, 15))
    return session


def logits_of(session: Session) -> Mapping[tuple[int, int], NDArray[np.float32]]:
    found = {}
    for obj in session.objects:
        for frame in range(len(IMAGES)):
            entry = session.entry(obj, frame)
            if entry is not None and entry.logits is not None:
                found[obj, frame] = entry.logits.logits
    return found


def assert_same(one: Session, other: Session) -> None:
    first, second = logits_of(one), logits_of(other)
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key])
    np.testing.assert_array_equal(one.labels, other.labels)


def test_where_everything_is_worthy_the_answers_are_the_plain_ones() -> None:
    lenient = SelectionRules(quality=True, least_iou=0, least_presence=0, reach=24)
    plain, chosen = noisy(), noisy(lenient)
    for session in (plain, chosen):
        list(session.propagate())
    assert_same(plain, chosen)


def test_strict_rules_make_a_difference_and_make_it_again() -> None:
    plain, once, again = noisy(), noisy(STRICT), noisy(STRICT)
    for session in (plain, once, again):
        list(session.propagate())
    assert any(not np.array_equal(a, b) for a, b in zip(plain.labels, once.labels, strict=True))
    assert_same(once, again)


def test_a_pass_that_is_left_and_taken_up_again_gives_the_same() -> None:
    whole, parts = noisy(STRICT), noisy(STRICT)
    list(whole.propagate())
    for limits in (range(6, 15), range(24), None):
        for _, _result in zip(range(5), parts.propagate(limits), strict=False):
            pass
    list(parts.propagate())
    late = noisy(STRICT)
    list(late.propagate())
    late.set_prompts(2, 20, click(5, 5))
    list(late.propagate())
    late.undo()
    late.undo()
    assert_same(whole, late)
    np.testing.assert_array_equal(whole.mask(1, 13), parts.mask(1, 13))


def test_a_saved_session_tracks_again_to_the_same_bits(tmp_path: Path) -> None:
    session = noisy(STRICT)
    list(session.propagate())
    session.set_prompts(1, 17, click(3, 3))
    list(session.propagate())
    session.save(tmp_path / "s.sam2.json")
    again = Session.load(tmp_path / "s.sam2.json", IMAGES, REAL, recompute=True)
    assert again._tracker.rules.selection == STRICT
    assert_same(session, again)


def test_a_session_of_before_there_were_rules_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "s.sam2.json"
    noisy(STRICT).save(path)
    text = path.read_text()
    path.write_text(text.replace('"memory"', '"another"'))
    assert Session.load(path, IMAGES, REAL)._tracker.rules.selection.is_plain


def test_a_run_that_was_killed_goes_on_with_motion_and_merits(tmp_path: Path) -> None:
    def opened() -> ResumableSession:
        session = ResumableSession(IMAGES, model=REAL, memory=STRICT)
        session.set_prompts(1, 12, click(10, 8))
        session.set_prompts(2, 3, click(20, 15))
        return session

    whole, first, second = opened(), opened(), opened()
    list(whole.go_on(None, "both"))
    kept = Checkpoint(tmp_path, {"model": "same"}, 0)
    for count, result in enumerate(first.go_on(None, "both")):
        kept.note(first, result)
        if count == 14:
            break
    assert any(track.motion is not None for track in first.held_passes())
    assert Checkpoint(tmp_path, {"model": "same"}, 0).resume(second) > 0
    rest = list(second.go_on(None, "both"))
    assert len(rest) < 24
    assert_same(whole, second)
