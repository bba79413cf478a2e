"""Images of which a part cannot be decoded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.io import open_image

FRAMES = np.random.default_rng(0).integers(0, 9, (4, 40, 50)).astype(np.uint16)


def damaged_tiff(folder: Path, compression: str) -> Path:
    """Write frames of which the third one is rubbish."""
    path = folder / "a.tif"
    tifffile.imwrite(path, FRAMES, compression=compression, photometric="minisblack")
    with tifffile.TiffFile(path) as tiff:
        begin, size = tiff.pages[2].dataoffsets[0], tiff.pages[2].databytecounts[0]
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"rubbish!" * (size // 8))
    return path


def damaged_zarr(folder: Path, codec: str) -> Path:
    path = folder / "a.zarr"
    chosen: dict[str, Any] = {"name": codec, "configuration": {}}
    zarr.create_array(path, data=FRAMES, chunks=(1, 40, 50), compressors=chosen)
    (path / "c" / "2" / "0" / "0").write_bytes(b"rubbish!" * 20)
    return path


@pytest.mark.parametrize("codec", ["zlib", "lzw", "zstd", "blosc", "gzip", "crc32c"])
def test_what_is_damaged_is_told_with_its_file(tmp_path: Path, codec: str) -> None:
    make = damaged_zarr if codec in {"blosc", "gzip", "crc32c"} else damaged_tiff
    path = make(tmp_path, codec)
    array = open_image(path).array
    for frame in (0, 1, 3):
        np.testing.assert_array_equal(array[frame], FRAMES[frame])
    for read in (lambda: array[2], lambda: array[1:, 3:9, 4:5], lambda: np.asarray(array)):
        with pytest.raises(OSError, match=rf"{re.escape(path.name)} is damaged, part of it cannot be read: "):
            read()


def test_a_wrong_index_is_no_damage(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=FRAMES)
    with pytest.raises(IndexError):
        open_image(tmp_path / "a.zarr").array[4]
