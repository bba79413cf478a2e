"""The tracker gives the released video predictor's numbers, frame after frame, on seeded weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2._model.pixels import normalise
from napari_sam2._tracking import stepping
from napari_sam2._tracking.state import Track
from napari_sam2.features import resize_frame
from napari_sam2.prompts import FramePrompts
from napari_sam2.tracker import Tracker
from tests._model.golden import CASES, SIZE, Case, Golden, needs_shared

if TYPE_CHECKING:
    from napari_sam2._tracking.stepping import Outcome
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction

pytestmark = needs_shared
CLICKS = 1e-3
MEMORY = 5e-3
OBJECTS = (1, 2, 3)
# Random weights make tiny differences grow: only the first two tracked frames are compared value by value.
CLOSE_FRAMES = ("fwd.f1", "fwd.f2", "fwd.f3", "rev.f1")


@dataclass
class VideoFrames:
    frames: np.ndarray

    def frame(self, index: int) -> np.ndarray:
        frame: np.ndarray = self.frames[index]
        return frame


@dataclass
class Recording:
    """What the tracker gave, under the keys of the recorded outputs."""

    prompts: dict[str, FrameResult] = field(default_factory=dict)
    results: dict[str, FrameResult] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)


def record(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> Recording:
    video = golden.recipe.video()
    recording = Recording()
    stage = ["fwd"]
    real = Track.remember

    def listening(track: Track, frame: int, outcome: Outcome) -> None:
        recording.outcomes[f"{stage[0]}.f{frame}", track.obj] = outcome
        real(track, frame, outcome)

    monkeypatch.setattr(Track, "remember", listening)
    follower = Tracker(golden.model(), VideoFrames(video), video.shape[:3], group_size=3)
    give_prompts(follower, recording)
    directions: tuple[tuple[str, Direction], ...] = (("fwd", "forward"), ("rev", "backward"))
    for name, direction in directions:
        stage[0] = name
        for result in follower.track(follower.plan(OBJECTS, direction)):
            recording.results[f"{name}.f{result.frame}"] = result
    for obj in OBJECTS:
        prediction = follower._confirmed.answer(obj, 1).prediction
        memory = follower._confirmed.memory(obj, 1)
        for name in ("fwd.f1", "rev.f1"):
            recording.outcomes[name, obj] = stepping.Outcome(prediction, memory)
    return recording


def give_prompts(follower: Tracker, recording: Recording) -> None:
    mask = np.zeros((96, 128), bool)
    mask[30:50, 15:45] = True
    one = FramePrompts(points=((42, 35),), positive=(True,))
    two = FramePrompts(points=((42, 35), (20, 90)), positive=(True, False))
    recording.prompts["e2e.click1"] = follower.prompt(1, 1, one)
    recording.prompts["e2e.click2"] = follower.prompt(1, 1, two)
    recording.prompts["e2e.box"] = follower.prompt(2, 1, FramePrompts(box=(40, 80, 75, 102)))
    recording.prompts["e2e.mask"] = follower.prompt(3, 1, FramePrompts(mask=mask))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.config)
def golden(request: pytest.FixtureRequest) -> Golden:
    case: Case = request.param
    return Golden(case)


@pytest.fixture(scope="module")
def recording(golden: Golden) -> Recording:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return record(golden, monkeypatch)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return 1.0 if union == 0 else float((a & b).sum() / union)


def test_frames_are_prepared_alike(golden: Golden) -> None:
    pixels = resize_frame(golden.recipe.video()[0], SIZE)
    assert golden.difference("e2e.image0", normalise(torch.from_numpy(pixels)[None])[0]) < 1e-6


def test_prompts(golden: Golden, recording: Recording) -> None:
    """Each recorded answer holds all objects so far; the newest is the one that the prompt changed."""
    for key, result in recording.prompts.items():
        wanted = golden.arrays[key][-1]
        assert np.abs(result.logits - wanted).max() / np.abs(wanted).max() < CLICKS, key


def test_close_frames(golden: Golden, recording: Recording) -> None:
    for name in CLOSE_FRAMES:
        result = recording.results[name]
        assert golden.difference(f"e2e.{name}.video_masks", result.logits[:, None]) < CLICKS, name
        for index, obj in enumerate(OBJECTS):
            outcome = recording.outcomes[name, obj]
            key = f"e2e.{name}.o{index}"
            assert golden.difference(f"{key}.pred_masks", outcome.prediction.low_res) < CLICKS
            assert golden.difference(f"{key}.obj_ptr", outcome.prediction.pointer) < CLICKS
            assert golden.difference(f"{key}.object_score_logits", outcome.prediction.object_logits) < CLICKS
            assert outcome.memory is not None
            assert golden.difference(f"{key}.maskmem_features", outcome.memory.float()) < MEMORY


@pytest.mark.parametrize("name", ["fwd.f4", "rev.f0"])
def test_later_frames(golden: Golden, recording: Recording, name: str) -> None:
    masks = recording.results[name].masks
    wanted = golden.arrays[f"e2e.{name}.video_masks"][:, 0] > 0
    for index, obj in enumerate(OBJECTS):
        assert overlap(masks[index], wanted[index]) >= 0.99
        outcome = recording.outcomes[name, obj]
        arrays = {
            "pred_masks": outcome.prediction.low_res,
            "obj_ptr": outcome.prediction.pointer,
            "object_score_logits": outcome.prediction.object_logits,
            "maskmem_features": outcome.memory,
        }
        for field_name, value in arrays.items():
            assert value is not None
            assert torch.isfinite(value).all()
            assert value.shape == tuple(golden.arrays[f"e2e.{name}.o{index}.{field_name}|shape"])


def test_every_recorded_frame_is_covered(golden: Golden, recording: Recording) -> None:
    frames = {key.split(".o")[0].removesuffix(".video_masks") for key in golden.keys if ".f" in key}
    assert frames == {f"e2e.{name}" for name in recording.results}
    prompts = {key for key in golden.keys if key.startswith("e2e.")} - {k for k in golden.keys if ".f" in k}
    assert prompts == {*recording.prompts, "e2e.image0"}
