"""Another network: chosen, given up, undone, and one that cannot be loaded."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam2._napari.model_choices import ModelChoice, listed_devices
from napari_sam2._napari.views.hints import hint
from napari_sam2.device import Runtime, present_devices
from tests._napari.dock import MIDDLE, Dock, until
from tests._napari.renewing import Held, seen, undo
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


@pytest.fixture
def held(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(bench, monkeypatch)


@pytest.fixture
def networks(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return networks by device; None cannot be loaded."""
    nets: dict[str, Any] = {"auto": bench.controller.space.model.model, "cpu": FakeModel().as_model()}

    def load(choice: ModelChoice) -> Any:
        if nets[choice.device] is None:
            raise ValueError("no such weights")
        return nets[choice.device]

    monkeypatch.setattr(bench.controller.models, "_loader", load)
    return nets


def choose(bench: Dock, device: str) -> None:
    bench.view.model.device_chosen.emit(bench.state.model.devices.index(device))


def in_use(bench: Dock) -> tuple[str, Any, Any]:
    """Return the network that the dock shows, that of the session, and the one that is at hand."""
    model = bench.state.model
    return model.devices[model.device], bench.session.model, bench.controller.space.model.model


@pytest.mark.parametrize(
    ("channels", "device", "live"), [(64, "cpu", True), (256, "cpu", False), (256, "cuda", True)]
)
def test_live_is_off_where_tracking_is_slow(
    bench: Dock, networks: dict[str, Any], channels: int, device: str, live: bool
) -> None:
    bench.controller.ahead._chosen = None
    networks["cpu"].config = replace(networks["cpu"].config, model_dim=channels)
    networks["cpu"].runtime = Runtime(torch.device(device), torch.float32)
    choose(bench, "cpu")
    bench.wait()
    assert bench.state.progress.live == live
    bench.view.progress.live_toggled.emit(not live)
    assert bench.state.progress.live != live


def test_another_network_that_is_given_up_is_not_shown(
    bench: Dock, held: Held, networks: dict[str, Any]
) -> None:
    choose(bench, "cpu")
    until(held.entered.is_set)
    bench.view.progress.cancel_requested.emit()
    held.end()
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])
    choose(bench, "cpu")
    bench.wait()
    assert in_use(bench) == ("cpu", networks["cpu"], networks["cpu"])


def test_a_network_that_cannot_be_loaded_is_told_of_once(
    bench: Dock, networks: dict[str, Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = []
    monkeypatch.setattr("napari_sam2._napari.controls.model.show_failure", failures.append)
    networks["cpu"] = None
    bench.prompt(1, MIDDLE, 8, 10)
    choose(bench, "cpu")
    bench.wait()
    assert [str(each) for each in failures] == ["no such weights"]
    assert not told
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])
    assert "o such weights" in bench.state.model.problem
    bench.prompt(2, MIDDLE, 16, 10)
    assert bench.session.objects == (1, 2)


@pytest.mark.parametrize("said", [False, True])
def test_choosing_the_network_in_use_ends_the_talk_of_one_that_cannot_be_loaded(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.model.show_failure", lambda _: None)
    networks["cpu"] = None
    if said:
        bench.prompt(1, MIDDLE, 8, 10)
    choose(bench, "cpu")
    bench.wait()
    assert "cannot be used" in hint(bench.state).text
    choose(bench, "auto")
    bench.wait()
    assert (bench.state.model.problem, "cannot be used" in hint(bench.state).text) == ("", False)
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])


