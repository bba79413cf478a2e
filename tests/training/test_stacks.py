from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.training.stacks import find_contrast, find_places, make_stack, read_stacks

LABELS = np.zeros((3, 40, 50), np.uint16)
LABELS[0, 5:15, 6:20] = 7
LABELS[1, 8:18, 6:20] = 7
LABELS[1, 30:38, 40:50] = 300
IMAGES = (LABELS * 3 + 10).astype(np.uint16)


def _write(path: Path, array: np.ndarray) -> None:
    tifffile.imwrite(path, array, photometric="minisblack")


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", images=IMAGES, labels=LABELS)
    np.savez(tmp_path / "a.npz", images=IMAGES[0], labels=LABELS[0])
    single, whole = read_stacks(tmp_path)
    assert (single.name, whole.name) == ("a.npz", "b.npz")
    assert single.images.shape == (1, 40, 50, 1)
    assert whole.images.shape == (3, 40, 50, 1)
    assert np.array_equal(whole.labels, LABELS)


@pytest.mark.parametrize("ending", ["_labels.tif", "_masks.tiff"])
def test_tiffs_side_by_side(tmp_path: Path, ending: str) -> None:
    _write(tmp_path / "cells.tif", IMAGES)
    _write(tmp_path / f"cells{ending}", LABELS)
    _write(tmp_path / "unlabelled.tif", IMAGES)
    (stack,) = read_stacks(tmp_path)
    assert stack.name == "cells.tif"
    assert np.array_equal(stack.images[..., 0], IMAGES)


def test_tiffs_in_two_folders(tmp_path: Path) -> None:
    for folder, array in (("images", IMAGES), ("labels", LABELS)):
        (tmp_path / folder).mkdir()
        _write(tmp_path / folder / "cells.tif", array)
    assert len(read_stacks(tmp_path)) == 1
    _write(tmp_path / "images" / "more.tif", IMAGES)
    with pytest.raises(ValueError, match=r"more\.tif has no labels"):
        read_stacks(tmp_path)


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"NAME\.npz"):
        read_stacks(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        read_stacks(tmp_path / "none")


def test_an_npz_without_labels_or_that_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES)
    with pytest.raises(ValueError, match="no array labels"):
        read_stacks(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        read_stacks(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:2], LABELS, "do not fit"),
        (IMAGES[None], LABELS[None], "do not fit"),
        (np.zeros((3, 40, 50, 2), np.uint8), LABELS, "do not fit"),
        (IMAGES, LABELS.astype(float), "whole numbers"),
        (IMAGES, -LABELS.astype(int), "negative"),
        (IMAGES > 3, LABELS, "must be numbers"),
        (IMAGES, LABELS * 0, "no object"),
    ],
)
def test_what_does_not_fit_is_refused(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_stack("mine", images, labels)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour(channels: int) -> None:
    images = np.zeros((3, 40, 50, channels), np.uint8)
    assert make_stack("mine", images, LABELS).images.shape == (3, 40, 50, 3)


def test_places_are_the_boxes_of_all_objects() -> None:
    places = find_places(LABELS)
    rows = list(zip(places.obj.tolist(), places.frame.tolist(), places.box.tolist(), strict=True))
    assert rows == [
        (7, 0, [5, 6, 15, 20]),
        (7, 1, [8, 6, 18, 20]),
        (300, 1, [30, 40, 38, 50]),
    ]


def test_specks_are_no_objects() -> None:
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, :3, :5] = 1
    assert not len(find_places(labels).obj)
    labels[0, 3, 0] = 1
    assert len(find_places(labels).obj) == 1


def test_contrast() -> None:
    ramp = np.arange(1001, dtype=np.uint16).reshape(1, 7, 143)
    assert find_contrast(ramp) == pytest.approx((5.0, 998.0), abs=1)
    assert find_contrast(ramp.astype(np.uint8)) == (0.0, 255.0)
    low, high = find_contrast(np.full((1, 4, 4), np.nan))
    assert high > low
