"""Work that goes on where its image was left: by turning to another image and back, or closing the dock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer, Points
from napari.utils.notifications import Notification, notification_manager

from napari_sam2._napari.work.autosave import Autosave
from tests._napari.dock import MIDDLE, Dock, add_frames, frames
from tests.fakes import FakeModel

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("qapp")]


def open_dock(root: Path, viewer: ViewerModel) -> Dock:
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    dock.wait()
    return dock


@pytest.fixture
def viewer() -> ViewerModel:
    """Return one with two images."""
    viewer = ViewerModel()
    viewer.add_image(frames(5) + np.uint8(20), name="other", contrast_limits=(0, 255))
    add_frames(viewer)
    return viewer


@pytest.fixture
def dock(tmp_path: Path, viewer: ViewerModel) -> Any:
    """Yield one with a tracked object."""
    dock = open_dock(tmp_path, viewer)
    assert dock.state.image.layers[dock.state.image.chosen or 0] == "cells"
    dock.prompt(1, MIDDLE, 8, 10)
    dock.propagate()
    yield dock
    dock.end()


def turn_to(dock: Dock, name: str) -> None:
    dock.view.image.image_chosen.emit(dock.state.image.layers.index(name))
    dock.wait()


def objects(dock: Dock) -> list[int]:
    return sorted(dock.controller.space.objects)


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers if not layer.name.startswith("other")]


def of_cells(dock: Dock) -> tuple[Layer, ...]:
    return dock.layers.labels, dock.layers.shapes, dock.layers.points


def test_work_goes_on_when_its_image_is_turned_to_again(dock: Dock) -> None:
    dock.layers.labels.name = "my cells"
    labels, confidence = dock.labels.copy(), dock.state.review.confidence
    turn_to(dock, "other")
    assert objects(dock) == []
    assert "my cells" in names(dock.viewer)
    asked = len(dock.fake.asked)
    turn_to(dock, "cells")
    assert names(dock.viewer) == ["cells", "my cells", "cells boxes", "cells points"], "none is there twice"
    np.testing.assert_array_equal(dock.labels, labels)
    np.testing.assert_array_equal(dock.state.review.confidence, confidence)
    assert len(dock.layers.points.data) == 1
    assert len(dock.fake.asked) == asked, "nothing is computed"


def test_work_goes_on_when_the_dock_is_opened_again(tmp_path: Path, viewer: ViewerModel) -> None:
    for expected in ([], [1], [1, 2]):
        dock = open_dock(tmp_path, viewer)
        assert objects(dock) == expected
        dock.prompt(len(expected) + 1, MIDDLE, 4 + 7 * len(expected), 10)
        labels = dock.labels.copy()
        dock.end()
    assert len(np.unique(labels)) == 4
    assert len(names(viewer)) == 4


def test_another_viewer_is_not_filled_by_itself(tmp_path: Path, viewer: ViewerModel) -> None:
    dock = open_dock(tmp_path, viewer)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.end()
    second = ViewerModel()
    add_frames(second)
    again = open_dock(tmp_path, second)
    assert objects(again) == []
    assert len(again.state.files.recent) == 1
    again.end()


def paints(dock: Dock, labels: Layer, _points: Points) -> None:
    labels.data[0, :3, :3] = 7


def moves_a_point(dock: Dock, _labels: Layer, points: Points) -> None:
    points.data = points.data + 1


@pytest.mark.parametrize(("changes", "kept"), [(paints, ["labels"]), (moves_a_point, ["points"])])
def test_what_was_changed_meanwhile_stays(dock: Dock, changes: Any, kept: list[str]) -> None:
    labels, _, points = before = of_cells(dock)
    turn_to(dock, "other")
    changes(dock, labels, points)
    turn_to(dock, "cells")
    assert objects(dock) == [1]
    stay = [layer for layer in before if layer in dock.viewer.layers]
    assert [layer.name for layer in stay] == [f"cells {each}" for each in kept]
    assert not set(stay) & set(of_cells(dock))


def test_a_copy_of_a_layer_that_was_left_stays(dock: Dock) -> None:
    labels = dock.layers.labels
    turn_to(dock, "other")
    copy = Layer.create(*labels.as_layer_data_tuple())
    dock.viewer.add_layer(copy)
    assert json.loads(json.dumps(copy.metadata)) == copy.metadata, "as those who save layers may write it"
    turn_to(dock, "cells")
    assert objects(dock) == [1]
    assert copy in dock.viewer.layers
    assert labels not in dock.viewer.layers


@pytest.mark.parametrize("which", [0, 1, 2])
def test_who_deletes_a_layer_that_was_left_is_done_with_the_work(dock: Dock, which: int) -> None:
    before = of_cells(dock)
    turn_to(dock, "other")
    dock.viewer.layers.remove(before[which])
    turn_to(dock, "cells")
    assert objects(dock) == []
    assert len(dock.state.files.recent) == 1, "it can still be had"
    dock.view.files.recent_requested.emit(0)
    dock.wait()
    assert objects(dock) == [1]
    assert len(names(dock.viewer)) == 4, "and what is left of its layers goes then"


def test_a_layer_that_is_deleted_during_work_does_not_come_back_by_itself(dock: Dock) -> None:
    dock.viewer.layers.remove(dock.layers.points)
    dock.wait()
    assert objects(dock) == []


def add_movie(viewer: ViewerModel) -> None:
    movie = np.stack([frames(4)] * 3)
    viewer.add_image(movie, name="cells", axis_labels=("t", "z", "y", "x"), contrast_limits=(0, 255))


def test_along_another_axis_work_begins_anew(tmp_path: Path) -> None:
    viewer = ViewerModel()
    add_movie(viewer)
    dock = open_dock(tmp_path, viewer)
    dock.prompt(1, 2, 8, 10)
    axis = dock.layers.geometry.frame_axis
    chosen = dock.state.image.frame_axis
    assert chosen is not None
    for choice, expected in ((1 - chosen, []), (chosen, [1])):
        dock.view.image.axis_chosen.emit(choice)
        dock.wait()
        assert (dock.layers.geometry.frame_axis == axis) == bool(expected)
        assert objects(dock) == expected
    assert len(names(viewer)) == 4
    dock.end()


@pytest.mark.parametrize("painted", [False, True])
def test_all_positions_come_back(tmp_path: Path, painted: bool) -> None:
    viewer = ViewerModel()
    viewer.add_image(frames(5), name="other", contrast_limits=(0, 255))
    add_movie(viewer)
    dock = open_dock(tmp_path, viewer)
    for t in (0, 2):
        viewer.dims.set_current_step((0, 1), (t, 2))
        dock.wait()
        dock.prompt(1, 2, 8, 10)
    labels, before = dock.labels.copy(), of_cells(dock)
    turn_to(dock, "other")
    if painted:
        before[0].data[1, 0, :3, :3] = 1  # where nothing was said
    turn_to(dock, "cells")
    np.testing.assert_array_equal(dock.labels, labels)
    assert [layer.name for layer in before if layer in viewer.layers] == ["cells labels"] * painted
    dock.end()


def test_who_clicks_before_it_is_found_begins_anew(dock: Dock) -> None:
    turn_to(dock, "other")
    dock.view.image.image_chosen.emit(dock.state.image.layers.index("cells"))
    dock.prompt(5, MIDDLE, 18, 15)
    assert objects(dock) == [5]
    assert len(dock.state.files.recent) == 1


def save(dock: Dock, path: Path) -> None:
    dock.view.files.save_requested.emit(str(path))
    dock.wait()


@pytest.mark.parametrize("loaded", [False, True])
def test_work_that_the_user_has_in_a_file_comes_back_too(dock: Dock, tmp_path: Path, loaded: bool) -> None:
    path = tmp_path / "mine.sam2.json"
    save(dock, path)
    labels = dock.labels.copy()
    if loaded:
        dock.view.files.load_requested.emit(str(path))
        dock.wait()
    turn_to(dock, "other")
    turn_to(dock, "cells")
    np.testing.assert_array_equal(dock.labels, labels)
    assert dock.state.files.recent == (), "what is in a file is not listed"
    assert len(names(dock.viewer)) == 4


def test_of_work_that_was_changed_after_it_was_saved_the_later_comes_back(dock: Dock, tmp_path: Path) -> None:
    save(dock, tmp_path / "mine.sam2.json")
    dock.prompt(2, MIDDLE, 18, 15)
    turn_to(dock, "other")
    turn_to(dock, "cells")
    assert objects(dock) == [1, 2]
    assert len(names(dock.viewer)) == 4


def test_of_a_file_that_is_gone_nothing_is_said(dock: Dock, tmp_path: Path) -> None:
    path = tmp_path / "mine.sam2.json"
    save(dock, path)
    turn_to(dock, "other")
    path.unlink()
    turn_to(dock, "cells")
    assert objects(dock) == []


@pytest.mark.parametrize("same", [True, False])
def test_loading_a_file_takes_layers_away_that_show_the_same(
    tmp_path: Path, viewer: ViewerModel, same: bool
) -> None:
    dock = open_dock(tmp_path, viewer)
    dock.prompt(1, MIDDLE, 8, 10)
    path = tmp_path / "mine.sam2.json"
    save(dock, path)
    if not same:
        dock.prompt(2, MIDDLE, 18, 15)
    before = of_cells(dock)
    dock.end()
    again = Dock(dock.viewer, FakeModel())
    again.wait()
    assert objects(again) == [], "without autosave nothing comes back by itself"
    again.view.files.load_requested.emit(str(path))
    again.wait()
    assert objects(again) == [1]
    assert [layer in dock.viewer.layers for layer in before] == [not same] * 3
    again.end()


def test_it_is_said(dock: Dock) -> None:
    told: list[Notification] = []
    turn_to(dock, "other")
    notification_manager.notification_ready.connect(told.append)
    turn_to(dock, "cells")
    notification_manager.notification_ready.disconnect(told.append)
    assert [str(each.message) for each in told] == ["Your work is back."]
