"""Scenes made for several steps: each is used once, and a run that goes on does as one in one piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from napari_sam2._model.weights import save_model
from napari_sam2.training.ahead import ScenesAhead
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.schedule import Stage, wide_stages
from napari_sam2.training.synthetic import SyntheticBatch
from napari_sam2.training.train import new_model, train

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2._model.config import Sam2Config

SINGLE = Stage(share=1, size=64, frames=1, batch=2, objects=1)
OTHER = replace(SINGLE, frames=2)


class Maker:
    """Makes sequences that are numbered, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.made = 0

    def __call__(self, count: int) -> SyntheticBatch:
        self.asked.append(count)
        numbers = torch.arange(self.made, self.made + count)
        self.made += count
        return SyntheticBatch(numbers.view(-1, 1, 1, 1, 1), numbers.view(-1, 1, 1, 1))


def taken(scenes: ScenesAhead, stage: Stage, steps: int, make: Maker) -> list[int]:
    made = scenes.take(stage, steps, make)
    assert made.labels.flatten().tolist() == made.images.flatten().tolist()
    return [int(number) for number in made.labels.flatten()]


def test_every_sequence_is_used_once() -> None:
    scenes, make = ScenesAhead(), Maker()
    used = [number for _ in range(8) for number in taken(scenes, SINGLE, 4, make)]
    assert sorted(used) == list(range(16))
    assert make.asked == [8, 8]


def test_stages_do_not_take_each_others() -> None:
    scenes, make = ScenesAhead(), Maker()
    first = taken(scenes, SINGLE, 2, make)
    second = taken(scenes, OTHER, 2, make)
    third = taken(scenes, SINGLE, 2, make)
    assert set(first + third) == {0, 1, 2, 3}
    assert set(second) < {4, 5, 6, 7}


def test_what_is_cleared_is_made_anew() -> None:
    scenes, make = ScenesAhead(), Maker()
    taken(scenes, SINGLE, 3, make)
    scenes.clear()
    assert min(taken(scenes, SINGLE, 3, make)) >= 6


def test_a_run_that_goes_on_repeats_one_that_was_saved_at_the_same_step(
    tmp_path: Path, tiny_config: Sam2Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda model: 0.5)
    start = tmp_path / "start.safetensors"
    save_model(new_model(tiny_config, 1), start, half=False)
    config = TrainConfig(
        out=tmp_path / "whole",
        start=str(start),
        steps=4,
        stages=(SINGLE,),
        ahead=4,
        checkpoint_minutes=0,
        log_steps=2,
    )
    train(config)
    parts = replace(config, out=tmp_path / "parts")
    train(parts, stop_after=2)
    train(parts)
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, atol=0, rtol=0)


def test_a_gpu_takes_wide_stages_and_scenes_for_four_steps(tmp_path: Path) -> None:
    on_gpu = TrainConfig(out=tmp_path, start="nano", minutes=1, device="cuda")
    assert on_gpu.course == wide_stages(fresh=True)
    assert replace(on_gpu, start="weights.safetensors").course == wide_stages(fresh=False)
    assert on_gpu.rules.ahead == 4
    assert replace(on_gpu, device="cpu").rules.ahead == 1
    assert replace(on_gpu, ahead=2).rules.ahead == 2


def test_fewer_than_one_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ahead must be at least 1"):
        TrainConfig(out=tmp_path, minutes=1, ahead=0)
