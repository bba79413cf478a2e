"""Training on synthetic sequences and labelled stacks: seeded, resumable, with log, curve and checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.device import choose_device
from napari_sam2.training.config import TrainConfig, named_configs
from napari_sam2.training.correcting import freeze_but_corrections
from napari_sam2.training.curve import draw_curve
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.optimizer import make_optimizer
from napari_sam2.training.schedule import rate_factor, stage_at
from napari_sam2.training.stacks import read_stacks
from napari_sam2.training.state import TrainState, averaged_copy, initialise
from napari_sam2.training.steps import TERMS, stacks_j, synthetic_j, train_step
from napari_sam2.training.team import Team, run_team

if TYPE_CHECKING:
    from napari_sam2._model.config import Sam2Config
    from napari_sam2.training.losses import FrameLoss

Validate = Callable[[Sam2], Mapping[str, float]]
_SEED_STRIDE = 1_000_003
_STOP, _SAVE = -1.0, -2.0


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves.

    Parameters
    ----------
    weights
        Path of the averaged weights.
    steps, seconds
        Steps and time, former runs included.
    validation
        Last validation; empty if the run was told to end.
    stopped
        Whether it was told to end before its budget was used up.
    """

    weights: Path
    steps: int
    seconds: float
    validation: Mapping[str, float]
    stopped: bool = False


def train(
    config: TrainConfig,
    *,
    validate: Validate | None = None,
    stop_after: int | None = None,
    is_over: Callable[[], bool] = bool,
) -> TrainResult:
    """Train a network, or go on where a run in the same folder stopped.

    Parameters
    ----------
    config
        Settings.
    validate
        Scores a network beside the held-out synthetic sequences, by name.
    stop_after
        Interrupt this call after so many steps, as if the machine had been switched off right after a
        checkpoint.
    is_over
        Tells before each step whether the run is to end; what is done is kept then.

    Returns
    -------
    TrainResult
        Where the weights are.

    Raises
    ------
    ValueError
        If the device is not there, or there is nothing to train on or from.
    """
    config = replace(config, device=str(choose_device(config.device)))
    config.out.mkdir(parents=True, exist_ok=True)
    return run_team(
        config.workers,
        lambda team: _Run(config, _resume(config, team), validate, team).go(stop_after, is_over),
        _help,
        (config,),
    )


def _resume(config: TrainConfig, team: Team) -> TrainState:
    """Make the state of this process: before the first step, or where a run in the folder stopped."""
    if config.threads:
        torch.set_num_threads(config.threads)
    state = new_state(config)
    state.generator.manual_seed(config.seed + _SEED_STRIDE * team.rank)
    if (config.out / "last.pt").exists():
        state.load(config.out / "last.pt", config.settings(), rank=team.rank)
    return state


def _help(team: Team, config: TrainConfig) -> None:
    """Train along with the leader until it stops."""
    _Run(config, _resume(config, team), None, team).follow()


def new_state(config: TrainConfig) -> TrainState:
    """Make the state before the first step; corrections of random weights are a `ValueError`."""
    named = named_configs()
    if config.pretrained is None and config.start in named:
        if config.corrections:
            raise ValueError("corrections are learned by weights that are there: give start or pretrained")
        model = new_model(named[config.start], config.seed)
    else:
        source = config.pretrained or config.start
        model = load_model(source, device="cpu", precision="float32").requires_grad_(True)
    model = model.to(config.device).train()
    if config.corrections:
        freeze_but_corrections(model)
    else:
        model.image_encoder.requires_grad_(not config.freeze_encoder)
    generator = torch.Generator(device=config.device).manual_seed(config.seed)
    heads = new_heads(model.config, config.seed).to(config.device)
    optimizer = make_optimizer(model, heads, config.peak_rate, config.decay)
    before = averaged_copy(model) if config.corrections else None
    return TrainState(model, averaged_copy(model), heads, optimizer, generator, before=before)


def new_model(config: Sam2Config, seed: int) -> Sam2:
    """Make a network with random weights."""
    model = Sam2(config)
    initialise(model, seed)
    return model


