"""What became of a sequence, and the report of all of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_sam2.batch.identity import Marker, marker_of
from napari_sam2.io.atomic import replacing
from napari_sam2.refusals import FULL_DISK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2.batch.plan import Plan

Status = Literal["done", "skipped", "failed", "waiting"]


@dataclass(frozen=True)
class Outcome:
    """What became of a sequence; a row of the report.

    Parameters
    ----------
    name : str
        Of the sequence.
    status : {"done", "skipped", "failed", "waiting"}
        ``"skipped"``: its labels were complete before; what is said of them is what the run that made them
        said. ``"waiting"``: the run has not come to it.
    seconds : float
        Time spent on it, by the worker that finished it.
    frames, objects : int
        How many its labels have; 0 where that did not become known.
    doubtful : int
        How many stretches of frames deserve a look, see `Session.doubtful`.
    encoded : int
        Frames that went through the image encoder; the fewer, the more was there already.
    resumed : int
        Masks that were taken over from a run that had been stopped.
    worker : str
        Who did it.
    labels : str
        Where the labels are; empty where there are none.
    error : str
        What went wrong, in one line.
    notes : str
        Warnings on the way.
    """

    name: str
    status: Status
    seconds: float = 0.0
    frames: int = 0
    objects: int = 0
    doubtful: int = 0
    encoded: int = 0
    resumed: int = 0
    worker: str = ""
    labels: str = ""
    error: str = ""
    notes: str = ""

    @classmethod
    def of(cls, made: Marker, name: str, status: Status, labels: Path) -> Outcome:
        """Tell again what was told of labels when they were made."""
        return cls(
            name,
            status,
            made.seconds,
            made.frames,
            made.objects,
            made.doubtful,
            made.encoded,
            made.resumed,
            made.worker,
            str(labels),
            notes=made.notes,
        )


def waiting(plan: Plan) -> dict[str, Outcome]:
    """Tell what is known of each sequence before a run comes to it, by name.

    Labels that are there are not compared with what they would be made from now.
    """
    told: dict[str, Outcome] = {}
    for each in plan.sequences:
        labels = plan.result(each.name).resolve()
        made = Marker.read(marker_of(labels, each.name)) if labels.exists() else None
        told[each.name] = (
            Outcome(each.name, "waiting") if made is None else Outcome.of(made, each.name, "waiting", labels)
        )
    return told


def write_report(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes as CSV with a heading, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    names = [each.name for each in fields(Outcome)]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(names)
        for outcome in outcomes:
            values = [getattr(outcome, name) for name in names]
            rows.writerow([f"{each:.2f}" if isinstance(each, float) else each for each in values])


def one_line(error: BaseException) -> str:
    """Say an error in one line, with its kind where that is not a plain refusal."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return f"the disk is full: make room on it, and the same command goes on. {text}"
    if isinstance(error, (ValueError, FileNotFoundError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
