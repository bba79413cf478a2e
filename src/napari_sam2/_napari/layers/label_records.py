"""What was written into the Labels layer, to tell what the user paints from it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._labels.array import copy_in_bands
from napari_sam2._napari.layers.strokes import strokes_between

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from napari.layers import Labels

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.strokes import Stroke
    from napari_sam2.placement import Box

    LabelArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class _Copy:
    """A frame that is being copied into zeros of a wider type, a few rows in each step."""

    source: LabelArray
    target: LabelArray
    steps: Iterator[None]

    @classmethod
    def begin(cls, source: LabelArray, dtype: np.dtype[Any]) -> _Copy:
        target = np.zeros(source.shape, dtype)
        return cls(source, target, copy_in_bands(source, target))


class LabelRecord:
    """What was written into the Labels layer, one sequence of frames; nothing at first.

    Only frames that hold labels take memory.
    """

    def __init__(self) -> None:
        self._frames: dict[int, LabelArray] = {}
        self._copy: _Copy | None = None

    def put(self, frame: int, box: Box, values: LabelArray) -> None:
        """Note that pixels of a frame were written; the frame must be known or empty elsewhere."""
        while not self.widen(frame, values.dtype):
            pass
        self._frames[frame][box.slices] = values
        self._copy = None  # it may lack these

    def widen(self, frame: int, dtype: np.dtype[Any]) -> bool:
        """Copy some rows of a frame where values of a type do not fit; whether they fit by now."""
        kept = self._frames.get(frame)
        if kept is None or kept.itemsize >= dtype.itemsize:
            return True
        copy = self._copy
        if copy is None or copy.source is not kept or copy.target.dtype != dtype:
            copy = self._copy = _Copy.begin(kept, dtype)
        for _ in copy.steps:
            return False
        self._frames[frame], self._copy = copy.target, None
        return True

    def ensure(self, frame: int, shown: LabelArray) -> None:
        """Make room for a frame of the shape and type of `shown`."""
        if frame not in self._frames:
            self._frames[frame] = np.zeros(shown.shape, shown.dtype)

    def put_back(self, frame: int, shown: LabelArray) -> None:
        """Write again what was written into a frame (H, W)."""
        written = self._frames.get(frame)
        shown[...] = 0 if written is None else written

    @contextmanager
    def beneath(self, frame: int, shown: LabelArray) -> Iterator[None]:
        """Let what is written into a frame (H, W) meanwhile go beneath what was painted there."""
        before = self._frames.get(frame, np.zeros((), shown.dtype))
        painted = shown != before
        values = shown[painted]
        self.put_back(frame, shown)
        try:
            yield
        finally:
            shown[painted] = values

    def take(self, frame: int, shown: LabelArray) -> tuple[Stroke, ...]:
        """Compare a frame (H, W) with what was written, and take its pixels as written from now on.

        Returns
        -------
        tuple of Stroke
            One for each object that gained pixels or lost some, sorted by object; empty if nothing changed.
            Labels below zero are nobody's: those on the background are set to zero in `shown`.
        """
        before = self._frames.get(frame)
        if before is None:
            if not shown.any():
                return ()
            before = np.zeros(shown.shape, shown.dtype)
        elif np.array_equal(before, shown):
            return ()
        strokes = strokes_between(frame, before, shown)
        if not strokes:  # else the whole frame is written anew
            np.maximum(shown, 0, out=shown)
        self._frames[frame], self._copy = shown.copy(), None
        return strokes


class LabelRecords:
    """Records of all sequences of a layer.

    Parameters
    ----------
    layer : Labels
        Without labels yet.
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._records: dict[tuple[tuple[int, int], ...], LabelRecord] = {}

    def of(self, geometry: SequenceGeometry) -> LabelRecord:
        """Return the record of a sequence."""
        return self._records.setdefault(geometry.position, LabelRecord())

    def take(self, geometry: SequenceGeometry, frame: int) -> tuple[Stroke, ...]:
        """Compare a frame with what was written there, and take what it shows as written."""
        return self.of(geometry).take(frame, geometry.frames_of(self._layer.data)[frame])

    def put_back(self, geometry: SequenceGeometry, frames: range) -> None:
        """Write again what was written into these frames."""
        shown = geometry.frames_of(self._layer.data)
        for frame in frames:
            self.of(geometry).put_back(frame, shown[frame])


class LeftBehind:
    """Positions that were left while a button was down; the brush paints there on its way to the mouse.

    Parameters
    ----------
    records : LabelRecords
        Of what was written there, and painted before they were left.
    """

    def __init__(self, records: LabelRecords) -> None:
        self._records = records
        self._left: list[tuple[SequenceGeometry, int]] = []

    def __bool__(self) -> bool:
        return bool(self._left)

    def note(self, geometry: SequenceGeometry, frame: int) -> None:
        """Note that a position is left on this frame."""
        self._left.append((geometry, frame))

    def put_back(self, geometry: SequenceGeometry, frame: int) -> None:
        """Take back what the way to this place has painted, and forget where it led from."""
        while self._left:
            left, first = self._left.pop()
            if left.position != geometry.position:
                self._records.put_back(left, range(min(first, frame), max(first, frame) + 1))
