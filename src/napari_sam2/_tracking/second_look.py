"""A second look at a clicked frame: the object is tracked from its own answer onto the very same frame.

A click says little: the network has to guess what is meant. With the guess as a memory it sees what the rest
of the object looks like, and outlines it better. Later clicks then correct it as they do on a tracked frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.stepping import Bank, encode_prompted, memory_rules, recall_one

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.results import ImageFeatures, Prediction
    from napari_sam2._model.sam2 import Sam2

# Below this overlap with the first answer the second one is of something else.
_SAME = 0.5


@dataclass(frozen=True, eq=False)
class SecondLook:
    """What is seen of an object once its first answer is remembered.

    Attributes
    ----------
    prediction : Prediction
        The candidates of the first answer, the chosen one as it is seen the second time.
    embedding : Tensor
        (1, C, g, g) features that this was predicted from.
    """

    prediction: Prediction
    embedding: Tensor


def look_again(model: Sam2, features: ImageFeatures, first: Prediction) -> SecondLook | None:
    """Outline an object better than its click did.

    Parameters
    ----------
    model : Sam2
        Network; one without memory has no second look.
    features : ImageFeatures
        What `first` was predicted from.
    first : Prediction
        Answer to a click, of a batch of one.

    Returns
    -------
    SecondLook or None
        None where the object is absent, or where what is seen then is something else.
    """
    if model.config.memory_frames == 0 or float(first.object_logits) <= 0:
        return None
    bank: Bank = MemoryBank(memory_rules(model), num_frames=2)
    bank.add_conditioning(0, encode_prompted(model, features, first), first.pointer)
    embedding = recall_one(model, features, 1, bank, reverse=False)
    with torch.inference_mode(), model.runtime.autocast():
        again = model.predict(
            embedding,
            features.high_res,
            points=None,
            mask_logits=None,
            multimask=model.is_ambiguous(None, initial=False),
        )
    if _overlap(first.low_res, again.low_res) < _SAME:
        return None
    return SecondLook(_merged(first, again), embedding)


def _overlap(first: Tensor, second: Tensor) -> float:
    one, two = first > 0, second > 0
    return float((one & two).sum() / (one | two).sum().clamp(min=1))


def _merged(first: Prediction, again: Prediction) -> Prediction:
    """Put the second answer in the place of the chosen candidate."""
    chosen = torch.zeros_like(first.ious, dtype=torch.bool)
    chosen[0, first.best] = True
    maps = chosen[:, :, None, None]
    return replace(
        first,
        raw_masks=torch.where(maps, _of_best(again, again.raw_masks), first.raw_masks),
        masks=torch.where(maps, again.low_res, first.masks),
        ious=torch.where(chosen, again.iou[:, None], first.ious),
        object_logits=again.object_logits,
        pointer=again.pointer,
    )


def _of_best(prediction: Prediction, masks: Tensor) -> Tensor:
    return replace(prediction, masks=masks).low_res
