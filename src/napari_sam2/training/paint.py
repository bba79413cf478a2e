"""What several appearances are painted with: fields, spots, textures that move with their object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.noise import evolving_noise, octave_weights
from napari_sam2.training.shapes import pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout
    from napari_sam2.training.shapes import Shapes


@dataclass(frozen=True)
class Spots:
    """Random points, about one in each cell of a grid.

    Parameters
    ----------
    distance
        (B, T, S, S) pixels to the point of this pixel's cell.
    chance
        (B, T, S, S) a uniform number for each point: whether it is there at all is the painter's choice.
    cell
        Side of a cell in pixels.
    """

    distance: Tensor
    chance: Tensor
    cell: int


def wide(values: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def bell(distance: Tensor, width: Tensor) -> Tensor:
    """exp(-(distance / width)^2) for a width (B,)."""
    return (distance / wide(width)).square_().neg_().exp_()


def cloud(
    layout: Layout, wavelength: Tensor, speed: Tensor, size: int, draws: Draws, fields: int = 1
) -> Tensor:
    """(B, T, fields, S, S) random fields of a wavelength (B,) in pixels; slices of volumes change faster."""
    frames = layout.y.shape[1]
    faster = speed + layout.volume * draws.uniform(len(speed), high=0.3)
    weights = octave_weights(wavelength.clamp(min=2.0), size)
    return evolving_noise(draws, weights, frames, fields, size, faster)


def grain(layout: Layout, size: int, draws: Draws, wavelength: float) -> Tensor:
    """(B, T, S, S) noise of a few pixels that is new on every frame, of about unit variance."""
    batch, frames = layout.y.shape[:2]
    cells = max(4, min(size, round(2 * size / wavelength)))
    noise = draws.normal(batch, frames, cells, cells)
    if cells == size:
        return noise
    return functional.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False) * 1.4


def blur(image: Tensor, factor: int) -> Tensor:
    """Blur (B, T, S, S) over about `factor` pixels, a divisor of the side, by way of a coarser grid."""
    small = functional.avg_pool2d(image, factor)
    small = functional.avg_pool2d(small, 3, stride=1, padding=1, count_include_pad=False)
    return functional.interpolate(small, size=image.shape[-2:], mode="bilinear", align_corners=False)


def spots(layout: Layout, size: int, draws: Draws, cell: int, *, lasting: bool = False) -> Spots:
    """Draw a point in each cell of a grid; new ones on every frame unless they last."""
    batch, frames = layout.y.shape[:2]
    cells = size // cell + 2
    table = draws.uniform(batch, 1 if lasting else frames, 3, cells, cells)
    table = table.expand(-1, frames, -1, -1, -1).repeat_interleave(cell, 3).repeat_interleave(cell, 4)
    top, left = draws.integers(2, low=0, high=cell).tolist()
    y, x, chance = table[..., top : top + size, left : left + size].unbind(2)
    line = torch.arange(size, device=draws.device)
    # A point keeps a quarter of the cell from its sides, so that no spot is cut off.
    dy = ((line + top) % cell).view(-1, 1) + 0.5 - cell * (0.25 + 0.5 * y)
    dx = (line + left) % cell + 0.5 - cell * (0.25 + 0.5 * x)
    return Spots((dy.square_().add_(dx.square_())).sqrt_(), chance, cell)


def local_grid(layout: Layout, shapes: Shapes) -> Tensor:
    """(B, T, S, S, 2) pixels along and across the long axis of the nearest object, from its centre."""
    size = shapes.edge.shape[-1]
    line = torch.arange(size, device=shapes.edge.device, dtype=torch.float32)
    dy = line.view(-1, 1) - pick(layout.y, shapes.nearest)
    dx = line - pick(layout.x, shapes.nearest)
    sin, cos = pick(layout.angle.sin(), shapes.nearest), pick(layout.angle.cos(), shapes.nearest)
    return torch.stack((dx * cos + dy * sin, dy * cos - dx * sin), dim=-1)


def attached(layout: Layout, shapes: Shapes, grid: Tensor, wavelength: Tensor, draws: Draws) -> Tensor:
    """(B, T, S, S) a random field that moves and turns with the object, and slowly changes.

    Parameters
    ----------
    layout, shapes
        The scenes.
    grid
        Of `local_grid`.
    wavelength
        (B,) in pixels.
    draws
        The source of randomness.
    """
    batch, frames, size, _ = shapes.edge.shape
    weights = octave_weights(wavelength.clamp(min=2), size)
    sheet = evolving_noise(draws, weights, 1, 2, size, torch.zeros_like(wavelength))[:, 0]
    places = draws.uniform(2, batch, 1, layout.y.shape[-1], low=-2, high=2)
    offset = torch.stack([pick(place, shapes.nearest) for place in places], dim=-1)
    where = (grid * (2 / size) + offset).view(batch, frames * size, size, 2)
    sampled = functional.grid_sample(sheet, where, padding_mode="reflection", align_corners=False)
    sampled = sampled.view(batch, 2, frames, size, size)
    speed = draws.uniform(batch, high=0.15) + layout.volume * draws.uniform(batch, high=0.4)
    phase = wide(speed) * layout.time.view(batch, frames, 1, 1)
    return sampled[:, 0] * phase.cos() + sampled[:, 1] * phase.sin()


def lines(layout: Layout, size: int, draws: Draws, period: Tensor, width: Tensor) -> Tensor:
    """(B, T, S, S) 0 to 1: bundles of bent filaments, `period` (B,) pixels apart and `width` (B,) wide."""
    batch = len(period)
    angle = wide(math.pi * draws.uniform(batch))
    line = torch.arange(size, device=draws.device, dtype=torch.float32)
    warp = cloud(
        layout, period * draws.uniform(batch, low=1.0, high=3.0), draws.uniform(batch, high=0.1), size, draws
    )
    place = line.view(-1, 1) * angle.sin() + line * angle.cos() + warp[:, :, 0] * wide(period) * 0.6
    turn = place / wide(period)
    off = (turn - turn.round()).abs_() * wide(period)
    return bell(off, width)
