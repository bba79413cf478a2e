"""What is said while a propagation is under way is tracked before it ends."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore

import numpy as np
import pytest

from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from tests._napari.dock import COUNT, MIDDLE, Dock, until
from tests.fakes import click

pytestmark = pytest.mark.gui

Said = Callable[[Dock], None]


def refined(bench: Dock) -> None:
    bench.widget.set_prompts(1, MIDDLE, click(9, 11))


def corrected_ahead(bench: Dock) -> None:
    bench.widget.set_prompts(1, COUNT - 1, click(9, 11))


def corrected_behind(bench: Dock) -> None:
    bench.widget.set_prompts(1, 0, click(9, 11))


def another(bench: Dock) -> None:
    bench.widget.set_prompts(2, 0, click(16, 10))


def taken_back(bench: Dock) -> None:
    bench.widget.set_prompts(1, MIDDLE, FramePrompts())


SAID = [refined, corrected_ahead, corrected_behind, another]


def begin(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, *, live: bool, start: Callable[[], None]
) -> Semaphore:
    """Click on an object, begin to propagate, and return what holds it after the first step."""
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.ahead.choose_live(live)
    gate = bench.hold_steps(monkeypatch, 1)
    start()
    until(lambda: len(bench.on) > 1)
    return gate


def end(bench: Dock, gate: Semaphore, said: Said) -> None:
    """Say something, and let the propagation end."""
    sequence = bench.controller.space.sequence
    assert sequence is not None
    session = sequence.desk.opened  # that of the widget waits until all is done
    made = session.edition
    said(bench)
    gate.release()  # the step that is under way
    until(lambda: session.edition > made)
    gate.release(1000)
    bench.wait()
    until(lambda: bench.activity == "idle")


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("said", SAID)
def test_a_propagation_ends_when_all_is_up_to_date(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, said: Said, live: bool
) -> None:
    gate = begin(bench, monkeypatch, live=live, start=bench.widget.propagate)
    end(bench, gate, said)
    assert not bench.session.steps_ahead()
    assert all(bench.session.entry(obj, frame) for obj in bench.session.objects for frame in range(COUNT))
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    progress = bench.controller.tracking
    assert len(progress._done) == len(progress._planned), "the bar is full"


@pytest.mark.parametrize("said", [refined, corrected_ahead])
def test_one_direction_is_made_anew_too(bench: Dock, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    gate = begin(bench, monkeypatch, live=False, start=lambda: bench.widget.propagate("forward"))
    end(bench, gate, said)
    assert not bench.session.steps_ahead(direction="forward", stale=True)
    assert bench.on == list(range(MIDDLE, COUNT))


@pytest.mark.parametrize("live", [False, True])
def test_others_than_those_that_are_propagated_spread_after_them(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    start = bench.controller.tracking.start
    gate = begin(bench, monkeypatch, live=live, start=lambda: start(objects=(1,)))
    end(bench, gate, another)
    known = {
        obj: sum(bench.session.entry(obj, frame) is not None for frame in range(COUNT)) for obj in (1, 2)
    }
    assert known == {1: COUNT, 2: COUNT if live else 1}


def test_it_ends_where_all_prompts_are_taken_back(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = begin(bench, monkeypatch, live=False, start=bench.widget.propagate)
    end(bench, gate, taken_back)
    assert not bench.session.prompts
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_what_cannot_be_written_is_not_tracked_for_ever(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.ahead.choose_live(False)
    monkeypatch.setattr(Session, "apply", lambda *_: None)
    bench.propagate()
    until(lambda: bench.activity == "idle")
    assert bench.session.steps_ahead()


def test_an_object_that_has_ended_keeps_no_propagation_busy(bench: Dock) -> None:
    bench.controller.ahead.choose_live(False)
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE + 1, 16, 10)
    bench.session.ends_here(1, MIDDLE)
    bench.widget.propagate("backward")
    bench.wait()
    until(lambda: bench.activity == "idle")
    assert not bench.session.steps_ahead(direction="backward", stale=True)
