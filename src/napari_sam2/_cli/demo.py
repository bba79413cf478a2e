"""``napari-sam2 demo``: a sample sequence, one click per object, labels and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from napari_sam2 import samples
from napari_sam2._cli import arguments
from napari_sam2._cli.arguments import ModelOptions
from napari_sam2._cli.contact_sheet import Mark, contact_sheet
from napari_sam2._cli.opening import new_session, open_model
from napari_sam2._cli.progress import INTERRUPTED, watch
from napari_sam2._cli.scoring import Evaluation, Labels, evaluate_session, table

if TYPE_CHECKING:
    from PIL.Image import Image


def demo(
    *,
    out: Path = Path("demo"),
    sample: str = "drifting_cells",
    model: Annotated[ModelOptions, Parameter(name="*")] = ModelOptions(),
) -> int:
    """Make a sample sequence, track its objects from one click each, and compare with the truth.

    Writes labels.tif and overlay.png.

    Parameters
    ----------
    out
        Folder for the results; made if it is not there.
    sample
        drifting_cells, nuclei_stack or dividing_rods.
    model
        The network.
    """
    console = Console()
    sequence = samples.sample(sample)
    arguments.check_results(out)
    session = new_session(sequence.images, open_model(model))
    out.mkdir(parents=True, exist_ok=True)
    arguments.check_output(out / "labels.tif")
    evaluation = evaluate_session(
        session, sequence.labels, lambda results, total: watch(results, total=total)
    )
    session.export(out / "labels.tif")
    picture(sequence, session.labels, evaluation).save(out / "overlay.png", optimize=True)
    frames = len(sequence.images)
    console.print(table(evaluation, f"{sequence.name}, {frames} frames, one click per object ({model.name})"))
    console.print(
        f"{out / 'labels.tif'}\n{out / 'overlay.png'}", highlight=False, soft_wrap=True, markup=False
    )
    return INTERRUPTED if evaluation.stopped else 0


def picture(sequence: samples.SampleSequence, labels: Labels, evaluation: Evaluation) -> Image:
    """Draw the contact sheet of a run."""
    marks = [Mark(obj.id, obj.seed, (obj.click.y, obj.click.x)) for obj in evaluation.objects]
    count = len(evaluation.objects)
    return contact_sheet(
        sequence.images,
        np.asarray(labels),
        marks=marks,
        title=f"{count} objects, {len(labels)} frames, one click each",
        legend=[f"mean J {evaluation.j:.3f}", f"F {evaluation.f:.3f}", "rings: the clicks"],
    )
