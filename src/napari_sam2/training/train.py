"""Training on synthetic sequences: seeded, resumable, with a log, checkpoints and averaged weights."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path  # the command line reads the annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS, Sam2Config
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.training.clicks import choose_targets, spot_targets
from napari_sam2.training.clips import Plan, draw_plan, encode_clips, mean_jaccard, run_clip
from napari_sam2.training.dense import DenseHeads, dense_loss
from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.losses import FrameLoss, frame_loss
from napari_sam2.training.schedule import Stage, default_stages, rate_factor, stage_at
from napari_sam2.training.state import TrainState, averaged_copy, initialise, make_optimizer
from napari_sam2.training.synthetic import SyntheticConfig, make_sequences

Validate = Callable[[Sam2], Mapping[str, float]]
_TERMS = tuple(term.name for term in fields(FrameLoss))


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Parameters
    ----------
    out
        Folder of the log (`log.jsonl`), the state (`last.pt`) and the averaged weights (`model.safetensors`).
    start
        Name of a configuration (then weights are random) or path of a checkpoint to go on from.
    minutes, steps
        Budget: one of them. With steps the result does not depend on the speed of the machine.
    stages
        What is trained when.
    rate, warmup, decay, clip
        Peak learning rate, part of the budget in which it rises, weight decay, largest norm of the gradient.
    average
        Decay of the moving average of the weights.
    seed
        Of the first weights, the sequences and the prompts.
    device
        Where to train.
    bfloat16
        Whether to run the network in autocast.
    checkpoint_minutes, validate_minutes
        How often the state is saved and the model validated; the end of the run always does both.
    log_steps
        The log has a line of mean losses for so many steps.
    threads
        CPU threads; None leaves them as they are.
    """

    out: Path
    start: str = "nano"
    minutes: float | None = None
    steps: int | None = None
    stages: tuple[Stage, ...] = field(default_factory=default_stages)
    rate: float = 1e-3
    warmup: float = 0.02
    decay: float = 0.05
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool = True
    checkpoint_minutes: float = 5.0
    validate_minutes: float = 10.0
    log_steps: int = 20
    threads: int | None = None

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
        if not self.stages:
            raise ValueError("give at least one stage")

    def settings(self) -> dict[str, object]:
        """Tell what a run that goes on must share with the one before; the rest may change."""
        return {"start": self.start, "seed": self.seed}


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
    if config.threads:
        torch.set_num_threads(config.threads)
    config.out.mkdir(parents=True, exist_ok=True)
    state = new_state(config)
    if (config.out / "last.pt").exists():
        state.load(config.out / "last.pt", config.settings())
    return _Run(config, state, validate).go(stop_after)


def new_state(config: TrainConfig) -> TrainState:
    """Make the state before the first step."""
    named = {NANO_CONFIG.name: NANO_CONFIG, **RELEASED_CONFIGS}
    if config.start in named:
        model = new_model(named[config.start], config.seed)
    else:
        model = load_model(config.start, device="cpu", precision="float32").requires_grad_(True)
    model = model.to(config.device).train()
    generator = torch.Generator(device=config.device).manual_seed(config.seed)
    heads = new_heads(model.config, config.seed).to(config.device)
    optimizer = make_optimizer(model, heads, config.rate, config.decay)
    return TrainState(model, averaged_copy(model), heads, optimizer, generator)


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


def train_step(state: TrainState, config: TrainConfig, stage: Stage) -> FrameLoss:
    """One step on fresh sequences; the mean losses of all answers in it."""
    draws = Draws(state.generator)
    rules = SyntheticConfig(LayoutRules(diameter=stage.diameter, max_objects=stage.scenery))
    made = make_sequences(rules, stage.batch, stage.frames, stage.size, state.generator)
    if stage.spots:
        targets = spot_targets(stage.batch, stage.objects, stage.frames, stage.size, draws)
    else:
        targets = choose_targets(made.labels, stage.objects, draws)
    plan = Plan(innermost=1.0) if stage.spots else draw_plan(stage.frames, stage.teacher, draws)
    device = made.images.device.type
    with torch.autocast(device, torch.bfloat16, enabled=config.bfloat16), _attention(device):
        encoded = encode_clips(state.model, made.images)
        answers = run_clip(state.model, encoded, targets, plan, draws)
        dense = state.heads(encoded) if stage.dense else []
    terms = [
        frame_loss(a.prediction, targets.truth[:, a.frame], targets.valid, weights=stage.weights)
        for a in answers
        if a.trained
    ]
    loss = torch.stack([term.total(stage.weights) for term in terms]).mean()
    if dense:
        loss = loss + stage.dense * dense_loss(dense, made.labels.flatten(0, 1))
    state.optimizer.zero_grad(set_to_none=True)
    if torch.isfinite(loss):
        with _attention(device):
            loss.backward()
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
        state.optimizer.step()
    state.step += 1
    state.update_average(config.average)
    return _mean_terms(terms)


