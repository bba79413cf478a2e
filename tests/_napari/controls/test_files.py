"""What the user asks to have in a file gets there, whatever is done right after."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_sam2._napari.controls.files import _export
from napari_sam2._napari.notices import NotWrittenError
from napari_sam2._napari.work.worker import Priority
from napari_sam2.io import open_image, read_session
from napari_sam2.positions import Positions
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, frames
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told of files."""
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.files.tell", notes.append)
    return notes


@pytest.fixture
def busy(bench: Dock) -> Iterator[threading.Event]:
    """Keep the inference thread of a dock with one object busy until the event is set."""
    bench.prompt(1, MIDDLE, 8, 10)
    bench.viewer.add_image(frames(3), name="other")
    bench.wait()
    gate, entered = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert gate.wait(60)

    bench.controller.worker.submit(hold, priority=Priority.CLICK)
    assert entered.wait(20)
    yield gate
    gate.set()


def ask_for_files(bench: Dock, folder: Path) -> None:
    bench.view.files.save_requested.emit(str(folder / "cells"))
    bench.view.files.export_requested.emit(str(folder / "labels.tif"))


def assert_written(folder: Path, labels: Any) -> None:
    assert (folder / "cells.sam2.json").is_file()
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), labels)


def test_files_are_written_although_another_image_is_chosen(
    bench: Dock, busy: threading.Event, tmp_path: Path, told: list[str]
) -> None:
    labels = bench.labels.copy()
    ask_for_files(bench, tmp_path)
    names = [image.name for image in bench.controller.image.images()]
    bench.view.image.image_chosen.emit(names.index("other"))
    busy.set()
    bench.wait()
    assert_written(tmp_path, labels)
    assert [text.split()[0] for text in told] == ["Saved", "Exported"]
    assert not bench.labels.any()


def test_files_are_written_before_the_dock_closes(
    bench: Dock, busy: threading.Event, tmp_path: Path, told: list[str]
) -> None:
    labels = bench.labels.copy()
    ask_for_files(bench, tmp_path)
    threading.Timer(0.1, busy.set).start()
    bench.controller.close()
    assert_written(tmp_path, labels)
    assert told == []


def test_what_cannot_be_written_is_told_although_the_dock_closes(
    bench: Dock, busy: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **_remarks: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Session, "save_steps", full)
    ask_for_files(bench, tmp_path)
    threading.Timer(0.1, busy.set).start()
    bench.controller.close()
    assert [str(error) for error in bench.failures] == ["the disk is full"]
    assert (tmp_path / "labels.tif").is_file()


