"""How late a timer of the viewer is while objects are propagated: run by hand, on a machine that is at rest.

    python -m tests.benchmarks.bench_responsive

A display is needed. What was measured is kept in `results.json`, and `docs/performance.md` is written anew,
but with ``--no-keep``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import napari
import numpy as np
import torch
from qtpy.QtCore import QTimer

from tests._napari.dock import Dock, add_frames, pause
from tests.benchmarks.results import keep
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


def measure() -> dict[str, float]:
    """Return the lateness at rest and during a propagation, in seconds."""
    viewer = napari.Viewer()
    add_frames(viewer, 180)
    dock = Dock(viewer, FakeModel())
    viewer.window.add_dock_widget(dock.widget, name="SAM 2")
    dock.show(90)
    for obj, y in ((1, 8), (2, 16)):
        dock.prompt(obj, 90, y, 10)
    measured = {"rest": lateness(lambda: pause(2000)), "propagation": lateness(dock.propagate)}
    viewer.close()
    return measured


def main() -> None:
    """Print and keep both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-keep", action="store_true", help="only print what was measured")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    measured = measure()
    rest, propagation = (1000 * measured[name] for name in ("rest", "propagation"))
    sys.stdout.write(f"at rest {rest:.1f} ms, during a propagation {propagation:.1f} ms\n")
    if not told.no_keep:
        keep("timer", "180 frames, 2 objects", {**measured, "threads": told.threads})
    if measured["propagation"] > measured["rest"] + MOST:
        raise SystemExit(f"a propagation may add {1000 * MOST:.0f} ms at most")


if __name__ == "__main__":
    main()
