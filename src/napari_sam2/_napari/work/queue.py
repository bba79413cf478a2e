"""What waits for the inference thread, and what goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator


class Priority(IntEnum):
    """What goes first.

    What has to be done every so often goes before edits: of these, thousands may wait.
    """

    CLICK = 0
    REGULAR = 1
    EDIT = 2
    AHEAD = 3
    STEP = 4


class Fate(Enum):
    """What becomes of work when its owner is forgotten or the thread is ended, as when an image is left.

    What only helps the user is dropped. What the user has said is done, and nobody is told unless it fails.
    What the user waits for, as for a file, is done and told.
    """

    DROPPED = "dropped"
    DONE = "done"
    TOLD = "told"

    def is_told(self, *, fails: bool) -> bool:
        """Whether somebody is told then of the end that it took."""
        return self is Fate.TOLD or (self is Fate.DONE and fails)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where work comes from.

    Attributes
    ----------
    owner : hashable
        For `InferenceWorker.forget`.
    label : str
        What is being done, for the user.
    failed : callable, optional
        Called on the GUI thread with the error; without it the error is raised there.
    fate : Fate
        What becomes of it when nobody works on its owner any more.
    in_order : bool
        Whether clicks that come later wait for it, as those after an undo.
    """

    owner: Hashable = None
    label: str = ""
    failed: Callable[[Exception], None] | None = None
    fate: Fate = Fate.DROPPED
    in_order: bool = False


NOBODY = Origin()
"""Of work that nobody forgets and of which the user is not told."""


@dataclass(frozen=True, eq=False)
class Task:
    """Something to do on the thread, and who is told of its end on the GUI thread.

    Attributes
    ----------
    steps : generator, optional
        What is left of it, where it was done in part.
    """

    work: Callable[[], Any]
    done: Callable[[Any], None] | None
    origin: Origin
    priority: Priority
    key: Hashable
    steps: Generator[None, None, Any] | None = None


@dataclass(frozen=True, eq=False)
class Stream:
    """Steps that are done one at a time, whenever nothing more urgent waits."""

    steps: Iterator[Any]
    item: Callable[[Any], None]
    ended: Callable[[], None]
    origin: Origin


def _place(task: Task, before: Hashable = None) -> Hashable:
    """Name where a task is put: of those of a key, behind the same edit, there is one."""
    return task if task.key is None else (task.origin.owner, task.key, before)


def _no_tasks() -> dict[Priority, OrderedDict[Hashable, Task]]:
    return {priority: OrderedDict() for priority in Priority}


@dataclass
class Queue:
    """What waits, guarded by the worker's condition.

    Tens of thousands of tasks may wait, as when labels are seeded: none of them is looked for in a list.

    Attributes
    ----------
    tasks : dict
        By priority, the most urgent first, and by owner and key; of those without a key each is its own.
    in_order : dict
        By owner, where the last edit is put that clicks wait for.
    behind : dict
        Where clicks are put that wait for one, and where that is.
    streams : list of Stream
        Those that go on.
    dead : list of iterator
        Steps that have to be closed, on the thread that takes them.
    paused, closed : bool
        Whether streams rest, and whether nothing more is taken in.
    """

    tasks: dict[Priority, OrderedDict[Hashable, Task]] = field(default_factory=_no_tasks)
    in_order: dict[Hashable, Hashable] = field(default_factory=dict)
    behind: dict[Hashable, Hashable] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)
    dead: list[Iterator[Any]] = field(default_factory=list)
    paused: bool = False
    closed: bool = False

    def put(self, task: Task) -> None:
        """Add a task; one that waits under the same key gives way to it, unless an undo comes between."""
        before = self._last_in_order(task.origin.owner) if task.priority is Priority.CLICK else None
        place = _place(task, before)
        for tasks in self.tasks.values():
            if place in tasks:
                self._drop(tasks, place)
        if task.origin.in_order:
            self.in_order[task.origin.owner] = place
        if before is not None:
            self.behind[place] = before
        self.tasks[task.priority if before is None else Priority.EDIT][place] = task

    def put_back(self, task: Task, *, moved: bool = False) -> None:
        """Let a task that is done in part go on before all of its kind, one in order before clicks too.

        Of clicks, and of what is done ahead, one of the same key gives way to the latest in part, too. What
        was `moved` to another priority goes on behind what has that.
        """
        tasks = self.tasks[Priority.CLICK if task.origin.in_order else task.priority]
        gives_way = task.priority in {Priority.CLICK, Priority.AHEAD}
        place = _place(task) if gives_way else task
        if any(place in waiting for waiting in self.tasks.values()):
            self.dead.append(task.steps or iter(()))
            return
        tasks[place] = task
        tasks.move_to_end(place, last=moved)

    def _last_in_order(self, owner: Hashable) -> Hashable:
        """Return the place of the last edit that clicks of an owner have to wait for; None without."""
        place = self.in_order.get(owner)
        return place if place in self.tasks[Priority.EDIT] else None

    def waits(self, priority: Priority) -> bool:
        """Whether a task of this priority waits, clicks behind an undo among them."""
        return bool(self.tasks[priority]) or (priority is Priority.CLICK and bool(self.behind))

    def take(self) -> Task | Stream | None:
        """Take the first of the most urgent tasks, else name the oldest stream."""
        for tasks in self.tasks.values():
            if tasks:
                place, task = tasks.popitem(last=False)
                self._forget_place(place, task)
                self._release(place)
                return task
        return None if self.paused or not self.streams else self.streams[0]

    def _release(self, place: Hashable) -> None:
        """Let clicks that have waited for what is taken now be clicks like those that come from now on."""
        for each in [click for click, before in self.behind.items() if before == place]:
            del self.behind[each]
            task = self.tasks[Priority.EDIT].pop(each)
            self.tasks[Priority.CLICK][_place(task)] = task

    def drop(self, fate: Fate) -> None:
        """Drop what has this fate."""
        for tasks in self.tasks.values():
            for place in [place for place, task in tasks.items() if task.origin.fate is fate]:
                self._drop(tasks, place)

    def _drop(self, tasks: OrderedDict[Hashable, Task], place: Hashable) -> None:
        task = tasks.pop(place)
        self._forget_place(place, task)
        if task.steps is not None:
            self.dead.append(task.steps)

    def _forget_place(self, place: Hashable, task: Task) -> None:
        """Hold no task, with the session that it works on, that waits no more."""
        self.behind.pop(place, None)
        if self.in_order.get(task.origin.owner) == place:
            del self.in_order[task.origin.owner]

    def has(self, fate: Fate) -> bool:
        """Whether anything waits that has this fate."""
        return any(task.origin.fate is fate for tasks in self.tasks.values() for task in tasks.values())

    def forget(self, owner: Hashable, *, wholly: bool = False) -> None:
        """Drop tasks of an owner, or let nobody be told of their end, as their fate is."""
        for tasks in self.tasks.values():
            for place, task in list(tasks.items()):
                if task.origin.owner != owner or task.origin.fate is Fate.TOLD:
                    continue
                if wholly or task.origin.fate is Fate.DROPPED:
                    self._drop(tasks, place)
                else:
                    tasks[place] = replace(task, done=None)

    @property
    def has_tasks(self) -> bool:
        """Whether any task waits."""
        return any(self.tasks.values())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.has_tasks or self.dead or (self.streams and not self.paused))
