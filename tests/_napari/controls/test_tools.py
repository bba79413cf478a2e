"""Objects, tools, candidates, what is done ahead, and what spreads by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.controls.ahead import REST
from napari_sam2._napari.keys import Command
from napari_sam2._napari.layers.finding import camera_of
from napari_sam2._napari.state import Tool
from napari_sam2._napari.work.answer_times import PREVIEW_LIMIT
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, add_frames, pause, until
from tests.fakes import FakeModel, absent, click

pytestmark = pytest.mark.gui
ALL = list(range(COUNT))


def add_point(bench: Dock, y: float, x: float, frame: int = MIDDLE) -> None:
    """Add a point as napari does at a click: for the object and with the sign that come next."""
    bench.layers.points.add(bench.layers.geometry.to_layer(frame, y, x))
    bench.wait()


def active_everywhere(bench: Dock) -> set[int | None]:
    layers = bench.layers
    features = layers.points.feature_defaults
    column = next(name for name in features.columns if name in {"object", "obj", "label", "id"})
    return {
        bench.state.objects.active,
        bench.state.review.active,
        layers.active,
        int(layers.labels.selected_label),
        int(features[column][0]),
    }


def test_the_active_object_is_one_thing(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    assert active_everywhere(bench) == {1}
    bench.view.objects.object_activated.emit(2)
    assert active_everywhere(bench) == {2}
    bench.layers.labels.selected_label = 1
    bench.wait()
    assert active_everywhere(bench) == {1}
    bench.view.tools.new_object.emit()
    assert active_everywhere(bench) == {3}
    add_point(bench, 3, 3)
    assert bench.session.objects == (1, 2, 3)


def test_a_new_object_that_was_not_used_is_not_left_behind(bench: Dock) -> None:
    for _ in range(3):
        bench.view.tools.new_object.emit()
    assert bench.controller.space.active == 1
    add_point(bench, 8, 10)
    bench.view.tools.new_object.emit()
    bench.view.tools.new_object.emit()
    assert bench.controller.space.active == 2
    assert [row.obj for row in bench.state.objects.rows] == [1, 2]


@pytest.mark.parametrize("tool", list(Tool))
def test_a_new_object_leaves_point_at_hand(bench: Dock, tool: Tool) -> None:
    bench.view.tools.tool_chosen.emit(tool)
    bench.view.tools.positive_chosen.emit(False)
    bench.view.tools.new_object.emit()
    assert (bench.state.tools.tool, bench.state.tools.positive) == (Tool.POINT, True)


def test_signs(bench: Dock) -> None:
    add_point(bench, 8, 10)
    bench.layers.commanded.emit(Command.TOGGLE_SIGN)
    assert not bench.state.tools.positive
    add_point(bench, 16, 10)
    assert bench.session.prompts[PromptKey(1, MIDDLE)].positive == (True, False)


def test_the_frame_that_is_shown_is_prepared_after_a_rest(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    bench.show(0)
    bench.show(1)
    bench.show(2)
    until(lambda: bench.session.is_ready(2))
    assert not bench.session.is_ready(0)
    assert not bench.session.is_ready(1)
    encoded = bench.session.frames_encoded
    bench.prompt(1, 2, 8, 10)
    assert bench.session.frames_encoded == encoded


@pytest.mark.parametrize("paused", [False, True])
def test_the_frame_that_is_shown_is_prepared_between_steps_of_a_propagation(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    prepared: list[int] = []
    prepare = Desk.prepare

    def noted(desk: Desk, frame: int, *place: Any) -> Any:
        answer = prepare(desk, frame, *place)
        prepared.append(frame)
        return answer

    bench.prompt(1, MIDDLE, 8, 10)
    monkeypatch.setattr(Desk, "prepare", noted)
    gate = bench.hold_steps(monkeypatch, 1)
    bench.widget.propagate()
    until(lambda: bench.state.progress.done)
    if paused:
        bench.controller.tracking.toggle_pause()
    bench.show(COUNT - 1)
    pause(2 * REST)
    gate.release()  # the step that may have begun
    until(lambda: COUNT - 1 in prepared)
    assert bench.controller.tracking.running
    gate.release(1000)
    if paused:
        bench.controller.tracking.toggle_pause()
    bench.wait()
    assert bench.on == list(range(COUNT))


def hover(bench: Dock, y: float, x: float, frame: int = MIDDLE) -> list[Any]:
    bench.layers.hovered.emit(frame, y, x)
    bench.wait()
    return [layer for layer in bench.viewer.layers if layer.name == "cells preview" and len(layer.data)]


def test_the_mask_under_the_cursor_is_outlined_and_nothing_changes(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    active = bench.viewer.layers.selection.active
    (layer,) = hover(bench, 8, 10)
    outline = np.concatenate(layer.data)
    assert (outline[:, 0] == MIDDLE).all()
    assert outline[:, 1].min() < 8 < outline[:, 1].max()
    assert bench.viewer.layers.selection.active is active
    assert not bench.session.prompts
    assert not bench.labels.any()
    assert bench.session.undo_label is None
    bench.layers.unhovered.emit()
    assert not len(layer.data)


def test_the_outline_under_a_cursor_that_rests_is_always_that_of_the_next_click(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    bench.prompt(1, MIDDLE, 8, 10)
    (layer,) = hover(bench, 8, 14)
    joined = np.concatenate(layer.data)
    bench.controller.prompts.new_object()
    bench.wait()
    alone = np.concatenate(layer.data)
    assert alone[:, 2].min() > joined[:, 2].min(), "the new object has no other click yet"
    np.testing.assert_allclose(layer.edge_color[0], bench.layers.colours.colour(2))
    bench.controller.prompts.activate(1)
    bench.controller.prompts.toggle_sign()
    bench.wait()
    assert not layer.data or np.concatenate(layer.data)[:, 2].max() < joined[:, 2].max()
    bench.layers.unhovered.emit()
    bench.controller.prompts.toggle_sign()
    bench.wait()
    assert not len(layer.data), "the cursor has left"


def test_no_outline_of_another_object_stays_over_a_locked_one(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.objects.object_locked.emit(1, True)
    bench.controller.prompts.new_object()
    bench.wait()
    (layer,) = hover(bench, 16, 10)
    bench.controller.prompts.activate(1)
    bench.wait()
    assert not len(layer.data)


@pytest.mark.parametrize("when", ["before", "between"])
def test_no_outline_and_no_error_beyond_the_end_of_an_object(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.show(MIDDLE + 2)
    session = bench.session
    until(lambda: session.is_ready(MIDDLE + 2))
    if when == "before":
        session.ends_here(1, MIDDLE)
        assert not hover(bench, 8, 10, MIDDLE + 2)
    else:
        answer = Held(monkeypatch, "preview")
        bench.layers.hovered.emit(MIDDLE + 2, 8, 10)
        answer.until_entered()
        session.ends_here(1, MIDDLE)
        answer.gate.set()
        bench.wait()
    assert not bench.failures
    assert "cells preview" not in {layer.name for layer in bench.viewer.layers if len(layer.data)}


def test_no_outline_where_features_are_not_ready_or_a_decode_is_slow(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that stands still: a decode takes no time, however busy this machine is.
    monkeypatch.setattr(
        "napari_sam2._napari.work.answer_times.time", SimpleNamespace(perf_counter=lambda: 0.0)
    )
    until(lambda: bench.session.is_ready(MIDDLE))
    assert not hover(bench, 8, 10, frame=0)
    bench.controller.space.sequence.desk._answer_times._seconds.extend([2 * PREVIEW_LIMIT] * 3)  # type: ignore[union-attr]
    assert not hover(bench, 8, 10)
    bench.prompt(1, MIDDLE, 8, 10)
    assert hover(bench, 16, 10), "it was a hiccup: clicks are answered quickly"


def test_a_click_where_its_mask_was_outlined_asks_the_network_nothing(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    assert hover(bench, 8, 10)
    asked = len(bench.fake.asked)
    bench.prompt(1, MIDDLE, 8, 10)
    assert len(bench.fake.asked) == asked
    assert 1 in bench.labels[MIDDLE]
    bench.prompt(1, MIDDLE, 8, 12)
    assert len(bench.fake.asked) > asked


class SlowSteps:
    """Takes three steps for every answer, and stops in the second one of an object until the gate opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, obj: int) -> None:
        self.taken: list[tuple[int, int]] = []
        self.entered, self.gate = threading.Event(), threading.Event()

        def steps(session: Any, asked: int, *rest: Any) -> Iterator[None]:
            for step in range(3):
                self.taken.append((asked, step))
                if (asked, step) == (obj, 1):
                    self.entered.set()
                    assert self.gate.wait(60)
                yield

        monkeypatch.setattr("napari_sam2.session.Session.preview_steps", steps)


