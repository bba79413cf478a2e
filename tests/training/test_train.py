from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_sam2._model.config import Sam2Config
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.optimizer import make_optimizer
from napari_sam2.training.schedule import Stage
from napari_sam2.training.state import TrainState, averaged_copy, initialise
from napari_sam2.training.steps import synthetic_j
from napari_sam2.training.synthetic import SyntheticBatch
from napari_sam2.training.train import new_heads, new_model, new_state, train

STAGES = (
    Stage(share=1, size=64, frames=1, batch=2, objects=2, diameter=(0.3, 0.5), scenery=6, dense=0.5),
    Stage(share=0.5, size=64, frames=3, batch=1, objects=2, diameter=(0.3, 0.5), scenery=6),
    Stage(share=0.5, size=64, frames=2, batch=1, objects=2, diameter=(0.3, 0.5), scenery=6, window=64),
)


@pytest.fixture
def config(tmp_path: Path, tiny_config: Sam2Config) -> TrainConfig:
    """Four steps of a network that starts from a file."""
    start = tmp_path / "start.safetensors"
    save_model(new_model(tiny_config, 1), start, half=False)
    return TrainConfig(
        out=tmp_path / "run", start=str(start), steps=4, stages=STAGES, log_steps=1, bfloat16=False, rate=1e-3
    )


@pytest.fixture(autouse=True)
def _short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda model: 0.5)


def _lines(config: TrainConfig) -> list[dict[str, object]]:
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path, device="cpu", precision="float32").state_dict()


def test_a_run_leaves_weights_state_and_log(config: TrainConfig) -> None:
    seen: list[Sam2] = []

    def validate(model: Sam2) -> dict[str, float]:
        seen.append(model)
        return {"mine": 0.25}

    result = train(config, validate=validate)
    assert result.steps == 4
    assert result.validation == {"synthetic_j": 0.5, "mine": 0.25}
    assert len(seen) == 1
    assert load_model(result.weights, device="cpu").config.name == "tiny-test"
    lines = _lines(config)
    assert [line["stage"] for line in lines[:4]] == [0, 0, 1, 2]
    assert all({"focal", "dice", "iou", "presence", "j"} <= line.keys() for line in lines[:4])
    assert "validation" in lines[-1]


@pytest.mark.parametrize("first", [1, 3])
def test_an_interrupted_run_ends_with_the_same_weights(config: TrainConfig, first: int) -> None:
    whole = replace(config, out=config.out.with_name("whole"))
    train(whole)
    train(config, stop_after=first)
    assert train(config).steps == 4
    resumed, expected = _weights(config.out / "model.safetensors"), _weights(whole.out / "model.safetensors")
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_a_run_that_is_told_to_end_keeps_what_it_has(config: TrainConfig) -> None:
    answers = iter([False, False, True])
    stopped = train(config, is_over=lambda: next(answers))
    assert (stopped.stopped, stopped.steps, stopped.validation) == (True, 2, {})
    ended = train(config, is_over=lambda: False)
    assert (ended.stopped, ended.steps) == (False, 4)


