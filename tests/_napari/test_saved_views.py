"""Sessions of a channel or a composite: saved, loaded where something else is seen, found after a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.colormaps import ensure_colormap

from napari_sam2._napari.image.composite import CompositeFrames, coloured
from napari_sam2._napari.work.autosave import Autosave
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, frames
from tests.fakes import FakeModel

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("qapp")]


def two_channels(root: Path) -> Dock:
    """Return a dock over (z, c, y, x) that sees channel 1."""
    viewer = ViewerModel()
    both = np.stack((frames(), 255 - frames()), axis=1)
    viewer.add_image(both, name="both", axis_labels=("z", "c", "y", "x"), contrast_limits=(0, 255))
    return opened(viewer, root)


def two_layers(root: Path) -> Dock:
    """Return a dock over one of two layers, alone."""
    viewer = ViewerModel()
    viewer.add_image(frames(), name="red", colormap="red", contrast_limits=(0, 200))
    viewer.add_image(255 - frames(), name="green", colormap="green", contrast_limits=(0, 255))
    return opened(viewer, root)


def opened(viewer: ViewerModel, root: Path) -> Dock:
    dock = Dock(viewer, FakeModel(), Autosave(root / "own", every=0))
    dock.view.image.image_chosen.emit(0)
    dock.show(MIDDLE)
    dock.wait()
    return dock


def work(dock: Dock, choice: int = 1) -> None:
    """Choose the second channel, or a composite, and prompt."""
    dock.view.image.channel_chosen.emit(choice)
    dock.wait()
    dock.prompt(1, MIDDLE, 8, 10)


CHOICES = [(two_channels, 1, "channel 2"), (two_channels, 2, "channels 1+2"), (two_layers, 1, "composite")]


@pytest.mark.parametrize(("open_dock", "choice", "text"), CHOICES)
def test_a_loaded_session_brings_its_view(
    open_dock: Callable[[Path], Dock], choice: int, text: str, tmp_path: Path
) -> None:
    one = open_dock(tmp_path)
    work(one, choice)
    seen, shown = one.state.image.seen, one.session.volume.frame(2)
    assert text in seen
    one.view.files.save_requested.emit(str(tmp_path / "work"))
    one.wait()
    one.end()
    other = open_dock(tmp_path)
    for layer in other.viewer.layers:
        if layer.name in {"red", "green", "both"}:
            layer.contrast_limits = (0, 150)
    other.viewer.layers[0].visible = False
    other.view.files.load_requested.emit(str(tmp_path / "work.sam2.json"))
    other.wait()
    assert (other.state.image.channel, other.state.image.seen) == (choice, seen)
    np.testing.assert_array_equal(other.session.volume.frame(2), shown)
    other.prompt(1, MIDDLE, 8, 11)
    assert other.state.image.seen == seen
    other.end()


@pytest.mark.parametrize(("open_dock", "choice", "text"), CHOICES)
def test_work_is_found_whatever_is_seen(
    open_dock: Callable[[Path], Dock], choice: int, text: str, tmp_path: Path
) -> None:
    one = open_dock(tmp_path)
    work(one, choice)
    assert text in one.state.image.seen
    seen = one.state.image.seen
    one.end()
    other = open_dock(tmp_path)
    assert len(other.state.files.recent) == 1
    other.controller.saving.choose_recent(0)
    other.wait()
    assert other.session.objects == (1,)
    assert (other.state.image.channel, other.state.image.seen) == (choice, seen)
    other.end()


def test_a_layer_that_is_missing_is_named(tmp_path: Path) -> None:
    one = two_layers(tmp_path)
    work(one)
    one.view.files.save_requested.emit(str(tmp_path / "work"))
    one.wait()
    one.end()
    other = two_layers(tmp_path)
    other.viewer.layers.remove("green")
    other.view.files.load_requested.emit(str(tmp_path / "work.sam2.json"))
    with pytest.raises(ValueError, match="composite of “red”, “green”: open “green” as well"):
        other.wait()
    other.end()
    with pytest.raises(ValueError, match="put together from several"):
        Session.load(tmp_path / "work.sam2.json", model=FakeModel().as_model())


@pytest.mark.parametrize(("open_dock", "choice", "text"), CHOICES)
def test_a_session_is_of_the_images_whatever_their_layers_are_called(
    open_dock: Callable[[Path], Dock], choice: int, text: str, tmp_path: Path
) -> None:
    one = open_dock(tmp_path)
    work(one, choice)
    shown = one.session.volume.frame(2)
    one.view.files.save_requested.emit(str(tmp_path / "work"))
    one.wait()
    one.end()
    other = open_dock(tmp_path)
    names = [layer.name for layer in other.viewer.layers if layer.name in {"red", "green", "both"}]
    for name, new in zip(names, ["1", *names], strict=False):
        other.viewer.layers[name].name = new
    other.view.files.load_requested.emit(str(tmp_path / "work.sam2.json"))
    other.wait()
    assert text in other.state.image.seen
    np.testing.assert_array_equal(other.session.volume.frame(2), shown)
    other.end()


def test_a_layer_that_is_gone_is_still_seen(tmp_path: Path) -> None:
    dock = two_layers(tmp_path)
    work(dock)
    shown = dock.session.volume.frame(2)
    dock.viewer.layers.remove("green")
    dock.view.files.save_requested.emit(str(tmp_path / "work"))
    dock.wait()
    dock.view.files.load_requested.emit(str(tmp_path / "work.sam2.json"))
    dock.wait()
    dock.view.show_state(dock.state)
    dock.view.model.device_chosen.emit(1)
    dock.prompt(1, MIDDLE, 8, 11)
    dock.controller.saving.save()
    dock.wait()
    np.testing.assert_array_equal(dock.session.volume.frame(2), shown)
    dock.view.image.use_current_view.emit()
    dock.wait()
    assert dock.state.image.seen == "model sees 0-200"
    dock.end()


def test_channels_of_an_image_have_one_name(tmp_path: Path) -> None:
    data = np.stack((frames(), 255 - frames()), axis=1)
    parts = tuple(
        coloured("both", data, (0, 255), ensure_colormap("red"), channel=(1, channel)) for channel in (0, 1)
    )
    with pytest.raises(ValueError, match="composite of “both”: open “both” as well"):
        CompositeFrames.from_notes(CompositeFrames(parts).notes(), [])


def test_another_name_is_not_another_view(tmp_path: Path) -> None:
    dock = two_layers(tmp_path)
    work(dock)
    dock.propagate()
    on = dock.on
    dock.viewer.layers["green"].name = "blue"
    dock.view.image.use_current_view.emit()
    dock.wait()
    assert (dock.on, dock.state.progress.undo_label) == (on, "Propagate")
    assert "“red” 0-200, “blue” 0-255" in dock.state.image.seen
    dock.end()


def test_a_session_that_took_the_place_of_another_one_is_the_one_that_is_saved(tmp_path: Path) -> None:
    dock = two_channels(tmp_path)
    dock.prompt(1, MIDDLE, 8, 10)
    dock.controller.saving.save()
    dock.wait()
    (first,) = (tmp_path / "own").iterdir()
    dock.view.image.channel_chosen.emit(1)
    dock.wait()
    (second,) = (tmp_path / "own").iterdir()
    assert second != first
    dock.view.progress.undo_requested.emit()
    dock.wait()
    (third,) = (tmp_path / "own").iterdir()
    assert third not in {first, second}
    dock.end()
    other = two_channels(tmp_path)
    other.controller.saving.choose_recent(0)
    other.wait()
    assert "channel 1" in other.state.image.seen
    other.end()
