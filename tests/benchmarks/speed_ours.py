"""This package's side of a comparison: a session, its frames propagated one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2.process import keep_memory
from tests.benchmarks.speed_worker import Task, Tracked, serve


def read_frames(folder: Path) -> npt.NDArray[np.uint8]:
    """Read the frames as the references do, (T, H, W, 3)."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "frames").glob("*.jpg"))])


def start(task: Task) -> Iterator[Any]:
    """Click all objects, then track frame by frame."""
    if task.keep_memory:
        keep_memory()
    model = load_model(
        task.folder / "weights.pt", device=task.device, image_size=task.size, precision=task.precision
    )
    session = Session(read_frames(task.folder), model=model, channel="rgb", view="frame")
    for index, place in enumerate(task.clicks):
        session.set_prompts(index + 1, 0, FramePrompts(points=(place,), positive=(True,)))
    for result in session.propagate(direction="forward"):
        yield Tracked(result.frame, result.masks, [each.logits for each in result.placed])


if __name__ == "__main__":
    serve("ours", start)
