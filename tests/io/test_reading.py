from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from yaozarrs import v05
from yaozarrs.write.v05 import write_image

from napari_sam2.io import label_geometry, open_image
from napari_sam2.io.told_axes import colours
from napari_sam2.session import Session
from tests.fakes import FakeModel

Array = np.ndarray[Any, Any]


def ramp(*shape: int, dtype: str = "u2") -> Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def read(path: Path, **options: int) -> Array:
    return np.asarray(open_image(path, **options).array[...])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("rows", [None, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f4"])
def test_tiff(tmp_path: Path, compression: str | None, rows: int | None, dtype: str) -> None:
    path, data = tmp_path / "a.tif", ramp(5, 24, 20, dtype=dtype)
    tifffile.imwrite(path, data, compression=compression, rowsperstrip=rows, photometric="minisblack")
    image = open_image(path)
    assert image.array.shape == data.shape
    assert image.array.dtype == data.dtype.newbyteorder("=")
    np.testing.assert_array_equal(image.array[3], data[3])
    np.testing.assert_array_equal(image.array[...], data)
    assert image.scale is None


def test_one_page_and_colours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(24, 20))
    image = open_image(str(tmp_path / "a.tif"))
    assert (image.axes, image.array.shape) == ("yx", (24, 20))
    tifffile.imwrite(tmp_path / "b.tif", ramp(5, 24, 20, 3, dtype="u1"), photometric="rgb")
    image = open_image(tmp_path / "b.tif")
    assert image.array.shape == (5, 24, 20, 3)
    assert image.axes is not None
    assert image.axes.endswith("yxs")


def test_imagej_axes_and_scale(tmp_path: Path) -> None:
    data = ramp(3, 4, 2, 24, 20)
    tifffile.imwrite(
        tmp_path / "a.tif",
        data,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.5),
        metadata={"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 30.0},
    )
    image = open_image(tmp_path / "a.tif")
    assert image.axes == "tzcyx"
    assert image.scale == pytest.approx((30, 2, 1, 0.5, 0.25))
    np.testing.assert_array_equal(image.array[...], data)


def test_ome_axes_and_scale(tmp_path: Path) -> None:
    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 250.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp(2, 4, 24, 20), metadata=metadata)
    image = open_image(tmp_path / "a.ome.tif")
    assert image.axes == "czyx"
    assert image.scale == pytest.approx((1, 1, 0.5, 0.25))


def test_series_and_levels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(ramp(32, 32), subifds=1, photometric="minisblack", metadata={"axes": "YX"})
        tiff.write(ramp(16, 16), subfiletype=1, photometric="minisblack")
        tiff.write(ramp(5, 24, 20), photometric="minisblack", metadata={"axes": "TYX", "PhysicalSizeX": 3})
    assert open_image(path).array.shape == (32, 32)
    assert open_image(path, level=1).array.shape == (16, 16)
    second = open_image(path, series=1)
    assert (second.axes, second.array.shape, second.scale) == ("tyx", (5, 24, 20), (1, 3, 3))
    with pytest.raises(ValueError, match="series 2 is not there; there are 2"):
        open_image(path, series=2)
    with pytest.raises(ValueError, match="level 1 is not there"):
        open_image(path, series=1, level=1)


def test_pixels_of_a_coarser_level_are_larger(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 2}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        tiff.write(ramp(4, 32, 64), subifds=1, photometric="minisblack", metadata=metadata)
        tiff.write(ramp(4, 16, 16), subfiletype=1, photometric="minisblack")
    assert open_image(tmp_path / "a.ome.tif").scale == (2, 0.25, 0.5)
    assert open_image(tmp_path / "a.ome.tif", level=1).scale == (2, 0.5, 2)


@pytest.mark.parametrize(
    ("unit", "size"), [("Å", 1e-4), ("pm", 1e-6), ("\u03bcm", 1.0), ("dm", 1e5), ("in", 25400.0)]
)
def test_units_of_length_of_square_pixels(tmp_path: Path, unit: str, size: float) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 2, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp(4, 32, 64), metadata=metadata)
    assert open_image(tmp_path / "a.ome.tif").scale == pytest.approx((1, 2 * size, 2 * size))


@pytest.mark.parametrize(("unit", "size"), [("µs", 1e-6), ("ns", 1e-9), ("d", 86400.0)])
def test_units_of_time(tmp_path: Path, unit: str, size: float) -> None:
    metadata = {"axes": "TYX", "TimeIncrement": 2, "TimeIncrementUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", ramp(4, 32, 64), metadata=metadata)
    assert open_image(tmp_path / "a.ome.tif").scale == pytest.approx((2 * size, 1, 1))