class HeldSteps:
    """Steps of a session that go on after the first one when the test lets them."""

    def __init__(self, bench: Dock, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self._steps = getattr(bench.session, name)
        monkeypatch.setattr(bench.session, name, self._held, raising=False)

    def _held(self, *args: Any, **options: Any) -> Iterator[None]:
        for number, _ in enumerate(self._steps(*args, **options)):
            if not number:
                self.entered.set()
                assert self.gate.wait(60)
            yield


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr", "01_RES"])
def test_a_click_goes_between_two_frames_and_what_is_written_is_what_was_there(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], name: str
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before, held = bench.labels.copy(), HeldSteps(bench, monkeypatch, "export_steps")
    bench.view.files.export_requested.emit(str(tmp_path / name))
    assert held.entered.wait(20)
    last = len(before) - 1
    bench.widget.set_prompts(2, last, click(15, 4))
    bench.controller.worker.submit(  # behind the click
        lambda: told.append("answered" if (tmp_path / name).exists() else "answered before"),
        priority=Priority.CLICK,
    )
    held.gate.set()
    bench.wait()
    assert [text.split(" to ")[0] for text in told] == ["answered before", "Exported"]
    assert (bench.labels[last] == 2).any()
    np.testing.assert_array_equal(written(tmp_path / name), before)


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr", "01_RES"])
def test_undo_waits_for_no_export_and_what_is_written_is_what_was_there(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], name: str
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before, held = bench.labels.copy(), HeldSteps(bench, monkeypatch, "export_steps")
    bench.view.files.export_requested.emit(str(tmp_path / name))
    assert held.entered.wait(20)
    bench.view.progress.undo_requested.emit()
    bench.controller.objects.delete((1,))
    bench.controller.worker.submit(  # behind both
        lambda: told.append("done" if (tmp_path / name).exists() else "done before"),
    )
    held.gate.set()
    bench.wait()
    assert [text.split(" to ")[0] for text in told] == ["done before", "Exported"]
    assert not bench.labels.any()
    np.testing.assert_array_equal(written(tmp_path / name), before)


def test_of_many_positions_all_are_as_they_are_written_before_edits_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2._session.state.WRITING_SECONDS", 0.0)
    sessions = [Session(frames(4), model=FakeModel().as_model()) for _ in range(2)]

    def paint(session: Session, obj: int) -> None:
        with session.postponed():
            for frame in range(4):
                session.paint(obj, frame, np.ones(session.volume.frame_shape, bool))

    for session in sessions:
        paint(session, 2)
    steps = _export(Positions(dict(enumerate(sessions)), 2), str(tmp_path / "labels.tif"))
    while not sessions[0].is_settled:
        assert next(steps) is None
    paint(sessions[0], 1)  # as a click may
    while next(steps) is None:
        pass
    assert [session.is_settled for session in sessions] == [True, True]
    list(steps)
    assert np.unique(tifffile.imread(tmp_path / "labels.tif")[0]).tolist() == [1]


def test_of_two_exports_into_one_file_the_later_one_stays(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(bench.view.files, "ask_whether_to_replace", lambda _: True)
    bench.prompt(1, MIDDLE, 8, 10)
    held = HeldSteps(bench, monkeypatch, "export_steps")
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    assert held.entered.wait(20)
    bench.controller.objects.delete((1,))
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    held.gate.set()
    bench.wait()
    assert len(told) == 2
    assert not written(tmp_path / "labels.tif").any()


def test_an_export_that_undo_went_before_is_written_before_the_dock_closes(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    before, held = bench.labels.copy(), HeldSteps(bench, monkeypatch, "export_steps")
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    assert held.entered.wait(20)
    bench.view.progress.undo_requested.emit()
    threading.Timer(0.1, held.gate.set).start()
    bench.controller.close()
    np.testing.assert_array_equal(written(tmp_path / "labels.tif"), before)


def test_undo_waits_for_no_save_and_what_is_written_is_what_was_there(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    noted = list[object]()
    monkeypatch.setattr(bench.controller.saving, "note_saved", noted.append)
    path, held = tmp_path / "cells.sam2.json", HeldSteps(bench, monkeypatch, "save_steps")
    before = bench.labels.copy()
    bench.view.files.save_requested.emit(str(path))
    assert held.entered.wait(20)
    bench.view.progress.undo_requested.emit()
    bench.widget.set_prompts(2, MIDDLE, click(15, 4))  # behind the undo
    bench.controller.objects.delete((1,))
    bench.controller.worker.submit(lambda: told.append("done" if path.exists() else "done before"))
    held.gate.set()
    bench.wait()
    assert [text.split(" ")[:2] for text in told] == [["done", "before"], ["Saved", "as"]]
    assert (bench.session.objects, noted) == ((2,), [])
    stored = read_session(path)
    np.testing.assert_array_equal(stored.arrays["labels"], before)


def test_of_two_saves_into_one_file_the_later_one_stays(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(bench.view.files, "ask_whether_to_replace", lambda _: True)
    bench.prompt(1, MIDDLE, 8, 10)
    path, held = tmp_path / "cells.sam2.json", HeldSteps(bench, monkeypatch, "save_steps")
    bench.view.files.save_requested.emit(str(path))
    assert held.entered.wait(20)
    bench.widget.set_prompts(2, MIDDLE, click(15, 4))
    bench.view.files.save_requested.emit(str(path))
    held.gate.set()
    bench.wait()
    assert len(told) == 2
    assert [row["obj"] for row in read_session(path).document["prompts"]] == [1, 2]


def test_what_is_being_saved_is_loaded_when_it_is_there(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    path = tmp_path / "cells.sam2.json"
    bench.view.files.save_requested.emit(str(path))
    bench.wait()
    bench.prompt(2, MIDDLE, 15, 4)
    monkeypatch.setattr(bench.view.files, "ask_whether_to_replace", lambda _: True)
    held = HeldSteps(bench, monkeypatch, "save_steps")
    bench.view.files.save_requested.emit(str(path))
    assert held.entered.wait(20)
    bench.view.files.load_requested.emit(str(path))
    bench.controller.objects.delete((1,))
    held.gate.set()
    bench.wait()
    assert [text.split(" ")[0] for text in told] == ["Saved", "Saved", "Loaded"]
    assert bench.session.objects == (1, 2)


def test_a_load_that_waits_is_not_for_another_image(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.viewer.add_image(frames(3), name="other")
    bench.wait()
    path, held = tmp_path / "cells.sam2.json", HeldSteps(bench, monkeypatch, "save_steps")
    bench.view.files.save_requested.emit(str(path))
    assert held.entered.wait(20)
    bench.view.files.load_requested.emit(str(path))
    names = [image.name for image in bench.controller.image.images()]
    bench.view.image.image_chosen.emit(names.index("other"))
    held.gate.set()
    bench.wait()
    assert [text.split(" ")[0] for text in told] == ["Saved"]


def test_nothing_is_loaded_in_place_of_what_could_not_be_saved(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    path = tmp_path / "cells.sam2.json"
    bench.view.files.save_requested.emit(str(path))
    bench.prompt(1, MIDDLE, 8, 10)
    held = HeldSteps(bench, monkeypatch, "save_steps")
    monkeypatch.setattr("napari_sam2.io.atomic._exchange", refuse_to_write)
    bench.view.files.save_requested.emit(str(tmp_path / "others.sam2.json"))
    assert held.entered.wait(20)
    bench.view.files.load_requested.emit(str(path))
    held.gate.set()
    with pytest.raises(OSError, match="the disk is full"):
        bench.wait()
    bench.wait()
    assert [text.split(" ")[0] for text in told] == ["Saved"]
    assert bench.session.objects == (1,)


def refuse_to_write(*_: object) -> None:
    raise OSError("the disk is full")


def test_a_load_that_waits_ends_with_the_dock(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    path, held = tmp_path / "cells.sam2.json", HeldSteps(bench, monkeypatch, "save_steps")
    bench.view.files.save_requested.emit(str(path))
    assert held.entered.wait(20)
    bench.view.files.load_requested.emit(str(path))
    threading.Timer(0.1, held.gate.set).start()
    bench.controller.close()
    assert (bench.failures, told, path.is_file()) == ([], [], True)


@pytest.mark.parametrize("clicked", [True, False])
def test_what_is_said_while_a_session_is_saved_is_not_in_the_file_and_not_taken_for_saved(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], clicked: bool
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    noted, session = list[object](), bench.session
    monkeypatch.setattr(bench.controller.saving, "note_saved", noted.append)
    before, held = bench.labels.copy(), HeldSteps(bench, monkeypatch, "save_steps")
    bench.view.files.save_requested.emit(str(tmp_path / "cells.sam2.json"))
    assert held.entered.wait(20)
    if clicked:
        bench.widget.set_prompts(2, MIDDLE, click(15, 4))
    held.gate.set()
    bench.wait()
    assert [text[:5] for text in told] == ["Saved"]
    assert noted == ([] if clicked else [session])
    stored = read_session(tmp_path / "cells.sam2.json")
    np.testing.assert_array_equal(stored.arrays["labels"], before)
    assert [row["obj"] for row in stored.document["prompts"]] == [1]
    assert session.objects == ((1, 2) if clicked else (1,))


def written(path: Path) -> Any:
    if path.is_dir() and path.suffix != ".zarr":
        return np.stack([tifffile.imread(each) for each in sorted(path.glob("mask*.tif"))])
    return tifffile.imread(path) if path.suffix == ".tif" else open_image(path).array[...]


def test_a_folder_that_cannot_be_written_into_is_told(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)

    def refused(path: Path, *_: object) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("napari_sam2.io.atomic.Path.open", refused)
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    with pytest.raises(NotWrittenError, match=r"labels\.tif cannot be written there: choose another folder"):
        bench.wait()


def test_the_first_of_several_files_that_fails_ends_all(
    model: ViewerModel,
    fake_model: FakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
) -> None:
    model.add_image(np.stack([frames(3)] * 3), name="movie", axis_labels=("t", "z", "y", "x"))
    four = Dock(model, fake_model)
    four.wait()
    for t in (1, 2):
        four.viewer.dims.set_current_step(0, t)
        four.prompt(t, 2, 8, 10)
    save, tried = Session.save_steps, list[str]()

    def full(session: Session, path: str, **remarks: str) -> Iterator[None]:
        tried.append(Path(path).name)
        if len(tried) == 1:
            raise OSError("the disk is full")
        yield from save(session, path, **remarks)

    monkeypatch.setattr(Session, "save_steps", full)
    four.view.files.save_requested.emit(str(tmp_path / "movie"))
    with pytest.raises(OSError, match="the disk is full"):
        four.wait()
    assert (tried, told) == (["movie_t0001.sam2.json"], [])
    four.end()


def test_arrays_of_a_session_that_was_renamed_are_replaced_only_after_a_question(
    bench: Dock, tmp_path: Path
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    asked = list[tuple[str, ...]]()

    def refuse(places: tuple[str, ...]) -> bool:
        asked.append(places)
        return False

    bench.controller.files._may_replace = refuse
    for _ in range(2):
        bench.view.files.save_requested.emit(str(tmp_path / "cells.sam2.json"))
        bench.wait()
        if not asked:
            (tmp_path / "cells.sam2.json").rename(tmp_path / "kept.sam2.json")
    assert asked == [(str(tmp_path / "cells.sam2.zarr"),)]
    assert read_session(tmp_path / "kept.sam2.json").arrays
