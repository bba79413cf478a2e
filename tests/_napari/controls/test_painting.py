"""What is painted is what the session has, on all frames and whatever comes between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.layers.declared import refine
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, add_frames, pause
from tests._napari.renewing import redo, undo
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


def erase(bench: Dock, obj: int, frame: int) -> None:
    """Erase an object on a frame, as a script does."""
    layer = bench.layers.labels
    shown = layer.data[frame]
    shown[shown == obj] = 0
    layer.refresh()
    pause(1)
    bench.wait()


@pytest.mark.parametrize(("frame", "left"), [(MIDDLE, 0), (MIDDLE + 2, MIDDLE + 2)])
def test_an_object_that_is_painted_away_goes_from_other_frames_as_well(
    bench: Dock, frame: int, left: int
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    assert bench.on == list(range(COUNT))
    bench.show(frame)
    erase(bench, 1, frame)
    assert bench.session.prompts[PromptKey(1, frame)].says_absent
    assert bench.on == list(range(left))
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def paint(bench: Dock, obj: int, frames: slice | int) -> None:
    """Paint an object into a corner of frames, as a script does."""
    layer = bench.layers.labels
    layer.data[frames, 20:23, 2:6] = obj
    layer.refresh()
    pause(1)
    bench.wait()


def test_what_a_script_paints_on_many_frames_is_one_step_of_undo(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    paint(bench, 2, slice(None))
    assert bench.on == list(range(COUNT))
    undo(bench)
    assert (bench.on, bench.session.objects) == ([MIDDLE], (1,))
    redo(bench)
    assert bench.on == list(range(COUNT))


def test_a_new_object_is_another_one_than_that_of_a_stroke_that_waits(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "paint")
    bench.labels[MIDDLE, 20:23, 2:6] = 1
    bench.layers.labels.refresh()
    held.until_entered()
    bench.view.tools.new_object.emit()
    assert bench.controller.space.active == 2
    held.gate.set()
    bench.wait()
    assert bench.session.objects == (1,)


def test_a_stroke_takes_the_place_of_a_box_until_it_is_undone(bench: Dock) -> None:
    key, boxed = PromptKey(1, MIDDLE), FramePrompts(box=(4, 5, 12, 15))
    bench.set(1, MIDDLE, boxed)
    paint(bench, 1, MIDDLE)
    assert len(bench.layers.shapes.data) == 0
    assert (bench.session.prompts[key].box, bench.session.prompts[key].packed is None) == (None, False)
    undo(bench)
    assert bench.session.prompts == {key: boxed}
    assert len(bench.layers.shapes.data) == 1


def test_a_mask_that_was_painted_has_no_candidates(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.state.tools.candidates == 3
    paint(bench, 1, MIDDLE)
    steps = bench.session.steps_made
    bench.view.tools.next_candidate.emit()
    bench.wait()
    assert bench.state.tools.candidates == 0
    assert bench.session.steps_made == steps
    undo(bench)
    assert bench.state.tools.candidates == 3


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is warned of."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controls.prompts.warn", told.append)
    return told


def test_a_stroke_beyond_the_end_is_put_back_and_what_is_within_stays(
    bench: Dock, warnings: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress.ends_here.emit()
    bench.wait()
    paint(bench, 1, MIDDLE + 2)
    assert bench.on == [MIDDLE]
    paint(bench, 1, slice(MIDDLE - 1, None))
    assert bench.on == [MIDDLE - 1, MIDDLE]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    (told,) = warnings[1:]
    assert told.startswith(f"Object 1 ends on frame {MIDDLE}: it cannot be on frame {MIDDLE + 1}; say first")
    assert told.endswith(". The stroke was put back.")


@pytest.mark.parametrize("refused_by", ["lock", "end"])
@pytest.mark.parametrize("obj", [1, 3])
def test_a_stroke_that_is_refused_takes_nothing_from_a_mask_that_was_painted(
    bench: Dock, warnings: list[str], refused_by: str, obj: int
) -> None:
    bench.prompt(2, MIDDLE - 1 if refused_by == "end" else MIDDLE, 8, 10)
    if refused_by == "end":
        bench.session.ends_here(2, MIDDLE - 1)
    else:
        bench.view.objects.object_locked.emit(2, True)
    paint(bench, obj, MIDDLE)
    before, steps = bench.labels.copy(), bench.session.steps_made
    bench.layers.labels.data[MIDDLE, 21:24, 4:8] = 2
    bench.layers.labels.refresh()
    pause(1)
    bench.wait()
    assert len(warnings) == 1
    np.testing.assert_array_equal(bench.labels, before)
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    assert bench.session.steps_made == steps, "nothing was changed"


def test_of_two_strokes_over_a_painted_mask_only_the_one_that_is_taken_cuts_it(
    bench: Dock, warnings: list[str]
) -> None:
    bench.prompt(2, MIDDLE, 8, 10)
    bench.view.objects.object_locked.emit(2, True)
    paint(bench, 1, MIDDLE)
    shown = bench.labels[MIDDLE]
    shown[20, 2:6], shown[22, 2:6] = 2, 3
    bench.layers.labels.refresh()
    pause(1)
    bench.wait()
    assert len(warnings) == 1
    assert [int(bench.labels[MIDDLE, row, 3]) for row in (20, 21, 22)] == [1, 1, 3]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_what_fails_on_a_frame_is_put_back_before_it_is_told(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint_one, seen = Session.paint, list[list[int]]()

    def broken(session: Session, obj: int, frame: int, mask: Any) -> Any:
        if frame == MIDDLE:
            raise OSError("the frame cannot be read")
        return paint_one(session, obj, frame, mask)

    monkeypatch.setattr(Session, "paint", broken)
    bench.controller.space.fail = lambda error: seen.append(bench.on)
    paint(bench, 1, slice(None))
    assert seen == [[frame for frame in range(COUNT) if frame != MIDDLE]]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_what_is_painted_where_no_model_can_be_loaded_is_put_back(
    model: ViewerModel, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dock, "_load", lambda *_: fail_to_load())
    add_frames(model)
    bench = Dock(model, fake_model)
    with pytest.raises(RuntimeError):
        bench.wait()
    bench.failures.clear()
    with pytest.raises(RuntimeError, match="No such weights"):
        paint(bench, 1, MIDDLE)
    assert not bench.failures, "once is enough"
    assert not bench.labels.any()
    with pytest.raises(RuntimeError, match="No such weights"):
        bench.prompt(1, MIDDLE, 8, 10)
    assert not bench.failures
    assert not bench.layers.prompts
    bench.end()


def fail_to_load() -> None:
    raise RuntimeError("no such weights")


# --- what comes between the frames of a brush


def begin(bench: Dock, obj: int = 1) -> None:
    """Paint an object on all frames, and do not wait."""
    layer = bench.layers.labels
    layer.data[:, 16:20, 2:6] = obj
    layer.refresh()
    pause(20)


def say(bench: Dock, frame: int, y: float, x: float) -> None:
    bench.layers.points.add([frame, y, x])
    pause(1)


def masks(bench: Dock) -> dict[int, Any]:
    """Return the masks of the first object."""
    return {key.frame: each.mask for key, each in bench.session.prompts.items() if key.obj == 1}


def assert_painted_and_refined(bench: Dock, frame: int, *points: tuple[float, float]) -> None:
    bench.wait()
    found = masks(bench)
    assert sorted(found) == list(range(COUNT))
    for mask in found.values():
        assert mask is not None
        assert mask[16:20, 2:6].all()
    assert bench.session.prompts[PromptKey(1, frame)].points == points
    assert bench.layers.prompts == dict(bench.session.prompts)
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    sequence = bench.controller.space.sequence
    assert sequence is not None
    assert not sequence.paintings


def test_a_frame_is_taken_at_a_time(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(2, 0, 20, 10)
    counts, repaint = [len(bench.fake.encoded)], Desk.repaint

    def counting(desk: Desk, frame: int, **options: bool) -> Any:
        counts.append(len(bench.fake.encoded))
        return repaint(desk, frame, **options)

    monkeypatch.setattr(Desk, "repaint", counting)
    begin(bench)
    bench.wait()
    assert len(counts) == COUNT + 1
    assert np.diff(counts).max() <= 1


@pytest.mark.parametrize("call", [1, 2, MIDDLE + 1, COUNT])
def test_a_click_on_a_frame_of_a_brush_refines_its_mask(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    held = Held(monkeypatch, "repaint", call=call)
    begin(bench)
    held.until_entered()
    say(bench, MIDDLE, 5, 9)
    held.gate.set()
    assert_painted_and_refined(bench, MIDDLE, (5, 9))
    say(bench, MIDDLE, 7, 9)
    assert_painted_and_refined(bench, MIDDLE, (5, 9), (7, 9))


def test_clicks_in_a_row_on_a_frame_of_a_brush_are_all_kept(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "repaint", call=2)
    begin(bench)
    held.until_entered()
    answering = Held(monkeypatch, "declare")
    say(bench, MIDDLE, 5, 9)
    held.gate.set()
    answering.until_entered()
    say(bench, MIDDLE, 7, 9)
    answering.gate.set()
    assert_painted_and_refined(bench, MIDDLE, (5, 9), (7, 9))


def test_a_click_goes_with_the_mask_that_was_painted_over_older_clicks(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    held = Held(monkeypatch, "repaint", call=2)
    begin(bench)
    held.until_entered()
    say(bench, MIDDLE, 5, 9)
    held.gate.set()
    assert_painted_and_refined(bench, MIDDLE, (5, 9))


def test_a_stroke_over_a_frame_that_waits_is_not_lost(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "repaint", call=2)
    begin(bench)
    held.until_entered()
    bench.layers.labels.data[MIDDLE, 3, 3] = 1
    bench.layers.labels.refresh()
    pause(20)
    held.gate.set()
    assert_painted_and_refined(bench, MIDDLE)
    assert bench.labels[MIDDLE, 3, 3] == 1


def test_a_click_that_is_refused_takes_no_stroke_with_it(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "repaint", call=2)
    begin(bench)
    held.until_entered()
    monkeypatch.setattr(bench.fake, "predict", lambda *_, **__: fail_to_load())
    say(bench, MIDDLE, 5, 9)
    held.gate.set()
    with pytest.raises(RuntimeError):
        bench.wait()
    assert_painted_and_refined(bench, MIDDLE)
    assert len(bench.layers.points.data) == 0


def test_a_script_says_all_that_is_said_of_a_frame(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "repaint", call=2)
    begin(bench)
    held.until_entered()
    bench.widget.set_prompts(1, MIDDLE, click(5, 9))
    held.gate.set()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)] == click(5, 9)
    assert bench.layers.prompts == dict(bench.session.prompts)


def test_only_what_was_said_without_knowing_of_a_mask_refines_it() -> None:
    old, new = np.eye(3, dtype=bool), np.ones((3, 3), bool)
    nothing, painted = FramePrompts(), FramePrompts(mask=new)
    box = FramePrompts([(0, 0), (1, 1)], [True, False], (0, 0, 2, 2))
    assert refine(click(1, 1), nothing, nothing) == click(1, 1), "it was refused"
    assert refine(click(1, 1), FramePrompts(mask=new), painted) == click(1, 1), "it changed nothing"
    assert refine(FramePrompts(mask=old), nothing, painted) == FramePrompts(mask=old), "it was drawn since"
    assert refine(box, nothing, painted) == FramePrompts(box.points, box.positive, box.box, new)
    assert refine(box, click(0, 0), painted) == FramePrompts([(1, 1)], [False], box.box, new)
    assert refine(nothing, click(0, 0), painted) == painted
    known = FramePrompts([(0, 0)], [True], box.box, old)
    said = FramePrompts(box.points, box.positive, box.box, old)
    assert refine(said, known, painted) == FramePrompts([(1, 1)], [False], mask=new)
    kept = FramePrompts([(0, 0)], [True], mask=new)
    assert refine(said, known, kept) == FramePrompts(box.points, box.positive, mask=new)
