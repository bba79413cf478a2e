"""Bacteria in phase contrast that grow, divide and push."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sam2.samples._shared import (
    FloatArray,
    Labels,
    SampleSequence,
    Shape,
    check,
    noise,
    offsets,
    turned,
    window,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_RADIUS = 7.0
_BIRTH_LENGTH = 19.0  # of the axis between the centres of both caps


@dataclass(frozen=True)
class _Rod:
    id: int
    centre: FloatArray
    angle: float
    length: float
    divides_at: float
    growth: float
    bend: float

    @property
    def axis(self) -> FloatArray:
        return np.array([math.sin(self.angle), math.cos(self.angle)])

    @property
    def waist(self) -> float:
        """How far the constriction has come: 0 at first, 1 when it divides."""
        return min(max(self.length / self.divides_at - 0.85, 0.0) / 0.15, 1.0)

    def depth(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Return the distance to the edge in radii: 1 on the axis, negative outside."""
        along, across = turned(y, x, self.angle)
        across = across - self.bend * (along**2 - self.length**2 / 12)
        beyond = np.maximum(np.abs(along) - self.length / 2, 0)
        narrow = 1 - 0.45 * self.waist * np.exp(-((along / (0.5 * _RADIUS)) ** 2))
        result: FloatArray = 1 - np.hypot(beyond, across) / (_RADIUS * narrow)
        return result


def dividing_rods(
    frames: int = 24, shape: Shape = (256, 256), rods: int = 3, seed: int = 0
) -> SampleSequence:
    """Make a time-lapse of bacteria in phase contrast that grow, divide and push one another.

    A mother's id ends when it divides; both daughters get new ones.

    Parameters
    ----------
    frames : int
    shape : (int, int)
        Height and width in pixels, at least 32 each.
    rods : int
        How many there are on the first frame.
    seed : int
        The same seed gives the same sequence.

    Returns
    -------
    SampleSequence
        uint8: dark rods with a bright halo on a mottled background.
    """
    check(frames, shape, rods)
    rng = np.random.default_rng(seed)
    colony = _first_rods(rng, shape, rods)
    ids = iter(range(rods + 1, 2**16))
    background = 55 + 3 * noise(rng, shape, 1.6) + 5 * noise(rng, shape, 20.0) + _dust_rings(rng, shape)
    images = np.empty((frames, *shape), np.uint8)
    labels = np.empty((frames, *shape), np.uint16)
    for t in range(frames):
        density, labels[t] = _draw_rods(colony, shape)
        body, near = ndimage.gaussian_filter(density, 0.9), ndimage.gaussian_filter(density, 5.0)
        halo = 480 * near / (1 + 1.3 * near)
        seen = (background + halo) * (1 - 0.92 * body) + rng.normal(0, 2.5, shape)
        images[t] = np.clip(seen, 0, 255).astype(np.uint8)
        colony = _push_apart([part for rod in colony for part in _grow(rng, rod, ids)])
    return SampleSequence("dividing_rods", images, labels)


def _new_rod(rng: np.random.Generator, number: int, centre: FloatArray, angle: float, length: float) -> _Rod:
    return _Rod(
        id=number,
        centre=centre,
        angle=angle,
        length=length,
        divides_at=(2 * _BIRTH_LENGTH + 2 * _RADIUS) * rng.uniform(0.9, 1.15),
        growth=math.log(2) / rng.uniform(10, 14),
        bend=rng.normal(0, 0.002),
    )


def _first_rods(rng: np.random.Generator, shape: Shape, count: int) -> list[_Rod]:
    middle = 0.5 * np.array(shape, dtype=np.float64)
    reach = 2.2 * _RADIUS * math.sqrt(count)
    rods = [
        _new_rod(
            rng,
            number,
            middle + rng.uniform(-reach, reach, 2),
            rng.uniform(0, math.pi),
            rng.uniform(1, 1.9) * _BIRTH_LENGTH,
        )
        for number in range(1, count + 1)
    ]
    return _push_apart(rods, rounds=200)


def _grow(rng: np.random.Generator, rod: _Rod, ids: Iterator[int]) -> list[_Rod]:
    """Return the rod a frame later, or its two daughters."""
    length = rod.length + rod.growth * (rod.length + 2 * _RADIUS)
    turn = rng.normal(0, 0.015)
    if length < rod.divides_at:
        return [replace(rod, length=length, angle=rod.angle + turn)]
    half = length / 2 - _RADIUS
    shift = 0.5 * (half + 2 * _RADIUS) * rod.axis
    return [
        _new_rod(rng, next(ids), rod.centre + side * shift, rod.angle + rng.normal(0, 0.06), half)
        for side in (-1, 1)
    ]


def _push_apart(rods: list[_Rod], rounds: int = 40) -> list[_Rod]:
    """Move and turn rods until they hardly overlap: each is a chain of discs that repel those of others."""
    for _ in range(rounds):
        owner, arms, discs = _discs(rods)
        offset = discs[:, None] - discs[None]
        distance = np.linalg.norm(offset, axis=2) + 1e-9
        overlap = np.maximum(2.0 * _RADIUS - distance, 0) * (owner[:, None] != owner[None])
        push = (offset / distance[..., None] * overlap[..., None]).sum(axis=1)
        if overlap.max() < 0.3:
            break
        rods = [_moved(rod, push[owner == k], arms[owner == k]) for k, rod in enumerate(rods)]
    return rods


def _discs(rods: list[_Rod]) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Return for each disc its rod's index, its place on the rod's axis, and its centre."""
    places = [np.linspace(-0.5, 0.5, 2 + int(rod.length / (0.6 * _RADIUS))) * rod.length for rod in rods]
    owner = np.repeat(np.arange(len(rods)), [len(place) for place in places])
    centres = [rod.centre + place[:, None] * rod.axis for rod, place in zip(rods, places, strict=True)]
    return owner, np.concatenate(places), np.concatenate(centres)


def _moved(rod: _Rod, push: FloatArray, arms: FloatArray) -> _Rod:
    """Follow the discs' mean push, and turn by its mean moment."""
    across = np.array([rod.axis[1], -rod.axis[0]])  # where the axis moves to as the angle grows
    turn = float((arms * (push @ across)).sum() / ((arms**2).sum() + _RADIUS**2))
    return replace(rod, centre=rod.centre + 0.5 * push.mean(axis=0), angle=rod.angle + 0.5 * turn)


def _draw_rods(rods: list[_Rod], shape: Shape) -> tuple[FloatArray, Labels]:
    """Return the density, 1 inside, and labels; a pixel belongs to the rod it lies deeper in."""
    deepest = np.zeros(shape)
    labels = np.zeros(shape, np.uint16)
    for rod in rods:
        part = window(rod.centre, rod.length / 2 + 2 * _RADIUS, shape)
        depth = rod.depth(*offsets(rod.centre, part))
        mine = depth > deepest[part]
        labels[part] = np.where(mine, rod.id, labels[part])
        deepest[part] = np.where(mine, depth, deepest[part])
    return np.minimum(_RADIUS * deepest, 1), labels  # the edge is a pixel wide


def _dust_rings(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Return the ripples around specks of dust that lie out of focus."""
    rings = np.zeros(shape)
    for _ in range(5):
        y, x = offsets(rng.uniform(0, 1, 2) * shape, (slice(0, shape[0]), slice(0, shape[1])))
        size = rng.uniform(4, 11)
        distance = np.hypot(y, x) / size
        rings += rng.uniform(4, 11) * np.cos(5 * distance) * np.exp(-(distance**2))
    return rings
