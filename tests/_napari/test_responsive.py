"""The viewer stays alive while frames are tracked."""

from __future__ import annotations

import time
from collections.abc import Callable

import napari
import numpy as np
import pytest
from qtpy.QtCore import QTimer

from tests._napari.dock import Dock, add_frames, pause
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui
TICK = 0.01


class Lateness:
    """How much work of this thread's own lies between two ticks of a timer.

    Waiting for other programs is not counted: on a busy machine a timer is late whatever happens here. That
    this thread never waits for the session is tested elsewhere; `bench_responsive.py` measures by the clock.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.timer = QTimer()
        self.timer.timeout.connect(lambda: self.times.append(time.thread_time()))

    def during(self, work: Callable[[], None]) -> float:
        """Return the 99th percentile of the work between two ticks while something is done, in seconds."""
        self.times.clear()
        self.timer.start(int(1000 * TICK))
        work()
        self.timer.stop()
        return float(np.percentile(np.diff(self.times), 99))


def test_a_timer_is_hardly_later_during_propagation(viewer: napari.Viewer, fake_model: FakeModel) -> None:
    add_frames(viewer, 120)
    dock = Dock(viewer, fake_model)
    viewer.window.add_dock_widget(dock.widget, name="SAM 2")
    dock.show(60)
    for obj, y in ((1, 8), (2, 16)):
        dock.prompt(obj, 60, y, 10)
    lateness = Lateness()
    without = lateness.during(lambda: pause(600))
    during = lateness.during(dock.propagate)
    frames = len(dock.on)
    dock.controller.close()
    assert frames > 60
    assert len(lateness.times) > 20
    assert during <= without + 0.05
