"""What is clicked while something else is under way is neither lost nor late."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from napari_sam2._napari.layers import stroke_search
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, pause, until
from tests._napari.renewing import undo
from tests.fakes import click

pytestmark = pytest.mark.gui


def paint_all(bench: Dock) -> None:
    """Paint an object on every frame in one go, as a brush in 3-D does."""
    layer = bench.layers.labels
    layer.selected_label, layer.n_edit_dimensions, layer.brush_size = 2, 3, 2 * COUNT
    layer.paint((MIDDLE, 18, 10), 2)


def test_a_click_during_a_stroke_stays_in_the_layer(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "paint")
    layer = bench.layers.labels
    layer.selected_label, layer.brush_size = 2, 1
    layer.paint((MIDDLE, 20, 2), 2)
    held.until_entered()
    bench.view.objects.object_activated.emit(1)
    bench.layers.points.add([MIDDLE, 8, 10])
    pause(1)
    answering = Held(monkeypatch, "declare")
    held.gate.set()
    answering.until_entered()
    pause(5)
    assert len(bench.layers.points.data) == 1, "the stroke was answered, the click was not"
    answering.gate.set()
    bench.wait()
    assert len(bench.layers.points.data) == 1
    assert set(bench.session.prompts) == {PromptKey(1, MIDDLE), PromptKey(2, MIDDLE)}
    bench.layers.points.add([MIDDLE, 9, 10])
    bench.wait()
    assert len(bench.session.prompts[PromptKey(1, MIDDLE)].points) == 2


def begin_stroke(bench: Dock, *, brush: bool = True) -> None:
    """Paint the active object on the middle frame, as a script does; no turn of the event loop."""
    layer = bench.layers.labels
    if brush:
        layer.selected_label, layer.brush_size = 1, 5
        layer.paint((MIDDLE, 20, 4), 1)
    else:
        layer.data[MIDDLE, 18:23, 2:7] = 1
        layer.refresh()


@pytest.mark.parametrize("shown", [MIDDLE, 0])
@pytest.mark.parametrize("brush", [True, False])
def test_a_click_right_after_a_stroke_refines_it(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, brush: bool, shown: int
) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0)
    bench.show(shown)
    bench.wait()
    begin_stroke(bench, brush=brush)
    bench.layers.points.add([MIDDLE, 8, 10])
    bench.wait()
    (said,) = bench.session.prompts.values()
    assert said.points == ((8, 10),)
    assert said.mask is not None
    assert said.mask[20, 4]
    assert bench.layers.prompts == dict(bench.session.prompts)
    undo(bench)
    (said,) = bench.session.prompts.values()
    assert (said.points, said.mask is None) == ((), False)


@pytest.mark.parametrize("shown", [MIDDLE, 0])
@pytest.mark.parametrize("brush", [True, False])
def test_a_stroke_right_after_a_click_takes_its_place(bench: Dock, brush: bool, shown: int) -> None:
    bench.show(shown)
    bench.wait()
    bench.layers.points.add([MIDDLE, 8, 10])
    begin_stroke(bench, brush=brush)
    bench.wait()
    (said,) = bench.session.prompts.values()
    assert (said.points, said.mask is None) == ((), False)
    assert len(bench.layers.points.data) == 0
    undo(bench)
    (said,) = bench.session.prompts.values()
    assert (said.points, said.mask) == (((8, 10),), None)


@pytest.mark.parametrize("pressed", [True, False])
def test_a_click_as_the_stroke_is_answered_refines_it(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, pressed: bool
) -> None:
    held = Held(monkeypatch, "paint")
    begin_stroke(bench)
    held.until_entered()
    gestures, shown = bench.layers._gestures, bench.controller.prompts.show

    def show(sequence: Any) -> None:
        """Click, and let the answer come before the layers are read."""
        gestures.pressed = pressed
        if not pressed:
            bench.layers.points.add([MIDDLE, 8, 10])
        shown(sequence)
        if pressed:
            bench.layers.points.add([MIDDLE, 8, 10])
            gestures.pressed = False
            gestures.released.emit()

    with monkeypatch.context() as patch:
        patch.setattr(bench.controller.prompts, "show", show)
        held.gate.set()
        until(lambda: len(bench.layers.points.data))
    bench.wait()
    (said,) = bench.session.prompts.values()
    assert said.points == ((8, 10),)
    assert said.mask is not None
    assert said.mask[20, 4]
    assert bench.layers.prompts == dict(bench.session.prompts)


def test_a_click_during_undo_stays_in_the_layer(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(2, 0, 8, 10)
    held = Held(monkeypatch, "undo")
    bench.view.progress.undo_requested.emit()
    held.until_entered()
    bench.layers.points.add([MIDDLE, 8, 10])
    pause(1)
    answering = Held(monkeypatch, "declare")
    held.gate.set()
    answering.until_entered()
    pause(5)
    assert len(bench.layers.points.data) == 1
    answering.gate.set()
    bench.wait()
    assert len(bench.layers.points.data) == len(bench.session.prompts) == 1


@pytest.mark.parametrize("act", ["undo", "delete"])
@pytest.mark.parametrize("told", [True, False])
def test_a_click_after_an_undo_does_not_overtake_it(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, act: str, told: bool
) -> None:
    bench.prompt(2, 0, 8, 10)
    held = Held(monkeypatch, "declare")
    bench.view.objects.object_activated.emit(1)
    bench.layers.points.add([MIDDLE, 8, 10])
    held.until_entered()
    if act == "undo":
        bench.view.progress.undo_requested.emit()
    else:
        bench.view.objects.objects_deleted.emit((1,))
    if told:
        pause(5)
    bench.layers.points.add([MIDDLE, 16, 10])
    pause(5)
    held.gate.set()
    bench.wait()
    assert bench.session.prompts == {PromptKey(2, 0): click(8, 10), PromptKey(1, MIDDLE): click(16, 10)}
    assert bench.layers.prompts == dict(bench.session.prompts)


def test_a_click_after_an_undo_brings_nothing_back(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [(8, 10), (10, 10), (12, 10)]
    for y, x in places[:2]:
        bench.layers.points.add([MIDDLE, y, x])
        bench.wait()
    held = Held(monkeypatch, "undo")
    bench.view.progress.undo_requested.emit()
    held.until_entered()
    bench.layers.points.add([MIDDLE, *places[2]])
    pause(5)
    held.gate.set()
    bench.wait()
    (said,) = bench.session.prompts.values()
    assert said.points == (places[0], places[2])
    assert bench.layers.prompts == dict(bench.session.prompts)
    undo(bench)
    (said,) = bench.session.prompts.values()
    assert said.points == (places[0],)


def test_an_undo_takes_the_click_before_it_and_not_the_one_after_it(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, 0, 8, 10)
    held = Held(monkeypatch, "prepare")
    bench.controller.space.ask(lambda desk: desk.prepare(0))
    held.until_entered()
    bench.view.objects.object_activated.emit(1)
    bench.layers.points.add([MIDDLE, 10, 10])
    pause(5)
    bench.view.progress.undo_requested.emit()
    bench.layers.points.add([MIDDLE, 12, 10])
    pause(5)
    held.gate.set()
    bench.wait()
    assert bench.session.prompts[PromptKey(2, 0)] == click(8, 10)
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((8, 10), (12, 10))
    assert bench.layers.prompts == dict(bench.session.prompts)


def test_a_click_that_fails_is_said_again_with_the_next_one(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare, calls = Desk.declare, list[int]()
    entered, gate = threading.Event(), threading.Event()

    def declaring(desk: Desk, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            entered.set()
            assert gate.wait(60)
            raise ValueError("out of memory")
        return declare(desk, *args)

    monkeypatch.setattr(Desk, "declare", declaring)
    bench.layers.points.add([MIDDLE, 8, 10])
    pause(1)
    until(entered.is_set)
    bench.layers.points.add([MIDDLE, 12, 10])
    pause(5)
    gate.set()
    with pytest.raises(ValueError, match="memory"):
        bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((8, 10), (12, 10))


def test_a_click_does_not_wait_behind_frames_of_a_brush_because_of_a_name(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(2, 0, 8, 10)
    held, order = Held(monkeypatch, "prepare"), list[str]()
    bench.controller.space.ask(lambda desk: desk.prepare(0))
    held.until_entered()
    declare = Desk.declare

    def noting(name: str, work: Any) -> Any:
        def noted(*args: Any) -> Any:
            order.append(name)
            return work(*args)

        return noted

    monkeypatch.setattr(Desk, "declare", noting("click", declare))
    bench.controller.space.ask(noting("edit", Desk.answer))
    bench.view.objects.object_renamed.emit(2, "x")
    bench.view.objects.object_activated.emit(1)
    bench.layers.points.add([MIDDLE, 10, 10])
    pause(5)
    held.gate.set()
    bench.wait()
    assert order == ["click", "edit"]


def test_a_click_that_is_taken_out_at_once_is_gone(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "declare")
    bench.layers.points.add([MIDDLE, 8, 10])
    held.until_entered()
    bench.layers.points.add([MIDDLE, 16, 10])
    pause(2)
    bench.layers.points.remove([0])
    pause(2)
    held.gate.set()
    bench.wait()
    assert bench.session.prompts == {PromptKey(1, MIDDLE): click(16, 10)}


def test_what_is_refused_does_not_stay(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.objects.object_locked.emit(1, True)
    bench.wait()
    bench.layers.points.add([MIDDLE, 9, 10])
    with pytest.raises(ValueError, match="locked"):
        bench.wait()
    assert len(bench.layers.points.data) == 1
    sequence = bench.controller.space.sequence
    assert sequence is not None
    assert not sequence.waiting


def test_clicks_go_between_the_frames_of_a_large_brush(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 4, 10)
    order: list[str] = []
    held = Held(monkeypatch, "paint", call=2)
    for name in ("paint", "declare"):
        method = getattr(Desk, name)

        def noting(desk: Desk, *args: Any, name: str = name, method: Any = method) -> Any:
            answer = method(desk, *args)
            order.append(name)
            return answer

        monkeypatch.setattr(Desk, name, noting)
    paint_all(bench)
    held.until_entered()
    bench.view.objects.object_activated.emit(1)
    bench.layers.points.add([MIDDLE, 4, 14])
    pause(1)
    held.gate.set()
    bench.wait()
    assert order == ["paint"] * 3 + ["declare"] + ["paint"] * (COUNT - 3), "the clicked frame is the third"
    painted = {key.frame for key in bench.session.prompts if key.obj == 2}
    assert painted == set(range(COUNT))
    assert len(bench.session.prompts[PromptKey(1, MIDDLE)].points) == 2
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_a_large_brush_is_one_step_of_undo(bench: Dock) -> None:
    paint_all(bench)
    bench.wait()
    assert bench.on == list(range(COUNT))
    assert bench.state.progress.undo_label == f"Paint (object 2, {COUNT} frames)"
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.on == []


@pytest.mark.parametrize("wait", [0, 20])
def test_an_object_is_deleted_though_its_click_was_not_answered(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, wait: int
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    held = Held(monkeypatch, "declare")
    bench.view.tools.new_object.emit()
    bench.layers.points.add([MIDDLE, 16, 10])
    if wait:
        held.until_entered()
    bench.view.objects.objects_deleted.emit((2,))
    held.gate.set()
    bench.wait()
    assert bench.session.objects == (1,)
    assert len(bench.layers.points.data) == 1
    assert np.unique(bench.labels).tolist() == [0, 1]
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == (1, 2)


def test_a_negative_point_stays_its_objects_after_all_points_went(bench: Dock) -> None:
    bench.view.tools.positive_chosen.emit(False)
    bench.layers.points.add([MIDDLE, 8, 10])
    bench.wait()
    bench.view.progress.undo_requested.emit()
    bench.wait()
    bench.layers.points.add([MIDDLE, 8, 10])
    bench.wait()
    bench.view.tools.new_object.emit()
    bench.wait()
    assert list(bench.session.prompts) == [PromptKey(1, MIDDLE)]


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("more", [True, False])
def test_a_click_that_was_not_meant_leaves_no_step_unless_more_was_done_since(
    bench: Dock, answered: bool, more: bool
) -> None:
    bench.prompt(2, 0, 16, 10)
    before = bench.controller.space.picture.undo_label
    bench.layers.points.add([MIDDLE, 8, 10])
    if answered or more:
        bench.wait()
    if more:
        bench.view.objects.object_renamed.emit(1, "bud")
        bench.wait()
    bench.layers._points.take_back_last()
    bench.wait()
    assert set(bench.session.prompts) == {PromptKey(2, 0)}
    label = bench.controller.space.picture.undo_label
    assert label == (f"Remove prompts (object 1, frame {MIDDLE})" if more else before)
    assert not bench.session.redo_label


def test_clicks_behind_an_undo_and_during_it_are_all_there(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE + 1, 16, 10)
    free = threading.Event()
    bench.controller.worker.submit(lambda: free.wait(60))
    held = Held(monkeypatch, "undo")
    bench.view.progress.undo_requested.emit()
    bench.layers.points.add([MIDDLE, 9, 11])
    pause(5)
    free.set()
    held.until_entered()
    bench.layers.points.add([MIDDLE, 9, 9])
    pause(5)
    held.gate.set()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((8, 10), (9, 11), (9, 9))
    assert bench.session.objects == (1,)
