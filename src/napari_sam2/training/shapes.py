"""Label maps from a layout: which object a pixel belongs to, and how far it is from the edges."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import NEVER, ORGANELLES, RODS, TILES, Layout
from napari_sam2.training.noise import evolving_noise, octave_weights

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

_JOIN = 0.35  # how softly a lobe flows into its body


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

    def rows(self, index: Tensor) -> Shapes:
        """Return the scenes of an index alone."""
        return Shapes(**{part.name: getattr(self, part.name)[index] for part in fields(self)})


@dataclass(frozen=True)
class _Grid:
    y: Tensor
    x: Tensor


@dataclass(frozen=True)
class _Nearest:
    first: Tensor
    second: Tensor
    index: Tensor


def draw_shapes(layout: Layout, size: int, draws: Draws) -> Shapes:
    """Draw the label maps of a layout; coordinates are warped so that no outline is exact."""
    grid = _warped_grid(layout, size, draws)
    found = _nearest(layout, grid)
    scale = pick(layout.short, found.index)
    depth = found.first.sqrt()
    seam = (found.second.sqrt() - depth) * scale * 0.5
    edge = (depth - 1) * scale
    tiles = layout.kind == TILES
    gap = draws.sometimes(draws.uniform(len(tiles), high=1.0), 0.4) * ~tiles
    inside = (tiles.view(-1, 1, 1, 1) | (depth < 1)) & (found.first < NEVER / 2)
    inside &= seam >= gap.view(-1, 1, 1, 1)
    inside &= pick(layout.target.unsqueeze(1), found.index)
    labels = torch.where(inside, found.index + 1, 0).int()
    return Shapes(labels, found.index, depth.clamp(max=50), edge.clamp(max=1e4), seam.clamp(max=1e4))


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Look up the value (B, T or 1, K) of the object that each pixel (B, T, S, S) is nearest to."""
    batch, frames, height, width = index.shape
    table = values.expand(batch, frames, values.shape[-1])
    return table.gather(2, index.flatten(2)).view(batch, frames, height, width)


def _warped_grid(layout: Layout, size: int, draws: Draws) -> _Grid:
    batch, frames, _ = layout.y.shape
    weights = octave_weights(layout.radius * draws.uniform(batch, low=0.5, high=2.0), size)
    sections = (layout.kind == ORGANELLES) & layout.volume
    speed = draws.uniform(batch, high=0.25) + sections * draws.uniform(batch, high=0.5)
    amount = layout.radius * draws.uniform(batch, low=0.02, high=0.18)
    amount = amount * torch.where(layout.kind == RODS, 0.6, 1.0)
    warp = evolving_noise(draws, weights, frames, 2, size, speed) * amount.view(-1, 1, 1, 1, 1)
    line = torch.arange(size, device=draws.device, dtype=torch.float32)
    return _Grid(warp[:, :, 0] + line.view(-1, 1), warp[:, :, 1] + line)


def _nearest(layout: Layout, grid: _Grid) -> _Nearest:
    """Find the two smallest normalised squared distances, one object at a time to keep the memory small."""
    first, second = torch.full_like(grid.y, NEVER), torch.full_like(grid.y, NEVER)
    index = torch.zeros_like(grid.y, dtype=torch.int64)
    for k in range(layout.y.shape[-1]):
        square = _square_distance(layout, k, grid)
        if k < layout.lobes.shape[-1]:
            square = _join(square, _square_to_lobe(layout, k, grid))
        closer = square < first
        second = torch.where(closer, first, torch.minimum(second, square))
        first = torch.minimum(first, square)
        index.masked_fill_(closer, k)
    return _Nearest(first, second, index)


def _part(values: Tensor) -> Tensor:
    return values.unsqueeze(-1).unsqueeze(-1)


def _square_distance(layout: Layout, k: int, grid: _Grid) -> Tensor:
    y, x = grid.y, grid.x
    sin, cos = _part(layout.angle[..., k].sin()), _part(layout.angle[..., k].cos())
    cy, cx = _part(layout.y[..., k]), _part(layout.x[..., k])
    along = torch.addcmul(x * cos - (cx * cos + cy * sin), y, sin)
    across = torch.addcmul(y * cos - (cy * cos - cx * sin), x, -sin)
    across.addcmul_(along.square(), layout.bend[:, k].view(-1, 1, 1, 1))
    along.abs_().sub_(_part(layout.core[..., k])).clamp_(min=0).div_(_part(layout.long[..., k]))
    across.div_(_part(layout.short[..., k]))
    return along.square_().addcmul_(across, across).add_(_part(layout.lift[..., k]))


def _square_to_lobe(layout: Layout, k: int, grid: _Grid) -> Tensor:
    y, x, axis, lift = (_part(values) for values in layout.lobes[..., k].unbind(2))
    square = (grid.y - y).square_().addcmul_(grid.x - x, grid.x - x)
    return square.div_(axis.square()).add_(lift)


def _join(body: Tensor, lobe: Tensor) -> Tensor:
    """Smooth minimum, so that a lobe grows out of its body instead of leaning on it."""
    near = (body - lobe).abs().div_(-_JOIN).add_(1).clamp_(min=0)
    return torch.minimum(body, lobe).addcmul_(near, near, value=-_JOIN / 4).clamp_(min=0)