def test_two_processes_train_one_network_and_go_on_where_they_stopped(config: TrainConfig) -> None:
    pair = replace(config, workers=2, threads=1, steps=3)
    whole = replace(pair, out=config.out.with_name("whole"))
    assert train(whole).steps == 3
    train(pair, stop_after=2)
    generators = torch.load(pair.out / "last.pt", weights_only=True)["generators"]
    assert len(generators) == 2
    assert not torch.equal(*generators)
    train(pair)
    resumed, expected = _weights(pair.out / "model.safetensors"), _weights(whole.out / "model.safetensors")
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_a_step_without_a_number_changes_nothing(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_sam2.training import learning, steps

    state = new_state(config)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    monkeypatch.setattr(learning, "dense_loss", lambda *_: torch.tensor(float("nan")))
    steps.train_step(state, STAGES[0], config.rules)
    assert state.step == 1
    assert all(torch.equal(before[name], value) for name, value in state.model.state_dict().items())


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": 2, "device": "cuda"}])
def test_workers_are_processes_on_a_cpu(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="workers"):
        TrainConfig(out=tmp_path, steps=1, **wrong)


def test_another_seed_is_another_run(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        train(replace(config, seed=5))


def test_what_is_frozen_stays_so(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    with pytest.raises(ValueError, match=r"other settings \(freeze_encoder\)"):
        train(replace(config, freeze_encoder=True))


@pytest.mark.parametrize("budget", [{}, {"minutes": 1.0, "steps": 5}, {"steps": 0}, {"minutes": -1.0}])
def test_the_budget_must_be_one_positive_number(tmp_path: Path, budget: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="minutes"):
        TrainConfig(out=tmp_path, **budget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": -1.0},
        {"warmup": 1.5},
        {"decay": -0.1},
        {"clip": 0.0},
        {"average": 1.0},
        {"checkpoint_minutes": -1.0},
        {"validate_minutes": float("nan")},
        {"log_steps": 0},
        {"threads": 0},
        {"synthetic": 2.0},
    ],
)
def test_numbers_that_lead_nowhere_are_refused_by_name(tmp_path: Path, wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name.replace("_", "[_-]")):
        TrainConfig(out=tmp_path, steps=1, **wrong)  # type: ignore[arg-type]


def test_no_stages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stage"):
        TrainConfig(out=tmp_path, steps=1, stages=())


def test_minutes_end_a_run(config: TrainConfig) -> None:
    result = train(replace(config, steps=None, minutes=0.003, checkpoint_minutes=0.0, validate_minutes=0.0))
    assert result.steps >= 1
    assert result.seconds >= 0.18


def test_the_first_weights_depend_on_the_seed(tiny_config: Sam2Config) -> None:
    first, again, other = (new_model(tiny_config, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["mask_downsample.weight"], other["mask_downsample.weight"])
    assert all(torch.isfinite(value).all() for value in first.values())


def test_the_average_follows_the_weights(tiny_config: Sam2Config) -> None:
    model, heads = new_model(tiny_config, 0), new_heads(tiny_config, 0)
    state = TrainState(
        model, averaged_copy(model), heads, make_optimizer(model, heads, 1e-3, 0.0), torch.Generator()
    )
    before = state.average.no_mem_embed.clone()
    with torch.no_grad():
        model.no_mem_embed.add_(1)
    state.update_average(0.99)
    assert torch.allclose(state.average.no_mem_embed, before + 0.9)
    state.step = 10_000
    state.update_average(0.99)
    assert torch.allclose(state.average.no_mem_embed, before + 0.901)


def test_the_loss_falls_on_one_scene(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same image at each step is learned by heart."""
    from napari_sam2.training import steps as module

    labels = torch.zeros(1, 1, 64, 64, dtype=torch.int32)
    labels[..., 16:48, 16:48] = 1
    images = torch.where(labels.unsqueeze(2) > 0, 200.0, 40.0).expand(-1, -1, 3, -1, -1)
    monkeypatch.setattr(module, "make_sequences", lambda *_: SyntheticBatch(images, labels))
    stage = Stage(share=1, size=64, frames=1, batch=1, objects=1)
    state = new_state(config)
    state.optimizer.set_rate(3e-3)
    terms = [module.train_step(state, stage, config.rules) for _ in range(60)]
    start, end = (sum(float(t.total(stage.weights)) for t in part) / 5 for part in (terms[:5], terms[-5:]))
    assert end < 0.6 * start


def test_weights_of_half_precision_still_load(tmp_path: Path, tiny_config: Sam2Config) -> None:
    model = Sam2(tiny_config)
    initialise(model, 0)
    save_model(model, tmp_path / "half.safetensors", half=True)
    assert _weights(tmp_path / "half.safetensors")["no_mem_embed"].dtype == torch.float32


def test_synthetic_j_is_a_share_and_repeats(tiny_config: Sam2Config) -> None:
    model = new_model(tiny_config, 0)
    first = synthetic_j(model, clips=1, frames=2, objects=2)
    assert 0 <= first <= 1
    assert first == synthetic_j(model, clips=1, frames=2, objects=2)
    assert model.training
