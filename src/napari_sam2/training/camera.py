"""What light and camera make of a scene: shading, bleaching, defocus, noise, few grey values, contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.paint import blur, wide

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

_COARSE = (1.0, 1.5, 2.0, 3.0, 4.0)  # pixels of the frame to a pixel of the camera


def photograph(image: Tensor, calm: Tensor, draws: Draws) -> Tensor:
    """Take pictures of scenes.

    Parameters
    ----------
    image
        (B, T, S, S) light, about 0 to 1.
    calm
        (B,) bool, scenes with little noise and a camera of fine pixels, as most electron micrographs are.
    draws
        The source of randomness.

    Returns
    -------
    Tensor
        (B, T, 3, S, S) float32 between 0 and 1.
    """
    image = _defocus(image.clamp_(0, 2) * _light(image, draws), draws)
    image = _expose(image, draws)
    image = _sample(image, calm, draws)
    return _colour(_window(image, draws), draws)


def _light(image: Tensor, draws: Draws) -> Tensor:
    """Uneven light, the same on all frames, and frames that flicker or fade."""
    batch, frames, size, _ = image.shape
    coarse = draws.normal(batch, 1, 3, 3) * wide(draws.sometimes(draws.uniform(batch, high=0.3), 0.6))
    field = functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    flicker = draws.sometimes(draws.normal(batch, frames, scale=0.08), 0.4)
    fade = draws.sometimes(draws.uniform(batch, 1, low=-0.09, high=0.05), 0.5)
    fade = fade * torch.arange(frames, device=image.device)
    return (field.clamp(-0.6, 0.6) + 1) * (1 + flicker + fade).clamp(0.3, 1.6).view(batch, frames, 1, 1)


def _defocus(image: Tensor, draws: Draws) -> Tensor:
    """Blur everything a little; in some clips some frames much."""
    batch, frames = image.shape[:2]
    little = wide(draws.sometimes(draws.uniform(batch), 0.5))
    image = torch.lerp(
        image, functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False), little
    )
    off = draws.chance(0.12, batch, 1) & draws.chance(0.3, batch, frames)
    much = off * draws.uniform(batch, frames, low=0.3, high=1.0)
    if not bool(off.any()):
        return image
    return torch.lerp(image, blur(image, 4), much.view(batch, frames, 1, 1))


def _expose(image: Tensor, draws: Draws) -> Tensor:
    batch = len(image)
    gamma = wide(draws.log_uniform(batch, low=0.7, high=1.4))
    gain = wide(draws.log_uniform(batch, low=0.4, high=1.2))
    return image.pow(gamma) * gain + wide(draws.uniform(batch, high=0.06))


def _sample(image: Tensor, calm: Tensor, draws: Draws) -> Tensor:
    """Pixels of the camera, which a window may have magnified: blur, noise and grey steps come with them."""
    size = image.shape[-1]
    choice = draws.pick((0.45, 0.15, 0.2, 0.1, 0.1), len(image))
    choice = choice * ~(calm & draws.chance(0.7, len(image)))
    noise = _noise_levels(image, draws) * torch.where(calm, 0.5, 1.0)
    parts = []
    for index, factor in enumerate(_COARSE):
        rows = (choice == index).nonzero()[:, 0]
        if not len(rows):
            continue
        part = image[rows]
        if factor > 1:
            cells = int(size / factor)
            part = functional.interpolate(part, size=(cells, cells), mode="bilinear", align_corners=False)
        part = _digitise(_add_noise(part, noise[:, rows], draws), draws)
        if factor > 1:
            part = functional.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)
        parts.append((rows, part))
    result = torch.empty_like(image)
    for rows, part in parts:
        result[rows] = part
    return result


def _noise_levels(image: Tensor, draws: Draws) -> Tensor:
    """(3, B) shot noise, noise of reading, streaks along rows; never so strong that nothing is to be seen."""
    batch = len(image)
    shot = draws.log_uniform(batch, low=0.005, high=0.3)
    read = draws.log_uniform(batch, low=0.003, high=0.07)
    rows = draws.sometimes(draws.uniform(batch, high=0.02), 0.15)
    spread, mean = torch.std_mean(image.flatten(1)[:, ::16], dim=1)
    most = 1.5 * spread / (shot * mean.clamp(min=1e-4).sqrt() + read)
    return torch.stack((shot, read, rows)) * most.clamp(max=1)


def _add_noise(image: Tensor, levels: Tensor, draws: Draws) -> Tensor:
    shot, read, rows = (wide(level) for level in levels)
    spread = image.clamp(min=0).sqrt_().mul_(shot).add_(read)
    streaks = draws.normal(*image.shape[:3], 1) * rows
    return draws.normal(*image.shape).mul_(spread).add_(image).add_(streaks)


def _digitise(image: Tensor, draws: Draws) -> Tensor:
    """Clip at the ends of the camera's range and round to its 4 to 16 bits."""
    bits = draws.pick((0.1, 0.15, 0.5, 0.25), len(image))
    steps = wide(torch.tensor([15.0, 63.0, 255.0, 65535.0], device=image.device)[bits])
    return image.clamp(0, 1).mul_(steps).round_().div_(steps)


def _window(image: Tensor, draws: Draws) -> Tensor:
    """As it is, or stretched between low and high percentiles of a field that may hold brighter things."""
    batch = len(image)
    sample = image.flatten(1)
    sample = sample[:, :: max(1, sample.shape[1] // 4096)]
    low, high = sample.quantile(torch.tensor([0.005, 0.998], device=image.device), dim=1)
    beyond = (high - low) * draws.sometimes(draws.log_uniform(batch, low=0.02, high=2.5), 0.45)
    below = (high - low) * draws.sometimes(draws.uniform(batch, high=0.4), 0.3)
    low, high = low - below, high + beyond
    stretched = (image - wide(low)) / wide((high - low).clamp(min=0.02))
    # Nobody looks at an image that is black all over: what has few grey values is always stretched.
    chosen = draws.chance(0.6, batch) | (high - low < 0.15)
    return torch.where(wide(chosen), stretched.clamp_(0, 1), image)


def _colour(image: Tensor, draws: Draws) -> Tensor:
    """Mostly grey; sometimes a stain between two colours."""
    batch = len(image)
    stained = draws.chance(0.06, batch).view(-1, 1, 1, 1, 1)
    dark, light = draws.uniform(2, batch, 1, 3, 1, 1, high=0.45).unbind(0)
    swap = draws.chance(0.5, batch).view(-1, 1, 1, 1, 1)
    first, second = torch.where(swap, 1 - light, dark), torch.where(swap, dark, 1 - light)
    grey = image.unsqueeze(2)
    if not bool(stained.any()):
        return grey.expand(-1, -1, 3, -1, -1)
    return torch.where(stained, torch.lerp(first, second, grey), grey.expand(-1, -1, 3, -1, -1))
