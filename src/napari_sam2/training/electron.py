"""Sections in an electron microscope: membranes, granular cytoplasm, vesicles, organelles with cristae."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import TILES, Layout
from napari_sam2.training.paint import attached, bell, blur, cloud, grain, local_grid, spots, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

_CELLS = 24


@dataclass(frozen=True)
class _Tissue:
    """Own number (B, T, S, S) and distance in pixels to the membrane of the cell that a pixel is in."""

    cell: Tensor
    seam: Tensor


def paint_electron(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw sections (B, T, S, S): values between 0, black, and 1.

    Where the objects are tiles these are the cells; else the objects are organelles, each in a cell of its
    own that is no object.
    """
    size = shapes.edge.shape[-1]
    tiles = wide(layout.kind == TILES)
    tissue = _draw_tissue(layout, shapes, size, draws)
    thick = (layout.radius * draws.log_uniform(len(tiles), low=0.03, high=0.11)).clamp(0.8, 3.0)
    image = _cytoplasm(layout, tissue, size, draws)
    slow = cloud(layout, layout.radius, draws.uniform(len(tiles), high=0.2), size, draws, fields=2)
    image = _vesicles(image, layout, slow[:, :, 0], size, draws)
    image = _membranes(image, tissue.seam, thick, slow[:, :, 1], draws)
    bodies = _organelles(layout, shapes, thick, draws)
    body = torch.sigmoid(shapes.edge * -2.5) * ~tiles
    return _stain(torch.lerp(image, bodies, body), layout, size, draws)


