"""Sequences whose field jumps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2.samples import SampleSequence


def jumping(stack: SampleSequence, since: int, by: int) -> SampleSequence:
    """Move what frames show from one on, by so many pixels down and right."""
    return replace(
        stack,
        images=_moved(stack.images, since, by, "reflect"),
        labels=_moved(stack.labels, since, by, "constant"),
    )


def _moved(frames: NDArray[Any], since: int, by: int, mode: Literal["reflect", "constant"]) -> NDArray[Any]:
    height, width = frames.shape[1:]
    moved = [np.pad(frame, by, mode=mode)[:height, :width] for frame in frames[since:]]
    return np.concatenate([frames[:since], np.stack(moved)])
