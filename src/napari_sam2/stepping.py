"""One frame of several objects through the network, in groups that attend to equally placed memories."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from napari_sam2._model.results import Prediction, Recall
from napari_sam2._model.sam2 import suppress_overlaps
from napari_sam2.frame_result import FrameResult
from napari_sam2.memory import MemoryBank, MemoryRules, MemorySelection
from napari_sam2.placement import PlacedLogits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2._model.results import ImageFeatures
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.passes import PassKey

Bank: TypeAlias = MemoryBank[Tensor, Tensor]

# The reference keeps spatial memories in bfloat16 whatever it computes in; so do we, for the same numbers.
_MEMORY_DTYPE = torch.bfloat16


@dataclass(frozen=True, eq=False)
class Outcome:
    """One object tracked onto a frame.

    Attributes
    ----------
    prediction : Prediction
        Of a batch of one.
    memory : Tensor or None
        Spatial memory (1, M, g, g) in bfloat16; None in image mode.
    """

    prediction: Prediction
    memory: Tensor | None


@dataclass(frozen=True, eq=False)
class Row:
    """One object of a result: its answer, and the pass that made it where it was tracked."""

    obj: int
    prediction: Prediction
    origin: PassKey | None = None


@dataclass(frozen=True)
class _Layout:
    """Where the memories that a frame attends to lie; objects of equal layout can share a batch."""

    rows: tuple[int, ...]
    distances: tuple[int, ...]


def gather_rows(frame: int, rows: Sequence[Row], frame_shape: tuple[int, int]) -> FrameResult:
    """Make the result of a frame, its objects in order."""
    ordered = sorted(rows, key=lambda row: row.obj)
    presence = [float(row.prediction.object_logits.float().sigmoid()) for row in ordered]
    low_res = [row.prediction.low_res[0, 0].float().cpu().numpy() for row in ordered]
    return FrameResult(
        frame=frame,
        objects=tuple(row.obj for row in ordered),
        presence=np.array(presence, np.float32),
        iou=np.array([float(row.prediction.iou) for row in ordered], np.float32),
        placed=tuple(PlacedLogits(logits, (0, 0, *frame_shape), frame_shape) for logits in low_res),
        origins=tuple(row.origin for row in ordered),
        frame_shape=frame_shape,
    )


def memory_rules(model: Sam2) -> MemoryRules:
    """Return how this network chooses its memories."""
    config = model.config
    return MemoryRules(
        frames=config.memory_frames,
        stride=config.memory_stride,
        max_conditioning=config.max_conditioning,
        max_pointers=config.max_pointers,
        past_pointers_only=config.past_pointers_only,
        use_pointers=config.use_pointers,
        rows=config.memory_rows,
    )


def step_objects(
    model: Sam2, features: ImageFeatures, frame: int, banks: Sequence[Bank], *, reverse: bool, group_size: int
) -> list[Outcome]:
    """Track objects onto a frame.

    Parameters
    ----------
    model : Sam2
        Network.
    features : ImageFeatures
        Of the frame, (1, ...).
    frame : int
        Its index.
    banks : sequence of MemoryBank
        What each object remembers; they are read, not changed.
    reverse : bool
        Whether the objects are tracked towards frame 0.
    group_size : int
        Objects in a batch at most.

    Returns
    -------
    list of Outcome
        In the order of `banks`.
    """
    with torch.inference_mode(), model.runtime.autocast():
        predictions = _predict(model, features, frame, banks, reverse=reverse, group_size=group_size)
        memories = _remember(model, features, predictions, group_size)
    return [Outcome(p, m) for p, m in zip(predictions, memories, strict=True)]


def encode_prompted(model: Sam2, features: ImageFeatures, prediction: Prediction) -> Tensor:
    """Make the spatial memory of a prompted frame, (1, M, g, g)."""
    with torch.inference_mode(), model.runtime.autocast():
        large = model.enlarge(prediction.low_res)
        memory = model.encode_memory(features, large, prediction.object_logits, binarize=True)
        return memory.to(_MEMORY_DTYPE)


def recall_one(model: Sam2, features: ImageFeatures, frame: int, bank: Bank, *, reverse: bool) -> Tensor:
    """Condition a frame's features on one object's memories, (1, C, g, g)."""
    with torch.inference_mode(), model.runtime.autocast():
        return model.recall(features, _gather([bank], [bank.select(frame, reverse)]))


def _predict(
    model: Sam2, features: ImageFeatures, frame: int, banks: Sequence[Bank], *, reverse: bool, group_size: int
) -> list[Prediction]:
    selections = [bank.select(frame, reverse) for bank in banks]
    groups: dict[_Layout, list[int]] = {}
    for index, selection in enumerate(selections):
        groups.setdefault(_layout(selection), []).append(index)
    predictions: dict[int, Prediction] = {}
    for indices in groups.values():
        for start in range(0, len(indices), group_size):
            part = indices[start : start + group_size]
            recall = _gather([banks[i] for i in part], [selections[i] for i in part])
            answer = model.step(features.expand(len(part)), recall)
            predictions.update({i: _row(answer, row) for row, i in enumerate(part)})
    return [predictions[i] for i in range(len(banks))]


def _layout(selection: MemorySelection) -> _Layout:
    return _Layout(
        tuple(memory.row for memory in selection.spatial),
        tuple(pointer.distance for pointer in selection.pointers),
    )


def _gather(banks: Sequence[Bank], selections: Sequence[MemorySelection]) -> Recall:
    """Stack the selected memories of objects of equal layout."""
    layout = _layout(selections[0])
    paired = list(zip(banks, selections, strict=True))
    return Recall(
        spatial=tuple(
            torch.cat([bank.features(chosen.spatial[k].frame) for bank, chosen in paired])
            for k in range(len(layout.rows))
        ),
        rows=layout.rows,
        pointers=tuple(
            torch.cat([bank.pointer(chosen.pointers[k].frame) for bank, chosen in paired])
            for k in range(len(layout.distances))
        ),
        distances=layout.distances,
        span=banks[0].rules.pointer_span(banks[0].num_frames),
    )


def _row(prediction: Prediction, row: int) -> Prediction:
    """Take one object out of a batch."""
    return Prediction(**{f.name: getattr(prediction, f.name)[row : row + 1] for f in fields(Prediction)})


def _remember(
    model: Sam2, features: ImageFeatures, predictions: Sequence[Prediction], group_size: int
) -> list[Tensor | None]:
    """Encode memories of tracked objects, none in image mode."""
    if model.config.memory_frames == 0:
        return [None] * len(predictions)
    if model.config.non_overlap_memory:
        # Which object wins a pixel is only known with the masks of all of them.
        everything = suppress_overlaps(model.enlarge(torch.cat([p.low_res for p in predictions])))
        return [
            _encode(model, features, mask[None], p.object_logits)
            for mask, p in zip(everything, predictions, strict=True)
        ]
    memories: list[Tensor | None] = []
    for start in range(0, len(predictions), group_size):
        part = predictions[start : start + group_size]
        large = model.enlarge(torch.cat([p.low_res for p in part]))
        memory = _encode(model, features.expand(len(part)), large, torch.cat([p.object_logits for p in part]))
        memories += [memory[i : i + 1] for i in range(len(part))]
    return memories


def _encode(model: Sam2, features: ImageFeatures, large: Tensor, object_logits: Tensor) -> Tensor:
    return model.encode_memory(features, large, object_logits, binarize=False).to(_MEMORY_DTYPE)
