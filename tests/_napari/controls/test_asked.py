"""What the parts of the dock ask for is done, and said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._napari.notices import sentence
from napari_sam2._napari.views.objects_table import ObjectsTable
from napari_sam2.prompts import PromptKey
from tests._napari.dock import MIDDLE, Dock, until
from tests.fakes import click

pytestmark = pytest.mark.gui


def test_every_signal_of_the_dock_is_answered(bench: Dock) -> None:
    view, deaf = bench.view, []
    kind = type(ObjectsTable.object_solo)
    for part in (view.image, view.model, view.tools, view.objects, view.progress, view.review, view.files):
        names = [name for name, each in vars(type(part)).items() if isinstance(each, kind)]
        assert names
        deaf += [name for name in names if not part.receivers(getattr(part, name))]
    assert deaf == []


def test_what_concerns_the_active_object(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.view.objects.object_activated.emit(2)
    bench.view.progress.propagate_active_requested.emit()
    bench.wait()
    assert {obj: bool((bench.labels[MIDDLE + 1] == obj).any()) for obj in (1, 2)} == {1: False, 2: True}
    bench.show(MIDDLE + 1)
    bench.view.progress.divides_here.emit()
    bench.wait()
    assert [row.parent for row in bench.state.objects.rows if row.obj > 2] == [2, 2]


def test_what_is_undone_is_said(bench: Dock) -> None:
    undo, redo = bench.view.progress.undo_requested, bench.view.progress.redo_requested
    bench.prompt(3, MIDDLE, 8, 10)
    bench.layers.labels.data[MIDDLE + 1, 2:5, 2:5] = 3
    bench.layers.labels.refresh()
    bench.wait()
    label = f"Paint (object 3, frame {MIDDLE + 1})"
    until(lambda: bench.state.progress.undo_label == label)
    undo.emit()
    bench.wait()
    assert bench.viewer.status == f"Undone: {label}"
    assert bench.state.progress.undo_label == f"Prompt (object 3, frame {MIDDLE})"
    redo.emit()
    bench.wait()
    assert bench.viewer.status == f"Done again: {label}"


@pytest.mark.parametrize("wait", [True, False])
def test_a_script_is_told_of_a_direction_that_is_none(bench: Dock, wait: bool) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    with pytest.raises(ValueError, match="direction must be one of both, forward, backward; got 'sideways'"):
        bench.widget.propagate("sideways", wait=wait)
    bench.wait()
    assert bench.on == [MIDDLE]


def test_of_locked_objects_the_dock_says_where_to_unlock_them(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.objects.object_locked.emit(1, True)
    bench.wait()
    bench.widget.set_prompts(1, MIDDLE, click(16, 10))
    with pytest.raises(ValueError, match="object 1 is locked") as caught:
        bench.wait()
    assert sentence(caught.value) == "Object 1 is locked: unlock it in the table first"


def test_a_button_in_the_turn_of_a_click_is_of_what_was_clicked_on(bench: Dock) -> None:
    """As where both have waited for a viewer that was busy."""
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.objects.object_activated.emit(2)
    bench.layers.points.add((MIDDLE, 16, 10))
    bench.view.progress.propagate_active_requested.emit()
    bench.wait()
    assert {obj: bool((bench.labels[MIDDLE + 1] == obj).any()) for obj in (1, 2)} == {1: False, 2: True}


def test_what_is_said_of_several_objects_at_once_is_one_step_of_undo(bench: Dock) -> None:
    places = {1: (8, 10), 2: (16, 10), 3: (15, 4)}
    for obj, (y, x) in places.items():
        bench.prompt(obj, MIDDLE, y, x)
    labels, points = bench.labels.copy(), bench.layers.points
    points.selected_data = {0, 2}
    points.remove_selected()
    bench.wait()
    assert bench.session.prompts.keys() == {PromptKey(2, MIDDLE)}
    assert bench.state.progress.undo_label == "Remove prompts (2 places)"
    bench.view.progress.undo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, labels)
    assert len(points.data) == 3
    assert bench.state.progress.undo_label == f"Prompt (object 3, frame {MIDDLE})"
    bench.view.progress.redo_requested.emit()
    bench.wait()
    assert bench.session.prompts.keys() == {PromptKey(2, MIDDLE)}
