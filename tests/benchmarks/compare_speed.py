"""Speed beside the reference: the same weights, frames, clicks and threads, the sides frame by frame in turn.

    python -m tests.benchmarks.compare_speed bars --reference-python PATH
    python -m tests.benchmarks.compare_speed table --reference-python PATH

PATH is the interpreter of an environment that has PyPI's sam2. What was measured is kept in
`results.json`; a run goes on where the last one ended, and `docs/performance.md` is written anew.
`--only NAME` runs one case, `--again` measures what is there already, `--render` only writes the page.
Nothing else may run meanwhile: with as many threads as processors, a side waits for its slowest thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from tests._model.small import seeded_weights
from tests.benchmarks.speed_cases import BARS, COMPARED, TABLE, WARM, Case, clicks, draw_frames
from tests.benchmarks.speed_page import write_page

RESULTS = Path(__file__).with_name("results.json")
SIDES = ("ours", "sam2")
_PRESENT = 5.0


def save_inputs(case: Case, folder: Path) -> None:
    """Write frames and weights where all sides read them."""
    (folder / "frames").mkdir()
    for index, frame in enumerate(draw_frames(case)):
        Image.fromarray(frame).save(folder / "frames" / f"{index:05d}.jpg", quality=95)
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in Sam2(RELEASED_CONFIGS[case.model]).state_dict().items()}
    tensors = {name: seeded_weights(name, shape, 5).clone() for name, shape in shapes.items()}
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.weight"].zero_()
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(_PRESENT)
    torch.save({"model": tensors}, folder / "weights.pt")


@dataclass(frozen=True)
class Settings:
    """How sides are started: interpreter of the references, threads, and memory settings of our own."""

    reference_python: str
    threads: int
    keep_memory: bool


class Side:
    """A process that tracks a frame when it is asked to."""

    def __init__(self, name: str, case: Case, precision: str, folder: Path, settings: Settings) -> None:
        task = {
            "folder": str(folder),
            "model": case.model,
            "size": case.size,
            "threads": settings.threads,
            "precision": precision,
            "clicks": clicks(case),
            "keep_memory": settings.keep_memory,
        }
        python = sys.executable if name == "ours" else settings.reference_python
        self.key = f"{name}-{precision}"
        self.told: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [python, "-m", f"tests.benchmarks.speed_{name}", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(settings.threads)},
        )
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def step(self) -> None:
        """Let it track a frame."""
        if self._process.stdin is None:
            raise RuntimeError("the side was started without a pipe")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.told.append(self._read())

    def masks(self, frame: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Masks that it gave on a frame, as one row of bits."""
        return np.unpackbits(np.load(self.told[frame]["masks"])).astype(bool)

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self.key} ended; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(case: Case, settings: Settings, sides: Sequence[str]) -> dict[str, Any]:
    """Run one case and return what is kept of it."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        save_inputs(case, folder)
        running = [
            stack.enter_context(Side(name, case, precision, folder, settings))
            for precision in case.precisions
            for name in sides
        ]
        for _ in range(case.frames):
            for side in running:
                side.step()
        return {
            "threads": settings.threads,
            "keep_memory": settings.keep_memory,
            "sides": {side.key: _summarise(side, running) for side in running},
        }


def _summarise(side: Side, running: Sequence[Side]) -> dict[str, Any]:
    reference = next((each for each in running if each.key == "sam2-float32"), side)
    frames = (*range(COMPARED), len(side.told) - 1)
    return {
        "wall": [told["wall"] for told in side.told[WARM:]],
        "cpu": [told["cpu"] for told in side.told[WARM:]],
        "peak": side.told[-1]["peak"],
        "iou": {str(frame): _iou(side.masks(frame), reference.masks(frame)) for frame in frames},
    }


def _iou(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def machine() -> dict[str, str]:
    """Tell what it ran on."""
    return {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("bars", "table"))
    parser.add_argument("--reference-python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--only")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--no-keep-memory", action="store_true")
    told = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"cases": {}}
    settings = Settings(told.reference_python, told.threads, not told.no_keep_memory)
    for case in () if told.render else BARS if told.which == "bars" else TABLE:
        if told.only in {None, case.name} and (told.again or case.name not in results["cases"]):
            results["cases"][case.name] = measure(case, settings, told.sides)
            results["machine"] = machine()
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    write_page(results)


if __name__ == "__main__":
    main()
