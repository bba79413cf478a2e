"""The released package's side of the errors of lower precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.benchmarks.speed_sam2 import load
from tests.benchmarks.speed_worker import Task, keep_arrays, serve


def start(task: Task) -> Iterator[Any]:
    """Give the encoder's maps, the answers to clicks, and the first tracked frame."""
    predictor = load(task)
    state = predictor.init_state(str(task.folder / "frames"))
    pyramid = predictor.forward_image(state["images"][:1])["backbone_fpn"]
    maps = {f"map {i}": each for i, each in enumerate(pyramid)}
    clicked = {}
    for index, (y, x) in enumerate(task.clicks):
        answer = predictor.add_new_points_or_box(state, 0, index + 1, points=[[x, y]], labels=[1])
        clicked[f"click {index}"] = answer[2][index]
    steps = predictor.propagate_in_video(state)
    tracked = next(logits for frame, _, logits in steps if frame == 1)
    yield {**maps, **clicked, "tracked": tracked[:, 0]}


if __name__ == "__main__":
    serve("sam2", start, keep_arrays, autocast=True)
