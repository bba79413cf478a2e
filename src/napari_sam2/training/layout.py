"""Where the objects of a synthetic sequence are, how large they are and when they live."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws

BLOBS, RODS, TILES = 0, 1, 2
NEVER = 1e6


@dataclass(frozen=True)
class LayoutRules:
    """Which scenes are drawn, and how often.

    Parameters
    ----------
    kinds
        Shares of scenes with blobs, with rods, and with polygons that tile the plane.
    diameter
        Smallest and largest object, as a fraction of the side of the frame (for rods: the square root of the
        area).
    max_objects
        Objects in a scene at most, those outside the frame and the daughters included.
    volumes
        Share of sequences that are slices of 3-D bodies instead of times.
    dividing
        Share of the time sequences in which some objects divide.
    visitors
        Probability that an object in time appears late, and that it vanishes early.
    """

    kinds: tuple[float, float, float] = (0.45, 0.25, 0.3)
    diameter: tuple[float, float] = (0.1, 0.5)
    max_objects: int = 18
    volumes: float = 0.45
    dividing: float = 0.3
    visitors: float = 0.08


@dataclass(frozen=True)
class Layout:
    """Parameters of every object on every frame: B scenes, T frames, K objects; lengths in pixels.

    Parameters
    ----------
    kind, volume, radius
        (B,) kind of scene, whether the frames are slices of a volume, typical radius.
    y, x, angle
        (B, T, K) centre and direction of the long axis.
    core, long, short
        (B, T, K) half-length of the straight part of a rod, and the semi-axes around it.
    bend
        (B, K) curvature of the long axis.
    lift
        (B, T, K) square of the normalised distance from the centre to this slice; `NEVER` where the object
        does not live.
    """

    kind: Tensor
    volume: Tensor
    radius: Tensor
    y: Tensor
    x: Tensor
    angle: Tensor
    core: Tensor
    long: Tensor
    short: Tensor
    bend: Tensor
    lift: Tensor


@dataclass(frozen=True)
class _Body:
    core: Tensor
    long: Tensor
    short: Tensor
    bend: Tensor


def draw_layout(rules: LayoutRules, batch: int, frames: int, size: int, draws: Draws) -> Layout:
    """Draw the objects of a batch of scenes."""
    kind = draws.pick(rules.kinds, batch)
    volume = draws.chance(rules.volumes, batch)
    diameter = size * draws.log_uniform(batch, low=rules.diameter[0], high=rules.diameter[1])
    body = _draw_body(rules, draws, kind, diameter)
    exists = _exists(rules, draws, kind, diameter, size)
    centre, angle = _paths(rules, draws, kind, diameter, frames, size)
    lift = torch.where(
        volume.view(-1, 1, 1), _slices(rules, draws, batch, frames), _lives(rules, draws, batch, frames)
    )
    lift = torch.where(exists.unsqueeze(1), lift, NEVER)
    breath = 1 + draws.uniform(batch, 1, 1, high=0.08) * torch.sin(
        _times(draws, frames).view(1, -1, 1) + angle
    )
    growth = 1 + _column(draws.sometimes(draws.uniform(batch, high=0.06), 0.7)) * _times(draws, frames).view(
        1, -1, 1
    )
    rods = (kind == RODS).view(-1, 1, 1)
    layout = Layout(
        kind=kind,
        volume=volume,
        radius=diameter / 2,
        y=centre[..., 0],
        x=centre[..., 1],
        angle=angle,
        core=body.core.unsqueeze(1) * torch.where(rods, growth, breath),
        long=body.long.unsqueeze(1) * torch.where(rods, 1.0, breath),
        short=body.short.unsqueeze(1) * torch.where(rods, 1.0, 2 - breath),
        bend=body.bend,
        lift=lift,
    )
    divides = draws.chance(rules.dividing, batch) & ~volume & (kind != TILES)
    return _spread(_divide(layout, divides, draws), draws)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1)


def _times(draws: Draws, frames: int) -> Tensor:
    return torch.arange(frames, device=draws.device, dtype=torch.float32)


def _draw_body(rules: LayoutRules, draws: Draws, kind: Tensor, diameter: Tensor) -> _Body:
    batch, count = len(kind), rules.max_objects
    spread = draws.uniform(batch, 1, low=0.03, high=0.3)
    across = diameter.unsqueeze(1) * (spread * draws.normal(batch, count)).exp()
    ratio = (
        (draws.uniform(batch, 1, low=0.9, high=1.7).log() + 0.2 * draws.normal(batch, count))
        .exp()
        .clamp(1, 3)
    )
    slender = draws.uniform(batch, 1, low=1.8, high=5.0) * (0.2 * draws.normal(batch, count)).exp()
    slender = slender.clamp(min=1.4)
    rods = (kind == RODS).unsqueeze(1)
    thin = across / (2 * slender.sqrt())
    core = torch.where(rods, thin * (slender - 1), 0.0)
    long = torch.where(rods, thin, across / 2 * ratio.sqrt())
    short = torch.where(rods, thin, across / 2 / ratio.sqrt())
    bend = draws.sometimes(draws.normal(batch, count, scale=0.25), 0.6) / (core + long)
    return _Body(core, long, short, bend)


def _exists(rules: LayoutRules, draws: Draws, kind: Tensor, diameter: Tensor, size: int) -> Tensor:
    room = (1.4 * size / diameter) ** 2
    most = torch.where(kind == TILES, room + 3, room * draws.uniform(len(kind), low=0.15, high=0.8) + 2)
    return torch.arange(rules.max_objects, device=draws.device) < most.unsqueeze(1)


def _paths(
    rules: LayoutRules, draws: Draws, kind: Tensor, diameter: Tensor, frames: int, size: int
) -> tuple[Tensor, Tensor]:
    batch, count = len(kind), rules.max_objects
    radius, time = diameter.view(-1, 1, 1, 1) / 2, _times(draws, frames).view(1, -1, 1, 1)
    anywhere = draws.uniform(batch, 1, count, 2, low=-0.12, high=1.12) * size
    heap = (
        size * draws.uniform(batch, 1, 1, 2, low=0.3, high=0.7)
        + draws.normal(batch, 1, count, 2) * radius * 2
    )
    heaped = (draws.chance(0.35, batch) & (kind != TILES)).view(-1, 1, 1, 1)
    speed = radius * draws.log_uniform(batch, 1, 1, 1, low=0.01, high=0.4)
    common = radius * draws.sometimes(draws.normal(batch, 1, 1, 2, scale=0.15), 0.4)
    shake = radius * draws.sometimes(draws.normal(batch, frames, 1, 2, scale=0.1), 0.4)
    steps = draws.normal(batch, frames, count, 2, scale=0.3).cumsum(1)
    wander = speed * (draws.normal(batch, 1, count, 2) * time + steps)
    centre = torch.where(heaped, heap, anywhere) + wander + common * time + shake
    turn = draws.normal(batch, 1, count) * draws.log_uniform(batch, 1, 1, low=0.005, high=0.12) * time[..., 0]
    own = math.pi * draws.uniform(batch, 1, count)
    aligned = math.pi * draws.uniform(batch, 1, 1) + 0.3 * draws.normal(batch, 1, count)
    return centre, torch.where(draws.chance(0.5, batch).view(-1, 1, 1), aligned, own) + turn


def _slices(rules: LayoutRules, draws: Draws, batch: int, frames: int) -> Tensor:
    height = (
        draws.log_uniform(batch, 1, 1, low=2.5, high=18)
        * (0.2 * draws.normal(batch, 1, rules.max_objects)).exp()
    )
    middle = draws.uniform(batch, 1, rules.max_objects) * (frames - 1 + height) - height / 2
    return ((_times(draws, frames).view(1, -1, 1) - middle) / height) ** 2


def _lives(rules: LayoutRules, draws: Draws, batch: int, frames: int) -> Tensor:
    time = _times(draws, frames).view(1, -1, 1)
    late = draws.chance(rules.visitors, batch, 1, rules.max_objects)
    early = draws.chance(rules.visitors, batch, 1, rules.max_objects)
    begin = torch.where(late, draws.uniform(batch, 1, rules.max_objects, high=float(frames)), -1.0)
    end = torch.where(early, draws.uniform(batch, 1, rules.max_objects, high=float(frames)), NEVER)
    return torch.where((time >= begin) & (time < end), 0.0, NEVER)


def _divide(layout: Layout, divides: Tensor, draws: Draws) -> Layout:
    """End the first objects of the chosen scenes and let two of the last ones begin in their place."""
    batch, frames, count = layout.lift.shape
    mothers = count // 6
    if not mothers or frames < 2:
        return layout
    at = draws.integers(batch, 1, mothers, low=1, high=frames)
    after = _times(draws, frames).view(1, -1, 1) - at
    chosen = divides.view(-1, 1, 1)
    half = (layout.core + layout.long)[..., :mothers]
    apart = 0.5 * half + (0.06 * half * after).clamp(min=0)
    new = {"lift": torch.where(after >= 0, layout.lift[..., :mothers], NEVER)}
    new["core"] = (layout.core[..., :mothers] - layout.long[..., :mothers]).clamp(min=0) / 2
    rod = (layout.kind == RODS).view(-1, 1, 1)
    for axis in ("long", "short"):
        new[axis] = getattr(layout, axis)[..., :mothers] * torch.where(rod, 1.0, 0.75)
    values = {}
    for name in ("y", "x", "angle", "core", "long", "short", "lift"):
        old = getattr(layout, name)
        child = new.get(name, old[..., :mothers])
        values[name] = old.clone()
        for side, last in ((1, count - mothers), (-1, count - 2 * mothers)):
            shift = {
                "y": apart * layout.angle[..., :mothers].sin(),
                "x": apart * layout.angle[..., :mothers].cos(),
            }
            moved = child + side * shift.get(name, torch.zeros(1, device=draws.device))
            part = slice(last, last + mothers)
            values[name][..., part] = torch.where(chosen, moved, old[..., part])
    ended = torch.where(after < 0, values["lift"][..., :mothers], NEVER)
    values["lift"][..., :mothers] = torch.where(chosen, ended, values["lift"][..., :mothers])
    fixed = {"kind": layout.kind, "volume": layout.volume, "radius": layout.radius, "bend": layout.bend}
    return Layout(**fixed, **values)


def _spread(layout: Layout, draws: Draws, rounds: int = 6) -> Layout:
    """Push objects that overlap apart; how far is the scene's choice, so that in some they touch."""
    reach = (layout.short + layout.long) / 2 + 0.35 * layout.core
    reach = reach * draws.uniform(len(layout.kind), 1, 1, low=0.75, high=1.1)
    lives = (layout.lift < NEVER / 2).float()
    both = lives.unsqueeze(-1) * lives.unsqueeze(-2)
    least = reach.unsqueeze(-1) + reach.unsqueeze(-2)
    y, x = layout.y, layout.x
    for _ in range(rounds):
        dy, dx = y.unsqueeze(-1) - y.unsqueeze(-2), x.unsqueeze(-1) - x.unsqueeze(-2)
        distance = (dy**2 + dx**2 + 1e-3).sqrt()
        push = 0.4 * both * (least - distance).clamp(min=0) / distance
        y, x = y + (push * dy).sum(-1), x + (push * dx).sum(-1)
    return Layout(**{**layout.__dict__, "y": y, "x": x})
