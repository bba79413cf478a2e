"""Images from label maps: textures, contrast either way, membranes, halos, haze, shading and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.layout import TILES, Layout
from napari_sam2.training.noise import evolving_noise, octave_weights
from napari_sam2.training.shapes import Shapes, pick

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws


@dataclass(frozen=True)
class _Levels:
    background: Tensor
    objects: Tensor
    dark: Tensor


def render(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Images (B, T, 3, S, S) float32, 0 to 255, of label maps."""
    levels = _draw_levels(layout, draws)
    image = _compose(layout, shapes, levels, draws)
    image = _haze(image, layout, draws)
    image = _soften(image * _shading(image, draws), draws)
    image = _noise(_expose(image, draws), draws)
    return _colour(image, draws) * 255


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _draw_levels(layout: Layout, draws: Draws) -> _Levels:
    """Grey values: objects brighter or darker than the background, sometimes hardly different."""
    batch, count = len(layout.kind), layout.y.shape[-1]
    dark = draws.chance(0.4, batch)
    low = torch.where(
        dark, draws.uniform(batch, low=0.05, high=0.45), draws.uniform(batch, low=0.0, high=0.25)
    )
    contrast = draws.log_uniform(batch, low=0.12, high=0.75)
    high = (low + contrast).clamp(max=1.0)
    background, level = torch.where(dark, high, low), torch.where(dark, low, high)
    varied = (
        draws.normal(batch, 1, count)
        * draws.uniform(batch, 1, 1, high=0.3)
        * (level - background).view(-1, 1, 1)
    )
    return _Levels(background, level.view(-1, 1, 1) + varied, dark)


