"""What was written into the Labels layer, to tell what the user paints from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._napari.strokes import strokes_between

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Labels

    from napari_sam2._napari.geometry import SequenceGeometry
    from napari_sam2._napari.strokes import Stroke
    from napari_sam2.placement import Box

    LabelArray = npt.NDArray[np.integer[Any]]


class LabelRecord:
    """What was written into the Labels layer, one sequence of frames; nothing at first.

    Only frames that hold labels take memory.
    """

    def __init__(self) -> None:
        self._frames: dict[int, LabelArray] = {}

    def put(self, frame: int, box: Box, values: LabelArray) -> None:
        """Note that pixels of a frame were written; the frame must be known or empty elsewhere."""
        kept = self._frames[frame]
        if kept.dtype.itemsize < values.dtype.itemsize:
            kept = self._frames[frame] = kept.astype(values.dtype)
        kept[box.slices] = values

    def ensure(self, frame: int, shown: LabelArray) -> None:
        """Make room for a frame of the shape and type of `shown`."""
        if frame not in self._frames:
            self._frames[frame] = np.zeros(shown.shape, shown.dtype)

    def put_back(self, frames: LabelArray) -> None:
        """Write again what was written into frames (frames, H, W), where they show something else."""
        for frame, shown in enumerate(frames):
            written = self._frames.get(frame)
            shown[...] = 0 if written is None else written

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
        self._frames[frame] = shown.copy()
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
        return self._records.setdefault(tuple(sorted(geometry.index.items())), LabelRecord())

    def take(self, geometry: SequenceGeometry, frame: int) -> tuple[Stroke, ...]:
        """Compare a frame with what was written there, and take what it shows as written."""
        return self.of(geometry).take(frame, geometry.frames_of(self._layer.data)[frame])

    def put_back(self, geometry: SequenceGeometry) -> None:
        """Write again what was written."""
        self.of(geometry).put_back(geometry.frames_of(self._layer.data))
