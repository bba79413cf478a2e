"""Steps back and forth through what was said and computed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._napari.work.answers import back_of, forth_of
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.worker import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.controls.ahead import AheadControl
    from napari_sam2._napari.controls.objects import ObjectControl
    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.controls.seeds import SeedControl
    from napari_sam2._napari.controls.sequence import SequenceControl
    from napari_sam2._napari.work.answers import Answer
    from napari_sam2._napari.work.versions import ViewStep
    from napari_sam2._napari.workspace import Sequence, Workspace

_DOING = {"Undone": "Undoing", "Done again": "Redoing"}


class HistoryControl:
    """Undo and redo.

    Parameters
    ----------
    space : Workspace
        What is worked on.
    sequences : SequenceControl
        Of all positions: a step to another view or network is taken at each of them.
    prompts : PromptControl
        Shows the prompts of the step.
    objects : ObjectControl
        Goes back to the object of which the active one was a part, where that is no more.
    seeds : SeedControl
        What is being seeded ends where it is taken back.
    ahead : AheadControl
        Forgets what it outlined before the step.
    """

    def __init__(
        self,
        space: Workspace,
        sequences: SequenceControl,
        prompts: PromptControl,
        objects: ObjectControl,
        seeds: SeedControl,
        ahead: AheadControl,
    ) -> None:
        self._space, self._sequences, self._prompts = space, sequences, prompts
        self._objects, self._seeds, self._ahead = objects, seeds, ahead

    def undo(self) -> None:
        """Take back the last step; a click that has spread by itself goes with what it spread."""
        if self._sequences.renewals.running:
            self._sequences.renewals.cancel()
            return
        seeding = self._seeds.running_here

        def step_back(desk: Desk) -> Answer:
            if seeding is not None and not seeding.said:  # it ended before it began
                return desk.answer(value="Seed")
            return desk.undo()

        self._step("Undone", self._space.place_of_step(back_of), step_back, Desk.undo_step)

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self._step("Done again", self._space.place_of_step(forth_of), Desk.redo, Desk.redo_step)

    def _step(
        self,
        verb: str,
        sequence: Sequence | None,
        step: Callable[[Desk], Answer],
        elsewhere: Callable[[Desk, ViewStep], Answer],
    ) -> None:
        """Take a step back or forth; one to another view or network is taken at all positions."""
        if sequence is None or not sequence.is_open:
            return
        self._space.interrupted.emit(sequence)
        self._ahead.leave()  # it was outlined for what was said then

        def take(desk: Desk) -> Answer:
            answer = step(desk)
            return answer if sequence.is_left else self._space.model.follow(answer)

        self._space.ask(
            take,
            lambda answer: self._stepped(sequence, verb, elsewhere, answer),
            label=_DOING[verb],
            sequence=sequence,
            fate=Fate.DONE,
            in_order=True,
        )

    def _stepped(
        self,
        sequence: Sequence,
        verb: str,
        elsewhere: Callable[[Desk, ViewStep], Answer],
        answer: Answer,
    ) -> None:
        """Draw the prompts after a step back or forth, and say in the status bar what it was."""
        self._prompts.show(sequence)
        self._objects.return_to_origin()
        self._prompts.go_back()
        self._prompts.candidates.look()
        step = None if answer.replaced is None else answer.replaced.step
        if step is not None:
            self._step_elsewhere(sequence, lambda desk: elsewhere(desk, step), _DOING[verb])
        if answer.value:
            self._space.viewer.status = f"{verb}: {answer.value}"

    def _step_elsewhere(self, sequence: Sequence, step: Callable[[Desk], Answer], label: str) -> None:
        """Take a step to another view or network at all other positions."""
        for each in self._sequences.touched():
            if each is not sequence:
                shown = partial(_show, self._prompts, each)
                self._space.ask(step, shown, sequence=each, label=label, in_order=True)


def _show(prompts: PromptControl, sequence: Sequence, _answer: Answer) -> None:
    prompts.show(sequence)
