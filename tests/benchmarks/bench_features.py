"""Seconds for a second pass with image features in a folder and without; run as a script, on request.

    python tests/benchmarks/bench_features.py nano
    python tests/benchmarks/bench_features.py sam2.1-tiny --image-size 512 --frames 12

One object is tracked through all frames, then once more by a session that is opened anew: without a folder
its frames are encoded again, with one they are read. Features are not held in memory. Released models run
with random weights, which cost the same. The labels of both have to be equal.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2


@dataclass(frozen=True)
class Measurement:
    """Seconds a frame without and with the folder, and their ratio; megabytes a frame on disk."""

    model: str
    image_size: int
    frames: int
    threads: int
    first: float
    again: float
    from_disk: float
    ratio: float
    encoded_again: int
    encoded_from_disk: int
    megabytes_a_frame: float


class _Pass(NamedTuple):
    seconds: float
    encoded: int
    labels: NDArray[np.unsignedinteger]


def model_of(name: str, image_size: int | None) -> Sam2:
    """Load a model, or make a released architecture with seeded random weights that sees its object."""
    if name not in RELEASED_CONFIGS:
        return load_model(name, device="cpu", image_size=image_size)
    torch.manual_seed(0)
    config = RELEASED_CONFIGS[name]
    model = Sam2(replace(config, image_size=image_size or config.image_size))
    model.get_parameter("sam_mask_decoder.pred_obj_score_head.layers.2.bias").data.fill_(5.0)
    return model.eval().requires_grad_(requires_grad=False)


def one_pass(model: Sam2, images: NDArray[np.uint8], folder: Path | None) -> _Pass:
    """Track one object through all frames with a new session."""
    session = Session(images, model=model, view="frame", feature_folder=folder)
    session.cache_bytes = 0
    begin = time.perf_counter()
    session.set_prompts(1, 0, FramePrompts(points=((256, 256),), positive=(True,)))
    for _ in session.propagate():
        pass
    seconds = (time.perf_counter() - begin) / len(images)
    return _Pass(seconds, session.frames_encoded, np.asarray(session.labels))


def measure(name: str, image_size: int | None, frames: int) -> Measurement:
    """Do the passes one after the other, the one to compare with right before the one that reads."""
    model = model_of(name, image_size)
    images = np.random.default_rng(0).integers(0, 255, (frames, 512, 512)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        first = one_pass(model, images, folder)
        size = sum(path.stat().st_size for path in folder.iterdir()) / frames / 2**20
        again, read = one_pass(model, images, None), one_pass(model, images, folder)
    if not np.array_equal(again.labels, read.labels):
        raise RuntimeError("features from disk gave other labels")
    return Measurement(
        model=name,
        image_size=model.config.image_size,
        frames=frames,
        threads=torch.get_num_threads(),
        first=round(first.seconds, 4),
        again=round(again.seconds, 4),
        from_disk=round(read.seconds, 4),
        ratio=round(again.seconds / read.seconds, 2),
        encoded_again=again.encoded,
        encoded_from_disk=read.encoded,
        megabytes_a_frame=round(size, 2),
    )


def main() -> None:
    """Measure one case and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--frames", type=int, default=16)
    arguments = parser.parse_args()
    measured = measure(arguments.model, arguments.image_size, arguments.frames)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")


if __name__ == "__main__":
    main()
