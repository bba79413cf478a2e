"""``napari-sam2 batch``: many sequences, one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_sam2._cli import arguments
from napari_sam2._cli.progress import INTERRUPTED

if TYPE_CHECKING:
    from napari_sam2.batch import ModelChoice, Options, Outcome, Plan

Chosen = TypeVar("Chosen", "ModelChoice", "Options")

SOME_FAILED = 1
"""Exit status of a batch of which something failed."""


def batch(
    plan: Path,
    /,
    *,
    output: Path | None = None,
    session: Path | None = None,
    seeds: Path | None = None,
    output_format: Literal["zarr", "tif", "ctc"] | None = None,
    model: str | None = None,
    device: str | None = None,
    image_size: int | None = None,
    precision: Literal["auto", "float32", "bfloat16"] | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    report: Path | None = None,
    feature_folder: Path | None = None,
    feature_gigabytes: float | None = None,
) -> int:
    """Track the objects of many sequences, and write their labels and a report.

    What is complete is left out, what was stopped is gone on with. Exit status 1 if a sequence failed.

    Parameters
    ----------
    plan
        A folder of images, each with NAME.sam2.json or NAME_seeds.tif beside it, or a .toml or .json file.
    output
        Folder of the results; by default `results` in the folder, or what the plan says.
    session
        Saved session (.sam2.json) for all sequences that have no prompts of their own.
    seeds
        Label image for all sequences that have no prompts of their own.
    output_format
        zarr (OME-Zarr), tif, or ctc (Cell Tracking Challenge).
    model
        A name or a path; by default that of the sessions.
    device
        auto (a GPU for each worker where there is one), cpu, cuda or mps.
    image_size
        Side that frames are resized to, a multiple of 32.
    precision
        auto, or float32 for the reference's numbers.
    scheduler
        Address of a dask scheduler, tcp://HOST:8786, whose workers do the work.
    workers
        Processes on this machine, which share its cores.
    report
        CSV file that says what became of each sequence; by default report.csv in the output folder.
    feature_folder
        Folder that image features are kept in: the same images and network need not be encoded again.
    feature_gigabytes
        Size that this folder may have, 20 by default.
    """
    from napari_sam2.batch import read_plan, run

    if workers is not None and workers < 1:
        raise ValueError(f"--workers {workers}: at least one is needed.")
    for each in filter(None, (session, seeds)):
        arguments.check_input(each)
    read = read_plan(plan, output=output).with_prompts(session=session, seeds=seeds)
    network = {"name": model, "device": device, "image_size": image_size, "precision": precision}
    kept = {"feature_folder": feature_folder, "feature_gigabytes": feature_gigabytes}
    chosen = replace(
        read,
        model=_with(read.model, network),
        options=_with(read.options, {"format": output_format, **kept}),
    )
    if feature_gigabytes is not None and chosen.options.feature_folder is None:
        raise arguments.no_feature_folder()
    where = report or chosen.output / "report.csv"
    if where.absolute().parent != chosen.output.absolute():  # that is made when it is needed
        arguments.check_folder(where)
    return _watch(chosen, run(chosen, scheduler=scheduler, workers=workers), where)


def _with(options: Chosen, said: Mapping[str, Any]) -> Chosen:
    """Replace what was said on the command line; the rest is as in the plan."""
    return replace(options, **{name: value for name, value in said.items() if value is not None})


def _watch(plan: Plan, outcomes: Generator[Outcome], report: Path) -> int:
    """Draw a bar, keep the report, and say what failed and what was noted."""
    from napari_sam2.batch import waiting

    before = waiting(plan)
    done: dict[str, Outcome] = {}
    unwritten: OSError | None = None
    with _bar() as bar, closing(outcomes), suppress(KeyboardInterrupt):
        line = bar.add_task("Sequences", total=len(before))
        for outcome in outcomes:
            done[outcome.name] = outcome
            unwritten = _report(report, [done.get(name, known) for name, known in before.items()])
            bar.advance(line)
            for said in _news(outcome):
                bar.console.print(f"{outcome.name}: {said}", markup=False, highlight=False, soft_wrap=True)
    status = _conclude(Counter(each.status for each in done.values()), len(before), report)
    if unwritten is not None:
        raise unwritten
    return status


def _news(outcome: Outcome) -> Iterator[str]:
    """Give what the user has not been told: the notes of labels that were complete are of an earlier run."""
    said = (outcome.error, "" if outcome.status == "skipped" else outcome.notes)
    return filter(None, said)


def _report(report: Path, outcomes: Sequence[Outcome]) -> OSError | None:
    """Write the report; where it cannot be, the sequences go on all the same, and the next time may do."""
    from napari_sam2.batch import write_report

    try:
        write_report(report, outcomes)
    except OSError as error:
        error.add_note(f"The report {report} is not written; the same command does what is missing.")
        return error
    return None


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )


def _conclude(counts: Counter[str], planned: int, report: Path) -> int:
    """Say how it ended, and give the exit status."""
    stopped = counts.total() < planned
    what = ", ".join(
        f"{counts[status]} {status}" for status in ("done", "skipped", "failed") if counts[status]
    )
    if stopped:
        what = f"Stopped by Ctrl-C; the same command goes on. {what or 'Nothing was complete yet'}"
    where = f": {report}" if counts else ""
    Console(soft_wrap=True).print(f"{what}{where}", markup=False, highlight=False)
    return INTERRUPTED if stopped else SOME_FAILED if counts["failed"] else 0
