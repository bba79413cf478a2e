"""What tests of another view or another network have in common."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from napari_sam2._napari.work.desk import Desk
from tests._napari.dock import MIDDLE, Dock, until


def see(dock: Dock, high: float) -> None:
    """Let the network see another contrast."""
    image = dock.controller.space.image
    assert image is not None
    image.contrast_limits = (0, high)
    dock.view.image.use_current_view.emit()
    dock.wait()


def undo(dock: Dock) -> None:
    dock.view.progress.undo_requested.emit()
    dock.wait()


def redo(dock: Dock) -> None:
    dock.view.progress.redo_requested.emit()
    dock.wait()


def seen(dock: Dock) -> float:
    """Return the white value that session and dock agree on."""
    high = dock.session.volume.contrast
    text = "0-255" if high is None else f"0-{high[1]:.0f}"
    assert dock.state.image.seen.startswith(f"model sees {text}")
    return 255 if high is None else float(high[1])


class Held:
    """Three prompts that are answered anew, held before the second of them."""

    def __init__(self, bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench, self.order = bench, list[str]()
        self.entered, self.gate = threading.Event(), threading.Event()
        say_again, declare = Desk.say_again, Desk.declare
        for obj in (1, 2, 3):
            bench.prompt(obj, MIDDLE, 6 * obj, 10)

        def saying(desk: Desk) -> Any:
            self.order.append("again")
            if len(self.order) == 2:
                self.entered.set()
                assert self.gate.wait(60)
            return say_again(desk)

        def declaring(desk: Desk, *args: Any) -> Any:
            self.order.append("click")
            return declare(desk, *args)

        monkeypatch.setattr(Desk, "say_again", saying)
        monkeypatch.setattr(Desk, "declare", declaring)

    def begin(self) -> None:
        image = self.bench.controller.space.image
        assert image is not None
        image.contrast_limits = (0, 200)
        self.bench.view.image.use_current_view.emit()
        until(self.entered.is_set)

    def end(self) -> None:
        self.gate.set()
        self.bench.wait()
