"""Prompts from label images and sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2 import seeding
from napari_sam2.io import read_session
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from tests._cli.fake_session import FakeSession, two_squares
from tests.fakes import SHAPE, FakeModel, click, plain_frames


def test_prompts_are_in_pixels_of_their_level(tmp_path: Path) -> None:
    images = tmp_path / "a.tif"
    said = {"location": str(images.resolve()), "level": 1}
    for level in (None, 1):
        seeding.check_level(said, images, level)
    seeding.check_level(said, tmp_path / "b.tif", 0)  # other images may have other levels
    with pytest.raises(ValueError, match="in pixels of level 1"):
        seeding.check_level(said, images, 0)


def test_labels_of_the_sequence_seed_the_frames_where_they_are() -> None:
    labels = two_squares()
    labels[1:] = 0
    labels[4, 1, 1] = 70_000 % 65_536
    found = seeding.mask_seeds(labels, labels.shape, 0)
    assert set(found) == {(1, 0), (2, 0), (70_000 % 65_536, 4)}
    assert found[1, 0] == FramePrompts(mask=labels[0] == 1)


def test_labels_of_one_frame() -> None:
    labels = two_squares()
    found = seeding.mask_seeds(labels[2], labels.shape, 5)
    assert set(found) == {(1, 5), (2, 5)}


@pytest.mark.parametrize("axes", [(0, 1), (1, 2)])
def test_labels_with_axes_of_one_position(axes: tuple[int, ...]) -> None:
    labels = two_squares()
    volume = Volume(labels.astype(np.uint8))
    np.testing.assert_array_equal(seeding.shown_labels(np.expand_dims(labels, axes), volume), labels)
    np.testing.assert_array_equal(seeding.shown_labels(labels[2:3], volume), labels[2])


SEEN = Volume(np.zeros((4, 2, 5, 9, 8), np.uint8), axis=2, index={0: 3}, channel=1)
"""Of (t, c, z, y, x) the slices at one time of one channel."""


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("tczyx", np.s_[3, 1]),
        ("tzyx", np.s_[3]),
        ("czyx", np.s_[1]),
        ("zyx", np.s_[:]),
        ("tcyx", np.s_[3, 1]),
        ("tyx", np.s_[3]),
        ("yx", np.s_[:]),
    ],
)
def test_labels_may_miss_axes_of_the_images(kept: str, shown: tuple[int, ...]) -> None:
    lengths = {axis: SEEN.data.shape["tczyx".index(axis)] for axis in kept}
    labels = np.arange(np.prod(list(lengths.values()))).reshape(list(lengths.values()))
    np.testing.assert_array_equal(seeding.shown_labels(labels, SEEN), labels[shown])


def test_labels_of_one_channel_of_several() -> None:
    """That axis is there, and has one position, not the second that is seen of the images."""
    labels = np.arange(4 * 5 * 9 * 8).reshape(4, 1, 5, 9, 8)
    np.testing.assert_array_equal(seeding.shown_labels(labels, SEEN), labels[3, 0])


def test_frames_come_first_and_colours_are_left_out() -> None:
    volume = Volume(np.zeros((2, 9, 5, 8, 3), np.uint8), axis=2, index={0: 1}, channel="rgb")
    labels = np.arange(2 * 9 * 5 * 8).reshape(2, 9, 5, 8)
    np.testing.assert_array_equal(seeding.shown_labels(labels, volume), labels[1].transpose(1, 0, 2))
    np.testing.assert_array_equal(seeding.shown_labels(labels[1], volume), labels[1].transpose(1, 0, 2))


@pytest.mark.parametrize("shape", [(4, 2, 5, 9, 7), (4, 2, 6, 9, 8), (3, 5, 9, 8), (4, 1, 2, 5, 9, 8), (9,)])
def test_labels_with_other_axes_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit images of shape"):
        seeding.shown_labels(np.zeros(shape, np.uint8), SEEN)


def test_labels_that_fit_in_two_ways_are_told() -> None:
    """Nothing says whether the first axis is that of times or of channels."""
    volume = Volume(np.zeros((4, 4, 5, 9, 8), np.uint8), axis=2, index={0: 3, 1: 1})
    with pytest.raises(ValueError, match="in more than one way"):
        seeding.shown_labels(np.zeros((4, 5, 9, 8), np.uint8), volume)


def test_labels_that_do_not_fit() -> None:
    labels = two_squares()
    with pytest.raises(ValueError, match=r"\(6, 40, 47\).*\(6, 40, 48\)"):
        seeding.mask_seeds(labels[..., :-1], labels.shape, 0)
    with pytest.raises(ValueError, match="whole numbers, not float32"):
        seeding.mask_seeds(labels.astype(np.float32), labels.shape, 0)


def test_prompts_of_a_saved_session_are_those_that_were_said(tmp_path: Path, fake_model: FakeModel) -> None:
    session = Session(plain_frames(6), model=fake_model.as_model())
    mask = np.zeros(SHAPE, bool)
    mask[3:9, 4:7] = True
    session.set_prompts(1, 2, click(9, 9, (3, 3, False)))
    session.set_prompts(2, 2, FramePrompts(box=(2, 3, 9, 9), candidate=1))
    session.paint(2, 4, mask)
    session.save(tmp_path / "cells.sam2.json")
    seeds = seeding.session_seeds(read_session(tmp_path / "cells.sam2.json"))
    assert seeds == {(key.obj, key.frame): said for key, said in session.prompts.items()}


def test_sources_are_joined() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1] = True
    point = FramePrompts(((1, 2),), (True,))
    joined = seeding.merged({(1, 0): FramePrompts(mask=mask)}, {(1, 0): point, (2, 0): point})
    assert joined == {(1, 0): FramePrompts(((1, 2),), (True,), mask=mask), (2, 0): point}


def test_a_prompt_beside_the_sequence() -> None:
    with pytest.raises(ValueError, match="frame 6: the frames are 0 to 5"):
        seeding.check_frames({(1, 6): FramePrompts(((1, 2),), (True,))}, 6)


def test_planting() -> None:
    session = FakeSession(two_squares())
    given = {(2, 4): FramePrompts(((1, 2),), (True,)), (1, 0): FramePrompts(((1, 2),), (True,))}
    seeding.plant(session.as_session(), given)
    assert list(session.prompts) == [PromptKey(1, 0), PromptKey(2, 4)]


def test_labels_are_read_from_files(tmp_path: Path) -> None:
    labels = two_squares()
    np.save(tmp_path / "a.npy", labels)
    np.savez(tmp_path / "b.npz", images=labels * 2, labels=labels)
    for name in ("a.npy", "b.npz"):
        np.testing.assert_array_equal(seeding.read_labels(tmp_path / name), labels)
    np.save(tmp_path / "c.npy", labels.astype(np.float32) / 2)
    np.savez(tmp_path / "d.npz", images=labels)
    (tmp_path / "e.npz").write_text("text")
    for name, message in (
        ("c.npy", "holds float32"),
        ("d.npz", "it has images"),
        ("e.npz", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=message):
            seeding.read_labels(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers_may_be_stored_as_others(tmp_path: Path, dtype: type) -> None:
    """ImageJ writes label images of many objects so."""
    labels = two_squares()
    labels[labels == 2] = 70_000 % 65_536
    tifffile.imwrite(tmp_path / "labels.tif", labels.astype(dtype))
    found = seeding.read_labels(tmp_path / "labels.tif")
    assert np.issubdtype(found.dtype, np.integer)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("value", [0.5, -1, 2.0**32, np.nan, np.inf])
def test_other_numbers_are_no_labels(tmp_path: Path, value: float) -> None:
    labels = two_squares().astype(np.float64)
    labels[0, 0, 0] = value
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(ValueError, match="give one in which each object has a number of its own"):
        seeding.read_labels(tmp_path / "labels.npy")
