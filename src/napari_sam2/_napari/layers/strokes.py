"""What the user painted: the pixels of the Labels layer that differ from what was written into it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.placement import mask_box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    LabelArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Stroke:
    """An object's mask on a frame after the user painted there.

    Attributes
    ----------
    obj, frame : int
        Whose mask, and where.
    pixels : PackedMask
        Those that show the object now; none if it was erased entirely.
    changed : PackedMask
        Those that were painted or erased, by this stroke or others of the frame.
    overpainted : bool
        Whether it only lost pixels to other objects. It need not be told so, unless its mask was painted by
        hand too: painted pixels of two objects would have to be shared out.
    action : object, optional
        What it is a part of; all strokes of it are one step of undo.
    """

    obj: int
    frame: int
    pixels: PackedMask
    changed: PackedMask
    overpainted: bool = False
    action: object = None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The pixels that show the object now (H, W)."""
        return self.pixels.unpack()


def label_of(strokes: Sequence[Stroke]) -> str:
    """Name what was painted, for undo."""
    objects = {stroke.obj for stroke in strokes}
    frames = {stroke.frame for stroke in strokes}
    what = f"object {objects.pop()}" if len(objects) == 1 else f"{len(objects)} objects"
    return f"Paint ({what}, " + (f"frame {frames.pop()})" if len(frames) == 1 else f"{len(frames)} frames)")


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
    packed = PackedMask.pack(changed)
    return tuple(
        Stroke(obj, frame, PackedMask.pack(after == obj), packed, obj not in gained and obj not in erased)
        for obj in sorted(objects)
    )


class Sweep:
    """Goes over all frames for strokes, a few milliseconds at a time.

    Parameters
    ----------
    count : int
        How many frames there are.
    first : int
        The frame to begin with; then come those after it, then those before it.
    """

    def __init__(self, count: int, first: int) -> None:
        self._left = [*range(first - 1, -1, -1), *range(count - 1, first - 1, -1)] if count else []
        self._found: list[Stroke] = []

    def step(self, take: Callable[[int], Sequence[Stroke]], seconds: float) -> bool:
        """Take what is found on frames for about so long; at least on one. Return whether all are done."""
        end = time.perf_counter() + seconds
        while self._left:
            self._found += take(self._left.pop())
            if time.perf_counter() >= end:
                break
        return not self._left

    def found(self) -> Sequence[Stroke]:
        """Return what was found so far, sorted by frame and object, and forget it."""
        found, self._found = self._found, []
        return sorted(found, key=lambda stroke: (stroke.frame, stroke.obj))
