"""How late a timer of the viewer is while objects are propagated: run by hand, on a machine that is at rest.

python -m tests.benchmarks.bench_responsive
"""

from __future__ import annotations

import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtCore import QTimer

from tests._napari.dock import Dock, add_frames, pause
from tests.fakes import FakeModel

TICK = 0.01
# How much later a timer may be during a propagation, in seconds.
MOST = 0.05


def lateness(work: Callable[[], None]) -> float:
    """Return the 99th percentile of a timer's lateness while something is done, in seconds."""
    times: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: times.append(time.perf_counter()))
    timer.start(int(1000 * TICK))
    work()
    timer.stop()
    return float(np.percentile(np.diff(times), 99)) - TICK


def main() -> None:
    """Print the lateness at rest and during a propagation, in milliseconds."""
    viewer = napari.Viewer()
    add_frames(viewer, 180)
    dock = Dock(viewer, FakeModel())
    viewer.window.add_dock_widget(dock.widget, name="SAM 2")
    dock.show(90)
    for obj, y in ((1, 8), (2, 16)):
        dock.prompt(obj, 90, y, 10)
    at_rest = lateness(lambda: pause(2000))
    propagating = lateness(dock.propagate)
    print(f"at rest {1000 * at_rest:.1f} ms, during a propagation {1000 * propagating:.1f} ms")  # noqa: T201
    viewer.close()
    if propagating > at_rest + MOST:
        raise SystemExit(f"a propagation may add {1000 * MOST:.0f} ms at most")


if __name__ == "__main__":
    main()
