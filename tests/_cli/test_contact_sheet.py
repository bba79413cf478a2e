"""Overlay pictures."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._cli.contact_sheet import Mark, chosen_frames, colour_of, contact_sheet
from tests._cli.fake_session import two_squares


def test_the_picture_shows_every_object_in_its_colour() -> None:
    labels = two_squares(10)
    images = (labels > 0).astype(np.uint16) * 3000 + 100
    marks = [Mark(1, 0, (10.0, 10.0))]
    picture = contact_sheet(images, labels, marks=marks, title="two", legend=["J 1.000"], panels=6, columns=3)
    pixels = np.asarray(picture).astype(int)
    assert picture.mode == "RGB"
    assert picture.width > picture.height > 300
    for obj in (1, 2):
        distance = np.abs(pixels - colour_of(obj)).sum(axis=2)
        assert np.count_nonzero(distance < 40) > 200, f"object {obj} has no outline"
    assert np.count_nonzero((pixels > 250).all(axis=2)) > 20, "the click has no ring"


@pytest.mark.parametrize("shape", [(1, 30, 50), (3, 64, 20)])
def test_few_frames_and_odd_shapes(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = contact_sheet(rng.normal(size=shape), np.zeros(shape, np.uint16))
    assert picture.width > 100


def test_colour_images_keep_their_colours() -> None:
    images = np.zeros((2, 20, 20, 3), np.uint8)
    images[:, :, 10:, 0] = 255
    pixels = np.asarray(contact_sheet(images, np.zeros((2, 20, 20), np.uint16)))
    assert pixels[..., 0].max() == 255
    assert np.count_nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 30)) > 1000


def test_constant_images_are_no_error() -> None:
    contact_sheet(np.zeros((2, 20, 20)), np.zeros((2, 20, 20), np.uint16))


@pytest.mark.parametrize(
    ("count", "panels", "wanted", "frames"),
    [
        (24, 8, [], [0, 3, 7, 10, 13, 16, 20, 23]),
        (24, 8, [2, 15], [0, 2, 7, 10, 13, 15, 20, 23]),
        (3, 8, [1], [0, 1, 2]),
        (1, 8, [0], [0]),
    ],
)
def test_frames_are_even_and_include_the_clicked_ones(
    count: int, panels: int, wanted: list[int], frames: list[int]
) -> None:
    assert chosen_frames(count, panels, wanted) == frames


def test_colours_differ() -> None:
    colours = np.array([colour_of(obj) for obj in range(1, 9)])
    distances = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 999 * np.eye(8)
    assert distances.min() > 40
