"""Work that nothing saves by itself ends only where the user says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QComboBox, QMessageBox

from napari_sam2._napari.views.files_panel import FilesPanel
from napari_sam2._napari.work.autosave import Autosave
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.worker import Priority
from tests._napari.dock import Dock, Held, frames
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


def another_image(dock: Dock) -> None:
    choose(dock, "Image layer", 1)


def another_axis(dock: Dock) -> None:
    choose(dock, "Frames", 0)


def a_file(dock: Dock) -> None:
    dock.view.files.load_requested.emit("there is none.sam2.json")


def choose(dock: Dock, name: str, index: int) -> None:
    """Choose an entry of a box of the dock."""
    (box,) = [each for each in dock.view.image.findChildren(QComboBox) if each.accessibleName() == name]
    box.setCurrentIndex(index)
    box.activated.emit(index)


def chosen(dock: Dock) -> list[int]:
    return [each.currentIndex() for each in dock.view.image.findChildren(QComboBox)]


WAYS = [another_image, another_axis, a_file]


@pytest.fixture
def worked(four: Dock) -> Dock:
    """Return a dock over (t, z, y, x) with one object, beside another image; questions are answered by no."""
    four.prompt(1, 2, 8, 10)
    four.viewer.add_image(frames(3), name="other")
    four.wait()
    four.view.files.ask_whether_to_end = lambda: False  # type: ignore[method-assign]
    return four


@pytest.mark.parametrize("way", WAYS)
def test_it_goes_on_where_the_user_does_not_want_it_to_end(worked: Dock, way: Callable[[Dock], None]) -> None:
    layers, labels, boxes = list(worked.viewer.layers), worked.labels.copy(), chosen(worked)
    way(worked)
    worked.wait()
    assert list(worked.viewer.layers) == layers
    np.testing.assert_array_equal(worked.labels, labels)
    assert worked.session.objects == (1,)
    assert chosen(worked) == boxes


@pytest.mark.parametrize("way", [another_image, another_axis])
def test_it_ends_where_the_user_says_so(worked: Dock, way: Callable[[Dock], None]) -> None:
    worked.view.files.ask_whether_to_end = lambda: True  # type: ignore[method-assign]
    way(worked)
    worked.wait()
    assert not worked.session.objects


@pytest.mark.parametrize("way", [another_image, another_axis])
def test_nothing_is_asked_where_it_is_saved_by_itself(
    worked: Dock, way: Callable[[Dock], None], tmp_path: Path
) -> None:
    dock = Dock(worked.viewer, FakeModel(), Autosave(tmp_path, every=0))
    choose(dock, "Image layer", 0)
    dock.wait()
    dock.prompt(1, 2, 8, 10)
    dock.view.files.ask_whether_to_end = lambda: pytest.fail("asked")  # type: ignore[method-assign]
    way(dock)
    dock.wait()
    assert not dock.session.objects
    dock.end()


def test_a_stroke_that_waits_counts(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    four.viewer.add_image(frames(3), name="other")
    four.wait()
    choose(four, "Image layer", 0)
    four.wait()
    asked: list[bool] = []
    four.view.files.ask_whether_to_end = lambda: bool(asked.append(True))  # type: ignore[method-assign,func-returns-value]
    held = Held(monkeypatch, "paint")
    four.layers.labels.data[1, 2, 16:20, 4:8] = 2
    four.layers.labels.refresh()
    held.until_entered()
    another_image(four)
    held.gate.set()
    four.wait()
    assert asked == [True]
    assert four.session.objects == (2,)


def test_a_dock_that_nothing_saves_answers_no_more_when_it_closes(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[int] = []
    monkeypatch.setattr(Desk, "declare", lambda *_: answered.append(1))
    gate = threading.Event()
    bench.controller.worker.submit(lambda: gate.wait(60), priority=Priority.CLICK)
    bench.widget.set_prompts(1, 4, click(8, 10))
    threading.Timer(0.1, gate.set).start()
    bench.controller.close()
    assert not answered


def test_nothing_is_asked_before_anything_was_said(four: Dock) -> None:
    four.view.files.ask_whether_to_end = lambda: pytest.fail("asked")  # type: ignore[method-assign]
    another_axis(four)
    four.wait()


@pytest.mark.parametrize("answer", [True, False])
def test_the_question(qapp: object, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    asked: list[str] = []

    def ask(_parent: object, _title: str, text: str) -> QMessageBox.StandardButton:
        asked.append(text)
        return QMessageBox.StandardButton.Yes if answer else QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", ask)
    panel = FilesPanel()
    assert panel.ask_whether_to_end() is answer
    assert asked[0].startswith("Autosave is off.")
    panel.deleteLater()
