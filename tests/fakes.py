"""A network that tracks by simple arithmetic and notes what it is asked; frames that it can tell apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from napari_sam2._model.derived import Derived
from napari_sam2._model.pixels import IMAGE_MEAN, IMAGE_STD, normalise
from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall
from napari_sam2.device import Runtime
from napari_sam2.prompts import FramePrompts
from tests._model.small import SMALL_CONFIG, small_model

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2

SHAPE = (24, 20)
_OFFSETS = torch.tensor([-1.0, 0.0, 0.5])


def seeing_model(**options: Any) -> Sam2:
    """Make the small network, sure that every object is on every frame unless the user says otherwise."""
    model = small_model(**options)
    model.state_dict()["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(20)
    return model


def plain_frames(count: int) -> NDArray[np.uint8]:
    """Frames of one grey value each, their own index, which the fake network reads from them."""
    values = np.arange(count, dtype=np.uint8)[:, None, None]
    return np.broadcast_to(values, (count, *SHAPE)).copy()


class ManyFrames:
    """Twenty-five thousand frames, 100 GB of them, made when they are read."""

    shape = (25_000, 2048, 1024)
    dtype = np.dtype(np.uint16)
    ndim = 3

    def __init__(self) -> None:
        self.read: list[int] = []

    def __getitem__(self, key: tuple[int | slice, slice, slice]) -> NDArray[np.uint16]:
        chosen = np.arange(self.shape[0])[key[0]]
        self.read += np.atleast_1d(chosen).tolist()
        line = np.arange(self.shape[2], dtype=np.uint16)
        plane = np.broadcast_to(line, self.shape[1:])[key[1:]]
        return plane + (chosen[..., None, None] % 1000).astype(np.uint16)

    def as_dask(self) -> Any:
        """Return them as a dask array of a chunk a frame."""
        chunks, kind = (1, *self.shape[1:]), np.zeros((0, 0, 0), np.uint16)
        return da.from_array(self, chunks=chunks, meta=kind)  # type: ignore[no-untyped-call, attr-defined, unused-ignore]


@dataclass(frozen=True)
class Attended:
    """What one object attended to on a tracked frame.

    Attributes
    ----------
    frame : int
        The frame.
    codes : tuple of float
        Marks of the objects that the pointers belong to; one, if memories of objects are not mixed up.
    spatial, pointers : tuple of int
        Frames of the memories.
    """

    frame: int
    codes: tuple[float, ...]
    spatial: tuple[int, ...]
    pointers: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """One pass of the decoder for prompts: number of point tokens, whether a mask came too, candidates."""

    tokens: int
    has_mask: bool
    multimask: bool


class FakeModel:
    """Stands in for `Sam2`.

    A mask is a sum of cones at the clicks; tracking averages the masks in memory. A memory carries the number
    of its frame, a pointer that number and the column of the object's first click.
    """

    def __init__(self, **options: Any) -> None:
        self.config = replace(SMALL_CONFIG, **{"image_size": 64, **options})
        self.runtime = Runtime(torch.device("cpu"), torch.float32)
        self.source: str | None = None
        self.digest: Derived[str] = Derived()
        self.encoded: list[int] = []
        self.attended: list[Attended] = []
        self.asked: list[Asked] = []
        self.batches: list[int] = []
        self.lost_from: int | None = None

    def as_model(self) -> Sam2:
        """Claim to be the network, for the type checker."""
        return cast("Sam2", self)

    def attended_on(self, frame: int) -> Attended:
        """What was attended to on a frame, by the last object that was tracked there."""
        return next(row for row in reversed(self.attended) if row.frame == frame)

    def state_dict(self) -> dict[str, Tensor]:
        return {"weight": torch.ones(1)}

    def prepare(self, images: Tensor) -> Tensor:
        return normalise(images)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        values = (images[:, :1] * IMAGE_STD[0] + IMAGE_MEAN[0]) * 255
        grid = self.config.grid
        embedding = adaptive_avg_pool2d(values, (grid, grid))
        self.encoded.append(int(embedding.mean().round()))
        return ImageFeatures(embedding, ())

    def recall(self, features: ImageFeatures, memories: Recall | None) -> Tensor:
        if memories is None or not memories.spatial:
            return features.embedding
        return features.embedding + torch.stack(memories.spatial)[:, :, 1:].float().mean(dim=0)

    def is_ambiguous(self, points: Points | None, *, initial: bool = True) -> bool:
        return points is None or points.count <= 1

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
        count = 0 if points is None else points.count
        self.asked.append(Asked(count, mask_logits is not None, multimask))
        side = 4 * embedding.shape[-1]
        logits = torch.zeros(len(embedding), 1, side, side) if points is None else self._cones(points, side)
        logits = logits + 0.01 * embedding.mean(dim=(1, 2, 3), keepdim=True)
        if mask_logits is not None:
            logits = logits + 0.25 * interpolate(mask_logits, (side, side))
        code = torch.zeros(len(embedding)) if points is None else points.coords[:, 0, 0]
        return self._prediction(embedding, logits, code, multimask=multimask, candidate=candidate)

    def choose(
        self, prediction: Prediction, best: Tensor | None = None, *, present: bool = False
    ) -> Prediction:
        """Take another candidate, or an object for present; its pointer stays."""
        logits = prediction.object_logits.clamp(min=2) if present else prediction.object_logits
        chosen = prediction.best if best is None else best
        return replace(prediction, best=chosen, object_logits=logits)

    def predict_from_mask(self, features: ImageFeatures, mask: Tensor) -> Prediction:
        side = 4 * features.embedding.shape[-1]
        logits = 20 * adaptive_avg_pool2d(mask, (side, side)) - 10
        prediction = self._prediction(features.embedding, logits, mask.sum(dim=(1, 2, 3)))
        present = mask.flatten(1).any(dim=1, keepdim=True).float()
        return replace(prediction, object_logits=20 * present - 10)

    def step(self, features: ImageFeatures, memories: Recall) -> Prediction:
        self.batches.append(len(features.embedding))
        self._note(features, memories)
        side = 4 * self.config.grid
        conditioned = self.recall(features, memories)
        logits = 1.1 * interpolate(conditioned - 0.99 * features.embedding, (side, side))
        if self.lost_from is not None and features.embedding.mean().round() >= self.lost_from:
            logits = torch.full_like(logits, -10)
        code = memories.pointers[0][:, 1] if memories.pointers else torch.zeros(len(logits))
        return self._prediction(features.embedding, logits, code, multimask=True)

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, object_logits: Tensor, *, binarize: bool
    ) -> Tensor:
        grid = self.config.grid
        frames = features.embedding.mean(dim=(1, 2, 3)).round()[:, None, None, None]
        return torch.cat(
            [frames.expand(-1, 1, grid, grid), adaptive_avg_pool2d(mask_logits, (grid, grid))], dim=1
        )

    def enlarge(self, low_res: Tensor) -> Tensor:
        return interpolate(low_res, scale_factor=4)

    def _note(self, features: ImageFeatures, memories: Recall) -> None:
        for row, embedding in enumerate(features.embedding):
            self.attended.append(
                Attended(
                    frame=int(embedding.mean().round()),
                    codes=tuple(sorted({round(float(p[row, 1]), 3) for p in memories.pointers})),
                    spatial=tuple(int(m[row, 0, 0, 0]) for m in memories.spatial),
                    pointers=tuple(int(p[row, 0]) for p in memories.pointers),
                )
            )

    def _prediction(
        self,
        embedding: Tensor,
        logits: Tensor,
        code: Tensor,
        *,
        multimask: bool = False,
        candidate: int | None = None,
    ) -> Prediction:
        masks = logits + _OFFSETS[:, None, None] if multimask else logits
        best = 1 if candidate is None else candidate
        frames = embedding.mean(dim=(1, 2, 3)).round()
        return Prediction(
            raw_masks=masks,
            masks=masks,
            ious=torch.tensor([[0.1, 0.9, 0.3] if multimask else [0.8]]).expand(len(logits), -1),
            best=torch.full((len(logits),), best if multimask else 0),
            object_logits=logits.amax(dim=(1, 2, 3))[:, None],
            pointer=torch.stack([frames, code], dim=1),
        )

    def _cones(self, points: Points, side: int) -> Tensor:
        """Sum cones at clicks, downward at negative ones; corners of a box count as clicks."""
        places = (torch.arange(side) + 0.5) * self.config.image_size / side
        logits = torch.full((len(points.coords), 1, side, side), -4.0)
        for coords, label in zip(points.coords.unbind(1), points.labels.unbind(1), strict=True):
            x, y = coords[:, 0, None, None], coords[:, 1, None, None]
            distance = ((places[None, None, :] - x) ** 2 + (places[None, :, None] - y) ** 2).sqrt()
            sign = torch.where(label == 0, -1.0, 1.0)[:, None, None, None]
            logits = logits + sign * (10 - 0.8 * distance).clamp(min=0)[:, None]
        return logits


class BrokenFrames:
    """Frames of which some cannot be read."""

    def __init__(self, frames: NDArray[np.uint8], broken: set[int]) -> None:
        self.frames = frames
        self.broken = broken
        self.shape = frames.shape
        self.dtype = frames.dtype

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        if key[0] in self.broken:
            raise OSError(f"frame {key[0]} cannot be read")
        part: NDArray[np.uint8] = self.frames[key]
        return part


def noisy_frames(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames of noise, each like its neighbours and none like another."""
    noise = np.random.default_rng(seed).normal(size=(count + 4, *SHAPE))
    smooth = sum(noise[i : i + count] for i in range(5))
    return np.clip(128 + 40 * smooth, 0, 255).astype(np.uint8)


def click(y: float, x: float, *more: tuple[float, float, bool]) -> FramePrompts:
    """Make a positive click and further ones (y, x, positive)."""
    points = [(y, x), *((row[0], row[1]) for row in more)]
    return FramePrompts(points=points, positive=[True, *(row[2] for row in more)])


def absent() -> FramePrompts:
    """Say that the object is not on the frame."""
    return FramePrompts(mask=np.zeros(SHAPE, bool))