def test_a_click_goes_between_the_steps_of_an_outline(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    slow = SlowSteps(monkeypatch, 2)
    bench.controller.prompts.activate(2)
    bench.layers.hovered.emit(MIDDLE, 16, 10)
    until(slow.entered.is_set)
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    slow.gate.set()
    bench.wait()
    # Whether the rest of the outline is still worked out depends on who is first, the click's answer or it.
    assert slow.taken[:5] == [(2, 0), (2, 1), (1, 0), (1, 1), (1, 2)]
    assert slow.taken[5:] in ([], [(2, 2)])
    assert 1 in bench.labels[MIDDLE]


def test_no_outline_is_worked_out_for_a_cursor_that_has_gone_on(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    slow = SlowSteps(monkeypatch, 1)
    bench.layers.hovered.emit(MIDDLE, 8, 10)
    until(slow.entered.is_set)
    bench.layers.unhovered.emit()
    slow.gate.set()
    bench.wait()
    assert slow.taken == [(1, 0), (1, 1)]
    assert not [layer for layer in bench.viewer.layers if layer.name == "cells preview" and len(layer.data)]


def test_an_outline_is_gone_when_the_dock_closes(bench: Dock) -> None:
    until(lambda: bench.session.is_ready(MIDDLE))
    assert hover(bench, 8, 10)
    bench.controller.close()
    assert [layer.name for layer in bench.viewer.layers] == ["cells"]


def test_in_a_crowd_the_outline_is_that_of_a_new_object(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    prompts = bench.controller.prompts
    assert prompts.object_of_click(MIDDLE, 20, 4) == 1
    bench.view.tools.each_click_new_toggled.emit(True)
    assert prompts.object_of_click(MIDDLE, 20, 4) == 2
    assert prompts.object_of_click(MIDDLE, 8, 10) == 1
    bench.view.tools.positive_chosen.emit(False)
    assert prompts.object_of_click(MIDDLE, 20, 4) == 1


def test_live_clicks_spread_outward_and_undo_takes_all_back(bench: Dock) -> None:
    bench.view.progress.live_toggled.emit(True)
    assert bench.state.progress.live
    order: list[int] = []
    bench.controller.space.answered.connect(lambda _, a: order.append(a.result.frame) if a.result else None)
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.on == ALL
    assert order[0] == MIDDLE
    assert bench.state.progress.undo_label == f"Prompt (object 1, frame {MIDDLE})"
    spread = bench.labels.copy()
    for _ in range(2):
        bench.view.progress.undo_requested.emit()
        bench.wait()
        assert not bench.labels.any()
        assert not bench.session.prompts
        bench.view.progress.redo_requested.emit()
        bench.wait()
        assert np.array_equal(bench.labels, spread)
        assert not bench.state.progress.can_redo


def test_a_stroke_and_what_spreads_from_it_are_one_step(bench: Dock) -> None:
    bench.view.progress.live_toggled.emit(True)
    bench.layers.labels.brush_size = 6
    bench.layers.labels.paint((MIDDLE, 12, 10), 1)
    bench.wait()
    spread = bench.labels.copy()
    assert len(bench.on) > 1
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert not bench.on
    assert not bench.state.progress.can_undo
    bench.view.progress.redo_requested.emit()
    bench.wait()
    assert np.array_equal(bench.labels, spread)


def test_what_spread_is_taken_back_with_the_click_after_which_it_went_on(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.view.progress.live_toggled.emit(True)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    until(lambda: len(bench.fake.batches) == 2)
    bench.widget.set_prompts(2, 0, click(16, 10))
    gate.release(1000)
    bench.wait()
    undone = 0
    while bench.state.progress.can_undo:
        bench.view.progress.undo_requested.emit()
        bench.wait()
        undone += 1
    assert undone == 2


def test_a_stroke_that_is_refused_leaves_one_step(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.prompts.warn", lambda _: None)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.objects.object_locked.emit(2, True)
    bench.wait()
    before = bench.labels.copy()
    bench.view.progress.live_toggled.emit(True)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    until(lambda: len(bench.fake.batches) == 2)
    bench.layers.labels.data[MIDDLE, 20:23, 2:6] = 2
    bench.layers.labels.refresh()
    pause(1)
    gate.release(1000)
    bench.wait()
    bench.view.progress.undo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, before)


@pytest.mark.parametrize("others", [0, 1])
def test_a_click_that_is_taken_back_while_it_waits_does_not_spread(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    for obj in range(2, 2 + others):
        bench.prompt(obj, MIDDLE, 16, 10)
    bench.view.progress.live_toggled.emit(True)
    held = Held(monkeypatch, "declare")
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    held.until_entered()
    bench.view.progress.undo_requested.emit()
    held.gate.set()
    bench.wait()
    assert bench.session.objects == tuple(range(2, 2 + others))
    assert bench.state.progress.can_redo
    assert bench.state.progress.undo_label != "Propagate"


def test_the_next_click_redirects_what_spreads(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.view.progress.live_toggled.emit(True)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    until(lambda: len(bench.fake.batches) == 2)
    bench.widget.set_prompts(2, 0, click(16, 10))
    gate.release(2)
    until(lambda: 2 in bench.labels[0])
    gate.release(1000)
    bench.wait()
    for obj in (1, 2):
        assert {row.frames for row in bench.state.objects.rows if row.obj == obj} != {1}


def test_live_leaves_a_propagation_that_was_asked_for_alone(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress.live_toggled.emit(True)
    gate = bench.hold_steps(monkeypatch, 1)
    bench.widget.propagate()
    bench.widget.set_prompts(2, 0, click(16, 10))
    gate.release(1)
    until(lambda: 2 in bench.labels[0])
    assert bench.controller.tracking.covers(bench.controller.space.sequence, 2)
    gate.release(1000)
    bench.wait()
    assert not bench.session.steps_ahead()


def test_begins_and_ends_here(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE - 2)
    bench.layers.commanded.emit(Command.BEGINS_HERE)
    bench.show(MIDDLE + 1)
    bench.layers.commanded.emit(Command.ENDS_HERE)
    bench.wait()
    assert bench.on == list(range(MIDDLE - 2, MIDDLE + 2))
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.on == list(range(MIDDLE - 2, COUNT))
    bench.view.progress.redo_requested.emit()
    bench.propagate()
    assert bench.on == list(range(MIDDLE - 2, MIDDLE + 2))


def test_divides_here(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE + 2)
    bench.view.objects.divide_requested.emit(1)
    bench.wait()
    assert bench.on == list(range(MIDDLE + 2))
    assert bench.state.objects.active == 2
    assert {row.obj: row.parent for row in bench.state.objects.rows} == {1: None, 2: 1, 3: 1}


def test_objects_are_renamed_hidden_locked_merged_split_and_deleted(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    view = bench.view
    view.objects.object_renamed.emit(1, "mother")
    view.objects.object_shown.emit(2, False)
    view.objects.object_solo.emit(1)
    view.objects.object_locked.emit(1, True)
    bench.wait()
    first, second = bench.state.objects.rows
    assert (first.name, first.locked, second.shown, bench.state.objects.solo) == ("mother", True, False, 1)
    view.objects.object_locked.emit(1, False)
    view.objects.merge_requested.emit((1, 2))
    bench.wait()
    assert bench.session.objects == (1,)
    assert bench.labels[MIDDLE, 16, 10] == 1
    bench.propagate()
    bench.show(MIDDLE + 1)
    view.objects.split_requested.emit(1)
    bench.wait()
    assert bench.session.objects == (1, 2)
    assert bench.state.objects.active == 2
    view.objects.objects_deleted.emit((1,))
    bench.wait()
    assert bench.session.objects == (2,)
    assert 1 not in bench.labels


def test_several_objects_are_deleted_in_one_step_of_undo(bench: Dock) -> None:
    for obj, y in ((1, 4), (2, 12), (3, 20)):
        bench.prompt(obj, MIDDLE, y, 10)
    before = bench.labels.copy()
    bench.view.objects.objects_deleted.emit((1, 3, 9))
    bench.wait()
    assert bench.session.objects == (2,)
    assert bench.state.progress.undo_label == "Remove 2 objects"
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == (1, 2, 3)
    assert len(bench.layers.points.data) == 3
    np.testing.assert_array_equal(bench.labels, before)


def test_of_several_objects_one_that_is_locked_keeps_all(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.objects.object_locked.emit(2, True)
    bench.view.objects.objects_deleted.emit((1, 2))
    with pytest.raises(ValueError, match="object 2 is locked: unlock it first"):
        bench.wait()
    assert bench.session.objects == (1, 2)


def test_visiting_an_object_shows_its_prompt(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, 0, 16, 10)
    bench.view.objects.object_visited.emit(2)
    assert (bench.controller.space.frame, bench.state.objects.active) == (0, 2)


def test_visiting_an_object_without_prompts_shows_its_best_mask(bench: Dock) -> None:
    bench.prompt(1, 0, 8, 10)
    bench.propagate()
    bench.show(MIDDLE)
    bench.view.objects.split_requested.emit(1)
    bench.wait()
    assert all(key.obj != 2 for key in bench.session.prompts)
    summary = bench.session.summary()
    best = int(np.nanargmax(summary.cells.confidence[summary.objects.index(2)]))
    bench.show(1)
    bench.view.objects.object_visited.emit(2)
    assert bench.controller.space.frame == best
    bench.show(best - 1)
    bench.view.objects.object_visited.emit(2)
    assert bench.controller.space.frame == best - 1, "it is there to be seen"


def test_a_frame_with_a_mask_goes_before_one_without(bench: Dock) -> None:
    bench.set(1, 0, absent())
    bench.view.objects.object_visited.emit(1)
    assert bench.controller.space.frame == 0, "there is nothing else"
    bench.prompt(1, MIDDLE, 8, 10)
    bench.show(2)
    bench.view.objects.object_visited.emit(1)
    assert bench.controller.space.frame == MIDDLE


@pytest.mark.parametrize("shown", [2, 3])
def test_visiting_an_object_turns_the_camera_to_it(
    model: ViewerModel, fake_model: FakeModel, shown: int
) -> None:
    add_frames(model, scale=(5, 2, 3), translate=(0, 100, -50))
    bench = Dock(model, fake_model)
    bench.wait()
    bench.prompt(1, MIDDLE, 8, 10)
    model.dims.ndisplay = shown
    camera = camera_of(model)
    zoom = camera.zoom
    bench.view.objects.object_visited.emit(1)
    middle = np.argwhere(bench.labels == 1).mean(axis=0) * (5, 2, 3) + (0, 100, -50)
    np.testing.assert_allclose(camera.center[-shown:], middle[-shown:], atol=0.01)
    assert camera.zoom == zoom
    bench.end()


def test_what_needs_an_object_does_nothing_without(bench: Dock) -> None:
    for signal in (
        bench.view.progress.begins_here,
        bench.view.progress.ends_here,
        bench.view.progress.lock_here,
    ):
        signal.emit()
    bench.layers.commanded.emit(Command.PROPAGATE)
    bench.wait()
    assert bench.session.undo_label is None
    assert not bench.controller.tracking.running
    bench.set(1, MIDDLE, FramePrompts())
    pause(1)


def test_in_a_crowd_a_cursor_on_the_far_edge_is_over_the_last_pixel(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.tools.each_click_new_toggled.emit(True)
    height, width = bench.labels.shape[1:]
    edge = height - 0.5, width - 0.5
    assert bench.controller.prompts.object_of_click(MIDDLE, *edge) == 2
    bench.labels[MIDDLE, -1, -1] = 1
    assert bench.controller.prompts.object_of_click(MIDDLE, *edge) == 1
