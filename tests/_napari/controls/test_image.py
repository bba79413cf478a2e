"""The dock and the axes of an image: what it refuses, what it is told, and what the user says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source
from numpy.typing import NDArray

from napari_sam2 import io
from napari_sam2._napari.state import Tool
from napari_sam2._napari.views.hints import hint
from napari_sam2._napari.views.image_panel import summary
from tests._napari.dock import MIDDLE, Dock, add_frames, frames, pause
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui
TIMES, SLICES, CHANNELS = 3, 5, 2


def five() -> NDArray[np.uint8]:
    return np.stack([np.stack([frames(SLICES)] * CHANNELS)] * TIMES)


@pytest.fixture
def open_dock(model: ViewerModel, fake_model: FakeModel) -> Iterator[Callable[..., Dock]]:
    """Return a function that adds an image and opens a dock over it."""
    docks: list[Dock] = []

    def opened(data: NDArray[np.uint8], **options: Any) -> Dock:
        model.add_image(data, name="cells", **{"contrast_limits": (0, 255), **options})
        docks.append(Dock(model, fake_model))
        docks[-1].wait()
        return docks[-1]

    yield opened
    for dock in docks:
        dock.end()


def layer_of(dock: Dock) -> Image:
    layer = dock.viewer.layers["cells"]
    assert isinstance(layer, Image)
    return layer


# --- what cannot be used


@pytest.mark.parametrize(
    "options", [{}, {"axis_labels": ("t", "z", "-3", "y", "x")}, {"metadata": {"axes": "TZQYX"}}]
)
def test_three_axes_beside_a_plane_are_refused_with_advice(
    open_dock: Callable[..., Dock], options: dict[str, Any], tmp_path: Path
) -> None:
    dock = open_dock(five(), **options)
    state = dock.state.image
    assert "3 axes beside rows and columns" in state.problem
    assert (state.axes, state.frames, state.letters) == ((), 0, ())
    assert dock.widget.session is None
    for signal in ("axis_chosen", "letter_chosen", "channel_chosen"):
        getattr(dock.view.image, signal).emit(1)
    dock.view.image.use_current_view.emit()
    dock.viewer.dims.set_current_step(0, 1)
    dock.wait()
    dock.controller.propagate()
    dock.view.files.tracks_layer_requested.emit()
    dock.view.tools.seed_next_t_requested.emit()
    for signal in ("export_requested", "save_requested", "load_requested"):
        getattr(dock.view.files, signal).emit(str(tmp_path / "cells.tif"))
    assert all("choose" in str(each).lower() for each in dock.failures)
    dock.failures.clear()
    assert list(tmp_path.iterdir()) == []
    assert [layer.name for layer in dock.viewer.layers] == ["cells"]


def test_another_image_can_be_chosen_after_one_that_was_refused(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(five())
    add_frames(dock.viewer)
    dock.wait()
    assert (dock.state.image.problem, dock.state.image.frames) == ("", len(frames()))
    dock.view.image.image_chosen.emit(0)
    dock.wait()
    assert "3 axes" in dock.state.image.problem


def test_an_image_that_was_refused_is_taken_once_its_axes_have_names(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(five())
    layer_of(dock).axis_labels = ("t", "c", "z", "y", "x")
    dock.wait()
    state = dock.state.image
    assert (state.problem, state.axes, state.frame_axis, state.other_axis) == ("", ("t", "z"), 1, "t")
    assert state.channels == ("Channel 1", "Channel 2", "All channels, in colour")
    dock.prompt(1, 2, 8, 10)
    assert dock.labels.shape == (TIMES, 1, SLICES, *frames().shape[1:])


def test_an_image_that_was_refused_is_taken_once_it_has_other_data(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(five())
    layer_of(dock).data = five()[:, 0]
    pause(400)
    dock.wait()
    assert (dock.state.image.problem, dock.state.image.frames) == ("", SLICES)


def test_an_image_that_gets_an_axis_too_many_is_refused(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(frames(SLICES))
    layer_of(dock).data = five()
    pause(400)
    dock.wait()
    assert "3 axes beside rows and columns" in dock.state.image.problem


def test_axes_of_length_one_are_left_over(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(five()[:1])
    assert dock.state.image.problem == ""
    assert (dock.state.image.axes, dock.state.image.frames) == (("axis 1", "axis 2"), SLICES)
    dock.prompt(1, 2, 8, 10)
    dock.viewer.dims.set_current_step(1, 1)
    dock.wait()
    dock.prompt(2, 3, 8, 10)
    places = np.unique(np.argwhere(dock.labels)[:, :3], axis=0).tolist()
    assert places == [[0, 0, 2], [0, 1, 3]]


# --- what the image tells


def test_axes_that_get_names_later_are_known_by_them(open_dock: Callable[..., Dock]) -> None:
    dock = open_dock(np.stack([frames(SLICES)] * TIMES))
    assert dock.state.image.axes == ("axis 0", "axis 1")
    layer_of(dock).metadata = {"axes": "ZTYX"}
    dock.wait()
    assert (dock.state.image.axes, dock.state.image.frame_axis) == (("z", "t"), 0)
    assert dock.state.image.axis_reason == "named by the image's metadata"
    dock.prompt(1, 1, 8, 10)
    layer_of(dock).axis_labels = ("t", "z", "y", "x")
    dock.wait()
    assert dock.state.image.axes == ("z", "t")


def test_a_file_tells_its_axes(open_dock: Callable[..., Dock], tmp_path: Path) -> None:
    path = tmp_path / "cells.tif"
    options: dict[str, Any] = {"imagej": True, "metadata": {"axes": "TZYX"}}
    data = np.stack([frames(SLICES)] * TIMES)
    tifffile.imwrite(path, data, **options)
    with layer_source(path=str(path)):
        dock = open_dock(data)
    state = dock.state.image
    assert (state.axes, state.frame_axis, state.other_axis, state.letters) == (("t", "z"), 1, "t", ())
    assert state.axis_reason == "named by the image's file"
    path.unlink()
    dock.view.image.axis_chosen.emit(0)
    dock.wait()
    assert dock.state.image.frames == TIMES
    assert dock.session.geometry.axes == "tyx"


# --- what the user tells


def written(dock: Dock, folder: Path) -> tuple[str, list[str]]:
    """Return the names of the axes in the files that are exported."""
    for name in ("labels.tif", "labels.zarr"):
        dock.view.files.export_requested.emit(str(folder / name))
        dock.wait()
    with tifffile.TiffFile(folder / "labels.tif") as tiff:
        axes = tiff.series[0].axes.lower()
    return axes, list(io.open_image(folder / "labels.zarr").axes or "")


def test_frames_are_called_t_where_the_user_says_so(bench: Dock, tmp_path: Path) -> None:
    image = bench.state.image
    assert (image.letters, image.letter, image.axes) == (("z", "t"), 0, ("axis 0",))
    bench.prompt(1, MIDDLE, 8, 10)
    before = written(bench, tmp_path)
    bench.view.image.letter_chosen.emit(1)
    bench.wait()
    image = bench.state.image
    assert (image.letter, image.axes, image.letters) == (1, ("t",), ("z", "t"))
    assert summary(image) == "cells · 9 frames along t"
    for path in tmp_path.iterdir():
        path.rename(tmp_path / f"old-{path.name}")
    assert (before, written(bench, tmp_path)) == (("zyx", list("zyx")), ("tyx", list("tyx")))
    assert bench.session.objects == (1,)


def test_the_choice_holds_when_the_model_sees_something_else(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    image = bench.controller.space.image
    assert image is not None
    image.contrast_limits = (20, 200)
    bench.view.image.use_current_view.emit()
    bench.view.image.letter_chosen.emit(1)
    bench.wait()
    assert bench.session.geometry.axes == "tyx"
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert (bench.session.geometry.axes, bench.state.image.letter) == ("tyx", 1)
    image.contrast_limits = (30, 200)
    bench.view.image.use_current_view.emit()
    bench.wait()
    assert bench.session.geometry.axes == "tyx"


def test_the_other_axis_gets_the_other_letter(open_dock: Callable[..., Dock], tmp_path: Path) -> None:
    dock = open_dock(np.stack([frames(SLICES)] * TIMES))
    image = dock.state.image
    assert (image.axes, image.frame_axis, image.letter, image.other_axis) == (
        ("axis 0", "axis 1"),
        1,
        0,
        "axis 0",
    )
    dock.prompt(1, 2, 8, 10)
    dock.viewer.dims.set_current_step(0, 1)
    dock.wait()
    dock.prompt(1, 3, 8, 10)
    dock.view.image.letter_chosen.emit(1)
    dock.wait()
    assert (dock.state.image.axes, dock.state.image.other_axis) == (("z", "t"), "z")
    dock.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    dock.wait()
    with tifffile.TiffFile(tmp_path / "labels.tif") as tiff:
        assert (tiff.series[0].axes, tiff.series[0].shape[:2]) == ("TZYX", (SLICES, TIMES))
    dock.view.image.axis_chosen.emit(0)
    dock.wait()
    assert (dock.state.image.letter, dock.state.image.other_axis) == (0, "t")


@pytest.mark.parametrize("labels", [("z", "y", "x"), ("time", "y", "x")])
def test_an_axis_with_a_name_leaves_no_choice(
    open_dock: Callable[..., Dock], labels: tuple[str, ...]
) -> None:
    dock = open_dock(frames(SLICES), axis_labels=labels)
    assert dock.state.image.letters == ()
    dock.view.image.letter_chosen.emit(0)
    dock.wait()
    assert dock.session.geometry.axes == f"{labels[0][0]}yx"


def test_a_single_image_leaves_no_choice(open_dock: Callable[..., Dock]) -> None:
    assert open_dock(frames(1)[0]).state.image.letters == ()


def test_in_a_single_image_nothing_is_propagated(open_dock: Callable[..., Dock], notices: list[str]) -> None:
    dock = open_dock(frames(1)[0])
    dock.prompt(1, 0, 8, 10)
    assert "Propagate" not in hint(dock.state).text
    dock.propagate()
    assert notices == ["There is only this frame: nothing has to be propagated."]
    assert dock.state.progress.undo_label.startswith("Prompt")


def test_a_session_that_is_loaded_tells(bench: Dock, fake_model: FakeModel, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.image.letter_chosen.emit(1)
    bench.view.files.save_requested.emit(str(tmp_path / "cells"))
    bench.wait()
    viewer = ViewerModel()
    add_frames(viewer)
    other = Dock(viewer, fake_model)
    other.wait()
    assert other.state.image.letter == 0
    other.view.files.load_requested.emit(str(tmp_path / "cells.sam2.json"))
    other.wait()
    assert (other.state.image.letter, other.state.image.axes) == (1, ("t",))
    assert other.session.geometry.axes == "tyx"
    other.end()


def test_the_choice_is_told_to_a_session_that_opens_later(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.controller.space.sequence.desk._versions = None  # type: ignore[union-attr]
    bench.view.image.letter_chosen.emit(1)
    bench.wait()
    bench.controller.sequences.renew(bench.controller.space.model.take())
    bench.wait()
    assert bench.session.geometry.axes == "tyx"


def test_other_pixels_after_the_first_prompt_are_told_once_and_seen_when_asked_for(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.image.tell", notes.append)
    layer, others = layer_of(bench), 255 - frames()
    bench.prompt(1, MIDDLE, 8, 10)
    layer.contrast_limits = (0, 200)
    layer.data = others
    pause(500)
    layer.contrast_limits = (0, 255)
    pause(500)
    assert len(notes) == 1
    assert "“cells” has other pixels now" in notes[0]
    assert bench.session.volume.data is not others
    bench.view.image.use_current_view.emit()
    bench.wait()
    assert bench.session.volume.data is others
    assert bench.session.objects == (1,)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.volume.data is not others


def test_choosing_the_image_that_is_worked_on_leaves_point_active_too(bench: Dock) -> None:
    def tools() -> set[Tool]:
        pause(20)
        return {bench.state.tools.tool, bench.layers.tools.tool}

    bench.prompt(1, MIDDLE, 8, 10)
    bench.viewer.layers.selection.active = layer_of(bench)
    assert tools() == {Tool.PAN}
    bench.view.image.image_chosen.emit(0)
    assert tools() == {Tool.POINT}
    assert bench.session.objects == (1,)


def test_other_pixels_before_the_first_prompt_are_simply_seen(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.image.tell", notes.append)
    others = 255 - frames()
    layer_of(bench).data = others
    pause(500)
    bench.wait()
    assert bench.session.volume.data is others
    assert not notes


def test_what_is_offered_follows_names_and_visibility_of_other_images(bench: Dock) -> None:
    other = bench.viewer.add_image(255 - frames(), name="other", contrast_limits=(0, 255))
    bench.viewer.layers.selection.active = layer_of(bench)
    bench.wait()
    pause(100)
    shown = bench.view.shown
    other.visible = False
    pause(100)
    assert shown().image.channels == ()
    other.visible = True
    other.name = "membrane"
    pause(100)
    assert len(shown().image.channels) == 2
    assert shown().image.layers == ("cells", "membrane")
