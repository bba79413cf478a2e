"""The progress bar and Ctrl-C."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from napari_sam2._cli.progress import Run, stop_on_interrupt, watch
from tests._cli.fake_session import FakeSession, two_squares

if TYPE_CHECKING:
    from napari_sam2.frame_result import FrameResult


def results(session: FakeSession) -> Iterable[FrameResult]:
    return cast("Iterable[FrameResult]", session.propagate())


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def shown(console: Console) -> str:
    return cast("io.StringIO", console.file).getvalue()


def test_all_results_are_drawn() -> None:
    console = terminal()
    run = watch(results(FakeSession(two_squares())), total=12, console=console)
    assert (run.results, run.stopped) == (6, False)
    assert "100 %" in shown(console)
    assert "frames/s" in shown(console)
    assert "left" in shown(console)


def test_ctrl_c_stops_after_the_frame() -> None:
    session = FakeSession(two_squares())
    session.interrupt_at = 3
    run = watch(results(session), total=12, console=terminal())
    assert (run.results, run.stopped) == (4, True)


def test_the_rate() -> None:
    assert Run(results=10, seconds=4.0, stopped=False).rate == 2.5
    assert Run(results=0, seconds=0.0, stopped=False).rate == 0.0


def test_the_second_ctrl_c_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt() as pressed:
        assert not pressed()
        signal.raise_signal(signal.SIGINT)
        assert pressed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_off_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with stop_on_interrupt() as pressed:
            seen.append((pressed(), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
