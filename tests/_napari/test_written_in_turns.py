"""What happens while labels of many frames are being written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_sam2._napari.work.answers import Answer
from napari_sam2.changes import LabelChange
from tests._napari.dock import COUNT, MIDDLE, Dock

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("one_by_one")]


def undone(dock: Dock) -> NDArray[Any]:
    """Propagate, and take it back; return the labels between."""
    dock.prompt(1, 2, 8, 10)
    dock.propagate()
    labels = dock.labels.copy()
    dock.view.progress.undo_requested.emit()
    dock.wait()
    assert np.count_nonzero(dock.labels) < np.count_nonzero(labels) / 2
    return labels


def meanwhile(dock: Dock, act: Callable[[], object]) -> None:
    """Propagate again at once, and do something when only one of the frames was written."""
    turn = dock.layers.writer._turn

    def do() -> None:
        act()
        turn.ask()

    def look(_sequence: object, answer: Answer) -> None:
        if len(answer.changes) > 1:
            dock.controller.space.answered.disconnect(look)
            assert turn.waiting
            turn.cancel()
            QTimer.singleShot(0, do)

    dock.controller.space.answered.connect(look)
    dock.view.progress.redo_requested.emit()
    dock.widget.wait()


def test_a_script_that_waits_finds_all_of_it(bench: Dock) -> None:
    labels = undone(bench)
    bench.view.progress.redo_requested.emit()
    bench.widget.wait()
    np.testing.assert_array_equal(bench.labels, labels)
    bench.view.progress.undo_requested.emit()
    np.testing.assert_array_equal(bench.session.labels, bench.labels)
    assert bench.on == [2]


def test_other_work_is_there_after_waiting(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before = bench.labels.copy()
    bench.view.files.save_requested.emit(str(tmp_path / "w"))
    bench.wait()
    bench.controller.objects.delete((1,))
    bench.prompt(2, 0, 16, 10)
    bench.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    bench.widget.wait()
    np.testing.assert_array_equal(bench.labels, before)


def test_of_other_work_is_sent_what_differs(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.view.files.save_requested.emit(str(tmp_path / "w"))
    bench.wait()
    sent: list[LabelChange] = []
    bench.controller.space.answered.connect(lambda _, answer: sent.extend(answer.changes))
    bench.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    bench.wait()
    assert sent == []
    bench.prompt(2, 0, 16, 10)
    sent.clear()
    bench.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    bench.wait()
    assert [each.frame for each in sent] == [0]
    assert sent[0].values.size < bench.labels[0].size / 2


def test_undo_comes_after_what_it_takes_back(bench: Dock) -> None:
    undone(bench)
    meanwhile(bench, bench.view.progress.undo_requested.emit)
    bench.wait()
    assert bench.on == [2]


def test_a_stroke_on_a_frame_that_waits_counts(bench: Dock) -> None:
    labels = undone(bench)

    def paint() -> None:
        assert COUNT - 1 not in bench.on
        bench.layers.labels.data[-1, 20:23, 4:8] = 3
        bench.layers.labels.refresh()

    meanwhile(bench, paint)
    bench.wait()
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    labels[-1, 20:23, 4:8] = 3
    np.testing.assert_array_equal(bench.labels, labels)


def test_another_position_is_shown(four: Dock) -> None:
    labels = undone(four)

    def go_on() -> None:
        assert not np.array_equal(four.labels, labels)
        four.viewer.dims.set_current_step((0, 1), (2, 2))

    meanwhile(four, go_on)
    four.wait()
    np.testing.assert_array_equal(four.labels, labels)


def test_the_dock_is_closed(bench: Dock) -> None:
    labels, layer = undone(bench), bench.layers.labels
    meanwhile(bench, bench.controller.close)
    assert layer in bench.viewer.layers
    np.testing.assert_array_equal(layer.data, labels)


def test_a_layer_is_deleted(bench: Dock) -> None:
    undone(bench)
    labels = bench.layers.labels
    meanwhile(bench, lambda: bench.viewer.layers.remove(labels))
    bench.wait()
    assert bench.layers.labels is not labels
    bench.prompt(1, 2, 8, 10)
    assert bench.on == [2]


def test_the_image_is_deleted(bench: Dock) -> None:
    undone(bench)
    meanwhile(bench, lambda: bench.viewer.layers.remove("cells"))
    bench.wait()
    assert bench.controller.space.image is None
