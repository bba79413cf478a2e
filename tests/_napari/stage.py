"""Prompt layers in a real viewer, for the mouse and the keyboard."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2._napari.layers.strokes import Stroke
from napari_sam2._napari.state import Tool
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.hand import settle


class Desk:
    """Prompt layers in a real viewer, and all that they told."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.image = viewer.add_image(np.zeros((6, 40, 50), np.uint8), name="cells")
        self.layers = PromptLayers(viewer, self.image, SequenceGeometry.of(self.image, frame_axis=0))
        self.prompts: list[dict[PromptKey, FramePrompts]] = []
        self.strokes: list[tuple[Stroke, ...]] = []
        self.active: list[int] = []
        self.layers.prompts_changed.connect(self.prompts.append)
        self.layers.strokes.connect(self.strokes.append)
        self.layers.active_changed.connect(self.active.append)

    def clear(self) -> None:
        """Begin anew: nothing said, nothing painted, the pan tool, frame 2."""
        self.viewer.dims.order = (0, 1, 2)
        self.place()
        self.layers.set_tool(Tool.PAN)
        self.layers.points.mode = "pan_zoom"
        self.layers.show_prompts({})
        nothing = np.zeros((40, 50), np.uint16)
        self.layers.write([LabelChange(frame, Box(0, 0, 40, 50), nothing) for frame in range(6)])
        self.layers.set_each_click_new(False)
        self.layers.set_positive(True)
        self.layers.set_active(1)
        settle()
        for told in (self.prompts, self.strokes, self.active):
            told.clear()

    def place(self, **transform: Any) -> None:
        """Put the image somewhere, and look at its frame 2."""
        options: dict[str, Any] = {
            "scale": (1, 1, 1),
            "translate": (0, 0, 0),
            "rotate": np.eye(3),
        } | transform
        for name, value in options.items():
            if not np.array_equal(getattr(self.image, name), value):  # every change draws anew
                setattr(self.image, name, value)
        self.viewer.dims.set_point(0, float(self.image.data_to_world((2, 20, 25))[0]))
        self.viewer.reset_view()
        settle()

    def at(self, y: float, x: float) -> Any:
        """The world position of a pixel of the frame that is shown."""
        return self.layers.labels.data_to_world((2, y, x))

    def points(self, obj: int) -> list[tuple[int, int, bool]]:
        """The points of an object on the frame, to whole pixels."""
        each = self.prompts[-1].get(PromptKey(obj, 2), FramePrompts())
        return [(round(y), round(x), sign) for (y, x), sign in zip(each.points, each.positive, strict=True)]

    def show_mask(self, obj: int, box: Box) -> None:
        """Show a mask that was computed."""
        self.layers.write([LabelChange(2, box, np.full(box.shape, obj, np.uint16))])
        settle()
