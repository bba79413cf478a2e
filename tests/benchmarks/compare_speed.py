"""Speed beside the references: the same weights, frames, clicks and threads, the sides in turn.

    python -m tests.benchmarks.compare_speed bars --reference-python PATH
    python -m tests.benchmarks.compare_speed table --reference-python PATH

PATH is the interpreter of an environment that has PyPI's sam2 and transformers. What was measured is kept in
`results.json`; a run goes on where the last one ended, the cheapest cases first, and `docs/performance.md`
is written anew after each. `--only NAME` runs one case, `--again` measures what is there already, `--render`
only writes the page, `--sides ours sam2` leaves transformers out. `--precisions float32` leaves out the lower
precision, where the processor does not compute in it; what is measured so stands beside the whole cases.
Nothing else may run meanwhile: with as many threads as processors, a side waits for its slowest thread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.results import keep, read_results
from tests.benchmarks.sides import Settings, Side, save_inputs
from tests.benchmarks.speed_cases import BARS, BOTH, COMPARED, TABLE, Case
from tests.benchmarks.speed_page import write_page

SIDES = ("ours", "sam2", "transformers")
_REFERENCE = "sam2-float32"


def measure(case: Case, settings: Settings, sides: Sequence[str]) -> dict[str, Any]:
    """Run one case and return what is kept of it."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        save_inputs(case, folder)
        running = [
            stack.enter_context(Side(f"speed_{name}", case, precision, folder, settings))
            for precision in case.precisions
            for name in sides
        ]
        for _ in range(case.frames):
            for side in running:
                side.step()
        return {
            "threads": settings.threads,
            "keep_memory": settings.keep_memory,
            "warm": case.warm,
            "sides": {side.key: summarise(side, running, case) for side in running},
        }


def summarise(side: Side, running: Sequence[Side], case: Case) -> dict[str, Any]:
    """Return the times of a side, its memory, and how masks and logits agree with those of the reference."""
    reference = next((each for each in running if each.key == _REFERENCE), side)
    first = range(min(COMPARED, case.frames))
    frames = sorted({*first, case.frames - 1})
    return {
        "wall": [told["wall"] for told in side.told[case.warm :]],
        "cpu": [told["cpu"] for told in side.told[case.warm :]],
        "peak": side.told[-1]["peak"],
        "iou": {str(frame): _iou(side.masks(frame), reference.masks(frame)) for frame in frames},
        "logits": {
            str(frame): logit_error(side.logits(frame), reference.logits(frame))
            for frame in (first if reference.key == _REFERENCE else ())
        },
    }


def logit_error(found: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Return the largest difference of logits over the range of the right ones, of all objects together."""
    if found.shape != right.shape:
        raise ValueError(f"logits of shape {found.shape} cannot be compared with {right.shape}")
    return float(np.abs(found - right).max() / (right.max() - right.min()))


def _iou(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("bars", "table"))
    parser.add_argument("--reference-python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--precisions", nargs="+", choices=BOTH, help="those of the case by default")
    parser.add_argument("--only")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--no-keep-memory", action="store_true")
    told = parser.parse_args()
    settings = Settings(told.reference_python, told.threads, not told.no_keep_memory)
    section = "some" if told.precisions else "cases"
    for case in () if told.render else BARS if told.which == "bars" else TABLE:
        if told.only in {None, case.name} and (
            told.again or case.name not in read_results().get(section, {})
        ):
            wanted = replace(case, precisions=tuple(told.precisions or case.precisions))
            keep(section, case.name, measure(wanted, settings, told.sides))
    write_page(read_results())


if __name__ == "__main__":
    main()
