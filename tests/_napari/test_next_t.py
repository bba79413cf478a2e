"""*Next t from this t*: what was said there before stays, and names go along."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.dock import Dock
from tests.fakes import click

pytestmark = pytest.mark.gui


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told of seeds."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.seeds.tell", told.append)
    return told


def go(dock: Dock, t: int) -> None:
    dock.viewer.dims.set_current_step(0, t)
    dock.wait()


def pass_on(dock: Dock) -> None:
    dock.view.tools.seed_next_t_requested.emit()
    dock.wait()


def undo(dock: Dock) -> None:
    dock.view.progress.undo_requested.emit()
    dock.wait()


def test_corrections_at_the_next_t_stay(four: Dock, notes: list[str]) -> None:
    four.prompt(1, 2, 5, 5)
    pass_on(four)
    four.set(1, 2, FramePrompts(points=((18, 15),), positive=(True,)))
    corrected = four.labels[2] == 1
    go(four, 1)
    four.prompt(2, 2, 20, 5)
    notes.clear()
    pass_on(four)
    np.testing.assert_array_equal(four.labels[2] == 1, corrected)
    assert four.session.objects == (1, 2)
    assert notes == ["1 object from the index before. Left as it is there: object 1 (prompted)."]
    undo(four)
    assert four.session.objects == (1,)


def test_prompts_on_other_frames_of_the_next_t_stay_too(four: Dock, notes: list[str]) -> None:
    go(four, 2)
    four.prompt(1, 0, 18, 15)
    go(four, 1)
    four.prompt(1, 2, 5, 5)
    pass_on(four)
    assert list(four.session.prompts) == [PromptKey(1, 0)]
    assert notes == ["Left as it is there: object 1 (prompted)."]


def test_locked_objects_are_left_out_and_the_others_copied(four: Dock, notes: list[str]) -> None:
    four.prompt(1, 2, 5, 5)
    pass_on(four)
    locked = four.labels[2] == 1
    four.view.objects.object_locked.emit(1, True)
    four.wait()
    go(four, 1)
    four.prompt(2, 2, 20, 5)
    notes.clear()
    pass_on(four)
    np.testing.assert_array_equal(four.labels[2] == 1, locked)
    assert four.session.objects == (1, 2)
    assert notes == ["1 object from the index before. Left as it is there: object 1 (locked)."]


def test_objects_that_are_locked_on_a_frame_or_not_there_are_left_out(four: Dock, notes: list[str]) -> None:
    four.prompt(1, 2, 5, 5)
    four.prompt(2, 2, 20, 5)
    go(four, 2)
    four.prompt(1, 3, 5, 5)
    four.prompt(2, 3, 20, 5)
    four.propagate()
    four.session.lock(1, 2)
    four.session.begins_here(2, 3)
    four.set(1, 3, FramePrompts())
    four.set(2, 3, FramePrompts())
    go(four, 1)
    notes.clear()
    pass_on(four)
    expected = "Left as they are there: object 1 (locked), object 2 (begins or ends elsewhere)."
    assert notes == [expected]


def test_strokes_that_the_session_has_not_heard_of_stay(four: Dock, notes: list[str]) -> None:
    four.prompt(1, 2, 5, 5)
    four.layers.labels.data_setitem(np.nonzero(_square(four, 2)), 1)
    pass_on(four)
    assert notes == ["Left as it is there: object 1 (prompted)."]
    np.testing.assert_array_equal(four.labels[2] == 1, _square(four, 2)[2])


def test_names_go_along_in_the_same_step(four: Dock) -> None:
    four.prompt(1, 2, 5, 5)
    four.view.objects.object_renamed.emit(1, "bud")
    four.wait()
    pass_on(four)
    assert four.session.names == {1: "bud"}
    assert [row.name for row in four.state.objects.rows] == ["bud"]
    undo(four)
    assert four.session.objects == ()
    assert not four.session.names


def test_a_name_that_an_object_has_there_stays(four: Dock) -> None:
    four.prompt(1, 2, 5, 5)
    four.view.objects.object_renamed.emit(1, "bud")
    go(four, 2)
    four.prompt(1, 2, 18, 15)
    four.session.begins_here(1, 0)
    four.view.objects.object_renamed.emit(1, "mother")
    four.set(1, 2, FramePrompts())
    go(four, 1)
    pass_on(four)
    assert list(four.session.prompts) == [PromptKey(1, 2)]
    assert four.session.names == {1: "mother"}


def _square(dock: Dock, t: int) -> NDArray[np.bool_]:
    mask = np.zeros(dock.labels.shape, bool)
    mask[t, 2, 15:20, 10:15] = True
    return mask


def test_clicks_and_strokes_that_were_not_answered_yet_are_waited_for(four: Dock, notes: list[str]) -> None:
    for obj, (y, x) in enumerate(((5, 5), (12, 5), (19, 5)), start=1):
        four.widget.set_prompts(obj, 2, click(y, x))
    four.layers.labels.paint((1, 2, 19, 16), 4)
    for _ in range(2):  # impatient
        four.view.tools.seed_next_t_requested.emit()
    four.wait()
    assert four.viewer.dims.current_step[0] == 2
    assert four.session.objects == (1, 2, 3, 4)
    assert notes == ["4 objects from the index before."]


def test_who_turns_away_while_clicks_are_answered_seeds_nothing(four: Dock, notes: list[str]) -> None:
    four.widget.set_prompts(1, 2, click(5, 5))
    four.view.tools.seed_next_t_requested.emit()
    go(four, 0)
    assert (four.viewer.dims.current_step[0], notes) == (0, [])
    assert four.labels[1].any()
    assert not four.labels[2].any()
