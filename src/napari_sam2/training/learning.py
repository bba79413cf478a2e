"""What a network learns from some clips: answers, their losses, gradients."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2._model.results import Prediction
from napari_sam2.training.clips import encode_clips, run_clip
from napari_sam2.training.correcting import pointer_drift, run_corrections
from napari_sam2.training.dense import dense_loss
from napari_sam2.training.draws import Draws
from napari_sam2.training.losses import FrameLoss, frame_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam2._model.results import ImageFeatures
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.training.clicks import Targets
    from napari_sam2.training.clips import Answer, Plan
    from napari_sam2.training.dense import DenseHeads
    from napari_sam2.training.schedule import Stage
    from napari_sam2.training.synthetic import SyntheticBatch


@dataclass(frozen=True)
class Clips:
    """What a step is about.

    Parameters
    ----------
    made
        Sequences.
    targets
        The objects that are followed in them.
    plan
        What the user does.
    """

    made: SyntheticBatch
    targets: Targets
    plan: Plan


@dataclass(frozen=True)
class Learner:
    """What learns, and how.

    Parameters
    ----------
    model
        The network.
    heads
        Heads of the encoder's second task.
    generator
        Source of the prompts.
    bfloat16
        Whether to run the network in autocast.
    before
        The network before it learned; only where it learns corrections.
    """

    model: Sam2
    heads: DenseHeads
    generator: torch.Generator
    bfloat16: bool
    before: Sam2 | None = None


@dataclass(frozen=True)
class Learned:
    """Mean losses of the answers, and their weighted sum with that of the second task; without gradients."""

    terms: FrameLoss
    loss: Tensor


def learn(learner: Learner, stage: Stage, clips: Clips) -> Learned:
    """Answer clips, and add the gradients of the losses to those of the weights; nothing waits for a GPU."""
    device = learner.generator.device.type
    with torch.autocast(device, torch.bfloat16, enabled=learner.bfloat16), _attention(device):
        encoded = encode_clips(learner.model, clips.made.images)
        answers = _answer(learner, stage, encoded, clips)
        dense = learner.heads(encoded) if stage.dense else []
        drift = _drift(learner, encoded, clips.targets)
    terms = _loss_of(answers, clips.targets, stage)
    loss = terms.total(stage.weights) + drift
    if dense:
        loss = loss + stage.dense * dense_loss(dense, clips.made.labels.flatten(0, 1))
    with _attention(device):
        loss.backward()
    return Learned(terms.detached(), loss.detach())


def _answer(learner: Learner, stage: Stage, encoded: ImageFeatures, clips: Clips) -> tuple[Answer, ...]:
    draws = Draws(learner.generator)
    if stage.corrections:
        return run_corrections(learner.model, encoded, clips.targets, draws, rounds=stage.corrections)
    return run_clip(learner.model, encoded, clips.targets, clips.plan, draws)


def _drift(learner: Learner, encoded: ImageFeatures, targets: Targets) -> Tensor | float:
    if learner.before is None:
        return 0.0
    return pointer_drift(learner.model, learner.before, encoded, targets)


def _loss_of(every: Sequence[Answer], targets: Targets, stage: Stage) -> FrameLoss:
    """Mean losses of the answers of a step, computed at once for all that have as many candidates."""
    answers = [answer for answer in every if answer.trained]
    kinds = sorted({answer.prediction.ious.shape[1] for answer in answers})
    groups = [[a for a in answers if a.prediction.ious.shape[1] == kind] for kind in kinds]
    losses = [_loss_of_group(group, targets, stage) for group in groups]
    return FrameLoss.mean(losses, [len(group) / len(answers) for group in groups])


def _loss_of_group(answers: list[Answer], targets: Targets, stage: Stage) -> FrameLoss:
    truth = torch.cat([targets.truth[:, answer.frame] for answer in answers])
    joined = _join([answer.prediction for answer in answers])
    return frame_loss(joined, truth, targets.valid.repeat(len(answers)), weights=stage.weights)


def _join(predictions: list[Prediction]) -> Prediction:
    """Put batches of predictions with as many candidates one after another, without their tokens."""
    names = [part.name for part in fields(Prediction) if part.name != "tokens"]
    return Prediction(**{name: torch.cat([getattr(p, name) for p in predictions]) for name in names})


def _attention(device: str) -> AbstractContextManager[None]:
    """Leave out kernels that do not serve.

    The fused one of a CPU is slow in its backward pass for small windows, and that of cuDNN (with torch 2.11)
    ends with an error there for some thousands of them.
    """
    if device == "cpu":
        return sdpa_kernel(SDPBackend.MATH)
    if device != "cuda":
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])
