"""Work in steps on the inference thread: what waits for it, and where it is closed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("qtpy")

from napari_sam2._napari.work.worker import Fate, InferenceWorker, Origin, Priority

OF_IT = Origin("session")
IN_ORDER = Origin("session", in_order=True)


@pytest.fixture
def worker(qtbot: Any) -> Iterator[InferenceWorker]:
    made = InferenceWorker()
    yield made
    made.close()


@pytest.mark.parametrize("step", range(3))
def test_clicks_wait_for_all_steps_of_what_is_done_in_order(
    worker: InferenceWorker, qtbot: Any, step: int
) -> None:
    seen: list[str] = []

    def work() -> Any:
        for number in range(3):
            seen.append(f"step {number}")
            if number == step:
                worker.submit(lambda: seen.append("click"), origin=OF_IT, priority=Priority.CLICK)
            yield

    worker.submit(work, origin=IN_ORDER)
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert seen == ["step 0", "step 1", "step 2", "click"]


def test_clicks_wait_for_an_undo_that_waits_for_steps(worker: InferenceWorker, qtbot: Any) -> None:
    seen: list[str] = []

    def work() -> Any:
        worker.submit(lambda: seen.append("undo"), origin=IN_ORDER)
        yield
        seen.append("step")
        worker.submit(lambda: seen.append("click"), origin=OF_IT, priority=Priority.CLICK)
        yield

    worker.submit(work, origin=IN_ORDER)
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert seen == ["step", "undo", "click"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("waits", [False, True])
def test_what_is_forgotten_in_the_middle_is_closed_on_the_thread(
    worker: InferenceWorker, qtbot: Any, fails: bool, waits: bool
) -> None:
    entered, gate = threading.Event(), threading.Event()
    closed: list[str] = []

    def hold() -> None:
        entered.set()
        assert gate.wait(20)

    def work() -> Any:
        try:
            if waits:
                worker.submit(hold, priority=Priority.CLICK)
            else:
                hold()
            yield
            yield
        finally:
            closed.append(threading.current_thread().name)
            if fails:
                raise OSError("the disk is gone")

    worker.submit(work, origin=OF_IT)
    assert entered.wait(20)
    worker.forget("session")
    gc.collect()
    gate.set()
    after: list[str] = []
    worker.submit(lambda: "after", after.append)
    qtbot.waitUntil(lambda: after == ["after"], timeout=20000)
    assert closed == ["napari-sam2-inference"]


@pytest.mark.parametrize(
    ("priority", "asked_between", "gives_way"),
    [
        (Priority.CLICK, False, True),
        (Priority.AHEAD, False, True),
        (Priority.AHEAD, True, True),
        (Priority.REGULAR, False, False),
        (Priority.REGULAR, True, False),
        (Priority.EDIT, True, False),
    ],
)
def test_what_was_begun_gives_way_to_the_latest_of_its_key(
    worker: InferenceWorker, qtbot: Any, priority: Priority, asked_between: bool, gives_way: bool
) -> None:
    seen: list[str] = []

    def ask_again() -> None:
        worker.submit(work("second"), seen.append, OF_IT, priority=priority, key="key")

    def work(name: str) -> Any:
        def steps() -> Any:
            try:
                seen.append(f"{name} begins")
                if name == "first" and asked_between:
                    # Of the same priority, and before what is begun: it is asked while that waits.
                    worker.submit(ask_again, origin=OF_IT, priority=Priority.CLICK)
                elif name == "first":
                    ask_again()
                yield
                seen.append(f"{name} goes on")
                yield
            finally:
                seen.append(f"{name} is closed")
            return name

        return steps

    worker.submit(work("first"), seen.append, OF_IT, priority=priority, key="key")
    qtbot.waitUntil(lambda: worker.is_idle and "second" in seen, timeout=20000)
    assert ("first goes on" in seen) is not gives_way
    assert ("first" in seen) is not gives_way
    assert seen.count("first is closed") == 1


def test_clicks_that_have_waited_for_an_undo_give_way_to_the_latest_and_keep_their_turn(
    worker: InferenceWorker, qtbot: Any
) -> None:
    entered, gate, seen = threading.Event(), threading.Event(), list[str]()

    def undo() -> None:
        entered.set()
        assert gate.wait(20)
        seen.append("undo")

    def click(name: str, key: str) -> None:
        worker.submit(lambda: seen.append(name), origin=OF_IT, priority=Priority.CLICK, key=key)

    blocked = threading.Event()
    worker.submit(lambda: blocked.wait(20))
    worker.submit(undo, origin=IN_ORDER)
    click("first", "one")
    click("other", "two")
    worker.submit(lambda: seen.append("edit"), origin=OF_IT)
    blocked.set()
    assert entered.wait(20)
    click("second", "one")
    click("last", "three")
    gate.set()
    qtbot.waitUntil(lambda: worker.is_idle, timeout=20000)
    assert seen == ["undo", "other", "second", "last", "edit"]


@pytest.mark.parametrize("last", [None, lambda: None], ids=["nothing", "saved"])
def test_a_click_in_the_middle_is_done_at_the_end_only_for_what_comes_last(qtbot: Any, last: Any) -> None:
    worker, entered, gate = InferenceWorker(), threading.Event(), threading.Event()
    seen: list[str] = []

    def work() -> Any:
        entered.set()
        assert gate.wait(20)
        yield
        seen.append("answered")

    worker.submit(work, origin=Origin("session", fate=Fate.DONE), priority=Priority.CLICK)
    assert entered.wait(20)
    closing = threading.Thread(target=worker.close, args=(last,))
    closing.start()
    qtbot.waitUntil(lambda: worker.is_closed, timeout=20000)
    gate.set()
    closing.join(20)
    assert seen == ["answered"] * (last is not None)
