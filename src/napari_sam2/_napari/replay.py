"""Saying to one session all that was said to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.prompts import FramePrompts, PromptKey
    from napari_sam2.session import Session


def replay(source: Session, target: Session, label: str) -> None:
    """Give the prompts, locks, names and lives of a session to an empty one, in one step of undo.

    Parameters
    ----------
    source, target : Session
        Of frames of the same shape.
    label : str
        Name of the step.
    """
    with target.grouped(label):
        for key, prompts in source.prompts.items():
            say(target, key, prompts)
        for obj in source.objects:
            _describe(source, target, obj)


def say(target: Session, key: PromptKey, prompts: FramePrompts) -> FrameResult:
    """Say all that is said of an object on a frame; a mask alone is taken pixel by pixel."""
    if prompts.mask is not None and not prompts.points and prompts.box is None:
        return target.paint(key.obj, key.frame, prompts.mask)
    return target.set_prompts(key.obj, key.frame, prompts)


def _describe(source: Session, target: Session, obj: int) -> None:
    """Repeat what was said of an object as a whole, and its locked masks as painted ones."""
    for frame in _locked_frames(source, obj):
        target.paint(obj, frame, source.mask(obj, frame))
        target.lock(obj, frame)
    life = source.life(obj)
    if life.first is not None:
        target.begins_here(obj, life.first)
    if life.last is not None:
        target.ends_here(obj, life.last)
    if obj in source.names:
        target.rename(obj, source.names[obj])
    if obj in source.locked_objects:
        target.lock_object(obj)


def _locked_frames(source: Session, obj: int) -> list[int]:
    summary = source.summary()
    status = summary.cells.status[summary.objects.index(obj)]
    return [int(frame) for frame in np.flatnonzero(status == CellStatus.LOCKED)]
