"""A dock with a network that answers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.settings import Settings
from napari_sam2._napari.state import DockState
from napari_sam2._napari.widget import Sam2Widget
from napari_sam2._napari.work.autosave import Autosave
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import FramePrompts, PromptKey
from tests.fakes import FakeModel, click, plain_frames

COUNT, MIDDLE = 9, 4


def frames(count: int = COUNT) -> NDArray[np.uint8]:
    """Return frames that the fake network can tell apart, and on which it tracks small masks."""
    return plain_frames(count) + np.uint8(60)


def add_frames(viewer: Any, count: int = COUNT, **options: Any) -> Any:
    return viewer.add_image(frames(count), name="cells", **{"contrast_limits": (0, 255), **options})


def pause(milliseconds: int) -> None:
    """Let the event loop turn for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(condition: Any, seconds: float = 20.0) -> None:
    """Let the event loop turn until something has happened."""
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        pause(5)
    raise AssertionError("it did not happen in time")


class Held:
    """A method of the desk, held at one of its calls until the test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, call: int = 1) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()
        method, calls = getattr(Desk, name), list[int]()

        def held(desk: Desk, *args: Any, **options: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                self.entered.set()
                assert self.gate.wait(60)
            return method(desk, *args, **options)

        monkeypatch.setattr(Desk, name, held)

    def until_entered(self) -> None:
        pause(1)
        until(self.entered.is_set)


class Dock:
    """A dock, and what tests do with it."""

    def __init__(self, viewer: Any, fake: FakeModel, autosave: Autosave | None = None) -> None:
        self.viewer = viewer
        self.fake = fake
        self.loaded: list[ModelChoice] = []
        self.widget = Sam2Widget(viewer, Settings(autosave=False), loader=self._load, autosave=autosave)
        self.controller = self.widget.controller
        self.view = self.widget.view
        self.controller.ahead.choose_live(False)
        self.view.files.ask_whether_to_end = lambda: True  # type: ignore[method-assign]
        self.failures: list[Exception] = []
        self.controller.space.fail = self.failures.append

    def _load(self, choice: ModelChoice) -> Any:
        self.loaded.append(choice)
        return self.fake.as_model()

    def wait(self) -> None:
        """Wait until all is done; what fails is an error, unless the test takes it."""
        pause(1)  # the layers are read on the next turn of the event loop
        self.widget.wait()
        if self.failures:
            raise self.failures.pop()

    def prompt(self, obj: int, frame: int, y: float, x: float) -> None:
        """Say as a script does where an object is."""
        self.set(obj, frame, click(y, x))

    def set(self, obj: int, frame: int, prompts: FramePrompts) -> None:
        self.widget.set_prompts(obj, frame, prompts)
        self.wait()

    def propagate(self) -> None:
        self.widget.propagate(wait=True)
        self.wait()

    def hold_steps(self, monkeypatch: pytest.MonkeyPatch, count: int) -> threading.Semaphore:
        """Let the network track so many times, and once more for each release of what is returned."""
        step, gate = self.fake.step, threading.Semaphore(count)
        monkeypatch.setattr(
            self.fake, "step", lambda *args: step(*args) if gate.acquire(timeout=60) else None
        )
        return gate

    @property
    def layers(self) -> PromptLayers:
        layers = self.controller.space.layers
        assert layers is not None
        return layers

    @property
    def labels(self) -> NDArray[Any]:
        labels: NDArray[Any] = self.layers.labels.data
        return labels

    @property
    def on(self) -> list[int]:
        """Frames that show labels."""
        return [int(frame) for frame in np.flatnonzero(self.labels.any(axis=(1, 2)))]

    @property
    def session(self) -> Any:
        session = self.widget.session
        assert session is not None
        return session

    @property
    def state(self) -> DockState:
        return self.controller.state()

    @property
    def activity(self) -> str:
        return self.state.progress.activity.value

    def show(self, frame: int) -> None:
        self.viewer.dims.set_current_step(0, frame)

    def end(self) -> None:
        """Close it, and see that nothing is left."""
        self.controller.close()
        self.widget.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def four_axes(viewer: Any, fake: FakeModel) -> Iterator[Dock]:
    """Yield a dock over (t, z, y, x), 3 x 4 frames, at t = 1, z = 2; end it then."""
    movie = np.stack([frames(4)] * 3)
    viewer.add_image(movie, name="movie", axis_labels=("t", "z", "y", "x"), contrast_limits=(0, 255))
    dock = Dock(viewer, fake)
    viewer.dims.set_current_step((0, 1), (1, 2))
    dock.wait()
    yield dock
    dock.end()


def at(dock: Dock, y: float, x: float) -> Any:
    """Return where a place on the shown frame is in the world."""
    place = dock.layers.geometry.to_layer(dock.controller.space.frame, y, x)
    return dock.layers.labels.data_to_world(place)


def agree(dock: Dock, positions: dict[int, set[PromptKey]]) -> None:
    """See that what was said at each position is this, and that its labels are shown."""
    for position, keys in positions.items():
        dock.viewer.dims.set_current_step(0, position)
        dock.wait()
        session = dock.widget.session
        assert keys == (set() if session is None else set(session.prompts))
        shown = dock.labels[position]
        np.testing.assert_array_equal(shown, 0 * shown if session is None else session.labels)
