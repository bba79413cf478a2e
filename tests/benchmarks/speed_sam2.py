"""The released package's side of a comparison; it runs where PyPI's sam2 is installed.

A precision that ends in ``-compiled`` takes its predictor with ``vos_optimized``, which compiles all parts
when they are first used: minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.benchmarks.speed_worker import Task, Tracked, serve

_FILES = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}


def start(task: Task) -> Iterator[Any]:
    """Click all objects, then track frame by frame."""
    predictor = load(task)
    state = predictor.init_state(str(task.folder / "frames"))
    for index, (y, x) in enumerate(task.clicks):
        predictor.add_new_points_or_box(state, 0, index + 1, points=[[x, y]], labels=[1])
    for frame, _, logits in predictor.propagate_in_video(state):
        yield Tracked(frame, (logits[:, 0] > 0).cpu().numpy(), low_resolution(state, frame))


def low_resolution(state: Any, frame: int) -> list[Any]:
    """Read what the predictor keeps of a frame, one map of logits for each object."""
    kept = (
        outputs[which][frame]["pred_masks"]
        for outputs in state["output_dict_per_obj"].values()
        for which in ("cond_frame_outputs", "non_cond_frame_outputs")
        if frame in outputs[which]
    )
    return [each[0, 0] for each in kept]


def load(task: Task) -> Any:
    """Return the released video predictor with the task's weights."""
    from sam2.build_sam import build_sam2_video_predictor

    version, size = task.model.split("-", 1)
    predictor = build_sam2_video_predictor(
        f"configs/{version}/{version}_hiera_{_FILES[size]}.yaml",
        str(task.folder / "weights.pt"),
        device=task.device,
        hydra_overrides_extra=[f"++model.image_size={task.size}"],
        vos_optimized=task.precision.endswith("-compiled"),
    )
    predictor.fill_hole_area = 0  # it does nothing without its CUDA extension but warn
    return predictor


if __name__ == "__main__":
    serve("sam2", start, autocast=True)
