"""Times, paths and lives of the objects of synthetic sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import NEVER, ORGANELLES, RODS, TILES, LayoutRules, column

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws


@dataclass(frozen=True)
class Paths:
    """Centres (y, x) and direction of the long axis, each (B, T, K), in pixels and radians."""

    y: Tensor
    x: Tensor
    angle: Tensor


def draw_times(rules: LayoutRules, batch: int, frames: int, draws: Draws) -> Tensor:
    """(B, T) time of each frame: some frames are repeated or left out, some clips run backward."""
    odd = draws.chance(rules.uneven, batch, 1) & draws.chance(0.25, batch, frames)
    step = torch.where(odd, draws.pick((0.4, 0.0, 0.4, 0.2), batch, frames), 1)
    time = (step.cumsum(1) - step[:, :1]).float()
    return torch.where(draws.chance(rules.backward, batch, 1), time[:, -1:] - time, time)


def draw_paths(
    rules: LayoutRules, kind: Tensor, radius: Tensor, time: Tensor, size: int, draws: Draws
) -> Paths:
    """Draw how objects drift, wander and turn; slices of volumes jump as sections do."""
    batch, frames, count = len(kind), time.shape[1], rules.max_objects
    length, when = radius.view(-1, 1, 1, 1), time.view(batch, frames, 1, 1)
    start = _places(kind, length, count, size, draws)
    speed = length * draws.log_uniform(batch, 1, 1, 1, low=0.01, high=0.6)
    speed = speed * torch.where(kind == RODS, 0.4, 1.0).view(-1, 1, 1, 1)
    common = length * draws.sometimes(draws.normal(batch, 1, 1, 2, scale=0.15), 0.4)
    shake = length * draws.sometimes(draws.normal(batch, frames, 1, 2, scale=0.12), 0.4)
    own = draws.sometimes(draws.normal(batch, frames, count, 2, scale=0.12), 0.5)
    own = own * length * (kind == ORGANELLES).view(-1, 1, 1, 1)
    steps = draws.normal(batch, frames, count, 2, scale=0.3).cumsum(1)
    drift = draws.normal(batch, 1, count, 2) * when
    moved = speed * (drift + steps) + common * when + shake + own
    # Counted from the first frame, whichever time that is: objects drawn into the picture are in it there.
    moved = start + moved - moved[:, :1]
    turn = draws.normal(batch, 1, count) * draws.log_uniform(batch, 1, 1, low=0.005, high=0.12)
    alone = math.pi * draws.uniform(batch, 1, count)
    aligned = math.pi * draws.uniform(batch, 1, 1) + 0.3 * draws.normal(batch, 1, count)
    angle = torch.where(column(draws.chance(0.5, batch)), aligned, alone) + turn * when[..., 0]
    return Paths(moved[..., 0], moved[..., 1], angle)


def _places(kind: Tensor, length: Tensor, count: int, size: int, draws: Draws) -> Tensor:
    """(B, 1, K, 2) first centres: anywhere, the first three not at the border, or heaped."""
    batch = len(kind)
    anywhere = draws.uniform(batch, 1, count, 2, low=-0.12, high=1.12)
    middle = draws.uniform(batch, 1, count, 2, low=0.25, high=0.75)
    anywhere = torch.where(_shown_first(count, draws).view(1, 1, -1, 1), middle, anywhere)
    heap = size * draws.uniform(batch, 1, 1, 2, low=0.3, high=0.7)
    heap = heap + draws.normal(batch, 1, count, 2) * length * 2
    heaped = (draws.chance(0.35, batch) & (kind != TILES)).view(-1, 1, 1, 1)
    return torch.where(heaped, heap, anywhere * size)


def _shown_first(count: int, draws: Draws) -> Tensor:
    """(K,) true for the three objects that are to be seen on the first frame."""
    return torch.arange(count, device=draws.device) < 3


def draw_slices(rules: LayoutRules, kind: Tensor, time: Tensor, draws: Draws) -> Tensor:
    """(B, T, K) lift of bodies of a few slices: many begin or end within the clip.

    A power above 2 makes bodies that keep their width and end abruptly.
    """
    batch, count = len(kind), rules.max_objects
    last = time.amax(1).view(-1, 1, 1)
    tall = torch.where(kind == TILES, 1.3, 1.0)
    half = column(tall * draws.log_uniform(batch, low=1.2, high=9.0))
    half = half * (0.25 * draws.normal(batch, 1, count)).exp()
    middle = draws.uniform(batch, 1, count) * (last + half) - half / 2
    begun = time[:, :1, None] + draws.uniform(batch, 1, count, low=-0.95, high=0.95) * half
    middle = torch.where(_shown_first(count, draws), begun, middle)
    power = column(2.0 ** draws.integers(batch, low=1, high=4))
    return ((time.unsqueeze(2) - middle) / half).abs().clamp(max=8).pow(power)


def draw_lives(rules: LayoutRules, time: Tensor, draws: Draws) -> Tensor:
    """(B, T, K) lift of objects in time: 0 while they live; some come late, some vanish early."""
    batch, count = len(time), rules.max_objects
    last = time.amax(1).view(-1, 1, 1) + 1
    late, early = draws.chance(rules.visitors, 2, batch, 1, count).unbind(0)
    begin = torch.where(late, draws.uniform(batch, 1, count) * last, -1.0)
    end = torch.where(early, draws.uniform(batch, 1, count) * last, NEVER)
    now = time.unsqueeze(2)
    shown = _shown_first(count, draws)
    begin = torch.where(shown, torch.minimum(begin, now[:, :1]), begin)
    end = torch.where(shown, torch.maximum(end, now[:, :1] + 0.5), end)
    return torch.where((now >= begin) & (now < end), 0.0, NEVER)
