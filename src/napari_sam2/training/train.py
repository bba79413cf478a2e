"""Training on synthetic sequences and labelled stacks: seeded, resumable, with log, curve and checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path  # the command line reads the annotations
from typing import TYPE_CHECKING

import torch

from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS, Sam2Config
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.device import computes_bfloat16
from napari_sam2.training.correcting import freeze_but_corrections
from napari_sam2.training.curve import draw_curve
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.optimizer import make_optimizer
from napari_sam2.training.schedule import (
    Stage,
    correcting_stages,
    default_stages,
    rate_factor,
    stage_at,
    tuning_stages,
    wide_stages,
)
from napari_sam2.training.stacks import read_stacks
from napari_sam2.training.state import TrainState, averaged_copy, initialise
from napari_sam2.training.steps import TERMS, StepRules, stacks_j, synthetic_j, train_step
from napari_sam2.training.team import Team, run_team

if TYPE_CHECKING:
    from napari_sam2.training.losses import FrameLoss

Validate = Callable[[Sam2], Mapping[str, float]]
_SEED_STRIDE = 1_000_003
_STOP, _SAVE = -1.0, -2.0
_TUNING_SIZE = 256
_CORRECTING_SIZE = 128


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Parameters
    ----------
    out
        Folder of the log (`log.jsonl`) and its picture (`curve.png`), of the state (`last.pt`) and of the
        averaged weights (`model.safetensors`).
    start
        Name of a configuration (then weights are random) or path of a checkpoint to go on from.
    minutes, steps
        Budget: one of them. With steps the result does not depend on the speed of the machine.
    stages
        What is trained when; None chooses by the device and by whether the weights are random.
    rate, warmup, decay, clip
        Peak learning rate (None: 5e-4 for random weights, 1e-3 for corrections, else 1e-4), part of the
        budget in which it rises, weight decay, largest norm of the gradient.
    average
        Decay of the moving average of the weights.
    seed
        Of the first weights, the sequences and the prompts.
    device
        Where to train.
    bfloat16
        Whether to run the network in autocast; None: where the device is faster in it.
    checkpoint_minutes, validate_minutes
        How often the state is saved and the model validated; the end of the run always does both.
    log_steps
        The log has a line of mean losses for so many steps.
    threads
        CPU threads of each process; None leaves them as they are.
    workers
        Processes that train together on one machine, on a CPU: each makes the `batch` clips of a stage, and
        their gradients are averaged. Two processes of one thread do almost twice the work of one of two.
    pretrained
        Name of a model or path of a checkpoint whose weights are tuned; `start` does not count then.
    data
        Folder of labelled stacks to train on, see `napari_sam2.training.stacks.read_stacks`.
    synthetic
        Share of the steps that are on synthetic sequences all the same, so that nothing is forgotten.
    freeze_encoder
        Leave the image encoder as it is: less memory, faster, less to be spoilt by few data.
    ahead
        For how many steps synthetic sequences are made at once; None: four on a GPU, one elsewhere.
    corrections
        Learn what clicks change of an answer that is there, and boxes: first clicks and tracking stay as they
        are, to the bit. Of weights that are there, see `start`.
    """

    out: Path
    start: str = "nano"
    minutes: float | None = None
    steps: int | None = None
    stages: tuple[Stage, ...] | None = None
    rate: float | None = None
    warmup: float = 0.02
    decay: float = 0.05
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool | None = None
    checkpoint_minutes: float = 5.0
    validate_minutes: float = 10.0
    log_steps: int = 20
    threads: int | None = None
    workers: int = 1
    pretrained: str | None = None
    data: Path | None = None
    synthetic: float = 0.25
    freeze_encoder: bool = False
    ahead: int | None = None
    corrections: bool = False

    def __post_init__(self) -> None:
        """Check the budget.

        Raises
        ------
        ValueError
            If there is no budget, or two, or it is not positive, or there are no stages.
        """
        if (self.minutes is None) == (self.steps is None):
            raise ValueError(
                f"give either minutes or steps, got minutes={self.minutes} and steps={self.steps}"
            )
        if (self.minutes or self.steps or 0) <= 0:
            raise ValueError(f"the budget must be positive, got minutes={self.minutes}, steps={self.steps}")
        if self.stages is not None and not self.stages:
            raise ValueError("give at least one stage")
        if self.corrections and not all(stage.corrections for stage in self.stages or ()):
            raise ValueError("stages in which corrections are learned need rounds of corrections")
        if self.ahead is not None and self.ahead < 1:
            raise ValueError(f"ahead must be at least 1, got {self.ahead}")
        if not 0 <= self.synthetic <= 1:
            raise ValueError(f"synthetic is a share between 0 and 1, got {self.synthetic}")
        if self.workers < 1 or (self.workers > 1 and self.device != "cpu"):
            raise ValueError(
                f"workers must be 1, or more on the CPU; got {self.workers} on device {self.device!r}"
            )

    @property
    def rules(self) -> StepRules:
        """How a step is made."""
        ahead = self.ahead or (4 if self._on_gpu else 1)
        bfloat16 = computes_bfloat16(torch.device(self.device)) if self.bfloat16 is None else self.bfloat16
        return StepRules(self.clip, self.average, bfloat16, self.synthetic, ahead)

    @property
    def course(self) -> tuple[Stage, ...]:
        """What is trained when, also where it was not said."""
        if self.stages is not None:
            return self.stages
        if self.corrections:
            return correcting_stages(
                _TUNING_SIZE if self.pretrained in RELEASED_CONFIGS else _CORRECTING_SIZE
            )
        if self.pretrained is not None:
            return tuning_stages(_TUNING_SIZE)
        fresh = self.start in _named()
        return wide_stages(fresh=fresh) if self._on_gpu else default_stages(fresh=fresh)

    @property
    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def peak_rate(self) -> float:
        """Peak learning rate, also where it was not said."""
        usual = 5e-4 if self.pretrained is None else 1e-4
        return self.rate or (1e-3 if self.corrections else usual)

    def settings(self) -> dict[str, object]:
        """Tell what a run that goes on must share with the one before; the rest may change."""
        return {
            "start": self.start,
            "seed": self.seed,
            "pretrained": self.pretrained,
            "corrections": self.corrections,
        }


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
        Last validation.
    """

    weights: Path
    steps: int
    seconds: float
    validation: Mapping[str, float]


def train(
    config: TrainConfig, *, validate: Validate | None = None, stop_after: int | None = None
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

    Returns
    -------
    TrainResult
        Where the weights are.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    return run_team(
        config.workers,
        lambda team: _Run(config, _resume(config, team), validate, team).go(stop_after),
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
    named = _named()
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


def _named() -> dict[str, Sam2Config]:
    return {NANO_CONFIG.name: NANO_CONFIG, **RELEASED_CONFIGS}


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

    def go(self, stop_after: int | None) -> TrainResult:
        last = math.inf if stop_after is None else self.state.step + stop_after
        while self.progress() < 1 and self.state.step < last:
            self._step()
            if self.state.seconds - self.saved > 60 * self.config.checkpoint_minutes:
                self._save()
            if self.state.seconds - self.validated > 60 * self.config.validate_minutes:
                self._score()
        self._save()
        self.team.follow(_STOP)
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
