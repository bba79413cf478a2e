"""One frame of several objects through the network, in groups that attend to as many memories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from napari_sam2._model.results import ImageFeatures, Prediction, Recall, suppress_overlaps
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2.frame_result import FrameResult
from napari_sam2.memory import MemoryRules, MemorySelection
from napari_sam2.placement import Box, PlacedLogits
from napari_sam2.selection import Merit, SelectionRules
from napari_sam2.window import Shift

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.grouping import Groups
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
    merit : Merit
        What becomes of the memory.
    """

    prediction: Prediction
    memory: Tensor | None
    merit: Merit = field(default_factory=Merit)


@dataclass(frozen=True, eq=False)
class Row:
    """One object of a result: its answer, the pass that made it where it was tracked, the window it is of."""

    obj: int
    prediction: Prediction
    origin: PassKey | None = None
    window: Box | None = None


@dataclass(frozen=True)
class _Layout:
    """Kinds of memories that a frame attends to, and side of its map: objects alike can share a batch."""

    rows: tuple[int, ...]
    pointers: int
    grid: int = 0


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
        placed=tuple(
            PlacedLogits(logits, row.window or (0, 0, *frame_shape), frame_shape)
            for row, logits in zip(ordered, low_res, strict=True)
        ),
        origins=tuple(row.origin for row in ordered),
        frame_shape=frame_shape,
    )


def memory_rules(model: Sam2, selection: SelectionRules | None = None) -> MemoryRules:
    """Return how this network chooses its memories, and which frames are worth it."""
    config = model.config
    return MemoryRules(
        frames=config.memory_frames,
        stride=config.memory_stride,
        max_conditioning=config.max_conditioning,
        max_pointers=config.max_pointers,
        past_pointers_only=config.past_pointers_only,
        use_pointers=config.use_pointers,
        rows=config.memory_rows,
        # Released networks remember as SAM 2 does, to the bit.
        selection=selection or SelectionRules(blinks=config.is_narrow),
    )


def predict_groups(
    model: Sam2,
    features: Sequence[ImageFeatures],
    frame: int,
    banks: Sequence[Bank],
    *,
    reverse: bool,
    groups: Groups,
    shifts: Sequence[Mapping[int, Shift]] = (),
) -> Iterator[dict[int, Prediction]]:
    """Track objects onto a frame, each in features of its own, one group after the other.

    Parameters
    ----------
    model : Sam2
        Network.
    features : sequence of ImageFeatures
        What each object is looked for in.
    frame : int
        Index of the frame.
    banks : sequence of MemoryBank
        What each object remembers; they are read, not changed.
    reverse : bool
        Whether the objects are tracked towards frame 0.
    groups : Groups
        Objects in a batch.
    shifts : sequence of mapping of int to Shift
        How far the windows of each object's memories lie beside the one that is looked at now, by the frames
        of the memories; those that are not named lie where it does, and so do all without it.

    Yields
    ------
    dict
        Answers of a group, by index into `banks`.
    """
    selections = [bank.select(frame, reverse) for bank in banks]
    alike: dict[_Layout, list[int]] = {}
    for index, selection in enumerate(selections):
        layout = _layout(selection, features[index].embedding.shape[-1])
        alike.setdefault(layout, []).append(index)

    moved = shifts or ({},) * len(banks)

    def predict(part: Sequence[int]) -> dict[int, Prediction]:
        recall = _gather([banks[i] for i in part], [selections[i] for i in part])
        recall = _moved_recall(recall, [selections[i] for i in part], [moved[i] for i in part])
        # No context is held across a yield: it would rule whoever listens as well.
        with torch.inference_mode(), model.runtime.autocast():
            answer = model.step(ImageFeatures.stacked([features[i] for i in part]), recall)
        return {i: answer.row(row) for row, i in enumerate(part)}

    for indices in alike.values():
        yield from groups.run(indices, predict)


def encode_prompted(model: Sam2, features: ImageFeatures, prediction: Prediction) -> Tensor:
    """Make the spatial memory of a prompted frame, (1, M, g, g)."""
    with torch.inference_mode(), model.runtime.autocast():
        large = model.enlarge(prediction.low_res)
        memory = model.encode_memory(features, large, prediction.object_logits, binarize=True)
        return memory.to(_MEMORY_DTYPE)


@dataclass(frozen=True, eq=False)
class Trace:
    """What a memory was made from, so that it can be made again in another window.

    Attributes
    ----------
    low_res : Tensor
        (1, 1, 4g, 4g) logits.
    object_logits : Tensor
        (1, 1).
    window : Box
        The part of the frame that the logits cover.
    binarize : bool
        Whether the frame was prompted.
    """

    low_res: Tensor
    object_logits: Tensor
    window: Box
    binarize: bool


def encode_again(
    model: Sam2, features: Sequence[ImageFeatures], traces: Sequence[Trace], windows: Sequence[Box]
) -> list[Tensor]:
    """Make spatial memories as they would be had the objects been seen in these windows.

    Parameters
    ----------
    model : Sam2
        Network.
    features : sequence of ImageFeatures
        Of each memory's frame in its new window.
    traces : sequence of Trace
        What the memories were made from.
    windows : sequence of Box
        The new windows.

    Returns
    -------
    list of Tensor
        (1, M, g, g) in bfloat16 each.
    """
    encoded: list[Tensor] = []
    with torch.inference_mode(), model.runtime.autocast():
        for seen, trace, window in zip(features, traces, windows, strict=True):
            side = 16 * seen.embedding.shape[-1]
            large = model.enlarge(trace.low_res) if trace.window == window else _moved(trace, window, side)
            memory = model.encode_memory(seen, large, trace.object_logits, binarize=trace.binarize)
            encoded.append(memory.to(_MEMORY_DTYPE))
    return encoded


