"""Reviewing: the strip, and the way to what deserves a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import ReviewState
from napari_sam2.doubt import Findings, Place, find, next_doubtful, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.workspace import Workspace
    from napari_sam2.summary import Cells, SessionSummary


class ReviewControl:
    """Shows what is known of every object on every frame, and goes there.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        Makes objects active.
    reveal : callable
        Shows objects that are hidden.
    """

    def __init__(
        self, workspace: Workspace, prompts: PromptControl, reveal: Callable[[set[int]], None]
    ) -> None:
        self._space = workspace
        self._prompts, self._reveal = prompts, reveal
        self._looked: Cells | None = None
        self._locked: tuple[int, ...] = ()
        self._findings: Findings | None = None
        self._shown = ReviewState()

    def visit(self, obj: int, frame: int) -> None:
        """Make an object active and show a frame."""
        self._prompts.activate(obj)
        self._reveal({obj})
        self._space.go_to(frame)

    def next_doubtful(self) -> None:
        """Go to the next place that deserves a look."""
        found = next_doubtful(self._space.picture.summary, Place(self._space.active, self._space.frame))
        if found is None:
            tell("There is no doubtful frame: nothing jumps, gets lost or is unsure.")
            return
        self.visit(found.obj, found.frame)

    def state(self) -> ReviewState:
        """Return what the strip shows; the same object as long as nothing has changed."""
        summary, frame, active = self._space.picture.summary, self._space.frame, self._space.active
        locked = tuple(row.obj for row in summary.rows if row.locked)
        is_new = self._findings is None or summary.cells is not self._looked or locked != self._locked
        if self._findings is None or is_new:
            self._looked, self._locked = summary.cells, locked
            self._findings = find(summary.cells, status_of(summary))
        if is_new or (self._shown.frame, self._shown.active) != (frame, active):
            self._shown = review_state(summary, self._findings, frame, active)
        return self._shown


def review_state(summary: SessionSummary, findings: Findings, frame: int, active: int) -> ReviewState:
    """Return what the strip shows."""
    return ReviewState(
        objects=summary.objects,
        status=status_of(summary),
        confidence=summary.cells.confidence,
        jumps=findings.jumps,
        lost=findings.lost,
        frame=frame,
        active=active,
    )
