"""Prompting and tracking through a short sequence, as the tracker does it, with gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from napari_sam2._model.pixels import prepare
from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall
from napari_sam2.training.clicks import Targets, boxes, corrective_clicks, first_clicks, join

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.training.draws import Draws

PromptKind = Literal["click", "box", "mask"]
REFINE_LIMIT = 32.0
CERTAIN = 10.0


@dataclass(frozen=True)
class Plan:
    """What the simulated user does in a clip.

    Parameters
    ----------
    prompt
        First prompt, on frame 0.
    corrections
        Clicks that follow it on frame 0.
    corrected
        A later frame that gets a corrective click; None for none.
    again
        Clicks that follow it on that frame.
    innermost
        Probability that a click is in the innermost point instead of any.
    teacher
        Memories are made from the true masks instead of the predicted ones.
    """

    prompt: PromptKind = "click"
    corrections: int = 0
    corrected: int | None = None
    again: int = 0
    innermost: float = 0.6
    teacher: bool = False


@dataclass(frozen=True)
class Answer:
    """A prediction for all objects on one frame; `trained` is false where the truth itself was the answer."""

    frame: int
    prediction: Prediction
    trained: bool = True


@dataclass(frozen=True)
class Memory:
    """What a frame leaves for later ones; `conditioning` where it was prompted or corrected."""

    frame: int
    spatial: Tensor
    pointer: Tensor
    conditioning: bool


def draw_plan(frames: int, teacher: float, draws: Draws) -> Plan:
    """Draw what the user does in a clip of so many frames."""
    if frames == 1:
        kind: PromptKind = "click" if bool(draws.chance(0.8)) else "box"
        return Plan(prompt=kind, corrections=draws.streak(0.35, 3))
    kinds: tuple[PromptKind, ...] = ("click", "box", "mask")
    kind = kinds[int(draws.pick((0.65, 0.15, 0.2)))]
    corrected = _early(frames, draws) if bool(draws.chance(0.5)) else None
    return Plan(
        kind,
        draws.streak(0.2, 2),
        corrected,
        again=draws.streak(0.35, 2),
        teacher=bool(draws.chance(teacher)),
    )


def _early(frames: int, draws: Draws) -> int:
    """Draw a frame after the first, rather an early one, where most objects still are.

    Late ones alone would teach that what a negative click hits is gone.
    """
    return min(int(draws.integers(low=1, high=frames)) for _ in range(2))


def encode_clips(model: Sam2, images: Tensor) -> ImageFeatures:
    """Features of all B * T frames of (B, T, 3, S, S) values of 0 to 255."""
    return model.encode_image(prepare(images.flatten(0, 1), model.config))


def run_clip(
    model: Sam2, encoded: ImageFeatures, targets: Targets, plan: Plan, draws: Draws
) -> tuple[Answer, ...]:
    """Prompt all targets on frame 0 and track them to the last frame.

    Parameters
    ----------
    model
        The network.
    encoded
        Of `encode_clips`.
    targets
        N objects in these sequences.
    plan
        What the user does.
    draws
        The source of randomness.

    Returns
    -------
    tuple of Answer
        One answer at least for each frame, in order; corrections follow what they correct.
    """
    frames = targets.truth.shape[1]
    memories: list[Memory] = []
    answers: list[Answer] = []
    for frame in range(frames):
        features = encoded.select(targets.owner * frames + frame)
        truth = targets.truth[:, frame]
        if frame == 0:
            given = _prompt(model, features, truth, plan, draws)
        else:
            recall = recall_memories(memories, frame, model, targets.places)
            given = _track(model, features, truth, plan, draws, frame, recall)
        answers.extend(given)
        clicked = frame in (0, plan.corrected)
        if frame < frames - 1:
            memories.append(_remember(model, features, given[-1], truth, plan, clicked=clicked))
    return tuple(answers)


def recall_memories(memories: list[Memory], frame: int, model: Sam2, places: Tensor | None = None) -> Recall:
    """Collect what a frame attends to: conditioning frames, the last six tracked ones, pointers of both.

    With `places`, as `Targets` has them, memories say where they lie.
    """
    config = model.config
    tracked = [m for m in memories if not m.conditioning and frame - m.frame < config.memory_frames]
    near = [m for m in memories if m.conditioning or frame - m.frame < config.max_pointers]
    conditioning = [m for m in memories if m.conditioning]
    kept = (*conditioning, *tracked)
    return Recall(
        spatial=tuple(m.spatial for m in kept),
        rows=(config.memory_rows - 1,) * len(conditioning) + tuple(frame - m.frame - 1 for m in tracked),
        pointers=tuple(m.pointer for m in near),
        distances=(tuple(frame - m.frame for m in near),),
        span=max(config.max_pointers - 1, 1),
        shifts=() if places is None else tuple(_shift(places, m, frame) for m in kept),
    )


def _shift(places: Tensor, memory: Memory, frame: int) -> Tensor:
    """(N, 2) how many cells of its map a memory lies beside the windows of a frame."""
    return (places[:, memory.frame] - places[:, frame]) * memory.spatial.shape[-1]


def _prompt(model: Sam2, features: ImageFeatures, truth: Tensor, plan: Plan, draws: Draws) -> list[Answer]:
    embedding = model.recall(features, None)
    points: Points | None = None
    if plan.prompt == "mask":
        answers = [Answer(0, model.predict_from_mask(features, truth.unsqueeze(1).float()), trained=False)]
    else:
        points = (
            boxes(truth, draws)
            if plan.prompt == "box"
            else first_clicks(truth, draws, innermost=plan.innermost)
        )
        answers = [Answer(0, _predict(model, embedding, features, points, None))]
    for _ in range(0 if plan.prompt == "mask" else plan.corrections):
        points = join(points, _correction(model, answers[-1].prediction, truth, plan, draws))
        answers.append(Answer(0, _predict(model, embedding, features, points, answers[-1].prediction)))
    return answers


def _track(
    model: Sam2,
    features: ImageFeatures,
    truth: Tensor,
    plan: Plan,
    draws: Draws,
    frame: int,
    recall: Recall,
) -> list[Answer]:
    embedding = model.recall(features, recall)
    answers = [Answer(frame, _predict(model, embedding, features, None, None))]
    points: Points | None = None
    for _ in range(1 + plan.again if frame == plan.corrected else 0):
        points = join(points, _correction(model, answers[-1].prediction, truth, plan, draws))
        answers.append(Answer(frame, _predict(model, embedding, features, points, answers[-1].prediction)))
    return answers


def _predict(
    model: Sam2,
    embedding: Tensor,
    features: ImageFeatures,
    points: Points | None,
    previous: Prediction | None,
) -> Prediction:
    hint = None if previous is None else drawn_mask(previous).detach().clamp(-REFINE_LIMIT, REFINE_LIMIT)
    return model.predict(
        embedding, features.high_res, points=points, mask_logits=hint, multimask=model.is_ambiguous(points)
    )


def drawn_mask(prediction: Prediction) -> Tensor:
    """Return the chosen mask as it is drawn, (N, 1, 4g, 4g), also where the object is called absent."""
    return replace(prediction, masks=prediction.raw_masks).low_res


def _correction(model: Sam2, prediction: Prediction, truth: Tensor, plan: Plan, draws: Draws) -> Points:
    predicted = model.enlarge(drawn_mask(prediction).detach())[:, 0] > 0
    return corrective_clicks(truth, predicted, draws, innermost=plan.innermost)


def _remember(
    model: Sam2, features: ImageFeatures, answer: Answer, truth: Tensor, plan: Plan, *, clicked: bool
) -> Memory:
    prediction = answer.prediction
    if plan.teacher:
        logits = (truth.unsqueeze(1).float() * 2 - 1) * CERTAIN
        presence = (truth.flatten(1).any(1, keepdim=True).float() * 2 - 1) * CERTAIN
    else:
        logits, presence = model.enlarge(prediction.low_res.detach()), prediction.object_logits.detach()
    binarize = clicked and answer.trained
    spatial = model.encode_memory(features, logits, presence, binarize=binarize)
    return Memory(answer.frame, spatial, prediction.pointer, clicked)


def mean_jaccard(answers: tuple[Answer, ...], targets: Targets, model: Sam2) -> float:
    """Mean IoU over objects and frames of the last answer on each frame; 1 where both masks are empty."""
    last = {answer.frame: answer.prediction for answer in answers}
    scores = []
    for frame, prediction in last.items():
        predicted = model.enlarge(prediction.low_res)[:, 0] > 0
        real = targets.truth[:, frame]
        either = (predicted | real).flatten(1).sum(1)
        both = (predicted & real).flatten(1).sum(1)
        scores.append(torch.where(either > 0, both / either.clamp(min=1), 1.0)[targets.valid])
    return float(torch.cat(scores).mean())
