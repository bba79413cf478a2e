"""Work beside the inference thread, which goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("qtpy")

from napari_sam2._napari.work.worker import InferenceWorker, Origin

OWNER = Origin("model")


@pytest.fixture
def worker(qtbot: Any) -> Iterator[InferenceWorker]:
    made = InferenceWorker()
    yield made
    made.close()
    assert not any(thread.name.startswith("napari-sam2") for thread in threading.enumerate())


class Slow:
    """Work that takes until it is let go."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.entered, self.gate = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.gate.wait(20)
        return self.value


def taken(loaded: Callable[[], str]) -> str:
    return f"{loaded()} on {threading.current_thread().name}"


def test_others_are_served_meanwhile(worker: InferenceWorker, qtbot: Any) -> None:
    slow, told, served = Slow("network"), list[str](), list[str]()
    worker.submit_beside(slow, taken, told.append, OWNER)
    assert slow.entered.wait(20)
    worker.submit(lambda: "a click", served.append)
    qtbot.waitUntil(lambda: served == ["a click"], timeout=20000)
    assert not worker.is_idle
    assert not told
    slow.gate.set()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert told == ["network on napari-sam2-inference"]


def test_the_latest_wins(worker: InferenceWorker, qtbot: Any) -> None:
    first, second, told = Slow("first"), Slow("second"), list[str]()
    other = Slow("of another owner")
    for work, origin in ((first, OWNER), (second, OWNER), (other, Origin("other"))):
        work.gate.set()
        worker.submit_beside(work, lambda loaded: loaded(), told.append, origin)
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert "first" not in told or told.index("first") < told.index("second")  # it may have been quick
    assert set(told) >= {"second", "of another owner"}


def test_what_is_wanted_no_more_before_it_has_begun_is_not_done(worker: InferenceWorker, qtbot: Any) -> None:
    several, told = [Slow(value) for value in "abcd"], list[str]()
    for slow in several:
        worker.submit_beside(slow, lambda loaded: loaded(), told.append, OWNER)
    for slow in several:
        slow.gate.set()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert told == ["d"]
    assert not several[2].entered.is_set(), "two were under way"


def test_one_that_is_late_is_not_handed_over(worker: InferenceWorker, qtbot: Any) -> None:
    first, second, told = Slow("first"), Slow("second"), list[str]()
    worker.submit_beside(first, lambda loaded: loaded(), told.append, OWNER)
    assert first.entered.wait(20)
    worker.submit_beside(second, lambda loaded: loaded(), told.append, OWNER)
    first.gate.set()
    second.gate.set()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert told == ["second"]


def test_what_fails_fails_where_it_is_taken(worker: InferenceWorker, qtbot: Any) -> None:
    failures: list[Exception] = []

    def broken() -> str:
        raise ValueError("no such weights")

    worker.submit_beside(broken, taken, lambda _: None, Origin("model", failed=failures.append))
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert [str(each) for each in failures] == ["no such weights"]


def test_a_thread_that_ends_waits_for_it_and_tells_nobody(qtbot: Any) -> None:
    worker, told = InferenceWorker(), list[str]()
    first, second, waits = Slow("first"), Slow("second"), Slow("never begun")
    for slow in (first, second):
        worker.submit_beside(slow, taken, told.append, Origin(slow.value))
        assert slow.entered.wait(20)
    worker.submit_beside(waits, taken, told.append, Origin("other"))
    for slow in (first, second):
        threading.Timer(0.1, slow.gate.set).start()
    worker.close()
    worker.submit_beside(waits, taken, told.append, OWNER)  # nobody is left to do it
    qtbot.wait(20)
    assert not told
    assert not waits.entered.is_set()
    assert not any(thread.name.startswith("napari-sam2") for thread in threading.enumerate())
