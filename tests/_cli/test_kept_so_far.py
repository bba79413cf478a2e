"""What ``segment`` has tracked when an error ends it, with labels in memory."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from napari_sam2 import cli
from napari_sam2._cli import rescue
from napari_sam2._model.weights import save_model
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from tests.batch.tiny import drawn
from tests.fakes import SHAPE, noisy_frames, seeing_model
from tests.full_disk import SAID, fill, full_disk

FRAMES = 8
LINE = ["segment", "a.zarr", "labels.tif", "--mask", "seeds.tif", "--model", "m.safetensors"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of a chunk a frame, drawn objects on the first one, a network."""
    zarr.create_array(tmp_path / "a.zarr", data=noisy_frames(FRAMES), chunks=(1, *SHAPE))
    tifffile.imwrite(tmp_path / "seeds.tif", drawn())
    save_model(seeing_model(), tmp_path / "m.safetensors", half=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at_frame(monkeypatch: pytest.MonkeyPatch, frame: int, happens: Callable[[], object]) -> None:
    """Let something happen when a frame is read."""
    read_frame = Volume.frame

    def disturbed(volume: Volume, i: int) -> Any:
        if i == frame:
            happens()
        return read_frame(volume, i)

    monkeypatch.setattr(Volume, "frame", disturbed)


def refuse() -> None:
    raise OSError("frame 5 cannot be read")


def break_frame(monkeypatch: pytest.MonkeyPatch, frame: int = 5) -> None:
    at_frame(monkeypatch, frame, refuse)


def whole() -> NDArray[Any]:
    """Track all frames in one go."""
    line = LINE.copy()
    line[2] = "whole.tif"
    assert cli.run(line) == 0
    return tifffile.imread("whole.tif")


def test_a_frame_that_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = whole()
    with monkeypatch.context() as patch:
        break_frame(patch)
        assert cli.run(LINE) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    expected = "frame 5 cannot be read. What was tracked until then is kept in labels.unfinished.tif."
    assert said == f"napari-sam2: {expected}"
    assert not (folder / "labels.tif").exists()
    done = tifffile.imread("labels.unfinished.tif")
    np.testing.assert_array_equal(done[:5], labels[:5])
    assert labels[5:].any()
    assert not done[5:].any()


def test_images_that_vanish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = whole()
    at_frame(monkeypatch, 5, lambda: shutil.rmtree("a.zarr", ignore_errors=True))
    assert cli.run(LINE) == 2
    done = tifffile.imread("labels.unfinished.tif")
    np.testing.assert_array_equal(done[:5], labels[:5])
    assert not done[5:].any()


def test_images_that_change_give_no_labels(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def change() -> None:
        (folder / "a.zarr" / "c" / "1" / "0" / "0").unlink()
        refuse()

    at_frame(monkeypatch, 5, change)
    assert cli.run(LINE) == 2
    assert "changed while it was read" in capsys.readouterr().err
    assert not list(folder.glob("labels*"))


def test_nothing_is_written_where_nothing_is_tracked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_frame(monkeypatch, 1)
    assert cli.run([*LINE, "--save-session", "s.sam2.json"]) == 2
    assert not [*folder.glob("labels*"), *folder.glob("s.sam2*")]


def test_the_session_is_kept_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_frame(monkeypatch)
    assert cli.run([*LINE, "--save-session", "s.sam2.json"]) == 2
    assert capsys.readouterr().err.endswith("The session is kept in s.sam2.json.\n")
    session = Session.load("s.sam2.json", model=seeing_model())
    np.testing.assert_array_equal(session.labels[:5], tifffile.imread("labels.unfinished.tif")[:5])


def test_a_disk_that_is_full_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_and_break() -> None:
        fill(0)
        refuse()

    with full_disk():
        at_frame(monkeypatch, 5, fill_and_break)
        assert cli.run(LINE) == 2
    said = capsys.readouterr().err
    assert "frame 5 cannot be read. What was tracked until then cannot be written to" in said
    assert SAID in said
    assert "could not be kept in another folder either" in said
    assert not list(folder.glob("labels*"))


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("cells.tif", ("cells.unfinished.tif", "cells.unfinished-2.tif")),
        ("cells.ome.tiff", ("cells.unfinished.ome.tiff", "cells.unfinished-2.ome.tiff")),
        ("cells.OME.zarr", ("cells.unfinished.OME.zarr", "cells.unfinished-2.OME.zarr")),
        ("01_RES", ("01.unfinished_RES", "01.unfinished-2_RES")),
    ],
)
def test_names(tmp_path: Path, output: str, names: tuple[str, str]) -> None:
    for name in names:
        assert rescue.unfinished(tmp_path / output) == tmp_path / name
        (tmp_path / name).touch()  # it may be the user's by now, as a --mask


def test_ctrl_c_while_labels_are_written_comes_too_late(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = whole()
    export = Session.export

    def pressed(session: Session, path: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        export(session, path)

    monkeypatch.setattr(Session, "export", pressed)
    assert cli.run(LINE) == 0
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), labels)
