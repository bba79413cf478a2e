"""Propagation: its steps between clicks, its progress, and what may interrupt it."""

from __future__ import annotations

import io
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from napari.utils import progress
from qtpy.QtCore import QTimer

from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2._napari.wiring import Later
from napari_sam2._napari.work.answers import Answer, Picture, back_of, forth_of
from napari_sam2._napari.work.propagation import Scope
from napari_sam2._napari.work.worker import Priority
from napari_sam2.passes import Step
from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.passes import Direction
    from napari_sam2.prompts import PromptKey

# How often the progress is shown, in the dock and by napari, in milliseconds; over how many seconds its speed
# is measured.
_BEAT, _BAR_BEAT = 200, 1000
_SPAN = 5.0
# Work that may take long, of which the dock tells while it is done.
_TOLD = ("Answering", "Loading", "Saving", "Exporting")
# The dock tells of a click that takes longer, in milliseconds.
_LONG, _CLICK = 400, "Looking"


class Pace:
    """How fast frames are done.

    Parameters
    ----------
    since : float
        Frames that were done before do not count, as those before a rest.
    """

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._times: deque[float] = deque()

    def count(self, done: float) -> None:
        """Note when a frame was done, which may be told later, as while a volume is drawn."""
        if done < self._since:
            return
        self._times.append(done)
        while len(self._times) > 2 and done - self._times[0] > _SPAN:  # a slow network takes longer for one
            self._times.popleft()

    def per_second(self) -> float | None:
        """Return frames a second; None before there are two."""
        if len(self._times) < 2 or self._times[-1] == self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])


@dataclass(frozen=True, eq=False)
class _Run:
    """A propagation of a sequence, which may wait for that of another one."""

    sequence: Sequence
    steps: Callable[[Desk], Iterator[Answer | None]]
    asked: Scope | None = None

    @property
    def by_hand(self) -> bool:
        """Whether the user has asked for it."""
        return self.asked is not None

    def covers(self, obj: int) -> bool:
        """Whether the user has asked for all frames of an object."""
        asked = self.asked
        if asked is None or asked.frames is not None or asked.direction != "both":
            return False
        return asked.objects is None or obj in asked.objects


