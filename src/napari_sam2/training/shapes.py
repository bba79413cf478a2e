"""Label maps from a layout: which object a pixel belongs to, and how far it is from the edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import NEVER, TILES, Layout
from napari_sam2.training.noise import evolving_noise, octave_weights

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws


@dataclass(frozen=True)
class Shapes:
    """Label maps and the distances that the appearance is made from, each (B, T, S, S).

    Parameters
    ----------
    labels
        int32, 0 outside all objects, k + 1 for object k of the layout.
    nearest
        int64, the object k that this pixel is in or nearest to.
    depth
        Normalised distance: 0 in the centre of the nearest object, 1 at its edge.
    edge
        Distance in pixels, about, to the edge of the nearest object, negative inside.
    seam
        Distance in pixels, about, to the border between the two nearest objects.
    """

    labels: Tensor
    nearest: Tensor
    depth: Tensor
    edge: Tensor
    seam: Tensor


@dataclass(frozen=True)
class _Nearest:
    first: Tensor
    second: Tensor
    index: Tensor


def draw_shapes(layout: Layout, size: int, draws: Draws) -> Shapes:
    """Draw the label maps of a layout; coordinates are warped so that no outline is exact."""
    y, x = _warped_grid(layout, size, draws)
    found = _nearest(layout, y, x)
    scale = pick(layout.short, found.index)
    depth = found.first.sqrt()
    seam = (found.second.sqrt() - depth) * scale * 0.5
    edge = (depth - 1) * scale
    gap = draws.sometimes(draws.uniform(len(layout.kind), 1, 1, 1, high=1.2), 0.6)
    tiles = (layout.kind == TILES).view(-1, 1, 1, 1)
    inside = (tiles | (depth < 1)) & (seam >= gap) & (found.first < NEVER / 2)
    labels = torch.where(inside, found.index + 1, 0).int()
    return Shapes(labels, found.index, depth.clamp(max=50), edge.clamp(max=1e4), seam.clamp(max=1e4))


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Look up the value (B, T or 1, K) of the object that each pixel (B, T, S, S) is nearest to."""
    batch, frames, height, width = index.shape
    table = values.expand(batch, frames, values.shape[-1])
    return table.gather(2, index.flatten(2)).view(batch, frames, height, width)


def _warped_grid(layout: Layout, size: int, draws: Draws) -> tuple[Tensor, Tensor]:
    batch, frames, _ = layout.y.shape
    weights = octave_weights(layout.radius * draws.uniform(batch, low=0.5, high=2.0), size)
    speed = draws.uniform(batch, high=0.25)
    amount = (layout.radius * draws.uniform(batch, low=0.02, high=0.16)).view(-1, 1, 1, 1, 1)
    warp = evolving_noise(draws, weights, frames, 2, size, speed) * amount
    line = torch.arange(size, device=draws.device, dtype=torch.float32)
    return warp[:, :, 0] + line.view(-1, 1), warp[:, :, 1] + line


def _nearest(layout: Layout, y: Tensor, x: Tensor) -> _Nearest:
    """Find the two smallest normalised squared distances, one object at a time to keep the memory small."""
    first, second = torch.full_like(y, NEVER), torch.full_like(y, NEVER)
    index = torch.zeros_like(y, dtype=torch.int64)
    for k in range(layout.y.shape[-1]):
        square = _square_distance(layout, k, y, x)
        closer = square < first
        second = torch.where(closer, first, torch.minimum(second, square))
        first = torch.minimum(first, square)
        index.masked_fill_(closer, k)
    return _Nearest(first, second, index)


def _square_distance(layout: Layout, k: int, y: Tensor, x: Tensor) -> Tensor:
    def part(values: Tensor) -> Tensor:
        return values[..., k].unsqueeze(-1).unsqueeze(-1)

    sin, cos = part(layout.angle).sin(), part(layout.angle).cos()
    cy, cx = part(layout.y), part(layout.x)
    along = torch.addcmul(x * cos - (cx * cos + cy * sin), y, sin)
    across = torch.addcmul(y * cos - (cy * cos - cx * sin), x, -sin)
    across.addcmul_(along.square(), layout.bend[:, k].view(-1, 1, 1, 1))
    along.abs_().sub_(part(layout.core)).clamp_(min=0).div_(part(layout.long))
    across.div_(part(layout.short))
    return along.square_().addcmul_(across, across).add_(part(layout.lift))
