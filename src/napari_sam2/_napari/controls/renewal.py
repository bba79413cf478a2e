"""Another view or another network: prompts are answered anew, one by one, and shown when all are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.desk import Desk
from napari_sam2.steps import until_ended
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from collections.abc import Sequence as Many

    import numpy.typing as npt

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.network_view import View
    from napari_sam2._napari.work.model_box import ModelBox
    from napari_sam2._napari.work.opening import Opening
    from napari_sam2._napari.work.versions import ViewStep
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.summary import SessionSummary

    Work = Callable[[Desk], Answer | Generator[None, None, Answer]]


@dataclass(eq=False)
class Position:
    """One of the sequences whose prompts are answered anew.

    Attributes
    ----------
    opening : Opening
        How its session is opened.
    total, said : int
        How many prompts there are, and how many of them were answered.
    ready : bool
        Whether all were.
    taken : bool
        Whether the new session has taken the place of the one before.
    """

    opening: Opening
    total: int
    said: int = 0
    ready: bool = False
    taken: bool = False


class Renewal:
    """A step to another view or network, taken at all positions together or at none.

    Parameters
    ----------
    step : ViewStep
        The step.
    positions : dict of Sequence to Position
        Those of which something was said.
    views : dict of Sequence to View
        What is seen then of these and of all others.
    model : Sam2, optional
        The network; by default the one in the box.

    Attributes
    ----------
    ended : bool
        Whether it was given up.
    """

    def __init__(
        self,
        step: ViewStep,
        positions: dict[Sequence, Position],
        views: Mapping[Sequence, View],
        model: Sam2 | None = None,
    ) -> None:
        self.step, self.positions, self.views, self.model = step, positions, views, model
        self.ended = False

    @property
    def view(self) -> View | None:
        """What is seen everywhere then; None if positions see different things."""
        views = list(self.views.values())
        return views[0] if views and all(each.matches(views[0]) for each in views) else None

    @property
    def is_ready(self) -> bool:
        """Whether all prompts were answered everywhere; from then on it cannot be given up."""
        return all(position.ready for position in self.positions.values())

    @property
    def is_done(self) -> bool:
        """Whether the new sessions are in place."""
        return all(position.taken for position in self.positions.values())

    def begin(self, position: Position, box: ModelBox, desk: Desk) -> Answer:
        """Begin at a position, on the inference thread; the answer's value says that there is more to do."""
        desk.renew(position.opening, self.model or box.take())
        return Answer(value=True)

    def say(self, position: Position, desk: Desk) -> Generator[None, None, Answer]:
        """Answer one prompt there, in steps; the value is whether there was one."""
        answer = yield from desk.say_again()
        position.said += bool(answer.value)
        return answer

    def unless_ended(self, work: Work, desk: Desk) -> Generator[None, None, Answer]:
        """Do a part of it; the first that fails ends it."""
        try:
            found = Answer() if self.ended else work(desk)
            if isinstance(found, Answer):
                return found
            return (yield from until_ended(found, lambda: self.ended)) or Answer()
        except Exception:
            self.ended = True
            raise


