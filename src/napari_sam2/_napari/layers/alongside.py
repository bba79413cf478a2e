"""Layers that stay where their image is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._napari.wiring import Connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Layer

    from napari_sam2._napari.image.geometry import SequenceGeometry


class Alongside:
    """Moves and scales layers as somebody moves and scales their image.

    Parameters
    ----------
    image : Image
        It is never changed.
    geometry : SequenceGeometry
        Of its sequence, at any position.
    layers : iterable of Layer
        Of the geometry's shape.
    """

    def __init__(self, image: Image, geometry: SequenceGeometry, layers: Iterable[Layer]) -> None:
        self._image, self._geometry, self._layers = image, geometry, tuple(layers)
        self._wires = Connections()
        for name in ("scale", "translate", "rotate", "shear", "affine", "units"):
            self._wires.connect(getattr(image.events, name), self.place)

    def place(self, _event: object = None) -> None:
        """Put the layers where the image is; what is so already stays, since every change draws anew."""
        for name, value in self._geometry.layer_kwargs(self._image).items():
            for layer in self._layers:
                if not _are_same(getattr(layer, name), value):
                    setattr(layer, name, value)

    def close(self) -> None:
        """Let them go."""
        self._wires.close()


def _are_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - napari's
    """Whether two properties of layers are: names and units, or numbers, or an affine transform."""
    if isinstance(other, tuple):
        return bool(one == other)
    first, second = (getattr(each, "affine_matrix", each) for each in (one, other))
    return bool(np.array_equal(first, second))