def test_a_single_image_has_no_step_between_frames(tmp_path: Path) -> None:
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", ramp(32, 64, 3, dtype="u1"), photometric="rgb", metadata=metadata
    )
    assert label_geometry(open_image(tmp_path / "a.ome.tif"), 0).scale == (1, 0.25, 0.5)


def test_tiff_is_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, data = tmp_path / "a.tif", ramp(50, 24, 20)
    tifffile.imwrite(path, data, compression="zlib", photometric="minisblack")
    image = open_image(path)
    read_bytes: list[int] = []
    segment = tifffile.FileHandle.read_segments

    def counted(self: Any, offsets: Any, counts: Any, *args: Any, **kwargs: Any) -> Any:
        read_bytes.extend(np.atleast_1d(counts))
        return segment(self, offsets, counts, *args, **kwargs)

    monkeypatch.setattr(tifffile.FileHandle, "read_segments", counted)
    np.testing.assert_array_equal(image.array[7], data[7])
    assert sum(read_bytes) <= 24 * 20 * 2


def test_a_forgotten_image_closes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(5, 24, 20))
    image = open_image(path)
    handle = image.array.store._data[0].parent.filehandle
    del image
    gc.collect()
    assert handle.closed


@pytest.mark.parametrize("kind", ["plain", "compressed", "ome", "imagej", "one page"])
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9])
def test_a_tiff_that_is_cut_short_is_told(tmp_path: Path, kind: str, part: float) -> None:
    path, data = tmp_path / "a.tif", ramp(1 if kind == "one page" else 10, 64, 60)
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "one page": {"metadata": None},
        "compressed": {"compression": "zlib"},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    }
    tifffile.imwrite(path, data, photometric="minisblack", **kinds[kind])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ValueError, match=r"a\.tif.* cut short"):
        open_image(path)
    assert not logging.getLogger("tifffile").handlers


def test_a_folder_of_tiff_files_is_a_time_lapse(tmp_path: Path) -> None:
    data = ramp(4, 24, 20)
    for t in range(4):
        tifffile.imwrite(tmp_path / f"t{t:03}.tif", data[t])
    (tmp_path / "notes.txt").write_text("")
    image = open_image(tmp_path)
    assert image.axes == "tyx"
    np.testing.assert_array_equal(image.array[2], data[2])
    np.testing.assert_array_equal(image.array[...], data)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path: Path, version: Any) -> None:
    data = ramp(5, 24, 20)
    names = ["z", "y", "x"] if version == 3 else None
    zarr.create_array(tmp_path / "a.zarr", data=data, zarr_format=version, dimension_names=names)
    image = open_image(tmp_path / "a.zarr")
    assert isinstance(image.array, zarr.Array)
    assert image.axes == ("zyx" if version == 3 else None)
    np.testing.assert_array_equal(image.array[...], data)


def test_ome_zarr_0_5(tmp_path: Path) -> None:
    axes: list[Any] = [
        v05.TimeAxis(name="t"),
        v05.SpaceAxis(name="y", unit="nanometer"),
        v05.SpaceAxis(name="x", unit="micrometer"),
    ]
    datasets = [
        v05.Dataset(
            path=str(i),
            coordinateTransformations=[v05.ScaleTransformation(scale=[1, 500 * 2**i, 0.25 * 2**i])],
        )
        for i in range(2)
    ]
    image = v05.Image(multiscales=[v05.Multiscale(axes=axes, datasets=datasets)])
    data = ramp(5, 24, 20)
    write_image(tmp_path / "a.ome.zarr", image, [data, data[:, ::2, ::2]], writer="zarr")
    opened = open_image(tmp_path / "a.ome.zarr")
    assert opened.axes == "tyx"
    assert opened.scale == pytest.approx((1, 0.5, 0.25))
    np.testing.assert_array_equal(opened.array[...], data)
    coarse = open_image(tmp_path / "a.ome.zarr", level=1)
    assert coarse.array.shape == (5, 12, 10)
    assert coarse.scale == pytest.approx((1, 1, 0.5))
    with pytest.raises(ValueError, match="level 2 is not there"):
        open_image(tmp_path / "a.ome.zarr", level=2)


