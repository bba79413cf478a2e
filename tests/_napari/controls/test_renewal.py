"""Another view or another network: prompts are answered anew, between clicks, and undo leads back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.work.desk import Desk
from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, frames, pause, until
from tests._napari.renewing import Held, redo, see, seen, undo
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui

TIMES, SLICES = 3, 4
WORK = "Use current view"


@pytest.fixture
def two(model: ViewerModel, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (z, c, y, x)."""
    both = np.stack((frames(), 255 - frames()), axis=1)
    model.add_image(both, name="both", axis_labels=("z", "c", "y", "x"), contrast_limits=(0, 255))
    dock = Dock(model, fake_model)
    model.dims.set_current_step(0, MIDDLE)
    dock.wait()
    yield dock
    dock.end()


def test_the_view_is_frozen_at_the_first_prompt(bench: Dock, told: list[str]) -> None:
    image = bench.controller.space.image
    assert image is not None
    assert bench.state.image.seen == ""
    image.contrast_limits = (20, 200)
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.session.volume.contrast == (20, 200)
    assert "20-200" in bench.state.image.seen
    image.contrast_limits = (0, 100)
    bench.wait()
    bench.prompt(1, MIDDLE, 8, 11)
    assert bench.session.volume.contrast == (20, 200)
    bench.propagate()
    before = bench.session
    bench.view.image.use_current_view.emit()
    bench.wait()
    assert bench.session.volume.contrast == (0, 100)
    assert bench.session.prompts == before.prompts
    (said,) = [each for each in told if "something else" in each]
    assert "1 prompt is answered anew" in said
    assert f"{COUNT - 1} tracked masks go" in said
    assert "Undo brings them back" in said
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session is before
    np.testing.assert_array_equal(bench.labels, before.labels)


def test_the_channel_is_that_of_the_slider_until_the_first_prompt(two: Dock) -> None:
    two.viewer.dims.set_current_step(1, 1)
    two.wait()
    assert two.state.image.channel == 1
    two.prompt(1, MIDDLE, 8, 10)
    two.viewer.dims.set_current_step(1, 0)
    two.wait()
    assert two.state.image.seen == "model sees 0-255, channel 2"


def test_the_current_view_is_that_of_a_slider_that_was_moved(two: Dock) -> None:
    two.prompt(1, MIDDLE, 8, 10)
    two.viewer.dims.set_current_step(1, 1)
    two.view.image.use_current_view.emit()
    two.wait()
    assert two.state.image.seen == "model sees 0-255, channel 2"
    undo(two)
    assert two.state.image.seen == "model sees 0-255, channel 1"
    two.view.image.channel_chosen.emit(1)
    two.viewer.dims.set_current_step(1, 1)
    two.view.image.channel_chosen.emit(0)
    two.view.image.use_current_view.emit()
    two.wait()
    assert two.state.image.seen == "model sees 0-255, channel 1", "it was chosen after the slider was moved"


def test_a_channel_that_was_chosen_stays_until_the_slider_shows_another(two: Dock) -> None:
    two.view.image.channel_chosen.emit(1)
    two.show(MIDDLE + 1)
    two.wait()
    assert two.state.image.channel == 1
    two.view.image.channel_chosen.emit(2)
    two.viewer.dims.set_current_step(1, 1)
    two.wait()
    assert two.state.image.channel == 2, "all channels in colour"