def _moved(trace: Trace, window: Box, side: int) -> Tensor:
    """Logits of a trace at the pixels of another window, (1, 1, side, side)."""
    logits = trace.low_res[0, 0].float().cpu().numpy()
    # The frame's size makes no difference here.
    moved = PlacedLogits(logits, trace.window, (1, 1)).sample(window, (side, side))
    return torch.from_numpy(moved)[None, None].to(trace.low_res.device)


def recall_one(
    model: Sam2,
    features: ImageFeatures,
    frame: int,
    bank: Bank,
    *,
    reverse: bool,
    shifts: Mapping[int, Shift] | None = None,
) -> Tensor:
    """Condition a frame's features on one object's memories, (1, C, g, g); `shifts`: see `predict_groups`."""
    selection = bank.select(frame, reverse)
    recall = _moved_recall(_gather([bank], [selection]), [selection], [shifts or {}])
    with torch.inference_mode(), model.runtime.autocast():
        return model.recall(features, recall)


def _layout(selection: MemorySelection, grid: int = 0) -> _Layout:
    return _Layout(tuple(memory.row for memory in selection.spatial), len(selection.pointers), grid)


def _gather(banks: Sequence[Bank], selections: Sequence[MemorySelection]) -> Recall:
    """Stack the selected memories of objects of equal layout."""
    layout = _layout(selections[0])
    paired = list(zip(banks, selections, strict=True))
    distances = [tuple(pointer.distance for pointer in chosen.pointers) for chosen in selections]
    return Recall(
        spatial=tuple(
            torch.cat([bank.features(chosen.spatial[k].frame) for bank, chosen in paired])
            for k in range(len(layout.rows))
        ),
        rows=layout.rows,
        pointers=tuple(
            torch.cat([bank.pointer(chosen.pointers[k].frame) for bank, chosen in paired])
            for k in range(layout.pointers)
        ),
        distances=tuple(distances) if len(set(distances)) > 1 else (distances[0],),
        span=banks[0].rules.pointer_span(banks[0].num_frames),
    )


def _moved_recall(
    recall: Recall, selections: Sequence[MemorySelection], shifts: Sequence[Mapping[int, Shift]]
) -> Recall:
    """Say where memories lie whose windows have moved since."""
    if not any(shifts):
        return recall
    here, told = Shift(0, 0), list(zip(selections, shifts, strict=True))
    cells = [
        memory.new_tensor(
            [moved.get(chosen.spatial[k].frame, here) for chosen, moved in told], dtype=torch.float32
        )
        * memory.shape[-1]
        for k, memory in enumerate(recall.spatial)
    ]
    return replace(recall, shifts=tuple(cells))


def remember_groups(
    model: Sam2, features: Sequence[ImageFeatures], predictions: Sequence[Prediction], groups: Groups
) -> Iterator[list[Outcome]]:
    """Encode memories of tracked objects, none in image mode, one group after the other.

    Yields
    ------
    list of Outcome
        Those of a group; all of them come in the order of `predictions`.
    """
    if model.config.memory_frames == 0:
        yield [Outcome(prediction, None) for prediction in predictions]
        return
    apart = _masks_apart(model, features, predictions) if model.config.non_overlap_memory else None

    def remember(part: Sequence[int]) -> list[Outcome]:
        object_logits = torch.cat([predictions[i].object_logits for i in part])
        with torch.inference_mode(), model.runtime.autocast():
            seen = ImageFeatures.stacked([features[i] for i in part])
            if apart is None:
                large = model.enlarge(torch.cat([predictions[i].low_res for i in part]))
            else:
                large = torch.cat([apart[i] for i in part])
            memory = model.encode_memory(seen, large, object_logits, binarize=False).to(_MEMORY_DTYPE)
        return [Outcome(predictions[i], memory[row : row + 1].clone()) for row, i in enumerate(part)]

    for stretch in _stretches([prediction.low_res.shape[-1] for prediction in predictions]):
        yield from groups.run(stretch, remember)


def _masks_apart(
    model: Sam2, features: Sequence[ImageFeatures], predictions: Sequence[Prediction]
) -> list[Tensor]:
    """Enlarge masks; those that were seen in the same window do not overlap."""
    with torch.inference_mode(), model.runtime.autocast():
        masks = [model.enlarge(prediction.low_res) for prediction in predictions]
        alike: dict[int, list[int]] = {}
        for index, each in enumerate(features):
            alike.setdefault(id(each), []).append(index)
        for indices in alike.values():
            apart = suppress_overlaps(torch.cat([masks[i] for i in indices]))
            for row, index in enumerate(indices):
                masks[index] = apart[row : row + 1]
        return masks


def _stretches(values: Sequence[int]) -> Iterator[range]:
    """Cut a sequence into stretches of equal values."""
    start = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            yield range(start, index)
            start = index
