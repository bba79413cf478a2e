"""What the samples have in common: their form, noise, light, camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray = NDArray[np.float64]
Images = NDArray[np.unsignedinteger[Any]]
Labels = NDArray[np.uint16]
Shape = tuple[int, int]


@dataclass(frozen=True)
class SampleSequence:
    """A made-up sequence and its truth.

    Attributes
    ----------
    name : str
        The name under which `sample` makes it.
    images : uint8 or uint16 array, shape (frames, H, W)
    labels : uint16 array, shape (frames, H, W)
        0 is background, ids last through the sequence.
    axis : {"t", "z"}
        What the frames are: times or slices.
    scale : (float, float, float)
        Size of a voxel along the three axes, in pixels.
    """

    name: str
    images: Images
    labels: Labels
    axis: Literal["t", "z"] = "t"
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


def check(frames: int, shape: Shape, count: int) -> None:
    """Raise ValueError if nothing can be drawn with these numbers."""
    if frames < 1 or count < 1:
        raise ValueError(f"{count} objects on {frames} frames: give at least one of each")
    if min(shape) < 32:
        raise ValueError(f"the frame's shape is {shape}: give height and width, at least 32 pixels each")


def noise(rng: np.random.Generator, shape: Sequence[int], sigma: float | Sequence[float]) -> FloatArray:
    """Return smooth noise of mean 0 and deviation 1 that goes on at the opposite edge."""
    noise = ndimage.gaussian_filter(rng.normal(size=tuple(shape)), sigma, mode="wrap")
    result: FloatArray = (noise - noise.mean()) / noise.std()
    return result


def uneven_light(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Return light about 1 that falls off to the corners and to one side."""
    y, x = (np.linspace(-1, 1, size) for size in shape)
    angle = rng.uniform(0, 2 * math.pi)
    tilt = 0.12 * (math.sin(angle) * y[:, None] + math.cos(angle) * x[None, :])
    return 1 + tilt - 0.14 * (y[:, None] ** 2 + x[None, :] ** 2)


def camera(rng: np.random.Generator, signal: FloatArray, photons: float) -> NDArray[np.uint16]:
    """Turn brightness (1 gives `photons`) into counts: shot noise, gain, read noise, offset."""
    electrons = rng.poisson(np.maximum(signal, 0) * photons) + rng.normal(0, 1.6, signal.shape)
    return np.clip(np.rint(8.0 * electrons + 100.0), 0, 65535).astype(np.uint16)


def window(centre: FloatArray, reach: float, shape: Shape) -> tuple[slice, slice]:
    """Return the part of the frame within `reach` of a centre; empty if that lies outside."""
    low = [min(max(0, math.floor(c - reach)), size) for c, size in zip(centre, shape, strict=True)]
    high = [max(min(size, math.ceil(c + reach) + 1), 0) for c, size in zip(centre, shape, strict=True)]
    return slice(low[0], high[0]), slice(low[1], high[1])


def offsets(centre: FloatArray, part: tuple[slice, slice]) -> tuple[FloatArray, FloatArray]:
    """Return coordinates (y, x) of a part of the frame, seen from a centre."""
    y, x = np.mgrid[part]
    return y - centre[0], x - centre[1]


def turned(y: FloatArray, x: FloatArray, angle: float) -> tuple[FloatArray, FloatArray]:
    """Return coordinates along and across a direction."""
    along = y * math.sin(angle) + x * math.cos(angle)
    return along, y * math.cos(angle) - x * math.sin(angle)
