"""Names of files of which there are many."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_sam2._napari.controls.many_files import is_marked, mark_of, marked, proposed_stem, siblings


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/labels.tif", "a/labels_t0003.tif"),
        ("labels.ome.zarr", "labels_t0003.ome.zarr"),
        ("labels_RES", "labels_t0003_RES"),
        ("cells.sam2.json", "cells_t0003.sam2.json"),
        ("cells_t0001.sam2.json", "cells_t0003.sam2.json"),
        ("my.cells.csv", "my.cells_t0003.csv"),
    ],
)
def test_the_mark_stands_before_the_suffix(path: str, wanted: str) -> None:
    assert marked(path, "_t0003") == wanted
    assert marked(path, "") == path
    assert is_marked(wanted, "_t0000")
    assert is_marked(path, "_t0000") == ("_t0001" in path)


def test_a_mark_is_what_a_file_can_be_called() -> None:
    assert mark_of("t", 3) == "_t0003"
    assert mark_of("well / site", 12) == "_wellsite0012"
    assert mark_of("axis 0", 3) == "_axis0-0003", "not position 3 of an axis 00"
    assert marked("cells_axis0-0001.sam2.json", mark_of("axis 0", 3)) == "cells_axis0-0003.sam2.json"
    assert marked("a/cells.sam2.json", mark_of("/", 3)) == "a/cells_0003.sam2.json"


def test_names_are_proposed_after_the_image(tmp_path: Path) -> None:
    assert proposed_stem("cells", None) == "cells"
    assert proposed_stem("cells [1]", str(tmp_path / "raw.tif")) == str(tmp_path / "cells [1]")
    assert proposed_stem("a/b: c.", str(tmp_path / "gone" / "raw.tif")) == "a b c"
    assert proposed_stem("..", None) == "image"


def test_files_of_other_positions_are_found(tmp_path: Path) -> None:
    for name in ("a_t0002.sam2.json", "a_t0010.sam2.json", "b_t0003.sam2.json", "a_t0002.tif", "a.sam2.json"):
        (tmp_path / name).touch()
    found = siblings(str(tmp_path / "a_t0010.sam2.json"), "_t0000")
    assert found == tuple(str(tmp_path / f"a_t{t:04d}.sam2.json") for t in (2, 10))
    assert siblings(str(tmp_path / "a.sam2.json"), "_t0000") == ()