def ome_zarr_0_4(path: Path, data: Array) -> zarr.Group:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=data)
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": each, "type": "space", "unit": "micrometer"} for each in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2, 1, 1]}]}],
            "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.5]}],
        }
    ]
    return group


def test_ome_zarr_0_4(tmp_path: Path) -> None:
    data = ramp(5, 24, 20)
    group = ome_zarr_0_4(tmp_path / "a.zarr", data)
    image = open_image(tmp_path / "a.zarr")
    assert (image.axes, image.scale) == ("zyx", (2, 0.5, 0.5))
    np.testing.assert_array_equal(image.array[...], data)
    del group["0"]
    with pytest.raises(ValueError, match="array '0' of its metadata is missing"):
        open_image(tmp_path / "a.zarr")


def test_several_images_in_one_zarr(tmp_path: Path) -> None:
    outer = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    outer.attrs["bioformats2raw.layout"] = 3
    for i in range(2):
        ome_zarr_0_4(tmp_path / "a.zarr" / str(i), ramp(5 + i, 24, 20))
    assert open_image(tmp_path / "a.zarr").array.shape == (5, 24, 20)
    assert open_image(tmp_path / "a.zarr", series=1).array.shape == (6, 24, 20)


def test_a_zarr_group_of_plain_arrays(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    with pytest.raises(ValueError, match="it has nothing"):
        open_image(tmp_path / "a.zarr")
    group.create_array("first", data=ramp(5, 24, 20))
    assert open_image(tmp_path / "a.zarr").array.shape == (5, 24, 20)
    group.create_array("second", data=ramp(3, 24, 20))
    with pytest.raises(ValueError, match="it has first, second"):
        open_image(tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr" / "second").array.shape == (3, 24, 20)


def test_npy_is_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ramp(5, 24, 20))
    image = open_image(tmp_path / "a.npy")
    assert isinstance(image.array, np.memmap)
    np.testing.assert_array_equal(image.array, ramp(5, 24, 20))


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=ramp(5, 24, 20), labels=ramp(3, 2))
    np.testing.assert_array_equal(read(tmp_path / "a.npz"), ramp(5, 24, 20))
    np.savez(tmp_path / "b.npz", data=ramp(3, 2))
    np.testing.assert_array_equal(read(tmp_path / "b.npz"), ramp(3, 2))
    np.savez(tmp_path / "c.npz", one=ramp(3, 2), two=ramp(3, 2))
    with pytest.raises(ValueError, match=r"no array `images`; it has one, two"):
        open_image(tmp_path / "c.npz")


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        open_image(tmp_path / "a.tif")
    (tmp_path / "a.docx").write_text("text")
    with pytest.raises(ValueError, match=r"a\.docx: .* \.tif, .*zarr"):
        open_image(tmp_path / "a.docx")
    for suffix in ("tif", "npy", "npz"):
        path = tmp_path / f"a.{suffix}"
        for text in ("", "this is text"):
            path.write_text(text)
            with pytest.raises(ValueError, match=path.name):
                open_image(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="neither a Zarr folder nor"):
        open_image(tmp_path / "empty")
    broken = tmp_path / "broken.zarr"
    broken.mkdir()
    (broken / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match="not a Zarr folder that can be read"):
        open_image(broken)


def test_arrays_with_code_in_them_are_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=np.array([{}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=r"[Oo]bjects? "):
            open_image(tmp_path / name)


def test_one_series_is_all_there_is(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ramp(5, 24, 20))
    with pytest.raises(ValueError, match="one series and one level"):
        open_image(tmp_path / "a.npy", series=1)


@pytest.mark.parametrize("frames", [(), (4,)])
def test_colours_in_planes_are_the_last_axis(tmp_path: Path, frames: tuple[int, ...]) -> None:
    planes = np.random.default_rng(0).integers(0, 255, (*frames, 3, 16, 20), np.uint8)
    path = tmp_path / "a.tif"
    axes = "TSYX" if frames else "SYX"
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", metadata={"axes": axes})
    opened, expected = open_image(path), np.moveaxis(planes, -3, -1)
    assert (opened.array.shape, (opened.axes or "")[-3:]) == (expected.shape, "yxs")
    assert colours(opened) == "rgb"
    np.testing.assert_array_equal(np.asarray(opened.array), expected)
    volume = Session.open(path, model=FakeModel().as_model()).volume
    assert (volume.num_frames, volume.frame(0).shape) == (frames[0] if frames else 1, (16, 20, 3))
    np.testing.assert_array_equal(volume.frame(0), expected[0] if frames else expected)
