"""Whatever a network is called for, the GUI thread never does it; it alone writes what is shown."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

import numpy as np
import pytest
from napari.components import ViewerModel
from torch import nn

from napari_sam2._model.sam2 import Sam2
from napari_sam2._napari.layers import prompt_layers
from napari_sam2._napari.model_choices import DEVICES, ModelChoice, load
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames
from tests._napari.renewing import redo, see, undo
from tests.fakes import SHAPE, FakeModel, click

pytestmark = pytest.mark.gui
GUI = threading.main_thread().name
INFERENCE = "napari-sam2-inference"


class Watched(FakeModel):
    """Notes which thread calls which of its methods."""

    def __init__(self) -> None:
        self.threads: defaultdict[str, set[str]] = defaultdict(set)
        self.calls = 0
        super().__init__()

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return self._noting(name, value) if isinstance(value, MethodType) and name[0] != "_" else value

    def _noting(self, name: str, method: MethodType) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            self.threads[name].add(threading.current_thread().name)
            return method(*args, **options)

        return noted


class Nano(FakeModel):
    """Stands for the network that comes with the package."""

    def as_model(self) -> Sam2:
        return load(ModelChoice())


def clicks(dock: Dock, _folder: Path) -> None:
    dock.layers.points.add([MIDDLE, 8, 10])
    dock.wait()
    dock.view.tools.next_candidate.emit()
    dock.wait()


def hovers(dock: Dock, _folder: Path) -> None:
    dock.layers.hovered.emit(MIDDLE, 16.0, 10.0)
    dock.wait()


def tracks(dock: Dock, _folder: Path) -> None:
    dock.propagate()
    dock.view.tools.new_object.emit()
    dock.prompt(2, MIDDLE, 16, 4)
    dock.view.progress.live_toggled.emit(True)
    dock.set(2, 0, click(16, 4))
    dock.view.progress.live_toggled.emit(False)


def reviews_and_corrects(dock: Dock, _folder: Path) -> None:
    dock.view.review.cell_visited.emit(1, 0)
    dock.view.review.next_doubtful.emit()
    dock.wait()
    dock.set(1, 0, click(8, 10, (16, 10, False)))
    dock.propagate()


def paints(dock: Dock, _folder: Path) -> None:
    dock.layers.labels.paint((MIDDLE, 20, 15), 1)
    dock.wait()


def goes_back_and_forth(dock: Dock, _folder: Path) -> None:
    for step in (undo, undo, redo):
        step(dock)


def seeds(dock: Dock, _folder: Path) -> None:
    labels = np.zeros((COUNT, *SHAPE), np.uint8)
    labels[2, 2:6, 2:6] = 1
    dock.viewer.add_labels(labels, name="cells of old")
    dock.view.tools.seed_requested.emit()
    dock.wait()


def sees_another_view(dock: Dock, _folder: Path) -> None:
    see(dock, 200)
    dock.viewer.dims.set_current_step(0, 1)
    dock.wait()


def changes_the_network(dock: Dock, _folder: Path) -> None:
    dock.view.model.device_chosen.emit(DEVICES.index("cpu"))
    dock.wait()


def saves_and_loads(dock: Dock, folder: Path) -> None:
    dock.view.files.save_requested.emit(str(folder / "cells"))
    dock.view.files.export_requested.emit(str(folder / "labels.tif"))
    dock.wait()
    dock.view.files.load_requested.emit(str(folder / "cells.sam2.json"))
    dock.wait()
    dock.propagate()


DAY = (
    clicks,
    hovers,
    tracks,
    reviews_and_corrects,
    paints,
    goes_back_and_forth,
    seeds,
    sees_another_view,
    changes_the_network,
    saves_and_loads,
)
# What a network has for a session; each of it is called during such a day.
CALLED = {
    "encode_image",
    "encode_memory",
    "enlarge",
    "is_ambiguous",
    "predict",
    "predict_from_mask",
    "recall",
    "state_dict",
    "step",
}


def test_the_network_is_never_called_on_the_gui_thread(model: ViewerModel, tmp_path: Path) -> None:
    watched = Watched()
    add_frames(model)
    dock = Dock(model, watched)
    dock.show(MIDDLE)
    dock.wait()
    for part in DAY:
        watched.calls = 0
        part(dock, tmp_path)
        assert bool(watched.calls) is (part is not goes_back_and_forth), part.__name__
    assert (tmp_path / "cells.sam2.json").is_file()
    dock.end()
    assert set(watched.threads) >= CALLED
    assert GUI not in set().union(*watched.threads.values())


class Shown(np.ndarray):
    """Pixels of a Labels layer that note which threads write into them."""

    writers: ClassVar[set[str]] = set()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.writers.add(threading.current_thread().name)
        super().__setitem__(key, value)


def test_the_gui_thread_alone_writes_what_is_shown(
    model: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_layers, "blank_labels", lambda shape: np.zeros(shape, np.uint16).view(Shown))
    monkeypatch.setattr(Shown, "writers", set())
    add_frames(model)
    dock = Dock(model, FakeModel())
    dock.show(MIDDLE)
    dock.wait()
    for part in DAY:
        part(dock, tmp_path)
    assert isinstance(dock.labels, Shown)
    assert dock.labels.any()
    dock.end()
    assert Shown.writers == {GUI}


def test_no_module_of_a_real_network_is_called_on_the_gui_thread(
    model: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: defaultdict[str, set[str]] = defaultdict(set)
    call = nn.Module.__call__

    def noted(module: nn.Module, *args: Any, **options: Any) -> Any:
        threads[type(module).__name__].add(threading.current_thread().name)
        return call(module, *args, **options)

    monkeypatch.setattr(nn.Module, "__call__", noted)
    add_frames(model, 3)
    dock = Dock(model, Nano())
    dock.wait()
    dock.prompt(1, 1, 8, 10)
    dock.layers.hovered.emit(1, 16.0, 10.0)
    dock.propagate()
    undo(dock)
    saves_and_loads(dock, tmp_path)
    dock.end()
    assert set().union(*threads.values()) == {INFERENCE}
