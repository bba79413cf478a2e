"""Paths of objects as a Tracks layer over their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2.tracks import Tracks

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer."""

_AXES = (3, 4)
"""Numbers of data axes that a Tracks layer can have."""


def tracks_layer(tracks: Tracks, geometry: SequenceGeometry, image: Image) -> LayerData:
    """Make a Tracks layer that lies over the image, as what `Layer.create` takes.

    Parameters
    ----------
    tracks : Tracks
        Of `Session.tracks`, or of `Positions.tracks` where the axes of the image are (t, z, y, x).
    geometry : SequenceGeometry
        Where the sequence lies in the image.
    image : Image
        The image layer.

    Raises
    ------
    ValueError
        If there is nothing to show, or napari cannot show it.
    """
    if not len(tracks.data):
        raise ValueError("No object has a mask yet: prompt and propagate first.")
    if geometry.ndim not in _AXES or geometry.frame_axis is None:
        raise ValueError(
            f"A Tracks layer has 3 or 4 axes, “{image.name}” has {image.ndim}: "
            "take a sequence of frames, without channels."
        )
    data = tracks.data
    if data.shape[1] == 4:
        data = np.hstack([data[:, :1], geometry.to_layers(data[:, 1].astype(np.intp), data[:, 2:])])
    graph = {child: list(parents) for child, parents in tracks.graph.items()}
    kwargs = {"name": f"{image.name} tracks", "graph": graph, **geometry.layer_kwargs(image)}
    return data, kwargs, "tracks"
