"""Whether negative clicks take something off a mask or deny the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

# A click denies a mask where it is at least so deep in it, as a share of its deepest place.
_MIDDLE = 0.75


def only_trims(mask: npt.NDArray[np.bool_], places: npt.NDArray[np.float32]) -> bool:
    """Tell whether none of the clicks into a mask is near its middle.

    Who means that an object is not there clicks into the middle of its mask; who means a part of it clicks
    beside that.

    Parameters
    ----------
    mask : array of bool, shape (h, w)
        What is clicked into; an empty one has nothing to be trimmed.
    places : array, shape (clicks, 2)
        As (x, y) in its pixels.
    """
    if not mask.any():
        return False
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    last = np.array(mask.shape[::-1]) - 1
    x, y = places.astype(np.int64).clip(0, last).T
    return bool(depth[y, x].max() < _MIDDLE * depth.max())
