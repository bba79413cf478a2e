"""OME-TIFF images in several files that a companion file, or one of them, describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_sam2.batch import read_plan
from napari_sam2.io import image_files, open_image
from tests.ome_files import write_companion, write_ome_files

DATA: NDArray[np.uint16] = np.random.default_rng(0).integers(0, 4000, (6, 24, 20)).astype(np.uint16)
NAMES = ("s.companion.ome", "s_1.ome.tif", "s_2.ome.tif")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_companion(DATA, *(tmp_path / name for name in NAMES))
    return tmp_path


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_each_file_opens_the_whole(folder: Path, name: str) -> None:
    image = open_image(folder / name)
    assert (image.array.shape, image.axes, image.scale) == (DATA.shape, "tyx", (1, 0.5, 0.5))
    np.testing.assert_array_equal(image.array[...], DATA)
    np.testing.assert_array_equal(image.array[4], DATA[4])


@pytest.mark.parametrize("name", NAMES)
def test_all_files_count_for_changes(folder: Path, name: str) -> None:
    others = sorted(folder / each for each in NAMES if each != name)
    assert image_files(folder / name) == (folder / name, *others)


def test_a_batch_has_one_sequence_of_them(folder: Path) -> None:
    (sequence,) = read_plan(folder).sequences
    assert (sequence.name, sequence.images) == ("s", folder / "s.companion.ome")


def test_a_part_that_another_one_describes(tmp_path: Path) -> None:
    paths = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    write_companion(DATA, tmp_path / "c.companion.ome", *paths)
    part = paths[1].read_bytes().replace(b"c.companion.ome", b"a.ome.tif      ")
    write_ome_files(DATA, *paths)
    paths[1].write_bytes(part.replace(b'a.ome.tif      "', b'a.ome.tif"      '))
    np.testing.assert_array_equal(open_image(paths[1]).array[...], DATA)
    assert image_files(paths[1]) == (paths[1], paths[0])


def test_a_description_that_is_not_there(folder: Path) -> None:
    (folder / NAMES[0]).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"s_1.* a part of an image that s\.companion\.ome describes, which"
    ):
        open_image(folder / NAMES[1])
    assert image_files(folder / NAMES[1]) == (folder / NAMES[1],)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_part_that_is_not_there_is_not_black(folder: Path, name: str) -> None:
    (folder / NAMES[2]).unlink()
    with pytest.raises(
        ValueError, match=r"several files, of which s_2\.ome\.tif cannot be read: put all of them"
    ):
        open_image(folder / name)


def test_a_description_alone(folder: Path) -> None:
    for name in NAMES[1:]:
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"describes s_1\.ome\.tif, which is not beside it"):
        open_image(folder / NAMES[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<OME></OME>", "describes no TIFF files: open the image itself"),
        (b"\xff\xfe", "is no description of an OME-TIFF"),
        (b'<OME><a FileName="s_1.ome.tif"></OME>', "damaged or cut short"),
    ],
)
def test_no_description(folder: Path, content: bytes, message: str) -> None:
    (folder / NAMES[0]).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        open_image(folder / NAMES[0])
    assert folder / NAMES[2] not in image_files(folder / NAMES[0])


def test_a_file_of_one_image_may_be_renamed(tmp_path: Path) -> None:
    write_ome_files(DATA, tmp_path / "a.ome.tif", tmp_path / "b.ome.tif")
    tifffile.imwrite(tmp_path / "c.ome.tif", DATA, metadata={"axes": "TYX"})
    (tmp_path / "c.ome.tif").rename(tmp_path / "d.ome.tif")
    np.testing.assert_array_equal(open_image(tmp_path / "d.ome.tif").array[...], DATA)
