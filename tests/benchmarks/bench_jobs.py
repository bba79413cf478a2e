"""The longest piece of what the network's thread is asked for, beside one encode and one group of objects.

    python -m tests.benchmarks.bench_jobs
    python -m tests.benchmarks.bench_jobs --objects 24 --frames 40 --side 1024

A click waits for the piece that is under way. Networks encode frames and track sixteen objects a beat at a
time. Then many objects with a mask on every frame are edited as the dock does, and every piece is timed, less
the pauses of Python's collector, which come when they will; their sum is told at the end. What was measured
is kept in `results.json`, and `docs/performance.md` is written anew, but with ``--no-keep``.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_sam2 import Session, load_model
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import checksum
from napari_sam2._napari.image.network_view import View
from napari_sam2._napari.layers.strokes import Stroke, strokes_between
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.opening import Opening
from napari_sam2._napari.work.painting import Painting, take_frame
from napari_sam2._napari.work.versions import OTHER_VIEW, ViewStep
from napari_sam2.labels import Entry, PlacedLogits
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.steps import result_of
from napari_sam2.window import WindowRules
from tests.benchmarks.bench_windows import open_model
from tests.benchmarks.results import keep
from tests.fakes import click

_GROUP, _TRACKED = 16, 4
Job = Callable[[Desk], Answer | Generator[None, None, Any]]


def draw(count: int, frames: int, side: int) -> np.ndarray[Any, Any]:
    """Discs in rows and columns, the same on every frame, without room for all frames in memory."""
    across = int(np.ceil(np.sqrt(count)))
    pitch, at = side // across, np.arange(side)
    y, x = np.abs(at % pitch - pitch // 2)[:, None], np.abs(at % pitch - pitch // 2)
    frame = np.where(y**2 + x**2 < (pitch // 3) ** 2, 160, 40).astype(np.uint8)
    frame += np.random.default_rng(0).integers(0, 30, frame.shape, np.uint8)
    return np.broadcast_to(frame, (frames, side, side))


def middles(count: int, side: int) -> Iterator[tuple[int, float, float]]:
    """Give the id and the middle of each disc."""
    across = int(np.ceil(np.sqrt(count)))
    pitch = side // across
    for index in range(count):
        row, column = divmod(index, across)
        yield index + 1, (row + 0.5) * pitch, (column + 0.5) * pitch


def open_desk(model: Sam2, count: int, frames: int, side: int) -> Desk:
    """Open the frames, click on all objects, and give them masks elsewhere as if they had been tracked."""
    desk, images = Desk(), draw(count, frames, side)
    desk.open(Opening(View(images, images)), model)
    desk.frame = frames // 2
    for obj, y, x in middles(count, side):
        result_of(desk.declare(PromptKey(obj, desk.frame), click(y, x)))
    for frame in range(frames):
        if frame != desk.frame:
            _track(desk, count, frame, side)
    desk.opened.settle()
    desk.answer()
    return desk


def _track(desk: Desk, count: int, frame: int, side: int) -> None:
    pitch = side // int(np.ceil(np.sqrt(count)))
    at = np.arange(64) - 31.5
    cone = (18 - np.hypot(at[:, None], at)).astype(np.float32)
    state = desk.opened._state
    with state.lock, state.grouped("Propagate", "run"):
        for obj, y, x in middles(count, side):
            window = (y - 0.6 * pitch, x - 0.6 * pitch, y + 0.6 * pitch, x + 0.6 * pitch)
            placed = PlacedLogits(cone, window, (side, side))
            state.put_entry(PromptKey(obj, frame), Entry(placed, score=0.9, presence=1.0))


class Clock:
    """Seconds, less those that Python's collector takes wherever it begins: it looks at all there is."""

    def __init__(self) -> None:
        self.collected = 0.0
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.collected += time.perf_counter() - self._began

    def __call__(self) -> float:
        return time.perf_counter() - self.collected


CLOCK = Clock()


def pieces(desk: Desk, job: Job) -> list[float]:
    """Do a job and what it leaves to be written; return the seconds of every piece."""
    times: list[float] = []

    def timed(call: Callable[[], Any]) -> Any:
        began = CLOCK()
        value = call()
        times.append(CLOCK() - began)
        return value

    answer = timed(lambda: job(desk))
    if isinstance(answer, Generator):
        steps, end = answer, object()
        while timed(lambda: next(steps, end)) is not end:
            pass
    while desk._untold.frames(desk.opened):
        timed(desk.write_on)
    return times


