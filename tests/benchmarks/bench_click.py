"""Wait for a click on a frame whose features are ready, through the whole session: prompt in, labels written.

    python -m tests.benchmarks.bench_click --threads 2
    python -m tests.benchmarks.bench_click --precision float32 --view auto

Released architectures run with seeded weights. Each click is that of another object on the same frame, where
no other is left, and is followed by a second one, a correction. What was measured is kept in `results.json`,
and `docs/performance.md` is written anew.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch

from napari_sam2 import FramePrompts, Session
from napari_sam2.process import keep_memory
from napari_sam2.window import VIEWS, View
from tests.benchmarks.results import keep
from tests.benchmarks.sides import released_model
from tests.benchmarks.speed_cases import Case, clicks, draw_frames

_WARM = 2


def open_session(case: Case, view: View) -> Session:
    """Open a stack of two frames; the features of the first are ready."""
    model = released_model(case.model, case.size, case.precisions[0])
    session = Session(draw_frames(case), model=model, channel="rgb", view=view)
    session.prepare(0)
    return session


def wait(session: Session, obj: int, prompts: FramePrompts) -> dict[str, float]:
    """Click, and read the labels as a viewer would."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = session.set_prompts(obj, 0, prompts)
    shown = np.asarray(session.labels[0])
    told = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if result.objects != (obj,) or shown.ndim != 2:
        raise RuntimeError("the click was not answered")
    return told


def measure(case: Case, view: View) -> dict[str, Any]:
    """Click on one object after the other, twice each."""
    session = open_session(replace(case, warm=1, pairs=1), view)
    first: list[dict[str, float]] = []
    second: list[dict[str, float]] = []
    for index, (y, x) in enumerate(clicks(case)):
        once = FramePrompts(points=((y, x),), positive=(True,))
        first.append(wait(session, index + 1, once))
        twice = FramePrompts(points=((y, x), (y + 9, x + 9)), positive=(True, False))
        second.append(wait(session, index + 1, twice))
        session.remove_object(index + 1)  # masks of seeded weights cover half of the frame
    return {
        "threads": torch.get_num_threads(),
        "precision": str(session.model.runtime.dtype).removeprefix("torch."),
        "clicks": case.objects - _WARM,
        "first": _summarise(first[_WARM:]),
        "second": _summarise(second[_WARM:]),
    }


def _summarise(told: list[dict[str, float]]) -> dict[str, float]:
    walls = [each["wall"] for each in told]
    return {
        "wall": median(walls),
        "wall_90": quantiles(walls, n=10)[-1],
        "cpu": median(each["cpu"] for each in told),
    }


def main() -> None:
    """Measure one model and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--clicks", type=int, default=22)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--view", default="frame", choices=VIEWS)
    told = parser.parse_args()
    keep_memory()
    torch.set_num_threads(told.threads)
    measured = measure(Case(told.model, told.clicks, told.size, (told.precision,)), told.view)
    name = f"{told.model}-{told.size}-{measured['precision']}"
    keep("clicks", name if told.view == "frame" else f"{name}, view {told.view}", measured)


if __name__ == "__main__":
    main()
