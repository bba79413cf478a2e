"""What is trained when: stages of growing frames and the course of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_sam2.training.losses import LossWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

# How often the stages of a GPU take turns; a turn of a run of a few minutes takes some seconds each.
_TURNS = 16


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Parameters
    ----------
    share
        Part of the budget; the shares are divided by their sum.
    size
        Side of the frames, a multiple of 32.
    frames
        Frames in a clip; 1 trains prompting alone.
    batch
        Clips in a step.
    objects
        Objects that are followed in each clip.
    diameter
        Smallest and largest object as a fraction of the side.
    scenery
        Objects in a scene at most.
    teacher
        Share of the clips whose memories are made from the true masks.
    weights
        Weights of the losses.
    dense
        Weight of the encoder's second task, see `dense`.
    spots
        Discs around the clicks are asked for instead of the objects.
    window
        Side of windows that follow the objects, a multiple of 32; 0 for whole frames.
    corrections
        Rounds of clicks that correct answers, with all else of the network as it is; 0 trains prompts and
        tracking. See `correcting`.
    """

    share: float
    size: int
    frames: int
    batch: int
    objects: int
    diameter: tuple[float, float] = (0.1, 0.5)
    scenery: int = 16
    teacher: float = 0.1
    weights: LossWeights = field(default_factory=LossWeights)
    dense: float = 0.0
    spots: bool = False
    window: int = 0
    corrections: int = 0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        ValueError
            If a number is not positive, or the size or the window is no multiple of 32.
        """
        if min(self.share, self.size, self.frames, self.batch, self.objects, self.scenery) <= 0:
            raise ValueError(f"all numbers of a stage must be positive, got {self}")
        if self.size % 32 or self.window % 32 or self.window < 0:
            raise ValueError(f"size and window must be multiples of 32, got {self.size} and {self.window}")


def default_stages(*, fresh: bool = True) -> tuple[Stage, ...]:
    """Return discs, large objects, objects of any size, then clips, all in frames of a window's size.

    The first stages use cross-entropy instead of the focal loss, from which a random start keeps empty masks
    for long. Single frames alone make a network forget how to track, so that clips end the training.

    Parameters
    ----------
    fresh
        Whether the weights are random; others need no discs and no second task.
    """
    plain = LossWeights(focal=2.0, alpha=0.5, gamma=0.0)
    large, window = (0.2, 0.5), (0.12, 0.7)
    single = Stage(share=0.04, size=128, frames=1, batch=8, objects=4)
    clips = Stage(share=0.36, size=128, frames=7, batch=3, objects=4, diameter=window)
    stages = (
        replace(single, weights=plain, dense=1.0, spots=True),
        replace(single, share=0.08, diameter=large, scenery=10, weights=plain, dense=1.0),
        replace(single, share=0.16, diameter=(0.08, 0.8), dense=0.5),
        replace(clips, teacher=0.2, dense=0.1),
        replace(clips, frames=8, diameter=(0.15, 0.65), teacher=0.05),
    )
    return stages if fresh else tuple(replace(stage, dense=0.0) for stage in stages[2:])


def wide_stages(*, fresh: bool) -> tuple[Stage, ...]:
    """Return stages for a GPU, which takes a hundred clips in the time of a few.

    Single frames and clips, 128 and 192 pixels, short clips and long ones, frames that lie still and windows
    that follow an object take turns.

    Parameters
    ----------
    fresh
        Whether the weights are random, so that the turns come after discs, large objects and objects of any
        size.
    """
    single = Stage(share=0.1, size=128, frames=1, batch=256, objects=8, diameter=(0.06, 0.9), scenery=24)
    clips = Stage(
        share=0.18, size=128, frames=8, batch=112, objects=6, diameter=(0.15, 0.5), scenery=20, teacher=0.05
    )
    follow = replace(clips, share=0.28, size=192, batch=96, diameter=(0.07, 0.35), scenery=24, window=128)
    turn = (
        single,
        replace(clips, share=0.1, frames=14, batch=64, diameter=(0.15, 0.45)),
        follow,
        replace(single, share=0.07, size=192, batch=128, diameter=(0.04, 0.9)),
        replace(clips, share=0.12, size=192, batch=56, diameter=(0.12, 0.5), scenery=24),
        replace(follow, share=0.15, frames=14, batch=56),
        clips,
    )
    if not fresh:
        return turn * _TURNS
    opening = [replace(s, share=s.share * _TURNS, batch=256, objects=8) for s in default_stages()[:3]]
    return (*opening, *turn * _TURNS)


def tuning_stages(size: int) -> tuple[Stage, ...]:
    """Return stages for a network that knows its task already: single frames, then clips, all of one size.

    Parameters
    ----------
    size
        Side of the frames, a multiple of 32.
    """
    return (
        Stage(share=0.25, size=size, frames=1, batch=4, objects=3, diameter=(0.15, 0.6)),
        Stage(share=0.75, size=size, frames=6, batch=1, objects=3, diameter=(0.15, 0.6), teacher=0.1),
    )


def correcting_stages(size: int) -> tuple[Stage, ...]:
    """Return the stage of a network that learns corrections alone, in windows of this size.

    Parameters
    ----------
    size
        Side of the windows, a multiple of 32.
    """
    return (
        Stage(
            share=1.0,
            size=size * 3 // 2 // 32 * 32,
            frames=3,
            batch=3,
            objects=6,
            diameter=(0.07, 0.4),
            scenery=24,
            weights=LossWeights(presence=2.0),
            window=size,
            corrections=2,
        ),
    )


def stage_at(stages: Sequence[Stage], progress: float) -> int:
    """Index of the stage at a `progress` between 0 and 1."""
    total = sum(stage.share for stage in stages)
    passed = 0.0
    for index, stage in enumerate(stages):
        passed += stage.share / total
        if progress < passed - 1e-9:
            return index
    return len(stages) - 1


def rate_factor(progress: float, warmup: float, least: float = 0.02) -> float:
    """Factor of the learning rate: a straight rise over `warmup`, then half a cosine down to `least`.

    Parameters
    ----------
    progress
        Elapsed part of the budget, 0 to 1.
    warmup
        Part of the budget in which the rate rises.
    least
        Factor at the end.
    """
    if progress < warmup:
        return (progress + 0.02 * warmup) / (1.02 * warmup)
    rest = (progress - warmup) / max(1 - warmup, 1e-9)
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(rest, 1.0)))
