"""One step of training, and the score of a network on held-out sequences."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2._model.results import Prediction
from napari_sam2.training.clicks import choose_targets, spot_targets
from napari_sam2.training.clips import Plan, draw_plan, encode_clips, mean_jaccard, run_clip
from napari_sam2.training.crops import CropRules, crop_clips
from napari_sam2.training.dense import dense_loss
from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.losses import FrameLoss, frame_loss
from napari_sam2.training.synthetic import SyntheticConfig, make_sequences
from napari_sam2.training.team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.training.clicks import Targets
    from napari_sam2.training.clips import Answer
    from napari_sam2.training.schedule import Stage
    from napari_sam2.training.stacks import Stack
    from napari_sam2.training.state import TrainState
    from napari_sam2.training.synthetic import SyntheticBatch

TERMS = tuple(term.name for term in fields(FrameLoss))


@dataclass(frozen=True)
class StepRules:
    """How a step is made.

    Parameters
    ----------
    clip
        Largest norm of the gradient.
    average
        Decay of the moving average of the weights.
    bfloat16
        Whether to run the network in autocast.
    synthetic
        Share of the steps on synthetic sequences where there are stacks.
    ahead
        For how many steps synthetic sequences are made at once.
    """

    clip: float = 1.0
    average: float = 0.998
    bfloat16: bool = True
    synthetic: float = 0.25
    ahead: int = 1


def train_step(
    state: TrainState,
    stage: Stage,
    rules: StepRules,
    team: Team | None = None,
    stacks: tuple[Stack, ...] = (),
) -> FrameLoss:
    """Make one step on fresh sequences; the mean losses of this process's answers in it.

    A step whose loss is no number changes nothing; in a team it counts as one without gradient.
    """
    device = state.generator.device.type
    with torch.autocast(device, torch.bfloat16, enabled=rules.bfloat16), _attention(device):
        clips = _answer_clips(state, stage, rules, stacks)
    terms = _loss_of(clips, stage)
    loss = terms.total(stage.weights)
    if clips.dense:
        loss = loss + stage.dense * dense_loss(clips.dense, clips.made.labels.flatten(0, 1))
    state.optimizer.zero_grad()
    usable = bool(torch.isfinite(loss))
    if usable:
        with _attention(device):
            loss.backward()
    if usable or (team and team.size > 1):
        _descend(state, rules, team or Team())
    state.step += 1
    state.update_average(rules.average)
    return terms.detached()


@dataclass(frozen=True)
class _Clips:
    made: SyntheticBatch
    targets: Targets
    answers: tuple[Answer, ...]
    dense: list[Tensor]


def _answer_clips(state: TrainState, stage: Stage, rules: StepRules, stacks: tuple[Stack, ...]) -> _Clips:
    draws = Draws(state.generator)
    if stacks and not bool(draws.chance(rules.synthetic)):
        made = crop_clips(stacks, stage.batch, stage.frames, stage.size, state.generator)
    else:
        made = _take_scenes(state, stage, rules.ahead)
    if stage.spots:
        targets = spot_targets(stage.batch, stage.objects, stage.frames, stage.size, draws)
    else:
        targets = choose_targets(made.labels, stage.objects, draws)
    plan = Plan(innermost=1.0) if stage.spots else draw_plan(stage.frames, stage.teacher, draws)
    encoded = encode_clips(state.model, made.images)
    answers = run_clip(state.model, encoded, targets, plan, draws)
    return _Clips(made, targets, answers, state.heads(encoded) if stage.dense else [])


def _take_scenes(state: TrainState, stage: Stage, ahead: int) -> SyntheticBatch:
    scenes = SyntheticConfig(LayoutRules(diameter=stage.diameter, max_objects=stage.scenery))
    return state.scenes.take(
        stage,
        ahead,
        lambda count: make_sequences(scenes, count, stage.frames, stage.size, state.generator),
    )


def _loss_of(clips: _Clips, stage: Stage) -> FrameLoss:
    """Mean losses of the answers of a step, computed at once for all that have as many candidates."""
    answers = [answer for answer in clips.answers if answer.trained]
    kinds = sorted({answer.prediction.ious.shape[1] for answer in answers})
    groups = [[a for a in answers if a.prediction.ious.shape[1] == kind] for kind in kinds]
    losses = [_loss_of_group(group, clips.targets, stage) for group in groups]
    return FrameLoss.mean(losses, [len(group) / len(answers) for group in groups])


def _loss_of_group(answers: list[Answer], targets: Targets, stage: Stage) -> FrameLoss:
    truth = torch.cat([targets.truth[:, answer.frame] for answer in answers])
    joined = _join([answer.prediction for answer in answers])
    return frame_loss(joined, truth, targets.valid.repeat(len(answers)), weights=stage.weights)


def _join(predictions: list[Prediction]) -> Prediction:
    """Put batches of predictions with as many candidates one after another, without their tokens."""
    names = [part.name for part in fields(Prediction) if part.name != "tokens"]
    return Prediction(**{name: torch.cat([getattr(p, name) for p in predictions]) for name in names})


def _descend(state: TrainState, rules: StepRules, team: Team) -> None:
    team.share_gradients((*state.model.parameters(), *state.heads.parameters()))
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), rules.clip)
    state.optimizer.step()


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
        Side of the frames; the configuration's by default, at most 256.
    seed
        Of the sequences; far from seeds that people train with.
    """
    side = size or min(model.config.image_size, 256)
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    rules = SyntheticConfig(LayoutRules(diameter=(0.06, 0.3), max_objects=24))
    made = (make_sequences(rules, 1, frames, side, generator) for _ in range(clips))
    return _mean_j(model, made, objects, Draws(generator))


def stacks_j(
    model: Sam2,
    stacks: tuple[Stack, ...],
    *,
    clips: int = 8,
    frames: int = 6,
    size: int = 128,
    seed: int = 10_000_019,
) -> float:
    """Mean J on fixed clips of stacks, as they are seen in training but for their light.

    It tells how well they are learned, not how well the network will do on others.

    Parameters
    ----------
    model
        The network.
    stacks
        Of `read_stacks`.
    clips, frames, size
        Clips, frames of each, side of the frames.
    seed
        Of the places of the clips.
    """
    generator = torch.Generator(device=next(model.parameters()).device).manual_seed(seed)
    rules = CropRules(factor=(3.0, 3.0), drift=0.0, stride=0.0, light=False)
    made = (crop_clips(stacks, 1, frames, size, generator, rules) for _ in range(clips))
    return _mean_j(model, made, 2, Draws(generator))


def _mean_j(model: Sam2, sequences: Iterator[SyntheticBatch], objects: int, draws: Draws) -> float:
    """Mean J of one innermost click on the first frame, tracked to the last."""
    plan, scores = Plan(innermost=1.0), []
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for made in sequences:
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
