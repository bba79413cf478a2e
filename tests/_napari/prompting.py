"""Prompt layers in a viewer without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2._napari.layers.strokes import Stroke
from napari_sam2._napari.state import Tool
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.hand import settle

SHAPE = (6, 40, 50)


class Desk:
    """Prompt layers over a stack, and all that they told."""

    def __init__(self, model: ViewerModel, shape: tuple[int, ...] = SHAPE, **options: Any) -> None:
        self.model = model
        self.image = model.add_image(np.zeros(shape, np.uint8), scale=(4, 1, 1), name="cells", **options)
        self.layers = PromptLayers(model, self.image, SequenceGeometry.of(self.image, frame_axis=0))
        self.told: list[dict[PromptKey, FramePrompts]] = []
        self.active: list[int] = []
        self.strokes: list[tuple[Stroke, ...]] = []
        self.layers.prompts_changed.connect(self.told.append)
        self.layers.active_changed.connect(self.active.append)
        self.layers.strokes.connect(self.strokes.append)
        settle()

    def tool(self) -> Tool:
        return self.layers.tools.tool

    def last(self) -> dict[PromptKey, FramePrompts]:
        settle()
        return self.told[-1]


def square(frame: float, y0: float, x0: float, y1: float, x1: float) -> npt.NDArray[np.float64]:
    return np.array([[frame, y0, x0], [frame, y0, x1], [frame, y1, x1], [frame, y1, x0]], float)


def point(y: float, x: float, *, positive: bool = True) -> FramePrompts:
    return FramePrompts(((y, x),), (positive,))
