"""What was said last to a session: what spreads belongs to it, and it may be taken back without a trace."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from napari_sam2.frame_result import FrameResult
    from napari_sam2.prompts import PromptKey
    from napari_sam2.session import Session


@dataclass(frozen=True, eq=False)
class _Click:
    """What was said last by prompts, what was said there before, and what spread before it."""

    run: Hashable
    key: PromptKey
    before: FramePrompts
    spread_before: Hashable


class LastSaid:
    """What was said last; nothing at first.

    Attributes
    ----------
    run : hashable
        Of its step; None if nothing is left of it that could spread.
    """

    def __init__(self) -> None:
        self.run: Hashable = None
        self._click: _Click | None = None
        self._spreads = False

    def forget(self) -> None:
        """Forget it: it was taken back."""
        self.run, self._spreads = None, False

    def begin_to_spread(self) -> bool:
        """Note that it spreads from now on, if anything is left of it."""
        self._spreads = self.run is not None
        return self._spreads

    def may_be_taken_back(self, session: Session) -> bool:
        """Whether the last click is the last step."""
        return self._click is not None and session.undo_run == self._click.run

    @contextmanager
    def noted(self, session: Session, run: Hashable) -> Iterator[None]:
        """Note what is said inside, unless it is refused or changes nothing."""
        made = session.steps_made
        yield
        if session.steps_made != made:
            self.run, self._spreads = run, False

    @contextmanager
    def prompted(self, session: Session, key: PromptKey, label: str, run: Hashable = None) -> Iterator[None]:
        """Make what is said inside by prompts a step of its own, which `take_back` may take back.

        With a `run` it is one step with all that is said in it, and stays.
        """
        before = session.prompts.get(key, FramePrompts())
        click = _Click(object() if run is None else run, key, before, self.run if self._spreads else None)
        with self.noted(session, click.run), session.grouped(label, click.run):
            yield
        self._click = click if run is None else None

    def take_back(self, session: Session, key: PromptKey, prompts: FramePrompts) -> bool:
        """Take back the last click, with what spread from it, as if it had never been.

        What was spreading before it may go on.

        Parameters
        ----------
        session : Session
        key : PromptKey
        prompts : FramePrompts
            What is said there without the click.

        Returns
        -------
        bool
            Whether nothing of it is left: nothing else was said or done since, or it was never heard of.
        """
        if session.prompts.get(key, FramePrompts()) == prompts:
            return True
        click, self._click = self._click, None
        if click is None or (click.key, click.before) != (key, prompts):
            return False
        if session.take_back(click.run) is None:
            return False
        self._spreads = click.spread_before is not None and session.undo_run == click.spread_before
        self.run = click.spread_before if self._spreads else None
        return True


def say(session: Session, key: PromptKey, prompts: FramePrompts) -> FrameResult:
    """Say all that is said of an object on a frame; a mask alone is taken pixel by pixel."""
    if prompts.packed is not None and not prompts.points and prompts.box is None:
        return session.paint(key.obj, key.frame, prompts.packed)
    return session.set_prompts(key.obj, key.frame, prompts)
