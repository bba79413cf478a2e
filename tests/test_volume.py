from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.volume import Volume

Array = np.ndarray[Any, Any]
dask_array: Any = da.from_array


class Counted:
    """An array that counts the values that are read from it."""

    def __init__(self, array: Array) -> None:
        self.array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key: tuple[int | slice, ...]) -> Array:
        part = self.array[key]
        self.read += part.size
        return part


def ramp(*shape: int, dtype: Any = np.uint8) -> Array:
    return (np.arange(math.prod(shape)) % 251).reshape(shape).astype(dtype)


def test_bytes_pass_as_they_are() -> None:
    data = ramp(5, 12, 10)
    volume = Volume(data)
    assert volume.shape == (5, 12, 10)
    assert (volume.num_frames, volume.frame_shape, volume.channels) == (5, (12, 10), 1)
    assert volume.contrast is None
    frame = volume.frame(3)
    assert frame.dtype == np.uint8
    np.testing.assert_array_equal(frame, data[3][..., None])


def test_a_frame_is_the_callers_own() -> None:
    data = ramp(5, 12, 10)
    frame = Volume(data).frame(0)
    frame[:] = 0
    assert data[0].any()
    assert frame.flags.c_contiguous
    assert Volume(data, axis=2).frame(0).flags.c_contiguous


def test_one_image_is_one_frame() -> None:
    data = ramp(12, 10)
    volume = Volume(data)
    assert volume.shape == (1, 12, 10)
    np.testing.assert_array_equal(volume.frame(0)[..., 0], data)
    assert Volume(ramp(1, 12, 10)).shape == (1, 12, 10)


@given(
    st.integers(3, 5).flatmap(lambda n: st.tuples(*[st.sampled_from([1, 2, 5])] * n)),
    st.data(),
)
def test_any_axis_may_hold_the_frames(shape: tuple[int, ...], data: st.DataObject) -> None:
    array = ramp(*shape)
    order = data.draw(st.permutations(range(len(shape))))
    axis, (rows, columns) = order[0], sorted(order[1:3])
    index = {i: data.draw(st.integers(0, shape[i] - 1)) for i in order[3:]}
    volume = Volume(array, axis=axis, index=index)
    assert volume.shape == (shape[axis], shape[rows], shape[columns])
    i = data.draw(st.integers(0, shape[axis] - 1))
    key = tuple(i if a == axis else index.get(a, slice(None)) for a in range(len(shape)))
    np.testing.assert_array_equal(volume.frame(i)[..., 0], array[key])
    negative = Volume(array, axis=axis - len(shape), index={a - len(shape): p for a, p in index.items()})
    np.testing.assert_array_equal(negative.frame(i), volume.frame(i))


def test_four_axes_need_an_index_unless_one_is_single() -> None:
    data = ramp(4, 5, 12, 10)
    with pytest.raises(ValueError, match=r"4-D data .* index=\{1: 0 to 4\}"):
        Volume(data)
    volume = Volume(data, index={1: 2})
    np.testing.assert_array_equal(volume.frame(3)[..., 0], data[3, 2])
    assert Volume(data, axis=1, index={0: 2}).num_frames == 5
    assert Volume(data[:, :1]).shape == (4, 12, 10)
    assert Volume(data[:1], axis=1).shape == (5, 12, 10)
    one = Volume(data, index={0: 1, 1: 2})
    assert one.shape == (1, 12, 10)
    np.testing.assert_array_equal(one.frame(0)[..., 0], data[1, 2])


def test_five_axes_are_an_error_until_two_are_fixed() -> None:
    data = ramp(2, 3, 4, 12, 10)
    with pytest.raises(ValueError, match=r"5-D data .* index=\{1: 0 to 2, 2: 0 to 3\}"):
        Volume(data)
    np.testing.assert_array_equal(Volume(data, axis=1, index={0: 1, 2: 3}).frame(2)[..., 0], data[1, 2, 3])


@pytest.mark.parametrize("colours", [3, 4])
def test_a_last_axis_of_3_or_4_bytes_is_colour(colours: int) -> None:
    data = ramp(5, 12, 10, colours)
    volume = Volume(data)
    assert volume.shape == (5, 12, 10)
    assert volume.channels == 3
    np.testing.assert_array_equal(volume.frame(2), data[2, ..., :3])
    assert Volume(data[0]).shape == (1, 12, 10)
    assert Volume(ramp(5, 6, 12, 10, colours), index={1: 3}).frame(0).shape == (12, 10, 3)


