"""Looks for strokes on frames that are not shown, beside the user's work."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._napari.layers.strokes import Sweep
from napari_sam2._napari.wiring import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.strokes import Stroke

_SECONDS = 0.004


@dataclass(frozen=True, eq=False)
class _Search:
    """A sequence that is being compared, and the action that strokes there are a part of."""

    geometry: SequenceGeometry
    sweep: Sweep
    action: object


class StrokeSearch:
    """Compares all frames with what was written into them, some in each turn of the event loop.

    Parameters
    ----------
    take : callable
        Compares a frame of a sequence with what was written there, and takes what it shows as written.
    found : callable
        Gets strokes of a sequence, the action that they are a part of, and the sequence.
    rests : callable
        Tells whether a stroke is under way, so that nothing is looked for.

    Attributes
    ----------
    holds_back : callable
        Tells whether too much waits that was found before, so that nothing is looked for until `go_on`.
    """

    def __init__(
        self,
        take: Callable[[SequenceGeometry, int], Sequence[Stroke]],
        found: Callable[[Sequence[Stroke], object, SequenceGeometry], None],
        rests: Callable[[], bool],
    ) -> None:
        self._take, self._found, self._rests = take, found, rests
        self.holds_back: Callable[[], bool] = lambda: False
        self._searches: dict[tuple[tuple[int, int], ...], _Search] = {}
        self._later = Later(self._step)

    @property
    def is_on(self) -> bool:
        """Whether anything is left to be compared."""
        return bool(self._searches)

    def begin(self, places: Iterable[SequenceGeometry], first: int, action: object) -> None:
        """Begin with these sequences, before those that are left, at a frame.

        Strokes of one action are told together, each sequence by itself.
        """
        before = self._searches
        self._searches = {
            each.position: _Search(each, Sweep(each.num_frames, first), action) for each in places
        }
        for position, search in before.items():
            if self._searches.setdefault(position, search) is not search:
                self._tell(search)
        self._later.ask()

    def go_on(self) -> None:
        """Go on after a stroke, or when it was taken, if anything is left to be compared."""
        if self._searches:
            self._later.ask()

    def _step(self) -> None:
        """Compare for a few milliseconds."""
        end = time.perf_counter() + _SECONDS
        while self._searches and not (self._rests() or self.holds_back()):
            self._sweep(next(iter(self._searches.values())), end - time.perf_counter())
            if time.perf_counter() >= end:
                self._later.ask()
                return

    def _sweep(self, search: _Search, seconds: float) -> None:
        """Compare frames of a sequence, and tell of it when all are done."""
        if search.sweep.step(partial(self._take, search.geometry), seconds):
            del self._searches[search.geometry.position]
            self._tell(search)

    def _tell(self, search: _Search) -> None:
        self._found(search.sweep.found(), search.action, search.geometry)

    def look_at(self, geometry: SequenceGeometry, frames: set[int]) -> None:
        """Tell now of what is still being looked for on these frames."""
        search = self._searches.get(geometry.position)
        if search is not None:
            for frame in sorted(frames):
                self._found(self._take(geometry, frame), search.action, geometry)

    def finish(self, geometry: SequenceGeometry | None = None) -> None:
        """Compare now what is left, of all sequences or of one."""
        for position, search in list(self._searches.items()):
            if geometry is None or position == geometry.position:
                self._sweep(search, float("inf"))

    def close(self) -> None:
        """Look no more."""
        self._searches.clear()
        self._later.close()
