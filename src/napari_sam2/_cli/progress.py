"""A progress bar around results as they come, and Ctrl-C that stops between two frames."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from types import FrameType

    from napari_sam2.frame_result import FrameResult

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@dataclass(frozen=True)
class Run:
    """What was done.

    Attributes
    ----------
    results : int
        Frames that came, counted once per pass.
    seconds : float
        Wall time.
    stopped : bool
        Whether Ctrl-C ended it early.
    """

    results: int
    seconds: float
    stopped: bool

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.results / self.seconds if self.seconds > 0 else 0.0


def watch(
    results: Iterable[FrameResult], *, total: int, task: str = "Tracking", console: Console | None = None
) -> Run:
    """Draw results from a propagation under a progress bar, until it ends or Ctrl-C is pressed.

    Parameters
    ----------
    results : iterable of FrameResult
        What `Session.propagate` gives.
    total : int
        Objects times frames that are expected.
    task : str
        What the bar says is done.
    console : Console, optional
        Where the bar goes; standard error by default.
    """
    start = time.perf_counter()
    count = 0
    stopped = False
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[rate]:.1f} frames/s"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=console or Console(stderr=True),
    )
    with bar, stop_on_interrupt() as pressed:
        line = bar.add_task(task, total=total, rate=0.0)
        for result in results:
            count += 1
            rate = count / (time.perf_counter() - start)
            bar.update(line, advance=len(result.objects), rate=rate)
            if pressed():
                stopped = True
                break
        if not stopped:
            bar.update(line, completed=total)
    return Run(count, time.perf_counter() - start, stopped)


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C instead of raising it; the second one interrupts as usual.

    Yields
    ------
    callable
        Tells whether Ctrl-C has been pressed.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield pressed.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
