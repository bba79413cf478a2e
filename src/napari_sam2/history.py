"""Undo and redo as values: an edit knows its inverse, the history is two bounded lists."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an edit replaces, and what it replaces it by; None stands for no value."""

    key: Hashable
    before: object
    after: object

    def inverse(self) -> Change:
        """Return the change that takes this one back."""
        return Change(self.key, before=self.after, after=self.before)


@dataclass(frozen=True)
class Edit:
    """What one action of the user changed, in order, and its name for a menu."""

    label: str
    changes: tuple[Change, ...] = ()

    def inverse(self) -> Edit:
        """Return the edit that takes this one back: each change turned round, the last one first."""
        return Edit(self.label, tuple(change.inverse() for change in reversed(self.changes)))


@dataclass
class _Step:
    """Edits that are undone together."""

    run: Hashable | None
    edits: list[Edit]

    def joined(self) -> Edit:
        return Edit(self.edits[0].label, tuple(change for edit in self.edits for change in edit.changes))


class History:
    """Edits that can be undone and redone.

    It carries nothing out itself: whoever calls `undo` or `redo` applies the edit that comes back.

    Parameters
    ----------
    limit : int
        How many edits can be undone; older ones are forgotten.

    Attributes
    ----------
    made : int
        How many edits were noted so far, less those that `take_back` took back.

    Raises
    ------
    ValueError
        If the limit is below 1.
    """

    def __init__(self, limit: int = 100) -> None:
        if limit < 1:
            raise ValueError(f"the limit is {limit}: give 1 or more edits")
        self._done: deque[_Step] = deque(maxlen=limit)
        self._undone: list[_Step] = []
        # What could be redone until the last step was made, in case that one is taken back as never made.
        self._forgotten: list[_Step] = []
        self.made = 0

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to do again."""
        return bool(self._undone)

    @property
    def undo_label(self) -> str | None:
        """Name of the edit that `undo` would take back."""
        return self._done[-1].edits[0].label if self._done else None

    @property
    def redo_label(self) -> str | None:
        """Name of the edit that `redo` would do again."""
        return self._undone[-1].edits[0].label if self._undone else None

    @property
    def undo_run(self) -> Hashable | None:
        """Run of the edits that `undo` would take back; None if they have none."""
        return self._done[-1].run if self._done else None

    def push(self, edit: Edit, run: Hashable | None = None) -> None:
        """Note an edit that was just carried out; what was undone before it can no longer be redone.

        An edit without changes is not noted: undoing it would look like nothing happened.

        Parameters
        ----------
        edit : Edit
            What was changed.
        run : hashable, optional
            Edits of the same run that come one after the other are one step of undo.
        """
        if not edit.changes:
            return
        if run is not None and self._done and self._done[-1].run == run:
            self._done[-1].edits.append(edit)
            self._undone = []
        else:
            self._done.append(_Step(run, [edit]))
            self._forgotten, self._undone = self._undone, []
        self.made += 1

    def undo(self, read: Callable[[Change], object] | None = None) -> Edit | None:
        """Step back and return the edit to apply, already inverted; None if there is none.

        Parameters
        ----------
        read : callable, optional
            Returns the value that there is now where a change has another one. It is noted for `redo` in
            place of what the edit holds: large edits need not carry what they lead to until they are undone.
        """
        if not self._done:
            return None
        self._forgotten = []
        edit = self._done.pop().joined()
        if read is not None:
            edit = replace(edit, changes=tuple(replace(c, after=read(c)) for c in edit.changes))
        self._undone.append(_Step(None, [edit]))
        return edit.inverse()

    def take_back(self, run: Hashable) -> Edit | None:
        """Step back as if the last edits, those of this run, had never been; return the edit to apply.

        What could be redone before them can be again, unless more was undone since. None if the last ones are
        others.
        """
        if run is None or run != self.undo_run:
            return None
        self._undone, self._forgotten = self._forgotten, []
        step = self._done.pop()
        self.made -= len(step.edits)
        return step.joined().inverse()

    def redo(self) -> Edit | None:
        """Step forward and return the edit to apply; None if there is none."""
        if not self._undone:
            return None
        self._forgotten = []
        step = self._undone.pop()
        self._done.append(step)
        return step.joined()

    def forget_undone(self) -> None:
        """Forget what could be done again."""
        self._undone, self._forgotten = [], []

    def clear(self) -> None:
        """Forget all edits."""
        self._done.clear()
        self.forget_undone()
