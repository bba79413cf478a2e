"""Smooth random fields with a chosen wavelength that change slowly over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

COARSEST = 4


def octave_weights(wavelength: Tensor, size: int, spread: float = 0.7) -> Tensor:
    """How much each octave contributes to a field of a given wavelength.

    Parameters
    ----------
    wavelength
        (B,) distance in pixels over which the field changes.
    size
        Side of the field in pixels.
    spread
        Width of the band in octaves.

    Returns
    -------
    Tensor
        (B, L) weights of the grids of 4, 8, 16, ... cells, of unit energy.
    """
    cells = COARSEST * 2.0 ** torch.arange(_octaves(size), device=wavelength.device)
    distance = (size / cells).log2() - wavelength.log2().unsqueeze(1)
    weights = (-0.5 * (distance / spread) ** 2).exp()
    return weights / weights.norm(dim=1, keepdim=True).clamp(min=1e-6)


def evolving_noise(
    draws: Draws, weights: Tensor, frames: int, channels: int, size: int, speed: Tensor
) -> Tensor:
    """Draw a random field of about unit variance at each time.

    Parameters
    ----------
    draws
        The source of randomness.
    weights
        (B, L) as `octave_weights` gives them.
    frames, channels, size
        Frames, independent fields, and side in pixels.
    speed
        (B,) change from frame to frame in radians: 0 keeps the field, pi / 2 makes the next one unrelated.

    Returns
    -------
    Tensor
        (B, frames, channels, size, size) float32.
    """
    batch, octaves = weights.shape
    phase = (speed.unsqueeze(1) * torch.arange(frames, device=speed.device)).view(batch, frames, 1, 1, 1)
    field = torch.zeros(batch * frames, channels, 1, 1, device=weights.device)
    for octave in range(octaves):
        cells = COARSEST * 2**octave
        pair = draws.normal(2, batch, 1, channels, cells, cells) * weights[:, octave].view(-1, 1, 1, 1, 1)
        detail = (pair[0] * phase.cos() + pair[1] * phase.sin()).flatten(0, 1)
        field = _resize(field, cells) + detail
    # Interpolation between grid points loses about half of the variance; 1.4 gives it back.
    return (_resize(field, size) * 1.4).view(batch, frames, channels, size, size)


def _octaves(size: int) -> int:
    octaves = 1
    while COARSEST * 2**octaves <= size // 2:
        octaves += 1
    return octaves


def _resize(field: Tensor, size: int) -> Tensor:
    return functional.interpolate(field, size=(size, size), mode="bilinear", align_corners=False)
