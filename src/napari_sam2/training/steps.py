"""One step of training, and the score of a network on held-out sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

from napari_sam2.training.clicks import choose_targets, spot_targets
from napari_sam2.training.clips import Plan, draw_plan, encode_clips, mean_jaccard, run_clip
from napari_sam2.training.crops import CropRules, crop_clips
from napari_sam2.training.draws import Draws
from napari_sam2.training.following import follow
from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.learning import Clips, Learner, learn
from napari_sam2.training.losses import FrameLoss
from napari_sam2.training.synthetic import SyntheticConfig, make_sequences
from napari_sam2.training.team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2._model.sam2 import Sam2
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
    clips = _draw_clips(state, stage, rules, stacks)
    state.optimizer.zero_grad()
    learner = Learner(state.model, state.heads, state.generator, rules.bfloat16, state.before)
    learned = learn(learner, stage, clips)
    usable = bool(torch.isfinite(learned.loss))
    if not usable:
        state.optimizer.zero_grad()
    if usable or (team and team.size > 1):
        _descend(state, rules, team or Team())
    state.step += 1
    state.update_average(rules.average)
    return learned.terms


def _draw_clips(state: TrainState, stage: Stage, rules: StepRules, stacks: tuple[Stack, ...]) -> Clips:
    draws = Draws(state.generator)
    if stacks and not bool(draws.chance(rules.synthetic)):
        made = crop_clips(stacks, stage.batch, stage.frames, stage.size, state.generator)
    else:
        made = _take_scenes(state, stage, rules.ahead)
    if stage.spots:
        targets = spot_targets(stage.batch, stage.objects, stage.frames, stage.size, draws)
    else:
        targets = choose_targets(made.labels, stage.objects, draws, whole=stage.window > 0)
    if stage.window:
        followed = follow(made, targets, stage.window, draws)
        made, targets = followed.made, followed.targets
    plan = Plan(innermost=1.0) if stage.spots else draw_plan(stage.frames, stage.teacher, draws)
    return Clips(made, targets, plan)


def _take_scenes(state: TrainState, stage: Stage, ahead: int) -> SyntheticBatch:
    scenes = SyntheticConfig(LayoutRules(diameter=stage.diameter, max_objects=stage.scenery))
    return state.scenes.take(
        stage,
        ahead,
        lambda count: make_sequences(scenes, count, stage.frames, stage.size, state.generator),
    )


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
