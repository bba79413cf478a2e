"""The outline of a mask that a click would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes
from skimage.measure import find_contours

from napari_sam2._napari.keys import block_keys
from napari_sam2._napari.layers.lines import line_width

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.state import Colour
    from napari_sam2.frame_result import PlacedMask


_MARK = "napari-sam2 preview"


def is_preview(layer: Layer) -> bool:
    """Whether a layer shows what a click would give, so that nothing is to be read from it."""
    return _MARK in layer.metadata


def contours(placed: PlacedMask) -> list[npt.NDArray[np.float64]]:
    """Return the outlines of a mask, each (n, 2) of (y, x) in pixels of the frame."""
    if not placed.crop.any():
        return []
    padded = np.pad(placed.crop.astype(np.float32), 1)
    corner = np.array([placed.box.y0 - 1, placed.box.x0 - 1])
    return [line + corner for line in find_contours(padded, 0.5) if len(line) > 3]


class Outline:
    """A layer that shows an outline for a moment; it is made when it is first needed.

    Parameters
    ----------
    viewer : ViewerModel
        Where it is shown.
    image : Image
        The image that it lies over.
    """

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self._layer: Shapes | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is an outline now."""
        return self._layer is not None and len(self._layer.data) > 0

    def show(self, frame: int, placed: PlacedMask, geometry: SequenceGeometry, colour: Colour) -> None:
        """Show the outline of a mask on a frame."""
        lines = [geometry.to_layers(np.full(len(line), frame), line) for line in contours(placed)]
        if not lines:
            self.clear()
            return
        layer = self._ready(geometry)
        layer.data = []
        layer.add(lines, shape_type="path", edge_color=[colour], edge_width=line_width(self._viewer, layer))

    def _ready(self, geometry: SequenceGeometry) -> Shapes:
        if self._layer is None or self._layer not in self._viewer.layers:
            active = self._viewer.layers.selection.active
            options = geometry.layer_kwargs(self._image)
            name, mark = f"{self._image.name} preview", {_MARK: True}
            self._layer = Shapes(ndim=geometry.ndim, name=name, metadata=mark, **options)
            block_keys(self._layer)
            self._viewer.layers.insert(len(self._viewer.layers), self._layer)
            self._layer.editable = False
            self._viewer.layers.selection.active = active
        return self._layer

    def clear(self) -> None:
        """Show none."""
        if self.is_shown and self._layer is not None:
            self._layer.data = []

    def close(self) -> None:
        """Take the layer out of the viewer."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None
