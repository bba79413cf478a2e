"""One sequence from images and prompts to complete labels, or to an outcome that says why not."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2 import io, seeding
from napari_sam2._model.weights import checksum
from napari_sam2._session.saved import SavedSession, read_session
from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.identity import (
    MadeFrom,
    Marker,
    extent,
    fingerprint,
    inputs_digest,
    marker_of,
    why_anew,
)
from napari_sam2.batch.outcome import Outcome, one_line
from napari_sam2.batch.resumable import ResumableSession
from napari_sam2.io.atomic import remove, sweep
from napari_sam2.io.claim import claimed
from napari_sam2.io.ctc import check_ids
from napari_sam2.io.streaming import StreamedLabels, create_labels, finish_labels
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.batch.plan import ModelChoice, Options, SequencePlan


@dataclass(frozen=True)
class Task:
    """All that a worker has to know of a sequence.

    Parameters
    ----------
    sequence : SequencePlan
        Images and prompts.
    model : ModelChoice
        The network.
    weights : str
        Checksum of its weights when the run began.
    options : Options
        How it is done.
    labels : Path
        Where the labels go; marker, unfinished state and session lie beside them.
    run : str
        Name of the run, by which it knows what it has done itself.
    """

    sequence: SequencePlan
    model: ModelChoice
    weights: str
    options: Options
    labels: Path
    run: str = ""

    @property
    def marker(self) -> Path:
        """The file that says that the labels are complete."""
        return marker_of(self.labels, self.sequence.name)

    @property
    def unfinished(self) -> Path:
        """The folder of what is not complete."""
        return self.labels.with_name(f"{self.sequence.name}.unfinished")

    @property
    def streamed(self) -> Path:
        """The labels while they are made."""
        return self.unfinished / "labels.ome.zarr"

    @property
    def session(self) -> Path:
        """The session that is saved if that is wanted."""
        return self.labels.with_name(f"{self.sequence.name}_tracked.sam2.json")


@dataclass(frozen=True)
class Sitting:
    """One go at a sequence.

    Parameters
    ----------
    worker : str
        Who does it.
    is_over : callable
        Tells whether it is to end with the frame at hand.
    heard : list
        Warnings so far.
    begin : float
        When it began.
    """

    worker: str
    is_over: Callable[[], bool]
    heard: Sequence[warnings.WarningMessage]
    begin: float = field(default_factory=time.monotonic)

    def tell(self, outcome: Outcome) -> Outcome:
        """Add who did it, how long it took and what was noted."""
        seconds = time.monotonic() - self.begin
        return replace(outcome, seconds=seconds, worker=self.worker, notes=self.notes())

    def notes(self, *earlier: str) -> str:
        """Join what was noted, each once."""
        heard = (" ".join(str(each.message).split()) for each in self.heard)
        return "; ".join(dict.fromkeys([*filter(None, earlier), *heard]))


def run_sequence(
    task: Task, model: Callable[[], Sam2], *, worker: str = "", is_over: Callable[[], bool] = bool
) -> Outcome:
    """Track the objects of a sequence and write their labels, unless they are complete.

    What an earlier run left unfinished is gone on with. Nothing is raised but what stops the whole process.

    Parameters
    ----------
    task : Task
        What is to be done.
    model : callable
        Gives the network, when it is needed.
    worker : str
        Who does it, for the report.
    is_over : callable
        Tells between frames whether it is to end; what is done is kept then, and the outcome is a failure.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        sitting = Sitting(worker, is_over, heard)
        try:
            return _run(task, model, sitting)
        except Exception as error:  # noqa: BLE001 - whatever one file brings, the others go on
            return sitting.tell(Outcome(task.sequence.name, "failed", error=one_line(error)))


def _run(task: Task, model: Callable[[], Sam2], sitting: Sitting) -> Outcome:
    inputs = inputs_digest(task.sequence)
    made_from = fingerprint(inputs, task.weights, task.model, task.options)
    found = _complete(task, made_from)
    if found is None:
        with claimed(task.unfinished):
            # Another run may have made them while this one came to its turn.
            found = _complete(task, made_from)
            if found is None:
                return _make(task, model(), inputs, made_from, sitting)
            remove(task.unfinished)
    return replace(_found(task, found), notes=sitting.notes(found.notes))


def _found(task: Task, found: Marker) -> Outcome:
    # This run's own: the worker that made it died before it could say so.
    is_own = bool(task.run) and found.run == task.run
    return Outcome.of(found, task.sequence.name, "done" if is_own else "skipped", task.labels)


def _make(task: Task, model: Sam2, inputs: str, made_from: MadeFrom, sitting: Sitting) -> Outcome:
    """Track, or go on with it, and put labels and marker under their names."""
    checkpoint = Checkpoint(task.unfinished, made_from, task.options.checkpoint_seconds)
    session, labels = _open(task, model)
    resumed = checkpoint.resume(session)
    sweep(task.labels, task.marker, task.session, task.session.with_suffix(".zarr"))
    _track(task, session, checkpoint, sitting)
    labels.flush()
    if inputs_digest(task.sequence) != inputs:
        raise ValueError(f"{task.sequence.images} or its prompts changed while they were read: run it again")
    doubtful = len(session.doubtful())  # before the labels that it reads have their name
    _finish(task, session)
    marker = replace(_marker(task, session, made_from, sitting, resumed), doubtful=doubtful)
    marker.write(task.marker)
    remove(task.unfinished)
    return Outcome.of(marker, task.sequence.name, "done", task.labels)