def test_colour_of_another_type_is_asked_for() -> None:
    data = ramp(5, 12, 10, 3, dtype=np.uint16)
    volume = Volume(data, channel="rgb")
    assert volume.shape == (5, 12, 10)
    assert volume.frame(0).shape == (12, 10, 3)
    with pytest.raises(ValueError, match="4-D data"):
        Volume(data)
    with pytest.raises(ValueError, match="last axis of 3 or 4"):
        Volume(ramp(5, 12, 10), channel="rgb")


def test_a_narrow_image_is_not_colour_if_it_is_said() -> None:
    for shape in [(6, 20, 3), (2, 3, 4)]:
        volume = Volume(ramp(*shape, dtype=np.uint8), channel="grey")
        assert (volume.shape, volume.channels) == (shape, 1)


def test_one_channel_is_taken_by_number() -> None:
    last = ramp(5, 12, 10, 3)
    np.testing.assert_array_equal(Volume(last, channel=1).frame(2)[..., 0], last[2, ..., 1])
    np.testing.assert_array_equal(Volume(last[0], channel=2).frame(0)[..., 0], last[0, ..., 2])
    np.testing.assert_array_equal(Volume(last, index={-1: 1}).frame(2)[..., 0], last[2, ..., 1])
    second = ramp(5, 2, 12, 10, dtype=np.uint16)
    assert Volume(second, channel=1).options()["index"] == {"1": 1}
    assert Volume(second, axis=1, channel=4).options()["index"] == {"0": 4}
    with pytest.raises(ValueError, match="no axis is left"):
        Volume(ramp(5, 12, 10), channel=1)
    with pytest.raises(ValueError, match="which of the axes"):
        Volume(ramp(2, 3, 4, 12, 10), channel=1)
    with pytest.raises(ValueError, match="no position 3"):
        Volume(last, channel=3)


@pytest.mark.parametrize("kind", ["counted", "dask", 2, 3])
def test_only_the_frame_asked_for_is_read(kind: Any, tmp_path: Path) -> None:
    array = ramp(6, 20, 12, 10)
    source = Counted(array)
    data: Any = source
    if kind == "dask":
        data = dask_array(source, chunks=(1, 1, 12, 10), asarray=False, meta=array[:0])
        source.read = 0
    if kind in (2, 3):
        data = zarr.create_array(
            tmp_path / "a.zarr", shape=array.shape, chunks=(1, 1, 12, 10), dtype="u1", zarr_format=kind
        )
        data[...] = array
    volume = Volume(data, axis=1, index={0: 4})
    assert volume.shape == (20, 12, 10)
    assert source.read == 0, "opening reads nothing"
    np.testing.assert_array_equal(volume.frame(7)[..., 0], array[4, 7])
    assert source.read == (0 if kind in (2, 3) else 120)


