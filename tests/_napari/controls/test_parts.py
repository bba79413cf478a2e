"""Daughters and parts of objects: their ids, who is active, and what the next click belongs to."""

from __future__ import annotations

import pytest

from napari_sam2.prompts import PromptKey
from tests._napari.dock import MIDDLE, Dock, Held
from tests._napari.hand import Hand
from tests.fakes import click

pytestmark = pytest.mark.gui


def elsewhere(four: Dock) -> None:
    """Prompt object 2 at t = 0 and object 1 at t = 1, on z = 1, and stay at z = 2."""
    four.viewer.dims.set_current_step((0, 1), (0, 1))
    four.prompt(2, 1, 16, 10)
    four.viewer.dims.set_current_step((0, 1), (1, 1))
    four.prompt(1, 1, 8, 10)
    four.propagate()
    four.viewer.dims.set_current_step(1, 2)


def test_a_part_has_an_id_that_is_free_at_all_positions(four: Dock) -> None:
    elsewhere(four)
    four.view.objects.split_requested.emit(1)
    four.wait()
    assert four.session.objects == (1, 3)
    assert four.state.objects.active == 3


def test_daughters_have_ids_that_are_free_at_all_positions(four: Dock) -> None:
    elsewhere(four)
    four.view.objects.divide_requested.emit(1)
    four.wait()
    assert four.session.objects == (1, 3, 4)


def test_a_part_takes_no_id_that_a_seed_will_have(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.viewer.add_points([[MIDDLE, 16, 10], [MIDDLE, 20, 4]], name="nuclei")
    held = Held(monkeypatch, "seed", call=1)
    bench.view.tools.seed_requested.emit()
    held.until_entered()
    bench.view.objects.split_requested.emit(1)
    held.gate.set()
    bench.wait()
    assert bench.session.objects == (1, 2, 3, 4)


def divide(bench: Dock) -> None:
    bench.prompt(1, 0, 8, 10)
    bench.show(MIDDLE)
    bench.view.objects.divide_requested.emit(1)
    bench.wait()


@pytest.mark.parametrize(
    ("crowd", "said"),
    [
        (False, "Click on the first daughter, 2. Then select 3 in the table and click on the second."),
        (True, "Click on the daughters: 2 now, then 3."),
    ],
)
def test_what_is_said_of_the_daughters_is_what_clicks_do(
    bench: Dock, notices: list[str], crowd: bool, said: str
) -> None:
    bench.view.tools.each_click_new_toggled.emit(crowd)
    divide(bench)
    assert notices == [said]
    bench.prompt(2, MIDDLE, 8, 4)
    assert bench.state.objects.active == (3 if crowd else 2)


def test_in_a_crowd_the_second_click_is_that_of_the_other_daughter(bench: Dock) -> None:
    bench.view.tools.each_click_new_toggled.emit(True)
    divide(bench)
    for y in (8, 20):
        bench.layers.points.add([MIDDLE, y, 4])
        bench.wait()
    assert {key.obj for key in bench.session.prompts} == {1, 2, 3}
    assert {row.obj for row in bench.state.objects.rows if row.parent == 1} == {2, 3}


def test_a_daughter_is_refined_after_the_other_was_clicked(bench: Dock) -> None:
    divide(bench)
    for obj, y in ((2, 8), (3, 20)):
        bench.view.objects.object_activated.emit(obj)
        bench.layers.points.add([MIDDLE, y, 4])
        bench.wait()
    bench.view.tools.each_click_new_toggled.emit(True)
    bench.prompt(2, MIDDLE, 9, 4)
    bench.view.objects.object_activated.emit(2)
    bench.layers.points.add([MIDDLE, 9, 5])
    bench.wait()
    assert bench.state.objects.active == 2


def test_a_new_object_has_no_name_before_its_first_click(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.objects.tell", told.append)
    bench.view.objects.object_renamed.emit(1, "mother")
    bench.view.objects.object_locked.emit(1, True)
    bench.wait()
    assert told == ["Object 1 is not there yet: click on it first."] * 2
    held = Held(monkeypatch, "declare")
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    bench.view.objects.object_renamed.emit(1, "mother")
    held.gate.set()
    bench.wait()
    assert bench.session.names == {1: "mother"}


def test_after_undo_of_its_click_the_first_daughter_is_active_again(bench: Dock) -> None:
    bench.view.tools.each_click_new_toggled.emit(True)
    divide(bench)
    bench.layers.points.add([MIDDLE, 8, 4])
    bench.wait()
    assert bench.state.objects.active == 3
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.state.objects.active == 2
    for y in (8, 20):
        bench.layers.points.add([MIDDLE, y, 4])
        bench.wait()
    assert {key.obj for key in bench.session.prompts} == {1, 2, 3}


def test_otherwise_further_clicks_are_those_of_the_first_daughter(bench: Dock) -> None:
    divide(bench)
    for y in (8, 20):
        bench.layers.points.add([MIDDLE, y, 4])
        bench.wait()
    assert len(bench.session.prompts[PromptKey(2, MIDDLE)].points) == 2


@pytest.mark.parametrize("way", ["divide_requested", "split_requested"])
def test_after_undo_the_whole_is_active_again(bench: Dock, way: str) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE + 1)
    getattr(bench.view.objects, way).emit(1)
    bench.wait()
    assert bench.state.objects.active == 2
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.state.objects.active == 1


def test_daughters_are_clicked_one_after_the_other_in_a_crowd(dock: Dock) -> None:
    """With a mouse, and without waiting for the answers."""
    dock.view.tools.each_click_new_toggled.emit(True)
    divide(dock)
    hand = Hand(dock.viewer)
    for y, x in ((8, 4), (20, 4), (20, 15)):
        hand.click((MIDDLE, y, x))
    dock.wait()
    assert {key.obj for key in dock.session.prompts} == {1, 2, 3, 4}
    rows = {row.obj: row.parent for row in dock.state.objects.rows}
    assert rows == {1: None, 2: 1, 3: 1, 4: None}
