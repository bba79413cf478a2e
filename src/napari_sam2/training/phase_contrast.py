"""Phase contrast: dark bodies, bright halos around them, and less of both inside a crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.paint import attached, bell, blur, cloud, local_grid, spots, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout


def paint_phase_contrast(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw phase contrast images (B, T, S, S); the border of a body is where its halo begins."""
    batch, size = len(layout.kind), shapes.edge.shape[-1]
    thin = layout.short[:, 0, 0]
    soft = draws.log_uniform(batch, low=0.4, high=1.6)
    inside = torch.sigmoid(shapes.edge * (-1.8 / wide(soft)))
    split = bell(shapes.seam, soft + 0.05 * thin) * wide(draws.uniform(batch, low=0.2, high=1.0))
    solid = inside * (1 - split * (shapes.edge < 0.5 * wide(thin)))
    depth = wide(draws.log_uniform(batch, low=0.15, high=0.6))
    image = _ground(layout, size, draws) - depth * solid * _body(layout, shapes, draws)
    near = bell(shapes.edge.clamp(min=0), (thin * draws.uniform(batch, low=0.2, high=0.9)).clamp(min=1.0))
    glow = _glow(batch, draws)
    fringe = wide(glow) * near * (1 - solid)
    wave = 0.15 * (shapes.edge * wide(2.5 / thin.clamp(min=2))).cos() * bell(shapes.edge, 3 * thin)
    far = _lowpass(solid, thin) * wide(draws.uniform(batch, low=0.1, high=0.8) * glow.clamp(min=1).sqrt())
    light = depth * (fringe + far * (1 - 0.6 * solid) + wave * (1 - solid))
    # A camera is set so that the brightest halos fit: next to strong ones the ground is dark, bodies black.
    image = (image.clamp(min=0) + light) / (1 + depth * wide((glow - 1).clamp(min=0)))
    return torch.where(wide(draws.chance(0.1, batch)), 1 - image, image)


def _glow(batch: int, draws: Draws) -> Tensor:
    """(B,) how bright halos are beside the darkness of bodies: faint, or far beyond it."""
    faint, strong = draws.uniform(batch, low=0.1, high=0.9), draws.log_uniform(batch, low=0.8, high=5.0)
    return torch.where(draws.chance(0.45, batch), strong, faint)


def _lowpass(solid: Tensor, thin: Tensor) -> Tensor:
    """Light that the phase ring lets through around large structures."""
    near, far = blur(solid, 4), blur(solid, 8)
    return torch.lerp(near, far, wide(((thin - 3) / 8).clamp(0, 1)))


def _body(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Relative darkness of bodies: own level, darker or paler middle, granules, nucleoids."""
    batch, _frames, count = layout.y.shape
    level = 1 + draws.normal(batch, 1, count) * draws.uniform(batch, 1, 1, low=0.0, high=0.18)
    dome = wide(draws.uniform(batch, low=-0.5, high=0.35)) * (0.4 - shapes.depth.clamp(max=1).square())
    length = layout.short[:, 0, 0] * draws.uniform(batch, low=0.5, high=2.0)
    texture = attached(layout, shapes, local_grid(layout, shapes), length, draws)
    return pick(level, shapes.nearest) + dome + wide(draws.uniform(batch, low=0.0, high=0.15)) * texture


def _ground(layout: Layout, size: int, draws: Draws) -> Tensor:
    """Grey agar with slow clouds, a faint mottle and dust."""
    batch = len(layout.kind)
    level = wide(draws.uniform(batch, low=0.4, high=0.75))
    slow = cloud(layout, 3 * layout.radius, draws.uniform(batch, high=0.05), size, draws)[:, :, 0]
    fine = cloud(layout, draws.uniform(batch, low=2, high=6), draws.uniform(batch, high=0.3), size, draws)
    mottle = (
        wide(draws.uniform(batch, high=0.05)) * slow + wide(draws.uniform(batch, high=0.03)) * fine[:, :, 0]
    )
    dust = spots(layout, size, draws, int(draws.integers(1, low=16, high=40)), lasting=True)
    rare = (dust.chance < 0.12) * wide(draws.sometimes(draws.normal(batch, scale=0.15), 0.4))
    return level + mottle + rare * bell(dust.distance, draws.uniform(batch, low=1, high=3))
