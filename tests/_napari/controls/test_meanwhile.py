"""Propagation, strokes and seeds while something else begins to be seen; undo where it was pressed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, pause
from tests._napari.renewing import see, seen, undo

pytestmark = pytest.mark.gui


def ask_for_view(dock: Dock, high: float) -> None:
    """Press *Use current view* with another contrast, without waiting."""
    image = dock.controller.space.image
    assert image is not None
    image.contrast_limits = (0, high)
    dock.view.image.use_current_view.emit()


def agree(dock: Dock) -> None:
    """See that the layer shows what the session has."""
    np.testing.assert_array_equal(dock.labels, dock.session.labels)


@pytest.mark.parametrize("live", [False, True])
def test_a_propagation_goes_on_in_the_new_view(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    for obj in (1, 2):
        bench.prompt(obj, MIDDLE, 8 * obj, 10)
    held = Held(monkeypatch, "say_again", call=2)
    bench.controller.ahead.choose_live(live)
    ask_for_view(bench, 200)
    held.until_entered()
    if live:
        bench.layers.points.add([MIDDLE, 8, 12])
        pause(1)
    else:
        bench.view.progress.propagate_requested.emit("both")
    held.gate.set()
    bench.wait()
    agree(bench)
    assert seen(bench) == 200
    assert bench.on == list(range(COUNT))
    bench.controller.ahead.choose_live(False)
    while bench.session.undo_label:
        undo(bench)
        agree(bench)
    undo(bench)
    agree(bench)
    assert seen(bench) == 255


def test_a_first_stroke_is_not_lost_by_another_view(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "paint")
    layer = bench.layers.labels
    layer.selected_label, layer.brush_size = 2, 1
    layer.paint((MIDDLE, 20, 2), 2)
    held.until_entered()
    ask_for_view(bench, 200)
    held.gate.set()
    bench.wait()
    assert set(bench.session.prompts) == {PromptKey(2, MIDDLE)}
    assert seen(bench) == 200
    agree(bench)


def test_first_seeds_are_not_lost_by_another_view_and_the_others_are_told(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    held = Held(monkeypatch, "seed", call=3)
    bench.viewer.add_points([[MIDDLE, 8, 10], [MIDDLE, 16, 10], [MIDDLE, 20, 4]], name="nuclei")
    bench.view.tools.seed_requested.emit()
    held.until_entered()
    ask_for_view(bench, 200)
    held.gate.set()
    bench.wait()
    assert seen(bench) == 200
    assert bench.session.objects == (1, 2)
    assert len(bench.layers.points.data) == 2
    assert "Seeding was ended after 2 of 3; undo takes these back." in told
    assert bench.controller.seeds.running is None
    agree(bench)


def test_what_was_taken_back_before_a_step_back_is_told(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    see(bench, 200)
    bench.controller.ahead.choose_live(True)
    bench.layers.points.add([MIDDLE, 8, 12])
    bench.wait()
    bench.controller.ahead.choose_live(False)
    undo(bench)
    agree(bench)
    undo(bench)
    agree(bench)
    assert bench.on == [MIDDLE]


def test_undo_takes_back_what_is_shown(four: Dock) -> None:
    four.viewer.dims.set_current_step(0, 2)
    four.prompt(1, 2, 8, 10)
    four.propagate()
    four.viewer.dims.set_current_step(0, 1)
    four.controller.ahead.choose_live(True)
    four.prompt(1, 2, 16, 10)
    four.controller.ahead.choose_live(False)
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    undo(four)
    assert set(four.session.prompts) == {PromptKey(1, 2)}
    assert not four.session.labels[0].any()


def test_undo_does_not_reach_seeds_of_another_position(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    four.viewer.dims.set_current_step(0, 2)
    four.prompt(9, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 1)
    four.viewer.add_points([[1, 2, 8, 10], [1, 2, 16, 10], [1, 2, 20, 4]], name="nuclei")
    held = Held(monkeypatch, "seed", call=2)
    four.view.tools.seed_requested.emit()
    held.until_entered()
    four.viewer.dims.set_current_step(0, 2)
    assert four.state.progress.undo_label.startswith("Prompt")
    assert four.state.progress.message.endswith("Clicks go first; cancel ends it.")
    four.view.progress.undo_requested.emit()
    assert four.activity == "seeding"
    held.gate.set()
    four.wait()
    assert four.session.objects == ()
    four.viewer.dims.set_current_step(0, 1)
    four.wait()
    assert len(four.session.objects) == 3


def test_a_view_that_is_asked_for_while_another_one_is_taken(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    held = Held(monkeypatch, "take_new")
    ask_for_view(bench, 200)
    held.until_entered()
    again = Held(monkeypatch, "say_again")
    ask_for_view(bench, 150)
    held.gate.set()
    again.until_entered()
    assert bench.activity == "renewing"
    again.gate.set()
    bench.wait()
    assert seen(bench) == 150
    agree(bench)
    undo(bench)
    assert seen(bench) == 255


def test_a_position_that_could_not_be_opened_is_opened_later(four: Dock) -> None:
    box = four.controller.space.model
    model, box.model = box.model, None
    four.viewer.dims.set_current_step(0, 2)
    four.layers.points.add([2, 2, 8, 10])
    with pytest.raises(RuntimeError, match="No model is loaded"):
        four.wait()
    assert not four.failures, "once is enough"
    box.model = model
    four.prompt(1, 2, 8, 10)
    assert four.session.objects == (1,)


def test_keys_do_nothing_where_nothing_was_opened(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    four.view.progress.undo_requested.emit()
    four.view.progress.redo_requested.emit()
    four.wait()
    four.viewer.dims.set_current_step(0, 1)
    assert four.session.objects == (1,)


def test_clicks_that_fail_alike_after_their_image_was_left_are_told_of_once(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    held = Held(monkeypatch, "declare")
    bench.layers.points.add([0, 8, 10])
    held.until_entered()
    for frame in (1, 2, 3):
        bench.layers.points.add([frame, 8, 10])
        pause(1)
    monkeypatch.setattr("napari_sam2._napari.work.desk.say", _fail)
    bench.viewer.layers.remove("cells")
    pause(1)
    held.gate.set()
    bench.widget.wait()
    assert [str(each) for each in bench.failures] == ["no model"]
    bench.failures.clear()


def _fail(*_args: object, **_options: object) -> None:
    raise RuntimeError("no model")


def test_what_waited_for_a_button_is_not_shown_over_what_came_later(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    key, layers = PromptKey(1, MIDDLE), bench.layers
    earlier, later = ({key: FramePrompts([at], [True])} for at in ((8, 10), (9, 12)))
    with monkeypatch.context() as patch:
        patch.setattr(type(layers._gestures), "busy", property(lambda _: True))
        layers.show_prompts(earlier)
    layers.show_prompts(later)
    layers.flush()
    assert layers.prompts == later
