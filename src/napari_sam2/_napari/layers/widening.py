"""A wider type for labels that are shown: they are copied beside the user's work."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._labels.array import blank_labels, copy_in_bands
from napari_sam2._napari.wiring import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import numpy.typing as npt
    from napari.layers import Labels

_SECONDS = 0.008
# After copying was begun again so often all is copied in one turn: somebody paints all the time.
_MOST_AGAIN = 10


class Widening:
    """Gives a layer labels of type uint32, copied for a few milliseconds in each turn of the event loop.

    Parameters
    ----------
    layer : Labels
        Not to be written by anybody but the user while they are copied.
    quietly : callable
        Returns a context in which the layer's events are not taken for the user's doing.
    done : callable
        Is told when the layer has them.
    """

    def __init__(
        self,
        layer: Labels,
        quietly: Callable[[], AbstractContextManager[None]],
        done: Callable[[], object],
    ) -> None:
        self._layer, self._quietly, self._done = layer, quietly, done
        self._label = self._again = 0
        self._copy: npt.NDArray[Any] | None = None
        self._steps: Iterator[None] = iter(())
        self._later = Later(self._turn)

    @property
    def is_on(self) -> bool:
        """Whether labels are being copied."""
        return self._copy is not None

    def fits(self, label: int) -> bool:
        """Tell whether the layer can hold a label."""
        return label <= int(np.iinfo(self._layer.data.dtype).max)

    def begin(self, label: int) -> None:
        """Begin to make room for a label, if it does not fit; done at once where there is little to copy."""
        if not (self.is_on or self.fits(label)):
            self._label, self._again = label, 0
            self._try_to_set_out()
            self._turn()

    def begin_again(self) -> None:
        """Copy all of them once more, from the next turn on: somebody painted, or gave others, meanwhile."""
        if not self.is_on:
            return
        self._give_up()
        self._again += 1
        if not self.fits(self._label):
            self._try_to_set_out()

    def _try_to_set_out(self) -> None:
        with suppress(MemoryError, OSError):  # whoever writes the label is told
            self._set_out()

    def make_room(self, label: int) -> None:
        """Make room for a label now."""
        if not (self.is_on or self.fits(label)):
            self._set_out()
        self.finish()

    def finish(self) -> None:
        """Copy the rest now, if labels are being copied."""
        self._go_on(float("inf"))

    def _set_out(self) -> None:
        self._copy = blank_labels(self._layer.data.shape, np.uint32)
        self._steps = copy_in_bands(self._layer.data, self._copy)
        self._later.ask()

    def _turn(self) -> None:
        self._go_on(_SECONDS if self._again < _MOST_AGAIN else float("inf"))

    def _go_on(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        for _ in self._steps:
            if time.perf_counter() >= end:
                self._later.ask()
                return
        copy = self._copy
        self._give_up()
        if copy is not None:
            with self._quietly():
                self._layer.data = copy
            self._done()

    def _give_up(self) -> None:
        self._later.cancel()
        self._copy, self._steps = None, iter(())

    def close(self) -> None:
        """Forget what was copied."""
        self._give_up()
        self._later.close()
