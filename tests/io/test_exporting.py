from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.io import export_labels, export_steps, exporting, open_image

Array = np.ndarray[Any, Any]
dask_array: Any = da.from_array


def blocks(*shape: int, dtype: str = "u2") -> Array:
    labels = np.zeros(shape, dtype=dtype)
    labels[..., 2:6, 3:9] = 1
    labels[..., 8:12, 3:9] = 7
    if len(shape) > 2:
        labels[0, ..., 8:12, :] = 0
    return labels


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tiff", "a.zarr", "a.ome.zarr"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_labels_axes_and_scale_come_back(tmp_path: Path, name: str, dtype: str) -> None:
    labels = blocks(4, 24, 20, dtype=dtype)
    export_labels(tmp_path / name, labels, axes="tyx", scale=(30, 0.5, 0.25))
    assert names(tmp_path) == [name]
    image = open_image(tmp_path / name)
    assert (image.axes, image.array.dtype) == ("tyx", labels.dtype)
    assert image.scale == pytest.approx((30, 0.5, 0.25))
    np.testing.assert_array_equal(image.array[...], labels)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=hnp.arrays(
        st.sampled_from(["u1", "u2", "u4", ">u2"]),
        st.tuples(st.integers(2, 4), st.integers(2, 9), st.integers(2, 9)),
    ),
    suffix=st.sampled_from([".tif", ".zarr"]),
)
def test_any_labels_come_back(tmp_path: Path, labels: Array, suffix: str) -> None:
    export_labels(tmp_path / f"a{suffix}", labels)
    np.testing.assert_array_equal(open_image(tmp_path / f"a{suffix}").array[...], labels)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((24, 20), "yx"), ((2, 3, 24, 20), "tzyx"), ((1, 24, 20), "zyx")]
)
def test_other_numbers_of_axes(tmp_path: Path, name: str, shape: tuple[int, ...], axes: str) -> None:
    labels = blocks(*shape)
    export_labels(tmp_path / name, labels)
    image = open_image(tmp_path / name)
    np.testing.assert_array_equal(np.squeeze(image.array[...]), np.squeeze(labels))
    assert image.axes is not None
    assert set(image.axes) <= set(axes)


@pytest.mark.parametrize("dtype", ["i4", "i8", "u8", "i2"])
@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_other_integers_are_written_unsigned(tmp_path: Path, name: str, dtype: str) -> None:
    labels = blocks(4, 24, 20, dtype=dtype)
    export_labels(tmp_path / name, labels)
    image = open_image(tmp_path / name)
    assert image.array.dtype in (np.uint16, np.uint32)
    np.testing.assert_array_equal(image.array[...], labels)
    labels[2, 0, 0] = -1 if dtype != "u8" else 2**40
    with pytest.raises(ValueError, match="labels must be 0 to"):
        export_labels(tmp_path / name, labels)
    np.testing.assert_array_equal(image.array[1], blocks(4, 24, 20)[1])


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_lazy_labels_are_read_a_plane_at_a_time(tmp_path: Path, name: str) -> None:
    read: list[int] = []

    class Counted:
        shape, dtype = (4, 24, 20), np.dtype("u2")

        def __getitem__(self, key: int | tuple[int, ...]) -> Array:
            part = blocks(4, 24, 20)[key]
            read.append(part.size)
            return np.asarray(part)

    export_labels(tmp_path / name, Counted())
    assert max(read) == 24 * 20
    export_labels(tmp_path / f"dask{name}", dask_array(blocks(4, 24, 20), chunks=(1, 24, 20)))
    export_labels(tmp_path / f"zarr{name}", zarr.array(blocks(4, 24, 20)))


