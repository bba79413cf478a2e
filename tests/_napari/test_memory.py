"""Nothing grows with clicks, propagations and images."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.controller import Controller
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, frames, pause
from tests._napari.test_prompt_layers_end import connections
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui
# A propagation after so many clicks, and when is counted: from the first time on, the history is full.
EVERY, TIMES = 25, (100, 300, 500)
# How much more there may be each time: of our own objects of a type, of those of any other, and in bytes.
MOST_OWN, MOST, MOST_BYTES = 4, 20, 8 * 2**20
PAGE = 4096


def resident() -> int:
    """Return how much memory this process has, in bytes; 0 where that is not told in this way."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@dataclass(frozen=True)
class Held:
    """Objects that are alive, by type, and the memory of the process in bytes."""

    objects: Counter[str]
    memory: int


def held() -> Held:
    gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Held(kinds, resident())


def grown(times: Sequence[Held]) -> dict[str, int]:
    """Return types whose objects become more each time; what is filled once and stays is no leak."""
    parts = [(before.objects, after.objects) for before, after in pairwise(times)]
    least = {kind: min(after[kind] - before[kind] for before, after in parts) for kind in times[-1].objects}
    return {kind: more for kind, more in least.items() if more > _most(kind)}


def _most(kind: str) -> int:
    return MOST_OWN if kind.startswith("napari_sam2.") else MOST


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
    first, *later = TIMES
    work.until(first)
    session = bench.session
    counts, threads, connected = [held()], threading.active_count(), listeners(bench)
    features, widgets = len(session._tracker.features._kept), len(QApplication.allWidgets())
    for clicks in later:
        work.until(clicks)
        counts.append(held())
    assert grown(counts) == {}
    assert min(after.memory - before.memory for before, after in pairwise(counts)) < MOST_BYTES
    assert bench.session is session
    assert len(bench.layers.points.data) == 1
    assert threading.active_count() == threads
    assert listeners(bench) == connected
    assert len(QApplication.allWidgets()) == widgets
    assert len(session._tracker.features._kept) == features <= COUNT
    assert len(session._state.history._done) <= 100


def test_what_grows_each_time_is_told_and_what_grew_once_is_not() -> None:
    counts = [{"a": 10, "napari_sam2.b": 1}, {"a": 99, "napari_sam2.b": 6}, {"a": 99, "napari_sam2.b": 11}]
    assert grown([Held(Counter(each), 0) for each in counts]) == {"napari_sam2.b": 5}


@pytest.mark.parametrize("undone", [False, True])
def test_an_image_that_was_left_is_let_go(bench: Dock, undone: bool) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    if undone:
        bench.view.progress.undo_requested.emit()
        bench.wait()
    gone = weakref.ref(bench.session), weakref.ref(bench.layers)
    bench.viewer.layers.clear()
    bench.viewer.add_image(frames(4), contrast_limits=(0, 255))
    bench.set(1, 2, click(8, 10))
    gc.collect()
    assert [each() for each in gone] == [None, None]


def closed() -> tuple[weakref.ref[ViewerModel], weakref.ref[Controller]]:
    """Open a dock in a viewer, use it, and let both go."""
    viewer = ViewerModel()
    add_frames(viewer)
    dock = Dock(viewer, FakeModel())
    dock.show(MIDDLE)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.end()
    return weakref.ref(viewer), weakref.ref(dock.controller)


def test_a_viewer_and_its_dock_are_let_go(qapp: QApplication) -> None:
    gone = [closed() for _ in range(3)]
    pause(10)
    gc.collect()
    # The last one may be held by what was done last.
    assert [(viewer(), controller()) for viewer, controller in gone[:-1]] == [(None, None)] * 2
