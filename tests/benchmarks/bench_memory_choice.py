"""J of each way to choose memories, on labelled sequences from one click per object; a script, on request.

Writes a table as docs/how-it-works.md has it, a row for each sequence:

    python tests/benchmarks/bench_memory_choice.py ../shared/data
    python tests/benchmarks/bench_memory_choice.py DATA --sequences z_cells3d_nuclei --ways plain,motion

A sequence is an .npz file with the arrays `images` and `labels`. Ways are the rules that
`napari-sam2 evaluate --memory` takes, with + instead of commas.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from napari_sam2 import Session
from napari_sam2._cli.progress import Run
from napari_sam2._cli.scoring import Evaluation, evaluate_session
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model
from napari_sam2.frame_result import FrameResult
from napari_sam2.selection import SelectionRules
from napari_sam2.window import View

CHOSEN_ON = ("z_cells3d_nuclei", "z_EM_mitochondria_left", "z_plant_nuclei_1135")
CLOSING = ("z_plant_ovule_membrane", "time_CHO_z2", "time_bacteria_early")
WAYS = ("plain", "quality", "motion", "anchors", "quality+motion", "quality+motion+anchors")


def quietly(results: Iterable[FrameResult], total: int) -> Run:
    """Take all results; `total` is for those who draw a bar."""
    begin = time.process_time()
    count = sum(1 for _ in results)
    return Run(count, time.process_time() - begin, stopped=False)


def measure(
    path: Path, model: Sam2, rules: SelectionRules, *, view: View = "window", folder: str | None = None
) -> Evaluation:
    """Track the objects of a sequence from one click each, both ways; seconds are those of the processor."""
    with np.load(path) as arrays:
        images, truth = arrays["images"], arrays["labels"]
    session = Session(images, model=model, view=view, memory=rules, feature_folder=folder)
    return evaluate_session(session, truth, quietly)


def row(name: str, evaluations: Iterable[Evaluation]) -> str:
    """One line of the table."""
    return f"| {name} | {' | '.join(f'{each.j:.3f}' for each in evaluations)} |"


def main() -> None:
    """Measure and write the table, row by row, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--view", default="window", choices=("auto", "frame", "window"))
    parser.add_argument("--sequences", default=",".join((*CHOSEN_ON, *CLOSING)))
    parser.add_argument("--ways", default=",".join(WAYS))
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = load_model(arguments.model, device="cpu")
    ways: list[str] = arguments.ways.split(",")
    rules = [SelectionRules.parse(way.replace("+", ",")) for way in ways]
    sys.stdout.write(f"| sequence | {' | '.join(ways)} |\n{'|---' * (len(ways) + 1)}|\n")
    table: list[list[Evaluation]] = []
    for name in arguments.sequences.split(","):
        path = arguments.data / f"{name}.npz"
        # One folder for all: the windows of the first clicks are the same.
        with tempfile.TemporaryDirectory() as folder:
            table.append([measure(path, model, each, view=arguments.view, folder=folder) for each in rules])
        sys.stdout.write(row(name, table[-1]) + "\n")
        sys.stdout.flush()
    means = [float(np.mean([each[k].j for each in table])) for k in range(len(ways))]
    sys.stdout.write(f"| mean | {' | '.join(f'{mean:.3f}' for mean in means)} |\n")
    seconds = [sum(each[k].seconds for each in table) for k in range(len(ways))]
    sys.stdout.write(f"| seconds of the processor | {' | '.join(f'{each:.0f}' for each in seconds)} |\n")


if __name__ == "__main__":
    main()
