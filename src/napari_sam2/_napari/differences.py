"""What the layers have still to be told of a session's labels, some frames at a time."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.changes import LabelChange
from napari_sam2.placement import mask_box

if TYPE_CHECKING:
    from napari_sam2.placement import Box
    from napari_sam2.session import Session


class Untold:
    """Frames on which the layers show something else than the session.

    An edit of many frames leaves their pixels to be written, and a session that takes the place of another
    one has to be compared with what was shown before: both are done a few frames at a time.
    """

    def __init__(self) -> None:
        self._shown: dict[int, Session] = {}
        self._boxes: dict[int, Box] = {}

    def replace(self, before: Session, after: Session) -> None:
        """Note that a session has taken the place of another one of as many frames of the same size.

        What neither has told yet counts as told with the rest.
        """
        after.take_changes()
        for change in before.take_changes():
            known = self._boxes.get(change.frame)
            self._boxes[change.frame] = change.box if known is None else known.union(change.box)
        for frame in range(after.volume.num_frames):
            self._shown.setdefault(frame, before)

    def is_left(self, session: Session) -> bool:
        """Whether there is anything to tell of this session, the one that is open."""
        return bool(self._shown) or not session.is_settled

    def take(self, session: Session, first: int, seconds: float) -> tuple[LabelChange, ...]:
        """Return what is to be written now, of one frame at least; no other one is begun after so long.

        Parameters
        ----------
        session : Session
            The one that is open.
        first : int
            The frame that is shown.
        seconds : float
            How long it may go on.

        Returns
        -------
        tuple of LabelChange
            Of each frame that shows anything else the smallest box that has to be written.
        """
        until = perf_counter() + seconds
        session.settle((first,), seconds)
        changes = list(session.take_changes())
        for frame in sorted(self._shown, key=lambda frame: (frame != first, frame)):
            changes += self._compared(session, frame)
            if perf_counter() > until:
                break
        return tuple(changes)

    def _compared(self, session: Session, frame: int) -> list[LabelChange]:
        before, after = self._shown.pop(frame).pixels(frame), session.pixels(frame)
        box, untold = mask_box(before != after), self._boxes.pop(frame, None)
        whole = box.union(untold) if box and untold else box or untold
        return [] if whole is None else [LabelChange(frame, whole, np.array(after[whole.slices]))]
