"""How bright the frames are that were read, of what the network can be shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

PERCENTILES = (0.5, 99.8)
"""Between these the values of an image lie, less the few that are darker or brighter than all others."""

# A grid of so many pixels is looked at, of all of the first frames that are read, or parts of them, and of
# some of the others: enough to see that an image is brighter elsewhere, and no time.
_PIXELS, _FIRST, _EVERY = 4096, 64, 8


class Brightness:
    """The part of black to white that frames fill, taken from some of their pixels as they are read."""

    def __init__(self) -> None:
        self._range = math.inf, -math.inf  # one thread may look at a frame while another one asks
        self._reads = 0

    @property
    def filled(self) -> float | None:
        """0 to 1, of all frames together that were looked at; None before the first."""
        low, high = self._range
        return None if high < low else (high - low) / 255

    def look_at(self, frame: npt.NDArray[Any]) -> None:
        """Look at a frame that was read, or a part of one, (H, W, C) with values from 0 to 255."""
        self._reads += 1
        if self._reads > _FIRST and self._reads % _EVERY:
            return
        step = max(math.isqrt(frame.shape[0] * frame.shape[1] // _PIXELS), 1)
        low, high = np.percentile(frame[::step, ::step], PERCENTILES).tolist()
        self._range = min(self._range[0], low), max(self._range[1], high)