def test_zarr_reads_one_chunk_for_one_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(20, 12, 10), chunks=(1, 12, 10), dtype="u1")[...] = ramp(20, 12, 10)
    read: list[str] = []
    get = zarr.storage.LocalStore.get

    async def counted(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        read.append(key)
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    volume = Volume(zarr.open_array(path, mode="r"))
    assert volume.shape == (20, 12, 10)
    volume.frame(7)
    assert [key for key in read if key.startswith("c/")] == ["c/7/0/0"]


def test_contrast_is_looked_up_in_a_sample_and_fixed() -> None:
    rng = np.random.default_rng(0)
    source = Counted(rng.normal(1000, 50, (200, 40, 30)).astype(np.float32))
    volume = Volume(source)
    assert source.read == 16 * 40 * 30
    assert volume.contrast is not None
    taken = source.array[np.linspace(0, 199, 16).round().astype(int)]
    np.testing.assert_allclose(volume.contrast, np.percentile(taken, (0.5, 99.8)), rtol=1e-6)
    frame = volume.frame(5)
    assert frame.dtype == np.float32
    assert (frame.min(), frame.max()) == (0, 255)
    low, high = volume.contrast
    np.testing.assert_allclose(
        frame[..., 0], np.clip((source.array[5] - low) / (high - low), 0, 1) * 255, atol=1e-3
    )


def test_large_frames_are_sampled() -> None:
    data = np.zeros((2, 2000, 1500), dtype=np.uint16)
    data[:, ::7] = 900
    volume = Volume(data)
    assert sum(volume._sampled(i).size for i in range(2)) <= 1_000_000
    assert tuple(volume.contrast or ()) == (0, 900)


def test_contrast_may_be_given() -> None:
    data = ramp(3, 12, 10)
    volume = Volume(data, contrast=(50, 100))
    assert tuple(volume.contrast or ()) == (50, 100)
    expected = np.clip((data[1].astype(float) - 50) * 5.1, 0, 255)
    np.testing.assert_allclose(volume.frame(1)[..., 0], expected, atol=1e-3)
    source = Counted(ramp(3, 12, 10, dtype=np.uint16))
    Volume(source, contrast=(0, 1))
    assert source.read == 0


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_values_that_are_no_numbers_are_dark_and_bounds_are_clipped(dtype: str) -> None:
    data = ramp(2, 12, 10, dtype=dtype)
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    volume = Volume(data)
    assert volume.contrast is not None
    assert np.isfinite(volume.contrast).all()
    assert volume.frame(0)[0, :3, 0].tolist() == [0, 255, 0]
    assert np.isfinite(volume.frame(0)).all()


@given(hnp.arrays(hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.floating_dtypes(), (2, 3, 5)))
def test_every_frame_is_0_to_255(data: Array) -> None:
    data[0, 0, :2] = 0, 1
    frame = Volume(data).frame(1)
    assert frame.dtype in (np.uint8, np.float32)
    assert np.isfinite(frame).all()
    assert frame.min() >= 0
    assert frame.max() <= 255


def test_large_numbers_keep_their_differences() -> None:
    data = (2**40 + np.arange(2 * 12 * 10)).reshape(2, 12, 10)
    assert len(np.unique(Volume(data).frame(1))) > 110


def test_a_few_bright_spots_are_not_a_constant_image() -> None:
    data = np.zeros((3, 100, 100), np.uint16)
    data[1, 4, 4] = 500
    assert tuple(Volume(data).contrast or ()) == (0, 500)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ("cells.tif", {}, TypeError, "not an image: str"),
        (None, {}, TypeError, "not an image"),
        (7, {}, TypeError, "not an image"),
        (np.zeros((3, 5, 5), bool), {}, TypeError, "bool.*uint8"),
        (np.zeros((3, 5, 5), complex), {}, TypeError, "complex.*abs"),
        (np.zeros((3, 5, 5), object), {}, TypeError, "object"),
        (np.zeros((3, 5, 5), "U3"), {}, TypeError, "integers or floats"),
        (np.zeros(5), {}, ValueError, "two axes"),
        (np.zeros((0, 5, 5)), {}, ValueError, "empty"),
        (np.zeros((3, 5, 5)), {}, ValueError, r"constant \(0\)"),
        (np.full((3, 5, 5), np.nan), {}, ValueError, "no finite value"),
        (ramp(3, 5, 5), {"axis": 3}, ValueError, "no axis 3"),
        (ramp(3, 5, 5), {"axis": 1.0}, TypeError, "whole number"),
        (ramp(3, 5, 5), {"axis": True}, TypeError, "whole number"),
        (ramp(5, 5), {"axis": 1}, ValueError, "one frame"),
        (ramp(3, 5, 5, 5), {"index": {0: 1}}, ValueError, "axis 0 cannot"),
        (ramp(3, 5, 5, 5), {"index": {7: 1}}, ValueError, "no axis 7"),
        (ramp(3, 5, 5, 5), {"index": {1: 5}}, ValueError, "no position 5"),
        (ramp(3, 5, 5, 5), {"index": {1: -1}}, ValueError, "no position -1"),
        (ramp(3, 5, 5, 5), {"index": {1: 0.5}}, TypeError, "whole number"),
        (ramp(3, 5, 5), {"index": {0: 1, 1: 1}}, ValueError, "fix fewer"),
        (ramp(3, 5, 5), {"channel": "red"}, ValueError, "channel must"),
        (ramp(3, 5, 5), {"channel": 0.5}, TypeError, "channel must"),
        (ramp(3, 5, 3), {"axis": 2}, ValueError, "one frame"),
        (ramp(3, 5, 5), {"contrast": (5, 5)}, ValueError, "low < high"),
        (ramp(3, 5, 5), {"contrast": (5, 1)}, ValueError, "low < high"),
        (ramp(3, 5, 5), {"contrast": (0, math.inf)}, ValueError, "finite"),
        (ramp(3, 5, 5), {"contrast": (1, 2, 3)}, ValueError, "contrast must"),
    ],
)
def test_bad_input_is_told(
    data: object, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Volume(data, **options)


@pytest.mark.parametrize("i", [-1, 3])
def test_a_frame_beyond_the_data_is_told(i: int) -> None:
    with pytest.raises(IndexError, match="frames 0 to 2"):
        Volume(ramp(3, 5, 5)).frame(i)


@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((4, 12, 10), np.uint8, {}),
        ((12, 10), np.uint16, {}),
        ((4, 5, 12, 10), np.uint16, {"axis": 1, "index": {0: 2}}),
        ((4, 12, 10, 3), np.uint8, {"channel": 1}),
        ((4, 12, 10, 3), np.uint16, {"channel": "rgb"}),
        ((4, 12, 3), np.uint8, {"channel": "grey"}),
        ((4, 12, 10), np.uint8, {"axis": 2, "contrast": (3, 40)}),
    ],
)
def test_options_open_the_same_frames_again(
    shape: tuple[int, ...], dtype: object, options: dict[str, Any]
) -> None:
    data = ramp(*shape, dtype=dtype)
    volume = Volume(data, **options)
    again = Volume.from_options(data, json.loads(json.dumps(volume.options())))
    assert again.options() == volume.options()
    assert again.shape == volume.shape
    for i in range(volume.num_frames):
        np.testing.assert_array_equal(again.frame(i), volume.frame(i))


