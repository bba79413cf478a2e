"""One long-lived thread on which networks run, the most urgent work first, and which tells the GUI thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal

from napari_sam2._napari.work.queue import NOBODY, Fate, Origin, Priority, Queue, Stream, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

__all__ = ["NOBODY", "Fate", "InferenceWorker", "Origin", "Priority"]

T = TypeVar("T")

# The GUI thread takes answers for so long at a time, in seconds; then other events have their turn.
_SLICE = 0.012
# Nobody waits longer than so many seconds for a window to close.
_PATIENCE = 10.0


@dataclass(frozen=True, eq=False)
class _Letter:
    """A call for the GUI thread, dropped if its owner is forgotten before, unless it outlives that."""

    call: Callable[[], None]
    origin: Origin
    fails: bool = False

    @property
    def outlives(self) -> bool:
        """Whether it is made although its owner was forgotten."""
        return self.origin.fate.is_told(fails=self.fails)


class InferenceWorker(QObject):
    """The thread on which every call of a session runs.

    Tasks are done one after the other, in the order of their `Priority`; streams (propagations) take a step
    whenever no task waits. Callbacks run on the GUI thread, in the order of the work.

    Attributes
    ----------
    activity_changed : Signal
        Emitted on the GUI thread after what is done or waits has changed.
    """

    activity_changed = Signal()
    _arrived = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._condition = threading.Condition(threading.RLock())
        self._queue = Queue()
        self._mail: deque[_Letter] = deque()
        self._rung = False
        self._last: Callable[[], object] | None = None
        self._running, self._busy = "", False
        self._current, self._orphaned = NOBODY, False
        self._until = 0.0
        self._dropped = {Fate.DROPPED}
        # For what nobody wants any more, and for what comes after it.
        self._helper = ThreadPoolExecutor(2, "napari-sam2-beside")
        self._beside: dict[Hashable, Future[Any]] = {}
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        # Python waits for other threads before it calls what closes them at the end of a program.
        self._thread = threading.Thread(target=self._run, name="napari-sam2-inference", daemon=True)
        self._thread.start()

    def submit(
        self,
        work: Callable[[], T | Generator[Priority | None, None, T]],
        done: Callable[[T], None] | None = None,
        origin: Origin = NOBODY,
        *,
        priority: Priority = Priority.EDIT,
        key: Hashable = None,
    ) -> None:
        """Do something on the thread.

        Parameters
        ----------
        work : callable
            What to do. A generator is done step by step: what is more urgent goes between, and what it
            returns is told. It goes on with another priority where it yields one.
        done : callable, optional
            Called on the GUI thread with what `work` returned.
        origin : Origin
            Where it comes from.
        priority : Priority
            What goes first; equals go in order.
        key : hashable, optional
            A task of the same key and owner that still waits is dropped: the latest wins.
        """
        self._add(lambda queue: queue.put(Task(work, done, origin, priority, key)))

    def submit_beside(
        self,
        work: Callable[[], T],
        take: Callable[[Callable[[], T]], T],
        done: Callable[[T], None],
        origin: Origin,
    ) -> None:
        """Do something on a thread beside this one, which goes on meanwhile, and hand it over to this one.

        Parameters
        ----------
        work : callable
            What to do there. Of those of an owner the latest wins; one that has begun is ended for nobody.
        take : callable
            Called on this thread, like a click, with what returns the value of `work` or raises.
        done : callable
            Called on the GUI thread with what `take` returned.
        origin : Origin
            Where it comes from.
        """

        def hand_over(future: Future[T]) -> None:
            with self._condition:
                if self._beside.get(origin.owner) is future:
                    self.submit(lambda: take(future.result), done, origin, priority=Priority.CLICK)
                    del self._beside[origin.owner]

        with self._condition:
            if self._queue.closed:
                return
            future, before = self._helper.submit(work), self._beside.get(origin.owner)
            self._beside[origin.owner] = future
        if before is not None:
            before.cancel()
        future.add_done_callback(hand_over)

    def stream(
        self,
        steps: Iterator[T],
        item: Callable[[T], None],
        ended: Callable[[], None],
        origin: Origin = NOBODY,
    ) -> None:
        """Take steps of an iterator on the thread whenever nothing more urgent waits.

        Parameters
        ----------
        steps : iterator
            Each ``next`` is a piece of work; None is nobody told of.
        item : callable
            Called on the GUI thread with each value.
        ended : callable
            Called there when the iterator is exhausted; not after `cancel_streams`.
        origin : Origin
            Where it comes from; after an error the stream has ended.
        """
        self._add(lambda queue: queue.streams.append(Stream(steps, item, ended, origin)))

    def _add(self, put: Callable[[Queue], None]) -> None:
        """Put something into the queue, unless the thread has been ended."""
        with self._condition:
            if not self._queue.closed:
                put(self._queue)
                self._condition.notify()

    def cancel_streams(self, owner: Hashable = None) -> None:
        """End the streams of an owner; what they have done stays."""
        with self._condition:
            self._drop_streams(owner)
            self._condition.notify()

    def forget(self, owner: Hashable, *, wholly: bool = False) -> None:
        """Drop all that waits for an owner, streams and answers under way too, less what has another fate.

        Parameters
        ----------
        owner : hashable
            Whose work.
        wholly : bool
            Whether what would be done, and nobody told of, is dropped too.
        """
        with self._condition:
            self._orphaned = self._orphaned or self._current.owner == owner
            self._mail = deque(each for each in self._mail if each.origin.owner != owner or each.outlives)
            self._queue.forget(owner, wholly=wholly)
            self._drop_streams(owner)
            self._condition.notify()

    def _drop_streams(self, owner: Hashable) -> None:
        gone = [stream for stream in self._queue.streams if stream.origin.owner == owner]
        self._queue.streams = [stream for stream in self._queue.streams if stream.origin.owner != owner]
        # A generator must be closed on the thread that runs it.
        self._queue.dead.extend(stream.steps for stream in gone)

    @property
    def paused(self) -> bool:
        """Whether streams rest."""
        return self._queue.paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self._condition:
            self._queue.paused = value
            self._condition.notify()
        self.activity_changed.emit()

    @property
    def running(self) -> str:
        """What is being done right now; empty if nothing is, or nothing that the user should know of."""
        return self._running

    @property
    def is_closed(self) -> bool:
        """Whether the thread has been ended."""
        return self._queue.closed

    def waits(self, priority: Priority) -> bool:
        """Whether a task of this priority waits."""
        with self._condition:
            return self._queue.waits(priority)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done, waits or has still to be told."""
        with self._condition:
            return self._queue.is_empty and not (self._busy or self._mail or self._beside)

    def close(self, last: Callable[[], object] | None = None) -> None:
        """End the thread after the step that it is at and what must not be lost, and drop all else.

        What the user has said and takes longer than one waits for a window to close is dropped, too. Work
        beside that has begun is waited for.

        Parameters
        ----------
        last : callable, optional
            What the thread does before it ends; nobody is told if it fails.
        """
        with self._condition:
            self._last, self._until = last, time.monotonic() + _PATIENCE
            self._queue.closed = True
            if last is None and not self._queue.has(Fate.TOLD):  # it would be answered for nobody
                self._dropped.add(Fate.DONE)
            for fate in self._dropped:
                self._queue.drop(fate)
            self._queue.dead.extend(stream.steps for stream in self._queue.streams)
            self._queue.streams.clear()
            self._mail = deque(letter for letter in self._mail if letter.origin.fate is Fate.TOLD)
            self._condition.notify()
        self._thread.join()
        self._helper.shutdown(cancel_futures=True)
        while self._mail:  # what has failed since
            self._mail.popleft().call()

    def _run(self) -> None:
        while self._close_dead():
            self._work(self._take())  # without a name, so that nothing is held while the thread waits

    def _work(self, chosen: Task | Stream | None) -> None:
        if isinstance(chosen, Task):
            self._do(chosen)
        elif chosen is not None:
            self._step(chosen)

    def _take(self) -> Task | Stream | None:
        """Take what is next, or wait until there may be something."""
        with self._condition:
            if self._queue.closed and time.monotonic() > self._until:
                self._queue.drop(Fate.DONE)
            chosen = self._queue.take()
            self._current = NOBODY if chosen is None else chosen.origin
            self._running, self._busy, self._orphaned = self._current.label, chosen is not None, False
            if chosen is None:
                self._post(self.activity_changed.emit)
                self._condition.wait_for(lambda: self._queue.closed or not self._queue.is_empty)
            return chosen

    def _close_dead(self) -> bool:
        """Close steps that were dropped; False if the thread has to end."""
        with self._condition:
            dead, self._queue.dead = self._queue.dead, []
            ends = self._queue.closed and not self._queue.has_tasks
        for steps in dead:
            with suppress(Exception):  # nobody waits for them any more
                getattr(steps, "close", _nothing)()
        if ends and self._last is not None:
            with suppress(Exception):
                self._last()
        return not ends

    def _do(self, task: Task) -> None:
        try:
            value, steps = _advanced(task.work())
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            self._tell_failure(error)
            return
        if steps is not None:
            self._put_back(task, steps, task.priority if value is None else value)
            return
        if task.done is not None and not self._queue.closed:
            done = task.done
            self._post(lambda: done(value))

    def _put_back(self, task: Task, steps: Generator[Any, None, Any], priority: Priority) -> None:
        """Let work go on later, unless it was dropped during the step."""
        with self._condition:
            is_left = self._orphaned or self._queue.closed
            if is_left and task.origin.fate in self._dropped:
                self._queue.dead.append(steps)
                return
            done = task.done if not self._orphaned or task.origin.fate is Fate.TOLD else None
            rest = replace(task, work=lambda: steps, done=done, steps=steps, priority=priority)
            self._queue.put_back(rest, moved=priority is not task.priority)

    def _step(self, stream: Stream) -> None:
        try:
            value = next(stream.steps)
        except StopIteration:
            if self._end(stream):
                self._post(stream.ended)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            self._end(stream)
            self._tell_failure(error)
            return
        if value is not None:
            self._post(lambda: stream.item(value))

    def _end(self, stream: Stream) -> bool:
        """Take a stream out; False if it was cancelled in the meantime."""
        with self._condition:
            was_there = stream in self._queue.streams
            self._queue.streams = [other for other in self._queue.streams if other is not stream]
        return was_there

    def _tell_failure(self, error: Exception) -> None:
        failed = self._current.failed

        def tell() -> None:
            if failed is None:
                raise error
            failed(error)

        self._post(tell, fails=True)

    def _post(self, call: Callable[[], None], *, fails: bool = False) -> None:
        """Leave a letter for the GUI thread, unless nobody wants it; only the first of many rings."""
        letter = _Letter(call, self._current, fails)
        with self._condition:
            if self._orphaned and not letter.outlives:
                return
            if self._queue.closed and letter.origin.fate is not Fate.TOLD:
                return
            self._mail.append(letter)
            rings, self._rung = not self._rung and not self._queue.closed, True
        if rings:
            self._arrived.emit()

    def _deliver(self) -> None:
        """Make the calls that wait, for a short while; ring again if some are left."""
        with self._condition:
            self._rung = False
        until = time.perf_counter() + _SLICE
        try:
            while not self._queue.closed and time.perf_counter() < until:
                with self._condition:
                    letter = self._mail.popleft() if self._mail else None
                if letter is None:
                    break
                letter.call()
        finally:
            self._ring_again()

    def _ring_again(self) -> None:
        with self._condition:
            rings = bool(self._mail) and not self._rung and not self._queue.closed
            self._rung = self._rung or rings
        if rings:
            self._arrived.emit()


def _advanced(value: Any) -> tuple[Any, Generator[None, None, Any] | None]:  # noqa: ANN401 - what work returned
    """Take a step of work; return its value when it is done, else what it yields and what is left of it."""
    if not isinstance(value, Generator):
        return value, None
    try:
        return next(value), value
    except StopIteration as end:
        return end.value, None


def _nothing() -> None:
    """Close what cannot be closed."""
