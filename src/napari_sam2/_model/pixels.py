"""What the network is given: values exposed for what is in them, then normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam2._model.constants import constant

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)

# How the range of an image's values is told, and the least that is taken for one.
_PERCENTILES, _SAMPLED, _LEAST_SPAN = (0.5, 99.8), 8_192, 16.0


def normalise(images: Tensor) -> Tensor:
    """Turn (B, 3 or 1, S, S) values of 0..255 into the network's input, (B, 3, S, S) float32."""
    mean, std = (constant(each, images.device)[:, None, None] for each in (IMAGE_MEAN, IMAGE_STD))
    return (images.float() / 255.0 - mean) / std


def expose(images: Tensor, share: float) -> Tensor:
    """Bring each image's own range of values part of the way to 0..255.

    A dim object in a window of its own is seen better so, and that it fades is still seen.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S) values of 0..255.
    share : float
        0 leaves the images as they are, 1 stretches them from their 0.5th to their 99.8th percentile.

    Returns
    -------
    Tensor
        (B, C, S, S) float32, 0..255.
    """
    if share == 0:
        return images.float()
    values = images.float().flatten(1)
    sample = values[:, :: max(1, values.shape[1] // _SAMPLED)]
    low, high = (_percentile(sample, each) for each in _PERCENTILES)
    low, high = low * share, 255 * (high / 255) ** share
    span = (high - low).clamp(min=_LEAST_SPAN)
    return ((values - low[:, None]) * (255 / span[:, None])).clamp_(0, 255).view_as(images)


def _percentile(sample: Tensor, percent: float) -> Tensor:
    """Take a percentile near either end of each row as `torch.quantile` does, without sorting all of it."""
    steps = sample.shape[1] - 1
    from_top = percent > 50
    rank = steps * (100 - percent if from_top else percent) / 100
    near = int(rank)
    ends = sample.topk(min(near + 2, steps + 1), dim=1, largest=from_top).values
    return torch.lerp(ends[:, near], ends[:, min(near + 1, steps)], rank - near)


def prepare(images: Tensor, config: Sam2Config) -> Tensor:
    """Turn (B, 3 or 1, S, S) values of 0..255 into what `Sam2.encode_image` takes, (B, 3, S, S) float32."""
    return normalise(expose(images, config.exposure))
