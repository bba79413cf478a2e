"""The other slider moves while something is under way: it stays with the position that it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sam2._napari.layers import stroke_search
from napari_sam2._napari.layers.seeds import LabelSeeds
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import PromptKey
from tests._napari.dock import Dock, Held, pause
from tests.fakes import SHAPE

pytestmark = pytest.mark.gui


def to(dock: Dock, position: int) -> None:
    """Move the slider of t, without waiting."""
    dock.viewer.dims.set_current_step(0, position)


def prompts_at(dock: Dock, position: int) -> dict[PromptKey, str]:
    """Return what was said at a position: "click", "mask" or "both"; the layers have to show the same."""
    to(dock, position)
    dock.wait()
    sequence = dock.controller.space.sequence
    assert sequence is not None
    session = sequence.desk.session
    if session is None:
        assert not sequence.declared
        return {}
    assert sequence.declared == session.prompts
    shown = np.count_nonzero(dock.layers.points.data[:, 0] == position)
    assert shown == sum(len(said.points) for said in session.prompts.values())
    np.testing.assert_array_equal(dock.labels[position], session.labels)
    return {
        key: "click" if said.mask is None else "both" if said.points else "mask"
        for key, said in session.prompts.items()
    }


def undo(dock: Dock) -> None:
    dock.view.progress.undo_requested.emit()


def delete(dock: Dock) -> None:
    dock.view.objects.objects_deleted.emit((2,))


@pytest.mark.parametrize("act", [undo, delete])
def test_what_is_taken_back(four: Dock, act: Callable[[Dock], None]) -> None:
    four.prompt(1, 2, 8, 10)
    four.prompt(2, 2, 16, 10)
    act(four)
    to(four, 2)
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click"}


def test_a_click_that_is_refused(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    four.prompt(1, 2, 8, 10)

    def refuse(*_args: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(Desk, "declare", refuse)
    four.layers.points.add([1, 2, 16, 10])
    pause(0)
    to(four, 2)
    with pytest.raises(ValueError, match="no"):
        four.wait()
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click"}


def paint(dock: Dock, obj: int, frame: int) -> None:
    """Paint as a script does, at t = 1."""
    dock.layers.labels.data[1, frame, 18:22, 2:6] = obj
    dock.layers.labels.events.paint(value=[])


def array(dock: Dock) -> None:
    dock.layers.labels.data[0, 2, 18:22, 2:6] = 3
    dock.layers.labels.refresh()


def brush(dock: Dock) -> None:
    dock.layers.labels.brush_size = 4
    dock.layers.labels.paint((0, 2, 20, 4), 3)


def event(dock: Dock) -> None:
    dock.layers.labels.data[0, 2, 18:22, 2:6] = 3
    dock.layers.labels.events.paint(value=[])


def other(dock: Dock) -> None:
    labels = dock.labels.copy()
    labels[0, 2, 18:22, 2:6] = 3
    dock.layers.labels.data = labels


@pytest.mark.parametrize("act", [array, brush, event, other])
@pytest.mark.parametrize("visited", [True, False])
def test_a_script_paints_where_nobody_looks(four: Dock, visited: bool, act: Callable[[Dock], None]) -> None:
    four.prompt(1, 2, 8, 10)
    if visited:
        to(four, 0)
        four.prompt(2, 2, 8, 10)
        to(four, 1)
    act(four)
    four.wait()
    (elsewhere,) = [each for each in four.controller.space.touched() if each.geometry.index[0] == 0]
    assert elsewhere.desk.opened.prompts[PromptKey(3, 2)].mask is not None, "said though nobody looked"
    assert four.session.prompts.keys() == {PromptKey(1, 2)}
    there = {PromptKey(3, 2): "mask"} | ({PromptKey(2, 2): "click"} if visited else {})
    assert prompts_at(four, 0) == there
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click"}
    assert prompts_at(four, 2) == {}
    to(four, 0)
    undo(four)
    assert PromptKey(3, 2) not in prompts_at(four, 0)


@pytest.mark.parametrize("act", [array, brush, event, other])
def test_a_script_paints_and_does_not_wait(four: Dock, tmp_path: Path, act: Callable[[Dock], None]) -> None:
    four.prompt(1, 2, 8, 10)
    act(four)
    four.view.files.export_requested.emit(str(tmp_path / "masks.tif"))
    four.wait()
    assert (tifffile.imread(tmp_path / "masks.tif")[0, 2, 19:21, 3:5] == 3).all()
    four.layers.labels.data[2, 2, 18:22, 2:6] = 5
    four.layers.labels.refresh()
    assert four.widget.session is not None
    assert [len(each.desk.opened.prompts) for each in four.controller.space.touched()] == [1, 1, 1]


@pytest.mark.parametrize("ending", ["closes", "goes on"])
def test_what_a_script_paints_elsewhere_is_looked_for_while_the_slider_moves(
    four: Dock, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    four.prompt(1, 2, 8, 10)
    four.labels[:, 1, 18:22, 2:6] = 3
    four.layers.labels.refresh()
    pause(0)
    to(four, 2)
    assert four.layers.search.is_on
    if ending == "closes":
        four.layers.finish(everywhere=True)
        assert not four.layers.search.is_on
    expected = {PromptKey(3, 1): "mask"}
    assert prompts_at(four, 0) == expected
    assert prompts_at(four, 2) == expected
    assert prompts_at(four, 1) == expected | {PromptKey(1, 2): "click"}


def test_the_next_position_is_looked_at_when_the_one_before_was_taken(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "paint")
    four.labels[:, 1, 18:22, 2:6] = 3
    four.layers.labels.refresh()
    held.until_entered()
    pause(30)
    (first,) = four.controller.space.touched()
    assert first is four.controller.space.sequence
    assert four.layers.search.is_on
    held.gate.set()
    assert [prompts_at(four, position) for position in range(3)] == [{PromptKey(3, 1): "mask"}] * 3


def test_a_stroke_while_others_are_looked_for_loses_none(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    four.labels[:, 3, 18:22, 2:6] = 3
    four.layers.labels.refresh()
    pause(0)
    pause(0)
    paint(four, 4, 0)
    four.wait()
    expected = {PromptKey(3, 3): "mask"}
    assert prompts_at(four, 0) == prompts_at(four, 2) == expected
    assert prompts_at(four, 1) == expected | {PromptKey(4, 0): "mask"}


def test_a_stroke(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    paint(four, 3, 2)
    to(four, 2)
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click", PromptKey(3, 2): "mask"}


def test_a_stroke_that_is_refined_later(four: Dock) -> None:
    paint(four, 1, 2)
    pause(1)
    to(four, 2)
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1) == {PromptKey(1, 2): "mask"}
    four.layers.points.add([1, 2, 19, 8])
    assert prompts_at(four, 1) == {PromptKey(1, 2): "both"}


def test_strokes_that_are_still_looked_for(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    four.prompt(1, 2, 8, 10)
    to(four, 2)
    four.prompt(2, 2, 16, 10)
    to(four, 1)
    four.wait()
    four.layers.labels.data[1, 0, 20:23, 2:5] = 3
    four.layers.labels.refresh()
    pause(0)
    assert four.layers.search.is_on
    to(four, 2)
    assert prompts_at(four, 2) == {PromptKey(2, 2): "click"}
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click", PromptKey(3, 0): "mask"}


def test_seeds_from_points(four: Dock) -> None:
    four.viewer.add_points([[1, 2, 8, 10], [1, 2, 16, 10]], name="nuclei")
    four.view.tools.seed_requested.emit()
    to(four, 2)
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1) == {PromptKey(1, 2): "click", PromptKey(2, 2): "click"}


def test_seeds_from_labels_that_are_still_read(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    look = LabelSeeds.look

    def looking(masks: LabelSeeds, frame: int) -> tuple[int, ...]:
        pause_once.append(frame)
        return look(masks, frame)

    pause_once: list[int] = []
    monkeypatch.setattr(LabelSeeds, "look", looking)
    labels = np.zeros((3, 4, *SHAPE), np.uint8)
    labels[1, 2, 5:9, 5:9] = 5
    four.viewer.add_labels(labels, name="of old")
    four.view.tools.seed_requested.emit()
    to(four, 2)
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1) == {PromptKey(5, 2): "mask"}
    assert pause_once == [0, 1, 2, 3]


def test_counted_seeds_are_no_objects_of_other_positions(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.prompt(2, 2, 16, 10)
    to(four, 2)
    four.viewer.add_points([[2, 2, 8, 10], [2, 2, 16, 10]], name="nuclei")
    four.view.tools.seed_requested.emit()
    assert prompts_at(four, 2) == {PromptKey(3, 2): "click", PromptKey(4, 2): "click"}


def test_ids_that_seeds_bring_are_theirs_at_all_positions(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    to(four, 2)
    four.viewer.add_points([[2, 2, 8, 10]], features={"object": np.array([1])}, name="nuclei")
    four.view.tools.seed_requested.emit()
    assert prompts_at(four, 2) == {PromptKey(1, 2): "click"}


def test_masks_for_the_next_position_are_made_beside_the_viewer(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.prompt(3, 2, 16, 10)
    four.view.tools.seed_next_t_requested.emit()
    assert prompts_at(four, 2) == {PromptKey(1, 2): "mask", PromptKey(3, 2): "mask"}
    np.testing.assert_array_equal(four.labels[2, 2], four.labels[1, 2])


def test_a_stroke_whose_button_is_still_down_stays_with_its_position(four: Dock) -> None:
    four.prompt(2, 2, 8, 10)
    labels = four.layers.labels
    drag = next(call for call in labels.mouse_drag_callbacks if "_on_drag" in getattr(call, "__name__", ""))
    labels.mode, labels.brush_size = "paint", 4
    event = SimpleNamespace(type="mouse_press", button=1)
    held = drag(labels, event)
    next(held)
    labels.paint((1, 2, 18, 4), 3)
    to(four, 2)
    event.type = "mouse_release"
    assert next(held, None) is None
    four.wait()
    assert prompts_at(four, 2) == {}
    assert prompts_at(four, 1)[PromptKey(3, 2)] == "mask"
