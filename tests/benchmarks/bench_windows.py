"""Windows that move with their objects beside the frame view: time of an object on a frame, and J of both.

    python -m tests.benchmarks.bench_windows --threads 2
    python -m tests.benchmarks.bench_windows --drift 0.5
    python -m tests.benchmarks.bench_windows --model sam2.1-tiny --frames 4 --warm 2

Sixteen discs with truth, at most 60 pixels wide, drift over a frame of 1024 pixels. The same weights see them
whole frame by whole frame at 1024 pixels, then in a window of 256 for each, from their masks on the first
frame. Frames are tracked in turn by both sides, and once memories are full three times as many in windows.
Released architectures have seeded weights: there J means nothing and is not told, and windows stay where the
first masks are, since those of such weights spread over all that they are shown. What was measured is kept in
`results.json`, and `docs/performance.md` is written anew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from statistics import mean
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2._model.sam2 import Sam2
from napari_sam2.metrics import jaccard
from napari_sam2.process import keep_memory
from napari_sam2.window import WindowRules, Windows
from tests.benchmarks.results import keep
from tests.benchmarks.sides import released_model

SIDE, WINDOW, GRID, LARGEST = 1024, 256, 4, 60
# Of the discs, in pixels from frame to frame along either axis.
_DRIFT = 3.0
# Frames of the window view for each timed frame of the other.
_PACE = 3
_VIEWS = {"window": WindowRules("window", WINDOW), "frame": WindowRules("frame")}


class Phantom:
    """Blobs on a noisy ground, which drift and change their size a little.

    Parameters
    ----------
    frames : int
        T.
    drift : float
        Pixels that they move down or up, and right or left, from frame to frame at most.

    Attributes
    ----------
    images : array (T, SIDE, SIDE), uint8
    labels : array (T, SIDE, SIDE), uint8
    """

    def __init__(self, frames: int, drift: float = _DRIFT) -> None:
        rng = np.random.default_rng(0)
        pitch = SIDE / GRID
        rows, columns = np.divmod(np.arange(GRID**2), GRID)
        centres = (np.stack([rows, columns], 1) + 0.5) * pitch + rng.uniform(-40, 40, (GRID**2, 2))
        steps = rng.uniform(-drift, drift, centres.shape)
        radii = rng.uniform(16, LARGEST / 2 - 2, GRID**2)
        self.labels = np.zeros((frames, SIDE, SIDE), np.uint8)
        for frame in range(frames):
            swell = 1 + 0.06 * np.sin(frame / 3 + np.arange(GRID**2))
            _draw(self.labels[frame], centres + frame * steps, radii * swell)
        self.images = np.stack([_photograph(each, rng) for each in self.labels])


def _draw(labels: NDArray[np.uint8], centres: NDArray[np.float64], radii: NDArray[np.float64]) -> None:
    at = np.arange(SIDE)
    for obj, ((y, x), radius) in enumerate(zip(centres, radii, strict=True), start=1):
        labels[(at[:, None] - y) ** 2 + (at - x) ** 2 < radius**2] = obj


def _photograph(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    signal = ndimage.gaussian_filter(40 + 90.0 * (labels > 0), 1.5)
    return np.asarray(rng.poisson(signal * 2) / 2).clip(0, 255).astype(np.uint8)


def open_model(name: str) -> tuple[Sam2, bool]:
    """Load a network whose whole frames have 1024 pixels, and tell whether its masks mean anything."""
    if name == "nano":
        return load_model("nano", device="cpu", image_size=SIDE), True
    return released_model(name, SIDE), False


def steps(model: Sam2, phantom: Phantom, view: str) -> Iterator[Session]:
    """Outline all objects, then track a frame at each step."""
    session = Session(phantom.images, model=model, view=_VIEWS[view], contrast=(0, 255))
    for obj in range(1, GRID**2 + 1):
        session.set_prompts(obj, 0, FramePrompts(mask=phantom.labels[0] == obj))
    for _ in session.propagate(direction="forward"):
        yield session


def measure(name: str, frames: int, warm: int, drift: float = _DRIFT) -> dict[str, Any]:
    """Track with both views in turn, so that windows come to move as often as they do later on."""
    pace = {"window": _PACE, "frame": 1}
    phantom, (model, means_something) = Phantom(warm + _PACE * (frames - warm), drift), open_model(name)
    running = {view: steps(model, phantom, view) for view in _VIEWS}
    told: dict[str, list[Step]] = {view: [] for view in _VIEWS}
    with nullcontext() if means_something else windows_at_rest():
        for turn in range(frames):
            for view, each in running.items():
                told[view] += [timed(each) for _ in range(pace[view] if turn >= warm else 1)]
    return {
        "threads": torch.get_num_threads(),
        "precision": str(model.runtime.dtype).removeprefix("torch."),
        "objects": GRID**2,
        "warm": warm,
        "drift": drift,
        "at_rest": not means_something,
        "views": {view: summarise(each, phantom, warm, j=means_something) for view, each in told.items()},
    }


def windows_at_rest() -> AbstractContextManager[object]:
    """Keep all windows where they are, whatever the masks in them."""
    return patch.multiple(Windows, follow=lambda _, window, box: window, is_cut=lambda _, window, box: False)


class Step(NamedTuple):
    """A frame that was tracked: the session, and seconds."""

    session: Session
    wall: float
    cpu: float


def timed(running: Iterator[Session]) -> Step:
    """Track one frame more."""
    wall, cpu = time.perf_counter(), time.process_time()
    session = next(running)
    return Step(session, time.perf_counter() - wall, time.process_time() - cpu)


def summarise(done: list[Step], phantom: Phantom, warm: int, *, j: bool) -> dict[str, Any]:
    """Mean seconds of an object on a frame, since windows change on some frames only, and J."""
    return {
        "frames": len(done) - warm,
        "wall": mean(each.wall for each in done[warm:]) / GRID**2,
        "cpu": mean(each.cpu for each in done[warm:]) / GRID**2,
        "j": mean_j(done[-1].session, phantom, len(done)) if j else None,
    }


def mean_j(session: Session, phantom: Phantom, frames: int) -> float:
    """Mean J of all objects over the tracked frames."""
    return float(
        np.mean(
            [
                jaccard(np.asarray(session.labels[frame]) == obj, phantom.labels[frame] == obj)
                for frame in range(1, frames)
                for obj in range(1, GRID**2 + 1)
            ]
        )
    )


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--frames", type=int, default=13)
    parser.add_argument(
        "--warm", type=int, help="frames before those that are timed; all but five by default"
    )
    parser.add_argument("--drift", type=float, default=_DRIFT, help="pixels along an axis at most")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    told = parser.parse_args()
    keep_memory()
    torch.set_num_threads(told.threads)
    warm = told.warm if told.warm is not None else max(told.frames - 5, 0)
    name = told.model if told.drift == _DRIFT else f"{told.model}, drift {told.drift:g}"
    keep("windows", name, measure(told.model, told.frames, warm, told.drift))


if __name__ == "__main__":
    main()
