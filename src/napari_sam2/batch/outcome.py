"""What became of a sequence, and the report of all of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from napari_sam2.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a sequence; a row of the report.

    Parameters
    ----------
    name : str
        Of the sequence.
    status : {"done", "skipped", "failed"}
        ``"skipped"``: its labels were complete before.
    seconds : float
        Time spent on it in this run, by the worker that finished it.
    frames, objects : int
        How many its labels have; 0 where that did not become known.
    encoded : int
        Frames that went through the image encoder in this run; the fewer, the more was there already.
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
    encoded: int = 0
    resumed: int = 0
    worker: str = ""
    labels: str = ""
    error: str = ""
    notes: str = ""


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
    if isinstance(error, (ValueError, FileNotFoundError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
