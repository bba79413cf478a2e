"""Which network the one-shot widget and its function use, and what is downloaded before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from napari.layers import Image, Points
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam2._model.errors import CheckpointError
from napari_sam2._model.registry import ReleasedCheckpoint
from napari_sam2._model.weights import save_model
from napari_sam2._napari import oneshot
from napari_sam2._napari.download import PARTS
from napari_sam2._napari.model_choices import ModelChoice, load
from napari_sam2._napari.oneshot import propagate_prompts, propagate_widget
from napari_sam2.session import Session
from tests._napari.dock import frames, until
from tests.fakes import SHAPE, FakeModel, seeing_model

COUNT = 6


def image() -> Image:
    return Image(frames(COUNT), name="cells", contrast_limits=(0, 255), axis_labels=("t", "y", "x"))


class Fetch:
    """A download in two halves; the second comes when the gate opens."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.gate = folder, threading.Event()
        self.ended: list[str] = []

    def __call__(self, checkpoint: ReleasedCheckpoint, folder: Path, *, progressbar: Any) -> None:
        try:
            progressbar.update(progressbar.total // 2)
            while not self.gate.wait(0.01):
                progressbar.update(0)
            progressbar.update(progressbar.total - progressbar.total // 2)
            self.save(self.folder / checkpoint.file_name)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("whole")

    def save(self, path: Path) -> None:
        path.write_bytes(b"weights")


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake_model: FakeModel) -> Fetch:
    """Hold a download back, into an empty folder; what is loaded from there is a fake network."""
    fetch = Fetch(tmp_path)
    monkeypatch.setattr("napari_sam2._napari.download.fetch", fetch)
    for module in ("model_choices", "download"):
        monkeypatch.setattr(f"napari_sam2._napari.{module}.cache_dir", lambda: tmp_path)
    monkeypatch.setattr(oneshot, "load", lambda choice: fake_model.as_model() if choice.is_here else None)
    monkeypatch.setattr(oneshot, "tell", lambda text: None)
    return fetch


def shown_widget(viewer: Any) -> Any:
    """Return the widget over an image and a point, shown."""
    viewer.add_layer(image())
    widget = propagate_widget()
    viewer.window.add_dock_widget(widget, name="Propagate prompts")
    widget.points.value = viewer.add_points([[2.0, 10.0, 8.0]], name="clicks")
    widget.boxes.value = widget.mask.value = None
    return widget


def activity(viewer: Any) -> list[tuple[str, int, int]]:
    """Return what each bar of napari's activity dock says: its words, how far it is, and its end."""
    bars = viewer.window._qt_window._activity_dialog.findChildren(QtLabeledProgressBar)
    return [
        (each.description_label.text(), each.qt_progress_bar.value(), each.qt_progress_bar.maximum())
        for each in bars
    ]


def half_downloaded(viewer: Any) -> Any:
    """Ask for a model that is not here, wait until half of it has come, and return the worker."""
    widget = shown_widget(viewer)
    widget.model.value = "sam2.1-tiny"
    worker = widget()
    until(lambda: any(value >= 50 for _, value, _ in activity(viewer)))
    return worker


@pytest.mark.gui
def test_a_download_is_seen_in_the_activity_dock(open_viewer: Callable[[], Any], fetch: Fetch) -> None:
    viewer = open_viewer()
    worker = half_downloaded(viewer)
    ((words, value, end),) = activity(viewer)
    assert "sam2.1-tiny" in words
    assert (value, end) == (50, PARTS + COUNT + 1), "napari adds one for the end"
    assert "cells tracked" not in viewer.layers
    fetch.gate.set()
    until(lambda: not worker.is_running)
    until(lambda: "cells tracked" in viewer.layers)
    assert fetch.ended == ["whole"]
    assert viewer.layers["cells tracked"].data[2, 10, 8] == 1


@pytest.mark.gui
def test_a_second_press_begins_nothing(open_viewer: Callable[[], Any], fetch: Fetch, qtbot: QtBot) -> None:
    viewer = open_viewer()
    widget = shown_widget(viewer)
    widget.model.value = "sam2.1-tiny"
    button = widget.call_button.native
    workers: list[Any] = []
    widget.called.connect(workers.append)
    qtbot.mouseDClick(button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    until(lambda: any(value >= 50 for _, value, _ in activity(viewer)))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (len(workers), len(activity(viewer))) == (1, 1)
    assert button.text() == "Propagating ..."
    fetch.gate.set()
    until(lambda: not workers[0].is_running and button.isEnabled())
    assert (fetch.ended, button.text()) == (["whole"], "Propagate")
    widget.model.value = "nano"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    until(lambda: len(workers) == 2 and not workers[1].is_running and button.isEnabled())
    assert "cells tracked" in viewer.layers


@pytest.mark.gui
def test_the_button_rests_until_what_a_script_began_has_ended_too(
    open_viewer: Callable[[], Any], fetch: Fetch
) -> None:
    widget = shown_widget(open_viewer())
    button = widget.call_button.native
    quick = widget()
    widget.model.value = "sam2.1-tiny"
    slow = widget()
    until(lambda: not quick.is_running and slow.is_running)
    assert (button.isEnabled(), button.text()) == (False, "Propagating ...")
    fetch.gate.set()
    until(lambda: not slow.is_running and button.isEnabled())
    assert button.text() == "Propagate"


@pytest.mark.gui
def test_a_press_that_is_refused_can_be_made_again(
    open_viewer: Callable[[], Any], fetch: Fetch, notices: list[str]
) -> None:
    widget = shown_widget(open_viewer())
    widget.points.value = None
    widget.call_button.native.click()
    assert notices == [
        "No prompt lies in “cells”: choose a layer with points, boxes or a mask on the object."
    ]
    assert widget.call_button.native.isEnabled()


@pytest.mark.gui
def test_without_an_image_the_button_says_what_to_do(
    open_viewer: Callable[[], Any], notices: list[str]
) -> None:
    widget: Any = propagate_widget()
    open_viewer().window.add_dock_widget(widget, name="Propagate prompts")
    widget.call_button.native.click()
    assert notices == ["No image is chosen: open one, and choose it."]


@pytest.mark.gui
def test_a_download_that_nobody_waits_for_ends(open_viewer: Callable[[], Any], fetch: Fetch) -> None:
    viewer = open_viewer()
    worker = half_downloaded(viewer)
    worker.quit()
    until(lambda: bool(fetch.ended))
    assert fetch.ended == ["_Stopped"]
    until(lambda: not worker.is_running)
    assert "cells tracked" not in viewer.layers


@pytest.mark.gui
def test_closing_the_viewer_ends_a_download(open_viewer: Callable[[], Any], fetch: Fetch) -> None:
    viewer = open_viewer()
    half_downloaded(viewer)
    viewer.close()
    until(lambda: bool(fetch.ended))
    assert fetch.ended == ["_Stopped"]


@pytest.mark.gui
def test_the_button_tells_of_a_download_and_of_errors(
    open_viewer: Callable[[], Any], fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def fail(path: Path) -> None:
        raise CheckpointError("could not fetch sam2.1-tiny: check the network")

    monkeypatch.setattr(fetch, "save", fail)
    fetch.gate.set()
    monkeypatch.setattr("napari_sam2._napari.oneshot.tell", told.append)
    monkeypatch.setattr("napari_sam2._napari.notices.show_error", told.append)
    widget = shown_widget(open_viewer())
    widget.model.value = "sam2.1-tiny"
    worker: Any = widget()
    (note,) = told
    assert note.startswith("sam2.1-tiny is downloaded first, then the objects are tracked. 156 MB")
    until(lambda: not worker.is_running and len(told) > 1)
    assert told[1:] == ["Could not fetch sam2.1-tiny: check the network"]


@pytest.mark.gui
def test_a_file_of_weights_goes_before_the_list(
    open_viewer: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.safetensors"
    save_model(seeing_model(), path)
    loaded: list[str] = []

    def noted(choice: ModelChoice) -> Any:
        loaded.append(choice.name)
        return load(choice)

    monkeypatch.setattr(oneshot, "load", noted)
    viewer = open_viewer()
    widget = shown_widget(viewer)
    assert widget.model_file.value is None
    widget.model_file.value = path
    worker: Any = widget()
    until(lambda: not worker.is_running)
    until(lambda: "cells tracked" in viewer.layers)
    assert loaded == [str(path)]


def test_the_function_takes_the_path_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.safetensors"
    save_model(seeing_model(), path)
    names: list[str] = []
    begin = Session.__init__

    def noted(session: Session, *data: Any, **options: Any) -> None:
        names.append(options["model"].config.name)
        begin(session, *data, **options)

    monkeypatch.setattr(Session, "__init__", noted)
    labels, _, kind = propagate_prompts(image(), points=Points([[2, 10, 8]]), model=str(path))
    assert names == ["small"]
    assert (labels.shape, kind) == ((COUNT, *SHAPE), "labels")
