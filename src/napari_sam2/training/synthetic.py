"""Synthetic microscopy sequences with their truth, made on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_sam2.training.appearance import render
from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.scenes import draw_layout
from napari_sam2.training.shapes import draw_shapes


@dataclass(frozen=True)
class SyntheticConfig:
    """What the sequences show.

    Parameters
    ----------
    layout
        Kinds of scenes, sizes of objects, shares of volumes and divisions.
    """

    layout: LayoutRules = field(default_factory=LayoutRules)


@dataclass(frozen=True)
class SyntheticBatch:
    """Sequences and their truth.

    Parameters
    ----------
    images
        (B, T, 3, S, S) float32, 0 to 255.
    labels
        (B, T, S, S) int32: 0 for the background, ids that last through the sequence.
    """

    images: Tensor
    labels: Tensor


@torch.no_grad()
def make_sequences(
    config: SyntheticConfig, batch: int, frames: int, size: int, generator: torch.Generator
) -> SyntheticBatch:
    """Make sequences of random scenes.

    Parameters
    ----------
    config
        What the sequences show.
    batch, frames, size
        Number of sequences, frames in each, side of a frame in pixels (a multiple of 8, at least 32).
    generator
        The source of all randomness; the images are made on its device.

    Returns
    -------
    SyntheticBatch
        Images and labels.

    Raises
    ------
    ValueError
        If a number is not positive or the size is no multiple of 8.
    """
    if batch < 1 or frames < 1:
        raise ValueError(f"batch and frames must be at least 1, got {batch} and {frames}")
    if size < 32 or size % 8:
        raise ValueError(f"size must be a multiple of 8 and at least 32, got {size}")
    draws = Draws(generator)
    # A network's half precision is too coarse for places in pixels.
    with torch.autocast(generator.device.type, enabled=False):
        layout = draw_layout(config.layout, batch, frames, size, draws)
        shapes = draw_shapes(layout, size, draws)
        return SyntheticBatch(render(layout, shapes, draws), shapes.labels)
