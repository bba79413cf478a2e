"""What was said last to a session: what spreads belongs to it, and it may be taken back without a trace."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from napari_sam2.prompts import PromptKey
    from napari_sam2.session import Session


@dataclass(frozen=True, eq=False)
class _Click:
    """What was said last by prompts, what was said there before, and the run of what was said before it."""

    run: Hashable
    key: PromptKey
    before: FramePrompts
    run_before: Hashable


class LastSaid:
    """What was said last; nothing at first.

    Attributes
    ----------
    run : hashable
        Of its step; None if nothing is left of it.
    """

    def __init__(self) -> None:
        self.run: Hashable = None
        self._click: _Click | None = None

    def forget(self) -> None:
        """Forget it: it was taken back."""
        self.run = None

    @contextmanager
    def noted(self, session: Session, run: Hashable) -> Iterator[None]:
        """Note what is said inside, unless it is refused or changes nothing."""
        made = session.steps_made
        yield
        if session.steps_made != made:
            self.run = run

    @contextmanager
    def prompted(self, session: Session, key: PromptKey, label: str) -> Iterator[None]:
        """Make what is said inside by prompts a step of its own, which `take_back` may take back."""
        click = _Click(object(), key, session.prompts.get(key, FramePrompts()), self.run)
        with self.noted(session, click.run), session.grouped(label, click.run):
            yield
        self._click = click

    def take_back(self, session: Session, key: PromptKey, prompts: FramePrompts) -> bool:
        """Take back the last click, with what spread from it, as if it had never been.

        Parameters
        ----------
        session : Session
        key : PromptKey
        prompts : FramePrompts
            What is said there without the click.

        Returns
        -------
        bool
            Whether that could be done: nothing else was said or done since.
        """
        click, self._click = self._click, None
        if click is None or (click.key, click.before) != (key, prompts):
            return False
        if session.take_back(click.run) is None:
            return False
        self.run = click.run_before
        return True
