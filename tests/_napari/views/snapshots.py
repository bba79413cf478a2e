"""States that look like work: small ones for the tests of the views."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_sam2._napari.state import (
    DockState,
    ImageState,
    ModelState,
    ObjectRow,
    ObjectsState,
    ProgressState,
    ReviewState,
)
from napari_sam2.summary import CellStatus

IMAGE = ImageState(
    layers=("nuclei", "membranes"),
    chosen=0,
    axes=("z", "t"),
    frame_axis=0,
    channels=("red", "green"),
    channel=1,
    seen="model sees 120-3400",
    frames=12,
)
MODEL = ModelState(
    names=("nano", "sam2.1-tiny", "Open a file ..."), devices=("auto", "cpu"), detail="built in"
)


def rows(*objects: int, **changes: Any) -> tuple[ObjectRow, ...]:
    return tuple(
        ObjectRow(obj, (0.1 * (obj % 10), 0.5, 0.5, 1.0), prompts=1, frames=5, **changes) for obj in objects
    )


def review(objects: tuple[int, ...] = (1, 2, 3), frames: int = 12, **changes: Any) -> ReviewState:
    shape = len(objects), frames
    parts: dict[str, Any] = {
        "status": np.full(shape, CellStatus.TRACKED, np.uint8),
        "confidence": np.full(shape, 0.9, np.float32),
        "jumps": np.zeros(shape, bool),
        "lost": np.zeros(shape, bool),
    }
    return ReviewState(objects, **(parts | changes))


def dock(**changes: Any) -> DockState:
    parts: dict[str, Any] = {
        "image": IMAGE,
        "model": MODEL,
        "objects": ObjectsState(rows(1, 2, 3), active=2),
        "progress": ProgressState(can_propagate=True),
        "review": review(active=2),
    }
    return DockState(**(parts | changes))
