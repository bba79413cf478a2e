"""What goes between the threads: how a session is opened, and what is told of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.summary import Cells, SessionSummary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.network_view import View
    from napari_sam2._napari.work.versions import ViewStep
    from napari_sam2.changes import LabelChange
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.prompts import FramePrompts, PromptKey


def _no_summary() -> SessionSummary:
    return SessionSummary((), Cells.empty(0, 0))


@dataclass(frozen=True, eq=False)
class Picture:
    """What the GUI thread knows of a session.

    Attributes
    ----------
    objects : tuple of int
        Ids, in order.
    prompts : mapping of PromptKey to FramePrompts
        All prompts, painted masks among them.
    undo_label, redo_label : str
        What would be undone and redone; empty if nothing.
    summary : SessionSummary
        All objects on all frames.
    axes : str
        What files call the axes, "zyx" or "tyx".
    filled : float or None
        Part of black to white (0 to 1) that the frames fill that the network has seen; None before the first.
    """

    objects: tuple[int, ...] = ()
    prompts: Mapping[PromptKey, FramePrompts] = field(default_factory=dict)
    undo_label: str = ""
    redo_label: str = ""
    summary: SessionSummary = field(default_factory=_no_summary)
    axes: str = ""
    filled: float | None = None


def back_of(picture: Picture) -> str:
    """Return the name of the step that would be undone."""
    return picture.undo_label


def forth_of(picture: Picture) -> str:
    """Return the name of the step that would be done again."""
    return picture.redo_label


@dataclass(frozen=True, eq=False)
class Replaced:
    """What another session, which was put in place of the one before, sees the images with.

    Attributes
    ----------
    view : View
        What its network sees.
    model : Sam2
        Its network.
    step : ViewStep or None
        The step that was taken or taken back, if it was one.
    """

    view: View
    model: Sam2
    step: ViewStep | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a piece of work.

    Attributes
    ----------
    changes : tuple of LabelChange
        Labels that were written.
    picture : Picture or None
        The session after it; None if one was made a moment ago.
    result : FrameResult or None
        The answer to a prompt, or the frame that was tracked.
    value : object
        Whatever else was returned.
    replaced : Replaced or None
        Where another session has taken the place of the one before.
    behind : frozenset of int, optional
        Frames with labels that have changed and were not told yet; None if that is as it was.
    made : float
        When it came of the work, by ``time.perf_counter``; it may be told later.
    """

    changes: tuple[LabelChange, ...] = ()
    picture: Picture | None = None
    result: FrameResult | None = None
    value: object = None
    replaced: Replaced | None = None
    behind: frozenset[int] | None = None
    made: float = field(default_factory=time.perf_counter)
