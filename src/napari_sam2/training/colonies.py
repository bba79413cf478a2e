"""Rods that grow and divide in chains: every cell keeps its place in the row while its neighbours push."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.layout import NEVER, RODS, Layout, LayoutRules, column

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws


_FAMILY_SHARE = 5  # every fifth object is a mother, two in five are daughters, the others only grow


@dataclass(frozen=True)
class _Cells:
    """Length (B, T, K) and whether a rod lives; its place in the rows (B, K) and which row that is in.

    `thin` (B,) is half of the width.
    """

    length: Tensor
    alive: Tensor
    place: Tensor
    chain: Tensor
    thin: Tensor


def families_of(objects: int) -> int:
    """How many of the objects of a colony are mothers.

    They are followed by their first and then their second daughters; the rest never divides.
    """
    return objects // _FAMILY_SHARE


def draw_colonies(layout: Layout, rules: LayoutRules, size: int, draws: Draws) -> Layout:
    """Replace the bodies of the scenes with rods by colonies.

    A mother ends where her two daughters begin, and the three share one place in a chain. Chains lie side by
    side, or anywhere.

    Parameters
    ----------
    layout
        Of all scenes; those of other kinds stay as they are.
    rules
        Share of the scenes in which cells divide within the clip.
    size
        Side of the frames in pixels.
    draws
        The source of randomness.
    """
    cells = _draw_cells(layout, rules, size, draws)
    return _place_chains(layout, cells, draws)


def _draw_cells(layout: Layout, rules: LayoutRules, size: int, draws: Draws) -> _Cells:
    batch, _frames, count = layout.lift.shape
    families = families_of(count)
    places = count - 2 * families
    slender = draws.uniform(batch, low=2.0, high=5.5)
    thin = 0.9 * layout.radius / slender.sqrt()
    since = _growth(layout, rules, places, draws)
    mean = column(2 * thin * slender) * (0.12 * draws.normal(batch, 1, places)).exp()
    daughter = mean * 2 ** (since - 0.5)
    share = draws.uniform(batch, 1, families, low=0.44, high=0.56)
    first = daughter[..., :families]
    length = _arrange(2 * daughter, 2 * share * first, 2 * (1 - share) * first)
    room = (0.7 * size / layout.radius) ** 2 * draws.uniform(batch, low=0.25, high=1.0) + 1.5
    # The places of the mothers come first in the count, but anywhere in the rows.
    exists = (torch.arange(places, device=draws.device) < room.unsqueeze(1)).unsqueeze(1)
    before, after = exists & (since < 0), (exists & (since >= 0))[..., :families]
    order = draws.uniform(batch, places).argsort(1).argsort(1)
    per = torch.tensor([1, 3, 5, 99], device=draws.device)[draws.pick((0.15, 0.3, 0.35, 0.2), batch)]
    place = _arrange(order, order[:, :families], order[:, :families])
    chain = place.div(per.unsqueeze(1), rounding_mode="floor")
    return _Cells(length, _arrange(before, after, after), place, chain, thin)


def _arrange(places: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mothers, their first daughters, their second ones, and the cells that never divide."""
    families = first.shape[-1]
    return torch.cat((places[..., :families], first, second, places[..., families:]), dim=-1)


def _growth(layout: Layout, rules: LayoutRules, places: int, draws: Draws) -> Tensor:
    """(B, T, places) time since the division of a cell, in cycles; negative before it."""
    batch = len(layout.kind)
    last = layout.time.amax(1).view(-1, 1, 1)
    cycle = column(draws.log_uniform(batch, low=6.0, high=60.0))
    mothers = torch.arange(places, device=draws.device) < families_of(layout.lift.shape[2])
    within = column(draws.chance(rules.dividing, batch)) & draws.chance(0.75, batch, 1, places) & mothers
    early, late = draws.uniform(2, batch, 1, places).unbind(0)
    at = torch.where(within, early * (last + 0.5) + 0.5, last + 0.5 + late * cycle)
    return (layout.time.unsqueeze(2) - at) / cycle


def _place_chains(layout: Layout, cells: _Cells, draws: Draws) -> Layout:
    batch, frames, count = layout.lift.shape
    first = cells.chain.clamp(max=count - 1).unsqueeze(1).expand(-1, frames, -1)
    packed = column(draws.chance(0.65, batch))
    thin = cells.thin.unsqueeze(1)
    shift = draws.normal(batch, count).gather(1, cells.chain) * 3 * thin
    along = _places_in_chains(cells) + torch.where(packed, shift.unsqueeze(1), 0.0)
    rows = cells.chain - cells.chain.amax(1, keepdim=True) / 2
    side = rows * 2 * thin * draws.uniform(batch, 1, low=0.95, high=1.25)
    curve = draws.normal(batch, count, scale=0.1).gather(1, cells.chain) / (8 * thin)
    across = torch.where(packed, side.unsqueeze(1), 0.0) + 0.5 * curve.unsqueeze(1) * along.square()
    angle = torch.where(packed, layout.angle[..., :1], layout.angle.gather(2, first))
    y = torch.where(packed, layout.y[..., :1], layout.y.gather(2, first))
    x = torch.where(packed, layout.x[..., :1], layout.x.gather(2, first))
    width = column(cells.thin).expand(batch, frames, count)
    lift = torch.where(column(layout.volume), layout.lift, 0.0)
    values = {
        "y": _into_view(y + along * angle.sin() + across * angle.cos(), layout.y, cells),
        "x": _into_view(x + along * angle.cos() - across * angle.sin(), layout.x, cells),
        "angle": angle + curve.unsqueeze(1) * along + _kinks(batch, count, draws),
        "core": (cells.length / 2 - width).clamp(min=0.05),
        "long": width,
        "short": width,
        "bend": draws.normal(batch, count, scale=0.01) / thin - curve / 2,
        "lift": torch.where(cells.alive, lift, NEVER),
    }
    rods = layout.kind == RODS
    return replace(
        layout, **{name: _choose(rods, new, getattr(layout, name)) for name, new in values.items()}
    )


def _choose(rods: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(rods.view(-1, *[1] * (old.ndim - 1)), new, old)


def _kinks(batch: int, used: int, draws: Draws) -> Tensor:
    return draws.normal(batch, 1, used) * column(draws.uniform(batch, high=0.2))


def _into_view(place: Tensor, start: Tensor, cells: _Cells) -> Tensor:
    """Move a colony so that its first cell is on the first frame where the first object was to be."""
    shown = cells.alive[:, :1].int().argmax(2, keepdim=True)
    return place + start[:, :1, :1] - place[:, :1].gather(2, shown)


def _places_in_chains(cells: _Cells) -> Tensor:
    """(B, T, K) middle of each cell along its chain, measured from the chain's own middle."""
    count = cells.place.shape[1]
    # A second daughter shares the place of the first and follows it in the row.
    families = families_of(count)
    number = torch.arange(count, device=cells.place.device)
    order = 2 * cells.place + ((number >= 2 * families) & (number < 3 * families))
    same = (cells.chain.unsqueeze(2) == cells.chain.unsqueeze(1)).float()
    before = same * (order.unsqueeze(2) > order.unsqueeze(1))
    takes = cells.length * 1.04 * cells.alive
    start = torch.einsum("bij,btj->bti", before, takes)
    return start + takes / 2 - torch.einsum("bij,btj->bti", same, takes) / 2
