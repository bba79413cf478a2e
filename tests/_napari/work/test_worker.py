"""The inference thread: who goes first, who is told, and how it ends."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

pytest.importorskip("qtpy")

from napari_sam2._napari.work.worker import Fate, InferenceWorker, Origin, Priority


@pytest.fixture
def worker(qtbot: Any) -> Iterator[InferenceWorker]:
    made = InferenceWorker()
    yield made
    made.close()
    assert "napari-sam2-inference" not in {thread.name for thread in threading.enumerate()}


class Gate:
    """Holds the thread until the test has queued what it wants to."""

    def __init__(self, worker: InferenceWorker) -> None:
        self.event = threading.Event()
        self.entered = threading.Event()
        worker.submit(self._wait, origin=Origin(label="Waiting at the gate"), priority=Priority.CLICK)
        assert self.entered.wait(20)

    def _wait(self) -> None:
        self.entered.set()
        assert self.event.wait(20)

    def open(self) -> None:
        self.event.set()


def counting(count: int, seen: list[str], closed: list[str]) -> Iterator[int]:
    try:
        for number in range(count):
            seen.append(f"step {number}")
            yield number
    finally:
        closed.append(threading.current_thread().name)


def note(into: list[str], what: str) -> Callable[[], None]:
    return lambda: into.append(what)


def test_work_runs_on_the_thread_and_is_told_on_this_one(worker: InferenceWorker, qtbot: Any) -> None:
    names: list[str] = []
    worker.submit(lambda: threading.current_thread().name, names.append)
    qtbot.waitUntil(lambda: len(names) == 1, timeout=20000)
    assert names == ["napari-sam2-inference"]
    told: list[str] = []
    worker.submit(lambda: None, lambda _: told.append(threading.current_thread().name))
    qtbot.waitUntil(lambda: len(told) == 1, timeout=20000)
    assert told == [threading.current_thread().name]


def test_clicks_go_first_then_edits_then_work_ahead_then_steps(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []
    gate = Gate(worker)
    worker.stream(counting(1, order, []), lambda _: None, lambda: None)
    worker.submit(note(order, "ahead"), priority=Priority.AHEAD)
    worker.submit(note(order, "edit"), priority=Priority.EDIT)
    worker.submit(note(order, "click"), priority=Priority.CLICK)
    gate.open()
    qtbot.waitUntil(lambda: len(order) == 4, timeout=20000)
    assert order == ["click", "edit", "ahead", "step 0"]


def test_of_the_same_key_the_latest_wins(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []
    gate = Gate(worker)
    for what in ("first", "second", "third"):
        worker.submit(note(order, what), origin=Origin("session"), key="place")
    worker.submit(note(order, "of another owner"), key="place")
    gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert order == ["third", "of another owner"]


def test_the_latest_goes_where_it_belongs(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []
    gate = Gate(worker)
    worker.submit(note(order, "early"), priority=Priority.AHEAD, key="place")
    worker.submit(note(order, "other"), priority=Priority.EDIT)
    worker.submit(note(order, "late"), priority=Priority.CLICK, key="place")
    worker.submit(note(order, "first"), priority=Priority.CLICK)
    worker.submit(note(order, "latest"), priority=Priority.CLICK, key="place")
    gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert order == ["first", "latest", "other"]


def test_tens_of_thousands_of_tasks_wait_at_no_cost(worker: InferenceWorker, qtbot: Any) -> None:
    gate, count, done = Gate(worker), 40_000, list[str]()
    began = time.perf_counter()
    for number in range(count):
        worker.submit(lambda: None, origin=Origin("session"), key=number if number % 2 else None)
        assert not worker.waits(Priority.CLICK)
    worker.submit(note(done, "last"))
    gate.open()
    qtbot.waitUntil(lambda: bool(done), timeout=60000)
    # A list that is searched for each of them takes minutes.
    assert time.perf_counter() - began < 10


def test_a_click_goes_between_two_steps_and_the_stream_resumes(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []

    def steps() -> Iterator[int]:
        for number in range(3):
            order.append(f"step {number}")
            if number == 1:
                worker.submit(note(order, "click"), priority=Priority.CLICK)
            yield number

    values: list[int] = []
    with qtbot.waitCallback(timeout=20000) as ended:
        worker.stream(steps(), values.append, ended)
    assert order == ["step 0", "step 1", "click", "step 2"]
    assert values == [0, 1, 2]


def test_nobody_is_told_of_steps_that_bring_nothing(worker: InferenceWorker, qtbot: Any) -> None:
    values: list[int | None] = []
    with qtbot.waitCallback(timeout=20000) as ended:
        worker.stream(iter([None, 1, None, 2]), values.append, ended)
    assert values == [1, 2]


def test_a_paused_stream_rests_while_clicks_are_answered(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []
    worker.paused = True
    worker.stream(counting(2, order, []), lambda _: None, note(order, "ended"))
    worker.submit(note(order, "click"), priority=Priority.CLICK)
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert order == ["click"]
    worker.paused = False
    qtbot.waitUntil(lambda: "ended" in order, timeout=20000)
    assert order == ["click", "step 0", "step 1", "ended"]


def test_cancelling_closes_the_generator_on_its_own_thread(worker: InferenceWorker, qtbot: Any) -> None:
    order: list[str] = []
    closed: list[str] = []
    worker.paused = True
    steps = counting(3, order, closed)
    next(steps)
    worker.stream(steps, lambda _: None, note(order, "ended"), Origin("session"))
    worker.cancel_streams("another")
    worker.cancel_streams("session")
    qtbot.waitUntil(lambda: len(closed) == 1, timeout=20000)
    assert closed == ["napari-sam2-inference"]
    worker.paused = False
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert order == ["step 0"]


def test_what_is_forgotten_is_neither_done_nor_told(worker: InferenceWorker, qtbot: Any) -> None:
    done: list[str] = []
    told: list[str] = []
    gate = Gate(worker)
    worker.submit(note(done, "old"), lambda _: told.append("old"), Origin("session"))
    worker.forget("session")
    worker.submit(note(done, "new"), lambda _: told.append("new"), Origin("session"))
    gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert (done, told) == (["new"], ["new"])


def test_an_answer_under_way_is_dropped_with_its_owner(worker: InferenceWorker, qtbot: Any) -> None:
    told: list[str] = []
    done = threading.Event()
    worker.submit(done.set, lambda _: told.append("old"), Origin("session"))
    assert done.wait(20)
    worker.forget("session")  # the letter may lie in the box already
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert told == []


def test_what_is_forgotten_is_not_held(worker: InferenceWorker, qtbot: Any) -> None:
    class Owner:
        pass

    owner = Owner()
    worker.submit(lambda: None, lambda _: None, Origin(owner))
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    worker.forget(owner)
    held = weakref.ref(owner)
    del owner
    assert held() is None


def fail() -> int:
    raise ValueError("the frame cannot be read")


def test_failures_are_told(worker: InferenceWorker, qtbot: Any) -> None:
    told: list[str] = []
    worker.submit(fail, origin=Origin(failed=lambda error: told.append(str(error))))
    worker.stream(
        (fail() for _ in range(2)),
        lambda _: None,
        note(told, "ended"),
        Origin(failed=lambda error: told.append(f"in a step: {error}")),
    )
    qtbot.waitUntil(lambda: len(told) == 2, timeout=20000)
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert told == ["the frame cannot be read", "in a step: the frame cannot be read"]


def test_a_failure_that_nobody_takes_is_raised_here_and_work_goes_on(
    worker: InferenceWorker, qtbot: Any
) -> None:
    told: list[int] = []
    with qtbot.captureExceptions() as caught:
        worker.submit(fail)
        worker.submit(lambda: 1, told.append)
        qtbot.waitUntil(lambda: told == [1], timeout=20000)
    assert next(error for _, error, _ in caught).args == ("the frame cannot be read",)


def test_the_dock_can_see_what_is_done_and_what_waits(worker: InferenceWorker, qtbot: Any) -> None:
    assert not worker.waits(Priority.CLICK)
    gate = Gate(worker)
    worker.submit(lambda: None, priority=Priority.CLICK)
    assert worker.running == "Waiting at the gate"
    assert worker.waits(Priority.CLICK)
    assert not worker.waits(Priority.EDIT)
    with qtbot.waitSignal(worker.activity_changed, timeout=20000):
        gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert worker.running == ""


def test_closing_in_the_middle_of_work_ends_the_thread_and_tells_nobody(qtbot: Any) -> None:
    worker = InferenceWorker()
    told: list[str] = []
    closed: list[str] = []
    steps = counting(10**9, [], closed)
    worker.stream(steps, lambda number: told.append(str(number)), lambda: None)
    qtbot.waitUntil(lambda: bool(told), timeout=20000)
    worker.submit(note(told, "late"), priority=Priority.AHEAD)
    worker.close()
    assert worker.is_closed
    assert closed == ["napari-sam2-inference"]
    count = len(told)
    worker.submit(note(told, "too late"))
    worker.stream(iter([1]), lambda _: None, lambda: None)
    qtbot.wait(20)
    assert len(told) == count
    worker.close()


def in_steps(seen: list[str], count: int = 3) -> Generator[None, None, str]:
    for number in range(count):
        seen.append(f"step {number}")
        yield
    return "whole"


def test_clicks_go_between_the_steps_of_work_and_edits_after_them(
    worker: InferenceWorker, qtbot: Any
) -> None:
    seen: list[str] = []
    gate = Gate(worker)

    def work() -> Generator[None, None, str]:
        steps = in_steps(seen)
        worker.submit(note(seen, "click"), priority=Priority.CLICK)  # while the first step is taken
        return (yield from steps)

    worker.submit(work, seen.append, Origin("session"))
    worker.submit(note(seen, "edit"), origin=Origin("session"))
    gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert [each for each in seen if each != "whole"] == ["step 0", "click", "step 1", "step 2", "edit"]
    assert "whole" in seen


def test_a_step_that_fails_ends_the_work(worker: InferenceWorker, qtbot: Any) -> None:
    told: list[str] = []

    def work() -> Generator[None, None, str]:
        yield
        fail()
        return "whole"

    worker.submit(work, told.append, Origin(failed=lambda error: told.append(str(error))))
    qtbot.waitUntil(lambda: bool(told), timeout=20000)
    assert told == ["the frame cannot be read"]
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)


@pytest.mark.parametrize("fate", list(Fate))
@pytest.mark.parametrize("how", ["forgotten", "closed"])
def test_what_lasts_is_done_to_its_last_step(qtbot: Any, fate: Fate, how: str) -> None:
    worker, seen, told = InferenceWorker(), list[str](), list[str]()
    gate, entered = threading.Event(), threading.Event()

    def work() -> Generator[None, None, str]:
        entered.set()
        assert gate.wait(20)
        return (yield from in_steps(seen))

    worker.submit(work, told.append, Origin("session", fate=fate))
    assert entered.wait(20)
    if how == "forgotten":
        worker.forget("session")
        gate.set()
        qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    else:
        threading.Timer(0.1, gate.set).start()
    worker.close(note(seen, "last words"))
    assert seen[:-1] == ["step 0", "step 1", "step 2"][: 1 if fate is Fate.DROPPED else 3]
    assert told == ["whole"] * (fate is Fate.TOLD and how == "forgotten")


def test_what_lasts_is_done_and_told_although_its_owner_is_forgotten(
    worker: InferenceWorker, qtbot: Any
) -> None:
    done: list[str] = []
    told: list[str] = []
    gate = Gate(worker)
    lasting = Origin("session", failed=lambda error: told.append(str(error)), fate=Fate.TOLD)
    worker.submit(note(done, "click"), origin=Origin("session"), priority=Priority.CLICK)
    worker.submit(note(done, "save"), lambda _: told.append("saved"), lasting)
    worker.submit(fail, origin=lasting)
    worker.forget("session")
    gate.open()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert (done, told) == (["save"], ["saved", "the frame cannot be read"])


def test_what_lasts_is_done_before_the_end_and_only_its_errors_are_told(qtbot: Any) -> None:
    worker = InferenceWorker()
    done: list[str] = []
    told: list[str] = []
    lasting = Origin("session", failed=lambda error: told.append(str(error)), fate=Fate.TOLD)
    gate = Gate(worker)
    worker.submit(note(done, "click"), priority=Priority.CLICK)
    worker.submit(fail, origin=lasting)
    worker.submit(note(done, "save"), lambda _: told.append("saved"), lasting)
    worker.submit(fail, origin=Origin(failed=lambda error: told.append("of something else")))
    threading.Timer(0.1, gate.open).start()
    worker.close(note(done, "last words"))
    assert done == ["save", "last words"]
    assert told == ["the frame cannot be read"]


def test_many_answers_leave_the_event_loop_its_turn(worker: InferenceWorker, qtbot: Any) -> None:
    from qtpy.QtCore import QTimer

    late: list[int] = []
    told: list[int] = []

    def slow(number: int) -> None:
        told.append(number)
        time.sleep(0.002)

    timer = QTimer()
    timer.timeout.connect(lambda: late.append(len(told)))
    timer.start(5)
    with qtbot.waitCallback(timeout=60000) as ended:
        worker.stream(iter(range(60)), slow, ended)
    timer.stop()
    assert told == list(range(60))
    assert len({count for count in late if 0 < count < 60}) >= 3
