"""Seconds per tracked frame and peak memory of one model with some objects; run as a script, on request.

Each run measures one case in a process of its own, so that the peak is that of the case:

    python tests/benchmarks/bench_tracking.py nano 4
    python tests/benchmarks/bench_tracking.py sam2.1-tiny 16 --frames 9

Released models run with random weights, which cost the same; their masks mean nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch

from napari_sam2 import FramePrompts, Session
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model

_SIDE = 512


@dataclass(frozen=True)
class Measurement:
    """One case: seconds per frame once all memories are filled, and the peak of the process's memory."""

    model: str
    objects: int
    frames: int
    threads: int
    seconds_per_frame: float
    seconds_per_object_frame: float
    peak_megabytes: float


def random_model(name: str) -> Sam2:
    """Make a released architecture with seeded random weights that always tell the object present."""
    torch.manual_seed(0)
    model = Sam2(RELEASED_CONFIGS[name]).eval().requires_grad_(requires_grad=False)
    model.get_parameter("sam_mask_decoder.pred_obj_score_head.layers.2.bias").fill_(5.0)
    return model


def measure(name: str, objects: int, frames: int) -> Measurement:
    """Track `objects` objects from one click each through `frames` frames of noise."""
    model = random_model(name) if name in RELEASED_CONFIGS else load_model(name, device="cpu")
    images = np.random.default_rng(0).integers(0, 255, (frames, _SIDE, _SIDE)).astype(np.uint8)
    session = Session(images, model=model)
    side = int(np.ceil(objects**0.5))
    for obj in range(objects):
        place = ((obj // side + 0.5) * _SIDE / side, (obj % side + 0.5) * _SIDE / side)
        session.set_prompts(obj + 1, 0, FramePrompts(points=(place,), positive=(True,)))
    ticks = [time.perf_counter() for _ in session.propagate()]
    steps = np.diff(ticks)[min(7, frames - 3) :]  # from there on the bank of memories is full
    seconds = float(np.median(steps))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    threads = torch.get_num_threads()
    return Measurement(name, objects, frames, threads, seconds, seconds / objects, peak)


def main() -> None:
    """Measure one case and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("objects", type=int)
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    measured = measure(arguments.model, arguments.objects, arguments.frames)
    sys.stdout.write(json.dumps(measured.__dict__) + "\n")


if __name__ == "__main__":
    main()
