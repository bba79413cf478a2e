"""Ids near 2**32, as of labels that mean "ignore": they are refused, and all goes on."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._napari.layers.ids import MAX_GIVEN, is_allowed, next_id
from napari_sam2.prompts import MAX_OBJECT_ID, PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock
from tests.fakes import SHAPE, click

pytestmark = pytest.mark.gui

IGNORE = 2**32 - 1


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told of seeds and strokes."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    monkeypatch.setattr("napari_sam2._napari.controls.prompts.warn", told.append)
    return told


def seed(dock: Dock, values: dict[int, tuple[int, int]]) -> None:
    """Seed with a layer of labels that has squares at these places."""
    labels = np.zeros((COUNT, *SHAPE), np.uint32)
    for value, (y, x) in values.items():
        labels[MIDDLE, y : y + 4, x : x + 4] = value
    dock.viewer.add_labels(labels, name="old")
    dock.view.tools.seed_requested.emit()
    dock.wait()


def new_object_works(dock: Dock) -> None:
    """Begin a new object and click on it."""
    count = len(dock.session.objects)
    dock.view.tools.new_object.emit()
    dock.layers.points.add([MIDDLE, 20, 15])
    dock.wait()
    assert len(dock.session.objects) == count + 1
    assert np.count_nonzero(dock.labels[MIDDLE] == dock.state.objects.active)


def test_seeds_leave_out_labels_that_are_no_ids(bench: Dock, notes: list[str]) -> None:
    seed(bench, {IGNORE: (2, 2), 3: (10, 10)})
    assert bench.session.objects == (3,)
    text = f"Left out: {IGNORE}, since ids of objects go up to {MAX_GIVEN}."
    assert notes == [f"1 object from “old”. {text}"]
    new_object_works(bench)


def test_seeds_that_are_all_left_out_are_told(bench: Dock, notes: list[str]) -> None:
    seed(bench, {IGNORE: (2, 2)})
    assert notes == [f"Left out: {IGNORE}, since ids of objects go up to {MAX_GIVEN}."]
    new_object_works(bench)


def test_a_script_is_told_at_once(bench: Dock) -> None:
    with pytest.raises(ValueError, match=f"from 1 to {MAX_GIVEN}"):
        bench.widget.set_prompts(IGNORE, MIDDLE, click(10, 10))
    new_object_works(bench)


def test_a_stroke_is_put_back(bench: Dock, notes: list[str]) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    before = bench.labels.copy()
    bench.layers.labels.data = before.astype(np.uint32)
    bench.layers.labels.data[MIDDLE, 8:20, 8:12] = IGNORE
    bench.layers.labels.refresh()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, before)
    assert bench.session.objects == (1,)
    assert notes == [
        f"The object id is {IGNORE}: give a whole number from 1 to {MAX_GIVEN}. The stroke was put back."
    ]
    new_object_works(bench)
    assert bench.state.objects.active == 2


def test_objects_go_on_from_the_highest_id_that_may_be_given(bench: Dock) -> None:
    bench.prompt(MAX_GIVEN, MIDDLE, 4, 4)
    new_object_works(bench)
    assert bench.session.objects == (MAX_GIVEN, MAX_GIVEN + 1)
    bench.prompt(MAX_GIVEN + 1, 0, 4, 4)
    assert PromptKey(MAX_GIVEN + 1, 0) in bench.session.prompts


def test_an_object_of_the_highest_id_that_was_saved_stops_nothing(bench: Dock) -> None:
    bench.session.set_prompts(MAX_OBJECT_ID, MIDDLE, click(4, 4))
    bench.prompt(5, MIDDLE, 10, 10)
    new_object_works(bench)
    assert bench.state.objects.active == 1


def test_what_is_asked_of_an_object_of_the_highest_id_comes_to_it(bench: Dock) -> None:
    bench.session.set_prompts(MAX_OBJECT_ID, MIDDLE, click(8, 10))
    bench.prompt(2, 0, 16, 10)
    objects = bench.view.objects
    objects.object_activated.emit(MAX_OBJECT_ID)
    objects.object_renamed.emit(MAX_OBJECT_ID, "bud")
    objects.object_locked.emit(MAX_OBJECT_ID, True)
    bench.wait()
    (row,) = (each for each in bench.state.objects.rows if each.obj == MAX_OBJECT_ID)
    assert (bench.state.objects.active, row.name, row.locked) == (MAX_OBJECT_ID, "bud", True)
    bench.show(0)
    bench.view.review.cell_visited.emit(MAX_OBJECT_ID, MIDDLE)
    bench.wait()
    assert bench.controller.space.frame == MIDDLE


def test_an_object_of_the_highest_id_is_split_and_divides(bench: Dock) -> None:
    bench.session.set_prompts(MAX_OBJECT_ID, 0, click(8, 10))
    bench.prompt(2, MIDDLE, 16, 10)
    bench.propagate()
    bench.show(MIDDLE)
    bench.view.objects.split_requested.emit(MAX_OBJECT_ID)
    bench.wait()
    assert bench.session.objects == (1, 2, MAX_OBJECT_ID)
    assert bench.state.objects.active == 1
    bench.show(2)
    bench.view.objects.divide_requested.emit(MAX_OBJECT_ID)
    bench.wait()
    assert bench.session.objects == (1, 2, 3, 4, MAX_OBJECT_ID)
    assert bench.state.objects.active == 3


def test_the_next_id() -> None:
    assert next_id(()) == 1
    assert next_id({2, 7}) == 8
    assert next_id({1, 2, MAX_OBJECT_ID}) == 3
    assert next_id({MAX_OBJECT_ID}, spare=9) == 9


def test_what_is_allowed() -> None:
    assert is_allowed(MAX_GIVEN, ())
    assert not is_allowed(MAX_GIVEN + 1, (1,))
    assert is_allowed(MAX_GIVEN + 1, (MAX_GIVEN,))
