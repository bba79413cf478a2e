"""Session files that cannot be opened or written: what is wrong is told, and nothing half-written is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_sam2.session import Session
from tests.fakes import noisy_frames, seeing_model

COUNT = 10
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def saved(session: Session, folder: Path) -> Path:
    path = folder / "cells.sam2.json"
    session.save(path)
    return path


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


@pytest.mark.parametrize(
    "images",
    [
        IMAGES[:-1],
        IMAGES[:, :-1],
        IMAGES.astype(np.uint16),
        np.roll(IMAGES, 1, axis=0),
        np.stack([IMAGES] * 2),
    ],
    ids=["shorter", "smaller", "other type", "other values", "other axes"],
)
def test_other_images_are_refused(tmp_path: Path, images: np.ndarray) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    with pytest.raises(ValueError, match=r"other images than the session's: .*\(\d+, .* came") as refused:
        Session.load(path, images, REAL)
    assert "index=" not in str(refused.value), "which nobody can give when it is loaded"


class Damaged:
    """Images of which one frame cannot be read, once it is broken."""

    shape, dtype, ndim = IMAGES.shape, IMAGES.dtype, IMAGES.ndim

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def __getitem__(self, key: Any) -> Any:
        if key[0] == self.broken:
            raise OSError(f"frame {key[0]} is gone")
        return IMAGES[key]


def test_a_session_of_images_with_a_broken_frame_is_saved_and_loaded(tmp_path: Path) -> None:
    path = saved(Session(Damaged(3), model=REAL), tmp_path)
    assert Session.load(path, Damaged(3), REAL).volume.shape == IMAGES.shape
    whole = saved(Session(IMAGES, model=REAL), tmp_path)
    with pytest.raises(ValueError, match=r"cannot be read now \(frame 3 is gone\): see that"):
        Session.load(whole, Damaged(3), REAL)


def test_images_that_are_nowhere_have_to_be_given(tmp_path: Path) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    with pytest.raises(ValueError, match="pass them as data"):
        Session.load(path, model=REAL)


def test_images_that_have_moved_are_named(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.location = str(tmp_path / "gone.tif")
    path = saved(session, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.tif"):
        Session.load(path, model=REAL)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    edit(path, version=4)
    with pytest.raises(ValueError, match="version 4, this program reads versions up to 3"):
        Session.load(path, IMAGES, REAL)


def test_a_truncated_document_is_refused(tmp_path: Path) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    path.write_text(path.read_text()[:300])
    with pytest.raises(ValueError, match="not a session file"):
        Session.load(path, IMAGES, REAL)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    shutil.rmtree(tmp_path / "cells.sam2.zarr")
    with pytest.raises(FileNotFoundError, match=r"cells\.sam2\.zarr is missing"):
        Session.load(path, IMAGES, REAL)


def test_a_document_without_its_parts_names_them(tmp_path: Path) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    document = json.loads(path.read_text())
    del document["passes"], document["model"]
    path.write_text(json.dumps(document))
    with pytest.raises(
        ValueError, match="not a whole session file, model, passes missing: take another copy"
    ):
        Session.load(path, IMAGES, REAL)


def test_a_session_that_cannot_be_saved_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    session = Session(IMAGES, model=REAL)
    monkeypatch.setattr(zarr.Group, "create_array", full)
    with pytest.raises(OSError, match="No space left"):
        session.save(tmp_path / "cells.sam2.json")
    assert list(tmp_path.iterdir()) == []
