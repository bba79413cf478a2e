"""Saving by itself, what is found after a crash or a close, and tracks."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.keys import Command
from napari_sam2._napari.views.hints import hint
from napari_sam2._napari.work.autosave import Autosave
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.presence import signature
from napari_sam2._napari.work.worker import Priority
from napari_sam2.prompts import PromptKey
from tests._napari.dock import MIDDLE, Dock, add_frames, frames, pause, until
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


def saving_dock(root: Path, viewer: ViewerModel | None = None) -> Dock:
    """Open a dock over the same frames that saves itself whenever it is asked to."""
    viewer = viewer or ViewerModel()
    add_frames(viewer)
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    dock.show(MIDDLE)
    dock.wait()
    until(lambda: dock.session.is_ready(MIDDLE))  # what is done ahead of the user
    dock.wait()
    return dock


@pytest.fixture
def told() -> Iterator[list[Notification]]:
    """Collect notifications."""
    notes: list[Notification] = []
    notification_manager.notification_ready.connect(notes.append)
    yield notes
    notification_manager.notification_ready.disconnect(notes.append)


def prompted_dock(root: Path) -> Dock:
    """Open one, with one object that is saved."""
    dock = saving_dock(root)
    dock.prompt(1, MIDDLE, 8, 10)
    save(dock)
    return dock


def save(dock: Dock) -> None:
    dock.controller.saving.save()
    dock.wait()


def crash(dock: Dock) -> None:
    """End as a crash would: nothing is saved any more, and the program that worked on it has ended."""
    autosave, dock.controller.saving._autosave = dock.controller.saving._autosave, None
    dock.end()
    if autosave is not None:
        for each in autosave.root.glob("*/alive"):
            each.write_text(json.dumps({**json.loads(signature()), "began": 0.0}), encoding="utf-8")


@pytest.mark.usefixtures("qapp")
def test_no_file_is_touched_on_the_thread_of_the_viewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = prompted_dock(tmp_path)
    threads = list[str]()
    monkeypatch.setattr(Path, "touch", lambda *_, **__: threads.append(threading.current_thread().name))
    save(dock)
    monkeypatch.undo()
    assert set(threads) == {"napari-sam2-inference"}
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_another_viewer_works_on_is_not_taken_for_left(tmp_path: Path, told: list[Any]) -> None:
    one = prompted_dock(tmp_path)
    told.clear()
    other = saving_dock(tmp_path)
    assert other.state.files.recent == ()
    assert not [each for each in told if each.actions]
    crash(one)
    other.end()
    third = saving_dock(tmp_path)
    assert [each for each in told if each.actions]
    assert len(third.state.files.recent) == 1
    third.end()


@pytest.mark.usefixtures("qapp")
def test_work_comes_back_after_a_crash_with_no_computation(tmp_path: Path, told: list[Any]) -> None:
    dock = prompted_dock(tmp_path)
    dock.propagate()
    save(dock)
    labels = dock.labels.copy()
    scores = dock.state.review.confidence
    crash(dock)
    told.clear()
    again = saving_dock(tmp_path)
    (note,) = [each for each in told if each.actions]
    assert "1 object" in str(note.message)
    note.actions[0][1]()
    again.wait()
    np.testing.assert_array_equal(again.labels, labels)
    np.testing.assert_array_equal(again.state.review.confidence, scores)
    assert len(again.layers.points.data) == 1
    assert not again.fake.asked
    again.end()


@pytest.mark.usefixtures("qapp")
def test_what_the_frames_were_called_comes_back(tmp_path: Path) -> None:
    dock = prompted_dock(tmp_path)
    dock.view.image.letter_chosen.emit(1)
    dock.wait()
    save(dock)
    crash(dock)
    again = saving_dock(tmp_path)
    assert again.state.image.letter == 0
    again.controller.saving.choose_recent(0)
    again.wait()
    assert (again.state.image.letter, again.session.geometry.axes) == (1, "tyx")
    again.end()


@pytest.mark.usefixtures("qapp")
def test_after_a_normal_close_nothing_is_offered_but_listed(tmp_path: Path, told: list[Any]) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.propagate()
    labels = dock.labels.copy()
    dock.end()
    assert list(tmp_path.iterdir()), "the last words of a dock that closes"
    told.clear()
    again = saving_dock(tmp_path)
    assert not [each for each in told if each.actions]
    (text,) = again.state.files.recent
    assert text.startswith("1 object, ")
    assert "recent work" in hint(again.state).text
    again.view.show_state(again.state)
    (entry,) = again.view.files._earlier.actions()
    assert (entry.text(), again.view.files._recent.isEnabled()) == (text, True)
    entry.trigger()
    again.wait()
    np.testing.assert_array_equal(again.labels, labels)
    assert not again.fake.asked, "nothing is computed"
    assert again.state.files.recent == ()
    again.end()


@pytest.mark.usefixtures("qapp")
def test_work_of_another_window_is_listed_when_the_user_comes_to_the_list(tmp_path: Path) -> None:
    one, other = prompted_dock(tmp_path), saving_dock(tmp_path)
    listed = [len(other.state.files.recent)]
    one.end()
    for comes in (QEvent.Type.Enter, QEvent.Type.WindowActivate):
        QApplication.sendEvent(other.view.files, QEvent(comes))
        other.wait()
        listed.append(len(other.state.files.recent))
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
    assert listed == [0, 1, 0]
    other.end()


@pytest.mark.usefixtures("qapp")
def test_nothing_is_looked_for_where_no_image_is_open(tmp_path: Path) -> None:
    dock = Dock(ViewerModel(), FakeModel(), Autosave(tmp_path, every=0))
    QApplication.sendEvent(dock.view.files, QEvent(QEvent.Type.Enter))
    dock.wait()
    assert dock.state.files.recent == ()
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_recent_work_takes_the_place_of_is_recent_then(tmp_path: Path) -> None:
    prompted_dock(tmp_path).end()
    dock = saving_dock(tmp_path)
    for obj, y in ((1, 4), (2, 16)):
        dock.prompt(obj, 0, y, 10)
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert (dock.session.objects, dock.on) == ((1,), [MIDDLE])
    (text,) = dock.state.files.recent
    assert text.startswith("2 objects")
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert (dock.session.objects, dock.on) == ((1, 2), [0])
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_an_image_that_was_left_is_found_with_its_work(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    points = dock.layers.points
    dock.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    for index, recent in ((1, 0), (0, 1)):
        dock.view.image.image_chosen.emit(index)
        dock.wait()
        assert len(dock.state.files.recent) == recent
        if index:
            dock.viewer.layers.remove(points)  # or it would come back by itself
    assert not dock.session.objects
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert dock.session.objects == (1,)
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_was_left_right_before_the_dock_closes_is_saved(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    dock.wait()
    gate = threading.Event()
    dock.controller.worker.submit(lambda: gate.wait(60), priority=Priority.CLICK)
    dock.view.image.image_chosen.emit(1)
    threading.Timer(0.1, gate.set).start()
    dock.end()
    assert len(Autosave(tmp_path).work()) == 1


def hold(dock: Dock) -> threading.Event:
    """Keep the thread busy until the test lets it go."""
    gate = threading.Event()
    dock.controller.worker.submit(lambda: gate.wait(60), priority=Priority.CLICK)
    return gate


@pytest.mark.usefixtures("qapp")
def test_what_still_waits_is_said_of_an_image_that_was_left(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    dock.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    dock.wait()
    dock.view.image.image_chosen.emit(0)
    dock.wait()
    gate = hold(dock)
    dock.widget.set_prompts(1, MIDDLE, click(8, 10))
    dock.layers.points.add([MIDDLE - 1, 16, 10])  # not read yet
    dock.view.objects.object_renamed.emit(1, "mother")
    dock.view.image.image_chosen.emit(1)
    gate.set()
    dock.wait()
    assert [layer.name for layer in dock.viewer.layers if "other" in layer.name and layer.name != "other"]
    assert not dock.labels.any()
    assert not dock.session.objects
    dock.view.image.image_chosen.emit(0)
    dock.wait()
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert {*dock.session.prompts} == {PromptKey(1, MIDDLE), PromptKey(1, MIDDLE - 1)}
    assert dock.state.objects.rows[0].name == "mother"
    assert dock.labels[MIDDLE].any()
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_the_first_click_is_said_though_its_image_was_not_open(tmp_path: Path) -> None:
    viewer = ViewerModel()
    add_frames(viewer)
    dock = Dock(viewer, FakeModel(), Autosave(tmp_path, every=0))
    gate = hold(dock)
    dock.show(MIDDLE)
    dock.widget.set_prompts(1, MIDDLE, click(8, 10))
    threading.Timer(0.1, gate.set).start()
    dock.end()
    (work,) = Autosave(tmp_path).work()
    assert "1 object" in work.text


@pytest.mark.usefixtures("qapp")
def test_what_was_said_right_before_the_dock_closes_is_saved(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.layers.points.add([MIDDLE - 1, 16, 10])  # not read yet
    dock.end()
    again = saving_dock(tmp_path)
    again.view.files.recent_requested.emit(0)
    again.wait()
    assert {*again.session.prompts} == {PromptKey(1, MIDDLE), PromptKey(1, MIDDLE - 1)}
    again.end()


@pytest.mark.usefixtures("qapp")
def test_an_image_of_which_nothing_was_said_is_not_opened_after_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = saving_dock(tmp_path)
    dock.viewer.add_image(np.full((4, 30, 26), 60, np.uint8), name="other", contrast_limits=(0, 255))
    dock.viewer.add_image(np.full((4, 20, 26), 60, np.uint8), name="third", contrast_limits=(0, 255))
    dock.wait()
    opened: list[tuple[int, ...]] = []
    begin = Desk.open

    def noted(desk: Desk, opening: Any, model: Any) -> Any:
        opened.append(opening.view.data.shape)
        return begin(desk, opening, model)

    monkeypatch.setattr(Desk, "open", noted)
    gate = hold(dock)
    dock.view.image.image_chosen.emit(1)
    dock.view.image.image_chosen.emit(2)
    gate.set()
    dock.wait()
    assert opened == [(4, 20, 26)]
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_a_file_takes_the_place_of_is_recent_then(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path / "cache")
    dock.prompt(1, MIDDLE, 8, 10)
    dock.view.files.save_requested.emit(str(tmp_path / "cells"))
    dock.wait()
    dock.prompt(2, MIDDLE, 16, 10)
    dock.view.files.load_requested.emit(str(tmp_path / "cells.sam2.json"))
    dock.wait()
    assert dock.session.objects == (1,)
    dock.end()
    again = saving_dock(tmp_path / "cache")
    assert "2 objects" in " ".join(again.state.files.recent)
    again.end()


@pytest.mark.usefixtures("qapp")
def test_what_the_network_sees_of_loaded_work_is_said(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    image = dock.controller.space.image
    assert image is not None
    image.contrast_limits = (20, 200)
    dock.prompt(1, MIDDLE, 8, 10)
    assert "20-200" in dock.state.image.seen
    dock.end()
    again = saving_dock(tmp_path)
    again.view.files.recent_requested.emit(0)
    again.wait()
    assert again.session.volume.contrast == (20, 200)
    assert "20-200" in again.state.image.seen
    again.end()


@pytest.mark.usefixtures("qapp")
def test_what_is_not_wanted_is_deleted(tmp_path: Path, told: list[Any]) -> None:
    crash(prompted_dock(tmp_path))
    again = saving_dock(tmp_path)
    (note,) = [each for each in told if each.actions]
    note.actions[1][1]()
    again.wait()
    assert not list(tmp_path.iterdir())
    again.end()


@pytest.mark.usefixtures("qapp")
def test_work_of_which_nothing_is_left_is_not_offered(tmp_path: Path, told: list[Any]) -> None:
    dock = prompted_dock(tmp_path)
    dock.view.objects.objects_deleted.emit((1,))
    dock.wait()
    save(dock)
    crash(dock)
    told.clear()
    again = saving_dock(tmp_path)
    assert not [each for each in told if each.actions]
    assert again.state.files.recent == ()
    again.end()


class Movie:
    """An array (t, z, y, x) of which the first t cannot be read, once it is broken."""

    def __init__(self) -> None:
        self.data = np.stack([frames()] * 2)
        self.shape, self.ndim, self.dtype = self.data.shape, 4, self.data.dtype
        self.is_broken = False

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        if self.is_broken and key[0] == 0:
            raise OSError("frame 0 cannot be read")
        return self.data[key]


@pytest.mark.usefixtures("qapp")
def test_an_image_with_a_frame_that_cannot_be_read_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.sequence.warn", said.append)

    def movie() -> ViewerModel:
        """Return a viewer at the second t of (t, z, y, x), of which the first t cannot be read."""
        viewer, data = ViewerModel(), Movie()
        options: dict[str, Any] = {"axis_labels": ("t", "z", "y", "x"), "contrast_limits": (0, 255)}
        viewer.add_image(data, name="cells", multiscale=False, **options)
        viewer.dims.set_current_step((0, 1), (1, MIDDLE))
        data.is_broken = True
        return viewer

    dock = Dock(movie(), FakeModel(), Autosave(tmp_path, every=0))
    dock.wait()
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.sequences.at_index({0: 0})
    dock.wait()
    assert said == ["Not all of this image can be read: frame 0 cannot be read. The rest can be worked on."]
    dock.end()
    again = Dock(movie(), FakeModel(), Autosave(tmp_path))
    again.wait()
    assert len(again.state.files.recent) == 1
    again.view.files.recent_requested.emit(0)
    again.wait()
    assert again.session.objects == (1,)
    again.end()


@pytest.mark.usefixtures("qapp")
def test_it_is_saved_off_this_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    save_steps = Autosave.save_steps

    def noting(self: Autosave, *args: Any, **kwargs: Any) -> Generator[None, None, bool]:
        names.add(threading.current_thread().name)
        return save_steps(self, *args, **kwargs)

    monkeypatch.setattr(Autosave, "save_steps", noting)
    prompted_dock(tmp_path).end()
    assert names == {"napari-sam2-inference"}


@pytest.mark.usefixtures("qapp")
def test_it_is_saved_while_much_waits_to_be_done(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    saved, gate = list[int](), threading.Event()
    space = dock.controller.space
    dock.controller.worker.submit(lambda: gate.wait(60), priority=Priority.CLICK)
    for _ in range(5):
        space.ask(lambda desk: desk.edit(lambda _: saved.append(len(list(tmp_path.iterdir())))))
    dock.controller.saving.save()
    gate.set()
    dock.wait()
    assert saved == [1] * 5
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_gives_way_to_recent_work_is_not_saved_as_that(tmp_path: Path) -> None:
    prompted_dock(tmp_path).end()
    dock = saving_dock(tmp_path)
    dock.prompt(2, 0, 16, 10)
    gate = threading.Event()
    dock.controller.worker.submit(lambda: gate.wait(60), priority=Priority.CLICK)
    dock.view.files.recent_requested.emit(0)
    dock.controller.saving.save()
    gate.set()
    dock.wait()
    save(dock)
    assert len(list(tmp_path.iterdir())) == 2
    (left,) = Autosave(tmp_path).work()
    assert (left.parts[0].frames, left.parts[0].objects) == (1, frozenset({2}))
    assert left.parts[0].group != dock.controller.sequences.group.name
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_what_the_user_has_saved_is_not_kept_twice(tmp_path: Path, told: list[Any]) -> None:
    dock = prompted_dock(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir())
    dock.view.files.save_requested.emit(str(tmp_path / "cells"))
    dock.wait()
    save(dock)
    assert not list((tmp_path / "cache").iterdir())
    crash(dock)
    told.clear()
    again = saving_dock(tmp_path / "cache")
    assert not [each for each in told if each.actions], "nothing was lost"
    again.view.files.load_requested.emit(str(tmp_path / "cells.sam2.json"))
    again.wait()
    save(again)
    assert not list((tmp_path / "cache").iterdir()), "it is still what the file holds"
    again.prompt(2, MIDDLE, 16, 10)
    save(again)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    crash(again)
    third = saving_dock(tmp_path / "cache")
    (note,) = [each for each in told if each.actions]
    assert "2 objects" in str(note.message)
    third.end()


@pytest.mark.usefixtures("qapp")
def test_a_disk_that_is_full_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> bool:
        raise OSError("no space left")

    monkeypatch.setattr(Autosave, "save_steps", fail)
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    with pytest.raises(OSError, match="save it by hand"):
        save(dock)
    save(dock)
    dock.end()


def test_nothing_is_saved_where_the_settings_say_so(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.saving.save()
    bench.wait()
    assert bench.controller.saving.last_words() is None


def test_the_tracks_layer(bench: Dock) -> None:
    bench.view.files.tracks_layer_requested.emit()
    with pytest.raises(ValueError, match="No object has a mask yet"):
        bench.wait()
    assert "cells tracks" not in bench.viewer.layers
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    active = bench.viewer.layers.selection.active
    bench.view.files.tracks_layer_requested.emit()
    bench.wait()
    tracks = bench.viewer.layers["cells tracks"]
    assert tracks.data.shape == (len(bench.on), 4)
    assert set(tracks.data[:, 1].astype(int)) == set(bench.on)
    assert bench.viewer.layers.selection.active is active


def test_a_division_goes_into_tracks_and_res_track(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE + 2)
    bench.layers.commanded.emit(Command.DIVIDES_HERE)
    bench.wait()
    for obj, y in ((2, 6), (3, 14)):
        bench.prompt(obj, MIDDLE + 2, y, 10)
    bench.propagate()
    bench.view.files.tracks_layer_requested.emit()
    bench.view.files.export_requested.emit(str(tmp_path / "cells_RES"))
    bench.wait()
    assert {child: list(each) for child, each in bench.viewer.layers["cells tracks"].graph.items()} == {
        2: [1],
        3: [1],
    }
    lines = (tmp_path / "cells_RES" / "res_track.txt").read_text().splitlines()
    begun = {int(line.split()[0]): (int(line.split()[1]), int(line.split()[3])) for line in lines}
    assert begun == {1: (0, 0), 2: (MIDDLE + 2, 1), 3: (MIDDLE + 2, 1)}
    assert int(lines[0].split()[2]) == MIDDLE + 1


@pytest.mark.usefixtures("qapp")
def test_earlier_work_is_found_though_the_slider_moved_before_the_network_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def movie() -> ViewerModel:
        viewer = ViewerModel()
        viewer.add_image(np.stack([frames(4)] * 3), axis_labels=tuple("tzyx"), contrast_limits=(0, 255))
        return viewer

    one = Dock(movie(), FakeModel(), Autosave(tmp_path, every=0))
    one.wait()
    one.prompt(1, 2, 8, 10)
    one.end()
    gate, load = threading.Event(), Dock._load
    monkeypatch.setattr(Dock, "_load", lambda dock, choice: load(dock, choice) if gate.wait(60) else None)
    two = Dock(movie(), FakeModel(), Autosave(tmp_path, every=0))
    two.viewer.dims.set_current_step(0, 0)
    pause(600)  # as a user who rests there
    gate.set()
    until(lambda: bool(two.state.files.recent))
    two.end()
