"""Labels on disk while they are written."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.io import open_image
from napari_sam2.io.streaming import StreamedLabels, create_labels, finish_labels

SHAPE = (6, 8, 10)


class Disk:
    """An array that notes the frames that are written, and may be full."""

    def __init__(self) -> None:
        self.values = np.zeros(SHAPE, np.uint16)
        self.shape, self.dtype = self.values.shape, self.values.dtype
        self.written: list[int] = []
        self.is_full = False

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]

    def __setitem__(self, key: int, value: Any) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.written.append(key)
        self.values[key] = value


@pytest.fixture
def disk() -> Disk:
    return Disk()


def streamed(disk: Any, held: int = 2) -> StreamedLabels:
    return StreamedLabels(disk, held=held)


Write = st.tuples(st.integers(-6, 5), st.integers(0, 7), st.integers(0, 9), st.integers(1, 9))


@settings(deadline=None)
@given(st.lists(Write, max_size=30), st.integers(1, 7))
def test_it_is_an_array(writes: list[tuple[int, int, int, int]], held: int) -> None:
    disk, plain = Disk(), np.zeros(SHAPE, np.uint16)
    labels = streamed(disk, held)
    for frame, y, x, value in writes:
        for array in (labels, plain):
            array[frame, y : y + 3, x : x + 3] = value
        np.testing.assert_array_equal(labels[frame], plain[frame])
        np.testing.assert_array_equal(labels[frame, y, 2:], plain[frame, y, 2:])
    np.testing.assert_array_equal(labels[1:4], plain[1:4])
    np.testing.assert_array_equal(np.asarray(labels), plain)
    labels.flush()
    np.testing.assert_array_equal(disk.values, plain)


def test_a_frame_goes_to_disk_once(disk: Disk) -> None:
    labels = streamed(disk)
    for frame in range(6):
        for obj in range(1, 5):
            labels[frame, obj, obj:] = obj
        assert len(disk.written) <= frame
    labels.flush()
    labels.flush()
    assert disk.written == [0, 1, 2, 3, 4, 5]


def test_what_is_only_read_is_not_written(disk: Disk) -> None:
    labels = streamed(disk, 1)
    for frame in range(6):
        labels[frame][...] = 7  # a copy
    labels.flush()
    assert not disk.written
    assert not disk.values.any()


def test_a_full_disk_loses_nothing_that_is_held(disk: Disk) -> None:
    labels = streamed(disk)
    labels[0, 1, 1], labels[1, 2, 2] = 5, 6
    disk.is_full = True
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            labels[2, 3, 3] = 7
        with pytest.raises(OSError, match="No space left"):
            labels.flush()
    disk.is_full = False
    labels[2, 3, 3] = 7
    labels.flush()
    assert [disk.values[i, i + 1, i + 1] for i in range(3)] == [5, 6, 7]


def test_frames_that_are_not_there(disk: Disk) -> None:
    labels = streamed(disk)
    for frame in (6, -7):
        with pytest.raises(IndexError, match="frames 0 to 5"):
            labels[frame, 0, 0] = 1
    with pytest.raises(TypeError, match="one frame at a time"):
        labels[:2] = 1
    assert (len(labels), labels.ndim) == (6, 3)


def test_an_ome_zarr_with_its_levels(tmp_path: Path) -> None:
    labels = create_labels(tmp_path / "a.ome.zarr", (3, 1500, 700), axes="tyx", scale=(2, 0.5, 0.25))
    plain = np.random.default_rng(0).integers(0, 9, (3, 1500, 700)).astype(np.uint16)
    for frame in range(3):
        labels[frame, :, :] = plain[frame]
    labels.flush()
    finest = open_image(tmp_path / "a.ome.zarr")
    assert (finest.axes, finest.scale) == ("tyx", (2, 0.5, 0.25))
    np.testing.assert_array_equal(finest.array[...], plain)
    coarser = open_image(tmp_path / "a.ome.zarr", level=1)
    np.testing.assert_array_equal(coarser.array[...], plain[:, ::2, ::2])
    with pytest.raises(FileExistsError, match="is there already"):
        create_labels(tmp_path / "a.ome.zarr", SHAPE)


def test_finishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (1, 2):
        labels = create_labels(tmp_path / "part.zarr", SHAPE)
        labels[0, 0, 0] = value
        labels.flush()
        finish_labels(tmp_path / "part.zarr", tmp_path / "a.zarr")
        assert open_image(tmp_path / "a.zarr").array[0, 0, 0] == value
        assert [each.name for each in tmp_path.iterdir()] == ["a.zarr"]
    create_labels(tmp_path / "part.zarr", SHAPE)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "part.zarr":
            raise OSError(errno.EACCES, "denied")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="denied"):
            finish_labels(tmp_path / "part.zarr", tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr").array[0, 0, 0] == 2


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    create_labels(tmp_path / "disk" / "old.zarr", SHAPE)
    (tmp_path / "a.zarr").symlink_to(tmp_path / "disk" / "old.zarr")
    labels = create_labels(tmp_path / "part.zarr", SHAPE)
    labels[0, 0, 0] = 7
    labels.flush()
    finish_labels(tmp_path / "part.zarr", tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr").is_symlink()
    assert open_image(tmp_path / "disk" / "old.zarr").array[0, 0, 0] == 7
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zarr", "disk"]


def test_labels_that_are_deleted_are_not_made_anew(tmp_path: Path) -> None:
    made = tmp_path / "part.zarr"
    labels = create_labels(made, SHAPE)
    labels[0, 1, 1] = 5
    labels.flush()
    labels[1, 2, 2] = 6
    shutil.rmtree(made)
    for read_or_write in (labels.flush, lambda: labels[:], lambda: finish_labels(made, tmp_path / "a.zarr")):
        with pytest.raises(FileNotFoundError, match=r"part\.zarr has vanished"):
            read_or_write()
    assert not list(tmp_path.iterdir())


def test_what_is_no_label_image_stays(tmp_path: Path) -> None:
    create_labels(tmp_path / "part.zarr", SHAPE)
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("")
    with pytest.raises(FileExistsError, match="not replaced"):
        finish_labels(tmp_path / "part.zarr", tmp_path / "a.zarr")
    assert (tmp_path / "part.zarr").exists()
