"""A network that sees bright spots on dark ground in whatever window it is shown, and phantoms for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from napari_sam2._model.derived import Derived
from napari_sam2._model.pixels import IMAGE_MEAN, IMAGE_STD
from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall
from napari_sam2.device import Runtime
from tests._model.small import SMALL_CONFIG

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2

BRIGHT, DARK = 220, 20


@dataclass(frozen=True)
class Step:
    """What a tracked frame was predicted from: grey values of its window, those in each memory, and where."""

    seen: Tensor
    remembered: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    shifts: tuple[tuple[float, ...], ...]


class SeeingFake:
    """Finds what is bright in its window; a memory holds the window's grey values and the mask.

    Memories brighten what they hold a little, so that answers depend on them to the last bit.
    """

    def __init__(self, *, image_size: int = 64) -> None:
        self.config = replace(SMALL_CONFIG, image_size=image_size, memory_dim=2)
        self.runtime = Runtime(torch.device("cpu"), torch.float32)
        self.source: str | None = None
        self.digest: Derived[str] = Derived()
        self.steps: list[Step] = []
        self.sides: list[int] = []
        self.asked = 0

    def as_model(self) -> Sam2:
        return cast("Sam2", self)

    def state_dict(self) -> dict[str, Tensor]:
        return {"weight": torch.ones(1)}

    def encode_image(self, images: Tensor) -> ImageFeatures:
        self.sides.append(images.shape[-1])
        grey = (images[:, :1] * IMAGE_STD[0] + IMAGE_MEAN[0]) * 255
        side = images.shape[-1]
        return ImageFeatures(
            adaptive_avg_pool2d(grey, (side // 16, side // 16)),
            (adaptive_avg_pool2d(grey, (side // 4, side // 4)),),
        )

    def recall(self, features: ImageFeatures, memories: Recall | None) -> Tensor:
        if memories is None or not memories.spatial:
            return features.embedding
        return features.embedding + torch.stack(memories.spatial)[:, :, 1:].float().mean(dim=0)

    def is_ambiguous(self, points: Points | None, *, initial: bool = True) -> bool:
        return points is not None and points.count == 1

    def predict(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        *,
        points: Points | None,
        mask_logits: Tensor | None,
        multimask: bool,
        candidate: int | None = None,
    ) -> Prediction:
        self.asked += 1
        found = self._found(high_res[0], embedding, candidates=3 if multimask else 1)
        return found if candidate is None else replace(found, best=torch.full_like(found.best, candidate))

    def predict_from_mask(self, features: ImageFeatures, mask: Tensor) -> Prediction:
        side = 4 * features.embedding.shape[-1]
        found = self._found(features.high_res[0], features.embedding, candidates=1)
        logits = 20 * adaptive_avg_pool2d(mask, (side, side)) - 10
        return replace(found, raw_masks=logits, masks=logits)

    def step(self, features: ImageFeatures, memories: Recall) -> Prediction:
        self.steps.append(
            Step(
                features.embedding[0, 0],
                tuple(memory[0, 0].float() for memory in memories.spatial),
                tuple(memory[0, 1].float() for memory in memories.spatial),
                tuple(tuple(shift[0].tolist()) for shift in memories.shifts),
            )
        )
        return self._found(features.high_res[0], self.recall(features, memories), candidates=1)

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, object_logits: Tensor, *, binarize: bool
    ) -> Tensor:
        grid = features.embedding.shape[-1]
        mask = adaptive_avg_pool2d((mask_logits > 0).float(), (grid, grid))
        return torch.cat([features.embedding, mask], dim=1)

    def enlarge(self, low_res: Tensor) -> Tensor:
        return interpolate(low_res, scale_factor=4, mode="bilinear")

    def _found(self, grey: Tensor, embedding: Tensor, *, candidates: int) -> Prediction:
        remembered = embedding - adaptive_avg_pool2d(grey, (embedding.shape[-2], embedding.shape[-1]))
        lifted = grey + 5 * interpolate(remembered, grey.shape[-2:], mode="bilinear")
        logits = (lifted - (BRIGHT + DARK) / 2) / 10
        masks = torch.cat([logits, logits - 3, logits - 6][:candidates], dim=1)
        present = torch.where(logits.amax(dim=(1, 2, 3)) > 0, 10.0, -10.0)[:, None]
        return Prediction(
            raw_masks=masks,
            masks=masks,
            ious=torch.tensor([[0.9, 0.5, 0.2][:candidates]]).expand(len(grey), -1),
            best=torch.zeros(len(grey), dtype=torch.int64),
            object_logits=present,
            pointer=torch.zeros(len(grey), 2),
        )


@dataclass(frozen=True)
class Phantom:
    """Frames with one bright disc, and where it is."""

    frames: NDArray[np.uint8]
    truth: NDArray[np.bool_]

    @property
    def centre(self) -> tuple[float, float]:
        """The disc's middle on the first frame."""
        rows, columns = np.nonzero(self.truth[0])
        return float(rows.mean()), float(columns.mean())


def phantom(
    shape: tuple[int, int],
    centres: Sequence[tuple[float, float]],
    radii: Sequence[float],
    *,
    aspect: float = 1.0,
) -> Phantom:
    """Draw a disc on each frame, round in a world whose pixels are `aspect` times as high as wide."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = np.stack(
        [
            ((y - row) * aspect) ** 2 + (x - column) ** 2 < radius**2
            for (row, column), radius in zip(centres, radii, strict=True)
        ]
    )
    return Phantom(np.where(truth, BRIGHT, DARK).astype(np.uint8), truth)


def crossing(side: int = 160, count: int = 24, radius: float = 7) -> Phantom:
    """A disc that goes from one corner of the field to the other."""
    ways = np.linspace(12, side - 13, count)
    return phantom((side, side), [(float(way), float(way)) for way in ways], [radius] * count)


def growing(side: int = 200, count: int = 16) -> Phantom:
    """A disc that grows eightfold."""
    radii = 5 * 8 ** (np.arange(count) / (count - 1))
    return phantom((side, side), [(100.0, 90.0)] * count, [float(radius) for radius in radii])


def bordering(side: int = 160, count: int = 12) -> Phantom:
    """A disc that slides along the upper border, half of it outside, into the corner."""
    return phantom(
        (side, side), [(2.0, float(way)) for way in np.linspace(60, side - 2, count)], [12.0] * count
    )