class TrackingControl:
    """Propagates, one sequence after the other.

    Parameters
    ----------
    workspace : Workspace
        Whose session.

    Attributes
    ----------
    running : bool
        Whether a propagation is under way.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._space = workspace
        self.running = False
        self._planned: frozenset[Step] = frozenset()
        self._done: set[Step] = set()
        self._run: _Run | None = None
        self._waiting: list[_Run] = []
        self._pace = Pace()
        self._beats = 0
        self._bar: progress | None = None
        self._timer = QTimer()
        self._timer.setInterval(_BEAT)
        self._timer.timeout.connect(self._beat)
        self._long = ""
        self._soon = Later(self._tell_of_long, _LONG, restart=True)
        workspace.interrupted.connect(self.interrupt)
        workspace.prompted.connect(self._wait_for_answer)

    def covers(self, sequence: Sequence | None, obj: int) -> bool:
        """Whether a propagation that the user has asked for takes up what is said of an object meanwhile."""
        return any(run.covers(obj) for run in self._asked_for(sequence))

    def _asked_for(self, sequence: Sequence | None) -> list[_Run]:
        """List propagations of a sequence by hand that are under way or wait."""
        runs = [*self._waiting, *([self._run] if self.running and self._run is not None else [])]
        return [run for run in runs if run.sequence is sequence and run.by_hand]

    def start(
        self,
        direction: str = "both",
        frames: range | None = None,
        objects: tuple[int, ...] | None = None,
    ) -> None:
        """Propagate; what is under way ends first, and what it has done stays.

        What is under way at another position goes first.

        Parameters
        ----------
        direction : {"both", "forward", "backward"}
            As for `Session.propagate`.
        frames : range, optional
            Frames that may be computed.
        objects : tuple of int, optional
            Which objects.
        """
        sequence = self._space.sequence
        if sequence is None:
            return
        scope = Scope(frames, objects, cast("Direction", direction))
        self._ask(_Run(sequence, lambda desk: desk.steps(scope), scope))

    @property
    def can_begin(self) -> bool:
        """Whether there is anything to set out from, also what was not answered yet."""
        sequence, summary = self._space.sequence, self._space.picture.summary
        if sequence is None:
            return False
        free = np.array([not row.locked for row in summary.rows], bool)
        is_locked = bool((summary.cells.status[free] == CellStatus.LOCKED).any())
        waits, locked = bool(sequence.paintings) or sequence.is_seeded, self._locked
        said = (not each.says_absent and key.obj not in locked for key, each in sequence.declared.items())
        return is_locked or waits or any(said)

    @property
    def _locked(self) -> set[int]:
        """Objects that are locked as a whole."""
        return {row.obj for row in self._space.picture.summary.rows if row.locked}

    def advice_for_all(self) -> str:
        """Say what to do before anything can be propagated; empty if it can be."""
        sequence = self._space.sequence
        if sequence is not None and sequence.geometry.num_frames == 1:
            return "There is only this frame: nothing has to be propagated."
        if self.can_begin:
            return ""
        if self._locked:
            return "All objects are locked: unlock one in the table, then it can be propagated."
        return "Click on an object first; then it can be propagated."

    def advice(self, obj: int) -> str:
        """Say what to do before an object can be propagated; empty if it can be."""
        summary, sequence = self._space.picture.summary, self._space.sequence
        row = summary.objects.index(obj) if obj in summary.objects else None
        if row is not None and summary.rows[row].locked:
            return f"Object {obj} is locked: unlock it in the table, then it can be propagated."
        if row is not None and (summary.cells.status[row] == CellStatus.LOCKED).any():
            return ""
        said = {} if sequence is None else sequence.declared
        if any(key.obj == obj and not each.says_absent for key, each in said.items()):
            return ""
        return (
            f"Object {obj} has no prompt to set out from: click on it, or lock a mask of it that is right; "
            "then it can be propagated."
        )

    def spread(self, key: PromptKey) -> None:
        """Propagate outward from a prompt, in the background; after what the user has asked for here."""
        sequence = self._space.sequence
        if sequence is None:
            return
        run = _Run(sequence, lambda desk: desk.spread(key))
        if not self._asked_for(sequence):
            self._ask(run)
            return
        self._waiting = [each for each in self._waiting if each.by_hand or each.sequence is not sequence]
        self._waiting.append(run)

    def _ask(self, run: _Run) -> None:
        """Begin, after what the user has asked for at another position; what spreads there waits."""
        self._drop(run.sequence)
        other = self._run if self.running else None
        if other is not None and other.by_hand and not self._space.worker.paused:
            self._waiting.append(run)
            self._space.changed.emit()
            return
        self._suspend()
        if other is not None:
            self._waiting.insert(0, other)
        self._begin(run)

    def _begin(self, run: _Run) -> None:
        self._space.worker.paused = False
        self.running, self._run = True, run
        self._planned, self._done, self._pace = frozenset(), set(), Pace()
        self._space.track(run.steps, self._count, self._end, lambda _: self._end(), run.sequence)
        self._timer.start()
        self._space.changed.emit()

    def _count(self, answer: Answer) -> None:
        if isinstance(answer.value, frozenset):
            self._done -= answer.value  # anew, where prompts have changed meanwhile
            self._planned = answer.value | self._done
        if answer.result is None:
            return
        # What the user has confirmed is told, not computed.
        ways = {origin.reverse for origin in answer.result.origins if origin is not None}
        self._done |= {Step(answer.result.frame, reverse) for reverse in ways} & self._planned
        if ways:
            self._pace.count(answer.made)

    def _end(self) -> None:
        self._stop()
        self._go_on()
        self._space.changed.emit()

    def _go_on(self) -> None:
        """Begin what waits, if nothing is under way."""
        if self._waiting and not self.running:
            self._begin(self._waiting.pop(0))

    def interrupt(self, sequence: Sequence | None) -> None:
        """End the propagation of a sequence, or all, without a word, since something else comes."""
        self._drop(sequence)
        self._go_on()

    def _drop(self, sequence: Sequence | None) -> None:
        self._waiting = [] if sequence is None else [e for e in self._waiting if e.sequence is not sequence]
        if sequence is None or (self._run is not None and self._run.sequence is sequence):
            self._suspend()

    def _suspend(self) -> None:
        """End the propagation that is under way; its picture lags behind."""
        if self.running and self._run is not None:
            self._stop()
            self._space.ask(lambda desk: desk.answer(), sequence=self._run.sequence)

    def forget(self) -> None:
        """End all propagations, and forget where they were: their image is left."""
        self._waiting = []
        self._stop()
        self._run = None

    def _stop(self) -> None:
        """End the propagation that is under way without a word."""
        if self.running and self._run is not None:
            self._space.worker.cancel_streams(self._run.sequence)
        self.running = False
        self._timer.stop()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def cancel(self) -> None:
        """End all propagations and keep what they have done."""
        self._waiting = []
        if not self.running or self._run is None:
            return
        self._stop()
        self._space.worker.paused = False
        # The picture lags behind what was tracked last.
        self._space.ask(lambda desk: desk.answer(), label="Stopping", sequence=self._run.sequence)
        self._space.changed.emit()

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        if self.running:
            self._space.worker.paused = not self._space.worker.paused
            self._pace = Pace(time.perf_counter())  # a rest is no slow frame
            self._space.changed.emit()

    def _beat(self) -> None:
        """Show the progress; napari's bar runs the event loop, so never where answers are taken."""
        self._beats += 1
        if self._bar is None:
            self._make_bar()
        elif self._beats % (_BAR_BEAT // _BEAT) == 0:
            self._move(self._bar)
        self._space.changed.emit()

    def _make_bar(self) -> None:
        """Let napari show a propagation that the user has asked for, unless it ends while the bar is made."""
        run = self._run
        if run is None or not run.by_hand:
            return
        # Without a file it would print to the terminal as well.
        bar = progress(total=len(self._planned), desc="SAM 2: propagating", file=io.StringIO())
        if self.running and self._run is run and self._bar is None:
            self._bar = bar
        else:
            bar.close()

    def _move(self, bar: progress) -> None:
        bar.total = len(self._planned)
        bar.update(len(self._done) - bar.n)

    @property
    def activity(self) -> Activity:
        """What the inference thread is at."""
        worker = self._space.worker
        if worker.waits(Priority.CLICK) or worker.running.startswith(("Looking", "Taking")):
            return Activity.ANSWERING
        if self.running:
            return Activity.PAUSED if worker.paused else Activity.PROPAGATING
        return Activity.PREPARING if worker.running else Activity.IDLE

    def state(self, *, live: bool) -> ProgressState:
        """Return what the dock shows of what is going on."""
        worker = self._space.worker
        undo, redo = self._label(back_of), self._label(forth_of)
        speed = self._pace.per_second() if self.running and not worker.paused else None
        done, total = len(self._done), len(self._planned)
        left = None if not speed else (total - done) / speed
        waits = worker.waits(Priority.CLICK)
        return ProgressState(
            activity=self.activity,
            message=self._message(worker.running, waits=waits) or self._elsewhere(),
            done=done if self.running else 0,
            total=total if self.running else 0,
            frames_per_second=speed,
            seconds_left=left,
            can_propagate=self.can_begin,
            can_undo=bool(undo),
            can_redo=bool(redo),
            undo_label=undo,
            redo_label=redo,
            live=live,
        )

    def _label(self, label: Callable[[Picture], str]) -> str:
        place = self._space.place_of_step(label)
        return "" if place is None else label(place.picture)

    def _message(self, running: str, *, waits: bool) -> str:
        if running and waits:
            return f"{running}; a click waits for it"
        is_told = running.startswith(_TOLD) or running == self._long
        return f"{running} ..." if running and is_told else ""

    def _wait_for_answer(self, _objects: object) -> None:
        self._long = ""
        self._soon.ask()

    def _tell_of_long(self) -> None:
        """Tell of a click that is still being answered, as where its frame has to be prepared first."""
        running = self._space.worker.running
        self._long = running if running.startswith(_CLICK) else ""
        self._space.changed.emit()

    def _elsewhere(self) -> str:
        """Say what the progress is of, if not of what is shown."""
        shown = self._space.sequence
        if not self.running or self._run is None or self._run.sequence is shown:
            return ""
        waits = any(run.sequence is shown for run in self._waiting)
        doing = "Paused" if self._space.worker.paused else "Following the objects"
        return f"{doing} at another position{'; this one comes after it' if waits else ''}."

    def close(self) -> None:
        """End all propagations; tell nobody."""
        self.forget()
        self._soon.close()
        self._timer.timeout.disconnect()
