"""This package's side of the table of stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from napari_sam2 import load_model
from napari_sam2.process import keep_memory
from tests.benchmarks.speed_worker import Task, serve
from tests.benchmarks.stages import StageInputs, multiply_adds, published_multiply_adds, stage_calls

# Side of the square matrices whose product is the machine's limit: beyond all caches.
_PEAK_SIDE = 2048
_PEAK_TIMES = 3


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def peak(dtype: torch.dtype) -> float:
    """Measure how many 1e9 multiply-adds a second a product of matrices reaches."""
    a, b = (torch.randn(_PEAK_SIDE, _PEAK_SIDE).to(dtype) for _ in range(2))
    return _PEAK_SIDE**3 / 1e9 / min(seconds(lambda: torch.mm(a, b)) for _ in range(_PEAK_TIMES))


def start(task: Task) -> Iterator[Any]:
    """Time all stages at each step, and the machine's limit beside them."""
    if task.keep_memory:
        keep_memory()
    model = load_model(
        task.folder / "weights.pt", device="cpu", image_size=task.size, precision=task.precision
    )
    with model.runtime.autocast():
        inputs = StageInputs.make(model, task.size)
        calls = stage_calls(model, inputs)
        ours, published = multiply_adds(calls), published_multiply_adds(model, inputs)
        while True:
            yield {
                "seconds": {name: seconds(call) for name, call in calls.items()},
                "peak_rate": peak(model.runtime.dtype),
                "ours": ours,
                "published": published,
            }


if __name__ == "__main__":
    serve("ours", start, lambda _task, _name, told: dict(told))
