"""Nothing grows with clicks, propagations and images."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QMetaMethod, QMetaObject, QObject
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.controller import Controller
from napari_sam2._napari.layers.outline import is_preview
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, frames, pause, until
from tests._napari.hand import Hand
from tests._napari.layers.test_prompt_layers_end import connections
from tests._napari.test_whole import Docked, docked
from tests.fakes import FakeModel, click

__all__ = ["docked"]  # a fixture
pytestmark = pytest.mark.gui
# A propagation after so many clicks, and when is counted: from the first time on, the history is full.
EVERY, TIMES = 25, (100, 300, 500)
# One click of so many is made with the mouse, on the canvas; napari draws it a second time for each.
BY_MOUSE = 5
# How much more there may be each time: of our own objects of a type and of Qt's, of any other, and in bytes.
MOST_OWN, MOST, MOST_BYTES = 4, 20, 2 * 2**20
PAGE = 4096
SIGNAL = QMetaMethod.MethodType.Signal


def resident() -> int:
    """Return how much memory this process has, in bytes; 0 where that is not told in this way."""
    if not sys.platform.startswith("linux"):
        return 0
    # Drawing without a graphics card takes aligned blocks at every press of a button, in any viewer.
    # It frees them, but glibc may not use them again: what is free counts for nothing.
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@dataclass(frozen=True)
class Held:
    """Objects that are alive, by type, and the memory of the process in bytes."""

    objects: Counter[str]
    memory: int


def held() -> Held:
    gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Held(kinds + qt_held(), resident())


def qt_objects() -> Iterator[QObject]:
    """Yield the objects that Qt has, with or without one of Python's for it."""
    for root in (QApplication.instance(), *QApplication.topLevelWidgets()):
        assert root is not None
        yield root
        yield from root.findChildren(QObject)


def qt_held() -> Counter[str]:
    """Count objects of Qt by class, and what is connected to their signals."""
    kinds: Counter[str] = Counter()
    for each in qt_objects():
        name = meta_of(each).className()
        kinds[f"Qt {name}"] += 1
        with suppress(RuntimeError):  # Qt tells it of those only that Python has made
            kinds[f"Qt connections of {name}"] += sum(map(each.receivers, signals(each)))
    return kinds


def meta_of(each: QObject) -> QMetaObject:
    meta = each.metaObject()
    assert meta is not None
    return meta


def signals(each: QObject) -> Iterator[Any]:
    """Yield the signals of an object of Qt that Python knows."""
    meta = meta_of(each)
    methods = [meta.method(index) for index in range(meta.methodCount())]
    names = {method.name().data().decode() for method in methods if method.methodType() is SIGNAL}
    yield from (getattr(each, name) for name in sorted(names) if hasattr(getattr(each, name, None), "emit"))


def grown(times: Sequence[Held]) -> dict[str, int]:
    """Return types whose objects become more each time; what is filled once and stays is no leak."""
    parts = [(before.objects, after.objects) for before, after in pairwise(times)]
    least = {kind: min(after[kind] - before[kind] for before, after in parts) for kind in times[-1].objects}
    return {kind: more for kind, more in least.items() if more > _most(kind)}


def _most(kind: str) -> int:
    return MOST_OWN if kind.startswith(("napari_sam2.", "Qt ")) else MOST


def listeners(dock: Dock) -> list[int]:
    layers = dock.layers
    return connections(dock.viewer, dock.controller.space.image, layers.points, layers.shapes, layers.labels)


class Work:
    """Clicks, each in place of the one before, and a propagation after every few."""

    def __init__(self, dock: Dock) -> None:
        self.dock = dock
        self.hand = Hand(dock.viewer)
        self.clicks = self.draws = 0
        self.hand.canvas.events.draw.connect(self._drawn)

    def _drawn(self, _event: object) -> None:
        self.draws += 1

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
        points, place = self.dock.layers.points, (MIDDLE, 6 + self.clicks % 9, 5 + self.clicks % 11)
        if self.clicks % BY_MOUSE == 0:
            self._click_by_mouse(self.dock.layers.geometry.to_layer(*place))
        else:
            points.add(list(place))
        if len(points.data) > 1:
            points.remove([0])
        self.clicks += 1
        self.dock.wait()

    def preview(self) -> None:
        """Rest on an object until its outline is shown: the layer for that is made once, and stays."""
        for x in (5, 6):
            self.hand.move(self.dock.layers.geometry.to_layer(MIDDLE, 6, x))
            pause(11)
        until(lambda: any(map(is_preview, self.dock.viewer.layers)))

    def _click_by_mouse(self, place: Any) -> None:
        """Come to a place and click there; vispy keeps a click until the mouse has moved twice after it."""
        for act in (self.hand.move, self.hand.move, self.hand.click):
            act(place)
            pause(11)  # of moves that come sooner vispy takes one


def test_nothing_grows_with_clicks_and_propagations(clean: napari.Viewer, docked: Docked) -> None:
    add_frames(clean)
    with docked(clean) as dock:
        dock.show(MIDDLE)
        dock.wait()
        work = Work(dock)
        nothing_grows(work)
        assert work.draws >= work.clicks


def nothing_grows(work: Work) -> None:
    """See that after the first clicks there is no more of anything, each time that it is counted."""
    dock = work.dock
    first, *later = TIMES
    work.preview()
    work.until(first)
    session = dock.session
    counts, threads, connected = [held()], threading.active_count(), listeners(dock)
    features, widgets = len(session._tracker.features._kept), len(QApplication.allWidgets())
    for clicks in later:
        work.until(clicks)
        counts.append(held())
    assert grown(counts) == {}
    assert min(after.memory - before.memory for before, after in pairwise(counts)) < MOST_BYTES
    assert dock.session is session
    assert len(dock.layers.points.data) == 1
    assert threading.active_count() == threads
    assert listeners(dock) == connected
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
