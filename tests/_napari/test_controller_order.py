"""What is clicked while something else is under way is neither lost nor late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_sam2._napari.desk import Desk
from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, pause

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
