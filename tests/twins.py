"""Two discs that look alike, and a network that prefers whatever lies where the object was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from napari_sam2._model.results import ImageFeatures, Prediction, Recall
from tests.seeing import BRIGHT, DARK, Phantom, SeeingFake, phantom

_SIDE, _RADIUS = 128, 8.0
_CANDIDATES = 3


class TwinFake(SeeingFake):
    """Offers each bright spot of its window as a candidate; the most like the last memory scores highest."""

    def __init__(self) -> None:
        super().__init__(image_size=256)

    def step(self, features: ImageFeatures, memories: Recall) -> Prediction:
        found = super().step(features, memories)
        last = interpolate(memories.spatial[-1][:, 1:].float(), found.low_res.shape[-2:], mode="bilinear")
        logits = found.low_res
        candidates = [self._spots(each, where) for each, where in zip(logits[:, 0], last[:, 0], strict=True)]
        masks = torch.stack([each[0] for each in candidates])
        ious = torch.stack([each[1] for each in candidates])
        return replace(found, raw_masks=masks, masks=masks, ious=ious, best=ious.argmax(dim=1))

    def choose(self, prediction: Prediction, best: Tensor) -> Prediction:
        return replace(prediction, best=best)

    def _spots(self, logits: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        labels, count = ndimage.label(logits.numpy() > 0)
        masks = torch.full((_CANDIDATES, *logits.shape), -10.0)
        ious = torch.full((_CANDIDATES,), 0.1)
        for k in range(min(count, _CANDIDATES)):
            spot = torch.from_numpy(labels == k + 1)
            masks[k] = torch.where(spot, logits, -10.0)
            ious[k] = 0.6 + 0.3 * (where * spot).sum() / spot.sum()
        return masks, ious


def passing(count: int = 10) -> tuple[Phantom, NDArray[np.bool_]]:
    """A disc that goes right, one of the same kind that goes left below it; the truth of the second too.

    Where they meet, the second one comes to lie where the first one was on the frame before.
    """
    right = [(50.0, 14.0 + 10 * t) for t in range(count)]
    left = [(64.0, 108.0 - 10 * t) for t in range(count)]
    first, second = (_discs(centres) for centres in (right, left))
    frames = np.where(first.truth | second.truth, BRIGHT, DARK).astype(np.uint8)
    return Phantom(frames, first.truth), second.truth


def _discs(centres: Sequence[tuple[float, float]]) -> Phantom:
    return phantom((_SIDE, _SIDE), centres, [_RADIUS] * len(centres))
