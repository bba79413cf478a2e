"""A short video in two forms that decode to the same pixels: JPEG files and an array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

NUM_FRAMES, HEIGHT, WIDTH = 10, 72, 96
UInt8Array = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Video:
    """Frames (T, H, W, 3) and the folder of JPEG files that they were read from."""

    frames: UInt8Array
    folder: Path

    def frame(self, index: int) -> UInt8Array:
        frame: UInt8Array = self.frames[index]
        return frame

    @property
    def shape(self) -> tuple[int, int, int]:
        return NUM_FRAMES, HEIGHT, WIDTH


def make_video(folder: Path) -> Video:
    """Draw two bodies that drift over a textured ground."""
    rng = np.random.default_rng(5)
    ground = 90 + 200 * gaussian_filter(rng.normal(size=(HEIGHT, WIDTH, 3)), (2, 2, 0))
    frames = []
    for index in range(NUM_FRAMES):
        image = ground + 12 * rng.normal(size=ground.shape)
        image[body(index)] += (70, 40, 10)
        image[ellipse(24 + 3 * index, 66 - 2 * index, 9, 14)] += (-30, 20, 80)
        path = folder / f"{index:05d}.jpg"
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path, quality=95)
        frames.append(np.asarray(Image.open(path).convert("RGB")))
    return Video(np.stack(frames), folder)


def body(index: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where the first body is on a frame."""
    return ellipse(40 - index, 24 + 4 * index, 12, 9)


def ellipse(y: float, x: float, height: float, width: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    inside: np.ndarray[Any, np.dtype[np.bool_]] = ((yy - y) / height) ** 2 + ((xx - x) / width) ** 2 < 1
    return inside