class RenewalControl:
    """Answers prompts anew: the next one when the one before is answered, so that all else goes between.

    Parameters
    ----------
    workspace : Workspace
        Whose sessions.

    Attributes
    ----------
    done : callable or None
        Called with a renewal when its sessions are in place.
    given_up : callable or None
        Called when all stays as it was.
    before : callable or None
        Called before anything is answered anew.
    late : callable or None
        Returns positions of which something was said since it began; they come along.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._space = workspace
        self._run: Renewal | None = None
        self.done: Callable[[Renewal], None] | None = None
        self.given_up: Callable[[], None] | None = None
        self.before: Callable[[], None] | None = None
        self.late: Callable[[Renewal], Mapping[Sequence, Position]] | None = None
        workspace.interrupted.connect(self.stop)

    @property
    def running(self) -> bool:
        """Whether prompts are being answered anew, which can be given up."""
        return self._run is not None and not self._run.is_ready

    @property
    def is_busy(self) -> bool:
        """Whether prompts are being answered anew, or what came of it is being shown."""
        return self._run is not None

    def wanted(self, sequence: Sequence) -> View:
        """Return what the network sees of a sequence, or will see when its prompts were answered."""
        return sequence.view if self._run is None else self._run.views.get(sequence, sequence.view)

    def begin(self, run: Renewal) -> None:
        """Answer all prompts anew."""
        self._run = run
        for sequence in tuple(run.positions):
            self._begin_at(run, sequence)

    def _begin_at(self, run: Renewal, sequence: Sequence) -> None:
        begun = partial(run.begin, run.positions[sequence], self._space.model)
        self._ask(run, sequence, begun, partial(self._next, run, sequence))

    def _ask(
        self,
        run: Renewal,
        sequence: Sequence,
        work: Work,
        done: Callable[[Answer], None],
    ) -> None:
        self._space.ask(
            partial(run.unless_ended, work),
            done,
            label="Answering all prompts anew",
            sequence=sequence,
            failed=lambda _: self._give_up(run),
        )

    def _next(self, run: Renewal, sequence: Sequence, answer: Answer) -> None:
        """Answer the next prompt, or take what came of all."""
        position = run.positions[sequence]
        if run.ended:
            return
        position.ready = not answer.value
        if not position.ready:
            self._ask(run, sequence, partial(run.say, position), partial(self._next, run, sequence))
        elif run.is_ready and not self._comes_late(run):
            for each in run.positions:
                self._ask(run, each, partial(self._take, run), partial(self._taken, run, each))

    def _comes_late(self, run: Renewal) -> bool:
        """Take positions in of which something was said since; return whether there are any."""
        late = {} if self.late is None else self.late(run)
        run.positions.update(late)
        for sequence in late:
            self._begin_at(run, sequence)
        return bool(late)

    def _take(self, run: Renewal, desk: Desk) -> Answer:
        return self._space.model.follow(desk.take_new(run.step))

    def _taken(self, run: Renewal, sequence: Sequence, answer: Answer) -> None:
        if self._run is not run or answer.replaced is None:
            return
        run.positions[sequence].taken = True
        self._show_locked(sequence)
        if run.is_done:
            self._run = None
            if self.done is not None:
                self.done(run)

    def _show_locked(self, sequence: Sequence) -> None:
        """Draw prompts that have become masks because they were locked; clicks under way stay."""
        sequence.take_prompts()
        if sequence is self._space.sequence and self._space.layers is not None:
            self._space.layers.show_prompts(sequence.declared)

    def make_way(self) -> None:
        """Give it up for another one; who else is at work may end that with a word."""
        if self.before is not None:
            self.before()
        self.supersede()

    def supersede(self) -> None:
        """Give it up for another one."""
        run, self._run = self._run, None
        if run is not None:
            run.ended = True
            for sequence in run.positions:
                self._space.ask(partial(Desk.drop_new, step=run.step), sequence=sequence)

    def stop(self) -> None:
        """Give it up without a word, unless it is as good as done."""
        if self._run is not None:
            self._give_up(self._run)

    def _give_up(self, run: Renewal) -> None:
        if self._run is run and not (run.is_ready and not run.ended):
            self.supersede()
            if self.given_up is not None:
                self.given_up()

    def cancel(self) -> None:
        """Give it up, and say what stays."""
        if self.running:
            self.stop()
            tell("The model sees what it saw before: nothing was changed.")
            self._space.changed.emit()

    def shown_in(self, progress: ProgressState) -> ProgressState:
        """Return what the dock shows of what is going on, with how far it has come."""
        run = self._run
        if run is None:
            return progress
        positions = run.positions.values()
        return replace(
            progress,
            activity=Activity.RENEWING,
            message="Answering all prompts anew. Clicks go first; undo or cancel ends it.",
            done=sum(position.said for position in positions),
            total=sum(position.total for position in positions),
            can_undo=True,
            undo_label=run.step.label,
        )


def _are_kept(summary: SessionSummary) -> npt.NDArray[np.bool_]:
    """Tell which objects stay as they are: those that are locked, or were never prompted."""
    return np.array([row.locked or not row.prompts for row in summary.rows], bool)


def what_changes(sequences: Many[Sequence]) -> str:
    """Say what is computed again when the network sees something else."""
    pictures = [sequence.picture for sequence in sequences]
    prompts = tracked = 0
    for picture in pictures:
        summary = picture.summary
        gone = ~_are_kept(summary)
        free = {row.obj for row, goes in zip(summary.rows, gone, strict=True) if goes}
        prompts += sum(not said.says_absent for key, said in picture.prompts.items() if key.obj in free)
        tracked += int(np.count_nonzero(summary.cells.status[gone] == CellStatus.TRACKED))
    answered = (
        f"{prompts} prompt{'' if prompts == 1 else 's'} {'is' if prompts == 1 else 'are'} answered anew"
    )
    if not tracked:
        return f"The model sees something else now: {answered}. Undo brings the old masks back."
    masks = f"{tracked} tracked mask{'' if tracked == 1 else 's'}"
    return f"The model sees something else now: {answered}, and {masks} go. Undo brings them back."
