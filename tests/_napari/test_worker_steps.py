"""Work in steps on the inference thread: what waits for it, and where it is closed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("qtpy")

from napari_sam2._napari.worker import InferenceWorker, Origin, Priority

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
