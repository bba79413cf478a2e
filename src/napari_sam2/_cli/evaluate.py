"""``napari-sam2 evaluate``: scores against a truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from napari_sam2 import seeding
from napari_sam2._cli import arguments
from napari_sam2._cli.arguments import ImageOptions, ModelOptions
from napari_sam2._cli.opening import open_model, open_session, read_labels
from napari_sam2._cli.progress import INTERRUPTED, watch
from napari_sam2._cli.scoring import document, evaluate_session, table
from napari_sam2._cli.worst_frames import worst_frames


def evaluate(
    images: Path,
    labels: Path | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    clicks: int = 1,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    worst: Path | None = None,
    image: Annotated[ImageOptions, Parameter(name="*")] = ImageOptions(),
    model: Annotated[ModelOptions, Parameter(name="*")] = ModelOptions(),
) -> int:
    """Track true objects from one click each, and print J and boundary F of each and overall.

    An object is clicked at the innermost point of its largest frame and tracked both ways; scored are its own
    masks, before overlaps are resolved, from two frames before its first to two after its last. By default up
    to 12 objects are taken, of those on at least 4 frames with at least 60 pixels on one.

    Parameters
    ----------
    images
        The sequence, or an .npz file with the arrays `images` and `labels`.
    labels
        The truth; not needed for such an .npz file.
    every
        Take every object.
    clicks
        Clicks per object; each after the first corrects the frame with most wrong pixels.
    json
        Where to write the scores as JSON; - prints them instead of the table.
    worst
        Where to write a picture (.png) of the frame of least J of each object, truth and mask outlined.
    image
        How to read the images.
    model
        The network.
    """
    _check(images, labels, clicks, json, worst)
    stored = read_labels(labels or images)
    session = open_session(images, open_model(model), image, view=model)
    truth = seeding.shown_labels(stored, session.volume)
    truth = truth[np.newaxis] if truth.ndim == 2 else truth  # one frame
    evaluation = evaluate_session(
        session, truth, lambda results, total: watch(results, total=total), every=every, clicks=clicks
    )
    written = document(evaluation, images=images.name, model=model.name)
    if str(json) == "-":
        sys.stdout.write(written + "\n")
    else:
        Console().print(
            table(evaluation, f"{images.name}, {evaluation.clicks} click(s) per object ({model.name})")
        )
    # Last: where a file cannot be written, the scores have been said all the same.
    if json is not None and str(json) != "-":
        json.write_text(written + "\n", encoding="utf-8")
    if worst is not None:
        worst_frames(session, truth, evaluation.scores).save(worst)
    return INTERRUPTED if evaluation.stopped else 0


def _check(images: Path, labels: Path | None, clicks: int, json: Path | None, worst: Path | None) -> None:
    """Fail before anything is loaded."""
    arguments.check_input(images)
    if labels is None and images.suffix.lower() != ".npz":
        raise ValueError("Give the labels too; only an .npz file can hold both images and labels.")
    if clicks < 1:
        raise ValueError(f"--clicks {clicks}: an object needs at least one click.")
    for written in (json, worst):
        if written is not None:
            arguments.check_file(written)
    if worst is not None and worst.suffix.lower() != ".png":
        raise ValueError(f"--worst {worst}: the picture has to be a .png file.")
