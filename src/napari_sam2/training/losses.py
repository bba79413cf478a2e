"""Losses of SAM 2: focal and dice on the best candidate, IoU of all candidates, presence of the object."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2._model.results import Prediction


# Power by which a rare answer of the object score weighs more; 0 for all alike, 1 for both classes alike.
_RARITY = 0.75
LEAST_AREA = 1e-3
"""Part of the frame that an object has to cover for its object score to be asked for."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; the defaults are those of SAM 2's paper.

    Parameters
    ----------
    focal, dice, iou, presence
        Focal loss, dice loss, error of the predicted IoU, cross-entropy of the object score.
    alpha, gamma
        Of the focal loss. 0.5 and 0 make it half the cross-entropy, from which a random start learns sooner.
    """

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    presence: float = 1.0
    alpha: float = 0.25
    gamma: float = 2.0


@dataclass(frozen=True)
class FrameLoss:
    """Terms of one answer, each a mean over the objects it counts for; scalars.

    Parameters
    ----------
    focal, dice, iou, presence
        As in `LossWeights`, not weighted.
    j
        Mean IoU of the chosen masks of present objects, without gradient.
    """

    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor
    j: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """Return the weighted sum."""
        masks = weights.focal * self.focal + weights.dice * self.dice
        return masks + weights.iou * self.iou + weights.presence * self.presence

    def detached(self) -> FrameLoss:
        """Return the values alone."""
        return FrameLoss(**{term.name: getattr(self, term.name).detach() for term in fields(self)})

    @classmethod
    def mean(cls, losses: Sequence[FrameLoss], shares: Sequence[float]) -> FrameLoss:
        """Return the mean of losses with `shares` that sum to one."""
        names = [term.name for term in fields(cls)]
        weighted = {n: [s * getattr(loss, n) for loss, s in zip(losses, shares, strict=True)] for n in names}
        return cls(**{name: torch.stack(values).sum() for name, values in weighted.items()})


def focal_loss(logits: Tensor, truth: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss, mean over the pixels of each mask.

    Parameters
    ----------
    logits, truth
        (..., H, W); truth 0 or 1.
    alpha
        Weight of the positive pixels; the negative ones have 1 - alpha.
    gamma
        How much pixels that are right already are discounted.

    Returns
    -------
    Tensor
        (...).
    """
    wrong = torch.where(truth > 0.5, -logits, logits)
    share = torch.where(truth > 0.5, alpha, 1 - alpha)
    return (share * wrong.sigmoid() ** gamma * functional.softplus(wrong)).mean((-2, -1))


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """One minus the soft Dice overlap of each mask, with 1 pixel added above and below.

    Parameters
    ----------
    logits, truth
        (..., H, W); truth 0 or 1.

    Returns
    -------
    Tensor
        (...).
    """
    soft = logits.sigmoid()
    both = (soft * truth).sum((-2, -1))
    return 1 - (2 * both + 1) / (soft.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def mask_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of thresholded masks (..., H, W), 1 where both are empty; shape (...), no gradient."""
    inside, real = logits.detach() > 0, truth > 0.5
    either = (inside | real).sum((-2, -1))
    return torch.where(either > 0, (inside & real).sum((-2, -1)) / either.clamp(min=1), 1.0)


def frame_loss(
    prediction: Prediction, truth: Tensor, valid: Tensor, *, weights: LossWeights, stride: int = 2
) -> FrameLoss:
    """Losses of the answers for N objects on a frame each.

    The candidate with the least mask loss is the one that is trained; all candidates learn their IoU. An
    object that is not on its frame counts for the object score alone, one of a few pixels not for that.

    Parameters
    ----------
    prediction
        K candidates for N objects, at a quarter of the frame's resolution.
    truth
        (N, S, S) bool.
    valid
        (N,) bool, objects that count.
    weights
        What "least mask loss" means, and the shape of the focal loss.
    stride
        Masks are compared on every `stride`-th part of a pixel row and column of the frame.

    Returns
    -------
    FrameLoss
        Terms and mean IoU.
    """
    present = truth.flatten(1).any(1)
    side = truth.shape[-1] // stride
    logits = functional.interpolate(
        prediction.raw_masks, size=(side, side), mode="bilinear", align_corners=False
    )
    real = _reduce(truth, stride).unsqueeze(1).expand_as(logits)
    focal = focal_loss(logits, real, alpha=weights.alpha, gamma=weights.gamma)
    dice = dice_loss(logits, real)
    best = (weights.focal * focal + weights.dice * dice).detach().argmin(1, keepdim=True)
    iou = mask_iou(logits, real)
    counted = (present & valid).float()
    seen = functional.binary_cross_entropy_with_logits(
        prediction.object_logits[:, 0], present.float(), reduction="none"
    )
    return FrameLoss(
        focal=_mean(focal.gather(1, best)[:, 0], counted),
        dice=_mean(dice.gather(1, best)[:, 0], counted),
        iou=_mean((prediction.ious - iou).abs().mean(1), counted),
        presence=_balanced(seen, present, valid & _is_certain(truth)),
        j=_mean(iou.gather(1, prediction.best.unsqueeze(1))[:, 0], counted),
    )


def _reduce(truth: Tensor, stride: int) -> Tensor:
    if stride == 1:
        return truth.float()
    return (functional.avg_pool2d(truth.float().unsqueeze(1), stride)[:, 0] >= 0.5).float()


def _is_certain(truth: Tensor) -> Tensor:
    """Whether an object is clearly there or clearly not: a few last pixels of a body are neither."""
    area = truth.flatten(1).sum(1)
    return (area == 0) | (area >= LEAST_AREA * truth.shape[-1] ** 2)


def _balanced(values: Tensor, positive: Tensor, counted: Tensor) -> Tensor:
    """Mean in which a rare class weighs more than its share, by a power of how rare it is.

    With equal weights of both classes a network gives objects up too easily, with their shares never.
    """
    with torch.no_grad():
        weight = torch.zeros_like(values)
        for group in (positive & counted, ~positive & counted):
            share = group.sum() / counted.sum().clamp(min=1)
            weight = torch.where(group, (0.5 / share.clamp(min=1 / 16)) ** _RARITY, weight)
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp(min=1)
