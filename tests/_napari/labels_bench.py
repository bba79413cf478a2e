"""A Labels layer by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.colours import ObjectColours
from napari_sam2._napari.layers.labels import LabelsView
from napari_sam2._napari.layers.strokes import Stroke
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from tests._napari.hand import settle

GEOMETRY = SequenceGeometry((6, 40, 50), 1, 2, 0)


class Bench:
    """A Labels layer in a viewer, with what it told and how often it was refreshed."""

    def __init__(self, model: ViewerModel, geometry: SequenceGeometry = GEOMETRY) -> None:
        self.model, self.colours = model, ObjectColours()
        self.array = np.zeros(geometry.shape, np.uint16)
        self.view = LabelsView(model, geometry, self.array, self.colours, {})
        self.layer = self.view.layer
        model.add_layer(self.layer)
        model.dims.set_current_step(range(len(geometry.shape)), [0] * len(geometry.shape))
        self.strokes: list[tuple[Stroke, ...]] = []
        self.view.strokes.connect(self.strokes.append)
        self.refreshed: list[float] = []
        self.layer.events.set_data.connect(lambda _: self.refreshed.append(time.monotonic()))
        settle()
        self.refreshed.clear()

    def told(self) -> list[tuple[int, int, int]]:
        """Object, frame and size of all strokes, after the background had time."""
        for _ in range(50):
            settle(1)
        return [(each.obj, each.frame, int(each.mask.sum())) for told in self.strokes for each in told]

    def write_until(self, refreshes: int, frame: int) -> int:
        """Write again and again until the layer was refreshed so often; return how often it was written."""
        end, writes = time.monotonic() + 60, 0
        while len(self.refreshed) < refreshes and time.monotonic() < end:
            writes += 1
            self.view.write([change(frame, writes % 9 + 1)])
            settle(1)
        assert len(self.refreshed) == refreshes
        return writes

    def press(self, *, button: int = 1) -> Iterator[None]:
        """Hold a mouse button down as napari does; exhaust the iterator to release it."""
        event = SimpleNamespace(type="mouse_press", button=button)
        steps: Iterator[None] = self.layer.mouse_drag_callbacks[0](self.layer, event)
        next(steps)
        event.type = "mouse_release"
        return steps


def change(frame: int, value: int, dtype: Any = np.uint16) -> LabelChange:
    box = Box(5, 6, 9, 12)
    return LabelChange(frame, box, np.full(box.shape, value, dtype))
