"""Where an object is: the frame that shows it best, and the camera on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.components import Camera, ViewerModel
    from napari.layers import Layer

    from napari_sam2._napari.image.geometry import Place, SequenceGeometry
    from napari_sam2.summary import SessionSummary


def frame_of(summary: SessionSummary, obj: int, prompted: Collection[int], shown: int) -> int | None:
    """Choose a frame on which an object is: the shown one, else the first prompted one, else the best.

    Parameters
    ----------
    summary : SessionSummary
        All objects on all frames.
    obj : int
        Which object.
    prompted : collection of int
        Frames on which it was prompted.
    shown : int
        The frame that is shown.

    Returns
    -------
    int or None
        None if nothing is known of it.
    """
    if obj not in summary.objects:
        return min(prompted, default=None)
    row = summary.objects.index(obj)
    there = np.flatnonzero(summary.cells.area[row]).tolist()
    seen = sorted(set(there) & set(prompted)) or there
    if not seen:
        return min(prompted, default=None)
    if shown in seen:
        return shown
    if seen is not there:
        return int(seen[0])
    sure = np.nan_to_num(summary.cells.confidence[row, there], nan=-1.0)
    return int(there[int(sure.argmax())])


def middle_of(summary: SessionSummary, obj: int, frame: int) -> tuple[float, float] | None:
    """Return the mean (y, x) of an object on a frame; None where it has no pixels."""
    if obj not in summary.objects:
        return None
    y, x = summary.cells.centroid[summary.objects.index(obj), frame].tolist()
    return None if np.isnan(y) else (y, x)


def camera_of(viewer: ViewerModel) -> Camera:
    """Return the camera, wherever this napari has it: at the scene from 0.9 on."""
    camera: Camera = getattr(viewer, "scene", viewer).camera
    return camera


@dataclass(frozen=True)
class Look:
    """Where a camera is."""

    zoom: float
    center: tuple[float, ...]

    @classmethod
    def of(cls, viewer: ViewerModel) -> Look:
        """Note where the camera of a viewer is."""
        camera = camera_of(viewer)
        return cls(float(camera.zoom), tuple(camera.center))

    def restore(self, viewer: ViewerModel) -> None:
        """Turn the camera there again."""
        camera = camera_of(viewer)
        camera.zoom, camera.center = self.zoom, self.center


def look_at(viewer: ViewerModel, layer: Layer, geometry: SequenceGeometry, place: Place) -> None:
    """Turn the camera to a place of a sequence over which a layer lies; the zoom stays."""
    camera = camera_of(viewer)
    world = layer.data_to_world(geometry.to_layer(*place))
    centre = list(camera.center)
    for position, axis in _axes_shown(viewer, layer):
        centre[position] = float(world[axis])
    camera.center = tuple(centre)


def place_in_view(viewer: ViewerModel, layer: Layer, geometry: SequenceGeometry) -> tuple[float, float]:
    """Return the row and column in the middle of the canvas, of a sequence over which a layer lies."""
    centre = camera_of(viewer).center
    world = np.array(viewer.dims.point[-layer.ndim :], float)
    for position, axis in _axes_shown(viewer, layer):
        world[axis] = centre[position]
    place = geometry.to_place(layer.world_to_data(world))
    return place.y, place.x


def _axes_shown(viewer: ViewerModel, layer: Layer) -> list[tuple[int, int]]:
    """Pair positions in a camera's centre, of three, with the axes of a layer that are shown along them."""
    shown, lacking = viewer.dims.displayed, viewer.dims.ndim - layer.ndim
    return [(at, axis - lacking) for at, axis in enumerate(shown, start=3 - len(shown)) if axis >= lacking]
