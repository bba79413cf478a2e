"""A network that is there already is tuned to labelled stacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam2._model.config import Sam2Config
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.schedule import Stage, default_stages, tuning_stages
from napari_sam2.training.stacks import read_stacks
from napari_sam2.training.steps import stacks_j
from napari_sam2.training.train import new_model, new_state, train

STAGES = (
    Stage(share=1, size=32, frames=1, batch=2, objects=2),
    Stage(share=1, size=32, frames=3, batch=1, objects=2),
)


@pytest.fixture(autouse=True)
def _short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda model: 0.5)


@pytest.fixture
def config(tmp_path: Path, tiny_config: Sam2Config) -> TrainConfig:
    """Four steps on one stack with two objects, from a file."""
    save_model(new_model(tiny_config, 1), tmp_path / "start.safetensors", half=False)
    labels = np.zeros((4, 60, 60), np.uint8)
    labels[:, 5:25, 5:25], labels[:3, 35:55, 30:50] = 1, 2
    (tmp_path / "stacks").mkdir()
    images = (labels > 0) * 150 + np.random.default_rng(0).integers(0, 50, labels.shape)
    np.savez(tmp_path / "stacks" / "mine.npz", images=images.astype(np.uint8), labels=labels)
    return TrainConfig(
        out=tmp_path / "run",
        pretrained=str(tmp_path / "start.safetensors"),
        data=tmp_path / "stacks",
        synthetic=0.0,
        steps=4,
        stages=STAGES,
        log_steps=1,
        bfloat16=False,
    )


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path, device="cpu", precision="float32").state_dict()


def test_it_starts_from_the_weights_and_leaves_others(config: TrainConfig) -> None:
    before = _weights(Path(str(config.pretrained)))
    first = new_state(config).model.state_dict()
    assert all(torch.equal(first[name], before[name]) for name in before)
    result = train(replace(config, rate=1e-2))
    after = _weights(result.weights)
    assert any(not torch.allclose(after[name], before[name], atol=1e-3) for name in before)
    assert 0 <= result.validation["data_j"] <= 1
    assert (config.out / "curve.png").exists()


def test_only_stacks_are_seen_where_nothing_synthetic_is_asked_for(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a synthetic sequence was made")

    monkeypatch.setattr("napari_sam2.training.steps.make_sequences", never)
    assert train(config).steps == 4


def test_only_synthetic_sequences_where_all_are(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr("napari_sam2.training.train.stacks_j", lambda *_, **__: 0.1)
    monkeypatch.setattr("napari_sam2.training.steps.crop_clips", lambda *_: seen.append(1))
    train(replace(config, synthetic=1.0))
    assert not seen


def test_an_interrupted_run_ends_with_the_same_weights(config: TrainConfig) -> None:
    mixed = replace(config, synthetic=0.5)
    whole = replace(mixed, out=config.out.with_name("whole"))
    train(whole)
    train(mixed, stop_after=2)
    train(mixed)
    resumed, expected = _weights(mixed.out / "model.safetensors"), _weights(whole.out / "model.safetensors")
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_another_network_is_another_run(config: TrainConfig, tiny_config: Sam2Config) -> None:
    train(replace(config, steps=1))
    other = config.out.with_name("other.safetensors")
    save_model(new_model(tiny_config, 2), other, half=False)
    with pytest.raises(ValueError, match=r"other settings \(pretrained\)"):
        train(replace(config, pretrained=str(other)))


def test_a_frozen_encoder_stays_as_it_is(config: TrainConfig) -> None:
    before = _weights(Path(str(config.pretrained)))
    after = _weights(train(replace(config, freeze_encoder=True, rate=1e-2)).weights)
    same = {name: torch.allclose(after[name], before[name], atol=1e-3) for name in before}
    assert all(kept for name, kept in same.items() if name.startswith("image_encoder."))
    assert not all(same.values())


def test_what_was_not_said_is_chosen_by_the_start(tmp_path: Path) -> None:
    fresh = TrainConfig(out=tmp_path, steps=1)
    tuned = replace(fresh, pretrained="nano")
    assert (fresh.course, fresh.peak_rate) == (default_stages(), 5e-4)
    assert replace(fresh, start="weights.safetensors").course == default_stages(fresh=False)
    assert (tuned.course, tuned.peak_rate) == (tuning_stages(256), 1e-4)
    assert replace(tuned, rate=0.5, stages=STAGES).peak_rate == 0.5
    assert replace(tuned, stages=STAGES).course == STAGES


@pytest.mark.parametrize("wrong", [{"synthetic": -0.1}, {"synthetic": 1.5}])
def test_a_share_is_a_share(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="share"):
        TrainConfig(out=tmp_path, steps=1, **wrong)


def test_no_stacks_is_an_error(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        train(replace(config, data=tmp_path / "none"))


def test_stacks_j_repeats(config: TrainConfig, tiny_config: Sam2Config) -> None:
    stacks, model = read_stacks(Path(str(config.data))), new_model(tiny_config, 0)
    first = stacks_j(model, stacks, clips=2, frames=2, size=32)
    assert 0 <= first <= 1
    assert first == stacks_j(model, stacks, clips=2, frames=2, size=32)


def test_it_learns_the_stack(config: TrainConfig) -> None:
    train(replace(config, steps=120, rate=5e-3, log_steps=20, stages=STAGES[:1]))
    lines = [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]
    losses = [line["dice"] for line in lines if "dice" in line]
    assert (losses[-2] + losses[-1]) / 2 < 0.85 * losses[0]
