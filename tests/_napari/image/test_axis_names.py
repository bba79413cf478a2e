"""Axes are called what labels, metadata, the file or units call them, in this order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source

from napari_sam2._napari.image.axis_names import BY_FILE, BY_LABELS, BY_METADATA, BY_UNIT, axis_names


def image(*shape: int, **options: Any) -> Image:
    return Image(np.zeros(shape, np.uint8), **options)


def from_file(path: Path | str, *shape: int, **options: Any) -> Image:
    with layer_source(path=str(path)):
        return image(*shape, **options)


def names(layer: Image) -> tuple[str, ...]:
    return tuple(each.name for each in axis_names(layer))


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("TZYX", (2, 3, 6, 7), ("t", "z", "y", "x")),
        ("tczyx", (2, 3, 4, 6, 7), ("t", "c", "z", "y", "x")),
        ("tczyx", (2, 4, 6, 7), ("t", "z", "y", "x")),
        (["time", "Channel", "y", "x"], (2, 3, 6, 7), ("t", "c", "y", "x")),
        ([{"name": "z", "type": "space"}, {"name": "y"}, {"name": "x"}], (4, 6, 7), ("z", "y", "x")),
        ("QZYX", (2, 3, 6, 7), ("", "z", "y", "x")),
        ("PZYX", (2, 3, 6, 7), ("p", "z", "y", "x")),
        ("ZYX", (2, 3, 6, 7), ("", "", "", "")),
        ([3, None, "y", "x"], (2, 3, 6, 7), ("3", "", "y", "x")),
        (None, (4, 6, 7), ("", "", "")),
        (17, (4, 6, 7), ("", "", "")),
    ],
)
def test_metadata(axes: object, shape: tuple[int, ...], expected: tuple[str, ...]) -> None:
    assert names(image(*shape, metadata={"axes": axes})) == expected


def test_colours_are_no_axis(tmp_path: Path) -> None:
    assert names(image(4, 6, 7, 3, rgb=True, metadata={"axes": "TYXS"})) == ("t", "y", "x")
    assert names(image(4, 6, 7, 3, rgb=True, metadata={"axes": "TYX"})) == ("t", "y", "x")
    path = tmp_path / "colours.tif"
    tifffile.imwrite(path, np.zeros((4, 6, 7, 3), np.uint8), photometric="rgb", metadata={"axes": "TYXS"})
    assert names(from_file(path, 4, 6, 7, 3, rgb=True)) == ("t", "y", "x")
    assert names(from_file(path, 4, 6, 7, 3, rgb=False)) == ("t", "y", "x", "c")


def test_labels_come_first_and_what_they_leave_is_taken_from_elsewhere() -> None:
    layer = image(4, 5, 6, 7, axis_labels=("z", "-3", "y", "x"), metadata={"axes": "TZYX"})
    assert names(layer) == ("z", "", "y", "x")
    layer = image(4, 5, 6, 7, axis_labels=("-4", "depth", "y", "x"), metadata={"axes": "TCYX"})
    assert [(each.name, each.reason) for each in axis_names(layer)] == [
        ("t", BY_METADATA),
        ("z", BY_LABELS),
        ("y", BY_LABELS),
        ("x", BY_LABELS),
    ]


def test_units_tell_time() -> None:
    (first, *_) = axis_names(image(4, 6, 7, units=("second", "micrometer", "micrometer")))
    assert (first.name, first.reason) == ("t", BY_UNIT)


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((2, 3, 6, 7), {"imagej": True, "metadata": {"axes": "TZYX"}}, ("t", "z", "y", "x")),
        ((2, 3, 6, 7), {"ome": True, "metadata": {"axes": "CZYX"}}, ("c", "z", "y", "x")),
        ((2, 5, 6, 7), {"metadata": {"axes": "TZYX"}}, ("t", "z", "y", "x")),
        ((2, 5, 6, 7), {}, ("", "", "y", "x")),
        ((2, 6, 7), {"metadata": None}, ("", "", "")),
    ],
)
def test_the_file_tells(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any], expected: tuple[str, ...]
) -> None:
    path = tmp_path / "stack.TIF"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), **options)
    found = axis_names(from_file(path, *shape))
    assert tuple(each.name for each in found) == expected
    assert {each.reason for each in found if each.name} <= {BY_FILE}


def test_channels_that_became_layers(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((4, 2, 6, 7), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    assert names(from_file(path, 4, 6, 7)) == ("z", "y", "x")


def test_the_file_tells_nothing_of_an_image_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), metadata={"axes": "ZYX"})
    assert names(from_file(path, 5, 6, 8)) == ("", "", "")
    assert names(from_file(path, 5, 7)) == ("", "")
    assert names(from_file(path, 2, 3, 5, 6, 7)) == ("", "", "", "", "")


def test_files_that_were_opened_as_one_stack(tmp_path: Path) -> None:
    path = tmp_path / "first.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), metadata={"axes": "ZYX"})
    assert names(from_file(path, 3, 5, 6, 7)) == ("", "z", "y", "x")


def test_files_that_cannot_be_read_are_silent(tmp_path: Path) -> None:
    assert names(from_file(tmp_path / "gone.tif", 4, 6, 7)) == ("", "", "")
    assert names(from_file("https://example.org/stack.tif", 4, 6, 7)) == ("", "", "")
    assert names(from_file(tmp_path / "other.czi", 4, 6, 7)) == ("", "", "")
    broken = tmp_path / "broken.tif"
    tifffile.imwrite(broken, np.zeros((5, 6, 7), np.uint8), metadata={"axes": "ZYX"})
    broken.write_bytes(broken.read_bytes()[:200])
    assert names(from_file(broken, 5, 6, 7)) == ("", "", "")
    broken.write_bytes(b"not a TIFF file")
    assert names(from_file(broken, 5, 6, 7)) == ("", "", "")
    broken.unlink()
    broken.mkdir()
    assert names(from_file(broken, 5, 6, 7)) == ("", "", "")


def test_a_file_is_read_once_unless_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), metadata={"axes": "ZYX"})
    layer = from_file(path, 5, 6, 7)
    opened = MagicMock(wraps=tifffile.TiffFile)
    monkeypatch.setattr("napari_sam2._napari.image.axis_names.tifffile.TiffFile", opened)
    assert names(layer) == names(layer) == ("z", "y", "x")
    assert opened.call_count == 1
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), metadata={"axes": "TYX"})
    os.utime(path, ns=(1, 1))
    assert names(layer) == ("t", "y", "x")
    opened.reset_mock()
    layer.axis_labels = ("z", "y", "x")
    assert names(layer) == ("z", "y", "x")
    opened.assert_not_called()
