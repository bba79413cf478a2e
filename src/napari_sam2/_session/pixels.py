"""The labels of a session: their pixels, when these are written, and what was written."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

from napari_sam2._session.checks import check_frame
from napari_sam2.changes import read_changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from napari_sam2._labels.snapshot import LabelSnapshot
    from napari_sam2._session.state import SessionState
    from napari_sam2.changes import LabelChange
    from napari_sam2.volume import Volume


class SessionPixels:
    """Reads and writes the pixels of the labels.

    Attributes
    ----------
    volume : Volume
        The images as frames.
    """

    volume: Volume
    _state: SessionState

    @property
    def labels(self) -> Any:  # noqa: ANN401 - numpy or zarr
        """The integer labels (frames, H, W), the very array that is written into."""
        with self._state.lock:
            return self._state.labels.array

    def pixels(self, frame: int) -> NDArray[Any]:
        """Return a copy of the labels of a frame, (H, W)."""
        with self._state.lock:
            return self._state.labels.pixels(check_frame(frame, self.volume.num_frames))

    def postponed(self) -> AbstractContextManager[None]:
        """Leave pixels that edits inside change to `settle`, so that many frames keep nobody waiting.

        All else is changed at once. Whoever reads the labels gets them as they have to be.
        """
        return self._state.postponed()

    def postponing(self, steps: Iterator[None]) -> Iterator[None]:
        """Take each of some steps as inside of `postponed`; others come between."""
        while True:
            with self.postponed():
                try:
                    next(steps)
                except StopIteration:
                    return
            yield

    @property
    def behind(self) -> tuple[int, ...]:
        """Frames on which pixels are left to be written, in order."""
        with self._state.lock:
            return self._state.labels.behind

    @property
    def is_settled(self) -> bool:
        """Whether no pixels are left to be written."""
        return not self.behind

    def settle(self, first: Sequence[int] = (), seconds: float = inf) -> bool:
        """Write pixels that were `postponed`.

        Parameters
        ----------
        first : sequence of int
            Frames that go first.
        seconds : float
            No other frame is begun after so long.

        Returns
        -------
        bool
            Whether all is written.
        """
        return self._state.settle(first, seconds)

    def settle_steps(self) -> Iterator[None]:
        """Write all pixels that were `postponed`, for some milliseconds in each step."""
        return self._state.settle_steps()

    @property
    def changed_frames(self) -> frozenset[int]:
        """Frames of which `take_changes` has something to tell."""
        return self._state.written.frames

    def take_changes(self, seconds: float = inf) -> tuple[LabelChange, ...]:
        """Return what was written into the labels since the last call, by whatever method.

        Parameters
        ----------
        seconds : float
            After so long no other frame is told; the next call goes on.

        Returns
        -------
        tuple of LabelChange
            One per frame, in order, with a copy of the pixels as they are now; what is left to `settle` is
            told when that has written it. The first call after `load` tells of all that was read.
        """
        with self._state.lock:
            until = perf_counter() + seconds
            return read_changes(self._state.written, self._state.labels.pixels_so_far, until)

    def drop_changes(self) -> None:
        """Begin anew with what `take_changes` tells, without reading a pixel."""
        with self._state.lock:
            self._state.written.drain()

    def label_snapshot(self) -> LabelSnapshot:
        """Return the labels (frames, H, W) as they are now, whatever is written before it is closed."""
        with self._state.lock:
            return self._state.labels.snapshot()
