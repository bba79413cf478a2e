"""Large and many files: opened without reading them, and read by the frame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.io import frame_axis, image_files, open_image
from napari_sam2.io.stacks import OPEN_FILES
from napari_sam2.volume import Volume
from tests.fakes import ManyFrames
from tests.ome_files import write_ome_files

Array = np.ndarray[Any, Any]


def ramp(*shape: int, dtype: str = "u2") -> Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_a_dask_array_of_100_gigabytes() -> None:
    frames = ManyFrames()
    array = frames.as_dask()
    assert array.nbytes > 100e9
    volume = Volume(array)
    assert len(frames.read) <= 16  # for the contrast
    frames.read.clear()
    frame = volume.frame(12_345)
    assert frames.read == [12_345]
    assert frame.shape == (2048, 1024, 1)
    frames.read.clear()
    volume = Volume(array, contrast=(0, 2000))
    volume.frame(7)
    assert frames.read == [7]
    frames.read.clear()
    volume.checksum()
    assert len(frames.read) <= 16


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the chunks that are read from folders."""
    read: list[str] = []
    get = zarr.storage.LocalStore.get

    async def counted(self: Any, key: str, *args: Any, **options: Any) -> Any:
        if not key.endswith((".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")):
            read.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    return read


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_reads_the_chunks_of_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: Any
) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=ramp(30, 24, 20), chunks=(1, 24, 20), zarr_format=version)
    read = count_reads(monkeypatch)
    volume = Volume(open_image(tmp_path / "a.zarr").array, contrast=(0, 9))
    assert not read
    volume.frame(7)
    assert read == ["7.0.0" if version == 2 else "c/7/0/0"]


