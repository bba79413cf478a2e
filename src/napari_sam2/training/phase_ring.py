"""Phase contrast as a microscope makes it: thickness that delays light, less its low frequencies, and walls.

Where light passes a body it is late by the body's thickness. The ring in the objective makes darkness of
that, but lets through some of the light that the body hardly deflects, too: low frequencies are missing in
the image, and what is left are halos, and bright gaps in a crowd (as a convolution: Yin, Kanade and Chen,
*Medical Image Analysis* 16, 2012; bacteria drawn by it: Hardo, Noka and Bakshi, *BMC Biology* 20, 2022).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.paint import attached, bell, cloud, local_grid, wide
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout

_MARGIN = 4  # a fraction of the side that is added, so that no halo comes round to the other side


class _Walls(NamedTuple):
    """Their light, and how much of a pixel is theirs, both (B, T, S, S)."""

    level: Tensor
    share: Tensor


def paint_phase_ring(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw phase contrast images (B, T, S, S) by way of the optics; soft as small bodies are."""
    batch = len(layout.kind)
    thin = layout.short[:, 0, 0]
    dark = _through_ring(_thickness(layout, shapes, draws), thin, draws)
    image = _ground(layout, shapes, draws) - wide(draws.log_uniform(batch, low=0.2, high=1.1)) * dark
    walls = _walls(layout, shapes, draws)
    image = torch.lerp(image, walls.level, walls.share)
    return torch.where(wide(draws.chance(0.08, batch)), 1 - image, image).clamp(min=0)


def _thickness(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """How late the light is: the height of round or flat bodies, each with its own density and texture."""
    batch, _frames, count = layout.y.shape
    flat = wide(draws.log_uniform(batch, low=0.3, high=1.2))
    height = (1 - shapes.depth.square()).clamp(min=0).pow(flat / 2)
    spread = draws.uniform(batch, 1, 1, high=0.2)
    density = 1 + draws.normal(batch, 1, count) * spread
    thin = layout.short[:, 0, 0]
    texture = attached(
        layout, shapes, local_grid(layout, shapes), thin * draws.uniform(batch, low=0.5, high=2.5), draws
    )
    touching = (1 - bell(shapes.seam, 0.15 * thin + 0.3)).sqrt()
    joined = torch.lerp(torch.ones_like(height), touching, wide(draws.uniform(batch)))
    uneven = 1 + wide(draws.uniform(batch, high=0.2)) * texture
    return height * joined * pick(density, shapes.nearest) * uneven


def _through_ring(late: Tensor, thin: Tensor, draws: Draws) -> Tensor:
    """Blur with the resolution, and take away what is coarser than a few bodies: halos are what is left."""
    batch, size = len(thin), late.shape[-1]
    margin = size // _MARGIN
    padded = functional.pad(late, (margin,) * 4, mode="replicate")
    frequency = _frequencies(padded)
    resolution = thin * draws.log_uniform(batch, low=0.08, high=0.45)
    sharp = (-2 * (math.pi * wide(resolution) * frequency).square()).exp()
    coarse = 2 * math.pi * wide(thin * draws.log_uniform(batch, low=0.6, high=3.5)) * frequency
    # The steeper the ring's edge, the more fringes there are beside a halo.
    steep = wide(draws.pick((0.4, 0.4, 0.2), batch) + 1.0)
    missing = wide(draws.uniform(batch, low=0.4, high=1.15)) * (-(coarse / 1.2).pow(2 * steep)).exp()
    image = torch.fft.irfft2(torch.fft.rfft2(padded) * sharp * (1 - missing), s=padded.shape[-2:])
    return image[..., margin:-margin, margin:-margin]


def _frequencies(image: Tensor) -> Tensor:
    """(S, S // 2 + 1) cycles per pixel."""
    side = image.shape[-1]
    y = torch.fft.fftfreq(side, device=image.device)
    return (y.view(-1, 1).square() + torch.fft.rfftfreq(side, device=image.device).square()).sqrt()


def _ground(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Draw grey medium with faint, slow clouds."""
    batch, size = len(layout.kind), shapes.edge.shape[-1]
    slow = cloud(layout, 3 * layout.radius, draws.uniform(batch, high=0.05), size, draws)[:, :, 0]
    return wide(draws.uniform(batch, low=0.4, high=0.9)) + wide(draws.uniform(batch, high=0.04)) * slow


def _walls(layout: Layout, shapes: Shapes, draws: Draws) -> _Walls:
    """Draw what confines bodies, dark or bright; often nothing does."""
    batch, size = len(layout.kind), shapes.edge.shape[-1]
    thin = layout.short[:, 0, 0]
    away = wide(thin * draws.log_uniform(batch, low=0.25, high=3.0))
    soft = wide(thin * draws.log_uniform(batch, low=0.1, high=0.8) + 0.5)
    uneven = cloud(layout, 4 * layout.radius, draws.uniform(batch, high=0.02), size, draws)[:, :, 0]
    level = wide(draws.uniform(batch, low=0.0, high=1.0).square()) + 0.03 * uneven
    share = wide(draws.sometimes(draws.uniform(batch, low=0.6, high=1.0), 0.4))
    return _Walls(level, share * torch.sigmoid((shapes.edge - away) / soft))
