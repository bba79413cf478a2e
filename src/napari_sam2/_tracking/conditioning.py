"""Answering an object's prompts on one frame, as if they had been given one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2._model.layers import resize_logits
from napari_sam2._model.results import ImageFeatures, Points
from napari_sam2._tracking.trimming import only_trims
from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from napari_sam2._labels.packed_mask import PackedMask
    from napari_sam2._model.results import Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.placement import PlacedLogits
    from napari_sam2.prompts import FramePrompts

# The reference clamps the logits of an answer before it takes them as the mask prompt of the next one.
_PREVIOUS_LIMIT = 32.0
# Logit of the background around a kept crop, and of a frame on which nothing was found.
_BACKGROUND_LOGIT = -10.0
_ABSENT_LOGIT = -32.0
_POSITIVE, _NEGATIVE, _BOX_START, _BOX_END = 1, 0, 2, 3


@dataclass(frozen=True, eq=False)
class Base:
    """The tracked answer that a first correction on a frame sets out from.

    Attributes
    ----------
    low_res : array (4g, 4g), float32
        Its logits on the network's grid.
    embedding : array (C, g, g), float32, or None
        The memory-conditioned features that it was predicted from; None where another network made them.
    window : Box or None
        The part of the frame that both cover; None for the whole frame.
    score, presence : float
        What was known of the tracked answer, as in `Entry`, for when the correction is taken back.
    answered : int
        Clicks that it is an answer to already: they are told again with those that correct it.
    """

    low_res: npt.NDArray[np.float32]
    embedding: npt.NDArray[np.float32] | None
    window: Box | None = None
    score: float = 0.0
    presence: float = 1.0
    answered: int = 0


def answer_prompts(
    model: Sam2,
    features: ImageFeatures,
    prompts: FramePrompts,
    frame_shape: tuple[int, int],
    base: Base | None,
    window: Box | None = None,
    before: Prediction | None = None,
    *,
    trims: bool = False,
) -> Prediction:
    """Predict one object from its prompts: first the mask, then the box, then the points in their order.

    Step i sees the box and points 1..i and, as mask prompt, the logits of step i - 1.

    Parameters
    ----------
    model : Sam2
        Network.
    features : ImageFeatures
        Of the frame, without memory.
    prompts : FramePrompts
        At least one prompt.
    frame_shape : (int, int)
        Height and width of the frame, in pixels.
    base : Base or None
        On a frame that was tracked before its first correction, what was tracked there, in the same window.
    window : Box, optional
        The part of the frame that the features are of; all of it by default.
    before : Prediction, optional
        The answer to the same prompts less their last point, where it is known: then only the last step is
        done.
    trims : bool
        Whether negative clicks beside the middle of a base's mask leave the object where it is, whatever the
        network says.

    Raises
    ------
    ValueError
        If there is no prompt.
    """
    device, side = features.embedding.device, 16 * features.embedding.shape[-1]
    seen = window or Box(0, 0, *frame_shape)
    embedding = _conditioned(model, features, base)
    previous = None if base is None else torch.from_numpy(base.low_res)[None, None].to(device)
    prediction = before
    if prompts.packed is not None and before is None:
        mask = _square_mask(prompts.packed, seen, side, device)
        prediction = _answer_mask(model, features, embedding, mask, initial=base is None)
    answered = 0 if base is None else base.answered
    steps = list(enumerate(_point_steps(prompts, seen, side, device)))[answered:]
    for index, points in steps if before is None else steps[-1:]:
        previous = previous if prediction is None else prediction.low_res
        prediction = model.predict(
            embedding,
            features.high_res,
            points=points,
            mask_logits=None if previous is None else previous.clamp(-_PREVIOUS_LIMIT, _PREVIOUS_LIMIT),
            multimask=model.is_ambiguous(points, initial=base is None),
            candidate=prompts.candidate if index == 0 else None,
        )
        if trims and base is not None and _is_trimmed(base, prediction, points, side):
            prediction = model.choose(prediction, present=True)
    if prediction is None:
        raise ValueError("there is no prompt to answer: give a point, a box or a mask")
    return prediction


def answer_click(
    model: Sam2, features: Sequence[ImageFeatures], click: FramePrompts, windows: Sequence[Box]
) -> list[Prediction]:
    """Predict one object from its first click in several windows, as `answer_prompts` does in each.

    Parameters
    ----------
    model : Sam2
        Network.
    features : sequence of ImageFeatures
        Of the windows, all of one grid.
    click : FramePrompts
        One point.
    windows : sequence of Box
        The parts of the frame.
    """
    seen = ImageFeatures.stacked(features)
    side, device = 16 * seen.embedding.shape[-1], seen.embedding.device
    each = [_point_steps(click, window, side, device)[0] for window in windows]
    points = Points(torch.cat([p.coords for p in each]), torch.cat([p.labels for p in each]))
    together = model.predict(
        model.recall(seen, None),
        seen.high_res,
        points=points,
        mask_logits=None,
        multimask=model.is_ambiguous(points),
        candidate=click.candidate,
    )
    return [together.row(index) for index in range(len(windows))]


def _is_trimmed(base: Base, prediction: Prediction, points: Points, side: int) -> bool:
    """Whether an object is called absent though clicks are negative and beside the middle of its mask."""
    if float(prediction.object_logits) > 0 or bool((points.labels != _NEGATIVE).any()):
        return False
    scale = base.low_res.shape[-1] / side
    return only_trims(base.low_res > 0, points.coords[0].cpu().numpy() * scale)


def _conditioned(model: Sam2, features: ImageFeatures, base: Base | None) -> Tensor:
    """Features that a base was predicted from; where they are not known, those of the frame alone."""
    if base is None or base.embedding is None:
        return model.recall(features, None)
    return torch.from_numpy(base.embedding)[None].to(features.embedding.device)


def _answer_mask(
    model: Sam2, features: ImageFeatures, embedding: Tensor, mask: Tensor, *, initial: bool
) -> Prediction:
    if model.config.mask_as_output:
        return model.predict_from_mask(features, mask)
    multimask = model.is_ambiguous(None, initial=initial)
    return model.predict(embedding, features.high_res, points=None, mask_logits=mask, multimask=multimask)


def _square_mask(mask: PackedMask, window: Box, side: int, device: torch.device) -> Tensor:
    """Stretch a window of a frame's mask to the network's square, (1, 1, S, S) of zeros and ones."""
    seen = mask.unpack(window).astype(np.float32)
    values = torch.from_numpy(seen)[None, None].to(device)
    return (resize_logits(values, (side, side), antialias=True) >= 0.5).float()


def _point_steps(prompts: FramePrompts, window: Box, side: int, device: torch.device) -> list[Points]:
    """List the point tokens of each step: the box alone if there is one, then one more click each time."""
    corners = [] if prompts.box is None else [prompts.box[:2], prompts.box[2:]]
    coords = [*corners, *prompts.points]
    labels = [_BOX_START, _BOX_END][: len(corners)] + [
        _POSITIVE if p else _NEGATIVE for p in prompts.positive
    ]
    first = len(corners) or 1
    places = to_model_points(coords, window.shape, side, origin=(window.y0, window.x0))
    return [
        Points(
            torch.from_numpy(places[None, :count]).to(device),
            torch.tensor([labels[:count]], dtype=torch.int32, device=device),
        )
        for count in range(first, len(coords) + 1)
    ]


def to_model_points(
    points: list[tuple[float, float]],
    shape: tuple[int, int],
    side: int,
    *,
    origin: tuple[float, float] = (0, 0),
) -> npt.NDArray[np.float32]:
    """Turn (y, x) in pixels of the frame into (x, y) in pixels of the network's square, (P, 2).

    The one place where coordinates are converted: the window's origin is subtracted, then x' = x S / W,
    y' = y S / H with the window's height and width. The prompt encoder adds the half pixel.
    """
    places = np.asarray(points, dtype=np.float64).reshape(-1, 2) - np.asarray(origin, dtype=np.float64)
    scaled: npt.NDArray[np.float64] = places / np.asarray(shape) * side
    return scaled[:, ::-1].astype(np.float32)


def whole_grid(placed: PlacedLogits | None, side: int) -> npt.NDArray[np.float32]:
    """Put a crop of logits back on its grid, (side, side); what was cut off is background."""
    if placed is None:
        return np.full((side, side), _ABSENT_LOGIT, np.float32)
    grid = np.full((side, side), min(float(placed.logits.min()), _BACKGROUND_LOGIT), np.float32)
    (i, j), (height, width) = placed.offset, placed.logits.shape
    grid[i : i + height, j : j + width] = placed.logits
    return grid
