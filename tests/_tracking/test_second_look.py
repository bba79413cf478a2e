"""A click is answered by what is seen of the object once the first answer to it is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall
from napari_sam2._tracking import second_look
from napari_sam2._tracking.aiming import Aim
from napari_sam2._tracking.second_look import look_again
from napari_sam2._tracking.stepping import encode_prompted
from napari_sam2.features import FeatureCache
from napari_sam2.prompts import FramePrompts
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests._model.small import click, features, small_model
from tests.seeing import SeeingFake, phantom


class Doubter(SeeingFake):
    """Sees a shifted, a smaller or another object when it looks again; counts its looks."""

    def __init__(self, roll: int = 0, shrink: float = 0.0) -> None:
        super().__init__()
        self.roll, self.shrink = roll, shrink
        self.corrected: list[Tensor] = []

    def predict(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        *,
        points: Points | None,
        mask_logits: Tensor | None,
        multimask: bool,
        candidate: int | None = None,
    ) -> Prediction:
        found = super().predict(
            embedding,
            high_res,
            points=points,
            mask_logits=mask_logits,
            multimask=multimask,
            candidate=candidate,
        )
        if mask_logits is not None:
            self.corrected.append(mask_logits)
        if points is not None:
            return found
        masks = found.masks.roll(self.roll, 2) - self.shrink
        return replace(found, masks=masks, raw_masks=masks, ious=torch.full_like(found.ious, 0.77))


def seen_by(fake: SeeingFake) -> ImageFeatures:
    seen = phantom((64, 64), [(30, 34)], [14])
    grey = torch.from_numpy(seen.frames).float()[:, None] / 255
    return fake.encode_image((grey.expand(-1, 3, -1, -1) - 0.45) / 0.225)


def first_answer(fake: SeeingFake, seen: ImageFeatures, candidate: int | None = None) -> Prediction:
    return SeeingFake.predict(
        fake,
        seen.embedding,
        seen.high_res,
        points=None,
        mask_logits=None,
        multimask=True,
        candidate=candidate,
    )


def test_the_chosen_candidate_is_the_one_seen_the_second_time() -> None:
    fake = Doubter(shrink=2.0)
    seen = seen_by(fake)
    first = first_answer(fake, seen, candidate=1)
    again = look_again(fake.as_model(), seen, first)
    assert again is not None
    assert again.prediction.best.tolist() == [1]
    assert again.prediction.ious.tolist() == [[pytest.approx(v) for v in (0.9, 0.77, 0.2)]]
    assert torch.equal(again.prediction.masks[:, [0, 2]], first.masks[:, [0, 2]])
    assert not torch.equal(again.prediction.masks[:, 1], first.masks[:, 1])
    assert torch.equal(again.prediction.raw_masks, again.prediction.masks)


def test_something_else_is_not_taken() -> None:
    fake = Doubter(roll=8)
    seen = seen_by(fake)
    first = first_answer(fake, seen)
    assert look_again(fake.as_model(), seen, first) is None


def test_what_is_absent_is_not_looked_for() -> None:
    fake = Doubter()
    seen = seen_by(fake)
    first = first_answer(fake, seen)
    assert look_again(fake.as_model(), seen, replace(first, object_logits=-first.object_logits)) is None
    fake.config = replace(fake.config, memory_frames=0)
    assert look_again(fake.as_model(), seen, first) is None


def test_it_is_what_tracking_onto_a_copy_of_the_frame_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "_SAME", 0.0)
    model = small_model()
    seen = features(model)
    points = click((20.0, 20.0))
    with torch.inference_mode():
        first = model.predict(
            model.recall(seen, None), seen.high_res, points=points, mask_logits=None, multimask=True
        )
        first = replace(first, object_logits=torch.ones(1, 1))
        remembered = encode_prompted(model, seen, first)
        recall = Recall((remembered,), (model.config.memory_rows - 1,), (first.pointer,), ((1,),), 1)
        tracked = model.step(seen, recall)
        again, embedding = look_again(model, seen, first), model.recall(seen, recall)
    assert again is not None
    assert torch.equal(again.embedding, embedding)
    assert torch.equal(again.prediction.low_res, tracked.low_res)
    assert torch.equal(again.prediction.pointer, tracked.pointer)


class Bench:
    """A disc in a field, and what aims at it."""

    def __init__(self, fake: SeeingFake) -> None:
        seen = phantom((160, 200), [(70, 90)], [10])
        self.windows = Windows(
            WindowRules("window", factor=3, smallest=24), (160, 200), fake.config.image_size
        )
        features = FeatureCache(fake.as_model(), Volume(seen.frames), windows=self.windows)
        self.aim = Aim(fake.as_model(), features, self.windows)

    def iou(self, prompts: FramePrompts) -> float:
        return float(self.aim.answer(0, prompts, None).prediction.iou)


def clicks(*places: tuple[float, float], positive: tuple[bool, ...] | None = None) -> FramePrompts:
    return FramePrompts(points=places, positive=positive or (True,) * len(places))


def test_a_click_is_answered_by_the_second_look() -> None:
    assert Bench(Doubter(shrink=1.0)).iou(clicks((70, 90))) == pytest.approx(0.77)


def test_a_second_look_that_denies_the_click_is_not_taken() -> None:
    """The click is at the rim; what is seen then is smaller."""
    fake = Doubter(shrink=5.0)
    rim = Bench(fake).iou(clicks((70, 99.4)))
    middle = Bench(Doubter(shrink=5.0)).iou(clicks((70, 90)))
    assert rim == pytest.approx(0.9)
    assert middle == pytest.approx(0.77)


def test_a_second_click_corrects_what_was_seen_the_second_time() -> None:
    fake = Doubter(shrink=1.0)
    Bench(fake).aim.answer(0, clicks((70, 90), (75, 92)), None)
    plain = SeeingFake()
    answer = Bench(plain).aim.answer(0, clicks((70, 90)), None)
    # The hint is the smaller mask, not the first answer.
    assert float(fake.corrected[-1].max()) == pytest.approx(
        float(answer.prediction.low_res.max()) - 1.0, abs=1e-3
    )


def test_the_whole_frame_is_looked_at_once() -> None:
    fake = Doubter(shrink=1.0)
    windows = Windows(WindowRules("frame"), (160, 200), fake.config.image_size)
    seen = phantom((160, 200), [(70, 90)], [30])
    aim = Aim(fake.as_model(), FeatureCache(fake.as_model(), Volume(seen.frames), windows=windows), windows)
    answer = aim.answer(0, clicks((70, 90)), None)
    assert float(answer.prediction.iou) == pytest.approx(0.9)
