"""Fluorescent cells that crawl, change shape and meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    offsets,
    turned,
    uneven_light,
    window,
)

_TILE = 128  # side of the square of noise that a cell's texture is cut from


def drifting_cells(
    frames: int = 24, shape: Shape = (256, 256), cells: int = 6, seed: int = 0
) -> SampleSequence:
    """Make a time-lapse of fluorescent cells that crawl, change shape and bump into one another.

    The two that start nearest to each other meet; of three or more, one crawls out of the frame.

    Parameters
    ----------
    frames : int
    shape : (int, int)
        Height and width in pixels, at least 32 each.
    cells : int
    seed : int
        The same seed gives the same sequence.

    Returns
    -------
    SampleSequence
        uint16, as from a camera: offset about 100, shot and read noise, uneven light, slow bleaching.
    """
    check(frames, shape, cells)
    rng = np.random.default_rng(seed)
    radius = math.sqrt(0.23 * shape[0] * shape[1] / (cells * math.pi))
    radii = radius * rng.uniform(0.85, 1.15, cells)
    paths = _cell_paths(rng, frames, shape, radii)
    actors = [_Cell.random(rng, r) for r in radii]
    light = uneven_light(rng, shape)
    fixed = 0.05 + 0.008 * noise(rng, shape, 9.0) + _debris(rng, shape)
    images = np.empty((frames, *shape), np.uint16)
    labels = np.empty((frames, *shape), np.uint16)
    for t in range(frames):
        signal, labels[t] = _draw_cells(actors, paths[t], t, shape)
        haze = 0.3 * ndimage.gaussian_filter(signal, 0.5 * radius)
        seen = ndimage.gaussian_filter(signal, 0.9) + haze + fixed
        images[t] = camera(rng, seen * light * 0.992**t, photons=330.0)
    return SampleSequence("drifting_cells", images, labels)


@dataclass(frozen=True)
class _Cell:
    """What a cell looks like; where it is comes from its path."""

    radius: float
    brightness: float
    waves: FloatArray  # rows (k, amplitude, phase, change of phase per frame) of the outline
    angle: float
    spin: float
    nucleus: FloatArray  # offset (y, x) in radii
    texture: FloatArray

    @classmethod
    def random(cls, rng: np.random.Generator, radius: float) -> _Cell:
        k = np.arange(2, 7)
        amplitude = np.array([0.17, 0.11, 0.08, 0.05, 0.03]) * rng.uniform(0.5, 1.2, k.size)
        phase, change = rng.uniform(0, 2 * math.pi, k.size), rng.normal(0, 0.16, k.size)
        fibres = np.exp(-4.0 * np.abs(noise(rng, (_TILE, _TILE), 4.0)))
        grains = np.maximum(noise(rng, (_TILE, _TILE), 2.0) - 1.7, 0)
        patches = noise(rng, (_TILE, _TILE), 9.0)
        return cls(
            radius=radius,
            brightness=rng.uniform(0.45, 1.0),
            waves=np.stack([k.astype(np.float64), amplitude, phase, change], axis=1),
            angle=rng.uniform(0, 2 * math.pi),
            spin=rng.normal(0, 0.03),
            nucleus=rng.uniform(-0.16, 0.16, 2),
            texture=0.5 + 0.55 * fibres + 0.8 * grains + 0.1 * patches,
        )

    def outline(self, direction: FloatArray, t: int) -> FloatArray:
        """Return the radius in each direction (relative to the cell's own) at a time."""
        k, amplitude, phase, change = self.waves.T
        ripples = np.cos(direction[..., None] * k + phase + change * t) @ amplitude
        result: FloatArray = self.radius * (1 + ripples)
        return result

    def draw(self, y: FloatArray, x: FloatArray, t: int) -> tuple[FloatArray, FloatArray]:
        """Return depth (1 in the centre, 0 at the edge, negative outside) and brightness."""
        along, across = turned(y, x, self.angle + self.spin * t)
        distance = np.hypot(along, across) / self.outline(np.arctan2(across, along), t)
        height = np.sqrt(np.maximum(1 - distance**2, 0))
        grid = np.stack([across, along]) / self.radius * 0.3 * _TILE
        texture = ndimage.map_coordinates(self.texture, grid, order=1, mode="grid-wrap")
        to_nucleus = np.hypot(
            along / self.radius - self.nucleus[1], 1.25 * (across / self.radius - self.nucleus[0])
        )
        dark = 1 - 0.62 / (1 + np.exp((to_nucleus - 0.36) * 22))
        return 1 - distance, self.brightness * (0.3 + 0.7 * height) * texture * dark


def _cell_paths(rng: np.random.Generator, frames: int, shape: Shape, radii: FloatArray) -> FloatArray:
    """Return centres (frames, cells, 2): persistent random walks, two towards each other, one away."""
    size = np.array(shape, dtype=np.float64)
    now = _spread(rng, size, radii)
    cruise = np.zeros_like(now)
    if len(radii) > 1:
        apart = np.hypot(*(now[:, None] - now[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(radii))
        a, b = np.unravel_index(int(apart.argmin()), apart.shape)
        cruise[a], cruise[b] = (now[b] - now[a]) * 0.03, (now[a] - now[b]) * 0.03
        out = _leaver(now, size, (int(a), int(b)))
        if out is not None:
            cruise[out] = _way_out(now[out], size, radii[out], frames)
    else:
        out = None
    speed, path = np.zeros_like(now), []
    for _ in range(frames):
        path.append(now.copy())
        speed = 0.8 * speed + rng.normal(0, 0.02 * radii.mean(), now.shape)
        now = _keep_apart(now + speed + cruise, radii, size, out)
    return np.array(path)


def _spread(rng: np.random.Generator, size: FloatArray, radii: FloatArray) -> FloatArray:
    """Take each centre as the one of many random places that is farthest from those before it."""
    margin = np.minimum(1.05 * radii.max(), 0.4 * size)
    places = rng.uniform(margin, size - margin, (1, 2))
    while len(places) < len(radii):
        trials = rng.uniform(margin, size - margin, (60, 2))
        gaps = np.linalg.norm(trials[:, None] - places[None], axis=2).min(axis=1)
        places = np.concatenate([places, trials[gaps.argmax()][None]])
    return places


def _leaver(now: FloatArray, size: FloatArray, busy: tuple[int, int]) -> int | None:
    to_edge = np.minimum(now, size - now).min(axis=1)
    to_edge[list(busy)] = np.inf
    return int(to_edge.argmin()) if np.isfinite(to_edge).any() else None


def _way_out(start: FloatArray, size: FloatArray, radius: float, frames: int) -> FloatArray:
    """Velocity that takes a cell over the nearest edge after two thirds of the sequence."""
    ways = np.concatenate([-start, size - start])
    nearest = int(np.abs(ways).argmin())
    velocity = np.zeros(2)
    velocity[nearest % 2] = (ways[nearest] + math.copysign(1.7 * radius, ways[nearest])) / (0.67 * frames)
    return velocity


def _keep_apart(now: FloatArray, radii: FloatArray, size: FloatArray, out: int | None) -> FloatArray:
    """Let cells touch, but not lie on one another, and stay in the frame, but for the one that leaves."""
    for _ in range(4):
        offset = now[:, None] - now[None]
        distance = np.linalg.norm(offset, axis=2) + 1e-9
        overlap = np.maximum(0.93 * (radii[:, None] + radii[None]) - distance, 0)
        np.fill_diagonal(overlap, 0)
        now = now + 0.5 * (offset / distance[..., None] * overlap[..., None]).sum(axis=1)
        margin = np.minimum(0.9 * radii[:, None], 0.45 * size)
        inside = np.clip(now, margin, size - margin)
        if out is not None:
            inside[out] = now[out]
        now = inside
    return now


def _draw_cells(cells: list[_Cell], places: FloatArray, t: int, shape: Shape) -> tuple[FloatArray, Labels]:
    """Where cells touch, a pixel belongs to the one it lies deeper in."""
    signal, deepest = np.zeros(shape), np.zeros(shape)
    labels = np.zeros(shape, np.uint16)
    for number, (cell, centre) in enumerate(zip(cells, places, strict=True), start=1):
        part = window(centre, 1.8 * cell.radius, shape)
        depth, brightness = cell.draw(*offsets(centre, part), t)
        mine = depth > deepest[part]
        signal[part] = np.where(mine, brightness, signal[part])
        labels[part] = np.where(mine, number, labels[part])
        deepest[part] = np.where(mine, depth, deepest[part])
    return signal, labels


def _debris(rng: np.random.Generator, shape: Shape) -> FloatArray:
    specks = np.zeros(shape)
    count = max(3, shape[0] * shape[1] // 5000)
    specks[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = rng.uniform(0.3, 1.6, count)
    return ndimage.gaussian_filter(specks, 1.1) + 1.5 * ndimage.gaussian_filter(specks[::-1], 4.0)