def test_the_checksum_knows_the_content_and_not_the_storage(tmp_path: Path) -> None:
    data = ramp(40, 12, 10, dtype=np.uint16)
    checksum = Volume(data).checksum()
    stored = zarr.create_array(tmp_path / "a.zarr", shape=data.shape, dtype=data.dtype)
    stored[...] = data
    same = [data.copy(), dask_array(data), stored, data.astype(">u2"), np.asfortranarray(data)]
    assert {Volume(each).checksum() for each in same} == {checksum}
    other = data.copy()
    other[0, 0, 0] += 1
    different = [other, data.astype(np.int16), data[:39], data.reshape(40, 10, 12)]
    assert checksum not in {Volume(each).checksum() for each in different}
    assert Volume(data, contrast=(0, 3)).checksum() == checksum


class Damaged:
    """Frames of which one cannot be read."""

    shape, dtype, ndim = (5, 4, 6), np.dtype(np.uint8), 3

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def __getitem__(self, key: Any) -> Any:
        if key[0] == self.broken:
            raise OSError(f"frame {key[0]} is gone")
        return np.full((4, 6), key[0], np.uint8)[key[1:]]


def test_frames_that_cannot_be_read_are_part_of_the_identity() -> None:
    found = [Volume(Damaged(broken)).identity() for broken in (-1, 2, 2, 3)]
    assert [each.problem for each in found] == ["", "frame 2 is gone", "frame 2 is gone", "frame 3 is gone"]
    assert len({each.checksum for each in found}) == 3
    assert found[1].checksum == Volume(Damaged(2)).checksum()


def test_the_checksum_reads_a_sample() -> None:
    source = Counted(ramp(400, 12, 10))
    Volume(source).checksum()
    assert source.read == 16 * 120


# ------------------------------------------------------------------------ crops


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_crop_is_a_part_of_the_frame(dtype: str) -> None:
    data = np.random.default_rng(1).integers(0, 200, (3, 20, 30)).astype(dtype)
    volume = Volume(data)
    np.testing.assert_array_equal(volume.crop(1, (3, 5, 11, 30)), volume.frame(1)[3:11, 5:30])


def test_a_crop_of_fixed_axes_and_colours_is_a_part_of_the_frame() -> None:
    data = np.random.default_rng(1).integers(0, 200, (2, 20, 3, 30, 3), dtype=np.uint8)
    volume = Volume(data, axis=2, index={0: 1})
    np.testing.assert_array_equal(volume.crop(2, (0, 4, 20, 9)), volume.frame(2)[:, 4:9])


class Noted:
    """An array that notes how much was read of it."""

    def __init__(self, data: np.ndarray[Any, Any]) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.read = 0

    def __getitem__(self, key: Any) -> Any:
        part = self.data[key]
        self.read += part.size
        return part


def test_a_crop_reads_no_more_than_itself() -> None:
    noted = Noted(np.zeros((4, 100, 100), np.uint8))
    Volume(noted).crop(2, (10, 20, 15, 40))
    assert noted.read == 5 * 20


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 5, 31), (5, 0, 5, 5), (0, 9, 5, 2)])
def test_a_crop_that_is_no_part_of_the_frame(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no part"):
        Volume(np.zeros((2, 20, 30), np.uint8)).crop(0, box)
