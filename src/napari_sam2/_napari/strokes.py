"""What the user painted: the pixels of the Labels layer that differ from what was written into it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.placement import mask_box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_sam2.placement import Box

    LabelArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Stroke:
    """An object's mask on a frame after the user painted there.

    Attributes
    ----------
    obj, frame : int
        Whose mask, and where.
    mask : array (H, W) of bool
        The pixels that show the object now; none if it was erased entirely.
    overpainted : bool
        Whether it only lost pixels to other objects. It need not be told so, unless its mask was painted by
        hand too: painted pixels of two objects would have to be shared out.
    action : object, optional
        What it is a part of; all strokes of it are one step of undo.
    """

    obj: int
    frame: int
    mask: npt.NDArray[np.bool_]
    overpainted: bool = False
    action: object = None


def label_of(strokes: Sequence[Stroke]) -> str:
    """Name what was painted, for undo."""
    objects = {stroke.obj for stroke in strokes}
    frames = {stroke.frame for stroke in strokes}
    what = f"object {objects.pop()}" if len(objects) == 1 else f"{len(objects)} objects"
    return f"Paint ({what}, " + (f"frame {frames.pop()})" if len(frames) == 1 else f"{len(frames)} frames)")


class LabelRecord:
    """What was written into the Labels layer, one sequence of frames.

    Only frames that hold labels take memory.

    Parameters
    ----------
    frames : array (frames, H, W) of integers
        What the layer shows now.
    """

    def __init__(self, frames: LabelArray) -> None:
        self._frames: dict[int, LabelArray] = {}
        self.size = len(frames)
        for frame, shown in enumerate(frames):
            if shown.any():
                self._frames[frame] = shown.copy()

    def __len__(self) -> int:
        return self.size

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


def strokes_between(frame: int, before: LabelArray, after: LabelArray) -> tuple[Stroke, ...]:
    """Find the objects whose pixels differ between two states (H, W) of a frame; see `Stroke`.

    Labels below zero, as a script may write them, are background.
    """
    changed = before != after
    box = mask_box(changed)
    if box is None:
        return ()
    where = changed[box.slices]
    old, new = before[box.slices][where], after[box.slices][where]
    gained, erased = set(np.unique(new).tolist()), set(np.unique(old[new <= 0]).tolist())
    objects = {obj for obj in gained | set(np.unique(old).tolist()) if obj > 0}
    return tuple(
        Stroke(obj, frame, after == obj, overpainted=obj not in gained and obj not in erased)
        for obj in sorted(objects)
    )


class Sweep:
    """Compares all frames with the record, a few milliseconds at a time.

    Parameters
    ----------
    record : LabelRecord
        What was written.
    first : int
        The frame to begin with; then come those after it, then those before it.
    """

    def __init__(self, record: LabelRecord, first: int) -> None:
        self._record = record
        count = len(record)
        self._left = [*range(first - 1, -1, -1), *range(count - 1, first - 1, -1)] if count else []
        self._found: list[Stroke] = []

    def step(self, frame_of: Callable[[int], LabelArray], seconds: float) -> bool:
        """Compare frames for about so long; at least one. Return whether all are done."""
        end = time.perf_counter() + seconds
        while self._left:
            frame = self._left.pop()
            self._found += self._record.take(frame, frame_of(frame))
            if time.perf_counter() >= end:
                break
        return not self._left

    def found(self) -> Sequence[Stroke]:
        """Return what was found so far, sorted by frame and object, and forget it."""
        found, self._found = self._found, []
        return sorted(found, key=lambda stroke: (stroke.frame, stroke.obj))
