"""The masks that one click may mean, of which the user takes the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.controls.next_prompts import with_candidate
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.worker import Priority
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.work.answers import Answer
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.frame_result import FrameResult


@dataclass(frozen=True)
class Choice:
    """How many masks an ambiguous click may mean, and which is shown: the best unless one is chosen."""

    count: int = 0
    shown: int = 0

    def of(self, prompts: FramePrompts | None) -> Choice:
        """Return it as the prompts say, which may have changed since, as by undo; a mask leaves no choice."""
        if prompts is not None and prompts.packed is not None:
            return Choice()
        chosen = None if prompts is None or not self.count else prompts.candidate
        return self if chosen is None else replace(self, shown=chosen)


def choice_of(result: FrameResult) -> Choice:
    """Find out which of its candidates the answer to a prompt is."""
    shown, candidates = result.placed[0].logits, result.candidates
    same = [index for index, each in enumerate(candidates) if np.array_equal(each, shown)]
    return Choice(len(candidates), same[0] if same else 0)


class CandidateControl:
    """Knows what clicks may mean, and takes the next of it.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    say : callable
        Says all that is said of an object on a frame.
    """

    def __init__(self, workspace: Workspace, say: Callable[[int, int, FramePrompts], None]) -> None:
        self._space, self._say = workspace, say
        # At each position of the other axes an object has frames of its own.
        self._choices: dict[tuple[Sequence, PromptKey], Choice] = {}

    def forget(self) -> None:
        """Forget all: another image comes."""
        self._choices = {}

    def note(self, sequence: Sequence, key: PromptKey, answer: Answer) -> None:
        """Note what the prompts that were answered may mean."""
        before = self._choices.pop((sequence, key), None)
        if answer.result is None or len(answer.result.candidates) <= 1:
            return
        said = sequence.picture.prompts.get(key)
        chosen = said is not None and said.candidate is not None
        is_kept = before is not None and before.count and chosen
        self._choices[sequence, key] = before if before and is_kept else choice_of(answer.result)

    def forget_gone(self, sequence: Sequence) -> None:
        """Forget clicks that are no more."""
        self._choices = {
            (place, key): each
            for (place, key), each in self._choices.items()
            if place is not sequence or key in sequence.declared
        }

    def next(self) -> None:
        """Take the next mask of those that an ambiguous click may mean."""
        sequence, key, choice = self._space.sequence, self._shown_key(), self.shown()
        if sequence is not None and (sequence, key) not in self._choices:
            self.look(asked=True)
        else:
            self._cycle(key, choice)

    def _cycle(self, key: PromptKey, choice: Choice) -> None:
        sequence = self._space.sequence
        prompts = None if sequence is None else sequence.declared.get(key)
        if prompts is not None and choice.count:
            chosen = with_candidate(prompts, (choice.shown + 1) % choice.count)
            self._say(key.obj, key.frame, chosen)

    def look(self, *, asked: bool = False) -> None:
        """Find out what a single click may mean that was answered earlier, as before undo or in a file.

        Parameters
        ----------
        asked : bool
            Whether the user wants the next of them.
        """
        key, sequence = self._shown_key(), self._space.sequence
        said = None if sequence is None else sequence.declared.get(key)
        if sequence is None or said is None or (sequence, key) in self._choices or key in sequence.waiting:
            return
        if len(said.points) == 1 and said.box is None and said.packed is None:
            self._space.ask(
                partial(Desk.candidates, key=key, asked=asked),
                partial(self._found_choice, sequence, key, said, asked),
                priority=Priority.CLICK if asked else Priority.AHEAD,
                key=("next candidate", key) if asked else "candidates",
                label=f"{'Looking at' if asked else 'Preparing'} frame {key.frame}",
            )

    def _found_choice(
        self, sequence: Sequence, key: PromptKey, said: FramePrompts, asked: bool, answer: Answer
    ) -> None:
        if sequence.declared.get(key) != said or key in sequence.waiting or answer.result is None:
            return
        count = len(answer.result.candidates)
        choice = self._choices[sequence, key] = choice_of(answer.result) if count > 1 else Choice()
        if asked and sequence is self._space.sequence:
            self._cycle(key, choice)

    def _shown_key(self) -> PromptKey:
        return PromptKey(self._space.active, self._space.frame)

    def shown(self) -> Choice:
        """Return the choice that the active object has on the frame and at the position that are shown."""
        sequence, key = self._space.sequence, self._shown_key()
        if sequence is None:
            return Choice()
        return self._choices.get((sequence, key), Choice()).of(sequence.declared.get(key))
