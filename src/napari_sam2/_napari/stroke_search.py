"""Looks for strokes on frames that are not shown, beside the user's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2._napari.strokes import Sweep
from napari_sam2._napari.wiring import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_sam2._napari.strokes import LabelRecord, Stroke

_SECONDS = 0.004


class StrokeSearch:
    """Compares all frames with what was written into them, some in each turn of the event loop.

    Parameters
    ----------
    frames : callable
        Returns the frames (frames, H, W) that the layer shows.
    found : callable
        Gets strokes and the action that they are a part of.
    rests : callable
        Tells whether a stroke is under way, so that nothing is looked for.
    """

    def __init__(
        self,
        frames: Callable[[], npt.NDArray[Any]],
        found: Callable[[Sequence[Stroke], object], None],
        rests: Callable[[], bool],
    ) -> None:
        self._frames, self._found, self._rests = frames, found, rests
        self._record: LabelRecord | None = None
        self._sweep: Sweep | None = None
        self._action: object = None
        self._later = Later(self._step)

    @property
    def is_on(self) -> bool:
        """Whether anything is left to be compared."""
        return self._sweep is not None

    def begin(self, record: LabelRecord, first: int, action: object) -> None:
        """Begin anew, at a frame; strokes of one action are told together."""
        self._record, self._sweep, self._action = record, Sweep(record, first), action
        self._later.ask()

    def go_on(self) -> None:
        """Go on after a stroke, if anything is left to be compared."""
        if self._sweep is not None:
            self._later.ask()

    def _step(self, seconds: float | None = None) -> None:
        sweep = self._sweep
        if sweep is None or self._rests():
            return
        if sweep.step(lambda frame: self._frames()[frame], _SECONDS if seconds is None else seconds):
            self._sweep = None
            self._found(sweep.found(), self._action)
        else:
            self._later.ask()

    def look_at(self, frames: set[int]) -> None:
        """Tell now of what is still being looked for on these frames."""
        if self._sweep is not None and self._record is not None:
            for frame in sorted(frames):
                self._found(self._record.take(frame, self._frames()[frame]), self._action)

    def finish(self) -> None:
        """Compare now what is left."""
        self._later.cancel()
        self._step(float("inf"))

    def close(self) -> None:
        """Look no more."""
        self._later.close()
