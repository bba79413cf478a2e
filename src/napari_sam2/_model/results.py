"""What goes into and comes out of the network, by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


# What a pixel of another object has at most.
_SUPPRESSED_LOGIT = -10.0


@dataclass(frozen=True)
class ImageFeatures:
    """Features of a batch of frames.

    Attributes
    ----------
    embedding : Tensor
        Stride 16, (B, C, g, g), without memory.
    high_res : tuple of Tensor
        Strides 4 and 8, (B, C/8, 4g, 4g) and (B, C/4, 2g, 2g); empty where the network does not use them.
    """

    embedding: Tensor
    high_res: tuple[Tensor, ...]

    @classmethod
    def stacked(cls, several: Sequence[ImageFeatures]) -> ImageFeatures:
        """Make one batch of features of one frame each; the same ones are shared, not copied."""
        first = several[0]
        if all(each is first for each in several):
            return first.expand(len(several))
        return cls(
            torch.cat([each.embedding for each in several]),
            tuple(torch.cat(maps) for maps in zip(*(each.high_res for each in several), strict=True)),
        )

    def expand(self, count: int) -> ImageFeatures:
        """Return the features of one frame as a batch of `count` views of them."""
        return ImageFeatures(
            self.embedding.expand(count, -1, -1, -1),
            tuple(x.expand(count, -1, -1, -1) for x in self.high_res),
        )

    def row(self, index: int) -> ImageFeatures:
        """Copy the features of one frame out of the batch, which is not held then."""
        part = self.select(slice(index, index + 1))
        return ImageFeatures(part.embedding.clone(), tuple(x.clone() for x in part.high_res))

    def select(self, index: slice | Tensor) -> ImageFeatures:
        """Return the features of some frames of the batch."""
        return ImageFeatures(self.embedding[index], tuple(x[index] for x in self.high_res))

    def to(self, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> ImageFeatures:
        """Move or cast all maps."""
        return ImageFeatures(
            self.embedding.to(device=device, dtype=dtype),
            tuple(x.to(device=device, dtype=dtype) for x in self.high_res),
        )

    @property
    def nbytes(self) -> int:
        """Bytes that the maps hold."""
        return sum(x.numel() * x.element_size() for x in (self.embedding, *self.high_res))


@dataclass(frozen=True)
class Points:
    """Point tokens, boxes among them.

    Attributes
    ----------
    coords : Tensor
        (B, P, 2) as (x, y) in pixels of the network's input.
    labels : Tensor
        (B, P) int32: 1 positive, 0 negative, 2 and 3 a box's first and last corner, -1 padding.
    """

    coords: Tensor
    labels: Tensor

    @property
    def count(self) -> int:
        """Number of tokens of each object."""
        return int(self.labels.shape[1])

    @classmethod
    def none(cls, batch: int, device: torch.device) -> Points:
        """Return the single padding token that stands for "no prompt"."""
        coords = torch.zeros(batch, 1, 2, device=device)
        return cls(coords, torch.full((batch, 1), -1, dtype=torch.int32, device=device))


@dataclass(frozen=True)
class Recall:
    """The memories that a frame attends to.

    Attributes
    ----------
    spatial : tuple of Tensor
        Spatial memories, each (B, M, g, g).
    rows : tuple of int
        Row of the temporal embedding of each.
    pointers : tuple of Tensor
        Object pointers, each (B, C).
    distances : tuple of tuple of int
        Frames between each pointer and this frame, of each object or once for all of them; negative ones lie
        ahead in the direction of tracking.
    span : int
        Largest distance that the time code knows, at least 1.
    shifts : tuple of Tensor
        How many cells each spatial memory lies further down and further right than the frame's map, (B, 2)
        float32; none where all of them lie where it does.
    """

    spatial: tuple[Tensor, ...]
    rows: tuple[int, ...]
    pointers: tuple[Tensor, ...]
    distances: tuple[tuple[int, ...], ...]
    span: int
    shifts: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """Masks of a batch of objects on one frame each, as logits.

    Attributes
    ----------
    raw_masks : Tensor
        Candidates as the decoder gives them, (B, K, 4g, 4g) float32.
    masks : Tensor
        The same, -1024 all over where the object is told absent.
    ious : Tensor
        Predicted intersection over union of each candidate, (B, K).
    best : Tensor
        Index of the chosen candidate, (B,) int64.
    object_logits : Tensor
        Logit of the object being on the frame, (B, 1).
    pointer : Tensor
        Object pointer, (B, C).
    tokens : Tensor or None
        Mask tokens of the candidates, (B, K, C), which pointers are made of; None where a mask was its own
        answer.
    """

    raw_masks: Tensor
    masks: Tensor
    ious: Tensor
    best: Tensor
    object_logits: Tensor
    pointer: Tensor
    tokens: Tensor | None = None

    def row(self, index: int) -> Prediction:
        """Copy one object out of a batch, which is not held then."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        kept = {name: value[index : index + 1].clone() for name, value in values.items() if value is not None}
        return Prediction(**kept)

    @property
    def low_res(self) -> Tensor:
        """Chosen mask, (B, 1, 4g, 4g)."""
        return take_candidate(self.masks, self.best)[:, None]

    @property
    def iou(self) -> Tensor:
        """Predicted intersection over union of the chosen mask, (B,)."""
        return take_candidate(self.ious, self.best)


def take_candidate(values: Tensor, index: Tensor) -> Tensor:
    """Return ``values[b, index[b]]`` for every b of the batch."""
    return values[torch.arange(len(index), device=values.device), index]


def suppress_overlaps(mask_logits: Tensor) -> Tensor:
    """Leave each pixel to the object of highest logit; the others get at most -10 there.

    Parameters
    ----------
    mask_logits : Tensor
        (n, 1, H, W), one object each, all on the same frame.
    """
    if len(mask_logits) < 2:
        return mask_logits
    winner = mask_logits.argmax(dim=0, keepdim=True)
    index = torch.arange(len(mask_logits), device=mask_logits.device)[:, None, None, None]
    return torch.where(winner == index, mask_logits, mask_logits.clamp(max=_SUPPRESSED_LOGIT))
