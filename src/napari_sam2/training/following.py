"""Clips in windows that follow their objects, one each, as a tracker sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sam2.training.clicks import Targets, span
from napari_sam2.training.synthetic import SyntheticBatch
from napari_sam2.window import WindowRules

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.training.draws import Draws


@dataclass(frozen=True)
class FollowRules:
    """How windows are made and when they move.

    Parameters
    ----------
    factor
        Smallest and largest side of a window over the extent of its object on the first frame; the tracker's
        lie between.
    off
        How far off the middle an object may be there, in parts of the side.
    drift
        A window is kept while its object is no further off than this.
    smallest
        Least side in pixels of the frames.
    """

    factor: tuple[float, float] = (1.8, 3.5)
    off: float = 0.15
    drift: float = WindowRules.drift
    smallest: float = WindowRules.smallest


@dataclass(frozen=True)
class Followed:
    """Clips of one object each.

    Parameters
    ----------
    made
        Images (N, T, 3, S, S) and labels (N, T, S, S) of N objects, labelled 1 each.
    targets
        The same objects, and where their windows lie.
    """

    made: SyntheticBatch
    targets: Targets


@torch.no_grad()
def follow(
    made: SyntheticBatch, targets: Targets, side: int, draws: Draws, rules: FollowRules | None = None
) -> Followed:
    """Cut a window about each object out of its frames.

    A window keeps its size. It moves to where its object was on the frame before, once that is far enough
    from its middle, and stays inside of the frame.

    Parameters
    ----------
    made
        Frames (B, T, 3, S, S) with their labels.
    targets
        N objects in them.
    side
        That windows are resampled to.
    draws
        The source of randomness.
    rules
        How windows are made and when they move.
    """
    starts, lengths = _windows(targets, rules or FollowRules(), draws)
    # Half precision is too coarse for what is resampled.
    with torch.autocast(made.images.device.type, enabled=False):
        rows, columns = (_weights(starts[..., axis], lengths, made.images.shape[-1], side) for axis in (0, 1))
        images = _resampled(made.images[targets.owner], rows.unsqueeze(2), columns.unsqueeze(2))
        truth = _resampled(targets.truth.float(), rows, columns) >= 0.5
    owner = torch.arange(len(truth), device=truth.device)
    places = starts / lengths.view(-1, 1, 1)
    return Followed(
        SyntheticBatch(images, truth.int()),
        Targets(owner, truth, targets.valid & truth[:, 0].any((1, 2)), places),
    )


def _windows(targets: Targets, rules: FollowRules, draws: Draws) -> tuple[Tensor, Tensor]:
    """Upper left corners (N, T, 2) and sides (N,) of windows, in pixels."""
    low, high = _spans(targets.truth)
    centre, extent = (low + high) / 2, (high - low)[:, 0].amax(1)
    size = targets.truth.shape[-1]
    factor = draws.log_uniform(len(extent), low=rules.factor[0], high=rules.factor[1])
    length = (extent * factor).clamp(min=min(rules.smallest, size), max=size)
    half, seen = length.unsqueeze(1) / 2, targets.present
    start = centre[:, 0] - half + draws.uniform(len(extent), 2, low=-rules.off, high=rules.off) * 2 * half
    starts = [_inside(start, length, size)]
    for frame in range(1, targets.truth.shape[1]):
        wanted = _inside(centre[:, frame - 1] - half, length, size)
        off = (centre[:, frame - 1] - starts[-1] - half).abs().amax(1) > rules.drift * length
        starts.append(torch.where((off & seen[:, frame - 1]).unsqueeze(1), wanted, starts[-1]))
    return torch.stack(starts, 1), length


def _spans(truth: Tensor) -> tuple[Tensor, Tensor]:
    """First row and column of each mask, and one past the last; (N, T, 2) float32."""
    edges = [[edge.view(truth.shape[:2]) for edge in span(truth.flatten(0, 1).any(axis))] for axis in (2, 1)]
    low, high = (torch.stack([axis[end] for axis in edges], -1).float() for end in (0, 1))
    return low, high


def _inside(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Move windows into their frames."""
    return torch.minimum(start.clamp(min=0), (size - length).unsqueeze(1))


def _weights(start: Tensor, length: Tensor, size: int, side: int) -> Tensor:
    """(N, T, side, size) what the pixels of a frame are to those of a window, along one axis.

    A triangle as wide as the coarser pixels.
    """
    scale = (length / side).view(-1, 1, 1, 1)
    cells = torch.arange(side, device=start.device).view(1, 1, -1, 1) + 0.5
    pixels = torch.arange(size, device=start.device) + 0.5
    distance = (start[..., None, None] + cells * scale - pixels).abs() / scale.clamp(min=1)
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)


def _resampled(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return rows @ values @ columns.mT
