"""Training on the card: steps change the weights, and a run goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.training.config import TrainConfig
from napari_sam2.training.schedule import Stage
from napari_sam2.training.steps import synthetic_j, train_step
from napari_sam2.training.train import new_state, train
from tests.training import conftest, test_train, test_tuning

pytestmark = pytest.mark.gpu

tiny_config = conftest.tiny_config
on_cpu = test_train.config
tuning_on_cpu = test_tuning.config
_short_validation = test_train._short_validation


@pytest.fixture
def config(on_cpu: TrainConfig, device: torch.device) -> TrainConfig:
    return replace(on_cpu, device=str(device))


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("stage", test_train.STAGES)
def test_a_step_changes_the_weights(config: TrainConfig, stage: Stage, bfloat16: bool) -> None:
    state = new_state(config)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    terms = train_step(state, stage, replace(config, bfloat16=bfloat16).rules)
    assert torch.isfinite(terms.total(stage.weights))
    after = list(state.model.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after)
    assert any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert after[0].device.type == torch.device(config.device).type


def test_a_run_goes_on_where_it_stopped(config: TrainConfig) -> None:
    """Sums of a card are not the same bits twice, what is drawn is."""
    whole = replace(config, out=config.out.with_name("whole"))
    train(whole)
    train(config, stop_after=2)
    assert train(config).steps == 4
    ends = [torch.load(run.out / "last.pt", map_location="cpu", weights_only=True) for run in (config, whole)]
    assert torch.equal(ends[0]["generators"][0], ends[1]["generators"][0])
    for name, wanted in ends[1]["average"].items():
        difference = (ends[0]["average"][name].float() - wanted.float()).abs().mean()
        assert difference < 1e-3, name


def test_tuning_to_stacks(tuning_on_cpu: TrainConfig, device: torch.device) -> None:
    result = train(replace(tuning_on_cpu, device=str(device), freeze_encoder=True, bfloat16=True))
    assert result.steps == 4
    assert 0 <= result.validation["data_j"] <= 1


def test_the_score_is_computed_on_the_card(config: TrainConfig) -> None:
    state = new_state(config)
    assert 0 <= synthetic_j(state.average, clips=1, frames=2, objects=2) <= 1
