"""The loop of one side, in a process of its own: it tracks one more frame each time that it is told to.

Nothing of this package is imported here, so that it runs where only a reference is installed. What is
compared is written after a step was timed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import torch

from tests.benchmarks.speed_cases import COMPARED


@dataclass(frozen=True)
class Task:
    """What one side does.

    Attributes
    ----------
    folder : Path
        Holds ``frames/*.jpg`` and ``weights.pt``; what is compared is written there.
    model : str
        Released name.
    trunk : dict
        Widths, depths and windows of its trunk.
    size, threads : int
        Side of the network's input, and how many threads torch has.
    precision : str
        ``"float32"`` or ``"bfloat16"``, for sam2 on a card also ``"bfloat16-compiled"``.
    clicks : list
        (y, x) of each object on the first frame.
    keep_memory : bool
        This package's side runs with the memory settings of its command line.
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    folder: Path
    model: str
    trunk: dict[str, Any]
    size: int
    threads: int
    precision: str
    clicks: list[tuple[float, float]]
    keep_memory: bool
    device: str = "cpu"


class Tracked(NamedTuple):
    """What a tracker gives of a frame.

    Attributes
    ----------
    frame : int
    masks : array (n, H, W), bool
        Of all objects.
    logits : sequence of arrays (h, w)
        Of each object's chosen mask as the decoder gave them, before they are enlarged; nothing is copied for
        it, since frames are timed.
    """

    frame: int
    masks: Any
    logits: Sequence[Any]


def read_task() -> Task:
    """Read the task from the command line."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    return Task(**{**told, "folder": Path(told["folder"])})


def serve(
    side: str,
    start: Callable[[Task], Iterator[Any]],
    keep: Callable[[Task, str, Any], dict[str, Any]] | None = None,
    *,
    autocast: bool = False,
) -> None:
    """Take a step for every line that comes in, and tell what it took.

    Parameters
    ----------
    side : str
        Name of the side; what it keeps is written under it.
    start : callable
        Returns an iterator that does a piece of work at each step; a tracker tracks a frame and gives a
        `Tracked`.
    keep : callable, optional
        Takes the task, a name for files and what a step gave, and returns what is told of it; by default
        masks are kept, and the logits of the first frames.
    autocast : bool
        The lower precision is torch's autocast around all steps.
    """
    answers, task = _answers(), read_task()
    torch.set_num_threads(task.threads)
    lowered = autocast and task.precision.startswith("bfloat16")
    with torch.inference_mode(), torch.autocast(task.device, torch.bfloat16, enabled=lowered):
        steps = start(task)
        _tell(answers, {"ready": True})
        for index, _ in enumerate(sys.stdin):
            wall, cpu = time.perf_counter(), time.process_time()
            given = next(steps)
            _wait_for(task.device)
            told = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            told["peak"] = _peak(task.device)
            kept = (keep or _keep_tracked)(task, f"{side}-{task.precision}-{index}", given)
            _tell(answers, {**told, **kept})


def _keep_tracked(task: Task, name: str, given: Tracked) -> dict[str, Any]:
    path = task.folder / f"{name}.npy"
    np.save(path, np.packbits(np.asarray(given.masks, bool)))
    if given.frame >= COMPARED:
        return {"masks": str(path)}
    logits = task.folder / f"{name}-logits.npy"
    np.save(logits, np.stack([_in_float32(each) for each in given.logits]))
    return {"masks": str(path), "logits": str(logits)}


def _in_float32(values: Any) -> np.ndarray[Any, Any]:
    """Copy an array or a tensor of any device."""
    tensor = values if isinstance(values, torch.Tensor) else torch.tensor(values)
    return np.asarray(tensor.float().cpu())


def keep_arrays(task: Task, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Write tensors and arrays in float32."""
    path = task.folder / f"{name}.npz"
    np.savez(
        path,
        allow_pickle=False,
        **{key: torch.as_tensor(each).float().cpu().numpy() for key, each in given.items()},
    )
    return {"arrays": str(path)}


def _answers() -> TextIO:
    """Keep the pipe to the asking process for answers; what libraries say goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _tell(answers: TextIO, told: dict[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


def _wait_for(device: str) -> None:
    """Wait until a card has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def _peak(device: str) -> float:
    """Return the most that tensors took of a card, else the largest resident size so far, in megabytes.

    Where /proc tells it, it is read there: `getrusage` counts what the starting process held as well.
    """
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(told["VmHWM"].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