def _marker(
    task: Task, session: ResumableSession, made_from: MadeFrom, sitting: Sitting, resumed: int
) -> Marker:
    return Marker(
        made_from,
        extent(task.labels),
        session.volume.num_frames,
        len(session.objects),
        run=task.run,
        seconds=round(time.monotonic() - sitting.begin, 2),
        encoded=session.frames_encoded,
        resumed=resumed,
        worker=sitting.worker,
        notes=sitting.notes(),
    )


def _complete(task: Task, made_from: MadeFrom) -> Marker | None:
    """Return the marker of labels that are complete; that of others is deleted, and why is said."""
    found = Marker.read(task.marker)
    why = "" if found is None else why_anew(found, task.labels, made_from)
    if found is not None and not why:
        return found
    with suppress(FileNotFoundError):
        task.marker.unlink()
    if why:
        warnings.warn(f"its labels are made anew: {why}", stacklevel=2)
    return None


def _track(task: Task, session: ResumableSession, checkpoint: Checkpoint, sitting: Sitting) -> None:
    limits = task.options.limits(session.volume.num_frames)
    with closing(checkpoint.follow(session, limits, task.options.direction)) as steps:
        for _ in steps:
            if sitting.is_over():
                raise InterruptedError("the run was stopped: the same command goes on with it")


def _open(task: Task, model: Sam2) -> tuple[ResumableSession, StreamedLabels]:
    """Open images, labels on disk and prompts."""
    sequence, options = task.sequence, task.options
    saved = None if sequence.session is None else read_session(sequence.session)
    opened = io.open_image(sequence.images, **_which_image(options, saved, sequence.images))
    volume = _volume(opened, saved, options.volume)
    geometry = io.label_geometry(opened, volume.options()["axis"])
    own = saved is not None and not options.volume and _is_own(saved, volume, model)
    seeds = {} if own else _seeds(sequence, saved, volume)
    remove(task.streamed)  # of a run that was stopped; all that is known of it is written again
    largest = max([obj for obj, _ in seeds] + _ids(saved), default=1)
    if options.format == "ctc":
        check_ids(largest)
    dtype = np.min_scalar_type(max(largest, 256))
    labels = create_labels(task.streamed, volume.shape, axes=geometry.axes, scale=geometry.scale, dtype=dtype)
    if own and saved is not None:
        cleanup = saved.cleanup if options.cleanup.is_idle else options.cleanup
        session = ResumableSession.reopen(
            saved, opened.array, model=model, labels=labels, cleanup=cleanup, **options.keeping
        )
    else:
        aspect = 1.0 if geometry.scale is None else geometry.scale[-2] / geometry.scale[-1]
        view = WindowRules("auto", aspect=aspect) if saved is None else saved.view
        memory = None if saved is None else saved.memory
        chosen = {"cleanup": options.cleanup, "view": view, "memory": memory, **options.keeping}
        session = ResumableSession(volume, model=model, labels=labels, **chosen)
        seeding.plant(session, seeds)
    session.location, session.geometry = str(sequence.images.resolve()), geometry
    return session, labels


def _which_image(options: Options, saved: SavedSession | None, images: Path) -> dict[str, int]:
    """Choose series and level of a file as the options say, else as the session does, else the first."""
    stored = {} if saved is None else saved.document["images"]
    seeding.check_level(stored, images, options.level)
    chosen = {"series": options.series, "level": options.level}
    return {name: stored.get(name, 0) if value is None else value for name, value in chosen.items()}


def _volume(opened: io.OpenedImage, saved: SavedSession | None, chosen: Any) -> Volume:  # noqa: ANN401
    """Take the images as the options say, else as the session does, else along the axis of their file."""
    if saved is not None:
        stored = saved.document["images"]["options"]
        chosen = {**stored, "index": {int(axis): at for axis, at in stored["index"].items()}, **chosen}
    return Volume(opened.array, **io.told_options(opened, chosen))


def _is_own(saved: SavedSession, volume: Volume, model: Sam2) -> bool:
    """Whether a session was made of these images, by this network."""
    stored = saved.document["model"]
    same = stored["image_size"] == model.config.image_size and stored["checksum"] == checksum(model)
    return bool(same and saved.document["images"]["checksum"] == volume.checksum())


def _ids(saved: SavedSession | None) -> list[int]:
    return [] if saved is None else [int(row["obj"]) for row in saved.document["prompts"]]


def _seeds(sequence: SequencePlan, saved: SavedSession | None, volume: Volume) -> seeding.Seeds:
    stored: seeding.Seeds = {}
    if saved is not None:
        stored = seeding.session_seeds(io.SessionDocument(saved.document, saved.arrays))
    drawn: seeding.Seeds = {}
    if sequence.seeds is not None:
        labels = seeding.shown_labels(seeding.read_labels(sequence.seeds), volume)
        drawn = seeding.mask_seeds(labels, volume.shape, sequence.seeds_frame)
    seeds = seeding.merged(stored, drawn)
    if not seeds:
        given = sequence.session or sequence.seeds
        raise ValueError(
            f"{given} has no objects"
            if given
            else f"nothing says what to track: there is no {sequence.name}.sam2.json, no "
            f"{sequence.name}_seeds.tif, and no session or label image for all"
        )
    seeding.check_frames(seeds, volume.num_frames)
    return seeds


def _finish(task: Task, session: ResumableSession) -> None:
    """Put the labels under their name, whole."""
    if task.options.save_sessions:
        session.save(task.session)
    if task.options.format != "zarr":
        session.export(task.labels)
        return
    finish_labels(task.streamed, task.labels)
