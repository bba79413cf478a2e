"""Fluorescent bodies: chromatin, nucleoli, rims, a dim background, and light from other slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.paint import attached, bell, blur, cloud, lines, local_grid, spots, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout


def paint_fluorescence(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw bright bodies on dark ground (B, T, S, S); where two touch there is hardly a seam."""
    batch, _frames, count = layout.y.shape
    size = shapes.edge.shape[-1]
    contrast = draws.log_uniform(batch, low=0.12, high=0.9)
    own = (draws.normal(batch, 1, count) * draws.uniform(batch, 1, 1, low=0.03, high=0.7)).exp()
    soft = draws.log_uniform(batch, low=0.5, high=1.8)
    soft = soft + layout.radius * draws.sometimes(draws.uniform(batch, high=0.1), 0.4)
    inside = torch.sigmoid(shapes.edge * (-1.6 / wide(soft)))
    seam = bell(shapes.seam, soft) * wide(draws.sometimes(draws.uniform(batch, high=0.7), 0.7))
    body = inside * (1 - seam) * pick(own, shapes.nearest) * _chromatin(layout, shapes, draws)
    return _ground(layout, contrast, size, draws) + wide(contrast) * _out_of_focus(body, layout, draws)


def _chromatin(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Relative brightness within bodies: clumps, bright spots, dark nucleoli, a bright or dim rim."""
    batch = len(layout.kind)
    grid = local_grid(layout, shapes)
    coarse = attached(
        layout, shapes, grid, layout.radius * draws.log_uniform(batch, low=0.3, high=1.0), draws
    )
    fine = attached(layout, shapes, grid, layout.radius * draws.log_uniform(batch, low=0.1, high=0.3), draws)
    clumps = wide(draws.log_uniform(batch, low=0.02, high=0.3)) * coarse
    clumps = clumps + wide(draws.log_uniform(batch, low=0.02, high=0.35)) * fine
    bright = wide(draws.sometimes(draws.uniform(batch, low=0.3, high=1.0), 0.4)) * (fine - 1).clamp(0, 1)
    holes = wide(draws.sometimes(draws.uniform(batch, low=0.3, high=0.8), 0.4))
    holes = holes * torch.sigmoid((-coarse - 1.0) * 6)
    depth = shapes.depth.clamp(max=1.2)
    dome = wide(draws.uniform(batch, low=-0.2, high=0.4)) * (0.5 - depth.square())
    rim = wide(draws.sometimes(draws.uniform(batch, high=0.5), 0.3)) * bell(
        depth - 0.9, torch.full((batch,), 0.1, device=depth.device)
    )
    return (1 + clumps + bright - holes + dome + rim).clamp(min=0.05)


def _out_of_focus(body: Tensor, layout: Layout, draws: Draws) -> Tensor:
    """In volumes the blurred light of the slices above and below, which outlasts the body."""
    batch, frames = body.shape[:2]
    frame = torch.arange(frames, device=body.device)
    apart = (frame.view(-1, 1) - frame).abs()
    reach = draws.uniform(batch, 1, 1, low=0.7, high=4)
    kernel = (-apart / reach).exp() * (apart > 0)
    mixed = torch.einsum("bts,bshw->bthw", kernel, blur(body, 4))
    glow = blur(mixed, 8) / (2 * reach.unsqueeze(3))
    share = wide(draws.sometimes(draws.uniform(batch, low=0.1, high=0.7), 0.8) * layout.volume)
    return body + share * glow


def _ground(layout: Layout, contrast: Tensor, size: int, draws: Draws) -> Tensor:
    """Offset, clouds of cytoplasm, filaments and debris."""
    batch = len(contrast)
    offset = wide(draws.uniform(batch, low=0.0, high=0.12))
    length = layout.radius * draws.log_uniform(batch, low=0.5, high=3.0)
    clouds = cloud(layout, length, draws.uniform(batch, high=0.1), size, draws)[:, :, 0]
    haze = wide(contrast * draws.log_uniform(batch, low=0.02, high=0.4)) * (clouds + 0.5).clamp(min=0)
    threads = wide(contrast * draws.sometimes(draws.uniform(batch, low=0.1, high=0.7), 0.15))
    if bool((threads > 0).any()):
        period = layout.radius * draws.uniform(batch, low=0.4, high=1.5)
        threads = threads * lines(layout, size, draws, period, draws.uniform(batch, low=0.7, high=1.6))
    points = spots(layout, size, draws, int(draws.integers(1, low=10, high=30)), lasting=True)
    bright = (points.chance < 0.15) * wide(contrast * draws.sometimes(draws.uniform(batch, high=1.5), 0.3))
    return offset + haze + threads + bright * bell(points.distance, draws.uniform(batch, low=0.7, high=2))
