"""Bad frames, which show nothing of the scene, told by the frames around them."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_sam2.features import FeatureCache
    from napari_sam2.placement import Box

# Pixels along a side that frames are compared at, how many frames on a scene may come back, and by how much
# more it has to resemble what was before than a bad frame does.
_SIDE, _REACH, _MARGIN = 32, 2, 0.2
# Pictures that are kept: of one question, and where whole frames are looked at those of all objects.
_KEPT = 16


class OddFrames:
    """Tells frames that do not fit between those before and after them.

    Where an object ends, what is around it goes on. Where a frame is bad, what is around the object is gone
    as well, and comes back on one of the next frames.

    Parameters
    ----------
    features : FeatureCache
        Reads the frames.
    count : int
        Number of frames.
    """

    def __init__(self, features: FeatureCache, count: int) -> None:
        self._glance = lru_cache(_KEPT)(partial(features.glance, side=_SIDE))
        self._count = count

    def is_odd(self, frame: int, before: int, window: Box) -> bool:
        """Tell whether a later frame resembles the one before more than this one does.

        Parameters
        ----------
        frame : int
            Which may be bad.
        before : int
            The last good one that a pass came over; its side tells the direction.
        window : Box
            The part of the frames that is compared.
        """
        step = 1 if frame > before else -1
        later = (frame + step * distance for distance in range(1, _REACH + 1))
        least = self._likeness(before, frame, window) + _MARGIN
        return any(self._likeness(before, t, window) > least for t in later if 0 <= t < self._count)

    def _likeness(self, one: int, other: int, window: Box) -> float:
        return likeness(self._glance(one, window), self._glance(other, window))


def likeness(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Correlate two images of one shape.

    Returns
    -------
    float
        1 where they differ in brightness and contrast alone; 0 where one of them is flat or empty.
    """
    if one.size == 0:
        return 0.0
    first, second = (each - each.mean() for each in (one, other))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm > 0 else 0.0
