"""What was written into the labels since somebody last asked."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.placement import Box

Pixels: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class LabelChange:
    """Pixels of one frame that were written.

    Attributes
    ----------
    frame : int
        Index of the frame.
    box : Box
        Where, (y0, x0, y1, x1); all that was written lies inside.
    values : array of unsigned integers, shape of the box
        Copy of the labels there, those of other objects included.
    """

    frame: int
    box: Box
    values: Pixels


class ChangeLog:
    """The frames that something changed on, and the box of their labels that was written.

    Only one box is kept for a frame, no pixels: it costs next to nothing while nobody asks.
    """

    def __init__(self) -> None:
        self._boxes: dict[int, Box | None] = {}

    def note(self, frame: int, box: Box | None) -> None:
        """Note that something changed on a frame; a box of None says that no pixel was written."""
        known = self._boxes.get(frame)
        self._boxes[frame] = known.union(box) if known and box else known or box

    def drain(self) -> dict[int, Box | None]:
        """Return the frames with their boxes, in order, and begin anew."""
        boxes, self._boxes = self._boxes, {}
        return dict(sorted(boxes.items()))

    @property
    def frames(self) -> frozenset[int]:
        """Frames on which pixels were written."""
        return frozenset(frame for frame, box in self._boxes.items() if box is not None)

    def __bool__(self) -> bool:
        return bool(self._boxes)


def read_changes(
    log: ChangeLog, pixels: Callable[[int, Box], Pixels], until: float = inf
) -> tuple[LabelChange, ...]:
    """Drain a log and copy the pixels that it speaks of; `pixels` copies those of a box of a frame.

    After a time (`time.perf_counter`) no other frame is read; the log keeps what is left.
    """
    changes: list[LabelChange] = []
    for frame, box in log.drain().items():
        if box is not None and changes and perf_counter() > until:
            log.note(frame, box)
        elif box is not None:
            changes.append(LabelChange(frame, box, pixels(frame, box)))
    return tuple(changes)
