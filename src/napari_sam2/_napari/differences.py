"""What has to be written where a session takes the place of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box, mask_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.session import Session


def label_differences(before: Session, after: Session) -> Iterator[LabelChange]:
    """Compare the labels of two sessions, and take what neither has told yet as told.

    Parameters
    ----------
    before : Session
        Its labels were shown, less what it has not told.
    after : Session
        Its labels are to be shown, of frames of the same size and number.

    Yields
    ------
    LabelChange
        Of each frame that shows anything else, in order: the smallest box that has to be written.
    """
    after.take_changes()
    untold = {change.frame: change.box for change in before.take_changes()}
    for frame in range(after.volume.num_frames):
        new = np.asarray(after.labels[frame])
        box = _joined(untold.get(frame), mask_box(np.asarray(before.labels[frame]) != new))
        if box is not None:
            yield LabelChange(frame, box, np.array(new[box.slices]))


def _joined(one: Box | None, other: Box | None) -> Box | None:
    """Return the smallest box that holds both."""
    return one.union(other) if one and other else one or other