def test_all_that_was_said_is_said_again(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.propagate()
    bench.show(MIDDLE + 1)
    for signal in (bench.view.progress.lock_here, bench.view.progress.ends_here):
        signal.emit()
    bench.view.objects.object_renamed.emit(1, "first")
    bench.view.objects.object_locked.emit(2, True)
    bench.wait()
    before = bench.session
    image = bench.controller.space.image
    assert image is not None
    image.contrast_limits = (0, 250)
    bench.view.image.use_current_view.emit()
    bench.wait()
    after = bench.session
    assert after is not before
    assert (after.names, after.locked_objects, after.life(1)) == ({1: "first"}, {2}, before.life(1))
    assert after.entry(1, MIDDLE + 1).locked


def test_another_network_answers_the_prompts_again(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    before, bench.fake = bench.session, FakeModel()
    bench.view.model.device_chosen.emit(bench.state.model.devices.index("cpu"))
    bench.wait()
    assert [choice.device for choice in bench.loaded] == ["auto", "cpu"]
    assert bench.session is not before
    assert bench.session.prompts == before.prompts


def test_undo_leads_back_through_views_and_redo_forth(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    see(bench, 200)
    see(bench, 100)
    bench.prompt(2, MIDDLE, 16, 10)
    found = []
    for _ in range(3):
        undo(bench)
        found.append((seen(bench), bench.session.objects))
    assert found == [(100, (1,)), (200, (1,)), (255, (1,))]
    assert bench.state.progress.undo_label.startswith("Prompt")
    assert len(bench.layers.points.data) == 1
    for _ in range(3):
        redo(bench)
        found.append((seen(bench), bench.session.objects))
    assert found[3:] == [(200, (1,)), (100, (1,)), (100, (1, 2))]
    assert len(bench.layers.points.data) == 2
    assert not bench.state.progress.can_redo
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_after_a_step_of_its_own_nothing_leads_forth(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    see(bench, 200)
    undo(bench)
    assert bench.state.progress.redo_label == WORK
    undo(bench)
    assert bench.state.progress.redo_label.startswith("Prompt")
    redo(bench)
    assert bench.state.progress.redo_label == WORK
    bench.prompt(2, MIDDLE, 16, 10)
    assert not bench.state.progress.can_redo
    redo(bench)
    assert seen(bench) == 255


def test_what_was_undone_before_it_is_not_done_again(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    undo(bench)
    see(bench, 200)
    assert not bench.state.progress.can_redo
    undo(bench)
    assert bench.state.progress.redo_label == WORK
    redo(bench)
    assert (seen(bench), bench.session.objects) == (200, (1,))


def test_undone_it_can_be_asked_for_again(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    see(bench, 200)
    undo(bench)
    see(bench, 200)
    assert seen(bench) == 200


def test_only_the_last_few_views_are_kept(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    for high in (220, 200, 180, 160, 140):
        see(bench, high)
    for expected in (160, 180, 200):
        undo(bench)
        assert seen(bench) == expected
    assert not bench.state.progress.can_undo


def test_only_the_open_session_keeps_image_features(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    first = bench.session
    see(bench, 200)
    second = bench.session
    assert (first.cache_bytes, second.cache_bytes > 0) == (0, True)
    undo(bench)
    assert (first.cache_bytes > 0, second.cache_bytes) == (True, 0)


def test_undo_brings_the_network_back(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = {"auto": bench.controller.space.model.model, "cpu": FakeModel().as_model()}

    def load(choice: ModelChoice) -> Any:
        return nets[choice.device]

    monkeypatch.setattr(bench.controller.models, "_loader", load)
    bench.prompt(1, MIDDLE, 8, 10)
    devices = bench.state.model.devices
    bench.view.model.device_chosen.emit(devices.index("cpu"))
    bench.wait()
    assert bench.state.progress.undo_label == "Change model"
    assert bench.session.model is nets["cpu"]
    for step, device in ((undo, "auto"), (redo, "cpu"), (undo, "auto")):
        step(bench)
        assert devices[bench.state.model.device] == device
        assert bench.session.model is bench.controller.space.model.model is nets[device]


def test_the_channel_follows(two: Dock) -> None:
    two.prompt(1, MIDDLE, 8, 10)
    two.view.image.channel_chosen.emit(1)
    assert two.state.image.channel == 1
    two.wait()
    assert (two.state.image.channel, two.session.volume.frame(0)[0, 0, 0]) == (1, 195)
    undo(two)
    assert (two.state.image.channel, two.session.volume.frame(0)[0, 0, 0]) == (0, 60)
    redo(two)
    assert (two.state.image.channel, two.session.volume.frame(0)[0, 0, 0]) == (1, 195)


# ---------------------------------------------------------------- between clicks


@pytest.fixture
def held(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(bench, monkeypatch)


def test_a_click_goes_first_and_is_answered_in_the_new_view(bench: Dock, held: Held) -> None:
    held.begin()
    bench.layers.points.add([MIDDLE, 18, 12])
    pause(1)
    held.end()
    assert held.order[:4] == ["again", "again", "click", "again"]
    assert seen(bench) == 200
    assert PromptKey(3, MIDDLE) in bench.session.prompts
    assert sum(len(each.points) for each in bench.session.prompts.values()) == 4
    assert len(bench.layers.points.data) == 4
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_the_dock_says_how_far_it_is(bench: Dock, held: Held) -> None:
    held.begin()
    progress = bench.state.progress
    assert (progress.activity.value, progress.done, progress.total) == ("renewing", 1, 3)
    assert (progress.can_undo, progress.undo_label) == (True, WORK)
    assert "answered anew" in progress.message or "Answering" in progress.message
    bench.view.show_state(bench.state)
    assert bench.view.progress._cancel.isEnabled()
    held.end()
    until(lambda: bench.activity == "idle")


@pytest.mark.parametrize("by", ["undo", "cancel"])
def test_it_is_given_up(bench: Dock, held: Held, told: list[str], by: str) -> None:
    before = bench.session
    held.begin()
    signal = bench.view.progress.undo_requested if by == "undo" else bench.view.progress.cancel_requested
    signal.emit()
    held.end()
    assert bench.session is before
    assert bench.session.objects == (1, 2, 3)
    assert seen(bench) == 255
    assert "nothing was changed" in told[-1]
    assert bench.state.progress.undo_label.startswith("Prompt")


def test_another_view_meanwhile_is_the_one_that_counts(bench: Dock, held: Held) -> None:
    held.begin()
    see_soon = bench.controller.space.image
    assert see_soon is not None
    see_soon.contrast_limits = (0, 150)
    bench.view.image.use_current_view.emit()
    held.end()
    assert seen(bench) == 150
    undo(bench)
    assert seen(bench) == 255


def test_it_ends_with_its_image(bench: Dock, held: Held) -> None:
    held.begin()
    bench.viewer.layers.remove("cells")
    held.end()
    until(lambda: bench.activity == "idle")


def test_what_fails_leaves_all_as_it_was(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    before = bench.session

    def fail(*_args: Any, **_options: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(bench.fake, "predict", fail)
    image = bench.controller.space.image
    assert image is not None
    image.contrast_limits = (0, 200)
    bench.view.image.use_current_view.emit()
    with pytest.raises(ValueError, match="no"):
        bench.wait()
    assert bench.failures == []
    assert bench.session is before
    assert seen(bench) == 255
    until(lambda: bench.activity == "idle")


def test_other_edits_go_between_as_well(bench: Dock, held: Held) -> None:
    held.begin()
    bench.view.objects.objects_deleted.emit((2,))
    held.end()
    assert bench.session.objects == (1, 3)
    assert seen(bench) == 200
    assert bench.state.progress.undo_label == WORK


def test_what_is_locked_is_not_counted(bench: Dock, told: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE, 16, 10)
    bench.propagate()
    bench.view.objects.object_locked.emit(2, True)
    bench.wait()
    before = bench.session.labels == 2
    see(bench, 200)
    assert "1 prompt is answered anew" in told[-1]
    assert f"{COUNT - 1} tracked masks go" in told[-1]
    np.testing.assert_array_equal(bench.session.labels == 2, before)


def test_a_view_that_was_taken_and_given_up_is_not_offered_again(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    see(bench, 200)
    step = bench.controller.space.sequence.desk._known.back  # type: ignore[union-attr]
    assert step is not None
    bench.controller.space.ask(partial(Desk.drop_new, step=step))
    bench.wait()
    assert seen(bench) == 255
    assert not bench.state.progress.can_redo
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
