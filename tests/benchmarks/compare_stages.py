"""Time of each stage of a frame beside its multiply-adds and the machine's limit, and beside the reference.

    python -m tests.benchmarks.compare_stages --reference-python PATH
    python -m tests.benchmarks.compare_stages --model sam2.1-base-plus --rounds 9 --reference-python PATH

PATH is the interpreter of an environment that has PyPI's sam2. All sides are timed in turn. What was measured
is kept in `results.json`, and `docs/performance.md` is written anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tests.benchmarks.results import keep
from tests.benchmarks.sides import Settings, Side, save_inputs
from tests.benchmarks.speed_cases import BOTH, Case


def measure(case: Case, settings: Settings, rounds: int) -> dict[str, Any]:
    """Time all sides, `rounds` times in turn, after one round that does not count."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        save_inputs(case, folder)
        running = [
            stack.enter_context(Side(f"stages_{name}", case, precision, folder, settings))
            for precision in BOTH
            for name in ("ours", "sam2")
        ]
        for _ in range(rounds + 1):
            for side in running:
                side.step()
        return {
            "threads": settings.threads,
            "rounds": rounds,
            "sides": {side.key: _summarise(side.told[1:]) for side in running},
        }


def _summarise(told: list[dict[str, Any]]) -> dict[str, Any]:
    last = told[-1]
    kept: dict[str, Any] = {
        "seconds": {name: median(each["seconds"][name] for each in told) for name in last["seconds"]}
    }
    if "peak_rate" in last:
        kept |= {"peak_rate": max(each["peak_rate"] for each in told)}
        kept |= {name: last[name] for name in ("ours", "published")}
    return kept


def main() -> None:
    """Measure one model and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference-python", default=sys.executable)
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    case = Case(told.model, 1, told.size, BOTH, pairs=1, warm=0)
    settings = Settings(told.reference_python, told.threads)
    keep("stages", f"{told.model}-{told.size}", measure(case, settings, told.rounds))


if __name__ == "__main__":
    main()