def new_heads(config: Sam2Config, seed: int) -> DenseHeads:
    """Heads with random weights that depend on the seed alone."""
    heads = DenseHeads(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return heads


class _Run:
    """The loop around `train_step`: clock, log, checkpoints.

    The leader of a team tells the others the progress before each step, or to hand in the state of their
    generators, or to stop.
    """

    def __init__(self, config: TrainConfig, state: TrainState, validate: Validate | None, team: Team) -> None:
        self.config, self.state, self.validate, self.team = config, state, validate, team
        self.began = time.monotonic() - state.seconds
        self.saved = self.validated = state.seconds
        self.recent: list[FrameLoss] = []
        self.frames = 0
        self.since = time.monotonic()
        self.validation: Mapping[str, float] = {}
        self.stacks = () if config.data is None else read_stacks(config.data)

    def progress(self) -> float:
        """Elapsed part of the budget."""
        if self.config.steps is not None:
            return self.state.step / self.config.steps
        return self.state.seconds / (60 * (self.config.minutes or 1))

    def go(self, stop_after: int | None, is_over: Callable[[], bool]) -> TrainResult:
        last = math.inf if stop_after is None else self.state.step + stop_after
        stopped = False
        while self.progress() < 1 and self.state.step < last:
            stopped = is_over()
            if stopped:
                break
            self._step()
            if self.state.seconds - self.saved > 60 * self.config.checkpoint_minutes:
                self._save()
            if self.state.seconds - self.validated > 60 * self.config.validate_minutes:
                self._score()
        self._save()
        self.team.follow(_STOP)
        if stopped:
            return TrainResult(self._weights, self.state.step, self.state.seconds, {}, stopped=True)
        self._score()
        return TrainResult(self._weights, self.state.step, self.state.seconds, self.validation)

    def follow(self) -> None:
        """Do as the leader does, but keep nothing."""
        while (told := self.team.follow(None)) != _STOP:
            if told == _SAVE:
                self.state.scenes.clear()
                self.team.collect(self.state.generator.get_state())
            else:
                self._train(told)

    @property
    def _weights(self) -> Path:
        return self.config.out / "model.safetensors"

    def _step(self) -> None:
        progress = self.team.follow(self.progress())
        terms = self._train(progress)
        self.state.seconds = time.monotonic() - self.began
        self.recent.append(terms)
        index = stage_at(self.config.course, progress)
        stage = self.config.course[index]
        self.frames += stage.batch * stage.frames * self.team.size
        if self.state.step % self.config.log_steps == 0:
            self._log_losses(index, self._rate(progress))

    def _train(self, progress: float) -> FrameLoss:
        self.state.optimizer.set_rate(self._rate(progress))
        stage = self.config.course[stage_at(self.config.course, progress)]
        return train_step(self.state, stage, self.config.rules, self.team, self.stacks)

    def _rate(self, progress: float) -> float:
        return self.config.peak_rate * rate_factor(progress, self.config.warmup)

    def _log_losses(self, stage: int, rate: float) -> None:
        # Read here and not at each step, so that a GPU need not be waited for.
        means = {
            name: round(float(torch.stack([getattr(terms, name) for terms in self.recent]).mean()), 4)
            for name in TERMS
        }
        speed = self.frames / max(time.monotonic() - self.since, 1e-9)
        self._write({"stage": stage, "rate": rate, "frames_per_second": round(speed, 1), **means})
        self.recent, self.frames, self.since = [], 0, time.monotonic()

    def _score(self) -> None:
        self.validated = self.state.seconds
        scores = {"synthetic_j": synthetic_j(self.state.average)}
        if self.stacks:
            scores["data_j"] = stacks_j(self.state.average, self.stacks, size=self.config.course[-1].size)
        if self.validate is not None:
            scores.update(self.validate(self.state.average))
        self.validation = scores
        self._write({"validation": scores})
        draw_curve(self.config.out / "log.jsonl", self.config.out / "curve.png")
        self.since = time.monotonic()

    def _save(self) -> None:
        self.saved = self.state.seconds
        self.team.follow(_SAVE)
        generators = self.team.collect(self.state.generator.get_state())
        self.state.save(self.config.out / "last.pt", self.config.settings(), generators)
        save_model(self.state.average, self._weights, half=True)

    def _write(self, values: dict[str, object]) -> None:
        line = {"step": self.state.step, "minutes": round(self.state.seconds / 60, 2), **values}
        with (self.config.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
