"""Prompts for many objects in one go: between clicks, in one step of undo, and ended before their end."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import Qt

from napari_sam2._napari.keys import Command
from napari_sam2._napari.layers.seeds import LabelSeeds
from napari_sam2._napari.layers.shapes import mask_of
from napari_sam2._napari.views.hints import hint
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.worker import Priority
from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, pause, until
from tests._napari.dock import Held as HeldDesk
from tests._napari.hand import CONTROL, NO_KEY, Hand

pytestmark = pytest.mark.gui


class Held:
    """Seeds of eight points, of which the third waits until the test lets it go."""

    def __init__(self, bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[int] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        seed, declare = Desk.seed, Desk.declare

        def seeding(desk: Desk, key: PromptKey, *args: Any) -> Any:
            self.order.append(key.obj)
            if key.obj == 3:
                self.entered.set()
                assert self.gate.wait(60)
            return seed(desk, key, *args)

        def declaring(desk: Desk, key: PromptKey, *args: Any) -> Any:
            self.order.append(key.obj)
            return declare(desk, key, *args)

        monkeypatch.setattr(Desk, "seed", seeding)
        monkeypatch.setattr(Desk, "declare", declaring)
        bench.viewer.add_points([[MIDDLE, 2 + 2 * number, 10] for number in range(8)], name="nuclei")

    def begin(self, bench: Dock) -> None:
        bench.view.tools.seed_requested.emit()
        until(self.entered.is_set)


@pytest.fixture
def held(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(bench, monkeypatch)


def test_seeds_from_points_are_new_objects_in_one_step(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 20, 4)
    bench.viewer.add_points([[MIDDLE, 8, 10], [MIDDLE, 16, 10]], name="nuclei")
    bench.view.tools.seed_requested.emit()
    bench.wait()
    assert bench.session.objects == (1, 2, 3)
    assert bench.session.prompts[PromptKey(3, MIDDLE)].points == ((16, 10),)
    assert len(bench.layers.points.data) == 3
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == (1,)


def test_a_click_goes_between_seeds(bench: Dock, held: Held) -> None:
    held.begin(bench)
    bench.view.tools.new_object.emit()
    assert bench.state.objects.active == 9
    bench.layers.points.add([MIDDLE, 20, 4])
    pause(1)
    held.gate.set()
    bench.wait()
    assert held.order == [1, 2, 3, 9, 4, 5, 6, 7, 8]
    assert bench.session.objects == tuple(range(1, 10))
    assert len(bench.layers.points.data) == 9


def test_the_dock_says_how_far_seeds_have_come(bench: Dock, held: Held) -> None:
    held.begin(bench)
    progress = bench.state.progress
    assert (progress.activity.value, progress.done, progress.total) == ("seeding", 2, 8)
    assert "Seeding from “nuclei”" in hint(bench.state).text
    bench.view.show_state(bench.state)
    assert bench.view.progress._cancel.isEnabled()
    assert bench.view.progress._undo.isEnabled()
    assert not bench.view.progress._pause.isEnabled()
    assert bench.view.progress._bar.text() == "2 of 8"
    held.gate.set()
    bench.wait()
    until(lambda: bench.activity == "idle")


def test_undo_ends_seeds_and_takes_them_back(bench: Dock, held: Held) -> None:
    bench.prompt(20, 0, 8, 10)
    held.begin(bench)
    bench.view.progress.undo_requested.emit()
    assert bench.activity != "seeding"
    held.gate.set()
    bench.wait()
    assert bench.session.objects == (20,)
    assert bench.viewer.status == "Undone: Seed"
    assert not bench.labels[MIDDLE].any()
    assert len(bench.layers.points.data) == 1


def test_undo_before_the_first_seed_takes_back_nothing_else(bench: Dock, held: Held) -> None:
    bench.prompt(1, 0, 8, 10)
    gate = threading.Event()
    bench.controller.worker.submit(lambda: gate.wait(60))
    bench.view.tools.seed_requested.emit()
    bench.view.progress.undo_requested.emit()
    gate.set()
    bench.wait()
    assert bench.session.objects == (1,)
    assert bench.on == [0]


@pytest.mark.parametrize("by", ["button", "key"])
def test_seeds_are_cancelled_and_what_was_said_stays(
    bench: Dock, held: Held, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    held.begin(bench)
    if by == "button":
        bench.view.progress.cancel_requested.emit()
    else:
        bench.layers.commanded.emit(Command.CANCEL)
    held.gate.set()
    bench.wait()
    assert bench.session.objects == (1, 2), "the third was not said yet"
    assert told == ["Seeding was ended after 2 of 8; undo takes these back."]
    assert len(bench.layers.points.data) == 2
    bench.view.tools.new_object.emit()
    assert bench.controller.space.active == 3
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.objects == ()


def test_seeds_that_are_cancelled_in_the_first_one_promise_no_undo(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    bench.prompt(1, MIDDLE, 20, 4)
    first = HeldDesk(monkeypatch, "seed")
    bench.viewer.add_points([[MIDDLE, 8, 10], [MIDDLE, 16, 10]], name="nuclei")
    bench.view.tools.seed_requested.emit()
    first.until_entered()
    bench.view.progress.cancel_requested.emit()
    first.gate.set()
    bench.wait()
    assert bench.session.objects == (1,)
    assert told == ["Seeding was ended before anything was said."]


def test_one_seeding_at_a_time(bench: Dock, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    held.begin(bench)
    bench.view.tools.seed_requested.emit()
    assert "under way" in told[-1]
    held.gate.set()
    bench.wait()
    assert bench.session.objects == tuple(range(1, 9))


@pytest.mark.parametrize("layer", ["cells", "cells labels"])
def test_seeds_end_with_their_layers_at_once(bench: Dock, held: Held, layer: str) -> None:
    held.begin(bench)
    bench.viewer.layers.remove(layer)
    held.gate.set()
    worker = bench.controller.worker
    while worker.waits(Priority.EDIT) or worker.running:  # the event loop does not turn meanwhile
        time.sleep(0.001)
    assert held.order == [1, 2, 3]
    bench.wait()
    until(lambda: bench.activity == "idle")
    assert held.order == [1, 2, 3]
    assert bench.controller.space.reserved == 0


def test_seeds_that_fail_are_told_once(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(Desk, "seed", fail)
    bench.viewer.add_points([[MIDDLE, 2 + 2 * number, 10] for number in range(8)], name="nuclei")
    bench.view.tools.seed_requested.emit()
    with pytest.raises(ValueError, match="no"):
        bench.wait()
    assert bench.failures == []


def test_seeds_from_labels_keep_their_ids(bench: Dock) -> None:
    seeds = np.zeros(bench.labels.shape, np.uint8)
    seeds[2, 5:9, 5:9] = 7
    bench.viewer.add_labels(seeds)
    bench.view.tools.seed_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, seeds)


@pytest.mark.parametrize("chosen", [False, True])
def test_the_preview_is_no_layer_to_take_seeds_from(bench: Dock, chosen: bool) -> None:
    nuclei = bench.viewer.add_points([[MIDDLE, 8, 10]], name="nuclei")
    until(lambda: bench.session.is_ready(MIDDLE))
    bench.layers.hovered.emit(MIDDLE, 16, 10)
    bench.wait()
    preview = bench.viewer.layers["cells preview"]
    bench.viewer.layers.selection = {preview, nuclei} if chosen else {preview}
    bench.view.tools.seed_requested.emit()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].points == ((8, 10),)


def test_keys_do_nothing_to_the_preview(dock: Dock, hand: Hand) -> None:
    until(lambda: dock.session.is_ready(MIDDLE))
    dock.layers.hovered.emit(MIDDLE, 16, 10)
    dock.wait()
    preview = dock.viewer.layers["cells preview"]
    before = [line.copy() for line in preview.data]
    assert before
    dock.viewer.layers.selection.active = preview
    for key, held in ((Qt.Key.Key_A, NO_KEY), (Qt.Key.Key_C, CONTROL), (Qt.Key.Key_V, CONTROL)):
        hand.key(key, held)
    for key in (Qt.Key.Key_A, Qt.Key.Key_Backspace, Qt.Key.Key_R, Qt.Key.Key_N, Qt.Key.Key_G):
        hand.key(key)
    assert len(preview.data) == len(before)
    assert not preview.selected_data
    assert str(preview.mode) == "pan_zoom"
    assert not dock.session.objects
    assert dock.state.objects.active == 1


class Reading:
    """A layer of labels with an object on each of three frames, of which the second waits for the test."""

    def __init__(self, bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        look = LabelSeeds.look

        def looking(masks: LabelSeeds, frame: int) -> tuple[int, ...]:
            self.threads.append(threading.current_thread().name)
            if frame == 1:
                self.entered.set()
                assert self.gate.wait(60)
            return look(masks, frame)

        monkeypatch.setattr(LabelSeeds, "look", looking)
        labels = np.zeros(bench.labels.shape, np.uint8)
        labels[0, 5:9, 5:9], labels[2, 10:14, 5:9], labels[2, 2:4, 5:9] = 3, 5, 3
        bench.viewer.add_labels(labels, name="cells of old")

    def begin(self, bench: Dock) -> None:
        bench.view.tools.seed_requested.emit()
        until(self.entered.is_set)


@pytest.fixture
def reading(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(bench, monkeypatch)


def test_labels_are_read_a_frame_at_a_time_beside_the_viewer(bench: Dock, reading: Reading) -> None:
    reading.begin(bench)
    progress = bench.state.progress
    assert (progress.activity.value, progress.done, progress.total) == ("seeding", 1, COUNT)
    bench.layers.points.add([MIDDLE, 20, 12])
    pause(1)
    reading.gate.set()
    bench.wait()
    assert set(reading.threads) == {"napari-sam2-inference"}
    assert len(reading.threads) == COUNT
    assert bench.session.objects == (1, 3, 5)
    assert [key for key in bench.session.prompts if key.obj != 1] == [
        PromptKey(3, 0),
        PromptKey(3, 2),
        PromptKey(5, 2),
    ]
    assert len(bench.layers.points.data) == 1


@pytest.mark.parametrize("by", ["undo", "cancel"])
def test_reading_is_ended(bench: Dock, reading: Reading, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    bench.prompt(1, MIDDLE, 8, 10)
    reading.begin(bench)
    progress = bench.view.progress
    (progress.undo_requested if by == "undo" else progress.cancel_requested).emit()
    reading.gate.set()
    bench.wait()
    assert bench.session.objects == (1,)
    until(lambda: bench.activity == "idle")
    assert told == ([] if by == "undo" else ["Seeding was ended before anything was said."])
    bench.view.tools.seed_requested.emit()
    bench.wait()
    assert bench.session.objects == (1, 3, 5)


def test_labels_that_cannot_be_read_are_told_of_once(
    bench: Dock, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(LabelSeeds, "look", fail)
    bench.view.tools.seed_requested.emit()
    with pytest.raises(OSError, match="gone"):
        bench.wait()
    assert bench.failures == []
    until(lambda: bench.activity == "idle")
    assert bench.controller.seeds.running is None


def test_without_a_layer_there_are_no_seeds(bench: Dock) -> None:
    bench.view.tools.seed_requested.emit()
    bench.viewer.add_points([[MIDDLE, 800, 10]])
    bench.view.tools.seed_requested.emit()
    bench.view.tools.seed_next_t_requested.emit()
    bench.wait()
    assert not bench.session.objects


def test_outlines_are_drawn_beside_the_gui_thread(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread().name)
        return mask_of(*args)

    monkeypatch.setattr("napari_sam2._napari.layers.seeds.mask_of", noted)
    outlines = [[[frame, 4, 4], [frame, 4, 12], [frame, 12, 8]] for frame in range(3)]
    layer = Shapes(outlines, shape_type="polygon", ndim=3, features={"object": [1, 1, 2]})
    bench.viewer.add_layer(layer)
    bench.viewer.layers.selection = {layer}
    bench.controller.seeds.seed()
    run = bench.controller.seeds.running
    assert run is not None
    assert (run.looks, run.total) == (3, 0)
    bench.wait()
    assert threads == ["napari-sam2-inference"] * 3
    assert (run.looked, run.objects, run.total, run.said) == (3, 2, 3, 3)
    assert set(bench.session.prompts) == {PromptKey(1, 0), PromptKey(1, 1), PromptKey(2, 2)}


def test_reading_outlines_can_be_ended(bench: Dock) -> None:
    outlines = [[[frame, 4, 4], [frame, 4, 12], [frame, 12, 8]] for frame in range(3)]
    layer = Shapes(outlines, shape_type="polygon", ndim=3)
    bench.viewer.add_layer(layer)
    bench.viewer.layers.selection = {layer}
    bench.controller.seeds.seed()
    bench.controller.seeds.cancel()
    bench.wait()
    assert bench.controller.seeds.running is None
    assert bench.session.objects == ()
