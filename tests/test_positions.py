"""Sessions at many positions are written as one image."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from napari_sam2.io import LabelGeometry
from napari_sam2.positions import Positions, StackedLabels
from napari_sam2.session import Session
from napari_sam2.tracks import TABLE_COLUMNS
from tests.fakes import SHAPE, FakeModel, plain_frames

SLICES, TIMES = 4, 3


def square(y: int, x: int, side: int = 3) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def painted(*masks: tuple[int, int, NDArray[np.bool_]], axes: str = "zyx", count: int = SLICES) -> Session:
    session = Session(plain_frames(count), model=FakeModel().as_model())
    session.geometry = LabelGeometry(axes, (2.0, 0.5, 0.25))
    for obj, frame, mask in masks:
        session.paint(obj, frame, mask)
    return session


@pytest.fixture
def movie() -> Positions:
    """Object 1 at t = 0 and t = 2, on two slices, and object 300 at t = 2."""
    first = painted((1, 1, square(2, 4)), (1, 2, square(2, 4)))
    last = painted((1, 1, square(4, 6)), (1, 3, square(4, 6, 6)), (300, 0, square(20, 8)))
    return Positions({0: first, 2: last}, TIMES, 30.0)


@pytest.fixture
def expected(movie: Positions) -> NDArray[np.uint16]:
    whole = np.zeros((TIMES, SLICES, *SHAPE), np.uint16)
    for t, session in movie.sessions.items():
        whole[t] = session.labels
    return whole


def test_all_positions_go_into_one_image(
    movie: Positions, expected: NDArray[np.uint16], tmp_path: Path
) -> None:
    movie.export(tmp_path / "labels.tif")
    with tifffile.TiffFile(tmp_path / "labels.tif") as tiff:
        assert tiff.series[0].axes == "TZYX"
        assert 'TimeIncrement="30.0"' in str(tiff.ome_metadata)
        assert 'PhysicalSizeZ="2.0"' in str(tiff.ome_metadata)
        np.testing.assert_array_equal(tiff.asarray(), expected)
    movie.export(tmp_path / "labels.ome.zarr")
    stored: Any = zarr.open_group(str(tmp_path / "labels.ome.zarr"), mode="r")
    np.testing.assert_array_equal(np.asarray(stored["0"]), expected)
    (image,) = stored.attrs.asdict()["ome"]["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["t", "z", "y", "x"]
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [30.0, 2.0, 0.5, 0.25]


def test_a_challenge_result_has_a_stack_for_every_time(
    movie: Positions, expected: NDArray[np.uint16], tmp_path: Path
) -> None:
    movie.export(tmp_path / "01_RES")
    masks = [tifffile.imread(tmp_path / "01_RES" / f"mask{t:03d}.tif") for t in range(TIMES)]
    np.testing.assert_array_equal(masks[0], expected[0])
    assert [mask.any() for mask in masks] == [True, False, True]
    rows = (tmp_path / "01_RES" / "res_track.txt").read_text().split("\n")
    assert rows[:-1] == ["1 0 0 0", "300 2 2 0", "301 2 2 1"], "after the gap object 1 goes on as its child"


def test_a_table_tells_the_position(movie: Positions, tmp_path: Path) -> None:
    movie.export(tmp_path / "objects.csv")
    with (tmp_path / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["t", *TABLE_COLUMNS]
    found = [tuple(int(row[name]) for name in ("t", "object", "frame", "area")) for row in rows]
    assert found == [(0, 1, 1, 9), (0, 1, 2, 9), (2, 1, 1, 9), (2, 1, 3, 36), (2, 300, 0, 9)]


def test_paths_lead_through_the_centres_of_whole_objects(movie: Positions) -> None:
    tracks = movie.tracks()
    z, y, x = np.average([[1, 5, 7], [3, 6.5, 8.5]], axis=0, weights=[9, 36])
    wanted = [[1, 0, 1.5, 3, 5], [1, 2, z, y, x], [300, 2, 0, 21, 9]]
    np.testing.assert_allclose(tracks.data, wanted)
    assert tracks.scale == (30.0, 2.0, 0.5, 0.25)


def divided() -> Session:
    session = painted((1, 0, square(2, 4)), axes="tyx", count=TIMES)
    session.divide(1, 1)
    session.paint(2, 1, square(5, 9))
    return session


def test_where_the_frames_are_times_the_positions_are_slices(tmp_path: Path) -> None:
    slices = Positions({1: divided(), 3: painted((1, 0, square(2, 4)), axes="tyx", count=TIMES)}, SLICES, 2.0)
    assert slices.labels.shape == (TIMES, SLICES, *SHAPE)
    labels = np.stack([slices.labels[t] for t in range(TIMES)])
    for z, session in slices.sessions.items():
        np.testing.assert_array_equal(labels[:, z], session.labels)
    assert not labels[:, [0, 2]].any()
    np.testing.assert_allclose(slices.tracks().data, [[1, 0, 2, 3, 5], [2, 1, 1, 6, 10]])
    assert slices.tracks().graph == {2: [1]}
    slices.export(tmp_path / "01_RES")
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 0 0 0\n2 1 1 1\n"
    slices.export(tmp_path / "objects.csv")
    assert (tmp_path / "objects.csv").read_text().startswith("z,object")


def test_what_divides_along_a_stack_has_no_children_in_time() -> None:
    session = divided()
    session.geometry = LabelGeometry("zyx", None)
    stack = Positions({0: session}, 2)
    assert (stack.parents, stack.scale, stack.tracks().graph) == ({}, None, {})


def test_without_masks_there_are_no_paths() -> None:
    assert Positions({0: painted()}, 2).tracks().data.shape == (0, 5)


def test_large_ids_at_one_position_count_for_all() -> None:
    wide = {0: painted((1, 0, square(2, 4))), 1: painted((70_000, 0, square(2, 4)))}
    labels = StackedLabels({at: each.labels for at, each in wide.items()}, 2, frames_first=False)
    assert {labels.dtype, labels[0].dtype, labels[0, 0].dtype, labels[1, 0].dtype} == {np.dtype(np.uint32)}


def test_what_is_said_meanwhile_is_not_written(
    movie: Positions, expected: NDArray[np.uint16], tmp_path: Path
) -> None:
    steps = movie.export_steps(tmp_path / "labels.tif")
    next(steps)
    for session in movie.sessions.values():
        session.paint(5, 3, square(0, 0, 9))
        session.paint(70_000, 2, square(0, 0, 9))
        session.undo()
    assert len(list(steps)) == TIMES * SLICES - 1
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), expected)
    assert (movie.labels[0, 3] == 5).any()


def test_an_export_that_was_refused_keeps_no_labels(movie: Positions, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="labels are written to") as refused:
        movie.export(tmp_path / "labels.png")
    assert refused.tb is not None, "whoever keeps the error, as a notebook does, keeps what it was raised in"
    for session in movie.sessions.values():
        session.paint(5, 3, square(0, 0, 9))
        for snapshot in session._state.labels._snapshots:
            assert not snapshot._kept


def test_the_images_are_not_written_over(movie: Positions, tmp_path: Path) -> None:
    movie.sessions[0].location = str(tmp_path / "movie.tif")
    with pytest.raises(ValueError, match="holds the images"):
        movie.export(tmp_path / "movie.tif")
    with pytest.raises(ValueError, match="labels are written to"):
        movie.export(tmp_path / "labels.png")