def _draw_tissue(layout: Layout, shapes: Shapes, size: int, draws: Draws) -> _Tissue:
    """Cells around the organelles, and some more; the objects themselves where they are tiles."""
    batch, frames, count = layout.y.shape
    tiles = wide(layout.kind == TILES)
    if bool(tiles.all()):
        return _Tissue(shapes.nearest, shapes.seam)
    held = min(count, 6)
    more = _CELLS - held
    start = draws.uniform(batch, 1, more, 2, low=-0.1, high=1.1) * size
    walk = draws.normal(batch, frames, more, 2).cumsum(1) * wide(
        layout.radius * draws.uniform(batch, high=0.12)
    )
    aside = wide(layout.radius) * draws.normal(batch, 1, held, 2, scale=0.25)
    own = torch.stack((layout.y[..., :held], layout.x[..., :held]), dim=-1) + aside
    centres = torch.cat((own, start + walk), dim=2)
    room = layout.radius.unsqueeze(1) * draws.uniform(batch, _CELLS, low=0.0, high=0.8)
    # Cells that lie far outside do not count: some tissues are of many small cells, some of few.
    few = draws.chance(0.4, batch, 1) & (torch.arange(_CELLS, device=draws.device) >= _CELLS // 2)
    room = torch.where(few, -1e4, room)
    room[:, :held] += layout.long[:, 0, :held] * 1.1
    warp = cloud(layout, 1.2 * layout.radius, draws.uniform(batch, high=0.4), size, draws, fields=2)
    warp = warp * (0.3 * layout.radius).view(-1, 1, 1, 1, 1)
    line = torch.arange(size, device=draws.device, dtype=torch.float32)
    y, x = warp[:, :, 0] + line.view(-1, 1), warp[:, :, 1] + line
    first, second = torch.full_like(y, 1e6), torch.full_like(y, 1e6)
    index = torch.zeros_like(y, dtype=torch.int64)
    for cell in range(_CELLS):
        dy = y - centres[:, :, cell, 0, None, None]
        dx = x - centres[:, :, cell, 1, None, None]
        distance = dy.square_().addcmul_(dx, dx).sqrt_().sub_(wide(room[:, cell]))
        closer = distance < first
        second = torch.where(closer, first, torch.minimum(second, distance))
        first = torch.minimum(first, distance)
        index.masked_fill_(closer, cell)
    seam = torch.where(tiles, shapes.seam, (second - first) * 0.5)
    return _Tissue(torch.where(tiles, shapes.nearest, index), seam)


def _cytoplasm(layout: Layout, tissue: _Tissue, size: int, draws: Draws) -> Tensor:
    """Bright cells and a few dark ones, with grain of two lengths."""
    batch = len(layout.kind)
    count = max(_CELLS, layout.y.shape[-1])
    base = draws.uniform(batch, 1, 1, low=0.55, high=0.85)
    levels = base + draws.normal(batch, 1, count) * draws.uniform(batch, 1, 1, low=0.01, high=0.09)
    levels = levels - 0.25 * draws.chance(0.12, batch, 1, count)
    rough = grain(layout, size, draws, float(draws.uniform(1, low=2.0, high=5.0)))
    fine, coarse = draws.uniform(2, batch, low=0.03, high=0.15).unbind(0)
    patches = cloud(layout, 0.5 * layout.radius, torch.full_like(fine, 0.6), size, draws)[:, :, 0]
    return pick(levels, tissue.cell) + wide(fine) * rough + wide(0.5 * coarse) * patches


def _vesicles(image: Tensor, layout: Layout, where: Tensor, size: int, draws: Draws) -> Tensor:
    """Small rings in crowds, and dark specks."""
    batch = len(image)
    cell = int(draws.integers(1, low=5, high=12))
    points = spots(layout, size, draws, cell)
    ring = points.distance - wide(draws.uniform(batch, low=0.17, high=0.24) * cell)
    full = draws.chance(0.25, batch)
    dark = torch.where(wide(full), torch.sigmoid(-2 * ring), (-(ring.square()) / 1.1).exp())
    crowd = points.chance < (wide(draws.uniform(batch, low=-0.7, high=0.6)) + 0.5 * where)
    specks = spots(layout, size, draws, 2 * cell + 3)
    speck = (specks.distance < 1.6) & (specks.chance < 0.5)
    amount = draws.sometimes(draws.uniform(batch, low=0.1, high=0.35), 0.8)
    return image - wide(amount) * (dark * crowd + 0.8 * speck)


def _membranes(image: Tensor, seam: Tensor, thick: Tensor, slow: Tensor, draws: Draws) -> Tensor:
    """Dark walls, in places cut obliquely and pale, in places thick and darker still."""
    batch = len(image)
    width = thick * draws.uniform(batch, low=0.8, high=1.4)
    pale = (1 - wide(draws.sometimes(draws.uniform(batch, high=0.7), 0.6)) * slow.clamp(0, 1)).clamp(min=0.1)
    wall = bell(seam, width) * pale
    dense = bell(seam, 3 * width) * (-slow - 1.3).clamp(0, 0.7)
    dark = wide(draws.uniform(batch, low=0.0, high=0.2))
    return torch.lerp(image, dark, (wall * wide(draws.uniform(batch, low=0.75, high=1)) + dense).clamp(max=1))


def _organelles(layout: Layout, shapes: Shapes, thick: Tensor, draws: Draws) -> Tensor:
    """Bodies of a scene's main kind, and some of other kinds: matrix, one or two membranes, cristae."""
    batch, _frames, count = layout.y.shape
    size = shapes.edge.shape[-1]
    grid = local_grid(layout, shapes)
    rare = draws.chance(0.3, batch, 1, count)
    matrix = draws.uniform(batch, 1, 1, low=0.25, high=0.58) + draws.normal(batch, 1, count, scale=0.03)
    matrix = torch.where(rare, draws.uniform(batch, 1, count, low=0.15, high=0.9), matrix)
    amount = draws.uniform(batch, 1, 1, low=0.15, high=0.45) * ~(rare & draws.chance(0.7, batch, 1, count))
    texture = attached(layout, shapes, grid, layout.radius * draws.uniform(batch, low=0.15, high=0.5), draws)
    body = pick(matrix, shapes.nearest) + wide(draws.uniform(batch, low=0.02, high=0.09)) * texture
    rough = grain(layout, size, draws, 3.0) * wide(draws.uniform(batch, low=0.02, high=0.09))
    folds = _cristae(layout, shapes, grid, texture, draws)
    inner = torch.sigmoid((-shapes.edge - 2.2 * wide(thick)) * 1.5)
    body = body + rough - pick(amount, shapes.nearest) * folds * inner
    depth = -shapes.edge / wide(thick)
    double = wide(draws.uniform(batch, low=0.2, high=0.9) * draws.chance(0.8, batch))
    dark = bell(depth - 0.8, torch.full_like(thick, 0.8)) + double * bell(
        depth - 3.0, torch.full_like(thick, 0.7)
    )
    light = bell(depth - 1.9, torch.full_like(thick, 0.5)) * double
    shade = draws.uniform(batch, low=0.2, high=0.45)
    return body - wide(shade) * dark.clamp(max=1) + 0.3 * wide(shade) * light


def _cristae(layout: Layout, shapes: Shapes, grid: Tensor, texture: Tensor, draws: Draws) -> Tensor:
    """Folds along, across or around the body, or tubes cut into dots; -0.5 (pale lumen) to 1 (dark)."""
    batch, frames, count = layout.y.shape
    period = (layout.radius * draws.log_uniform(batch, low=0.16, high=0.5)).clamp(min=2.8)
    tilt = draws.normal(batch, 1, count, scale=0.3) + _quarter_turns(draws, batch, count)
    cos, sin = pick(tilt.cos(), shapes.nearest), pick(tilt.sin(), shapes.nearest)
    along, across = grid[..., 0] * cos + grid[..., 1] * sin, grid[..., 1] * cos - grid[..., 0] * sin
    round_ = shapes.depth.clamp(max=1) * wide(layout.radius)
    shell = wide(draws.chance(0.15, batch))
    turn = 2 * math.pi / wide(period)
    swirl = wide(draws.uniform(batch, low=0.5, high=3.0)) * texture
    shift = draws.normal(batch, frames, count, scale=0.7).cumsum(1) * layout.volume.view(-1, 1, 1)
    phase = turn * torch.where(shell, round_, across) + swirl + pick(shift, shapes.nearest)
    waves = phase.cos()
    dots = waves * (turn * 0.8 * along + swirl).cos()
    waves = torch.where(wide(draws.chance(0.2, batch)), dots, waves)
    sharp = waves.clamp(min=0).square() - 0.5 * (-waves - 0.3).clamp(min=0)
    whole = wide(draws.uniform(batch, low=0.2, high=1.5))
    return sharp * (whole + texture).clamp(0, 1)


def _quarter_turns(draws: Draws, batch: int, count: int) -> Tensor:
    """(B, 1, K) 0 or a quarter turn, mostly the same for a scene."""
    scene = draws.chance(0.5, batch, 1, 1) ^ draws.chance(0.15, batch, 1, count)
    return scene * (math.pi / 2)


def _stain(image: Tensor, layout: Layout, size: int, draws: Draws) -> Tensor:
    """Contrast of the section, and thickness that differs from place to place."""
    batch, frames = layout.y.shape[:2]
    uneven = wide(draws.sometimes(draws.uniform(batch, high=0.08), 0.5)) * blur(
        draws.normal(batch, frames, size, size), 8
    )
    strength = 1 + draws.sometimes(draws.normal(batch, frames, scale=0.12), 0.5).view(batch, frames, 1, 1)
    return (image - 0.5) * strength * wide(draws.uniform(batch, low=0.8, high=1.4)) + 0.5 + uneven
