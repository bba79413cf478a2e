"""``napari-sam2 train``: a small network of one's own, or one that is there, tuned to one's own stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from napari_sam2 import seeding
from napari_sam2._cli import arguments
from napari_sam2._cli.arguments import ImageOptions
from napari_sam2._cli.opening import open_session, read_labels
from napari_sam2._cli.progress import INTERRUPTED, Run, stop_on_interrupt
from napari_sam2._cli.scoring import evaluate_session
from napari_sam2.io import open_image
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.train import train as run_training

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.frame_result import FrameResult


def train(
    *,
    config: Annotated[TrainConfig, Parameter(name="*")],
    pretrained: Annotated[str | None, Parameter(name="--from")] = None,
    validate: tuple[Path, ...] = (),
) -> int:
    """Train a network on synthetic sequences, or tune one to labelled stacks.

    The same command goes on where it was stopped; Ctrl-C stops it after the step at hand. To tune a network:
    --data DIR --from NAME, with any model of `napari-sam2 models list`, or the path of a checkpoint.

    Parameters
    ----------
    config
        The settings.
    pretrained
        The same as --pretrained: a network to tune, instead of random weights.
    validate
        An .npz file with the arrays `images` and `labels`, scored by one click per object. May be repeated.
    """
    console = Console(soft_wrap=True)
    for each in validate:
        check_validation(each)
    score = partial(validation, validate) if validate else None
    arguments.check_results(config.out)
    if pretrained is not None and config.pretrained is not None:
        raise ValueError("--from and --pretrained are the same: give one of them.")
    if pretrained is not None:
        config = replace(config, pretrained=pretrained)
    with stop_on_interrupt() as pressed:
        result = run_training(config, validate=score, is_over=pressed)
    if result.stopped:
        console.print(
            f"Stopped by Ctrl-C: {result.steps} steps are kept in {config.out}; the same command goes on.",
            markup=False,
            highlight=False,
        )
        return INTERRUPTED
    for name, value in result.validation.items():
        console.print(f"{name}: {value:.3f}", markup=False, highlight=False)
    console.print(str(result.weights), markup=False, highlight=False)
    return 0


def check_validation(path: Path) -> None:
    """Fail before the training, not after it, where a sequence cannot be scored."""
    if path.suffix.lower() != ".npz":
        raise ValueError(f"--validate {path}: give an .npz file with the arrays images and labels.")
    labels = read_labels(path)
    images = open_image(path).array
    if labels.ndim != 3 or images.shape[:3] != labels.shape:
        raise ValueError(
            f"{path} has images of shape {images.shape} and labels of shape {labels.shape}: both must be "
            "(frames, height, width), images may have 3 or 4 colours last."
        )


def validation(paths: tuple[Path, ...], model: Sam2) -> Mapping[str, float]:
    """Score a network on sequences: mean J of each, by the name of its file."""
    return {path.stem: _score(path, model) for path in paths}


def _score(path: Path, model: Sam2) -> float:
    session = open_session(path, model, ImageOptions())
    return evaluate_session(session, seeding.shown_labels(read_labels(path), session.volume), _unwatched).j


def _unwatched(results: Iterable[FrameResult], total: int) -> Run:  # noqa: ARG001
    """Draw the results without a progress bar: Ctrl-C ends the training, not the validation alone."""
    return Run(results=sum(1 for _ in results), seconds=0.0, stopped=False)