def ome_zarr(path: Path, version: str, data: Array) -> None:
    """Write (t, c, z, y, x) with two levels; the finest one is not the first by name."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets: list[Any] = []
    for level, name in enumerate(("full", "a_half")):
        group.create_array(name, data=data[..., :: 2**level, :: 2**level])
        steps = [{"type": "scale", "scale": [1, 1, 2, 0.5 * 2**level, 0.5 * 2**level]}]
        datasets.append({"path": name, "coordinateTransformations": steps})
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": each, "type": kinds.get(each, "space")} for each in "tczyx"]
    multiscales: Any = [{"version": version, "axes": axes, "datasets": datasets}]
    if version == "0.4":
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": version, "multiscales": multiscales}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("shape", "axis"), [((5, 1, 1), 0), ((1, 1, 5), 2), ((5, 1, 4), 0), ((1, 1, 1), 0)])
def test_ome_zarr_levels_and_axes(tmp_path: Path, version: str, shape: tuple[int, ...], axis: int) -> None:
    data = ramp(*shape, 24, 20)
    ome_zarr(tmp_path / "a.zarr", version, data)
    image = open_image(tmp_path / "a.zarr")
    assert (image.axes, image.array.shape) == ("tczyx", data.shape)
    assert frame_axis(image) == axis
    fixed = {0, -3} if shape == (5, 1, 4) else set()
    assert frame_axis(image, fixed) == (0 if fixed else axis)
    assert frame_axis(image, {0}) == (2 if shape[2] > 1 else 0)
    half = open_image(tmp_path / "a.zarr", level=1)
    assert half.array.shape[-2:] == (12, 10)
    assert half.scale == pytest.approx((1, 1, 2, 1, 1))
    index = {2: 0} if axis == 0 else None
    volume = Volume(image.array, axis=axis, index=index, contrast=(0, 65535))
    assert volume.shape == (shape[axis], 24, 20)


def test_bigtiff_beyond_four_gigabytes(tmp_path: Path) -> None:
    """Nothing is written but the last frame: the file has a hole of 5 GB."""
    path, shape = tmp_path / "a.tif", (2500, 1024, 1024)
    if not has_holes(tmp_path):
        pytest.skip("this file system fills holes with bytes")
    mapped = tifffile.memmap(path, shape=shape, dtype=np.uint16, bigtiff=True, metadata={"axes": "TYX"})
    mapped[2499] = 7
    mapped.flush()
    del mapped
    image = open_image(path)
    assert (image.array.shape, image.axes) == (shape, "tyx")
    assert image.array[2499, 5, 5] == 7
    assert not image.array[1200].any()


def has_holes(folder: Path) -> bool:
    """Whether the file system keeps zeros that were never written for nothing."""
    with (folder / "hole").open("wb") as file:
        file.truncate(2**26)
    status = (folder / "hole").stat()
    return getattr(status, "st_blocks", 2**20) * 512 < status.st_size


def test_imagej_beyond_four_gigabytes(tmp_path: Path) -> None:
    """Such a file tells of its first page alone; the values of the others follow those of the first."""
    path, shape = tmp_path / "a.tif", (1100, 2, 1024, 1024)
    if not has_holes(tmp_path):
        pytest.skip("this file system fills holes with bytes")
    with pytest.warns(UserWarning, match="truncating"):
        tifffile.imwrite(path, shape=shape, dtype=np.uint16, imagej=True, metadata={"axes": "TZYX"})
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\x07\x00")
    image = open_image(path)
    assert (image.array.shape, image.axes) == (shape, "tzyx")
    assert image.array[1099, 1, 1023, 1023] in (0x0007, 0x0700)
    assert not image.array[500].any()


def test_ome_tiff_in_several_files(tmp_path: Path) -> None:
    data = ramp(4, 24, 20)
    names = ("a.ome.tif", "b.ome.tif")
    write_ome_files(data, *(tmp_path / name for name in names))
    for path in (tmp_path / names[0], tmp_path):
        image = open_image(path)
        assert (image.axes, image.scale) == ("tyx", (1, 0.5, 0.5))
        np.testing.assert_array_equal(image.array[3], data[3])
        np.testing.assert_array_equal(image.array[...], data)
    assert image_files(tmp_path / names[1]) == (tmp_path / names[1], tmp_path / names[0])
    (tmp_path / names[1]).unlink()
    assert image_files(tmp_path / names[0]) == (tmp_path / names[0],)
    (tmp_path / "c.tif").write_bytes(b"II")
    assert image_files(tmp_path / "c.tif") == (tmp_path / "c.tif",)


class TestFolders:
    def test_files_are_counted_not_spelt(self, tmp_path: Path) -> None:
        for t in range(12):
            tifffile.imwrite(tmp_path / f"t{t}.tif", ramp(24, 20) + t)
        image = open_image(tmp_path)
        assert (image.axes, image.array.shape) == ("tyx", (12, 24, 20))
        assert [int(image.array[t, 0, 0]) for t in range(12)] == list(range(12))
        np.testing.assert_array_equal(
            image.array[9:, 3, :], np.stack([ramp(24, 20)[3] + t for t in (9, 10, 11)])
        )
        np.testing.assert_array_equal(np.asarray(image.array)[-1], image.array[-1])
        assert len(image.array[5:5]) == 0

    def test_stacks_are_read_by_the_plane(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = ramp(OPEN_FILES + 3, 4, 24, 20)
        for t, stack in enumerate(data):
            tifffile.imwrite(
                tmp_path / f"t{t}.tif", stack, imagej=True, metadata={"axes": "ZYX", "spacing": 2}
            )
        image = open_image(tmp_path)
        assert (image.axes, image.array.shape) == ("tzyx", data.shape)
        assert image.scale is None or image.scale[1] == 2
        opened: list[str] = []
        open_file = tifffile.TiffFile.__init__

        def counted(self: Any, file: Any, *args: Any, **options: Any) -> None:
            opened.append(str(file))
            open_file(self, file, *args, **options)

        monkeypatch.setattr(tifffile.TiffFile, "__init__", counted)
        volume = Volume(image.array, index={1: 2}, contrast=(0, 65535))
        for t in range(len(data)):
            np.testing.assert_array_equal(image.array[t, 2], data[t, 2])
        assert volume.frame(10).shape == (24, 20, 1)
        assert len(opened) == len(data) - 1
        assert len(image.array._open) == OPEN_FILES

    def test_files_that_are_not_alike(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "t0.tif", ramp(24, 20))
        tifffile.imwrite(tmp_path / "t1.tif", ramp(24, 21))
        image = open_image(tmp_path)
        with pytest.raises(ValueError, match=r"t1\.tif holds uint16 of shape \(24, 21\)"):
            image.array[1]
        with pytest.raises(IndexError, match="there are 2"):
            image.array[2]

    def test_a_file_that_vanished(self, tmp_path: Path) -> None:
        for t in range(2):
            tifffile.imwrite(tmp_path / f"t{t}.tif", ramp(24, 20))
        image = open_image(tmp_path)
        (tmp_path / "t1.tif").unlink()
        with pytest.raises(FileNotFoundError, match=r"t1\.tif"):
            image.array[1]

    def test_a_folder_of_one_stack_is_that_stack(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", ramp(5, 24, 20))
        assert open_image(tmp_path).array.shape == (5, 24, 20)
