"""Labels of ``segment`` that cannot be written where they were wanted."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import tifffile

from napari_sam2 import cli
from napari_sam2._cli import rescue
from napari_sam2._cli.rescue import kept_elsewhere
from napari_sam2._model.weights import save_model
from napari_sam2.io import open_image
from napari_sam2.session import Session
from tests.batch.tiny import drawn
from tests.fakes import noisy_frames, seeing_model
from tests.full_disk import SAID, fill, full_disk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images, a network, a folder for labels, and a place for temporary files."""
    np.save(tmp_path / "a.npy", noisy_frames(4))
    tifffile.imwrite(tmp_path / "seeds.tif", drawn())
    save_model(seeing_model(), tmp_path / "m.safetensors", half=False)
    for name in ("out", "temporary", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINE = ["segment", "a.npy", "out/labels.tif", "--mask", "seeds.tif", "--model", "m.safetensors"]


def at_the_end(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen when all is tracked and the labels are to be written."""
    export = Session.export

    def exporting(session: Session, path: Path) -> None:
        if "out" in path.parts:
            happens()
        export(session, path)

    monkeypatch.setattr(Session, "export", exporting)


def kept(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_folder_that_has_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        at_the_end(patch, lambda: shutil.rmtree("out"))
        assert cli.run(LINE) == 2
    (place,) = kept(folder / "temporary")
    said = capsys.readouterr().err
    assert f"The labels are kept in {place}: move them from there soon." in said
    assert "there is no folder" in said
    (folder / "out").mkdir()
    assert cli.run(LINE) == 0
    whole = np.asarray(open_image(folder / "out" / "labels.tif").array[...])
    assert whole[-1].any()
    np.testing.assert_array_equal(open_image(place).array[...], whole)


def test_no_room_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk():
        at_the_end(monkeypatch, lambda: fill(0))
        assert cli.run(LINE) == 2
    said = capsys.readouterr().err
    assert SAID in said
    assert ". The labels could not be kept in another folder either: with --labels-on-disk" in said
    assert not [*(folder / "temporary").iterdir(), *(folder / "home").iterdir(), *(folder / "out").iterdir()]


class Written:
    """A session that writes its name."""

    def export(self, path: Path) -> None:
        path.write_text("labels")


@pytest.fixture
def devices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The disk that each folder is on, by its name."""
    on = {"out": 1, "temporary": 1, "home": 2}
    monkeypatch.setattr(rescue, "_device", lambda folder: on[folder.name])
    return on


def fail(folder: Path, number: int) -> str:
    with (
        pytest.raises(OSError, match="no") as failed,
        kept_elsewhere(cast("Session", Written()), folder / "out" / "l.tif"),
    ):
        raise OSError(number, "no")
    return " ".join(failed.value.__notes__)


def test_another_disk_than_the_full_one_is_taken(folder: Path, devices: dict[str, int]) -> None:
    said = fail(folder, errno.ENOSPC)
    assert not list((folder / "temporary").iterdir())
    (place,) = kept(folder / "home")
    assert (str(place) in said, place.name, place.read_text()) == (True, "l.tif", "labels")
    assert fail(folder, errno.EIO)
    assert len(kept(folder / "temporary")) == 1  # nothing is known of the disk
    devices["home"] = 1
    assert "could not be kept" in fail(folder, errno.EDQUOT)


def test_nothing_is_written_elsewhere_where_all_goes_well(folder: Path) -> None:
    assert cli.run(LINE) == 0
    assert not [*kept(folder / "temporary"), *kept(folder / "home")]
