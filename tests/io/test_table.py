"""Tables are written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_sam2.io import write_table


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_rows_come_back(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ("object", "name"), [(1, "left, upper"), (2, "µ")])
    assert read(tmp_path / "a.csv") == [["object", "name"], ["1", "left, upper"], ["2", "µ"]]
    write_table(tmp_path / "a.csv", ["frame"], [])
    assert read(tmp_path / "a.csv") == [["frame"]]


def rows_that_end() -> Iterator[tuple[int, ...]]:
    yield 1, 2
    raise OSError(28, "No space left on device")


def test_what_was_there_stays_when_it_cannot_be_written(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["frame"], [(3,)])
    with pytest.raises(OSError, match="No space"):
        write_table(tmp_path / "a.csv", ["frame", "area"], rows_that_end())
    with pytest.raises(ValueError, match="a row of 1 values came for 2 columns"):
        write_table(tmp_path / "a.csv", ["frame", "area"], [(1,)])
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert read(tmp_path / "a.csv") == [["frame"], ["3"]]


def test_other_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"called something\.csv, got a\.xls"):
        write_table(tmp_path / "a.xls", ["frame"], [])
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileExistsError, match="is a folder"):
        write_table(tmp_path / "a.csv", ["frame"], [])
