"""Work that takes the place of other work: from a file, or from what was saved by itself."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QMessageBox

from napari_sam2._napari.work.autosave import Autosave
from napari_sam2.io import read_description
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, Held, add_frames, frames, pause, until
from tests.fakes import FakeModel, click

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("qapp")]


def cells(root: Path) -> Dock:
    """Open a dock over nine frames."""
    viewer = ViewerModel()
    add_frames(viewer)
    return Dock(viewer, FakeModel(), Autosave(root, every=0))


def movie(root: Path, name: str = "t") -> Dock:
    """Open a dock over three stacks, at the first."""
    viewer = ViewerModel()
    options: dict[str, Any] = {"axis_labels": (name, "z", "y", "x"), "contrast_limits": (0, 255)}
    viewer.add_image(np.stack([frames(4)] * 3), name="movie", **options)
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    go(dock, 0)
    sequence = dock.controller.space.sequence
    until(lambda: sequence is not None and sequence.desk.session is not None)  # it is opened after a rest
    dock.wait()
    return dock


def go(dock: Dock, t: int) -> None:
    dock.viewer.dims.set_current_step((0, 1), (t, 2))
    dock.wait()


def on(dock: Dock) -> list[int]:
    """Return the positions that show labels."""
    return [t for t in range(3) if dock.labels[t].any()]


def prompt_at(dock: Dock, *positions: int, obj: int = 1) -> None:
    for t in positions:
        go(dock, t)
        dock.prompt(obj, 2, 8, 10)


def save(dock: Dock, path: Path) -> None:
    dock.view.files.save_requested.emit(str(path))
    dock.wait()


def load(dock: Dock, path: Path) -> None:
    dock.view.files.load_requested.emit(str(path))
    dock.wait()


def test_earlier_work_is_listed_after_a_click_that_came_before_the_image_was_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cells(tmp_path)
    one.wait()
    one.prompt(1, MIDDLE, 8, 10)
    one.end()
    held = Held(monkeypatch, "open")
    two = cells(tmp_path)
    held.until_entered()
    two.widget.set_prompts(1, MIDDLE, click(16, 10))
    held.gate.set()
    two.wait()
    assert len(two.state.files.recent) == 1
    two.end()


def test_an_axis_with_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    one = movie(tmp_path / "own", "well/site")
    prompt_at(one, 0, 2)
    save(one, tmp_path / "w")
    assert {each.name for each in tmp_path.glob("*.json")} == {
        "w_wellsite0000.sam2.json",
        "w_wellsite0002.sam2.json",
    }
    one.end()
    two = movie(tmp_path / "own", "well/site")
    load(two, tmp_path / "w_wellsite0000.sam2.json")
    assert on(two) == [0, 2]
    two.end()


def test_what_a_file_takes_the_place_of_is_listed_at_once(tmp_path: Path) -> None:
    dock = cells(tmp_path / "own")
    dock.wait()
    dock.prompt(1, MIDDLE, 8, 10)
    save(dock, tmp_path / "w")
    dock.prompt(2, MIDDLE, 16, 10)
    load(dock, tmp_path / "w.sam2.json")
    (text,) = dock.state.files.recent
    assert text.startswith("2 objects")
    dock.end()


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 2)
    save(one, tmp_path / "w")
    one.end()
    dock = movie(tmp_path / "own")
    prompt_at(dock, 1, 0, obj=3)
    labels, saved = dock.labels.copy(), dock.controller.sequences.group.name
    for broken in ("w_t0001.sam2.json", "bad.sam2.json"):
        (tmp_path / broken).write_text("{")
    (tmp_path / "w.sam2.json").rename(tmp_path / "w_t0002.sam2.json")
    for name in ("w_t0002.sam2.json", "bad.sam2.json"):
        dock.view.files.load_requested.emit(str(tmp_path / name))
        with pytest.raises(ValueError, match="not a session file"):
            dock.wait()
    np.testing.assert_array_equal(dock.labels, labels)
    assert dock.controller.sequences.group.name == saved
    dock.prompt(4, 1, 16, 10)
    dock.end()
    again = movie(tmp_path / "own")
    assert [len(work.parts) for work in again.controller.saving.recent] == [2]
    again.end()


@pytest.mark.parametrize("kind", ["file", "recent"])
@pytest.mark.parametrize("seen_from", [0, 1, 2])
def test_other_work_takes_the_place_of_all_positions(tmp_path: Path, kind: str, seen_from: int) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 1, 2)
    if kind == "file":
        save(one, tmp_path / "w")
        one.prompt(9, 1, 16, 10)
    one.end()
    dock = movie(tmp_path / "own")
    prompt_at(dock, 0, 1, obj=5)
    go(dock, seen_from)
    if kind == "file":
        load(dock, tmp_path / "w_t0002.sam2.json")
    else:
        dock.view.files.recent_requested.emit(0)
        dock.wait()
    assert on(dock) == [1, 2]
    for t, objects in enumerate(((), (1,), (1,))):
        go(dock, t)
        dock.controller.sequences.open_ahead()  # as at rest
        dock.wait()
        assert dock.session.objects == objects
        assert {key.obj for key in dock.layers.prompts} == {*objects}
    dock.controller.saving.save()
    dock.wait()
    left = dock.controller.saving.recent[0]
    assert sorted(part.index[0] for part in left.parts) == [0, 1]
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert on(dock) == [0, 1]
    assert np.unique(dock.labels).tolist() == [0, 5]
    prompt_at(dock, 0, obj=6)
    dock.end()


def test_what_is_said_right_before_belongs_to_the_work_that_is_left(tmp_path: Path) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 1)
    save(one, tmp_path / "w")
    one.end()
    dock = movie(tmp_path / "own")
    prompt_at(dock, 0, obj=5)
    dock.layers.points.add([0, 2, 16, 10])  # not read yet
    dock.viewer.dims.set_current_step((0, 1), (1, 2))
    dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    dock.wait()
    assert on(dock) == [1]
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    go(dock, 0)
    assert len(dock.layers.points.data) == 2
    dock.end()


def test_work_that_another_dock_has_brought_back_is_listed_no_longer(tmp_path: Path) -> None:
    one = cells(tmp_path)
    one.wait()
    one.prompt(1, MIDDLE, 8, 10)
    one.end()
    two, three = cells(tmp_path), cells(tmp_path)
    for dock in (two, three):
        dock.wait()
    two.view.files.recent_requested.emit(0)
    two.wait()
    three.prompt(2, MIDDLE, 16, 10)
    three.view.files.recent_requested.emit(0)
    with pytest.raises(FileNotFoundError, match="brought back in another window"):
        three.wait()
    three.wait()
    assert three.state.files.recent == ()
    assert three.session.objects == (2,)
    for dock in (two, three):
        dock.end()


def test_nothing_is_left_that_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dock = movie(tmp_path / "own")
    prompt_at(dock, 1)
    save(dock, tmp_path / "w")
    prompt_at(dock, 0)
    go(dock, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Autosave, "save_steps", full)
        dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
        with pytest.raises(OSError, match="no space left"):
            dock.wait()
    assert on(dock) == [0, 1]
    dock.end()


def full(*_args: Any, **_options: Any) -> bool:
    raise OSError("no space left")


def test_only_files_of_one_save_are_loaded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 0, 2)
    save(one, tmp_path / "w")
    one.end()
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    two = movie(tmp_path / "own")
    prompt_at(two, 0, 1, obj=3)
    save(two, tmp_path / "w")
    load(two, tmp_path / "w_t0001.sam2.json")
    assert (on(two), np.unique(two.labels).tolist()) == ([0, 1], [0, 3])
    load(two, tmp_path / "w_t0002.sam2.json")
    assert (on(two), np.unique(two.labels).tolist()) == ([2], [0, 1])
    two.end()


def test_older_files_are_loaded_together_by_name(tmp_path: Path) -> None:
    dock = movie(tmp_path / "own")
    prompt_at(dock, 0, 2)
    save(dock, tmp_path / "w")
    for path in tmp_path.glob("*.sam2.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        assert document.pop("remarks").keys() == {"together"}
        path.write_text(json.dumps(document), encoding="utf-8")
    dock.view.objects.objects_deleted.emit((1,))
    dock.wait()
    load(dock, tmp_path / "w_t0000.sam2.json")
    assert on(dock) == [0, 2]
    dock.end()


def test_earlier_work_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, work = list[str | None](), Autosave.work

    def noted(autosave: Autosave, image: str | None = None) -> Any:
        looked.append(image)
        return work(autosave, image)

    monkeypatch.setattr(Autosave, "work", noted)
    dock = movie(tmp_path)
    for t in (1, 2):
        go(dock, t)
    assert len(looked) == 1
    dock.controller.image.begin_anew()
    dock.wait()
    assert len(looked) == 2
    dock.end()


def test_the_list_stays_at_a_position_where_nothing_was_opened_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt_at(one := movie(tmp_path), 0)
    one.end()
    dock = movie(tmp_path)
    assert len(dock.state.files.recent) == 1
    held = Held(monkeypatch, "open")
    dock.viewer.dims.set_current_step((0, 1), (1, 2))
    dock.view.files.approached.emit()
    held.gate.set()
    dock.wait()
    assert len(dock.state.files.recent) == 1
    dock.end()


def beside_a_file(tmp_path: Path) -> Dock:
    """Return a dock of which nothing was said, beside a file with work at the second t."""
    one = movie(tmp_path / "own")
    prompt_at(one, 1)
    save(one, tmp_path / "w")
    one.end()
    return movie(tmp_path / "own")


def test_what_waits_at_a_position_that_becomes_empty_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = beside_a_file(tmp_path)
    held = Held(monkeypatch, "declare")
    dock.widget.set_prompts(5, 2, click(8, 10))
    held.until_entered()
    dock.widget.set_prompts(6, 3, click(16, 10))  # at the first t, and waits
    dock.viewer.dims.set_current_step(0, 1)
    dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    held.gate.set()
    dock.wait()
    assert on(dock) == [1]
    (text,) = dock.state.files.recent
    assert text.startswith("2 objects")
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert np.unique(dock.labels[0]).tolist() == [0, 5, 6]
    dock.end()


def test_an_image_that_is_left_while_a_file_is_read_keeps_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = beside_a_file(tmp_path)
    prompt_at(dock, 0, 1, obj=5)
    dock.viewer.add_image(frames(), name="other", contrast_limits=(0, 255))
    dock.wait()
    held = Held(monkeypatch, "read")
    dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    held.until_entered()
    names = [image.name for image in dock.controller.image.images()]
    dock.view.image.image_chosen.emit(names.index("other"))
    held.gate.set()
    dock.wait()
    dock.view.image.image_chosen.emit(names.index("movie"))
    dock.wait()
    assert on(dock) == [0, 1], "what was there when it was left, and not what was being read"
    assert dock.controller.space.objects == {5}
    dock.end()


def changed_at(tmp_path: Path, position: int) -> Dock:
    """Return a dock with work at two positions that is in files, and has changed at one of them since."""
    dock = movie(tmp_path / "own")
    prompt_at(dock, 0, 1)
    save(dock, tmp_path / "w")
    go(dock, position)
    dock.prompt(7, 2, 16, 10)
    return dock


def recent_is_on(dock: Dock) -> list[int]:
    """Bring the only earlier work back, and return the positions that show labels."""
    (_,) = dock.controller.saving.recent
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    return on(dock)


@pytest.mark.parametrize("changed", [0, 1])
def test_what_is_in_files_comes_back_with_what_has_changed_since(tmp_path: Path, changed: int) -> None:
    one = changed_at(tmp_path, changed)
    one.end()
    two = movie(tmp_path / "own")
    assert recent_is_on(two) == [0, 1]
    assert np.unique(two.labels[changed]).tolist() == [0, 1, 7]
    two.end()


@pytest.mark.parametrize("changed", [0, 1])
def test_what_is_in_files_is_left_with_what_has_changed_since(tmp_path: Path, changed: int) -> None:
    dock = changed_at(tmp_path, changed)
    load(dock, tmp_path / "w_t0000.sam2.json")
    assert recent_is_on(dock) == [0, 1]
    dock.controller.image.begin_anew()
    dock.wait()
    assert on(dock) == [0, 1], "it comes back by itself"
    dock.end()


def test_positions_that_are_all_in_files_are_not_offered(tmp_path: Path) -> None:
    dock = changed_at(tmp_path, 1)
    prompt_at(dock, 2)
    for _ in range(2):
        dock.controller.saving.save()
        dock.wait()
    assert len([*(tmp_path / "own").iterdir()]) == 3
    dock.view.objects.objects_deleted.emit((1,))  # at the third, of which nothing is left
    dock.wait()
    dock.controller.files._may_replace = lambda _: True
    save(dock, tmp_path / "w")
    dock.controller.saving.save()
    dock.end()
    two = movie(tmp_path / "own")
    assert two.controller.saving.recent == ()
    two.end()


def test_a_position_that_cannot_be_saved_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 0, 1, 2)
    autosave, tried = Session.autosave_steps, list[Path]()

    def fails_first(session: Session, folder: Path, **remarks: Any) -> Generator[None, None, bool]:
        tried.append(folder)
        if len(tried) == 1:
            full()
        return autosave(session, folder, **remarks)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "autosave_steps", fails_first)
        one.end()
    two = movie(tmp_path / "own")
    (work,) = two.controller.saving.recent
    assert (work.closed, len(work.parts)) == (True, 2)
    two.end()


def cube(root: Path, *names: str) -> Dock:
    """Open a dock over an image that is as long along each of its axes."""
    viewer, length = ViewerModel(), 12
    values = np.random.default_rng(0).integers(0, 255, (length,) * len(names), np.uint8)
    viewer.add_image(values, name="cube", axis_labels=names, contrast_limits=(0, 255))
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    dock.wait()
    return dock


@pytest.mark.parametrize("names", [("z", "y", "x"), ("t", "z", "y", "x")])
def test_a_file_of_another_axis_is_refused_though_the_shape_is_the_same(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    one = cube(tmp_path / "own", *names)
    one.prompt(1, 5, 8, 6)
    save(one, tmp_path / "w")
    one.end()
    other = {"z": "y", "y": "z"} if len(names) == 3 else {"z": "t", "t": "z"}
    two = cube(tmp_path / "own", *(other.get(name, name) for name in names))
    two.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    with pytest.raises(ValueError, match=r"along axis .* along axis .*: choose the axis"):
        two.wait()
    assert not two.labels.any()
    two.end()


@pytest.mark.parametrize("kind", ["file", "recent"])
def test_what_the_layer_says_of_sizes_and_axes_counts_for_other_work(tmp_path: Path, kind: str) -> None:
    one = cells(tmp_path / "own")
    one.wait()
    one.prompt(1, MIDDLE, 8, 10)
    if kind == "file":
        save(one, tmp_path / "w")
    one.end()
    viewer = ViewerModel()
    add_frames(viewer, scale=(5, 0.5, 0.25), axis_labels=("t", "y", "x"))
    two = Dock(viewer, FakeModel(), Autosave(tmp_path / "own", every=0))
    two.wait()
    if kind == "file":
        load(two, tmp_path / "w.sam2.json")
    else:
        two.view.files.recent_requested.emit(0)
        two.wait()
    assert (two.session.geometry.axes, two.session.geometry.scale) == ("tyx", (5, 0.5, 0.25))
    two.end()


@pytest.mark.parametrize("name", ["w", "w_t0000.sam2.json"])
def test_a_file_comes_to_the_position_that_it_is_of(tmp_path: Path, name: str) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 2)
    save(one, tmp_path / name)
    one.end()
    (path,) = tmp_path.glob("*.sam2.json")
    two = movie(tmp_path / "own")
    prompt_at(two, 1, obj=5)
    load(two, path)
    assert on(two) == [2]
    two.end()


def test_files_that_were_renamed_keep_their_positions(tmp_path: Path) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 1, 2)
    save(one, tmp_path / "w")
    one.end()
    (tmp_path / "w_t0002.sam2.json").rename(tmp_path / "w_t0000.sam2.json")
    two = movie(tmp_path / "own")
    load(two, tmp_path / "w_t0000.sam2.json")
    assert on(two) == [1, 2]
    two.end()


@pytest.mark.parametrize("name", ["w", "w.sam2.json"])
def test_no_older_file_stays_under_the_name_that_was_chosen(tmp_path: Path, name: str) -> None:
    dock = movie(tmp_path / "own")
    prompt_at(dock, 0)
    save(dock, tmp_path / "w")
    prompt_at(dock, 1)
    asked = list[tuple[str, ...]]()

    def refuse(places: tuple[str, ...]) -> bool:
        asked.append(places)
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dock.controller.files, "_may_replace", refuse)
        save(dock, tmp_path / name)
    # The dialog has asked about the very name that was typed.
    assert asked == ([(str(tmp_path / "w.sam2.json"),)] if name == "w" else [])
    dock.controller.files._may_replace = lambda _: True
    save(dock, tmp_path / name)
    left = {path.name for path in tmp_path.glob("w*")}
    assert left == {f"w_t000{t}.sam2.{kind}" for t in (0, 1) for kind in ("json", "zarr")}
    dock.end()


def test_a_file_of_a_position_that_was_chosen_as_the_name_stays(tmp_path: Path) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 0, 1)
    save(one, tmp_path / "w")
    one.end()
    two = movie(tmp_path / "own")
    prompt_at(two, 1, 2)
    two.controller.files._may_replace = lambda _: True
    save(two, tmp_path / "w_t0000.sam2.json")
    assert len(list(tmp_path.glob("*.sam2.json"))) == 3
    two.end()


def test_nothing_is_written_while_other_work_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dock = beside_a_file(tmp_path)
    prompt_at(dock, 0, obj=5)
    told = list[str]()
    monkeypatch.setattr("napari_sam2._napari.controls.files.tell", told.append)
    dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    dock.view.files.save_requested.emit(str(tmp_path / "other"))
    dock.view.files.export_requested.emit(str(tmp_path / "other.csv"))
    dock.view.files.tracks_layer_requested.emit()
    dock.wait()
    assert len([text for text in told if text.startswith("Loading is under way")]) == 3
    save(dock, tmp_path / "other")
    assert read_description(tmp_path / "other.sam2.json").index == {0: 1}
    dock.end()


@pytest.mark.parametrize("ends", ["read", "leave", "image"])
def test_all_can_be_written_again_when_nothing_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    dock = beside_a_file(tmp_path)
    prompt_at(dock, 0, obj=5)
    with monkeypatch.context() as patch:
        if ends != "image":
            patch.setattr(*{"read": (Session, "load_steps"), "leave": (Autosave, "save_steps")}[ends], full)
        dock.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
        if ends == "image":
            dock.controller.image.begin_anew()
            dock.wait()
        else:
            with pytest.raises(OSError, match="no space left"):
                dock.wait()
    assert not dock.controller.saving.is_exchanging
    dock.end()


@pytest.mark.parametrize("method", ["open", "read", "put"])
@pytest.mark.parametrize("act", ["sliders", "contrast"])
def test_what_other_work_comes_to_stays_open_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, act: str
) -> None:
    one = movie(tmp_path / "own")
    prompt_at(one, 0, 1, 2)
    save(one, tmp_path / "w")
    one.end()
    dock = movie(tmp_path / "own")
    held = Held(monkeypatch, method)
    dock.view.files.load_requested.emit(str(tmp_path / "w_t0001.sam2.json"))
    held.until_entered()
    if act == "sliders":
        for t in (2, 1, 0, 1):
            dock.viewer.dims.set_current_step((0, 1), (t, 2))
    else:
        dock.viewer.layers["movie"].contrast_limits = (0, 99)
        pause(350)  # contrast is looked at when it rests
    held.gate.set()
    dock.wait()
    assert on(dock) == [0, 1, 2]
    for t in range(3):
        go(dock, t)
        assert dock.session.objects == (1,)
    assert "0-255" in dock.state.image.seen
    dock.end()