def jobs(folder: Path, count: int, frames: int, side: int) -> list[tuple[str, Job]]:
    """List what is done, one after the other."""
    everyone = tuple(range(1, count + 1))
    autosaved, saved = folder / "autosave", folder / "bench.sam2.json"
    y, x = side / 2, side / 2
    middle = (3, frames // 2)
    undo = "undo of it", Desk.undo
    return [
        ("a click", lambda desk: desk.declare(PromptKey(count + 1, desk.frame), click(y, x))),
        undo,
        ("a seed", lambda desk: desk.seed(PromptKey(count + 1, desk.frame), click(y, x + 40), object())),
        undo,
        ("first autosave", lambda desk: desk.opened.autosave_steps(autosaved)),
        ("a stroke", lambda desk: paint(desk, (desk.frame,))),
        undo,
        ("a ball on sixteen frames", lambda desk: paint(desk, range(16))),
        undo,
        ("begins here", lambda desk: desk.edit(lambda session: session.begins_here(*middle))),
        undo,
        ("divides here", lambda desk: desk.edit(lambda session: session.divide(*middle))),
        undo,
        ("remove an object", lambda desk: desk.edit(lambda session: session.remove_object(2))),
        undo,
        ("merge two", lambda desk: desk.edit_in_steps(lambda session: session.merge_steps(1, 2))),
        undo,
        ("merge all", lambda desk: desk.edit_in_steps(lambda session: session.merge_steps(*everyone))),
        undo,
        ("lock an object", lambda desk: lock_one(desk, 2)),
        undo,
        ("split an object", lambda desk: desk.edit(lambda session: session.split(3, frames // 2))),
        undo,
        ("remove all", lambda desk: desk.edit(lambda session: session.remove_object(*everyone))),
        undo,
        ("undo the propagation", Desk.undo),
        ("redo it", Desk.redo),
        ("undo it, and tracks", tracks_after_undo),
        ("redo it", Desk.redo),
        *files(folder),
        ("seed the next t", lambda desk: seed_next(desk, everyone)),
        ("lock all", lambda desk: lock_all(desk, everyone)),
        ("another view", another_view),
        undo,
        ("second autosave", lambda desk: desk.opened.autosave_steps(autosaved)),
        ("save", partial(save, saved)),
        ("load", lambda desk: Session.load_steps(saved, desk.opened.volume.data, desk.opened.model)),
    ]


def files(folder: Path) -> Iterator[tuple[str, Job]]:
    """List what is written, each after a step that leaves all of the labels to be written."""
    yield "undo, and save", partial(after_undo, lambda session: session.save_steps(folder / "a.sam2.json"))
    yield "redo it", Desk.redo
    for name in (".csv", ".tif", ".zarr", "_RES"):
        yield f"undo, and export {name}", partial(after_undo, partial(_export, folder / f"a{name}"))
        yield "redo it", Desk.redo


def _export(path: Path, session: Session) -> Iterator[None]:
    return session.export_steps(path)


def after_undo(steps: Callable[[Session], Iterator[None]], desk: Desk) -> Generator[None, None, None]:
    """Undo a step that changed all frames, and write at once what is left."""
    desk.undo()
    yield
    yield from steps(desk.opened)


def save(path: Path, desk: Desk) -> Generator[None, None, None]:
    """Save the session."""
    yield from desk.opened.save_steps(path)


def paint(desk: Desk, frames: Sequence[int]) -> Generator[None, None, None]:
    """Paint a disc of 25 pixels over an object on some frames, as a brush of three dimensions does."""
    at = np.arange(desk.opened.volume.shape[1]) - 300
    disc = at[:, None] ** 2 + at**2 < 25**2
    found: list[Stroke] = []
    for frame in frames:
        before = desk.opened.pixels(frame)
        found += strokes_between(frame, before, np.where(disc, 3, before))
        yield
    painting = Painting(tuple(found), {})
    for frame in painting.frames:
        take_frame([painting], frame, desk)
        yield


def seed_next(desk: Desk, objects: Sequence[int]) -> Generator[None, None, None]:
    """Open another t, and take the masks of this one as prompts there, each by itself."""
    there, run = Desk(), object()
    there.open(desk._known.open.opening, desk.opened.model)
    yield
    for obj in objects:
        mask = FramePrompts(mask=desk.opened.pixels(desk.frame) == obj)
        yield from there.seed(PromptKey(obj, desk.frame), mask, run)
        yield


def tracks_after_undo(desk: Desk) -> Generator[None, None, Answer]:
    """Undo a step, and ask for the paths of the objects at once."""
    desk.undo()
    yield
    return (yield from desk.tracks())


def lock_one(desk: Desk, obj: int) -> Generator[None, None, Answer]:
    """Lock an object, a frame at a time."""
    return desk.edit_in_steps(lambda session: session.lock_object_steps(obj))


def lock_all(desk: Desk, objects: Sequence[int]) -> Generator[None, None, Answer]:
    """Lock one object after the other."""
    for obj in objects:
        yield from lock_one(desk, obj)
        yield
    return desk.answer()


def another_view(desk: Desk) -> Generator[None, None, Answer]:
    """Open the session anew; locked objects are taken over."""
    desk.renew(desk._known.open.opening, desk.opened.model)
    yield
    while (yield from desk.say_again()).value:
        pass
    return desk.take_new(ViewStep(OTHER_VIEW))


def report(name: str, times: list[float]) -> dict[str, Any]:
    """Write a row, and return it."""
    longest, whole = max(times), sum(times)
    say(f"{name:24}{1000 * longest:10.0f}{1000 * whole:10.0f}{len(times):8}")
    return {"job": name, "longest": longest, "whole": whole, "pieces": len(times)}


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def track(model: Sam2, count: int, side: int) -> list[float]:
    """Track sixteen objects over some frames, and return how long each piece takes."""
    images = draw(count, _TRACKED, side)
    session = Session(images, model=model, view=WindowRules("auto"))
    chosen = list(middles(count, side))[:_GROUP]
    for obj, y, x in chosen:
        session.set_prompts(obj, 0, click(y, x))
    times: list[float] = []
    began = CLOCK()
    for result in session.track(beats=True):
        times.append(CLOCK() - began)
        if result is not None:
            session.apply(result)
        began = CLOCK()
    return times


def encode(model: Sam2, count: int, side: int) -> list[float]:
    """Prepare whole frames."""
    session = Session(draw(count, _TRACKED, side), model=model, view=WindowRules("frame"))
    times = []
    for frame in range(_TRACKED):
        began = CLOCK()
        session.prepare(frame)
        times.append(CLOCK() - began)
    return times[1:]  # the first one comes in when torch does


def networks(nano: Sam2, names: Sequence[str], count: int, side: int) -> Iterator[dict[str, Any]]:
    """Time encodes and groups of each network."""
    for name in names:
        model = nano if name == "nano" else open_model(name)[0]
        yield report(f"{name}: encode", encode(model, count, side))
        yield report(f"{name}: track {_GROUP}", track(model, count, side))


def edits(nano: Sam2, count: int, frames: int, side: int) -> Iterator[dict[str, Any]]:
    """Time all jobs, one after the other."""
    desk = open_desk(nano, count, frames, side)
    with tempfile.TemporaryDirectory() as folder:
        for name, job in jobs(Path(folder), count, frames, side):
            yield report(name, pieces(desk, job))


def measure(models: Sequence[str], count: int, frames: int, side: int) -> dict[str, Any]:
    """Time everything; say at the end what the collector took."""
    say(f"{'ms':24}{'longest':>10}{'all':>10}{'pieces':>8}")
    nano = load_model("nano", device="cpu")
    checksum(nano)  # as the dock does while it loads
    rows = [*networks(nano, models, count, side), *edits(nano, count, frames, side)]
    say(f"collector, in all: {1000 * CLOCK.collected:.0f} ms")
    return {"threads": torch.get_num_threads(), "rows": rows, "collector": CLOCK.collected}


def main() -> None:
    """Print and keep the longest piece and the whole of every job, and the number of pieces."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--objects", type=int, default=81)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=["nano", "sam2.1-tiny"])
    parser.add_argument("--no-keep", action="store_true", help="only print what was measured")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    measured = measure(chosen.models, chosen.objects, chosen.frames, chosen.side)
    if not chosen.no_keep:
        keep("jobs", f"{chosen.objects}-{chosen.frames}-{chosen.side}", measured)


if __name__ == "__main__":
    main()
