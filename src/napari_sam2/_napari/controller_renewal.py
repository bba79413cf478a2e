"""Another view or another network: prompts are answered anew, one by one, and shown when all are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.answers import Answer
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Many

    from napari_sam2._napari.answers import Opening
    from napari_sam2._napari.desk import Desk
    from napari_sam2._napari.network_view import View
    from napari_sam2._napari.workspace import ModelBox, Sequence, Workspace

OTHER_VIEW, OTHER_MODEL = "Use current view", "Change model"
"""Names of the steps, for undo."""


class Renewal:
    """One sequence whose prompts are answered anew.

    Parameters
    ----------
    opening : Opening
        How its session is opened.
    label : str
        Name of the step.
    total : int
        How many prompts there are.

    Attributes
    ----------
    said : int
        How many of them were answered.
    ended : bool
        Whether it was given up.
    """

    def __init__(self, opening: Opening, label: str, total: int) -> None:
        self.opening, self.label, self.total = opening, label, total
        self.said = 0
        self.ended = False

    def begin(self, box: ModelBox, desk: Desk) -> Answer:
        """Begin, on the inference thread."""
        return self._unless_ended(lambda: desk.renew(self.opening, box.take(), self.label))

    def say(self, desk: Desk) -> Answer:
        """Answer one prompt there."""
        answer = self._unless_ended(desk.say_again)
        self.said += not self.ended
        return answer

    def finish(self, desk: Desk) -> Answer:
        """Show what came of it."""
        return desk.drop_new() if self.ended else desk.take_new()

    def _unless_ended(self, work: Callable[[], Answer]) -> Answer:
        """Do a part of it; the first that fails ends it."""
        if self.ended:
            return Answer()
        try:
            return work()
        except Exception:
            self.ended = True
            raise


class RenewalControl:
    """Answers prompts anew.

    Parameters
    ----------
    workspace : Workspace
        Whose sessions.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._space = workspace
        self._running: dict[Sequence, Renewal] = {}
        workspace.interrupted.connect(self.stop)

    @property
    def running(self) -> bool:
        """Whether prompts are being answered anew."""
        return bool(self._running)

    def wanted(self, sequence: Sequence) -> View:
        """Return what the network sees of a sequence, or will see when its prompts were answered."""
        run = self._running.get(sequence)
        return sequence.view if run is None else run.opening.view

    def begin(self, sequence: Sequence, opening: Opening, label: str) -> None:
        """Answer all prompts of a sequence anew, each in a job of its own, so that clicks go between."""
        run = self._running[sequence] = Renewal(opening, label, len(sequence.picture.prompts))
        ask = partial(
            self._space.ask,
            label="Answering all prompts anew",
            sequence=sequence,
            failed=lambda _: self._forget(sequence, run),
        )
        ask(partial(run.begin, self._space.model))
        for _ in range(run.total):
            ask(run.say)
        ask(run.finish, lambda answer: self._taken(sequence, run, answer))

    def _taken(self, sequence: Sequence, run: Renewal, answer: Answer) -> None:
        self._forget(sequence, run)
        if answer.replaced is not None:
            self._show_locked(sequence)

    def _forget(self, sequence: Sequence, run: Renewal) -> None:
        if self._running.get(sequence) is run:
            del self._running[sequence]

    def _show_locked(self, sequence: Sequence) -> None:
        """Draw prompts that have become masks because they were locked; clicks under way stay."""
        said = sequence.picture.prompts.items()
        masks = {key: each for key, each in said if each.mask is not None and key in sequence.declared}
        sequence.declared = {**sequence.declared, **masks}
        if masks and sequence is self._space.sequence and self._space.layers is not None:
            self._space.layers.show_prompts(sequence.declared)

    def stop(self) -> None:
        """Give it up without a word."""
        for run in self._running.values():
            run.ended = True
        self._running.clear()

    def cancel(self) -> None:
        """Give it up, and say what stays."""
        if self._running:
            self.stop()
            tell("The model sees what it saw before: nothing was changed.")
            self._space.changed.emit()

    def shown_in(self, progress: ProgressState) -> ProgressState:
        """Return what the dock shows of what is going on, with how far it has come."""
        if not self._running:
            return progress
        runs = self._running.values()
        label = next(iter(runs)).label
        return replace(
            progress,
            activity=Activity.RENEWING,
            message="Answering all prompts anew. Clicks go first; undo or cancel ends it.",
            done=sum(run.said for run in runs),
            total=sum(run.total for run in runs),
            can_undo=True,
            undo_label=label,
        )


def what_changes(sequences: Many[Sequence]) -> str:
    """Say what is computed again when the network sees something else."""
    pictures = [sequence.picture for sequence in sequences]
    prompts = sum(not each.says_absent for picture in pictures for each in picture.prompts.values())
    tracked = sum(
        int(np.count_nonzero(picture.summary.cells.status == CellStatus.TRACKED)) for picture in pictures
    )
    answered = (
        f"{prompts} prompt{'' if prompts == 1 else 's'} {'is' if prompts == 1 else 'are'} answered anew"
    )
    if not tracked:
        return f"The model sees something else now: {answered}. Undo brings the old masks back."
    masks = f"{tracked} tracked mask{'' if tracked == 1 else 's'}"
    return f"The model sees something else now: {answered}, and {masks} go. Undo brings them back."
