"""Seconds for passes over frames that were seen before, with image features in a folder and without.

    python -m tests.benchmarks.bench_features nano
    python -m tests.benchmarks.bench_features sam2.1-tiny --image-size 1024 --frames 12

One disc is tracked through all frames, which fills the folder. Then two sessions are opened anew, one
without a folder and one with it, which take turns: they track the disc again, track what a correction on
the frame in the middle changes, and go back from a click on the last frame. Features are not held in memory:
without a folder frames are encoded in every pass, with one they are read. The labels of both have to be
equal, and the one that reads may encode nothing. Released models have seeded weights, which cost the same.
What was measured is kept in `results.json`, and `docs/performance.md` is written anew, but with
``--no-keep``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from napari_sam2.process import keep_memory
from tests.benchmarks.results import keep
from tests.benchmarks.sides import released_model
from tests.benchmarks.speed_cases import Case, draw_frames

_SIDE, _FEWEST = 512, 5


@dataclass(frozen=True)
class Taken:
    """What one pass took: seconds, frames that were tracked or confirmed, and how many were encoded."""

    seconds: float
    frames: int
    encoded: int


Pass = Callable[[Session], int]


def forward(session: Session) -> int:
    """Click on the first frame and track to the last one; return how many frames there were."""
    session.set_prompts(1, 0, click(0))
    return sum(1 for _ in session.propagate(direction="forward"))


def correction(session: Session) -> int:
    """Click on the frame in the middle and track what that changes: all frames but the clicked ones."""
    session.set_prompts(1, len(session.labels) // 2, click(len(session.labels) // 2))
    return sum(1 for _ in session.propagate())


def reverse(session: Session) -> int:
    """Click on the last frame and track back to the first one."""
    session.set_prompts(1, len(session.labels) - 1, click(len(session.labels) - 1))
    return sum(1 for _ in session.propagate(direction="backward"))


PASSES: dict[str, Pass] = {"again": forward, "correction": correction, "reverse": reverse}


def click(frame: int) -> FramePrompts:
    """Click on the middle of the disc, which drifts as `draw_frames` has it."""
    return FramePrompts(points=((_SIDE / 2 + 2 * frame, _SIDE / 2 + 3 * frame),), positive=(True,))


def model_of(name: str, image_size: int | None, precision: str) -> Sam2:
    """Load a model, or make a released architecture with seeded weights that sees its object."""
    if name not in RELEASED_CONFIGS:
        return load_model(name, device="cpu", image_size=image_size, precision=precision)
    return released_model(name, image_size or RELEASED_CONFIGS[name].image_size, precision)


def open_session(model: Sam2, images: NDArray[np.uint8], folder: Path | None) -> Session:
    """Open a session that holds no features in memory but those of one frame."""
    session = Session(images, model=model, channel="rgb", view="frame", feature_folder=folder)
    session.cache_bytes = 0
    return session


def take(session: Session, each: Pass) -> Taken:
    """Time a pass."""
    encoded, begin = session.frames_encoded, time.perf_counter()
    frames = each(session)
    return Taken(time.perf_counter() - begin, frames, session.frames_encoded - encoded)


def in_turn(name: str, without: Session, reading: Session) -> dict[str, dict[str, Any]]:
    """Do a pass with both sessions, the one to compare with first, and compare what they did."""
    encoding, read = take(without, PASSES[name]), take(reading, PASSES[name])
    if read.encoded:
        raise RuntimeError(f"{name}: {read.encoded} frames were encoded although their features are on disk")
    if encoding.frames != read.frames or not np.array_equal(without.labels, reading.labels):
        raise RuntimeError(f"{name}: features from disk gave other labels")
    if not np.asarray(reading.labels).any(axis=(1, 2)).all():
        raise RuntimeError(f"{name}: the disc was lost, so that equal labels mean nothing")
    return {"without": asdict(encoding), "folder": asdict(read)}


def measure(model: Sam2, frames: int) -> dict[str, Any]:
    """Fill the folder, then do all passes."""
    images = draw_frames(Case("", 1, _SIDE, (), pairs=frames, warm=0))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        first = take(open_session(model, images, folder), forward)
        size = sum(path.stat().st_size for path in folder.iterdir()) / frames / 2**20
        both = [open_session(model, images, each) for each in (None, folder)]
        passes = {name: in_turn(name, *both) for name in PASSES}
    return {
        "frames": frames,
        "threads": torch.get_num_threads(),
        "precision": str(model.runtime.dtype).removeprefix("torch."),
        "megabytes_a_frame": size,
        "first": asdict(first),
        "passes": passes,
    }


def main() -> None:
    """Measure one case, print it as JSON, and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-keep", action="store_true", help="only print what was measured")
    told = parser.parse_args()
    if told.frames < _FEWEST:
        parser.error(f"--frames is {told.frames}: give {_FEWEST} or more, three are clicked on")
    keep_memory()
    torch.set_num_threads(told.threads)
    model = model_of(told.model, told.image_size, told.precision)
    measured = measure(model, told.frames)
    sys.stdout.write(json.dumps(measured) + "\n")
    if not told.no_keep:
        keep("features", f"{told.model}-{model.config.image_size}-{measured['precision']}", measured)


if __name__ == "__main__":
    main()
