"""Corrections alone: what clicks change of an answer that is there, while all else of the network stays.

A clicked mask and what is tracked from it are answered without a mask prompt. What is learned here acts where
there is one, and where a box is answered, so that first clicks and tracking stay as they are, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sam2.training.clicks import Targets, boxes, corrective_clicks, first_clicks, join
from napari_sam2.training.clips import REFINE_LIMIT, Answer, Memory, drawn_mask, recall_memories

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.results import ImageFeatures, Points, Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.training.draws import Draws


@dataclass(frozen=True)
class CorrectionRules:
    """What the simulated user corrects.

    Parameters
    ----------
    boxed
        Share of the rounds in which the first prompt is a box.
    looked_again
        Share of the other rounds in which the clicked frame is looked at again before it is corrected.
    more, most
        Probability of one more click on the same frame, after the first; how many follow it at most.
    innermost
        Probability that a click is in the innermost point of the error instead of any.
    other
        Share of the answers of which another candidate is corrected than the chosen one.
    """

    boxed: float = 0.15
    looked_again: float = 0.7
    more: float = 0.6
    most: int = 3
    innermost: float = 0.75
    other: float = 0.2


@dataclass(frozen=True)
class _Round:
    """One round of clicks on clips."""

    model: Sam2
    encoded: ImageFeatures
    targets: Targets
    rules: CorrectionRules
    draws: Draws

    @property
    def frames(self) -> int:
        return self.targets.truth.shape[1]

    def features(self, frame: int) -> ImageFeatures:
        return self.encoded.select(self.targets.owner * self.frames + frame)


@dataclass(frozen=True)
class _Seen:
    """An answer that is to be corrected, the features it was predicted from, the points it answers.

    A box is answered by the single mask, as corrections are, and so it is learned as well.
    """

    embedding: Tensor
    prediction: Prediction
    points: Points | None = None
    boxed: bool = False


def freeze_but_corrections(model: Sam2) -> None:
    """Let nothing take gradients but what first clicks and tracking do not use.

    That is how a mask prompt is read, and what draws the single mask that answers two points or more.
    """
    model.requires_grad_(False)
    model.sam_prompt_encoder.mask_downscaling.requires_grad_(True)
    model.sam_mask_decoder.output_hypernetworks_mlps[0].requires_grad_(True)


def run_corrections(
    model: Sam2,
    encoded: ImageFeatures,
    targets: Targets,
    draws: Draws,
    *,
    rounds: int,
    rules: CorrectionRules | None = None,
) -> tuple[Answer, ...]:
    """Prompt all targets on frame 0, track them, and correct the first frame and those from the third on.

    Parameters
    ----------
    model
        The network.
    encoded
        Of `encode_clips`.
    targets
        N objects in these sequences.
    draws
        The source of randomness.
    rounds
        How often all this is done with other clicks.
    rules
        What is corrected.

    Returns
    -------
    tuple of Answer
        The prompted and the corrected ones; the first ones of clicks are not to be trained.
    """
    each = (_Round(model, encoded, targets, rules or CorrectionRules(), draws) for _ in range(rounds))
    return tuple(answer for one in each for answer in _run(one))


def _run(one: _Round) -> list[Answer]:
    first = _prompted(one)
    prompted = Answer(0, first.prediction, trained=first.boxed)
    answers = [prompted, *_correct(one, 0, first, _some(one, first.prediction))]
    memories = [_remember(one, prompted, conditioning=True)]
    for frame in range(1, one.frames):
        seen = _tracked(one, frame, memories)
        memories.append(_remember(one, Answer(frame, seen.prediction), conditioning=False))
        if frame > 1:
            answers.extend(_correct(one, frame, seen, _some(one, seen.prediction)))
    return answers


def _prompted(one: _Round) -> _Seen:
    """Prompt the first frame, and look at it again as the tracker does, or not."""
    features, truth = one.features(0), one.targets.truth[:, 0]
    boxed = bool(one.draws.chance(one.rules.boxed))
    points = boxes(truth, one.draws) if boxed else first_clicks(truth, one.draws)
    embedding = one.model.recall(features, None)
    prediction = _answer(one, embedding, features, points)
    if not boxed and bool(one.draws.chance(one.rules.looked_again)):
        seen = _remember(one, Answer(0, prediction), conditioning=True)
        embedding = one.model.recall(features, recall_memories([seen], 1, one.model))
        prediction = _answer(one, embedding, features, None)
    return _Seen(embedding, prediction, points, boxed)


@torch.no_grad()
def _tracked(one: _Round, frame: int, memories: list[Memory]) -> _Seen:
    """Track a frame."""
    features = one.features(frame)
    recall = recall_memories(memories, frame, one.model, one.targets.places)
    embedding = one.model.recall(features, recall)
    return _Seen(embedding, _answer(one, embedding, features, None))


def _answer(one: _Round, embedding: Tensor, features: ImageFeatures, points: Points | None) -> Prediction:
    ambiguous = one.model.is_ambiguous(points)
    return one.model.predict(
        embedding, features.high_res, points=points, mask_logits=None, multimask=ambiguous
    )


def _correct(one: _Round, frame: int, seen: _Seen, logits: Tensor) -> list[Answer]:
    """Click into what is wrong, once or more; `logits` (N, 1, 4g, 4g) are what is corrected.

    The single mask answers, also a first click on a tracked frame: what draws candidates does not learn.
    """
    features, truth = one.features(frame), one.targets.truth[:, frame]
    answers: list[Answer] = []
    points = seen.points
    for _ in range(1 + one.draws.streak(one.rules.more, one.rules.most)):
        shown = one.model.enlarge(logits)[:, 0] > 0
        points = join(points, corrective_clicks(truth, shown, one.draws, innermost=one.rules.innermost))
        prediction = one.model.predict(
            seen.embedding,
            features.high_res,
            points=points,
            mask_logits=logits.clamp(-REFINE_LIMIT, REFINE_LIMIT),
            multimask=False,
        )
        answers.append(Answer(frame, prediction))
        logits = drawn_mask(prediction).detach()
    return answers


def _some(one: _Round, prediction: Prediction) -> Tensor:
    """Return the chosen candidates, and now and then any."""
    logits = prediction.raw_masks.detach()
    count, kinds = logits.shape[:2]
    other = one.draws.integers(count, low=0, high=kinds)
    index = torch.where(one.draws.chance(one.rules.other, count), other, prediction.best)
    return logits[torch.arange(count, device=logits.device), index].unsqueeze(1)


@torch.no_grad()
def _remember(one: _Round, answer: Answer, *, conditioning: bool) -> Memory:
    prediction, model = answer.prediction, one.model
    logits = model.enlarge(prediction.low_res.detach())
    spatial = model.encode_memory(
        one.features(answer.frame), logits, prediction.object_logits.detach(), binarize=conditioning
    )
    return Memory(answer.frame, spatial, prediction.pointer.detach(), conditioning)


def pointer_drift(model: Sam2, before: Sam2, encoded: ImageFeatures, targets: Targets) -> Tensor:
    """Mean square by which the object pointers of true masks on first frames differ from what they were.

    A mask prompt is its own answer; how it is read says what is remembered of the object.

    Parameters
    ----------
    model
        The network.
    before
        The same before it learned.
    encoded
        Of `encode_clips`.
    targets
        N objects in these sequences.
    """
    features = encoded.select(targets.owner * targets.truth.shape[1])
    mask = targets.truth[:, :1].float()
    with torch.no_grad():
        kept = before.predict_from_mask(features, mask).pointer
    return (model.predict_from_mask(features, mask).pointer - kept).pow(2).mean()
