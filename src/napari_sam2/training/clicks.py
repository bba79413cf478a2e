"""Prompts that a user might give, made from the truth; batched, on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2._model.results import Points

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

DEPTH_SIDE = 96
DEPTH_STEPS = 20


@dataclass(frozen=True)
class Targets:
    """The objects to be followed, N of them, each on all T frames of its sequence.

    Parameters
    ----------
    owner
        (N,) int64, the sequence that the object is in.
    truth
        (N, T, S, S) bool.
    valid
        (N,) bool; false where a sequence had no object to choose.
    places
        (N, T, 2) where windows that follow the objects begin, in parts of their sides, rows first; None where
        the frames lie where they are.
    """

    owner: Tensor
    truth: Tensor
    valid: Tensor
    places: Tensor | None = None

    @property
    def present(self) -> Tensor:
        """(N, T) bool, whether the object is on the frame at all."""
        return self.truth.flatten(2).any(2)


def choose_targets(
    labels: Tensor, count: int, draws: Draws, *, least_area: int = 30, whole: bool = False
) -> Targets:
    """Choose `count` different objects of the first frame of each sequence, as far as there are so many.

    Parameters
    ----------
    labels
        (B, T, S, S) integer labels.
    count
        Objects of each sequence. A sequence with fewer gives the same object again.
    draws
        The source of randomness.
    least_area
        Objects with fewer pixels on the first frame are not chosen, unless there is no other.
    whole
        Objects that the border cuts there are chosen after all others.
    """
    batch, _frames, _side, _ = labels.shape
    first = labels[:, 0].flatten(1).long()
    area = torch.zeros(batch, int(labels.max()) + count + 1, device=labels.device)
    area.scatter_add_(1, first, torch.ones_like(first, dtype=area.dtype))
    area[:, 0] = 0
    last = _cut(labels[:, 0], area.shape[1]) if whole else torch.zeros_like(area)
    order = (area >= least_area) * (2 - last + draws.uniform(*area.shape)) + (area > 0) * 0.1 * draws.uniform(
        *area.shape
    )
    rank, ids = order.topk(count, dim=1)
    ids = torch.where(rank >= 1, ids, ids[:, :1])
    owner = torch.arange(batch, device=labels.device).repeat_interleave(count)
    truth = labels[owner] == ids.flatten().view(-1, 1, 1, 1)
    return Targets(owner, truth, rank[:, :1].gt(0).expand(-1, count).flatten())


def _cut(labels: Tensor, count: int) -> Tensor:
    """(B, count) 1 for the labels of (B, S, S) that touch the border, else 0."""
    sides = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    edge = torch.cat(sides, dim=1).long()
    return torch.zeros(len(labels), count, device=labels.device).scatter_(1, edge, 1.0)


def spot_targets(batch: int, count: int, frames: int, size: int, draws: Draws) -> Targets:
    """Choose discs at random places instead of objects, an eighth of the side in radius.

    They teach where a click is: a random start finds that out in a hundred steps from discs, in thousands
    from objects.

    Parameters
    ----------
    batch, count
        Sequences, and discs in each.
    frames, size
        Frames of a sequence and their side.
    draws
        The source of randomness.
    """
    centre = draws.uniform(2, batch * count, 1, 1, 1, low=0, high=size - 1).expand(-1, -1, frames, -1, -1)
    line = torch.arange(size, device=draws.device)
    truth = (line.view(-1, 1) - centre[0]) ** 2 + (line - centre[1]) ** 2 < (size / 8) ** 2
    owner = torch.arange(batch, device=draws.device).repeat_interleave(count)
    return Targets(owner, truth, torch.ones_like(owner, dtype=torch.bool))


def depth(mask: Tensor) -> Tensor:
    """How many erosions a pixel of a mask survives, on a grid of at most 96 cells a side.

    Parameters
    ----------
    mask
        (N, S, S) bool.

    Returns
    -------
    Tensor
        (N, S, S) uint8: 0 outside, larger further in, at most 22.
    """
    side = mask.shape[-1]
    coarse = -(-side // DEPTH_SIDE)
    inner = _coarsen(mask, coarse)
    total = inner.to(torch.uint8)
    for step in range(DEPTH_STEPS):
        # Crosses and squares in turn make the distance nearly round.
        inner = _erode(inner, square=step % 2 == 1)
        total += inner
    full = total.repeat_interleave(coarse, 1).repeat_interleave(coarse, 2)[:, :side, :side]
    return (full + 1) * mask


def _coarsen(mask: Tensor, factor: int) -> Tensor:
    """Return a coarser mask, true for cells that are all inside."""
    if factor == 1:
        return mask
    padding = -mask.shape[-1] % factor
    padded = functional.pad(mask, (0, padding, 0, padding))
    return padded.unflatten(2, (-1, factor)).all(3).unflatten(1, (-1, factor)).all(2)


def _erode(inside: Tensor, *, square: bool) -> Tensor:
    padded = functional.pad(inside, (1, 1, 1, 1))
    rows = padded[:, :-2] & padded[:, 1:-1] & padded[:, 2:]
    if square:
        return rows[:, :, :-2] & rows[:, :, 1:-1] & rows[:, :, 2:]
    return rows[:, :, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]


def click_inside(mask: Tensor, innermost: Tensor, draws: Draws) -> Tensor:
    """Points in masks: the innermost or any.

    Parameters
    ----------
    mask
        (N, S, S) bool.
    innermost
        (N,) bool; where false, the point is any of the mask's.
    draws
        The source of randomness.

    Returns
    -------
    Tensor
        (N, 2) float32 (x, y); any pixel where a mask is empty.
    """
    noise = draws.uniform(*mask.shape)
    score = torch.where(innermost.view(-1, 1, 1), depth(mask) + 0.5 * noise, noise + 0.01) * mask
    return _places(score)


def first_clicks(mask: Tensor, draws: Draws, *, innermost: float = 0.6) -> Points:
    """One positive click in each mask, the innermost point with that probability."""
    inner = draws.chance(innermost, len(mask))
    return Points(click_inside(mask, inner, draws).unsqueeze(1), _labels(mask, 1))


def corrective_clicks(truth: Tensor, predicted: Tensor, draws: Draws, *, innermost: float = 0.6) -> Points:
    """Click into the deepest error: positive where the object was missed, negative where it spilled.

    Parameters
    ----------
    truth, predicted
        (N, S, S) bool.
    draws
        The source of randomness.
    innermost
        Probability of the innermost point of the error instead of any.

    Returns
    -------
    Points
        One point each; a padding point where nothing is wrong.
    """
    missed, spilled = truth & ~predicted, predicted & ~truth
    positive = depth(missed).flatten(1).amax(1) >= depth(spilled).flatten(1).amax(1)
    error = torch.where(positive.view(-1, 1, 1), missed, spilled)
    coords = click_inside(error, draws.chance(innermost, len(truth)), draws)
    labels = torch.where(error.flatten(1).any(1), positive.int(), -1)
    return Points(coords.unsqueeze(1), labels.unsqueeze(1).int())


def boxes(mask: Tensor, draws: Draws, *, jitter: float = 0.08) -> Points:
    """Boxes around masks as two corner points, each side moved by up to `jitter` of the box.

    Parameters
    ----------
    mask
        (N, S, S) bool.
    draws
        The source of randomness.
    jitter
        Largest shift of a side as a fraction of the box's own side.
    """
    side = mask.shape[-1]
    edges = torch.stack([*span(mask.any(1)), *span(mask.any(2))], dim=1)
    left, right, top, bottom = edges.float().unbind(1)
    extent = torch.stack((right - left, bottom - top), 1).repeat(1, 2)
    corners = torch.stack((left, top, right, bottom), 1) + extent * draws.uniform(
        len(mask), 4, low=-jitter, high=jitter
    )
    labels = torch.arange(2, 4, device=mask.device, dtype=torch.int32).expand(len(mask), 2)
    return Points(corners.clamp(-0.5, side).view(-1, 2, 2), labels)


def join(first: Points | None, second: Points) -> Points:
    """Return the points of both, in order."""
    if first is None:
        return second
    return Points(torch.cat((first.coords, second.coords), 1), torch.cat((first.labels, second.labels), 1))


def span(line: Tensor) -> tuple[Tensor, Tensor]:
    """First index and one past the last of the true values of each row, or the whole length."""
    values = line.int()
    return values.argmax(1), line.shape[1] - values.flip(1).argmax(1)


def _labels(mask: Tensor, label: int) -> Tensor:
    return torch.full((len(mask), 1), label, dtype=torch.int32, device=mask.device)


def _places(score: Tensor) -> Tensor:
    index = score.flatten(1).argmax(1)
    width = score.shape[-1]
    return torch.stack((index % width, index // width), 1).float()
