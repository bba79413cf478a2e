"""Images of four axes, other axes, other views, other networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtWidgets import QMessageBox

from napari_sam2._napari.controls.many_files import marked
from napari_sam2._napari.work.autosave import Autosave
from napari_sam2.prompts import PromptKey
from tests._napari.dock import MIDDLE, Dock, frames
from tests.fakes import SHAPE, FakeModel, click

pytestmark = pytest.mark.gui
TIMES, SLICES = 3, 5


def movie() -> NDArray[np.uint8]:
    return np.stack([frames(SLICES)] * TIMES)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what sequences tell the user."""
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.sequence.tell", notes.append)
    return notes


@pytest.fixture
def four(model: ViewerModel, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (t, z, y, x), at t = 1, z = 2."""
    options: dict[str, Any] = {"axis_labels": ("t", "z", "y", "x"), "contrast_limits": (0, 255)}
    model.add_image(movie(), name="movie", scale=(10, 2, 1, 1), **options)
    dock = Dock(model, fake_model)
    model.dims.set_current_step((0, 1), (1, 2))
    dock.wait()
    yield dock
    dock.end()


def test_one_layer_and_a_session_for_each_t(four: Dock) -> None:
    assert four.labels.shape == (TIMES, SLICES, *SHAPE)
    image = four.state.image
    assert (image.axes, image.frame_axis, image.other_axis, image.frames) == (("t", "z"), 1, "t", SLICES)
    four.prompt(1, 2, 8, 10)
    assert [place[:2] for place in np.unique(np.argwhere(four.labels)[:, :2], axis=0).tolist()] == [[1, 2]]
    first = four.session
    assert first.volume.shape == (SLICES, *SHAPE)


def test_following_the_other_slider_switches(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    first = four.session
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    assert four.state.objects.rows[0].frames == 0
    four.prompt(1, 3, 16, 10)
    second = four.session
    assert second is not first
    four.propagate()
    labelled = {tuple(row) for row in np.argwhere(four.labels.any(axis=(2, 3))).tolist()}
    assert labelled == {(1, 2), *((2, z) for z in range(SLICES))}
    np.testing.assert_array_equal(four.labels[2], second.labels)
    np.testing.assert_array_equal(four.labels[1], first.labels)
    four.viewer.dims.set_current_step(0, 1)
    four.wait()
    assert four.session is first
    assert next(iter(four.session.prompts)).frame == 2


def test_objects_at_all_positions_have_ids_of_their_own(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.prompt(2, 2, 16, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    four.controller.prompts.new_object()
    assert four.state.objects.active == 3
    four.prompt(3, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 1)
    four.wait()
    four.controller.prompts.new_object()
    assert four.state.objects.active == 4


@pytest.mark.parametrize("crowd", [False, True])
def test_an_object_goes_on_at_another_position_unless_each_click_is_a_new_one(
    four: Dock, crowd: bool
) -> None:
    four.controller.prompts.choose_each_click_new(crowd)
    four.prompt(1, 2, 8, 10)
    four.controller.prompts.activate(1)
    gestures = four.layers._gestures
    assert not gestures._is_new()
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    assert gestures._is_new() is False
    assert four.controller.prompts.object_of_click(2, 8, 10) == (2 if crowd else 1)
    four.controller.prompts.activate(5)
    assert gestures._is_new() is True
    assert four.controller.prompts.object_of_click(2, 8, 10) == 5


def test_candidates_of_one_t_are_not_those_of_another(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.view.tools.next_candidate.emit()
    four.wait()
    tools = four.state.tools
    assert tools.candidates == 3
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    assert four.state.tools.candidates == 0
    four.view.tools.next_candidate.emit()
    four.prompt(1, 2, 16, 10)
    assert four.state.tools.candidate != tools.candidate
    four.set(1, 2, click(16, 10, (17, 10, True)))
    assert four.state.tools.candidates == 0, "two clicks are not ambiguous"
    four.viewer.dims.set_current_step(0, 1)
    four.wait()
    assert four.state.tools == tools
    four.view.tools.next_candidate.emit()
    four.wait()
    assert four.session.prompts[PromptKey(1, 2)].candidate == four.state.tools.candidate != tools.candidate


def test_an_answer_that_comes_after_the_slider_belongs_to_its_own_t(four: Dock) -> None:
    four.view.progress.live_toggled.emit(True)
    four.widget.set_prompts(1, 2, click(8, 10))
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    assert four.state.tools.candidates == 0
    assert not four.labels[2].any()
    four.viewer.dims.set_current_step(0, 1)
    four.wait()
    assert four.state.tools.candidates == 3


def test_what_is_tracked_goes_on_behind_the_slider(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    session = four.session
    four.widget.propagate()
    four.viewer.dims.set_current_step(0, 0)
    four.wait()
    assert np.count_nonzero(four.labels[1].any(axis=(1, 2))) > 1
    np.testing.assert_array_equal(four.labels[1], session.labels)
    assert not four.labels[0].any()


def test_seeding_the_next_t(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.prompt(4, 2, 16, 10)
    four.view.tools.seed_next_t_requested.emit()
    four.wait()
    assert four.viewer.dims.current_step[0] == 2
    np.testing.assert_array_equal(four.labels[2], four.labels[1])
    assert four.session.objects == (1, 4)
    four.view.progress.undo_requested.emit()
    four.wait()
    assert not four.labels[2].any()
    four.viewer.dims.set_current_step(0, 2)
    four.view.tools.seed_next_t_requested.emit()  # there is none: it says so
    four.wait()


def written(path: Path) -> NDArray[Any]:
    """Read labels back, whatever they were written as."""
    if path.name.endswith("_RES"):
        return np.stack([tifffile.imread(each) for each in sorted(path.glob("mask*.tif"))])
    if path.suffix == ".zarr":
        return np.asarray(zarr.open_group(str(path), mode="r")["0"])
    return np.asarray(tifffile.imread(path))


@pytest.mark.parametrize("name", ["labels.tif", "labels.ome.zarr", "labels_RES"])
def test_what_is_exported_is_what_the_layer_shows(four: Dock, tmp_path: Path, name: str) -> None:
    four.prompt(1, 2, 8, 10)
    four.propagate()
    for t in (2, 0):
        four.viewer.dims.set_current_step(0, t)
        four.wait()
        if t == 2:
            four.prompt(1, 3, 16, 10)
        four.view.files.export_requested.emit(str(tmp_path / f"{t}_{name}"))
        four.wait()
        np.testing.assert_array_equal(written(tmp_path / f"{t}_{name}"), four.labels)
    assert {each.name for each in tmp_path.iterdir()} == {f"{t}_{name}" for t in (0, 2)}


def test_the_table_and_the_tracks_are_of_all_positions(four: Dock, tmp_path: Path) -> None:
    for t, y in ((1, 8), (2, 10)):
        four.viewer.dims.set_current_step(0, t)
        four.wait()
        four.prompt(1, 2, y, 10)
    four.view.files.export_requested.emit(str(tmp_path / "objects.csv"))
    four.wait()
    lines = (tmp_path / "objects.csv").read_text().splitlines()
    assert lines[0].startswith("t,object,frame,")
    assert [line[:6] for line in lines[1:]] == ["1,1,2,", "2,1,2,"]
    four.view.files.tracks_layer_requested.emit()
    four.wait()
    layer = four.viewer.layers["movie tracks"]
    assert layer.data[:, :3].tolist() == [[1, 1, 2], [1, 2, 2]]
    for row in layer.data:
        assert four.labels[tuple(np.rint(row[1:]).astype(int))] == 1
    np.testing.assert_allclose(layer.scale, four.layers.labels.scale)


@pytest.mark.parametrize(
    ("names", "frames", "letter"),
    [
        (("t", "z", "y", "x"), 1, "z"),
        (("t", "z", "y", "x"), 0, "t"),
        (("", "", "y", "x"), 1, "z"),
        (("", "", "y", "x"), 0, "t"),
        (("z", "stage", "y", "x"), 1, "t"),
        (("z", "stage", "y", "x"), 0, "z"),
    ],
)
def test_what_the_axes_are_called_in_files(
    model: ViewerModel, fake_model: FakeModel, names: tuple[str, ...], frames: int, letter: str
) -> None:
    labels = tuple(name or f"axis {number}" for number, name in enumerate(names))
    model.add_image(movie(), axis_labels=labels, contrast_limits=(0, 255))
    dock = Dock(model, fake_model)
    dock.view.image.axis_chosen.emit(frames)
    dock.wait()
    assert dock.session.geometry.axes == f"{letter}yx"
    assert dock.controller.sequences.time_comes_first is (names[0] != "z")
    dock.end()


def test_all_that_was_prompted_is_saved_and_loaded(four: Dock, tmp_path: Path, fake_model: FakeModel) -> None:
    four.prompt(1, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    four.prompt(4, 3, 16, 10)
    four.view.files.save_requested.emit(str(tmp_path / "movie"))
    four.wait()
    saved = sorted(tmp_path.glob("*.sam2.json"))
    assert [each.name for each in saved] == ["movie_t0001.sam2.json", "movie_t0002.sam2.json"]
    labels = four.labels.copy()
    four.controller.image.begin_anew()
    four.viewer.dims.set_current_step(0, 0)
    four.wait()
    assert not four.labels.any()
    four.view.files.load_requested.emit(str(saved[0]))
    four.wait()
    np.testing.assert_array_equal(four.labels, labels)
    for t, obj in ((1, 1), (2, 4)):
        four.viewer.dims.set_current_step(0, t)
        four.wait()
        assert four.session.objects == (obj,)
        assert {key.obj for key in four.layers.prompts} == {obj}


def test_a_position_of_which_nothing_is_left_is_saved_only_over_what_it_was(
    four: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    for t in (0, 1):
        four.viewer.dims.set_current_step(0, t)
        four.prompt(t + 1, 2, 8, 10)
    four.view.objects.objects_deleted.emit((2,))
    four.wait()
    four.view.files.save_requested.emit(str(tmp_path / "one.sam2.json"))
    four.view.files.export_requested.emit(str(tmp_path / "one.tif"))
    four.wait()
    assert [each.name for each in tmp_path.glob("*.sam2.json")] == ["one.sam2.json"]
    assert np.unique(tifffile.imread(tmp_path / "one.tif")).tolist() == [0, 1]
    four.view.progress.undo_requested.emit()
    four.wait()
    four.view.files.save_requested.emit(str(tmp_path / "two.sam2.json"))
    four.wait()
    four.view.objects.objects_deleted.emit((2,))
    four.wait()
    four.view.files.save_requested.emit(str(tmp_path / "two.sam2.json"))
    four.wait()
    four.view.files.load_requested.emit(str(tmp_path / "two_t0001.sam2.json"))
    four.wait()
    assert four.session.objects == ()


@pytest.mark.parametrize("name", ["labels.ome.zarr", "labels_RES", "cells.sam2.json"])
@pytest.mark.parametrize("yes", [False, True])
def test_files_that_the_dialog_did_not_name_are_not_replaced_unasked(
    four: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, yes: bool
) -> None:
    asked: list[str] = []
    answer = QMessageBox.StandardButton.Yes if yes else QMessageBox.StandardButton.No

    def question(_parent: object, _title: str, text: str) -> QMessageBox.StandardButton:
        asked.append(text)
        return answer

    monkeypatch.setattr(QMessageBox, "question", question)
    files = four.view.files
    signal = files.save_requested if name.endswith("json") else files.export_requested
    for t in (1, 2):
        four.viewer.dims.set_current_step(0, t)
        four.wait()
        four.prompt(1, 2, 8, 10)
    signal.emit(str(tmp_path / name))
    four.wait()
    made = {marked(name, f"_t{t:04d}") for t in (1, 2)} if name.endswith("json") else {name}
    before = {each: newest(tmp_path / each) for each in made}
    assert asked == []
    four.prompt(1, 2, 8, 12)
    signal.emit(str(tmp_path / name))
    four.wait()
    (text,) = asked
    assert all(each in text for each in made)
    after = {each: newest(tmp_path / each) for each in made}
    assert all((after[each] != before[each]) is yes for each in after)


def newest(path: Path) -> int:
    """When a file, or any in a folder, was written last."""
    return max(each.stat().st_mtime_ns for each in [path, *path.rglob("*")])


def test_a_file_that_the_dialog_has_asked_about_is_replaced(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args))
    bench.prompt(1, MIDDLE, 8, 10)
    for signal, name in (
        (bench.view.files.export_requested, "labels.tif"),
        (bench.view.files.save_requested, "cells.sam2.json"),
    ):
        for _ in range(2):
            signal.emit(str(tmp_path / name))
            bench.wait()
        assert asked == []
    bench.view.files.save_requested.emit(str(tmp_path / "cells"))
    assert len(asked) == 1, "the suffix was added after the dialog"


def test_work_at_all_positions_comes_back(
    four: Dock, tmp_path: Path, fake_model: FakeModel, told: list[str]
) -> None:
    autosave = Autosave(tmp_path, every=0)
    dock = Dock(four.viewer, fake_model, autosave)
    for t, obj in ((1, 1), (2, 4)):
        four.viewer.dims.set_current_step(0, t)
        dock.wait()
        dock.prompt(obj, 2, 8, 10)
    labels, points = dock.labels.copy(), dock.layers.points
    dock.end()
    four.viewer.layers.remove(points)  # or it would come back by itself
    four.viewer.dims.set_current_step(0, 0)
    again = Dock(four.viewer, fake_model, Autosave(tmp_path))
    again.wait()
    (text,) = again.state.files.recent
    assert text.startswith("2 objects")
    again.view.files.recent_requested.emit(0)
    again.wait()
    np.testing.assert_array_equal(again.labels, labels)
    for t, obj in ((1, 1), (2, 4)):
        four.viewer.dims.set_current_step(0, t)
        again.wait()
        assert again.session.objects == (obj,)
    again.end()


def shorter(count: int, root: Path) -> Dock:
    """Return a dock over the first positions of the same movie."""
    viewer = ViewerModel()
    viewer.add_image(movie()[:count], axis_labels=("t", "z", "y", "x"), contrast_limits=(0, 255))
    dock = Dock(viewer, FakeModel(), Autosave(root))
    dock.wait()
    return dock


def test_sessions_beyond_the_end_of_the_image_are_left_out(
    four: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.files.tell", told.append)
    for t in (0, 2):
        four.viewer.dims.set_current_step(0, t)
        four.prompt(t + 1, 2, 8, 10)
    four.view.files.save_requested.emit(str(tmp_path / "movie"))
    four.wait()
    told.clear()
    dock = shorter(2, tmp_path / "own")
    dock.view.files.load_requested.emit(str(tmp_path / "movie_t0002.sam2.json"))
    dock.wait()
    assert "movie_t0002.sam2.json: left out" in told[0]
    dock.viewer.dims.set_current_step(0, 0)
    dock.wait()
    assert dock.session.objects == (1,)
    (tmp_path / "movie_t0000.sam2.json").unlink()
    dock.view.files.load_requested.emit(str(tmp_path / "movie_t0002.sam2.json"))
    with pytest.raises(ValueError, match="the image ends before"):
        dock.wait()
    dock.view.files.load_requested.emit(str(tmp_path / "nowhere" / "movie_t0002.sam2.json"))
    with pytest.raises(FileNotFoundError):
        dock.wait()
    dock.end()


def test_recent_work_beyond_the_end_of_the_image_is_left_out(
    four: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.saving.tell", told.append)
    dock = Dock(four.viewer, FakeModel(), Autosave(tmp_path, every=0))
    for t in (0, 2):
        four.viewer.dims.set_current_step(0, t)
        dock.prompt(t + 1, 2, 8, 10)
    dock.end()
    again = shorter(2, tmp_path)
    again.view.files.recent_requested.emit(0)
    again.wait()
    assert "left out" in told[0]
    again.viewer.dims.set_current_step(0, 0)
    again.wait()
    assert again.session.objects == (1,)
    assert len(again.state.files.recent) == 1
    again.end()


def test_another_axis_for_the_frames(four: Dock) -> None:
    four.view.image.axis_chosen.emit(0)
    four.wait()
    assert four.session.volume.shape == (TIMES, *SHAPE)
    assert four.state.image.other_axis == "z"
    four.prompt(1, 0, 8, 10)
    assert four.labels[0, 2, 8, 10] == 1


def test_work_along_another_axis_is_kept_and_comes_back(
    four: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.image.tell", told.append)
    four.view.image.axis_chosen.emit(0)
    four.view.image.axis_chosen.emit(1)
    four.wait()
    assert told == [], "nothing was lost"
    dock = Dock(four.viewer, FakeModel(), Autosave(tmp_path, every=0))
    dock.wait()
    dock.prompt(1, 2, 8, 10)
    labels = dock.labels.copy()
    dock.view.image.axis_chosen.emit(0)
    dock.wait()
    kept = "movie labels [1] (frames along z)"
    assert told == [
        f"Work along z has ended; its labels stay as “{kept}”. Choose z again and it is under Recent."
    ]
    np.testing.assert_array_equal(four.viewer.layers[kept].data, labels)
    assert not dock.labels.any()
    dock.view.image.axis_chosen.emit(1)
    dock.wait()
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    np.testing.assert_array_equal(dock.labels, labels)
    assert len(told) == 1
    dock.end()


def test_a_file_of_weights_is_chosen(bench: Dock, tmp_path: Path) -> None:
    path = tmp_path / "cells.safetensors"
    bench.view.model.model_file_chosen.emit(str(path))
    bench.wait()
    assert bench.loaded[-1].name == str(path)
    model = bench.state.model
    assert model.names[model.chosen] == "cells.safetensors"
    assert str(path) in model.detail


def test_what_has_to_be_downloaded_is_not_loaded(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2._napari.model_choices.cache_dir", lambda: tmp_path)
    names = bench.state.model.names
    bench.view.model.model_chosen.emit(names.index("sam2.1-large"))
    bench.wait()
    chosen = bench.state.model
    assert chosen.needs_download
    assert len(bench.loaded) == 1
    bench.view.model.model_chosen.emit(0)
    bench.wait()
    chosen = bench.state.model
    assert not chosen.needs_download
    bench.prompt(1, MIDDLE, 8, 10)


def test_image_features_are_kept_of_the_position_that_is_shown(four: Dock) -> None:
    four.controller.sequences.at_index({0: 2})
    for position in (0, 1, 0, 2):
        four.viewer.dims.set_current_step(0, position)
        four.prompt(1, 2, 8, 10)
        kept = {
            each.geometry.index[0]: each.desk.opened.cache_bytes for each in four.controller.space.touched()
        }
        assert kept.pop(position) == 512 * 2**20
        assert not any(kept.values())
