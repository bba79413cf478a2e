"""Lines of a Shapes layer that are as wide on the screen in a small image as in one of many pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.layers.finding import camera_of
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Shapes

_PIXELS = 2.0
_REST_MS = 60


def line_width(viewer: ViewerModel, layer: Shapes) -> float:
    """Return how wide a line of two pixels on the screen is in the pixels of a layer.

    Napari takes widths in these; in a field of 2048 pixels a line of one of them is hardly to be seen.
    """
    offset = viewer.dims.ndim - layer.ndim
    shown = [axis - offset for axis in viewer.dims.displayed if axis >= offset]
    size = np.abs(np.asarray(layer.scale)[shown]).min() if shown else 1.0
    return float(_PIXELS / max(camera_of(viewer).zoom * size, 1e-6))


class EvenLines:
    """Keeps the lines of a layer two pixels wide on the screen, whatever the zoom.

    Parameters
    ----------
    viewer : ViewerModel
        Which zooms.
    layer : Shapes
        Whose lines.
    is_busy : callable
        Whether a shape is being drawn: then they are left as they are for a while.
    """

    def __init__(self, viewer: ViewerModel, layer: Shapes, is_busy: Callable[[], bool]) -> None:
        self._viewer, self._layer, self._is_busy = viewer, layer, is_busy
        self._fit = Later(self._set_widths, _REST_MS)
        self._wires = Connections()
        for emitter in (camera_of(viewer).events.zoom, viewer.dims.events.ndisplay, layer.events.scale):
            self._wires.connect(emitter, self._ask)
        self._set_widths()

    def _ask(self, _event: object = None) -> None:
        self._fit.ask()

    def _set_widths(self) -> None:
        if self._is_busy():
            self._fit.ask()
            return
        width = line_width(self._viewer, self._layer)
        self._layer.edge_width = width
        with self._layer.block_update_properties():
            self._layer.current_edge_width = width  # it tells napari to draw the others anew

    def close(self) -> None:
        """Let lines be as wide as they are."""
        self._fit.close()
        self._wires.close()
