"""The panels for the image, the model and the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_sam2._napari.state import FilesState, ImageState, ModelState
from napari_sam2._napari.views import image_panel, model_panel
from napari_sam2._napari.views.files_panel import FilesPanel
from napari_sam2._napari.views.image_panel import ImagePanel
from napari_sam2._napari.views.model_panel import ModelPanel
from tests._napari.views.snapshots import IMAGE, MODEL


@pytest.fixture
def image(qtbot: QtBot) -> ImagePanel:
    panel = ImagePanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


@pytest.fixture
def model(qtbot: QtBot) -> ModelPanel:
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


@pytest.fixture
def files(qtbot: QtBot) -> FilesPanel:
    panel = FilesPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def test_without_an_image_there_is_nothing_to_choose(image: ImagePanel) -> None:
    assert not image._layer.isEnabled()
    assert not image._axis.isVisible()
    assert not image._channel.isVisible()
    assert not image._view.isVisible()


def test_the_image_is_shown_without_a_signal(image: ImagePanel, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(image.image_chosen), qtbot.assertNotEmitted(image.axis_chosen):
        image.show_state(IMAGE)
    assert [box.currentText() for box in (image._layer, image._axis, image._channel)] == [
        "nuclei",
        "z",
        "green",
    ]
    assert image._seen.text() == "Model sees 120-3400"
    assert image._view.isVisible()


def test_choices_are_told_by_index(image: ImagePanel, qtbot: QtBot) -> None:
    image.show_state(IMAGE)
    for box, signal in (
        (image._layer, image.image_chosen),
        (image._axis, image.axis_chosen),
    ):
        with qtbot.waitSignal(signal) as told:
            qtbot.keyClick(box, Qt.Key.Key_Down)
        assert told.args == [1]
    with qtbot.waitSignal(image.channel_chosen) as told:
        qtbot.keyClick(image._channel, Qt.Key.Key_Up)
    assert told.args == [0]
    with qtbot.waitSignal(image.use_current_view):
        qtbot.mouseClick(image._view, Qt.MouseButton.LeftButton)


def test_whether_frames_are_z_or_t_is_asked_where_nothing_tells(image: ImagePanel, qtbot: QtBot) -> None:
    image.show_state(IMAGE)
    assert not image._letter.isVisible()
    with qtbot.assertNotEmitted(image.letter_chosen):
        image.show_state(replace(IMAGE, axes=("axis 0",), letters=("z", "t"), letter=1))
    assert image._letter.isVisible()
    assert image._letter.currentText() == "t, of a movie"
    with qtbot.waitSignal(image.letter_chosen) as told:
        qtbot.keyClick(image._letter, Qt.Key.Key_Up)
    assert told.args == [0]


def test_problem_and_loading_are_said(image: ImagePanel) -> None:
    image.show_state(replace(IMAGE, problem="Only one frame."))
    assert image._problem.text() == "Only one frame."
    image.show_state(replace(IMAGE, problem="Only one frame.", loading=True))
    assert not image._problem.isVisible()
    assert image._reason.text() == "Opening the image ..."
    assert not image._view.isEnabled()


def test_the_closed_image_part_says_what_is_chosen() -> None:
    assert image_panel.summary(ImageState()) == "no image"
    assert image_panel.summary(IMAGE) == "nuclei · 12 frames along z"
    assert image_panel.summary(replace(IMAGE, frame_axis=None)) == "nuclei"


def test_a_model_and_a_device_are_chosen(model: ModelPanel, qtbot: QtBot) -> None:
    model.show_state(MODEL)
    with qtbot.waitSignal(model.model_chosen) as told:
        qtbot.keyClick(model._model, Qt.Key.Key_Down)
    assert told.args == [1]
    with qtbot.waitSignal(model.device_chosen) as told:
        qtbot.keyClick(model._device, Qt.Key.Key_Down)
    assert told.args == [1]


@pytest.mark.parametrize("path", ["/models/cells.safetensors", ""])
def test_the_last_choice_asks_for_a_file(
    model: ModelPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    model.show_state(MODEL)
    paths: list[str] = []
    model.model_file_chosen.connect(paths.append)
    with qtbot.assertNotEmitted(model.model_chosen):
        qtbot.keyClick(model._model, Qt.Key.Key_End)
    assert paths == [path] * bool(path)
    assert model._model.currentText() == "nano"


def test_a_download_is_offered_then_shown(model: ModelPanel, qtbot: QtBot) -> None:
    model.show_state(replace(MODEL, chosen=1, needs_download=True))
    assert model._download.isVisible()
    assert not model._bar.isVisible()
    with qtbot.waitSignal(model.download_requested):
        qtbot.mouseClick(model._download, Qt.MouseButton.LeftButton)
    model.show_state(replace(MODEL, chosen=1, needs_download=True, download=0.42))
    assert not model._download.isVisible()
    assert model._bar.isVisible()
    assert model._bar.value() == 42
    assert not model._model.isEnabled()
    model.show_state(replace(MODEL, chosen=1))
    assert not model._bar.isVisible()
    assert model._model.isEnabled()


def test_the_model_that_answers_until_another_one_is_here_is_named(model: ModelPanel) -> None:
    model.show_state(replace(MODEL, chosen=1, needs_download=True, answered_by="nano", detail="9 MB."))
    assert model._detail.text() == "Answered by nano until it is downloaded. 9 MB."


def test_a_model_that_is_read_or_refused_says_so(model: ModelPanel) -> None:
    model.show_state(replace(MODEL, loading=True))
    assert model._detail.text() == "Reading the weights ..."
    assert not model._model.isEnabled()
    model.show_state(replace(MODEL, problem="Not a model."))
    assert model._problem.text() == "Not a model."
    assert model._model.isEnabled()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (MODEL, "nano · auto"),
        (replace(MODEL, download=0.5), "nano · downloading, 50%"),
        (replace(MODEL, needs_download=True), "nano · has to be downloaded"),
        (
            replace(MODEL, chosen=1, needs_download=True, answered_by="nano"),
            f"nano until {MODEL.names[1]} is downloaded",
        ),
        (
            replace(MODEL, chosen=1, loading=True, answered_by="nano"),
            f"nano until {MODEL.names[1]} is loaded",
        ),
        (replace(MODEL, problem="x"), "nano · cannot be used"),
        (ModelState(names=(), devices=()), "no model"),
    ],
)
def test_the_closed_model_part_says_what_is_chosen(state: ModelState, said: str) -> None:
    assert model_panel.summary(state) == said


def test_whoever_comes_to_the_list_of_earlier_work_is_told_of(files: FilesPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(files.approached):
        QApplication.sendEvent(files, QEvent(QEvent.Type.Enter))


def test_a_list_that_is_the_same_keeps_its_entries(files: FilesPanel) -> None:
    files.show_state(FilesState(("one", "two")))
    before = files._earlier.actions()
    files.show_state(FilesState(("one", "two"), stem="cells"))
    assert files._earlier.actions() == before
    files.show_state(FilesState(("two",)))
    assert [each.text() for each in files._earlier.actions()] == ["two"]


def test_files_are_asked_for_and_told(
    files: FilesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/data/out", ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/data/in.sam2.json", ""))
    with qtbot.waitSignal(files.save_requested) as told:
        qtbot.mouseClick(files._save, Qt.MouseButton.LeftButton)
    assert told.args == ["/data/out"]
    with qtbot.waitSignal(files.load_requested) as told:
        qtbot.mouseClick(files._load, Qt.MouseButton.LeftButton)
    assert told.args == ["/data/in.sam2.json"]
    menu = files._export.menu()
    assert menu is not None
    for action, suffix in zip(menu.actions(), (".tif", ".ome.zarr", "_RES", ".csv"), strict=True):
        with qtbot.waitSignal(files.export_requested) as told:
            action.trigger()
        assert told.args == [f"/data/out{suffix}"]
    with qtbot.waitSignal(files.tracks_layer_requested):
        qtbot.mouseClick(files._tracks, Qt.MouseButton.LeftButton)


def test_files_are_proposed_beside_the_image_and_then_where_the_last_one_went(
    files: FilesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed: list[str] = []

    def ask(_parent: object, _title: str, name: str, _kinds: str) -> tuple[str, str]:
        proposed.append(name)
        return "/other/mine.tiff", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", ask)
    files.show_state(FilesState(stem="/data/cells"))
    menu = files._export.menu()
    assert menu is not None
    qtbot.mouseClick(files._load, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(files.export_requested) as told:
        menu.actions()[0].trigger()
    assert told.args == ["/other/mine.tiff"], "it has a suffix"
    files.show_state(FilesState())
    qtbot.mouseClick(files._save, Qt.MouseButton.LeftButton)
    assert proposed == ["/data", "/other/cells_labels.tif", "/other/image.sam2.json"]


def test_what_a_suffix_that_was_left_out_would_replace_is_asked_about(
    files: FilesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(files, "ask_whether_to_replace", asked.append)
    monkeypatch.setattr(files, "ask_where_to_write", lambda *_: str(tmp_path / "out"))
    (tmp_path / "out.csv").touch()
    menu = files._export.menu()
    assert menu is not None
    with qtbot.assertNotEmitted(files.export_requested):
        menu.actions()[-1].trigger()
    assert asked == [(str(tmp_path / "out.csv"),)]
    with qtbot.waitSignal(files.export_requested):
        menu.actions()[0].trigger()


def test_a_dialog_that_is_closed_tells_nothing(
    files: FilesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    with qtbot.assertNotEmitted(files.save_requested), qtbot.assertNotEmitted(files.load_requested):
        qtbot.mouseClick(files._save, Qt.MouseButton.LeftButton)
        qtbot.mouseClick(files._load, Qt.MouseButton.LeftButton)


def test_files_can_be_used_when_there_is_something_in_them(files: FilesPanel) -> None:
    files.show_usable(image=True, objects=False)
    assert files._load.isEnabled()
    assert not files._save.isEnabled()
    files.show_usable(image=True, objects=True)
    assert all(each.isEnabled() for each in (files._save, files._load, files._export, files._tracks))
