"""Synthetic frames made in a second, of each kind of scene; run as a script, on request.

python tests/benchmarks/bench_training_data.py
python tests/benchmarks/bench_training_data.py --device cuda --batch 64
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import torch

from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.synthetic import SyntheticConfig, make_sequences

KINDS = {
    "all": LayoutRules().kinds,
    "blobs": (1.0, 0.0, 0.0, 0.0),
    "rods": (0.0, 1.0, 0.0, 0.0),
    "tiles": (0.0, 0.0, 1.0, 0.0),
    "organelles": (0.0, 0.0, 0.0, 1.0),
}


def main() -> None:
    """Print a line of JSON for each kind; a CPU counts seconds of this process alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind, shares in KINDS.items():
        rules = SyntheticConfig(LayoutRules(kinds=shares, diameter=(0.15, 0.7), max_objects=16))
        seconds = _seconds(rules, options)
        frames = options.batch * options.frames
        line = {"kind": kind, "seconds": round(seconds, 3), "frames_per_second": round(frames / seconds)}
        sys.stdout.write(json.dumps(line) + "\n")


def _seconds(rules: SyntheticConfig, options: argparse.Namespace) -> float:
    """Return the seconds of one batch."""
    generator = torch.Generator(options.device).manual_seed(0)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    for count in (1, options.rounds):
        began = clock()
        for _ in range(count):
            made = make_sequences(rules, options.batch, options.frames, options.size, generator)
        # Reading a number waits for the device.
        float(made.images[0, 0, 0, 0, 0])
    return float(clock() - began) / float(options.rounds)


if __name__ == "__main__":
    main()