def test_an_ome_zarr_is_valid(tmp_path: Path) -> None:
    export_labels(tmp_path / "a.ome.zarr", blocks(4, 24, 20), axes="tyx", scale=(1, 0.5, 0.5))
    yaozarrs.validate_zarr_store(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    attributes: dict[str, Any] = group.attrs.asdict()
    yaozarrs.validate_ome_object(attributes["ome"], yaozarrs.v05.LabelImage)
    array = group["0"]
    assert isinstance(array, zarr.Array)
    assert array.chunks == (1, 24, 20)


def test_large_planes_have_smaller_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "SMALL_PLANE", 8)
    labels = blocks(2, 25, 20)
    export_labels(tmp_path / "a.ome.zarr", labels, axes="tyx", scale=(30, 0.5, 0.25))
    yaozarrs.validate_zarr_store(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    for level, step in enumerate((1, 2, 4)):
        image = open_image(tmp_path / "a.ome.zarr", level=level)
        np.testing.assert_array_equal(image.array[...], labels[:, ::step, ::step])
        assert image.scale == pytest.approx((30, 0.5 * step, 0.25 * step))
    with pytest.raises(ValueError, match="level 3 is not there"):
        open_image(tmp_path / "a.ome.zarr", level=3)


def test_large_planes_are_written_in_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TILE", 8)
    labels = blocks(2, 25, 20)
    assert len(list(export_steps(tmp_path / "a.ome.zarr", labels))) == 2 * 4 * 3
    array = zarr.open_array(tmp_path / "a.ome.zarr", path="0", mode="r")
    assert array.chunks == (1, 8, 8)
    np.testing.assert_array_equal(array[...], labels)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_steps_that_are_not_taken_leave_nothing(tmp_path: Path, name: str) -> None:
    steps = export_steps(tmp_path / name, blocks(4, 24, 20))
    for _ in range(5 if name == "01_RES" else 1):  # it reads all before it writes
        next(steps)
    assert names(tmp_path) != []
    steps.close()  # type: ignore[attr-defined]  # a generator
    assert names(tmp_path) == []
    assert len(list(export_steps(tmp_path / name, blocks(4, 24, 20)))) == (8 if name == "01_RES" else 4)


def test_a_large_tiff_is_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "CLASSIC_TIFF", 1000)
    export_labels(tmp_path / "a.tif", blocks(4, 24, 20))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff
        np.testing.assert_array_equal(tiff.asarray(), blocks(4, 24, 20))


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_labels_are_replaced(tmp_path: Path, name: str) -> None:
    export_labels(tmp_path / name, blocks(4, 24, 20))
    export_labels(tmp_path / name, blocks(3, 24, 20))
    assert names(tmp_path) == [name]
    if name != "01_RES":
        assert open_image(tmp_path / name).array.shape == (3, 24, 20)


def test_other_folders_are_not_replaced(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "image.zarr", data=blocks(4, 24, 20))
    (tmp_path / "01_RES").mkdir()
    export_labels(tmp_path / "01_RES", blocks(4, 24, 20))
    (tmp_path / "01_RES" / "precious").write_text("")
    (tmp_path / "folder.tif").mkdir()
    for name in ("image.zarr", "01_RES", "folder.tif"):
        with pytest.raises(FileExistsError):
            export_labels(tmp_path / name, blocks(4, 24, 20))
    np.testing.assert_array_equal(open_image(tmp_path / "image.zarr").array[...], blocks(4, 24, 20))
    assert names(tmp_path) == ["01_RES", "folder.tif", "image.zarr"]


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: bool
) -> None:
    if before:
        export_labels(tmp_path / name, blocks(2, 24, 20))
    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    monkeypatch.setattr(tifffile.FileHandle, "write", full)
    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(OSError, match="No space"):
        export_labels(tmp_path / name, blocks(4, 24, 20))
    monkeypatch.undo()
    assert names(tmp_path) == ([name] if before else [])
    if before and name != "01_RES":
        assert open_image(tmp_path / name).array.shape == (2, 24, 20)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path, name: str) -> None:
    class Interrupted:
        shape, dtype = (4, 24, 20), np.dtype("u2")

        def __getitem__(self, key: Any) -> Array:
            if key in (2, (2,)):
                raise KeyboardInterrupt
            return np.asarray(blocks(4, 24, 20)[key])

    with pytest.raises(KeyboardInterrupt):
        export_labels(tmp_path / name, Interrupted())
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES"])
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refused(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open" if name == "a.tif" else "mkdir", refused)
    with pytest.raises(PermissionError) as caught:
        export_labels(tmp_path / name, blocks(4, 24, 20))
    assert caught.value.filename == str(tmp_path / name), "not the one beside it"
    monkeypatch.undo()
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        export_labels(tmp_path / "missing" / name, blocks(4, 24, 20))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {}, r"^labels are written to .*, not to a\.png"),
        ("folder", {}, "labels are written to"),
        ("a.tif", {"axes": "yx"}, "axes must"),
        ("a.tif", {"axes": "yxz"}, "axes must"),
        ("a.tif", {"axes": "yyx"}, "axes must"),
        ("a.tif", {"axes": "qyx"}, "axes must"),
        ("a.tif", {"scale": (1, 1)}, "scale must"),
        ("a.tif", {"scale": (1, 1, 0)}, "scale must"),
        ("a.tif", {"scale": (1, 1, np.nan)}, "scale must"),
    ],
)
def test_bad_arguments_are_told(tmp_path: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        export_labels(tmp_path / name, blocks(4, 24, 20), **options)
    with pytest.raises(TypeError, match="integers"):
        export_labels(tmp_path / "a.tif", np.zeros((4, 24, 20)))
    assert names(tmp_path) == []
