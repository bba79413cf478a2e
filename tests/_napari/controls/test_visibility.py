"""What is hidden, or shown alone, and what comes under its id later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam2._napari.state import ObjectRow
from tests._napari.dock import MIDDLE, Dock

pytestmark = pytest.mark.gui


def two(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)


def row(bench: Dock, obj: int) -> ObjectRow:
    (found,) = [each for each in bench.state.objects.rows if each.obj == obj]
    return found


def opacity(bench: Dock, obj: int) -> float:
    """Return how opaque the labels layer draws an object."""
    return float(bench.layers.labels.get_color(obj)[3])


def is_seen(bench: Dock, obj: int) -> bool:
    solo = bench.state.objects.solo
    said = row(bench, obj).shown and solo in {None, obj}
    assert said == (opacity(bench, obj) > 0)
    return said


def test_hidden_objects_and_one_alone(bench: Dock) -> None:
    two(bench)
    bench.view.objects.object_shown.emit(2, False)
    assert [is_seen(bench, obj) for obj in (1, 2)] == [True, False]
    bench.view.objects.object_shown.emit(2, True)
    bench.view.objects.object_solo.emit(2)
    assert [is_seen(bench, obj) for obj in (1, 2)] == [False, True]


@pytest.mark.parametrize("go", ["strip", "table"])
@pytest.mark.parametrize("way", ["hide", "solo"])
def test_what_is_gone_to_is_seen(bench: Dock, way: str, go: str) -> None:
    two(bench)
    if way == "hide":
        bench.view.objects.object_shown.emit(2, False)
    else:
        bench.view.objects.object_solo.emit(1)
    if go == "strip":
        bench.view.review.cell_visited.emit(2, MIDDLE)
    else:
        bench.view.objects.object_visited.emit(2)
    assert is_seen(bench, 2)


@pytest.mark.parametrize("way", ["hide", "solo"])
def test_it_ends_with_its_object(bench: Dock, way: str) -> None:
    two(bench)
    if way == "hide":
        bench.view.objects.object_shown.emit(2, False)
    else:
        bench.view.objects.object_solo.emit(2)
    bench.view.objects.object_activated.emit(1)
    bench.view.objects.objects_deleted.emit((2,))
    bench.wait()
    assert bench.state.objects.solo is None
    assert is_seen(bench, 1)
    bench.view.tools.new_object.emit()
    bench.layers.points.add([MIDDLE, 20, 4])
    bench.wait()
    assert bench.session.objects == (1, 2)
    assert is_seen(bench, 2)


def test_it_ends_with_a_session_that_is_loaded(bench: Dock, tmp_path: Path) -> None:
    two(bench)
    bench.view.files.save_requested.emit(str(tmp_path / "cells"))
    bench.wait()
    bench.view.objects.object_shown.emit(1, False)
    bench.view.objects.object_solo.emit(2)
    bench.view.files.load_requested.emit(str(tmp_path / "cells.sam2.json"))
    bench.wait()
    assert [is_seen(bench, obj) for obj in (1, 2)] == [True, True]


@pytest.mark.parametrize("alone", [1, 2])
def test_what_it_is_merged_into_is_shown_alone_instead(bench: Dock, alone: int) -> None:
    two(bench)
    bench.view.objects.object_activated.emit(alone)
    bench.view.objects.object_solo.emit(alone)
    bench.view.objects.merge_requested.emit((1, 2))
    bench.wait()
    assert bench.state.objects.solo == 1
    assert is_seen(bench, 1)


def test_what_is_prompted_is_shown(bench: Dock) -> None:
    two(bench)
    bench.view.objects.object_shown.emit(2, False)
    bench.prompt(2, MIDDLE, 17, 10)
    assert is_seen(bench, 2)
    bench.view.objects.object_solo.emit(1)
    bench.prompt(1, MIDDLE, 9, 10)
    assert bench.state.objects.solo == 1
    bench.view.tools.new_object.emit()
    bench.layers.points.add([MIDDLE, 20, 4])
    bench.wait()
    assert [is_seen(bench, obj) for obj in (1, 2, 3)] == [True, True, True]


def test_what_is_painted_is_shown(bench: Dock) -> None:
    two(bench)
    bench.view.objects.object_solo.emit(1)
    bench.layers.labels.data[MIDDLE, 20:23, 2:6] = 2
    bench.layers.labels.refresh()
    bench.wait()
    assert is_seen(bench, 2)
    assert np.count_nonzero(bench.labels[MIDDLE] == 2)
