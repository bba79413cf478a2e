"""Errors that are told otherwise at a dock or a command line than where there are calls."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the system's errors for a disk that is full."""


class ObjectLockedError(ValueError):
    """An object that is locked as a whole was to be changed.

    Parameters
    ----------
    obj : int
        Its id.
    """

    def __init__(self, obj: int) -> None:
        super().__init__(f"object {obj} is locked: unlock it first (unlock_object)")
        self.obj = obj


class PartNeededError(ValueError):
    """Data have more axes than frames, rows and columns, and nothing says which part is meant.

    Parameters
    ----------
    shape : tuple of int
        Of the data.
    axes : sequence of int
        Those of which a position has to be chosen.
    frames : int or None
        The axis that was taken for that of the frames.
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], frames: int | None) -> None:
        self.shape, self.axes, self.frames = tuple(shape), tuple(axes), frames
        wanted = ", ".join(f"{axis}: 0 to {shape[axis] - 1}" for axis in axes)
        super().__init__(
            f"{len(self.shape)}-D data of shape {self.shape}: say which part to take by index={{{wanted}}}, "
            "and by axis which axis holds the frames"
        )
