"""Checks of what scripts and people ask of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.prompts import PromptKey, check_object_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_key(obj: int, frame: int, num_frames: int) -> PromptKey:
    """Return the place of an object on a frame.

    Raises
    ------
    TypeError, ValueError
        If the id is none or there is no such frame.
    """
    return PromptKey(check_object_id(obj), check_frame(frame, num_frames))


def check_frame(frame: int, num_frames: int) -> int:
    """Return the index of a frame as a Python int.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number, or there is no such frame.
    """
    if isinstance(frame, bool) or not isinstance(frame, (int, np.integer)):
        raise TypeError(f"the frame is {frame!r}: give a whole number")
    if not 0 <= frame < num_frames:
        raise ValueError(f"there is no frame {frame}: the sequence has frames 0 to {num_frames - 1}")
    return int(frame)


def check_objects(objects: Sequence[int] | None, prompted: tuple[int, ...]) -> tuple[int, ...]:
    """Return the objects to propagate, all prompted ones where none are named.

    Raises
    ------
    ValueError
        If there are no prompts at all, or one of the objects has none.
    """
    if not prompted:
        raise ValueError("there are no prompts: click on an object first (set_prompts)")
    chosen = prompted if objects is None else tuple(sorted({check_object_id(obj) for obj in objects}))
    without = set(chosen).difference(prompted)
    if without:
        raise ValueError(
            f"objects {sorted(without)} have no prompts, those with prompts are {list(prompted)}: "
            "click on the others first, or leave them out"
        )
    return chosen


def check_range(frames: range | None, num_frames: int) -> range | None:
    """Return the frames to propagate through in ascending order.

    Raises
    ------
    TypeError, ValueError
        If it is no range, is empty, has gaps or leaves the sequence.
    """
    if frames is None:
        return None
    if not isinstance(frames, range):
        raise TypeError(f"frames must be a range, such as range(0, {num_frames}); got {frames!r}")
    if not frames or abs(frames.step) != 1 or min(frames) < 0 or max(frames) >= num_frames:
        raise ValueError(f"frames must be a range of step 1 within 0 to {num_frames - 1}; got {frames}")
    return range(min(frames), max(frames) + 1)
