"""Tissue with stained membranes: bright walls around dark cells, or the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import TILES
from napari_sam2.training.paint import attached, bell, cloud, local_grid, spots, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout


def paint_membranes(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw tissue (B, T, S, S): walls of two widths, faint and missing ones, cytoplasm, vacuoles, nuclei."""
    batch, _frames, count = layout.y.shape
    size = shapes.edge.shape[-1]
    dark = draws.uniform(batch, low=0.02, high=0.25)
    bright = dark + draws.log_uniform(batch, low=0.15, high=0.75)
    span = bright - dark
    level = dark.view(-1, 1, 1) + draws.normal(batch, 1, count, scale=0.12).abs() * span.view(-1, 1, 1) * (
        draws.uniform(batch, 1, 1)
    )
    fields = cloud(layout, layout.radius, draws.uniform(batch, high=0.15), size, draws, fields=2)
    image = pick(level, shapes.nearest) + _cytoplasm(layout, shapes, draws) * wide(span)
    wall = _walls(layout, shapes, fields[:, :, 0], draws)
    image = torch.lerp(image, wide(bright) * (1 + 0.2 * fields[:, :, 1]), wall)
    beside = ~pick(layout.target.unsqueeze(1), shapes.nearest)
    image = torch.where(beside, wide(dark) * 0.7 + wall * wide(0.8 * span), image)
    return torch.where(wide(draws.chance(0.15, batch)), 1 - image, image)


def _walls(layout: Layout, shapes: Shapes, field: Tensor, draws: Draws) -> Tensor:
    """0 to 1: how much of a pixel is wall; a wide dim skirt lies around a narrow bright core."""
    batch = len(layout.kind)
    radius = layout.radius
    narrow = (radius * draws.log_uniform(batch, low=0.03, high=0.16)).clamp(min=0.8)
    broad = narrow * draws.uniform(batch, low=2.0, high=4.0)
    # Objects that do not tile the plane have their membrane at the edge.
    tiles = wide(layout.kind == TILES)
    distance = torch.where(tiles, shapes.seam, torch.minimum(shapes.edge.abs(), shapes.seam))
    thick = (1 + 0.4 * field).clamp(0.4, 2.0)
    core = bell(distance / thick, narrow)
    skirt = bell(distance, broad) * wide(draws.sometimes(draws.uniform(batch, low=0.1, high=0.5), 0.6))
    faint = wide(draws.sometimes(draws.uniform(batch, low=0.2, high=0.9), 0.6))
    kept = (1 - faint * (field * 0.9).clamp(0, 1)).clamp(min=0.05)
    return (core * kept + skirt).clamp(max=1)


def _cytoplasm(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Haze, granules, and now and then a nucleus or vacuole that is brighter or darker."""
    batch, size = len(layout.kind), shapes.edge.shape[-1]
    length = layout.radius * draws.log_uniform(batch, low=0.12, high=1.0)
    texture = attached(layout, shapes, local_grid(layout, shapes), length, draws)
    haze = wide(draws.log_uniform(batch, low=0.01, high=0.2)) * texture
    points = spots(layout, size, draws, int(draws.integers(1, low=6, high=16)))
    dots = (points.chance < 0.3) * wide(draws.sometimes(draws.uniform(batch, low=0.1, high=0.5), 0.3))
    core = torch.sigmoid((wide(draws.uniform(batch, low=0.3, high=0.6)) - shapes.depth) * 8)
    core = core * wide(draws.sometimes(draws.normal(batch, scale=0.3), 0.25))
    return haze + dots * bell(points.distance, draws.uniform(batch, low=0.8, high=1.8)) + core
