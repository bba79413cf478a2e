"""Nothing grows with clicks, propagations and images."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from pathlib import Path

import pytest
from qtpy.QtWidgets import QApplication

from tests._napari.dock import COUNT, MIDDLE, Dock, frames, pause
from tests._napari.test_prompt_layers_end import connections
from tests.fakes import click

pytestmark = pytest.mark.gui
EVERY, FIRST, ALL = 25, 100, 500
# What objects of a type, and the memory of the process, may grow by in the last four hundred clicks.
MOST, MOST_BYTES = 20, 12 * 2**20
PAGE = 4096


def resident() -> int:
    """Return how much memory this process has, in bytes; 0 where that is not told in this way."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def held() -> Counter[str]:
    """Count the objects that are alive, by type."""
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def listeners(dock: Dock) -> list[int]:
    layers = dock.layers
    return connections(dock.viewer, dock.controller.space.image, layers.points, layers.shapes, layers.labels)


class Work:
    """Clicks on the Points layer, each in place of the one before, and a propagation after every few."""

    def __init__(self, dock: Dock) -> None:
        self.dock = dock
        self.clicks = 0

    def until(self, count: int) -> None:
        while self.clicks < count:
            self._click()
            if self.clicks % EVERY == 0:
                self.dock.propagate()
        self.dock.fake.attended.clear()
        self.dock.fake.asked.clear()
        self.dock.fake.encoded.clear()
        self.dock.fake.batches.clear()
        pause(300)  # timers that were started have fired

    def _click(self) -> None:
        points = self.dock.layers.points
        points.add([MIDDLE, 6 + self.clicks % 9, 5 + self.clicks % 11])
        if len(points.data) > 1:
            points.remove([0])
        self.clicks += 1
        self.dock.wait()


def test_nothing_grows_with_clicks_and_propagations(bench: Dock) -> None:
    work = Work(bench)
    work.until(FIRST)  # the history is full
    session = bench.session
    before, threads, connected = held(), threading.active_count(), listeners(bench)
    features, widgets = len(session._tracker.features._kept), len(QApplication.allWidgets())
    memory = resident()
    work.until(ALL)
    assert resident() < memory + MOST_BYTES
    grown = {kind: count - before[kind] for kind, count in held().items() if count > before[kind] + MOST}
    assert grown == {}
    assert bench.session is session
    assert len(bench.layers.points.data) == 1
    assert threading.active_count() == threads
    assert listeners(bench) == connected
    assert len(QApplication.allWidgets()) == widgets
    assert len(session._tracker.features._kept) == features <= COUNT
    assert len(session._state.history._done) <= 100


def test_an_image_that_was_left_is_let_go(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gone = weakref.ref(bench.session), weakref.ref(bench.layers)
    bench.viewer.layers.clear()
    bench.viewer.add_image(frames(4), contrast_limits=(0, 255))
    bench.set(1, 2, click(8, 10))
    gc.collect()
    assert [each() for each in gone] == [None, None]
