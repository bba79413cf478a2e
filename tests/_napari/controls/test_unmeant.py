"""A click that was not meant, as the first of a double click, is taken back as if it had never been."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, pause, until
from tests._napari.renewing import see, seen

pytestmark = pytest.mark.gui


class State(NamedTuple):
    """What may not change."""

    prompts: dict[PromptKey, FramePrompts]
    done: list[str]
    undone: list[str]
    redo_label: str


def state(dock: Dock) -> State:
    history, picture = dock.session._state.history, dock.controller.space.picture
    done, undone = ([step.edits[0].label for step in steps] for steps in (history._done, history._undone))
    return State(dict(picture.prompts), done, undone, picture.redo_label)


def click(dock: Dock) -> None:
    dock.layers.points.add([MIDDLE, 8, 10])


def take_back(dock: Dock) -> None:
    dock.layers._points.take_back_last()
    dock.wait()


def rename(dock: Dock) -> None:
    dock.view.objects.object_renamed.emit(2, "bud")
    dock.wait()


def candidate(dock: Dock) -> None:
    dock.view.tools.next_candidate.emit()
    dock.wait()


def stroke(dock: Dock) -> None:
    dock.labels[MIDDLE, 4:9, 4:9] = 1
    dock.layers.labels.refresh()
    dock.wait()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("undone", [True, False])
@pytest.mark.parametrize("waits", [True, False])
def test_nothing_is_left(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, own: bool, undone: bool, waits: bool
) -> None:
    bench.prompt(1 if own else 2, MIDDLE, 16, 10)
    if undone:
        bench.prompt(3, 0, 4, 16)
        bench.view.progress.undo_requested.emit()
        bench.wait()
    before, labels = state(bench), bench.labels.copy()
    if waits:
        held = Held(monkeypatch, "preview")
        bench.controller.ahead.hover(MIDDLE, 3, 3)
        held.until_entered()
        click(bench)
        pause(5)
        bench.layers._points.take_back_last()
        pause(5)
        held.gate.set()
        bench.wait()
    else:
        click(bench)
        bench.wait()
        take_back(bench)
    assert state(bench) == before
    np.testing.assert_array_equal(bench.labels, labels)


@pytest.mark.parametrize("act", [candidate, stroke])
def test_what_was_said_there_otherwise_stays(bench: Dock, act: object) -> None:
    assert callable(act)
    bench.prompt(1, MIDDLE, 16, 10)
    act(bench)
    before, labels = state(bench), bench.labels.copy()
    click(bench)
    bench.wait()
    take_back(bench)
    assert state(bench) == before
    np.testing.assert_array_equal(bench.labels, labels)


@pytest.mark.parametrize("obj", [1, 2])
@pytest.mark.parametrize("renamed", [True, False])
def test_it_lets_nothing_spread(bench: Dock, obj: int, renamed: bool) -> None:
    bench.prompt(obj, MIDDLE if obj == 1 else 0, 16, 10)
    if renamed:
        bench.prompt(2, 0, 16, 10)
        rename(bench)
    bench.controller.ahead.choose_live(True)
    before, labels = state(bench), bench.labels.copy()
    said = bench.controller.space.picture.prompts.get(PromptKey(1, MIDDLE))
    click(bench)
    pause(1)
    until(lambda: bench.controller.space.picture.prompts.get(PromptKey(1, MIDDLE)) != said)
    take_back(bench)
    assert state(bench) == before
    np.testing.assert_array_equal(bench.labels, labels)


def test_what_was_spreading_before_goes_on(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.controller.ahead.choose_live(True)
    gate = bench.hold_steps(monkeypatch, 3)
    bench.layers.set_active(2)
    bench.layers.points.add([0, 16, 10])
    until(lambda: np.count_nonzero((bench.labels == 2).any(axis=(1, 2))) > 1)
    bench.layers.set_active(1)
    click(bench)
    pause(20)
    bench.layers._points.take_back_last()
    gate.release(1000)
    bench.wait()
    assert set(bench.session.prompts) == {PromptKey(2, 0)}
    assert (bench.labels == 2).any(axis=(1, 2)).sum() == COUNT - 1, "this network skips a frame"
    assert len(state(bench).done) == 1
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_another_view_that_was_undone_can_be_redone(bench: Dock) -> None:
    bench.prompt(2, 0, 16, 10)
    see(bench, 200)
    bench.wait()
    bench.view.progress.undo_requested.emit()
    bench.wait()
    before = state(bench)
    assert before.redo_label == "Use current view"
    click(bench)
    bench.wait()
    assert not state(bench).redo_label
    take_back(bench)
    assert state(bench) == before
    bench.view.progress.redo_requested.emit()
    bench.wait()
    assert seen(bench) == 200


def test_the_other_daughter_still_follows_on_the_first(bench: Dock) -> None:
    bench.view.tools.each_click_new_toggled.emit(True)
    bench.prompt(1, 0, 8, 10)
    bench.show(MIDDLE)
    bench.view.objects.divide_requested.emit(1)
    bench.wait()
    first = bench.controller.space.active
    click(bench)
    bench.wait()
    second = bench.controller.space.active
    assert second != first
    take_back(bench)
    bench.view.objects.object_activated.emit(first)
    click(bench)
    bench.wait()
    assert bench.controller.space.active == second


def test_a_step_without_a_run_stays(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    session = bench.session
    session.set_prompts(5, 0, FramePrompts(points=[(4, 4)], positive=[True]))
    assert session.take_back(None) is None
    assert 5 in session.objects