def test_a_network_that_could_not_be_loaded_at_first_can_be_chosen_again(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.model.show_failure", lambda _: None)
    models, at_hand = bench.controller.models, networks["auto"]
    bench.controller.space.model.model, networks["auto"] = None, None
    models.start()
    bench.wait()
    assert "o such weights" in bench.state.model.problem
    networks["auto"] = at_hand
    choose(bench, "auto")
    bench.wait()
    assert (bench.state.model.problem, bench.controller.space.model.model) == ("", at_hand)


def test_clicks_are_answered_while_another_network_is_loaded(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate = threading.Event(), threading.Event()
    load = bench.controller.models._loader

    def slow(choice: ModelChoice) -> Any:
        entered.set()
        assert gate.wait(20)
        return load(choice)

    monkeypatch.setattr(bench.controller.models, "_loader", slow)
    bench.prompt(1, MIDDLE, 8, 10)
    choose(bench, "cpu")
    until(entered.is_set)
    bench.widget.set_prompts(2, MIDDLE, click(16, 10))
    until(lambda: 2 in bench.labels[MIDDLE])
    assert bench.state.model.loading
    assert bench.controller.space.model.model is networks["auto"]
    gate.set()
    bench.wait()
    assert in_use(bench) == ("cpu", networks["cpu"], networks["cpu"])
    assert bench.session.objects == (1, 2), "both are answered anew"
    assert not bench.state.model.loading


def test_of_two_networks_chosen_in_a_row_the_last_is_taken(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow(choice: ModelChoice) -> Any:
        entered.set()
        assert gate.wait(20)
        return networks["cpu"]

    monkeypatch.setattr(bench.controller.models, "_loader", slow)
    bench.prompt(1, MIDDLE, 8, 10)
    choose(bench, "cpu")
    until(entered.is_set)
    assert bench.state.model.answered_by == "nano"
    choose(bench, "auto")
    gate.set()
    bench.wait()
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])
    assert bench.state.model.answered_by == ""
    assert bench.session.objects == (1,)


def test_the_network_before_answers_where_another_one_cannot_be_loaded(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a third one is loaded, and where nothing was said before."""
    monkeypatch.setattr("napari_sam2._napari.controls.model.show_failure", lambda _: None)
    networks["cpu"] = None
    choose(bench, "cpu")
    bench.wait()
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])
    bench.prompt(1, MIDDLE, 8, 10)
    assert 1 in bench.labels[MIDDLE]


def test_a_view_that_is_on_its_way_is_kept_by_another_network(
    bench: Dock, held: Held, networks: dict[str, Any]
) -> None:
    held.begin()
    choose(bench, "cpu")
    held.end()
    assert seen(bench) == 200
    assert bench.session.model is networks["cpu"]
    undo(bench)
    assert seen(bench) == 255
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])


def test_the_network_in_use_is_not_loaded_again(
    bench: Dock, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a network was chosen that has to be downloaded first, and then the one before."""
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    labels, model = bench.labels.copy(), bench.session.model
    networks["auto"] = FakeModel().as_model()
    with monkeypatch.context() as patch:
        patch.setattr(ModelChoice, "is_here", False)
        choose(bench, "cpu")
        bench.wait()
    choose(bench, "auto")
    bench.wait()
    assert in_use(bench) == ("auto", model, model)
    np.testing.assert_array_equal(bench.labels, labels)
    assert bench.state.progress.undo_label == "Propagate"
    bench.prompt(1, MIDDLE, 9, 10)


def test_until_another_network_is_downloaded_the_one_before_answers_and_that_is_said(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no session is open yet; when it has come, all is answered anew."""
    model = four.controller.space.model.model
    with monkeypatch.context() as patch:
        patch.setattr(ModelChoice, "is_here", property(lambda each: each.name == "nano"))
        four.view.model.model_chosen.emit(four.state.model.names.index("sam2.1-tiny"))
        four.wait()
        shown = four.state.model
        assert (shown.names[shown.chosen], shown.needs_download) == ("sam2.1-tiny", True)
        assert shown.answered_by == "nano"
        assert "Answered by nano until sam2.1-tiny is downloaded" in hint(four.state).text
        for t in (1, 2):
            four.viewer.dims.set_current_step(0, t)
            four.prompt(1, 2, 8, 10)
            assert four.session.model is model
        four.view.model.model_chosen.emit(0)
        four.wait()
        assert [each.name for each in four.loaded] == ["nano"], "it was at hand"
        four.view.model.model_chosen.emit(four.state.model.names.index("sam2.1-tiny"))
    new = FakeModel().as_model()
    monkeypatch.setattr(four.controller.models, "_loader", lambda _: new)
    monkeypatch.setattr(ModelChoice, "is_here", True)
    four.controller.models.start(another=True)  # as when it has come
    four.wait()
    assert four.state.model.answered_by == ""
    assert four.session.model is new


def test_going_back_while_another_network_answers_gives_that_one_up(
    bench: Dock, held: Held, networks: dict[str, Any]
) -> None:
    choose(bench, "cpu")
    until(held.entered.is_set)
    choose(bench, "auto")
    held.end()
    assert in_use(bench) == ("auto", networks["auto"], networks["auto"])
    assert not bench.state.progress.can_redo
    until(lambda: bench.activity == "idle")


def test_only_devices_that_are_here_can_be_chosen(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2._napari.controls.model.devices_here", lambda: ("auto", "cpu", "cuda:1"))
    assert bench.state.model.devices == present_devices(), "of this machine"
    choose(bench, "cpu")
    bench.wait()
    assert bench.state.model.devices == ("auto", "cpu", "cuda:1")
    choose(bench, "cuda:1")
    bench.wait()
    assert bench.loaded[-1].device == "cuda:1"


def test_a_preferred_device_that_is_not_here_is_shown_with_what_is_wrong() -> None:
    assert listed_devices(ModelChoice(device="mps"), ("auto", "cpu")) == ("auto", "cpu", "mps")
    assert listed_devices(ModelChoice(device="cpu"), ("auto", "cpu")) == ("auto", "cpu")
