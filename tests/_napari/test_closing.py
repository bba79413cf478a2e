"""Dock, layers and viewer closed in the middle of whatever is under way: nothing is left of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.layers.finding import camera_of
from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.work.desk import Desk
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, add_frames, pause, until
from tests._napari.layers.test_prompt_layers_end import callbacks, connections
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


class Gate:
    """Work that, once it has begun, goes on when the test lets it, or its dock closes."""

    def __init__(self, dock: Dock) -> None:
        self._worker = dock.controller.worker
        self.entered, self.gate = threading.Event(), threading.Event()

    def held(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Hold a call before it does its work."""

        def first(*args: Any, **options: Any) -> Any:
            self.hold()
            return work(*args, **options)

        return first

    def held_steps(self, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Hold work in steps after the first of them."""

        def steps(*args: Any, **options: Any) -> Iterator[Any]:
            whole = work(*args, **options)
            yield next(whole)
            self.hold()
            return (yield from whole)

        return steps

    def hold(self) -> None:
        self.entered.set()
        until = time.monotonic() + 60
        while not (self.gate.wait(0.005) or self._worker.is_closed):
            assert time.monotonic() < until


Work = Callable[[Dock, Gate, pytest.MonkeyPatch, Path], None]


def seeds(dock: Dock, gate: Gate, patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """Take seeds from a layer of points."""
    patch.setattr(Desk, "seed", gate.held_steps(Desk.seed))
    dock.viewer.add_points([[MIDDLE, 4 + 4 * number, 10] for number in range(4)], name="nuclei")
    dock.view.tools.seed_requested.emit()


def load(dock: Dock, gate: Gate, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Load a session from a file."""
    dock.session.save(folder / "cells.sam2.json")
    patch.setattr(Session, "load_steps", gate.held_steps(Session.load_steps))
    dock.view.files.load_requested.emit(str(folder / "cells.sam2.json"))


def model(dock: Dock, gate: Gate, patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """Load another network."""
    patch.setattr(dock.controller.models, "_loader", gate.held(lambda _choice: FakeModel().as_model()))
    dock.controller.models.choice = ModelChoice("another")
    dock.controller.models.start(another=True)


def export(dock: Dock, gate: Gate, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Export labels."""
    patch.setattr(Session, "export_steps", gate.held_steps(Session.export_steps))
    dock.view.files.export_requested.emit(str(folder / "labels.tif"))


WORK = [seeds, load, model, export]
Under = Callable[[Dock, Work], Gate]


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Under:
    """Return a function that begins some work and comes back in the middle of it."""

    def begin(dock: Dock, work: Work) -> Gate:
        gate = Gate(dock)
        work(dock, gate, monkeypatch, tmp_path)
        until(gate.entered.is_set)
        return gate

    return begin


def listening(viewer: Any, image: Any) -> tuple[list[int], int, int]:
    """Count what listens to a viewer and its only layer, which has just come."""
    viewer.layers.clear()
    viewer.layers.append(image)
    pause(50)
    return connections(viewer, image), len(viewer.mouse_drag_callbacks), callbacks(camera_of(viewer).events)


def our_widgets() -> int:
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return sum(type(each).__module__.startswith("napari_sam2.") for each in QApplication.allWidgets())


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("napari-sam2")]


def the_image(dock: Dock) -> None:
    dock.viewer.layers.remove("cells")


def our_labels(dock: Dock) -> None:
    dock.viewer.layers.remove(dock.layers.labels)


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("removed", [None, the_image, our_labels])
def test_work_that_ends_in_the_middle_leaves_nothing(
    model: ViewerModel, under_way: Under, work: Work, removed: Callable[[Dock], None] | None
) -> None:
    image = add_frames(model)
    before, widgets = listening(model, image), our_widgets()
    dock = Dock(model, FakeModel())
    dock.show(MIDDLE)
    dock.prompt(1, MIDDLE, 8, 10)
    gate = under_way(dock, work)
    if removed is not None:
        removed(dock)
        gate.gate.set()
        dock.wait()
        until(lambda: dock.controller.space.is_at_rest)
    dock.end()
    assert dock.controller.worker.is_closed
    assert (our_threads(), dock.failures) == ([], [])
    assert listening(model, image) == before
    assert our_widgets() == widgets


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("what", ["dock", "viewer"])
def test_closing_in_the_middle_leaves_nothing(dock: Dock, under_way: Under, work: Work, what: str) -> None:
    """The fixtures fail if a thread or a widget is left."""
    dock.prompt(1, MIDDLE, 8, 10)
    under_way(dock, work)
    if what == "dock":
        dock.viewer.window.remove_dock_widget(dock.widget)
    else:
        dock.viewer.close()
    until(lambda: dock.controller.worker.is_closed)
    assert (our_threads(), dock.failures) == ([], [])