def synthetic_j(
    model: Sam2,
    *,
    clips: int = 8,
    frames: int = 8,
    size: int | None = None,
    objects: int = 4,
    seed: int = 10_000_019,
) -> float:
    """Mean J on held-out synthetic sequences: one innermost click on the first frame, tracked to the last.

    Parameters
    ----------
    model
        The network.
    clips, frames, objects
        Sequences, frames of each, objects of each.
    size
        Side of the frames; the configuration's by default.
    seed
        Of the sequences; far from seeds that people train with.
    """
    side = size or model.config.image_size
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    rules = SyntheticConfig(LayoutRules(diameter=(0.06, 0.3), max_objects=24))
    plan, scores = Plan(innermost=1.0), []
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for _ in range(clips):
            made = make_sequences(rules, 1, frames, side, generator)
            draws = Draws(generator)
            targets = choose_targets(made.labels, objects, draws)
            if targets.valid.any():
                scores.append(
                    mean_jaccard(
                        run_clip(model, encode_clips(model, made.images), targets, plan, draws),
                        targets,
                        model,
                    )
                )
    model.train(was_training)
    return math.fsum(scores) / max(len(scores), 1)


def _attention(device: str) -> AbstractContextManager[None]:
    """Plain attention on a CPU: the fused kernel's backward pass is slow there for small windows."""
    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()


@torch.no_grad()
def _mean_terms(terms: list[FrameLoss]) -> FrameLoss:
    return FrameLoss(**{name: torch.stack([getattr(t, name) for t in terms]).mean() for name in _TERMS})


class _Run:
    """The loop around `train_step`: clock, log, checkpoints."""

    def __init__(self, config: TrainConfig, state: TrainState, validate: Validate | None) -> None:
        self.config, self.state, self.validate = config, state, validate
        self.began = time.monotonic() - state.seconds
        self.saved = self.validated = state.seconds
        self.recent: list[dict[str, float]] = []
        self.frames = 0
        self.since = time.monotonic()
        self.validation: Mapping[str, float] = {}

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
        self._score()
        return TrainResult(self._weights, self.state.step, self.state.seconds, self.validation)

    @property
    def _weights(self) -> Path:
        return self.config.out / "model.safetensors"

    def _step(self) -> None:
        progress = self.progress()
        index = stage_at(self.config.stages, progress)
        stage = self.config.stages[index]
        rate = self.config.rate * rate_factor(progress, self.config.warmup)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate
        terms = train_step(self.state, self.config, stage)
        self.state.seconds = time.monotonic() - self.began
        self.recent.append({name: float(getattr(terms, name)) for name in _TERMS})
        self.frames += stage.batch * stage.frames
        if self.state.step % self.config.log_steps == 0:
            self._log_losses(index, rate)

    def _log_losses(self, stage: int, rate: float) -> None:
        means = {
            name: round(sum(r[name] for r in self.recent) / len(self.recent), 4) for name in self.recent[0]
        }
        speed = self.frames / max(time.monotonic() - self.since, 1e-9)
        self._write({"stage": stage, "rate": rate, "frames_per_second": round(speed, 1), **means})
        self.recent, self.frames, self.since = [], 0, time.monotonic()

    def _score(self) -> None:
        self.validated = self.state.seconds
        scores = {"synthetic_j": synthetic_j(self.state.average)}
        if self.validate is not None:
            scores.update(self.validate(self.state.average))
        self.validation = scores
        self._write({"validation": scores})
        self.since = time.monotonic()

    def _save(self) -> None:
        self.saved = self.state.seconds
        self.state.save(self.config.out / "last.pt", self.config.settings())
        save_model(self.state.average, self._weights, half=True)

    def _write(self, values: dict[str, object]) -> None:
        line = {"step": self.state.step, "minutes": round(self.state.seconds / 60, 2), **values}
        with (self.config.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
