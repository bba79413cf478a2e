"""Layouts of whole scenes: kinds, sizes, times, and the bodies in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam2.training.bodies import divide, draw_bodies, draw_exists, draw_lobes, spread
from napari_sam2.training.colonies import draw_colonies
from napari_sam2.training.layout import BLOBS, NEVER, RODS, TILES, Layout, LayoutRules, column
from napari_sam2.training.motion import draw_lives, draw_paths, draw_slices, draw_times

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.training.draws import Draws

# The share of volumes is raised to these powers, one a kind: 0 and 1 stay what they are, between them
# organelles are nearly always slices and rods nearly always times.
_VOLUME_POWERS = (1.0, 3.0, 0.5, 0.15)


def draw_layout(rules: LayoutRules, batch: int, frames: int, size: int, draws: Draws) -> Layout:
    """Draw the objects of a batch of scenes.

    Parameters
    ----------
    rules
        Which scenes, and how often.
    batch, frames, size
        Scenes, frames of each, side of a frame in pixels.
    draws
        The source of randomness.
    """
    kind = draws.pick(rules.kinds, batch)
    shares = rules.volumes ** torch.tensor(_VOLUME_POWERS, device=draws.device)
    volume = draws.uniform(batch) < shares[kind]
    radius = size * draws.log_uniform(batch, low=rules.diameter[0], high=rules.diameter[1]) / 2
    # A window is made for the length of an object, and rods are long for their area.
    radius = torch.where(kind == RODS, 0.65, 1.0) * radius
    time = draw_times(rules, batch, frames, draws)
    bodies = draw_bodies(rules, kind, radius, time, draws)
    paths = draw_paths(rules, kind, radius, time, size, draws)
    lift = torch.where(column(volume), draw_slices(rules, kind, time, draws), draw_lives(rules, time, draws))
    exists = draw_exists(rules, kind, radius, size, draws).unsqueeze(1)
    layout = Layout(
        kind=kind,
        volume=volume,
        radius=radius,
        time=time,
        y=paths.y,
        x=paths.x,
        angle=paths.angle,
        core=torch.zeros_like(paths.y),
        long=bodies.long,
        short=bodies.short,
        bend=bodies.bend,
        lift=torch.where(exists, lift, NEVER),
        lobes=torch.empty(0),
        target=_targets(rules, kind, draws),
    )
    layout = divide(layout, draws.chance(rules.dividing, batch) & ~volume & (kind == BLOBS), draws)
    layout = draw_colonies(layout, rules, size, draws)
    return draw_lobes(spread(layout, draws), draws)


def _targets(rules: LayoutRules, kind: Tensor, draws: Draws) -> Tensor:
    """(B, K) true but for one or two tiles of some tissues: what lies beside the tissue."""
    outside = draws.integers(len(kind), 1, low=3, high=5) - draws.integers(len(kind), 1, low=1, high=3)
    number = torch.arange(rules.max_objects, device=draws.device)
    tissue = (kind == TILES) & draws.chance(0.35, len(kind))
    beside = (number >= outside) & (number < 4) & tissue.unsqueeze(1)
    return ~beside
