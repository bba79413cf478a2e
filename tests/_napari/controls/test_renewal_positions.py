"""Another view at all positions of the other axis together, or at none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_sam2._napari.work.desk import Desk
from tests._napari.dock import Dock, Held, pause, until
from tests._napari.renewing import redo, see, seen, undo

pytestmark = pytest.mark.gui


def test_all_positions_are_seen_otherwise_and_led_back(four: Dock, told: list[str]) -> None:
    four.prompt(1, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.prompt(2, 2, 8, 10)
    see(four, 200)
    (said,) = [each for each in told if "something else" in each]
    assert "2 prompts are answered anew" in said
    assert [_seen_at(four, at) for at in (0, 1, 2)] == [200] * 3
    undo(four)
    assert [_seen_at(four, at) for at in (0, 1, 2)] == [255] * 3
    redo(four)
    four.viewer.dims.set_current_step(0, 1)
    assert (seen(four), four.session.objects) == (200, (1,))


def _seen_at(four: Dock, position: int) -> float:
    four.viewer.dims.set_current_step(0, position)
    four.controller.sequences.ensure_open()
    four.wait()
    return seen(four)


def test_a_position_with_work_since_stays(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.prompt(2, 2, 8, 10)
    see(four, 200)
    four.prompt(2, 2, 8, 11)
    four.viewer.dims.set_current_step(0, 1)
    undo(four)
    assert seen(four) == 255
    four.viewer.dims.set_current_step(0, 2)
    assert seen(four) == 200


def at(dock: Dock, position: int) -> None:
    """Move the other slider, without waiting."""
    dock.viewer.dims.set_current_step(0, position)


def two_positions(four: Dock) -> None:
    """Prompt at t = 1 and t = 2, and stay there."""
    four.prompt(1, 2, 8, 10)
    at(four, 2)
    four.prompt(2, 2, 8, 10)


def test_undo_belongs_to_the_position_that_it_was_pressed_at(four: Dock) -> None:
    two_positions(four)
    see(four, 200)
    see(four, 150)
    at(four, 1)
    four.view.progress.undo_requested.emit()
    at(four, 2)
    four.wait()
    assert [_seen_at(four, each) for each in (1, 2)] == [200, 200]


def test_redo_takes_the_same_step_everywhere_or_none(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    see(four, 200)
    at(four, 2)
    four.prompt(2, 2, 8, 10)
    see(four, 150)
    at(four, 1)
    for step, wanted in ((undo, [200, 200]), (undo, [255, 200]), (redo, [200, 200]), (redo, [150, 150])):
        step(four)
        assert [_seen_at(four, each) for each in (1, 2)] == wanted
        at(four, 1)


@pytest.mark.parametrize("by", ["cancel", "failure"])
def test_all_positions_or_none(four: Dock, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    two_positions(four)
    say_again, calls = Desk.say_again, list[int]()

    def saying(desk: Desk) -> Any:
        calls.append(1)
        if len(calls) == 3 and by == "failure":
            raise ValueError("no")
        if len(calls) == 3:
            four.controller.sequences.renewals._run.ended = True  # type: ignore[union-attr]
        return say_again(desk)

    monkeypatch.setattr(Desk, "say_again", saying)
    if by == "failure":
        with pytest.raises(ValueError, match="no"):
            see(four, 200)
    else:
        see(four, 200)
        four.view.progress.cancel_requested.emit()
    four.wait()
    assert four.failures == []
    assert [_seen_at(four, each) for each in (0, 1, 2)] == [255] * 3
    until(lambda: four.activity == "idle")


def test_a_position_that_is_first_seen_meanwhile_comes_along(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    four.prompt(1, 2, 8, 10)
    held = Held(monkeypatch, "say_again")
    image = four.controller.space.image
    assert image is not None
    image.contrast_limits = (0, 200)
    four.view.image.use_current_view.emit()
    held.until_entered()
    at(four, 2)
    four.layers.points.add([2, 2, 8, 10])
    pause(1)
    held.gate.set()
    four.wait()
    assert [_seen_at(four, each) for each in (0, 1, 2)] == [200] * 3
    assert len(four.session.prompts) == 1


def test_a_view_is_led_back_from_where_nothing_was_said(four: Dock, told: list[str]) -> None:
    four.prompt(1, 2, 8, 10)
    labels = four.labels.copy()
    at(four, 2)
    see(four, 200)
    assert four.state.progress.undo_label == "Use current view"
    undo(four)
    assert [_seen_at(four, each) for each in (2, 1, 0)] == [255] * 3
    at(four, 2)
    assert four.state.progress.redo_label == "Use current view"
    redo(four)
    assert [_seen_at(four, each) for each in (2, 1, 0)] == [200] * 3
    undo(four)
    np.testing.assert_array_equal(four.labels, labels)


@pytest.mark.parametrize("way", ["click", "stroke"])
def test_undo_takes_back_what_waits_here_and_no_view_elsewhere(
    four: Dock, told: list[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    four.prompt(1, 2, 8, 10)
    see(four, 200)
    at(four, 2)
    four.wait()
    held = Held(monkeypatch, "declare" if way == "click" else "paint")
    if way == "click":
        four.layers.points.add([2, 2, 16, 10])
    else:
        four.layers.labels.data[2, 2, 16:20, 4:8] = 2
        four.layers.labels.refresh()
    held.until_entered()
    four.view.progress.undo_requested.emit()
    held.gate.set()
    four.wait()
    assert four.session.objects == ()
    assert [_seen_at(four, each) for each in (2, 1)] == [200] * 2
