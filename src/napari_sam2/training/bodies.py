"""Sizes of the bodies of synthetic sequences, their lobes, divisions, and how they are pushed apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import BLOBS, NEVER, ORGANELLES, RODS, TILES, Layout, LayoutRules, column

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

_LOBED = 3  # every third object may have a lobe


@dataclass(frozen=True)
class Bodies:
    """Semi-axes (B, T, K) and curvature (B, K) of round bodies."""

    long: Tensor
    short: Tensor
    bend: Tensor


def draw_bodies(rules: LayoutRules, kind: Tensor, radius: Tensor, time: Tensor, draws: Draws) -> Bodies:
    """Draw ellipses of one scene-wide size and shape, with variation, that breathe and grow."""
    batch, count, frames = len(kind), rules.max_objects, time.shape[1]
    spread = draws.uniform(batch, 1, low=0.03, high=0.35)
    mean = radius.unsqueeze(1) * (spread * draws.normal(batch, count)).exp()
    slender = torch.where(kind == ORGANELLES, 2.4, 1.7).unsqueeze(1)
    ratio = (draws.uniform(batch, 1) * slender.log() + 0.2 * draws.normal(batch, count)).exp().clamp(1, 3.5)
    bend = draws.sometimes(draws.normal(batch, count, scale=0.25), 0.6) / (mean * ratio.sqrt())
    breath = draws.uniform(batch, 1, 1, high=0.08) * torch.sin(
        time.unsqueeze(2) + 6 * draws.uniform(batch, 1, count)
    )
    jump = draws.sometimes(draws.normal(batch, frames, count, scale=0.08), 0.5)
    jump = jump * column(kind == ORGANELLES)
    growth = 1 + column(draws.sometimes(draws.uniform(batch, high=0.04), 0.5)) * time.unsqueeze(2)
    long = (mean * ratio.sqrt()).unsqueeze(1) * (1 + breath) * growth * jump.exp()
    short = (mean / ratio.sqrt()).unsqueeze(1) * (1 - breath) * growth * jump.exp()
    return Bodies(long, short, bend)


def draw_exists(rules: LayoutRules, kind: Tensor, radius: Tensor, size: int, draws: Draws) -> Tensor:
    """(B, K) whether an object exists: as many as have room, in a sparse scene or a crowd."""
    room = (0.7 * size / radius) ** 2
    share = torch.where(
        kind == ORGANELLES,
        draws.uniform(len(kind), low=0.03, high=0.25),
        draws.uniform(len(kind), low=0.2, high=1.0),
    )
    most = torch.where(kind == TILES, 1.5 * room + 3, room * share + 2)
    return torch.arange(rules.max_objects, device=draws.device) < most.unsqueeze(1)


def divide(layout: Layout, divides: Tensor, draws: Draws) -> Layout:
    """End the first objects of the chosen scenes and let two of the last ones begin in their place."""
    batch, _frames, count = layout.lift.shape
    mothers = count // 6
    if not mothers:
        return layout
    at = (draws.uniform(batch, 1, mothers) * layout.time.amax(1).view(-1, 1, 1)).floor() + 1
    after = layout.time.unsqueeze(2) - at
    chosen = column(divides)
    half = layout.long[..., :mothers]
    apart = 0.5 * half + (0.06 * half * after).clamp(min=0)
    values = {name: getattr(layout, name).clone() for name in ("y", "x", "angle", "long", "short", "lift")}
    direction = layout.angle[..., :mothers]
    for side, last in ((1, count - mothers), (-1, count - 2 * mothers)):
        child = {
            "y": layout.y[..., :mothers] + side * apart * direction.sin(),
            "x": layout.x[..., :mothers] + side * apart * direction.cos(),
            "angle": direction,
            "long": half * 0.75,
            "short": layout.short[..., :mothers] * 0.75,
            "lift": torch.where(after >= 0, layout.lift[..., :mothers], NEVER),
        }
        part = slice(last, last + mothers)
        for name, value in child.items():
            values[name][..., part] = torch.where(chosen, value, values[name][..., part])
    ended = torch.where(after < 0, layout.lift[..., :mothers], NEVER)
    values["lift"][..., :mothers] = torch.where(chosen, ended, layout.lift[..., :mothers])
    return replace(layout, **values)


def spread(layout: Layout, draws: Draws, rounds: int = 6) -> Layout:
    """Push objects that overlap apart; how far is the scene's choice, so that in some they touch.

    Rods are left where their colony put them.
    """
    reach = (layout.short + layout.long) / 2
    reach = reach * draws.uniform(len(layout.kind), 1, 1, low=0.75, high=1.1)
    lives = (layout.lift < NEVER / 2) & column(layout.kind != RODS)
    both = (lives.unsqueeze(-1) & lives.unsqueeze(-2)).float()
    least = reach.unsqueeze(-1) + reach.unsqueeze(-2)
    y, x = layout.y, layout.x
    for _ in range(rounds):
        dy, dx = y.unsqueeze(-1) - y.unsqueeze(-2), x.unsqueeze(-1) - x.unsqueeze(-2)
        distance = (dy**2 + dx**2 + 1e-3).sqrt()
        push = 0.4 * both * (least - distance).clamp(min=0) / distance
        y, x = y + (push * dy).sum(-1), x + (push * dx).sum(-1)
    return replace(layout, y=y, x=x)


def draw_lobes(layout: Layout, draws: Draws) -> Layout:
    """Give every third object of some scenes a lobe: a knee, or a branch that begins on another slice."""
    batch, frames, count = layout.lift.shape
    lobed = -(-count // _LOBED)
    likely = torch.where(layout.kind == ORGANELLES, 0.6, 0.0) + torch.where(layout.kind == BLOBS, 0.3, 0.0)
    exists = (draws.uniform(batch) < likely).view(-1, 1, 1) & draws.chance(0.7, batch, 1, lobed)
    away = draws.uniform(batch, 1, lobed, low=0.7, high=1.2) * layout.long[..., :lobed]
    angle = layout.angle[..., :lobed] + draws.normal(batch, 1, lobed, scale=0.6)
    axis = layout.short[..., :lobed] * draws.uniform(batch, 1, lobed, low=0.6, high=1.0)
    parent = layout.lift[..., :lobed]
    # A branch begins and ends some slices before or after its body.
    frame = torch.arange(frames, device=draws.device) + draws.integers(batch, 1, low=-2, high=3)
    frame = frame.clamp(0, frames - 1).unsqueeze(2).expand(-1, -1, lobed)
    lift = torch.where(column(layout.volume), parent.gather(1, frame), parent)
    lift = torch.where(exists, lift, NEVER)
    y, x = layout.y[..., :lobed] + away * angle.sin(), layout.x[..., :lobed] + away * angle.cos()
    return replace(layout, lobes=torch.stack(torch.broadcast_tensors(y, x, axis, lift), dim=2))
