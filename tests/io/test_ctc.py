"""Results of the Cell Tracking Challenge: no gaps in tracks, parents end before their children begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.io import ctc, export_labels

Array = np.ndarray[Any, Any]


def blocks(*shape: int, dtype: str = "u2") -> Array:
    labels = np.zeros(shape, dtype=dtype)
    labels[..., 2:6, 3:9] = 1
    labels[..., 8:12, 3:9] = 7
    if len(shape) > 2:
        labels[0, ..., 8:12, :] = 0
    return labels


def lives(frames: int, **there: range | list[int]) -> Array:
    """Labels of one pixel each, ``_3`` on the frames that are given for it."""
    labels = np.zeros((frames, 4, 9), np.uint16)
    for name, times in there.items():
        labels[list(times), 1, int(name[1:])] = int(name[1:])
    return labels


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def rows(folder: Path) -> list[list[int]]:
    return [
        [int(each) for each in line.split()] for line in (folder / "res_track.txt").read_text().splitlines()
    ]


def masks(folder: Path) -> Array:
    return np.stack([tifffile.imread(each) for each in sorted(folder.glob("mask*.tif"))])


def test_a_cell_tracking_challenge_result(tmp_path: Path) -> None:
    labels = blocks(4, 24, 20, dtype="u4")
    export_labels(tmp_path / "01_RES", labels)
    assert names(tmp_path / "01_RES") == [*(f"mask00{i}.tif" for i in range(4)), "res_track.txt"]
    assert rows(tmp_path / "01_RES") == [[1, 0, 3, 0], [7, 1, 3, 0]]
    assert masks(tmp_path / "01_RES").dtype == np.uint16
    np.testing.assert_array_equal(masks(tmp_path / "01_RES"), labels)
    export_labels(tmp_path / "other", labels, ctc=True)
    assert rows(tmp_path / "other") == rows(tmp_path / "01_RES")


def test_an_object_that_was_away_goes_on_as_its_own_child(tmp_path: Path) -> None:
    labels = blocks(9, 24, 20)
    labels[[2, 3, 6]] = 0
    export_labels(tmp_path / "01_RES", labels)
    assert rows(tmp_path / "01_RES") == [
        [1, 0, 1, 0],
        [7, 1, 1, 0],
        [8, 4, 5, 1],
        [9, 7, 8, 8],
        [10, 4, 5, 7],
        [11, 7, 8, 10],
    ]
    written = masks(tmp_path / "01_RES")
    np.testing.assert_array_equal(written > 0, labels > 0)
    for label, begin, end, _ in rows(tmp_path / "01_RES"):
        assert np.flatnonzero((written == label).any((1, 2))).tolist() == list(range(begin, end + 1))


def test_long_sequences_have_more_digits(tmp_path: Path) -> None:
    export_labels(tmp_path / "01_RES", blocks(1001, 12, 10, dtype="u1"))
    assert "mask1000.tif" in names(tmp_path / "01_RES")
    assert "mask0000.tif" in names(tmp_path / "01_RES")


def test_labels_that_do_not_fit_the_challenge_are_told(tmp_path: Path) -> None:
    labels = blocks(4, 24, 20, dtype="u4")
    labels[0, 0, 0] = 70000
    with pytest.raises(ValueError, match="up to 65535"):
        export_labels(tmp_path / "01_RES", labels)
    with pytest.raises(ValueError, match=r"\(t, y, x\)"):
        export_labels(tmp_path / "01_RES", labels[0])
    assert names(tmp_path) == []


def test_pieces_have_labels_that_are_left(tmp_path: Path) -> None:
    """Above the largest label there are none where that is the last which the format has."""
    labels = np.zeros((7, 24, 20), np.uint16)
    labels[::2, 2:5, 2:5] = 65535
    labels[:, 10:13, 2:5] = 2
    export_labels(tmp_path / "01_RES", labels)
    assert rows(tmp_path / "01_RES") == [
        [1, 2, 2, 65535],
        [2, 0, 6, 0],
        [3, 4, 4, 1],
        [4, 6, 6, 3],
        [65535, 0, 0, 0],
    ]
    np.testing.assert_array_equal(masks(tmp_path / "01_RES")[:, 3, 3], [65535, 0, 1, 0, 3, 0, 4])


def test_more_pieces_than_labels_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctc, "_LARGEST", 3)
    labels = np.zeros((8, 24, 20), np.uint16)
    labels[::2, 2:5, 2:5] = 2
    with pytest.raises(ValueError, match="up to 3, 4 are needed"):
        export_labels(tmp_path / "01_RES", labels)
    assert names(tmp_path) == []


def test_daughters_name_their_mother(tmp_path: Path) -> None:
    labels = lives(8, _1=range(4), _2=range(4, 8), _3=range(5, 8))
    export_labels(tmp_path / "01_RES", labels, parents={2: 1, 3: 1})
    assert rows(tmp_path / "01_RES") == [[1, 0, 3, 0], [2, 4, 7, 1], [3, 5, 7, 1]]
    np.testing.assert_array_equal(masks(tmp_path / "01_RES"), labels)


def test_a_mother_that_is_still_there_is_cut(tmp_path: Path) -> None:
    """Budding: the mother goes on as a child of what she was before."""
    labels = lives(8, _1=range(8), _2=range(3, 8), _4=range(6, 8))
    export_labels(tmp_path / "01_RES", labels, parents={2: 1, 4: 1})
    assert rows(tmp_path / "01_RES") == [[1, 0, 2, 0], [2, 3, 7, 1], [4, 6, 7, 5], [5, 3, 5, 1], [6, 6, 7, 5]]


def test_a_mother_that_was_away_is_named_by_her_last_part(tmp_path: Path) -> None:
    labels = lives(8, _1=[0, 1, 3], _2=[5, 7])
    export_labels(tmp_path / "01_RES", labels, parents={2: 1})
    assert rows(tmp_path / "01_RES") == [[1, 0, 1, 0], [2, 5, 5, 3], [3, 3, 3, 1], [4, 7, 7, 2]]


def test_a_daughter_before_her_mother_and_one_without_have_no_parent(tmp_path: Path) -> None:
    labels = lives(8, _1=range(4, 8), _2=range(8), _3=range(4, 8))
    export_labels(tmp_path / "01_RES", labels, parents={2: 1, 3: 9, 8: 1})
    assert rows(tmp_path / "01_RES") == [[1, 4, 7, 0], [2, 0, 7, 0], [3, 4, 7, 0]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    there=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=2, max_size=5),
    mothers=st.lists(st.integers(0, 4), min_size=4, max_size=4),
)
def test_every_result_keeps_the_rules(tmp_path: Path, there: list[list[bool]], mothers: list[int]) -> None:
    labels = lives(7, **{f"_{i + 1}": np.flatnonzero(row).tolist() for i, row in enumerate(there)})
    parents = {child: mother for child, mother in enumerate(mothers, start=2) if 0 < mother < child}
    export_labels(tmp_path / "01_RES", labels, parents=parents)
    written, told = masks(tmp_path / "01_RES"), rows(tmp_path / "01_RES")
    np.testing.assert_array_equal(written > 0, labels > 0)
    assert set(np.unique(written)) - {0} == {row[0] for row in told}
    by_label = {row[0]: row for row in told}
    for label, begin, end, parent in told:
        assert np.flatnonzero((written == label).any((1, 2))).tolist() == list(range(begin, end + 1))
        assert not parent or by_label[parent][2] < begin
    for child, mother in parents.items():
        times = [np.flatnonzero((labels == each).any((1, 2))) for each in (child, mother)]
        if all(each.size for each in times) and times[1][0] < times[0][0]:
            ancestor = by_label[by_label[child][3]]
            assert (labels[ancestor[1]] == mother).any()
            assert (written[ancestor[1]] == ancestor[0]).any()
