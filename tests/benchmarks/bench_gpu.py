"""Speed on a card beside the references, and of the embedded network with many windows.

    python -m tests.benchmarks.bench_gpu --out results.json
    python -m tests.benchmarks.bench_gpu --out results.json --device cpu --small

Released architectures have seeded weights, the same for all sides, which take their frames in turn, each in a
process of its own. Wall time is that of a frame after the card has finished it, from the encoder to masks of
the frame's size in ordinary memory; this package also writes labels in it. After `--seconds` no new case is
started. A side that fails is told by its error, and the others go on. What is there is written after each
case.

`--compiled` takes sam2's `vos_optimized` along, which compiles for minutes before its first frames; until the
file `--after` is there, which tells that nothing else uses the card any more, no frame is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import torch

from napari_sam2 import FramePrompts, Session, load_model
from tests.benchmarks.compare_speed import summarise
from tests.benchmarks.results import machine
from tests.benchmarks.sides import Settings, Side, save_inputs
from tests.benchmarks.speed_cases import Case, clicks, draw_frames

# The first is the one that masks are compared with.
SIDES = (
    ("sam2", "float32"),
    ("sam2", "bfloat16"),
    ("ours", "float32"),
    ("ours", "bfloat16"),
    ("transformers", "bfloat16"),
)
COMPILED = ("sam2", "bfloat16-compiled")
NANO = "nano-windows"
_COLUMNS = ("case", "side", "ms per frame", "peak, MB", "IoU of frames")


def cases(told: argparse.Namespace) -> list[Case]:
    """Return what is compared, and the embedded network with windows."""
    size, counts = (256, (1, 2)) if told.small else (1024, told.objects)
    # Nano follows discs of 85 pixels in frames of 1024.
    nano = [Case(NANO, n, size, ("float32",), warm=3) for n in ((2,) if told.small else told.windows)]
    return [Case(model, n, size, ()) for model in told.models for n in counts] + nano


def measure(
    case: Case, settings: Settings, sides: Sequence[tuple[str, str]], after: Path | None = None
) -> dict[str, Any]:
    """Take frames with all sides in turn."""
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        save_inputs(case, Path(temporary))
        running = [stack.enter_context(s) for s in _started(case, settings, sides, Path(temporary), failed)]
        for frame in range(case.frames):
            if frame == case.warm:
                _wait_for(after)
            running = [side for side in running if _has_stepped(side, failed)]
        return {"sides": {side.key: summarise(side, running, case) for side in running}, "failed": failed}


def _wait_for(path: Path | None) -> None:
    while path is not None and not path.exists():
        time.sleep(0.5)


def _started(
    case: Case, settings: Settings, sides: Sequence[tuple[str, str]], folder: Path, failed: dict[str, str]
) -> list[Side]:
    """Start all processes at once: most of that is imports."""
    with ThreadPoolExecutor(len(sides)) as pool:
        starts = {key: pool.submit(Side, f"speed_{key[0]}", case, key[1], folder, settings) for key in sides}
    for key, start in starts.items():
        if start.exception() is not None:
            failed["-".join(key)] = str(start.exception())
    return [start.result() for start in starts.values() if start.exception() is None]


def _has_stepped(side: Side, failed: dict[str, str]) -> bool:
    try:
        side.step()
    except (RuntimeError, BrokenPipeError) as error:
        failed[side.key] = str(error)
        return False
    return True


def measure_nano(case: Case, device: str) -> dict[str, Any]:
    """Track with the embedded network, each object in its window."""
    sides = {}
    for precision in ("float32", "bfloat16"):
        seconds = list(_nano_frames(case, device, precision))[case.warm :]
        sides[f"ours-{precision}"] = {"wall": seconds, "frames_per_second": 1 / median(seconds)}
    return {"sides": sides, "failed": {}}


def _nano_frames(case: Case, device: str, precision: str) -> Iterator[float]:
    """Seconds of each frame."""
    model = load_model("nano", device=device, precision=precision)
    session = Session(draw_frames(case), model=model, channel="rgb", view="window")
    for index, place in enumerate(clicks(case)):
        session.set_prompts(index + 1, 0, FramePrompts(points=(place,), positive=(True,)))
    began = time.perf_counter()
    for _ in session.propagate(direction="forward"):
        if device == "cuda":
            torch.cuda.synchronize()
        yield time.perf_counter() - began
        began = time.perf_counter()


def rows(name: str, measured: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Lay out one case."""
    for key, side in measured["sides"].items():
        shares = " ".join(f"{share:.3f}" for share in side.get("iou", {}).values())
        peak = f"{side['peak']:.0f}" if "peak" in side else "-"
        yield name, key, f"{1000 * median(side['wall']):.1f}", peak, shares or "-"
    for key, error in measured["failed"].items():
        yield name, key, error, "-", "-"


def run(told: argparse.Namespace) -> None:
    """Measure case after case while there is time."""
    began, settings = time.monotonic(), Settings(told.reference_python, told.threads, device=told.device)
    kept: dict[str, Any] = {"machine": {**machine(), "device": device_name(told.device)}, "cases": {}}
    say(_COLUMNS)
    for case in cases(told):
        if time.monotonic() - began > told.seconds:
            say((case.name, "left out: no time"))
            continue
        if case.model == NANO:
            measured = measure_nano(case, told.device)
        else:
            measured = measure(case, settings, told.sides, told.after)
        kept["cases"][case.name] = {**measured, "took": time.monotonic() - began}
        told.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        for row in rows(case.name, measured):
            say(row)


def device_name(device: str) -> str:
    """Name of the card."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def say(row: Sequence[str]) -> None:
    """Write a line of the table at once."""
    sys.stdout.write(" | ".join(row) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="to try it: small frames, few objects")
    parser.add_argument("--objects", nargs="*", type=int, default=[1, 16])
    parser.add_argument("--windows", nargs="*", type=int, default=[1, 16, 64], help="objects of nano")
    parser.add_argument("--compiled", action="store_true", help="sam2's vos_optimized, too")
    parser.add_argument("--after", type=Path, help="a file that is waited for before frames are timed")
    parser.add_argument("--models", nargs="+", default=["sam2.1-tiny"])
    parser.add_argument("--without", nargs="*", default=[], choices=("sam2", "ours", "transformers"))
    parser.add_argument("--seconds", type=float, default=60, help="no case is started after them")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--reference-python", default=sys.executable)
    told = parser.parse_args()
    sides = (*SIDES, COMPILED) if told.compiled else SIDES
    told.sides = [key for key in sides if key[0] not in told.without]
    run(told)


if __name__ == "__main__":
    main()
