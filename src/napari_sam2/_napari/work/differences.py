"""What the layers have still to be told of a session's labels, some frames at a time."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box, mask_box

if TYPE_CHECKING:
    from napari_sam2.session import Session


class Untold:
    """Frames on which the layers show something else than the session.

    An edit of many frames leaves their pixels to be written, and a session that takes the place of another
    one has to be compared with what was shown before: both are done a few frames at a time.
    """

    def __init__(self) -> None:
        # What the layers show of a frame, but for what was told since; None where that is not known.
        self._shown: dict[int, Session | None] = {}

    def replace(self, before: Session, after: Session) -> None:
        """Note that a session has taken the place of another one of as many frames of the same size.

        What the one before has not told need not be told any more: the layers show something else there.
        """
        unknown, frames = self.frames(before), range(after.volume.num_frames)
        before.drop_changes()
        after.drop_changes()
        self._shown = {frame: None if frame in unknown else before for frame in frames}

    def frames(self, session: Session) -> frozenset[int]:
        """Return the frames of which there is anything to tell of this session, the one that is open."""
        return frozenset(self._shown).union(session.behind, session.changed_frames)

    def take(self, session: Session, first: int, seconds: float) -> tuple[LabelChange, ...]:
        """Return what is to be written now; something is done of it, and nothing more is begun after so long.

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
        until, is_done = perf_counter() + seconds, bool(session.behind)
        session.settle((first,), seconds)
        changes = list(session.take_changes(until - perf_counter()))
        written = self._shown.keys() - session.behind
        for frame in sorted(written, key=lambda frame: (frame != first, frame)):
            if (is_done or changes) and perf_counter() > until:
                break
            changes += self._compared(session, frame)
            is_done = True
        return tuple(changes)

    def _compared(self, session: Session, frame: int) -> list[LabelChange]:
        before, after = self._shown.pop(frame), session.pixels(frame)
        box = Box(0, 0, *after.shape) if before is None else mask_box(before.pixels(frame) != after)
        return [] if box is None else [LabelChange(frame, box, np.array(after[box.slices]))]
