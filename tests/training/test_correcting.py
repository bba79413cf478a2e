"""A network learns what clicks change of an answer, and nothing else of it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from napari_sam2._model.config import Sam2Config
from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.training.clicks import Targets
from napari_sam2.training.clips import Answer, encode_clips
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.correcting import (
    CorrectionRules,
    freeze_but_corrections,
    pointer_drift,
    run_corrections,
)
from napari_sam2.training.draws import Draws
from napari_sam2.training.losses import LossWeights, frame_loss
from napari_sam2.training.schedule import correcting_stages
from napari_sam2.training.state import averaged_copy, initialise
from napari_sam2.training.train import new_model, new_state, train

ALONE = CorrectionRules(boxed=0.0, looked_again=0.0, more=0.0, other=0.0, innermost=1.0)


@pytest.fixture
def model(tiny_config: Sam2Config) -> Sam2:
    model = Sam2(tiny_config)
    initialise(model, 0)
    return model.train()


@pytest.fixture
def targets() -> Targets:
    truth = torch.zeros(2, 4, 64, 64, dtype=torch.bool)
    truth[0, :, 10:30, 10:30] = True
    truth[1, :, 30:50, 20:60] = True
    return Targets(torch.tensor([0, 0]), truth, torch.tensor([True, True]))


@pytest.fixture
def encoded(model: Sam2) -> ImageFeatures:
    images = torch.rand(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        return encode_clips(model, images)


@pytest.fixture
def config(tmp_path: Path, tiny_config: Sam2Config) -> TrainConfig:
    """Three steps of corrections, of weights in a file."""
    save_model(new_model(tiny_config, 1), tmp_path / "start.safetensors", half=False)
    stage = replace(correcting_stages(64)[0], batch=1, objects=2, frames=3, corrections=1)
    return TrainConfig(
        out=tmp_path / "run",
        pretrained=str(tmp_path / "start.safetensors"),
        corrections=True,
        steps=3,
        stages=(stage,),
        bfloat16=False,
        rate=1e-2,
    )


@pytest.fixture(autouse=True)
def _short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda model: 0.5)


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _run(
    model: Sam2, encoded: ImageFeatures, targets: Targets, rules: CorrectionRules = ALONE, rounds: int = 1
) -> tuple[Answer, ...]:
    return run_corrections(model, encoded, targets, _draws(), rounds=rounds, rules=rules)


# ------------------------------------------------------------------- what stays


def _asked(
    model: Sam2, encoded: ImageFeatures, points: Points | None, mask: Tensor | None, *, single: bool = False
) -> Prediction:
    seen = encoded.select(slice(0, 1))
    with torch.no_grad():
        memory = model.encode_memory(seen, torch.ones(1, 1, 64, 64), torch.ones(1, 1), binarize=True)
        pointer = torch.ones(1, model.config.model_dim)
        recall = Recall((memory,), (model.config.memory_rows - 1,), (pointer,), ((1,),), 1)
        embedding = model.recall(seen, None if single else recall)
        return model.predict(
            embedding, seen.high_res, points=points, mask_logits=mask, multimask=model.is_ambiguous(points)
        )


def _points(count: int) -> Points:
    coords = torch.tensor([[[20.0, 20.0], [40.0, 30.0], [8.0, 50.0]]])[:, :count]
    return Points(coords, torch.tensor([[1, 0, 1]], dtype=torch.int32)[:, :count])


def test_first_clicks_and_tracking_stay_as_they_are_and_corrections_do_not(
    config: TrainConfig, encoded: ImageFeatures
) -> None:
    before = load_model(Path(str(config.pretrained)), device="cpu", precision="float32")
    after = load_model(train(config).weights, device="cpu", precision="float32")
    # Weights are stored in half precision.
    before.load_state_dict({name: value.half().float() for name, value in before.state_dict().items()})
    with torch.no_grad():
        for points, single in ((_points(1), True), (None, False)):
            old, new = (_asked(each, encoded, points, None, single=single) for each in (before, after))
            assert torch.equal(old.raw_masks, new.raw_masks)
            assert torch.equal(old.pointer, new.pointer)
            assert torch.equal(old.object_logits, new.object_logits)
        mask = torch.linspace(-8, 8, 256).view(1, 1, 16, 16)
        for count in (1, 2):
            old, new = (_asked(each, encoded, _points(count), mask) for each in (before, after))
            assert not torch.equal(old.raw_masks, new.raw_masks)


def test_only_what_reads_a_mask_and_draws_the_single_one_is_learned(model: Sam2) -> None:
    freeze_but_corrections(model)
    learned = {
        name.rpartition(".layers")[0] or name for name, p in model.named_parameters() if p.requires_grad
    }
    assert all("mask_downscaling" in name or "hypernetworks_mlps.0" in name for name in learned)
    assert any("mask_downscaling" in name for name in learned)
    assert any("hypernetworks_mlps.0" in name for name in learned)


def test_a_run_that_goes_on_ends_with_the_same_weights(config: TrainConfig) -> None:
    whole = train(replace(config, out=config.out.with_name("whole"))).weights
    train(config, stop_after=1)
    resumed = load_model(train(config).weights, device="cpu").state_dict()
    assert all(torch.equal(v, resumed[k]) for k, v in load_model(whole, device="cpu").state_dict().items())


def test_the_network_before_is_that_of_the_start(config: TrainConfig) -> None:
    state = new_state(config)
    assert state.before is not None
    assert not any(p.requires_grad for p in state.before.parameters())
    assert new_state(replace(config, corrections=False)).before is None


def test_random_weights_have_nothing_to_correct(config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="weights that are there"):
        train(replace(config, pretrained=None))


def test_a_run_of_all_else_does_not_go_on_as_one_of_corrections(config: TrainConfig) -> None:
    train(config)
    with pytest.raises(ValueError, match="corrections"):
        train(replace(config, corrections=False))


# --------------------------------------------------------------- what is learned


def test_the_first_frame_and_those_from_the_third_on_are_corrected(
    model: Sam2, encoded: ImageFeatures, targets: Targets
) -> None:
    answers = _run(model, encoded, targets)
    assert [(a.frame, a.trained) for a in answers] == [(0, False), (0, True), (2, True), (3, True)]
    assert [a.prediction.ious.shape[1] for a in answers] == [3, 1, 1, 1]


def test_boxes_are_learned_as_they_are_answered_by_the_single_mask(
    model: Sam2, encoded: ImageFeatures, targets: Targets
) -> None:
    first = _run(model, encoded, targets, replace(ALONE, boxed=1.0))[0]
    assert first.trained
    assert first.prediction.ious.shape[1] == 1


def test_rounds_and_further_clicks_add_answers(model: Sam2, encoded: ImageFeatures, targets: Targets) -> None:
    assert len(_run(model, encoded, targets, rounds=3)) == 3 * 4
    assert len(_run(model, encoded, targets, replace(ALONE, more=1.0, most=2))) == 1 + 3 * 3


def test_gradients_reach_what_is_learned_from_every_correction(
    model: Sam2, encoded: ImageFeatures, targets: Targets
) -> None:
    freeze_but_corrections(model)
    for answer in _run(model, encoded, targets, replace(ALONE, looked_again=1.0))[1:]:
        model.zero_grad()
        answer.prediction.raw_masks.sum().backward(retain_graph=True)
        assert all(p.grad is not None for p in model.sam_prompt_encoder.mask_downscaling.parameters())


def test_a_second_look_is_corrected_by_the_click_and_those_that_follow(
    model: Sam2, encoded: ImageFeatures, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    predict = Sam2.predict

    def noted(self: Sam2, embedding: Tensor, *args: object, **told: object) -> Prediction:
        points = told["points"]
        seen.append((points.count if isinstance(points, Points) else 0, told["mask_logits"] is not None))
        return predict(self, embedding, *args, **told)  # type: ignore[arg-type]

    monkeypatch.setattr(Sam2, "predict", noted)
    one = Targets(targets.owner, targets.truth[:, :1], targets.valid)
    first = ImageFeatures(encoded.embedding[:1], tuple(each[:1] for each in encoded.high_res))
    _run(model, first, one, replace(ALONE, looked_again=1.0))
    assert seen == [(1, False), (0, False), (2, True)]


def test_corrections_get_better(model: Sam2, encoded: ImageFeatures, targets: Targets) -> None:
    freeze_but_corrections(model)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(40):
        answers = [a for a in _run(model, encoded, targets) if a.trained]
        loss = torch.stack([_loss(answer, targets) for answer in answers]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def _loss(answer: Answer, targets: Targets) -> Tensor:
    weights = LossWeights()
    truth = targets.truth[:, answer.frame]
    return frame_loss(answer.prediction, truth, targets.valid, weights=weights).total(weights)


# ------------------------------------------------------------------ mask prompts


def test_pointers_of_mask_prompts_are_held_where_they_were(
    model: Sam2, encoded: ImageFeatures, targets: Targets
) -> None:
    with torch.no_grad():
        # Present: the pointer of an absent object says nothing.
        list(model.sam_mask_decoder.pred_obj_score_head.parameters())[-1].fill_(10)
    before = averaged_copy(model)
    assert float(pointer_drift(model, before, encoded, targets).detach()) == 0
    freeze_but_corrections(model)
    last = list(model.sam_prompt_encoder.mask_downscaling.parameters())[-1]
    with torch.no_grad():
        last.add_(1.0)
    drift = pointer_drift(model, before, encoded, targets)
    assert float(drift.detach()) > 0
    drift.backward()
    assert last.grad is not None


# ------------------------------------------------------------------------ stages


@pytest.mark.parametrize("size", [64, 128, 256])
def test_scenes_are_half_as_large_again_as_the_windows(size: int) -> None:
    (stage,) = correcting_stages(size)
    assert stage.window == size
    assert stage.size == size * 3 // 2
    assert stage.corrections > 0


@pytest.mark.parametrize(("pretrained", "size"), [("nano", 128), ("mine.pt", 128), ("sam2.1-tiny", 256)])
def test_windows_are_those_that_the_tracker_shows_a_network(
    pretrained: str, size: int, tmp_path: Path
) -> None:
    config = TrainConfig(out=tmp_path, pretrained=pretrained, corrections=True, minutes=1)
    assert [stage.window for stage in config.course] == [size]
    assert config.peak_rate == 1e-3
