"""Refreshes of the Labels layer that leave the event loop free."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_sam2._napari.wiring import Later

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari.components import ViewerModel
    from napari.layers import Labels

# A refresh costs about 10 ms for a plane and hundreds of ms for a volume; between two of them the event loop
# is free for at least REST times as long as one took.
_FLAT_MS = 100
_VOLUME_MS = 1000
_REST = 5


class Refreshing:
    """Refreshes a layer, merging what is asked for within a short time.

    Parameters
    ----------
    layer : Labels
        Whose pixels are written in place.
    viewer : ViewerModel
        Which shows it.
    quietly : callable
        Returns a context in which the layer's events are not taken for the user's doing.
    """

    def __init__(
        self, layer: Labels, viewer: ViewerModel, quietly: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._layer, self._viewer, self._quietly = layer, viewer, quietly
        self._rest, self._stale = Later(self._again), False

    def soon(self) -> None:
        """Refresh now, or some time after the last refresh."""
        if self._rest.waiting:
            self._stale = True
        else:
            self._now()

    def _again(self) -> None:
        if self._stale:
            self._now()

    def _now(self) -> None:
        self._stale = False
        start = time.perf_counter()
        with self._quietly():
            self._layer.refresh(extent=False, highlight=False, thumbnail=False)
        took = 1000 * (time.perf_counter() - start)
        least = _FLAT_MS if self._viewer.dims.ndisplay == 2 else _VOLUME_MS
        self._rest.ask(max(least, round(_REST * took)))

    def close(self) -> None:
        """Show what was written last, and refresh no more."""
        self._again()
        self._rest.close()
