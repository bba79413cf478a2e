"""Saving by itself, what is found after a crash, tracks and seeds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import Notification, notification_manager

from napari_sam2._napari.autosave import Autosave
from napari_sam2._napari.desk import Desk
from napari_sam2.prompts import PromptKey
from tests._napari.dock import MIDDLE, Dock, add_frames, pause
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


def saving_dock(root: Path, viewer: ViewerModel | None = None) -> Dock:
    """Open a dock over the same frames that saves itself whenever it is asked to."""
    viewer = viewer or ViewerModel()
    add_frames(viewer)
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    dock.show(MIDDLE)
    dock.wait()
    return dock


@pytest.fixture
def told() -> Iterator[list[Notification]]:
    """Collect notifications."""
    notes: list[Notification] = []
    notification_manager.notification_ready.connect(notes.append)
    yield notes
    notification_manager.notification_ready.disconnect(notes.append)


def crash(dock: Dock) -> None:
    """End as a crash would: nothing is saved any more."""
    dock.controller.saving._autosave = None
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_work_comes_back_after_a_crash_with_no_computation(tmp_path: Path, told: list[Any]) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.propagate()
    dock.controller.saving.save()
    dock.wait()
    labels = dock.labels.copy()
    scores = dock.state.review.score
    crash(dock)
    told.clear()
    again = saving_dock(tmp_path)
    (note,) = [each for each in told if each.actions]
    assert "1 object" in str(note.message)
    note.actions[0][1]()
    again.wait()
    np.testing.assert_array_equal(again.labels, labels)
    np.testing.assert_array_equal(again.state.review.score, scores)
    assert len(again.layers.points.data) == 1
    assert not again.fake.asked
    again.end()


@pytest.mark.usefixtures("qapp")
def test_a_normal_close_leaves_nothing_to_offer(tmp_path: Path, told: list[Any]) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.end()
    assert list(tmp_path.iterdir()), "the last words of a dock that closes"
    told.clear()
    saving_dock(tmp_path).end()
    assert not [each for each in told if each.actions]


@pytest.mark.usefixtures("qapp")
def test_what_is_not_wanted_is_deleted(tmp_path: Path, told: list[Any]) -> None:
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.saving.save()
    dock.wait()
    crash(dock)
    again = saving_dock(tmp_path)
    (note,) = [each for each in told if each.actions]
    note.actions[1][1]()
    again.wait()
    assert not list(tmp_path.iterdir())
    again.end()


@pytest.mark.usefixtures("qapp")
def test_it_is_saved_off_this_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    save = Autosave.save

    def noting(self: Autosave, *args: Any, **kwargs: Any) -> bool:
        names.add(threading.current_thread().name)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Autosave, "save", noting)
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.saving.save()
    dock.wait()
    dock.end()
    assert names == {"napari-sam2-inference"}


@pytest.mark.usefixtures("qapp")
def test_what_the_user_has_saved_is_not_kept_twice(tmp_path: Path) -> None:
    dock = saving_dock(tmp_path / "cache")
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.saving.save()
    dock.wait()
    assert list((tmp_path / "cache").iterdir())
    dock.view.files.save_requested.emit(str(tmp_path / "cells"))
    dock.wait()
    assert not list((tmp_path / "cache").iterdir())
    dock.end()


@pytest.mark.usefixtures("qapp")
def test_a_disk_that_is_full_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> bool:
        raise OSError("no space left")

    monkeypatch.setattr(Autosave, "save", fail)
    dock = saving_dock(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.saving.save()
    with pytest.raises(OSError, match="save it by hand"):
        dock.wait()
    dock.controller.saving.save()
    dock.wait()
    dock.end()


def test_nothing_is_saved_where_the_settings_say_so(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.saving.save()
    bench.wait()
    assert bench.controller.saving.last_words() is None


def test_the_tracks_layer(bench: Dock) -> None:
    bench.view.files.tracks_layer_requested.emit()
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


def test_seeds_from_points_are_new_objects_in_one_step(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 20, 4)
    bench.viewer.add_points([[MIDDLE, 8, 10], [MIDDLE, 16, 10]], name="nuclei")
    bench.view.tools.seed_requested.emit()
    bench.wait()
    assert bench.session.objects == (1, 2, 3)
    assert bench.session.prompts[PromptKey(3, MIDDLE)].points == ((16, 10),)
    assert len(bench.layers.points.data) == 3
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == (1,)


def test_a_click_goes_between_seeds(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []
    seed, declare = Desk.seed, Desk.declare

    def seeding(self: Desk, key: PromptKey, *args: Any) -> Any:
        order.append(key.obj)
        if key.obj == 3:
            entered.set()
            assert gate.wait(5)
        return seed(self, key, *args)

    def declaring(self: Desk, key: PromptKey, *args: Any) -> Any:
        order.append(key.obj)
        return declare(self, key, *args)

    monkeypatch.setattr(Desk, "seed", seeding)
    monkeypatch.setattr(Desk, "declare", declaring)
    entered, gate = threading.Event(), threading.Event()
    bench.viewer.add_points([[MIDDLE, 2 + 2 * number, 10] for number in range(8)], name="nuclei")
    bench.view.tools.seed_requested.emit()
    assert entered.wait(5)
    bench.view.tools.new_object.emit()
    assert bench.state.objects.active == 9
    bench.layers.points.add([MIDDLE, 20, 4])
    pause(1)
    gate.set()
    bench.wait()
    assert order == [1, 2, 3, 9, 4, 5, 6, 7, 8]
    assert bench.session.objects == tuple(range(1, 10))
    assert len(bench.layers.points.data) == 9


def test_seeds_that_fail_are_told_once(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(Desk, "seed", fail)
    bench.viewer.add_points([[MIDDLE, 2 + 2 * number, 10] for number in range(8)], name="nuclei")
    bench.view.tools.seed_requested.emit()
    with pytest.raises(ValueError, match="no"):
        bench.wait()
    assert bench.failures == []


def test_seeds_from_labels_keep_their_ids(bench: Dock) -> None:
    seeds = np.zeros(bench.labels.shape, np.uint8)
    seeds[2, 5:9, 5:9] = 7
    bench.viewer.add_labels(seeds)
    bench.view.tools.seed_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, seeds)


def test_without_a_layer_there_are_no_seeds(bench: Dock) -> None:
    bench.view.tools.seed_requested.emit()
    bench.viewer.add_points([[MIDDLE, 800, 10]])
    bench.view.tools.seed_requested.emit()
    bench.view.tools.seed_next_t_requested.emit()
    bench.wait()
    assert not bench.session.objects
