"""How large the pixels of an image layer are, in the units that files are written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pint
    from napari.layers import Image

    from napari_sam2._napari.image.geometry import SequenceGeometry

_OF_FILES = ("micrometer", "second")
# Ten nanometres are 0.01 micrometres, not 0.010000000000000002.
_DIGITS = 12


def step_along(image: Image, axis: int) -> float:
    """Return the size of a step along a data axis: lengths in micrometres, times in seconds.

    In other units, such as pixels, it is what the layer's scale says.
    """
    size, unit = abs(float(image.scale[axis])), image.units[axis]
    return float(f"{size * _factor(unit):.{_DIGITS}g}")


def _factor(unit: pint.Unit) -> float:
    for known in _OF_FILES:
        if unit.is_compatible_with(known):
            return float((1.0 * unit).to(known).magnitude)
    return 1.0


def pixel_sizes(image: Image | None, geometry: SequenceGeometry) -> tuple[float, float, float]:
    """Return the size of a step along frames, rows and columns, as `step_along` does."""
    if image is None:
        return 1.0, 1.0, 1.0
    frame = 1.0 if geometry.frame_axis is None else step_along(image, geometry.frame_axis)
    return frame, step_along(image, geometry.y_axis), step_along(image, geometry.x_axis)
