"""Where the objects of a synthetic sequence are, how large they are and when they live."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BLOBS, RODS, TILES, ORGANELLES = 0, 1, 2, 3
NEVER = 1e6


@dataclass(frozen=True)
class LayoutRules:
    """Which scenes are drawn, and how often.

    Parameters
    ----------
    kinds
        Shares of scenes with blobs, with colonies of rods, with cells that tile the plane, and with
        organelles in cells.
    diameter
        Smallest and largest object, as a fraction of the side of the frame (for rods: the square root of the
        area).
    max_objects
        Objects in a scene at most, those outside the frame and the daughters included.
    volumes
        Share of sequences that are slices of 3-D bodies instead of times; more for organelles, fewer for
        rods.
    dividing
        Share of the time sequences in which some objects divide.
    visitors
        Probability that an object in time appears late, and that it vanishes early.
    backward
        Share of sequences that are played backward: cells merge, bodies grow from what was their end.
    uneven
        Share of sequences with frames that are left out or repeated.
    """

    kinds: tuple[float, float, float, float] = (0.31, 0.34, 0.14, 0.21)
    diameter: tuple[float, float] = (0.1, 0.5)
    max_objects: int = 18
    volumes: float = 0.5
    dividing: float = 0.5
    visitors: float = 0.18
    backward: float = 0.4
    uneven: float = 0.2


@dataclass(frozen=True)
class Layout:
    """Parameters of every object on every frame: B scenes, T frames, K objects; lengths in pixels.

    Parameters
    ----------
    kind, volume, radius
        (B,) kind of scene, whether the frames are slices of a volume, typical radius.
    time
        (B, T) time or height of each frame: whole numbers that repeat, skip or fall.
    y, x, angle
        (B, T, K) centre and direction of the long axis.
    core, long, short
        (B, T, K) half-length of the straight part of a rod, and the semi-axes around it.
    bend
        (B, K) curvature of the long axis.
    lift
        (B, T, K) square of the normalised distance from the centre to this slice; `NEVER` where the object
        does not live.
    lobes
        (B, T, 4, L) round second parts of the first L objects: y, x, radius, lift; a lobe is part of its
        object.
    target
        (B, K) bool, false for regions that are no object, as what lies beside a tissue.
    """

    kind: Tensor
    volume: Tensor
    radius: Tensor
    time: Tensor
    y: Tensor
    x: Tensor
    angle: Tensor
    core: Tensor
    long: Tensor
    short: Tensor
    bend: Tensor
    lift: Tensor
    lobes: Tensor
    target: Tensor

    def rows(self, index: Tensor) -> Layout:
        """Return the scenes of an index alone."""
        return Layout(**{part.name: getattr(self, part.name)[index] for part in fields(self)})


def column(values: Tensor) -> Tensor:
    """(B,) as (B, 1, 1)."""
    return values.view(-1, 1, 1)
