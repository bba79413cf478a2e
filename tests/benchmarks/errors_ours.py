"""This package's side of the errors of lower precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2.features import FeatureCache
from tests.benchmarks.speed_ours import read_frames
from tests.benchmarks.speed_worker import Task, keep_arrays, serve


def start(task: Task) -> Iterator[Any]:
    """Give the encoder's maps, the answers to clicks, and the first tracked frame."""
    model = load_model(
        task.folder / "weights.pt", device="cpu", image_size=task.size, precision=task.precision
    )
    session = Session(read_frames(task.folder), model=model, channel="rgb", view="frame")
    features = FeatureCache(model, session.volume).get(0)
    maps = {f"map {i}": each for i, each in enumerate((*features.high_res, features.embedding))}
    clicked = {}
    for index, place in enumerate(task.clicks):
        result = session.set_prompts(index + 1, 0, FramePrompts(points=(place,), positive=(True,)))
        clicked[f"click {index}"] = result.logits
    steps = session.propagate(direction="forward")
    tracked = next(result for result in steps if result.frame == 1)
    yield {**maps, **clicked, "tracked": tracked.logits}


if __name__ == "__main__":
    serve("ours", start, keep_arrays)
