"""The sessions that a sequence had, each with a view or a network of its own, and the way back to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2._napari.work.opening import Opening
    from napari_sam2._session.retelling import Retelling
    from napari_sam2.session import Session

# Older ones are forgotten: each has labels of the whole sequence.
_MOST = 3
OTHER_VIEW, OTHER_MODEL = "Use current view", "Change model"
"""Names of steps to another view or network, for undo."""


@dataclass(frozen=True, eq=False)
class Renewal:
    """A session that is being opened anew, and the steps that are left until it is."""

    session: Session
    opening: Opening
    steps: Retelling


@dataclass(frozen=True, eq=False)
class ViewStep:
    """A step of the user to another view or network; one and the same at all positions.

    Attributes
    ----------
    label : str
        Its name, for undo.
    """

    label: str


@dataclass(frozen=True, eq=False)
class Version:
    """A session, and where it comes from.

    Attributes
    ----------
    session : Session
        It and its network.
    opening : Opening
        How it was opened.
    step : ViewStep or None
        What led to it; None for the first one.
    since : int
        How many steps the one before it had made by then.
    """

    session: Session
    opening: Opening
    step: ViewStep | None = None
    since: int = 0


class Versions:
    """Versions in the order in which they were made, of which one is open.

    Parameters
    ----------
    first : Version
        The one that is open at first.
    """

    def __init__(self, first: Version) -> None:
        self.open = first
        self._past: list[Version] = []
        self._future: list[Version] = []

    @property
    def others(self) -> tuple[Version, ...]:
        """Those that are not open."""
        return (*self._past, *self._future)

    @property
    def undo_label(self) -> str:
        """What would be undone: a step of the open session, else what led to it."""
        back = self.back
        return self.open.session.undo_label or ("" if back is None else back.label)

    @property
    def redo_label(self) -> str:
        """What would be done again: a step of the open session, else what led away from it."""
        forth = self.forth
        return self.open.session.redo_label or ("" if forth is None else forth.label)

    @property
    def back(self) -> ViewStep | None:
        """The step that is undone next, unless one of the open session is."""
        return self.open.step if self._past and not self.open.session.undo_label else None

    @property
    def forth(self) -> ViewStep | None:
        """The step that is done again next, unless one of the open session is."""
        return self._future[-1].step if self._leads_on and not self.open.session.redo_label else None

    @property
    def _leads_on(self) -> bool:
        """Whether nothing was done since the way back from the next version."""
        return bool(self._future) and self._future[-1].since == self.open.session.steps_made

    def add(self, session: Session, opening: Opening, step: ViewStep) -> None:
        """Open another session in place of the one that is open, as a step that can be undone."""
        before = self.open.session
        before.forget_undone()
        self._past = [*self._past, self.open][-_MOST:]
        self._future.clear()
        self._open(Version(session, opening, step, before.steps_made))

    def step_back(self) -> ViewStep | None:
        """Open the version before, if no step of the open session comes first; return the step."""
        step = self.back
        if step is not None:
            self._future.append(self.open)
            self._open(self._past.pop())
        return step

    def step_forth(self) -> ViewStep | None:
        """Open the next version again, if no step of the open session comes first; return the step."""
        step = self.forth
        if step is not None:
            self._past.append(self.open)
            self._open(self._future.pop())
        return step

    def drop(self) -> None:
        """Open the version before, and forget the one that is open."""
        self.step_back()
        self._future.clear()

    def prune(self) -> None:
        """Forget versions to which no way leads any more."""
        if not self._leads_on:
            self._future.clear()

    def _open(self, version: Version) -> None:
        """Open a version; of the others only what was said and drawn is kept, not what can be computed."""
        self.open.session.cache_bytes = 0
        self.open = version