def _compose(layout: Layout, shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    batch = len(layout.kind)
    tiles = _wide(layout.kind == TILES)
    blur = (
        draws.log_uniform(batch, low=0.35, high=1.5)
        + layout.radius * draws.sometimes(draws.uniform(batch), 0.3) * 0.12
    )
    inside = torch.sigmoid(shapes.edge * (-1.6 / _wide(blur)))
    inside = torch.where(tiles, 1.0, inside)
    body = _body(layout, shapes, levels, draws)
    ground = _ground(layout, shapes, levels, draws)
    contrast = (levels.objects.mean((1, 2)) - levels.background).abs()
    image = torch.lerp(ground, body, inside)
    image = image + (1 - inside) * _halo(shapes, contrast, levels, draws)
    return image + _membranes(layout, shapes, inside, levels, draws)


def _body(layout: Layout, shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    """Draw the inside of objects: own level, dome or hollow, and a texture that moves with the object."""
    batch = len(layout.kind)
    level = pick(levels.objects, shapes.nearest)
    dome = draws.sometimes(draws.uniform(batch, low=-0.4, high=0.5), 0.5)
    amount = draws.sometimes(draws.log_uniform(batch, low=0.05, high=0.6), 0.85)
    contrast = (levels.objects.mean((1, 2)) - levels.background).abs().clamp(min=0.15)
    texture = _attached_texture(layout, shapes, draws) * _wide(amount * contrast)
    return level + _wide(dome * contrast) * (0.5 - shapes.depth.clamp(max=1).square()) + texture


def _attached_texture(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    batch, frames, size, _ = shapes.edge.shape
    grain = layout.radius * draws.log_uniform(batch, low=0.12, high=0.8)
    weights = octave_weights(grain.clamp(min=2), size)
    sheet = evolving_noise(draws, weights, 1, 2, size, torch.zeros_like(grain))[:, 0]
    grid = _local_grid(layout, shapes, draws)
    sampled = functional.grid_sample(
        sheet, grid.view(batch, frames * size, size, 2), padding_mode="reflection", align_corners=False
    ).view(batch, 2, frames, size, size)
    speed = draws.uniform(batch, high=0.15) + layout.volume * draws.uniform(batch, high=0.4)
    phase = _wide(speed) * torch.arange(frames, device=draws.device).view(1, -1, 1, 1)
    field = sampled[:, 0] * phase.cos() + sampled[:, 1] * phase.sin()
    return _texture_kind(field, grid, layout, draws)


def _texture_kind(field: Tensor, grid: Tensor, layout: Layout, draws: Draws) -> Tensor:
    """Clouds, bright or dark spots, or stripes."""
    batch, size = len(field), field.shape[-1]
    kind = _wide(draws.pick((0.5, 0.3, 0.2), batch))
    sign = _wide(draws.chance(0.5, batch) * 2.0 - 1)
    spots = 2 * sign * (field.abs() - 0.8).clamp(min=0)
    period = _wide(size * 3.14 / (layout.radius * draws.uniform(batch, low=0.25, high=0.6)).clamp(min=2.5))
    stripes = torch.sin(grid[..., 1] * period + field)
    return torch.where(kind == 0, field, torch.where(kind == 1, spots, stripes))


def _local_grid(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """(B, T, S, S, 2) places on the texture sheet, in the coordinates of the nearest object."""
    size = shapes.edge.shape[-1]
    line = torch.arange(size, device=draws.device, dtype=torch.float32)
    dy = line.view(-1, 1) - pick(layout.y, shapes.nearest)
    dx = line - pick(layout.x, shapes.nearest)
    sin, cos = pick(layout.angle.sin(), shapes.nearest), pick(layout.angle.cos(), shapes.nearest)
    place = 2 * draws.uniform(2, len(dy), 1, layout.y.shape[-1], low=-1, high=1)
    along = (dx * cos + dy * sin) * (2 / size) + pick(place[0], shapes.nearest)
    across = (dy * cos - dx * sin) * (2 / size) + pick(place[1], shapes.nearest)
    return torch.stack((along, across), dim=-1)


def _ground(layout: Layout, shapes: Shapes, levels: _Levels, draws: Draws) -> Tensor:
    """Background: smooth clouds, a maze of thin walls, or specks."""
    batch, frames, size, _ = shapes.edge.shape
    length = torch.maximum(
        layout.radius * draws.log_uniform(batch, low=0.2, high=2), draws.uniform(batch, low=3, high=4)
    )
    speed = draws.sometimes(draws.uniform(batch, high=0.1), 0.5) + layout.volume * draws.uniform(
        batch, high=0.2
    )
    fields = evolving_noise(draws, octave_weights(length, size), frames, 2, size, speed)
    span = (levels.objects.mean((1, 2)) - levels.background).abs().clamp(min=0.1)
    clouds = _wide(draws.log_uniform(batch, low=0.01, high=0.35) * span) * fields[:, :, 0]
    toward = torch.where(levels.dark, -1.0, 1.0)
    walls = (-(fields[:, :, 1] / _wide(draws.uniform(batch, low=0.08, high=0.25))).square()).exp()
    maze = draws.sometimes(draws.uniform(batch, low=0.3, high=1.0), 0.2) * span * toward
    specks = draws.sometimes(draws.uniform(batch, low=0.3, high=1.5), 0.2) * span * toward
    return (
        _wide(levels.background)
        + clouds
        + _wide(maze) * walls
        + _wide(specks) * (fields[:, :, 0] - 1.8).clamp(0, 0.7)
    )


def _halo(shapes: Shapes, contrast: Tensor, levels: _Levels, draws: Draws) -> Tensor:
    """Draw a bright fringe around dark objects, as phase contrast has it, or a glow around bright ones."""
    batch = len(contrast)
    strength = draws.sometimes(draws.uniform(batch, low=0.2, high=1.0), 0.35) * contrast
    width = draws.log_uniform(batch, low=1.0, high=6.0)
    sign = torch.where(levels.dark, 1.0, 0.5)
    return _wide(strength * sign) * (shapes.edge.clamp(min=0) / -_wide(width)).exp()


def _membranes(layout: Layout, shapes: Shapes, inside: Tensor, levels: _Levels, draws: Draws) -> Tensor:
    """Walls between tiles, rims of single objects, seams where two touch."""
    batch = len(layout.kind)
    tiles = layout.kind == TILES
    sign = torch.where(draws.chance(0.75, batch) ^ levels.dark, 1.0, -1.0)
    width = (
        draws.log_uniform(batch, low=0.7, high=2.0)
        + draws.sometimes(draws.uniform(batch, high=0.12), 0.5) * layout.radius
    )
    wall = torch.where(tiles, draws.uniform(batch, low=0.2, high=0.9), 0.0) * sign
    rim = draws.sometimes(draws.uniform(batch, low=-0.5, high=0.6), 0.35) * ~tiles
    seam = (
        draws.sometimes(draws.uniform(batch, low=0.1, high=0.8), 0.7)
        * torch.where(levels.dark, 0.6, -0.6)
        * ~tiles
    )
    contrast = (levels.objects.mean((1, 2)) - levels.background).abs()
    close = (-(shapes.seam / _wide(width)).square()).exp()
    at_edge = (-(shapes.edge / _wide(width)).square()).exp()
    return (
        close * (_wide(wall) + _wide(seam * contrast) * inside)
        + _wide(rim * contrast.clamp(min=0.25)) * at_edge
    )


def _haze(image: Tensor, layout: Layout, draws: Draws) -> Tensor:
    """In volumes, blurred light from the slices above and below."""
    frames, size = image.shape[1:3]
    time = torch.arange(frames, device=image.device)
    reach = draws.uniform(len(image), 1, 1, low=1, high=4)
    kernel = (-(time.view(-1, 1) - time).abs() / reach).exp() * (time.view(-1, 1) != time)
    small = functional.avg_pool2d(image, 8)
    mixed = torch.einsum("bts,bshw->bthw", kernel / kernel.sum(-1, keepdim=True).clamp(min=1e-6), small)
    wide = functional.interpolate(mixed, size=(size, size), mode="bilinear", align_corners=False)
    return torch.lerp(
        image, wide, _wide(draws.sometimes(draws.uniform(len(image), high=0.5), 0.6) * layout.volume)
    )


def _shading(image: Tensor, draws: Draws) -> Tensor:
    """Uneven light, the same on all frames, and frames that flicker or fade."""
    batch, frames, size, _ = image.shape
    coarse = draws.normal(batch, 1, 3, 3) * _wide(draws.sometimes(draws.uniform(batch, high=0.3), 0.6))
    field = functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    flicker = draws.sometimes(draws.normal(batch, frames, scale=0.06), 0.4)
    fade = draws.sometimes(draws.uniform(batch, 1, low=-0.05, high=0.03), 0.4) * torch.arange(
        frames, device=draws.device
    )
    return (field.clamp(-0.6, 0.6) + 1) * (1 + flicker + fade).clamp(0.3, 1.5).view(batch, frames, 1, 1)


def _soften(image: Tensor, draws: Draws) -> Tensor:
    share = _wide(draws.sometimes(draws.uniform(len(image)), 0.6))
    return torch.lerp(
        image, functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False), share
    )


def _expose(image: Tensor, draws: Draws) -> Tensor:
    """Gain, offset and gamma of the camera and of the contrast that was chosen."""
    batch = len(image)
    gamma = _wide(draws.log_uniform(batch, low=0.7, high=1.4))
    gain = _wide(draws.log_uniform(batch, low=0.35, high=1.3))
    return image.clamp(0, 1.5).pow(gamma) * gain + _wide(draws.uniform(batch, high=0.06))


def _noise(image: Tensor, draws: Draws) -> Tensor:
    batch = len(image)
    shot = _wide(draws.log_uniform(batch, low=0.002, high=0.2))
    read = _wide(draws.log_uniform(batch, low=0.002, high=0.05))
    noise = draws.normal(*image.shape) * (image.clamp(min=0).sqrt() * shot + read)
    smooth = functional.avg_pool2d(noise, 3, stride=1, padding=1) * 2
    return (image + torch.lerp(noise, smooth, _wide(draws.sometimes(draws.uniform(batch), 0.3)))).clamp(0, 1)


def _colour(image: Tensor, draws: Draws) -> Tensor:
    """Mostly grey; sometimes a stain between two colours."""
    batch = len(image)
    stained = draws.chance(0.1, batch).view(-1, 1, 1, 1, 1)
    first, second = draws.uniform(2, batch, 1, 3, 1, 1).unbind(0)
    grey = image.unsqueeze(2)
    return torch.where(stained, torch.lerp(first, second, grey), grey.expand(-1, -1, 3, -1, -1))
