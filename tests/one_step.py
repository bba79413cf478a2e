"""Objects that are tracked onto one frame, all in the same features."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam2._model.results import ImageFeatures, Prediction
from napari_sam2._model.sam2 import Sam2
from napari_sam2._tracking.stepping import Bank, Outcome, predict_groups, remember_groups
from napari_sam2.grouping import Groups


def step_objects(
    model: Sam2, features: ImageFeatures, frame: int, banks: Sequence[Bank], *, reverse: bool, group_size: int
) -> list[Outcome]:
    """Track objects onto a frame, so many at a time, and return what comes of it in the order of `banks`."""
    seen, groups = [features] * len(banks), Groups(group_size, model.runtime.device)
    predictions: dict[int, Prediction] = {}
    for answers in predict_groups(model, seen, frame, banks, reverse=reverse, groups=groups):
        predictions.update(answers)
    ordered = [predictions[i] for i in range(len(banks))]
    return [outcome for part in remember_groups(model, seen, ordered, groups) for outcome in part]
