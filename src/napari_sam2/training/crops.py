"""Clips for training, cut out of labelled stacks: a window about an object, some frames, any orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.draws import Draws
from napari_sam2.training.synthetic import SyntheticBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.stacks import Stack

_SMALLEST = 24  # pixels of the stack in a window at least


@dataclass(frozen=True)
class CropRules:
    """How clips are cut and changed.

    Parameters
    ----------
    factor
        Smallest and largest side of a window over the extent of the object that it is cut about.
    drift
        How far off its middle the object may be, in parts of the side.
    stride
        Probability that every second frame is taken alone.
    light
        Whether gain, gamma and offset are changed, and noise or blur added.
    """

    factor: tuple[float, float] = (1.6, 5.0)
    drift: float = 0.25
    stride: float = 0.15
    light: bool = True


@dataclass(frozen=True)
class _Window:
    top: int
    left: int
    side: int


def crop_clips(
    stacks: tuple[Stack, ...],
    batch: int,
    frames: int,
    size: int,
    generator: torch.Generator,
    rules: CropRules | None = None,
) -> SyntheticBatch:
    """Cut clips out of stacks, each object of each stack as often as any other.

    Parameters
    ----------
    stacks
        Of `read_stacks`.
    batch, frames, size
        Clips, frames of each, side of a frame in pixels. A stack that is shorter than a clip is played to and
        fro.
    generator
        The source of randomness; the clips are made on its device.
    rules
        How clips are cut and changed.
    """
    rules, draws = rules or CropRules(), Draws(generator)
    objects = [(stack, obj) for stack in stacks for obj in np.unique(stack.places.obj).tolist()]
    chosen = draws.integers(batch, low=0, high=len(objects)).tolist()
    clips = [_cut(stack, obj, frames, size, draws, rules) for stack, obj in (objects[n] for n in chosen)]
    images = torch.stack([clip.images for clip in clips])
    labels = torch.stack([clip.labels for clip in clips])
    return SyntheticBatch(_relight(images, draws) if rules.light else images, labels)


def _cut(stack: Stack, obj: int, frames: int, size: int, draws: Draws, rules: CropRules) -> SyntheticBatch:
    rows = np.flatnonzero(stack.places.obj == obj)
    row = rows[int(draws.integers(low=0, high=len(rows)))]
    window = _window(stack.places.box[row], draws, rules)
    order = _order(len(stack.labels), int(stack.places.frame[row]), frames, draws, rules)
    images = _pictures(stack, order, window, size, draws.device)
    labels = _truth(stack, order, window, size, draws.device)
    turns, mirrored = int(draws.integers(low=0, high=4)), bool(draws.chance(0.5))
    images, labels = torch.rot90(images, turns, (2, 3)), torch.rot90(labels, turns, (1, 2))
    if mirrored:
        images, labels = images.flip(3), labels.flip(2)
    return SyntheticBatch(images, labels)


def _window(box: NDArray[np.int64], draws: Draws, rules: CropRules) -> _Window:
    y0, x0, y1, x1 = box.tolist()
    factor = float(draws.log_uniform(1, low=rules.factor[0], high=rules.factor[1]))
    side = max(_SMALLEST, round(max(y1 - y0, x1 - x0) * factor))
    off_y, off_x = (draws.uniform(2, low=-rules.drift, high=rules.drift) * side).tolist()
    return _Window(round((y0 + y1) / 2 + off_y - side / 2), round((x0 + x1) / 2 + off_x - side / 2), side)


def _order(length: int, first: int, frames: int, draws: Draws, rules: CropRules) -> list[int]:
    """Frames of a clip: from the first one on, forward or backward, turning at the ends of the stack."""
    step = 2 if bool(draws.chance(rules.stride)) and length > 2 else 1
    step = -step if bool(draws.chance(0.5)) else step
    if not 0 <= first + step < length:
        step = -step
    period = max(2 * (length - 1), 1)
    places = [(first + step * index) % period for index in range(frames)]
    return [period - place if place >= length else place for place in places]


def _inside(start: int, side: int, length: int) -> NDArray[np.int64]:
    """Rows or columns of a window; where it sticks out, the border's go on."""
    return np.clip(np.arange(start, start + side), 0, length - 1)


def _pictures(stack: Stack, order: list[int], window: _Window, size: int, device: torch.device) -> Tensor:
    """(T, 3, size, size) values of 0 to 255."""
    rows = _inside(window.top, window.side, stack.labels.shape[1])
    columns = _inside(window.left, window.side, stack.labels.shape[2])
    part = stack.images[np.ix_(np.array(order), rows, columns)].astype(np.float32)
    low, high = stack.contrast
    part = np.nan_to_num((part - low) * (255 / (high - low)), nan=0.0).clip(0, 255)
    pixels = torch.from_numpy(part).to(device).movedim(3, 1)
    pixels = functional.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)
    return pixels.expand(-1, 3, -1, -1)


def _truth(stack: Stack, order: list[int], window: _Window, size: int, device: torch.device) -> Tensor:
    """(T, size, size) int32, the objects of the clip numbered from 1; nothing beyond the border."""
    height, width = stack.labels.shape[1:]
    places = (np.arange(size) + 0.5) * (window.side / size)
    y, x = (np.floor(places + start).astype(np.int64) for start in (window.top, window.left))
    part = stack.labels[np.ix_(np.array(order), y.clip(0, height - 1), x.clip(0, width - 1))].astype(np.int64)
    part = part * (((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width)))
    _ids, dense = np.unique(np.append(part, 0), return_inverse=True)
    return torch.from_numpy(dense[:-1].reshape(part.shape).astype(np.int32)).to(device)


def _relight(images: Tensor, draws: Draws) -> Tensor:
    """Other gain, gamma and offset for each clip, and in some noise or blur."""
    batch, frames, _, size, _ = images.shape
    gamma, gain = draws.log_uniform(2, batch, 1, 1, 1, 1, low=0.75, high=1.35).unbind(0)
    offset = draws.normal(batch, 1, 1, 1, 1, scale=0.04)
    values = (images / 255).pow(gamma) * gain + offset
    soft = functional.avg_pool2d(values.flatten(0, 1), 3, stride=1, padding=1, count_include_pad=False)
    blurred = draws.sometimes(draws.uniform(batch, 1, 1, 1, 1), 0.3)
    values = torch.lerp(values, soft.view_as(values), blurred)
    noise = draws.sometimes(draws.uniform(batch, 1, 1, 1, 1, high=0.08), 0.5)
    values = values + draws.normal(batch, frames, 1, size, size) * noise
    inverted = draws.chance(0.05, batch, 1, 1, 1, 1)
    return torch.where(inverted, 1 - values, values).clamp(0, 1) * 255
