"""A z-stack of stained nuclei."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_sam2.samples._shared import (
    FloatArray,
    Labels,
    SampleSequence,
    Shape,
    camera,
    check,
    noise,
    turned,
    uneven_light,
)

_SPACING = 2.0  # of the slices, in pixels


def nuclei_stack(
    slices: int = 32, shape: Shape = (256, 256), nuclei: int = 16, seed: int = 0
) -> SampleSequence:
    """Make a z-stack of stained nuclei, one of them in division.

    Parameters
    ----------
    slices : int
        They lie two pixels apart.
    shape : (int, int)
        Height and width in pixels, at least 32 each.
    nuclei : int
        How many to place; fewer where there is no room.
    seed : int
        The same seed gives the same stack.

    Returns
    -------
    SampleSequence
        uint16, blurred more along z than in the plane, dimmer with depth.
    """
    check(slices, shape, nuclei)
    rng = np.random.default_rng(seed)
    volume = (slices, *shape)
    signal, labels = _draw_nuclei(rng, volume, _place_nuclei(rng, volume, nuclei))
    focus = ndimage.gaussian_filter(signal, (0.8, 0.9, 0.9))
    haze = ndimage.gaussian_filter(signal, (3.0, 9.0, 9.0))
    depth = np.exp(-0.35 * np.arange(slices) / slices)[:, None, None]
    seen = (focus + 0.16 * haze + 0.03) * depth * uneven_light(rng, shape)
    images = camera(rng, seen, photons=150.0)
    return SampleSequence("nuclei_stack", images, labels, axis="z", scale=(_SPACING, 1.0, 1.0))


@dataclass(frozen=True)
class _Nucleus:
    centre: FloatArray  # (z, y, x), z in pixels
    axes: FloatArray
    angle: float
    brightness: float
    dividing: bool

    def window(self, volume: tuple[int, int, int]) -> tuple[slice, slice, slice]:
        """Return the part of the volume that the nucleus may lie in."""
        reach = 1.3 * np.array([self.axes[0], self.axes[1:].max(), self.axes[1:].max()])
        unit = np.array([_SPACING, 1.0, 1.0])
        low = np.clip((self.centre - reach) / unit, 0, volume).astype(int)
        high = np.clip((self.centre + reach) / unit + 1, 0, volume).astype(int)
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])

    def distance(self, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Return 1 on the surface, less inside."""
        along, across = turned(y - self.centre[1], x - self.centre[2], self.angle)
        parts = (z - self.centre[0]) / self.axes[0], across / self.axes[1], along / self.axes[2]
        result: FloatArray = np.sqrt(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2)
        return result


def _place_nuclei(rng: np.random.Generator, volume: tuple[int, int, int], count: int) -> list[_Nucleus]:
    size = (np.array(volume) - 1) * np.array([_SPACING, 1.0, 1.0])
    radius = math.sqrt(0.42 * volume[1] * volume[2] / (count * math.pi))
    placed: list[_Nucleus] = []
    for _ in range(60 * count):
        axes = radius * np.array([0.75, 0.85, 1.15]) * rng.uniform(0.88, 1.12, 3)
        axes[0] = min(axes[0], 0.42 * _SPACING * volume[0])
        centre = rng.uniform((0.25, 0.0, 0.0), (0.75, 1.0, 1.0)) * size
        gaps = [np.linalg.norm((centre - n.centre) / (0.5 * (axes + n.axes) * (1.1, 1, 1))) for n in placed]
        if len(placed) < count and min(gaps, default=9) > 1.95:
            first = not placed
            nucleus = _Nucleus(centre, axes, rng.uniform(0, math.pi), rng.uniform(0.5, 0.85), dividing=first)
            placed.append(
                replace(nucleus, axes=axes * (0.6, 0.34, 0.95), brightness=1.4) if first else nucleus
            )
    return placed


def _draw_nuclei(
    rng: np.random.Generator, volume: tuple[int, int, int], nuclei: list[_Nucleus]
) -> tuple[FloatArray, Labels]:
    """Return brightness and labels; where nuclei touch, a voxel belongs to the one it lies deeper in."""
    chromatin = _chromatin(rng, volume)
    bumps = noise(rng, volume, (6.0, 12.0, 12.0))
    signal, nearest = np.zeros(volume), np.ones(volume)
    labels = np.zeros(volume, np.uint16)
    for number, nucleus in enumerate(nuclei, start=1):
        part = nucleus.window(volume)
        z, y, x = np.mgrid[part].astype(np.float64)
        distance = nucleus.distance(_SPACING * z, y, x) + (0.2 if nucleus.dividing else 0.09) * bumps[part]
        mine = distance < nearest[part]
        rim = 1 + 0.35 * np.exp(-(((distance - 0.93) / 0.06) ** 2))
        brightness = nucleus.brightness * rim * chromatin[part]
        signal[part] = np.where(mine, brightness, signal[part])
        labels[part] = np.where(mine, number, labels[part])
        nearest[part] = np.where(mine, distance, nearest[part])
    return signal, labels


def _chromatin(rng: np.random.Generator, volume: tuple[int, int, int]) -> FloatArray:
    """Return a texture about 1: fine grains, bright spots, dark nucleoli."""
    grains = noise(rng, volume, (0.7, 1.1, 1.1))
    patches = noise(rng, volume, (1.4, 2.6, 2.6))
    nucleoli = noise(rng, volume, (2.0, 3.6, 3.6))
    spots = np.maximum(patches - 1.9, 0)
    holes = 1 / (1 + np.exp((nucleoli - 1.5) * 8))
    result: FloatArray = (1 + 0.16 * grains + 0.14 * patches + 0.8 * spots) * (0.35 + 0.65 * holes)
    return result
