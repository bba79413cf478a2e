"""Memory of the process while a long sequence is tracked, labels on disk; run as a script, on request.

    python -m tests.benchmarks.bench_memory --objects 16 --frames 2000

Frames are drawn when they are read, so that no images are in memory: discs that drift over a grid. What
counts is the resident memory after the last frame against that after frame 100. With ``--limit`` the exit
status says whether it grew by more than so much. ``--small`` takes the seeded network of the tests instead of
``nano``: what is held does not depend on how well objects are tracked, and many are tracked fast. What was
measured is kept in `results.json`, and `docs/performance.md` is written anew, but with ``--no-keep``.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2._model.sam2 import Sam2
from napari_sam2.io import create_labels
from napari_sam2.process import keep_memory, return_memory
from tests._model.small import small_model
from tests.benchmarks.results import keep

_EARLY = 100
# The command line does it whenever it keeps the state of a run, all 20 seconds.
_RETURNED = 50
_REPORTS = 10


@dataclass(frozen=True)
class Growth:
    """Megabytes that the process held after some frames."""

    objects: int
    frames: int
    early: float
    late: float
    growth: float
    course: tuple[float, ...]


class DriftingDiscs:
    """Frames (H, W) that are drawn when they are read: discs on a grid, which wander in small circles."""

    dtype = np.dtype(np.uint8)

    def __init__(self, frames: int, objects: int, side: int) -> None:
        self.shape = (frames, side, side)
        self.cells = int(np.ceil(objects**0.5))
        self.pitch = side / self.cells

    def centres(self, frame: int) -> NDArray[np.float64]:
        """Places (y, x) of all discs on a frame."""
        rows, columns = np.divmod(np.arange(self.cells**2), self.cells)
        places = (np.stack([rows, columns], axis=1) + 0.5) * self.pitch
        angle = 2 * np.pi * frame / 60
        return np.asarray(places + 0.1 * self.pitch * np.array([np.sin(angle), np.cos(angle)]))

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[np.uint8]:
        first, *rest = key
        if isinstance(first, slice):
            return np.stack([self._draw(i) for i in range(*first.indices(self.shape[0]))])[
                (slice(None), *rest)
            ]
        return self._draw(int(first))[tuple(rest)]

    def _draw(self, frame: int) -> NDArray[np.uint8]:
        at = np.arange(self.shape[1])
        picture = np.random.default_rng(frame).normal(40, 6, self.shape[1:])
        for y, x in self.centres(frame):
            picture[(at[:, None] - y) ** 2 + (at - x) ** 2 < (0.25 * self.pitch) ** 2] += 120
        return picture.clip(0, 255).astype(np.uint8)


def resident() -> float:
    """Megabytes of the process that lie in memory now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def network(*, small: bool) -> Sam2:
    """Load `nano`, or make the network of the tests, which sees its objects on every frame."""
    if not small:
        return load_model("nano", device="cpu")
    model = small_model()
    last = "sam_mask_decoder.pred_obj_score_head.layers.2"
    tensors = model.state_dict()
    tensors[f"{last}.weight"].zero_()
    tensors[f"{last}.bias"].fill_(5.0)
    return model


def measure(model: Sam2, objects: int, frames: int, side: int) -> Growth:
    """Track discs through all frames, each from one click, and note the memory on the way."""
    discs = DriftingDiscs(frames, objects, side)
    course: list[float] = []
    early = 0.0
    with tempfile.TemporaryDirectory() as folder:
        labels = create_labels(Path(folder) / "labels.ome.zarr", discs.shape)
        session = Session(discs, model=model, labels=labels, contrast=(0, 255))
        for obj, (y, x) in enumerate(discs.centres(0)[:objects], start=1):
            session.set_prompts(obj, 0, FramePrompts(points=((y, x),), positive=(True,)))
        for result in session.propagate():
            if result.frame % _RETURNED == 0:
                return_memory()
            if result.frame + 1 == _EARLY:
                early = resident()
            if (result.frame + 1) % max(frames // _REPORTS, 1) == 0:
                course.append(round(resident(), 1))
        found = float((labels[frames - 1] > 0).mean())
    if not found:
        raise RuntimeError("nothing was tracked to the last frame: what was measured means nothing")
    late = course[-1]
    return Growth(objects, frames, round(early, 1), late, round(late / early - 1, 4), tuple(course))


def main() -> None:
    """Measure one case, print it as JSON, and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, help="largest growth, as a share")
    parser.add_argument("--small", action="store_true", help="the seeded network of the tests")
    parser.add_argument("--no-keep", action="store_true", help="only print what was measured")
    arguments = parser.parse_args()
    if arguments.frames <= _EARLY + 1:
        parser.error(
            f"--frames is {arguments.frames}: memory is compared with that after {_EARLY}, give more"
        )
    keep_memory()
    torch.set_num_threads(arguments.threads)
    measured = measure(network(small=arguments.small), arguments.objects, arguments.frames, arguments.side)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")
    if not arguments.no_keep:
        name = f"{'small' if arguments.small else 'nano'}-{arguments.objects}-{arguments.frames}"
        keep("memory", name, {**asdict(measured), "side": arguments.side, "threads": arguments.threads})
    if arguments.limit is not None and measured.growth > arguments.limit:
        sys.exit(1)


if __name__ == "__main__":
    main()
