"""From prompts to labels: threads, order, undo, files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.worker import Priority
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, frames, pause, until
from tests.fakes import SHAPE, FakeModel, click

pytestmark = pytest.mark.gui
ALL = list(range(COUNT))


def test_a_prompt_shows_its_mask_and_a_row(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.on == [MIDDLE]
    assert bench.labels[MIDDLE, 8, 10] == 1
    (row,) = bench.state.objects.rows
    assert (row.obj, row.prompts, row.frames) == (1, 1, 1)


def test_what_the_layer_shows_is_not_what_the_session_writes(bench: Dock) -> None:
    assert not np.shares_memory(bench.labels, bench.session.labels)


def test_labels_appear_frame_by_frame_on_this_thread(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []
    write = bench.layers.write

    def noting(changes: Any, geometry: Any = None) -> None:
        seen.append((threading.current_thread().name, tuple(change.frame for change in changes)))
        write(changes, geometry)

    monkeypatch.setattr(bench.layers, "write", noting)
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    assert {name for name, _ in seen} == {threading.main_thread().name}
    assert sorted(frame for _, (frame,) in seen) == ALL
    assert bench.on == ALL
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def noting(method: Any, names: set[str]) -> Any:
    def noted(self: Desk, *args: Any, **kwargs: Any) -> Any:
        names.add(threading.current_thread().name)
        return method(self, *args, **kwargs)

    return noted


def test_every_call_of_the_session_is_on_the_inference_thread(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()
    methods = {name: each for name, each in vars(Desk).items() if isinstance(each, FunctionType)}
    for name, method in methods.items():
        if not name.startswith("_"):
            monkeypatch.setattr(Desk, name, noting(method, names))
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    for signal in (
        bench.view.progress.undo_requested,
        bench.view.progress.redo_requested,
        bench.view.progress.lock_here,
    ):
        signal.emit()
        bench.wait()
    assert names == {"napari-sam2-inference"}


def test_a_box_of_a_script_is_said_once_and_can_be_undone(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    box = FramePrompts(box=(4.1, 5.2, 12.3, 15.7))
    bench.set(2, MIDDLE, box)
    bench.layers.shapes.refresh()
    bench.wait()
    assert bench.session.prompts[PromptKey(2, MIDDLE)] == box
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == (1,)
    bench.view.progress.redo_requested.emit()
    bench.wait()
    assert bench.session.prompts[PromptKey(2, MIDDLE)] == box


def test_undo_and_redo(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    one = bench.labels.copy()
    bench.set(1, MIDDLE, click(8, 10, (16, 10, True)))
    two = bench.labels.copy()
    assert (two != one).any()
    bench.propagate()
    assert bench.state.progress.undo_label == "Propagate"
    for wanted, points in ((two, 2), (one, 1)):
        bench.view.progress.undo_requested.emit()
        bench.wait()
        np.testing.assert_array_equal(bench.labels, wanted)
        assert len(bench.layers.points.data) == points
    bench.view.progress.redo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, two)
    assert len(bench.layers.points.data) == 2


def deleted(dock: Dock) -> None:
    """Have an object, and delete it."""
    dock.prompt(1, MIDDLE, 8, 10)
    dock.view.objects.objects_deleted.emit((1,))
    dock.wait()


def undone(dock: Dock) -> None:
    """Have an object, and undo it."""
    dock.prompt(1, MIDDLE, 8, 10)
    dock.view.progress.undo_requested.emit()
    dock.wait()


@pytest.mark.parametrize(("lose", "again"), [(deleted, "undo_requested"), (undone, "redo_requested")])
def test_what_was_taken_back_outlives_another_contrast_and_another_layer(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Dock], None], again: str
) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.sequence.tell", pytest.fail)
    lose(bench)
    assert not bench.state.objects.rows[0].frames
    other = bench.viewer.add_image(frames(3), name="other")
    bench.viewer.layers.selection.active = bench.viewer.layers["cells"]
    pause(20)
    bench.viewer.layers.selection.active = other
    image = bench.viewer.layers["cells"]
    image.contrast_limits = (0, 200)
    bench.controller.image._follow_view()
    bench.wait()
    assert bench.state.image.layers[bench.state.image.chosen or 0] == "cells"
    getattr(bench.view.progress, again).emit()
    bench.wait()
    assert bench.session.objects == (1,)
    assert bench.on == [MIDDLE]


def test_another_view_with_nothing_left_says_nothing_and_keeps_the_way_back(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.sequence.tell", pytest.fail)
    deleted(bench)
    bench.viewer.layers["cells"].contrast_limits = (0, 200)
    bench.view.image.use_current_view.emit()
    bench.wait()
    assert bench.session.volume.contrast == (0, 200)
    for _ in range(2):
        bench.view.progress.undo_requested.emit()
        bench.wait()
    assert bench.session.objects == (1,)


def test_empty_layers_do_not_stay(bench: Dock) -> None:
    deleted(bench)
    bench.controller.close()
    assert [layer.name for layer in bench.viewer.layers] == ["cells"]


def test_moving_and_deleting_points_take_the_same_path(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    points = bench.layers.points
    points.data = bench.layers.geometry.to_layers(MIDDLE, [[16, 10]])
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((16, 10),)
    assert bench.labels[MIDDLE, 16, 10] == 1
    assert bench.labels[MIDDLE, 5, 10] == 0
    points.selected_data = {0}
    points.remove_selected()
    bench.wait()
    assert not bench.labels.any()
    assert not bench.session.prompts


def test_of_fast_clicks_the_latest_wins(bench: Dock) -> None:
    gate, entered = threading.Event(), threading.Event()
    bench.controller.worker.submit(_holding(entered, gate))
    assert entered.wait(20)
    for x in (3, 5, 8, 12):
        bench.widget.set_prompts(1, MIDDLE, click(8, x))
    gate.set()
    bench.wait()
    assert bench.labels[MIDDLE, 8, 12] == 1
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert not bench.session.prompts, "the others were not even asked for"


def _holding(entered: threading.Event, gate: threading.Event) -> Any:
    def hold() -> None:
        entered.set()
        gate.wait(60)

    return hold


def test_cancelling_keeps_what_is_done(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.propagate()
    until(lambda: len(bench.on) == 3)
    assert bench.activity == "propagating"
    assert (bench.state.progress.done, bench.state.progress.total) == (2, COUNT - 1)
    bench.view.progress.cancel_requested.emit()
    gate.release(20)
    bench.wait()
    assert 3 <= len(bench.on) <= 4, "the step that was under way may end"
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    until(lambda: bench.activity == "idle")
    assert bench.state.progress.undo_label == "Propagate"
    assert bench.state.objects.rows[0].frames == len(bench.on)


def test_a_click_goes_between_two_groups_and_the_propagation_resumes(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for obj in range(1, 17):
        bench.prompt(obj, MIDDLE, 1 + obj, 10)
    gate = bench.hold_steps(monkeypatch, 5)
    bench.widget.propagate()
    until(lambda: len(bench.fake.batches) == 5)
    asked = len(bench.fake.asked)
    bench.widget.set_prompts(17, MIDDLE, click(20, 4))
    until(lambda: bench.controller.worker.waits(Priority.CLICK) or len(bench.fake.asked) > asked)
    gate.release()  # the group that is under way
    until(lambda: len(bench.fake.asked) > asked)
    assert len(bench.fake.batches) <= 7, "the click waited for one group, not for a frame of sixteen"
    gate.release(1000)
    bench.wait()
    assert 17 in bench.session.objects
    assert bench.on == ALL


def test_pause_and_resume(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.propagate()
    until(lambda: len(bench.on) == 3)
    bench.view.progress.pause_toggled.emit()
    gate.release(1000)
    bench.wait()
    assert bench.activity == "paused"
    assert 3 <= len(bench.on) <= 4, "the step that was under way may end"
    bench.view.progress.pause_toggled.emit()
    bench.wait()
    assert bench.on == ALL


def test_ranges_and_single_objects(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.progress.propagate_range_requested.emit(MIDDLE, MIDDLE + 1)
    bench.wait()
    assert bench.on == [MIDDLE, MIDDLE + 1]
    bench.view.objects.propagate_object_requested.emit(2)
    bench.wait()
    rows = {row.obj: row.frames for row in bench.state.objects.rows}
    assert rows[1] <= 2 < rows[2]


def test_save_and_load(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before = bench.labels.copy()
    bench.view.files.save_requested.emit(str(tmp_path / "cells"))
    bench.wait()
    assert (tmp_path / "cells.sam2.json").is_file()
    bench.prompt(2, 0, 20, 4)
    assert (bench.labels != before).any()
    asked = len(bench.fake.asked)
    bench.view.files.load_requested.emit(str(tmp_path / "cells.sam2.json"))
    bench.wait()
    np.testing.assert_array_equal(bench.labels, before)
    assert len(bench.layers.points.data) == 1
    assert len(bench.fake.asked) == asked, "loading computes nothing"


def test_exports(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    for name in ("labels.tif", "labels.ome.zarr", "objects.csv"):
        bench.view.files.export_requested.emit(str(tmp_path / name))
    bench.wait()
    assert {path.name for path in tmp_path.iterdir()} == {"labels.tif", "labels.ome.zarr", "objects.csv"}


def test_errors_are_told_and_the_layers_show_what_the_session_has(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    for frame, y in ((MIDDLE, 1000), (COUNT, 8)):
        with pytest.raises(ValueError, match=str(y if frame == MIDDLE else frame)):
            bench.set(1, frame, click(y, 10))
    bench.view.progress.lock_here.emit()
    bench.wait()
    bench.layers.points.data = bench.layers.geometry.to_layers(MIDDLE, [[16, 10]])
    with pytest.raises(ValueError, match="locked"):
        bench.wait()
    bench.wait()
    assert len(bench.layers.points.data) == 1
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((8, 10),)
    bench.view.files.load_requested.emit(str(tmp_path / "nothing.sam2.json"))
    with pytest.raises((ValueError, OSError)):
        bench.wait()
    bench.prompt(2, MIDDLE, 16, 10)
    assert bench.labels[MIDDLE, 16, 10] == 2


def test_scripts(bench: Dock) -> None:
    bench.prompt(2, MIDDLE, 16, 10)
    bench.propagate()
    assert bench.session.labels[0, 16, 10] == 2
    assert len(bench.layers.points.data) == 1
    bench.set(2, MIDDLE, FramePrompts())
    assert not bench.session.prompts
    assert not len(bench.layers.points.data)


def test_there_is_no_session_without_an_image(model: ViewerModel, fake_model: FakeModel) -> None:
    dock = Dock(model, fake_model)
    assert dock.widget.session is None
    with pytest.raises(RuntimeError, match="choose an image layer"):
        dock.widget.set_prompts(1, 0, click(3, 3))
    add_frames(model)
    dock.wait()
    assert dock.session.volume.shape == (COUNT, *SHAPE)
    dock.end()


def test_the_image_is_deleted_in_the_middle_of_work(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.widget.propagate()
    bench.viewer.layers.remove("cells")
    bench.wait()
    assert bench.widget.session is None
    assert not bench.controller.tracking.running
    assert [layer.name for layer in bench.viewer.layers if type(layer).__name__ == "Labels"] == [
        "cells labels"
    ]


def test_a_layer_of_ours_is_deleted_in_the_middle_of_work(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.widget.propagate()
    bench.viewer.layers.remove(bench.layers.labels)
    bench.wait()
    assert not bench.controller.tracking.running
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.labels[MIDDLE, 8, 10] == 1


def test_two_viewers(bench: Dock) -> None:
    other_model = FakeModel()
    other_viewer = ViewerModel()
    add_frames(other_viewer)
    other = Dock(other_viewer, other_model)
    other.prompt(1, 0, 8, 10)
    bench.prompt(1, MIDDLE, 8, 10)
    assert (bench.on, other.on) == ([MIDDLE], [0])
    other.end()
    bench.propagate()
    assert bench.on == ALL


def test_a_second_image_of_another_shape(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    first = bench.layers.labels
    bench.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    assert bench.controller.space.image is bench.viewer.layers["cells"], "work is not left by itself"
    bench.view.image.image_chosen.emit(1)
    bench.wait()
    assert bench.session.volume.shape == (4, 30, 26)
    assert bench.labels.shape == (4, 30, 26)
    assert first in bench.viewer.layers, "labels that hold something stay"
    bench.prompt(1, 2, 20, 20)
    assert bench.on == [2]


def test_undo_ends_a_propagation_that_is_under_way(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.propagate()
    until(lambda: len(bench.on) == 3)
    bench.view.progress.undo_requested.emit()
    gate.release(1000)
    bench.wait()
    assert bench.on == [MIDDLE]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_loading_ends_a_propagation_that_is_under_way(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    path = str(tmp_path / "cells.sam2.json")
    bench.view.files.save_requested.emit(path)
    bench.wait()
    bench.widget.propagate()
    bench.view.files.load_requested.emit(path)
    bench.wait()
    assert bench.on == [MIDDLE]
    assert not bench.controller.tracking.running
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_a_session_of_another_shape_is_refused(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    path = str(tmp_path / "cells.sam2.json")
    bench.view.files.save_requested.emit(path)
    bench.wait()
    bench.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    bench.view.image.image_chosen.emit(1)
    bench.wait()
    bench.view.files.load_requested.emit(path)
    with pytest.raises(ValueError, match="other images"):
        bench.wait()


def test_other_data_in_the_same_layer(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    image = bench.controller.space.image
    assert image is not None
    image.data = np.full((3, 30, 26), 60, np.uint8)
    until(lambda: bench.labels.shape == (3, 30, 26))
    bench.prompt(1, 2, 8, 10)
    assert bench.session.volume.shape == (3, 30, 26)


def test_a_renamed_image_is_the_same_image(bench: Dock) -> None:
    image = bench.controller.space.image
    assert image is not None
    image.name = "renamed"
    bench.layers.labels.name = "anything"
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.state.image.layers == ("renamed",)
    assert bench.on == [MIDDLE]
