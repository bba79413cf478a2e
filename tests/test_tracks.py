"""Paths and tables of objects."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2.io import LabelGeometry
from napari_sam2.lineage import Life
from napari_sam2.session import Session
from napari_sam2.summary import Cells, CellStatus, ObjectSummary, SessionSummary, update_confidence
from napari_sam2.tracks import TABLE_COLUMNS, make_tracks, table_rows
from tests.fakes import SHAPE, FakeModel, plain_frames

COUNT = 5


def square(y: int, x: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + 3, x : x + 5] = True
    return mask


def family() -> Session:
    """A mother on frames 0 and 1, a daughter on 2 and 4, and one without a mask."""
    session = Session(plain_frames(COUNT), model=FakeModel().as_model())
    for frame in range(2):
        session.paint(1, frame, square(2 + frame, 4))
    session.divide(1, 2)
    session.paint(2, 2, square(5, 9))
    session.paint(2, 3, square(0, 0) & False)
    session.paint(2, 4, square(6, 9))
    return session


def test_paths_follow_the_centres() -> None:
    tracks = family().tracks()
    assert tracks.data.tolist() == [[1, 0, 3, 6], [1, 1, 4, 6], [2, 2, 6, 11], [2, 4, 7, 11]]
    assert tracks.graph == {2: [1]}
    assert tracks.scale is None


def test_the_scale_comes_along() -> None:
    session = family()
    session.geometry = LabelGeometry("tyx", (30.0, 0.5, 0.5))
    assert session.tracks().scale == (30.0, 0.5, 0.5)


def test_nothing_has_no_paths() -> None:
    tracks = make_tracks(SessionSummary((ObjectSummary(3),), Cells.empty(1, COUNT)))
    assert tracks.data.shape == (0, 4)
    assert tracks.graph == {}


def test_a_daughter_of_a_mother_without_pixels_is_not_in_the_graph() -> None:
    cells = Cells.empty(2, COUNT)
    cells.area[1, 0], cells.centroid[1, 0] = 4, (1, 2)
    rows = ObjectSummary(1, life=Life(None, 0)), ObjectSummary(2, parent=1)
    assert make_tracks(SessionSummary(rows, cells)).graph == {}


def test_a_row_for_all_that_is_known() -> None:
    cells = Cells.empty(1, COUNT)
    cells.status[0, 1:3] = CellStatus.TRACKED, CellStatus.LOCKED
    cells.score[0, 1:3] = 0.5, 1
    cells.presence[0, 1:3] = 0.25, 1
    cells.area[0, 2], cells.centroid[0, 2] = 9, (3.5, 1 / 3)
    update_confidence(cells)
    rows = list(table_rows(SessionSummary((ObjectSummary(7, parent=3),), cells)))
    assert rows == [
        (7, 1, 0, "", "", "0.5000", "0.2500", "0.7500", "tracked", 3),
        (7, 2, 9, "3.500", "0.333", "1.0000", "1.0000", "1.0000", "locked", 3),
    ]
    assert len(TABLE_COLUMNS) == len(rows[0])


def test_a_session_exports_its_table_and_its_lineage(tmp_path: Path) -> None:
    session = family()
    session.export(tmp_path / "cells.csv")
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["object"], row["frame"], row["area"], row["parent"]) for row in rows] == [
        ("1", "0", "15", ""),
        ("1", "1", "15", ""),
        ("2", "2", "15", "1"),
        ("2", "3", "0", "1"),
        ("2", "4", "15", "1"),
    ]
    assert [row["provenance"] for row in rows] == ["painted", "painted", "painted", "absent", "painted"]
    session.export(tmp_path / "01_RES")
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 0 1 0\n2 2 2 1\n3 4 4 2\n"
    assert tifffile.imread(tmp_path / "01_RES" / "mask004.tif").max() == 3
