"""Errors of the lower precision, ours and of the reference's autocast, against the reference in float32.

    python -m tests.benchmarks.compare_errors --reference-python PATH

PATH is the interpreter of an environment that has PyPI's sam2. All have the same seeded weights, frames and
clicks, drawn several times, since one draw tells little: errors of a single click differ by half. What was
measured is kept in `results.json`, and `docs/performance.md` is written anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.results import keep
from tests.benchmarks.sides import Settings, Side, save_inputs
from tests.benchmarks.speed_cases import BOTH, Case

_REFERENCE = ("sam2", "float32")
_SIDES = (_REFERENCE, ("sam2", "bfloat16"), ("ours", "float32"), ("ours", "bfloat16"))


def measure(case: Case, settings: Settings, draws: int) -> dict[str, Any]:
    """Compare what all sides gave over several draws of weights and frames."""
    each = [compare(case, settings, draw) for draw in range(draws)]
    sides = {
        side: {name: pooled([one[side][name] for one in each]) for name in errors}
        for side, errors in each[0].items()
    }
    return {"objects": case.objects, "draws": draws, "sides": sides}


def compare(case: Case, settings: Settings, draw: int) -> dict[str, dict[str, dict[str, float]]]:
    """Run all sides one after the other, and compare what they gave."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_inputs(case, folder, draw)
        given = {}
        for name, precision in _SIDES:
            with Side(f"errors_{name}", case, precision, folder, settings) as side:
                given[name, precision] = np.load(side.step()["arrays"])
        right = given.pop(_REFERENCE)
        return {
            "-".join(side): {name: differences(arrays[name], right[name]) for name in right.files}
            for side, arrays in given.items()
        }


def differences(found: NDArray[np.float32], right: NDArray[np.float32]) -> dict[str, float]:
    """Largest difference over the largest value, and root mean square over that of the values."""
    difference = found.reshape(right.shape).astype(np.float64) - right
    return {
        "max": float(np.abs(difference).max() / np.abs(right).max()),
        "rms": float(np.sqrt((difference**2).mean() / (right.astype(np.float64) ** 2).mean())),
    }


def pooled(errors: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the largest of all draws, and the root mean square over them."""
    return {
        "max": max(each["max"] for each in errors),
        "rms": float(np.sqrt(np.mean([each["rms"] ** 2 for each in errors]))),
    }


def main() -> None:
    """Measure one model and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference-python", default=sys.executable)
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    told = parser.parse_args()
    case = Case(told.model, told.objects, told.size, BOTH, pairs=1, warm=1)
    settings = Settings(told.reference_python, told.threads)
    keep("errors", f"{told.model}-{told.size}", measure(case, settings, told.draws))


if __name__ == "__main__":
    main()
