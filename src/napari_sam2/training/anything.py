"""Any appearance: objects that differ from their surroundings in level, texture, rim or seam alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import TILES
from napari_sam2.training.paint import attached, bell, cloud, lines, local_grid, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout


@dataclass(frozen=True)
class _Levels:
    background: Tensor
    objects: Tensor
    dark: Tensor
    contrast: Tensor


def paint_anything(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw scenes (B, T, S, S) in which every choice is free of every other."""
    batch = len(layout.kind)
    levels = _draw_levels(layout, draws)
    soft = draws.log_uniform(batch, low=0.35, high=1.5)
    soft = soft + layout.radius * draws.sometimes(draws.uniform(batch), 0.3) * 0.12
    inside = torch.sigmoid(shapes.edge * (-1.6 / wide(soft)))
    inside = torch.where(wide(layout.kind == TILES), 1.0, inside)
    image = torch.lerp(_ground(layout, shapes, levels, draws), _body(layout, shapes, levels, draws), inside)
    image = image + (1 - inside) * _halo(shapes, levels, draws)
    return image + _walls(layout, shapes, inside, levels, draws)


def _draw_levels(layout: Layout, draws: Draws) -> _Levels:
    """Grey values: objects brighter or darker than the background, sometimes hardly different."""
    batch, count = len(layout.kind), layout.y.shape[-1]
    dark = draws.chance(0.4, batch)
    low = torch.where(
        dark, draws.uniform(batch, low=0.05, high=0.45), draws.uniform(batch, low=0.0, high=0.25)
    )
    contrast = draws.log_uniform(batch, low=0.1, high=0.75)
    high = (low + contrast).clamp(max=1.0)
    background, level = torch.where(dark, high, low), torch.where(dark, low, high)
    alike = draws.normal(batch, 1, count) * draws.uniform(batch, 1, 1, high=0.3)
    objects = level.view(-1, 1, 1) + alike * (level - background).view(-1, 1, 1)
    return _Levels(background, objects, dark, (level - background).abs())


def _body(layout: Layout, shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    """Draw the inside of objects: own level, dome or hollow, and a texture that moves with the object."""
    batch = len(layout.kind)
    dome = draws.sometimes(draws.uniform(batch, low=-0.4, high=0.5), 0.5)
    amount = draws.sometimes(draws.log_uniform(batch, low=0.05, high=0.6), 0.85)
    grid = local_grid(layout, shapes)
    field = attached(
        layout, shapes, grid, layout.radius * draws.log_uniform(batch, low=0.12, high=0.8), draws
    )
    texture = _texture(field, grid, layout, draws) * wide(amount * levels.contrast.clamp(min=0.15))
    bulge = wide(dome * levels.contrast) * (0.5 - shapes.depth.clamp(max=1).square())
    return pick(levels.objects, shapes.nearest) + bulge + texture


def _texture(field: Tensor, grid: Tensor, layout: Layout, draws: Draws) -> Tensor:
    """Clouds, bright or dark spots, or stripes."""
    batch = len(field)
    kind = wide(draws.pick((0.5, 0.3, 0.2), batch))
    sign = wide(draws.chance(0.5, batch) * 2.0 - 1)
    spotted = 2 * sign * (field.abs() - 0.8).clamp(min=0)
    period = (layout.radius * draws.uniform(batch, low=0.25, high=0.6)).clamp(min=2.5)
    stripes = torch.sin(grid[..., 1] * wide(2 * math.pi / period) + field)
    return torch.where(kind == 0, field, torch.where(kind == 1, spotted, stripes))


def _ground(layout: Layout, shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    """Background: smooth clouds, a maze of thin walls, filaments, or specks."""
    batch, size = len(layout.kind), shapes.edge.shape[-1]
    length = layout.radius * draws.log_uniform(batch, low=0.2, high=2)
    still = draws.sometimes(draws.uniform(batch, high=0.1), 0.5)
    fields = cloud(layout, length.clamp(min=3), still, size, draws, fields=2)
    span = levels.contrast.clamp(min=0.1)
    toward = span * torch.where(levels.dark, -1.0, 1.0)
    clouds = wide(draws.log_uniform(batch, low=0.01, high=0.35) * span) * fields[:, :, 0]
    ridge = bell(fields[:, :, 1], draws.uniform(batch, low=0.08, high=0.25))
    maze = wide(draws.sometimes(draws.uniform(batch, low=0.3, high=1.0), 0.2) * toward) * ridge
    specks = wide(draws.sometimes(draws.uniform(batch, low=0.3, high=1.5), 0.2) * toward)
    threads = wide(draws.sometimes(draws.uniform(batch, low=0.2, high=1.0), 0.2) * toward)
    if bool((threads != 0).any()):
        period = layout.radius * draws.uniform(batch, low=0.4, high=2.0)
        threads = threads * lines(layout, size, draws, period, draws.uniform(batch, low=0.7, high=1.8))
    return wide(levels.background) + clouds + maze + specks * (fields[:, :, 0] - 1.8).clamp(0, 0.7) + threads


def _halo(shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    """Draw a bright fringe around dark objects, or a glow around bright ones."""
    batch = len(levels.contrast)
    strength = draws.sometimes(draws.uniform(batch, low=0.2, high=1.0), 0.3) * levels.contrast
    width = draws.log_uniform(batch, low=1.0, high=6.0)
    sign = torch.where(levels.dark, 1.0, 0.5)
    return wide(strength * sign) * (shapes.edge.clamp(min=0) / -wide(width)).exp()


def _walls(layout: Layout, shapes: Shapes, inside: Tensor, levels: _Levels, draws: Draws) -> Tensor:
    """Walls between tiles, rims of single objects, seams where two touch."""
    batch = len(layout.kind)
    tiles = layout.kind == TILES
    sign = torch.where(draws.chance(0.75, batch) ^ levels.dark, 1.0, -1.0)
    width = draws.log_uniform(batch, low=0.7, high=2.0)
    width = width + draws.sometimes(draws.uniform(batch, high=0.12), 0.5) * layout.radius
    wall = torch.where(tiles, draws.uniform(batch, low=0.2, high=0.9), 0.0) * sign
    rim = draws.sometimes(draws.uniform(batch, low=-0.5, high=0.6), 0.35) * ~tiles
    seam = draws.sometimes(draws.uniform(batch, low=0.1, high=0.8), 0.7) * ~tiles
    seam = seam * torch.where(levels.dark, 0.6, -0.6) * levels.contrast
    close = bell(shapes.seam, width) * (wide(wall) + wide(seam) * inside)
    # The rim lies within the object: its outer side is the border that the labels follow.
    at_edge = bell(shapes.edge + wide(width), width)
    return close + wide(rim * levels.contrast.clamp(min=0.25)) * at_edge
