"""The masks that one click may mean: found, cycled, kept, and there again later."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from napari_sam2.prompts import PromptKey
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, until

pytestmark = pytest.mark.gui


def save_delete_and_load(bench: Dock, folder: Path, objects: tuple[int, ...]) -> None:
    bench.view.files.save_requested.emit(str(folder / "cells"))
    bench.wait()
    bench.view.objects.objects_deleted.emit(objects)
    bench.wait()
    bench.view.files.load_requested.emit(str(folder / "cells.sam2.json"))
    bench.wait()


def test_the_candidate_that_is_shown_follows_undo(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    seen = [bench.state.tools.candidate]
    for _ in range(2):
        bench.view.tools.next_candidate.emit()
        bench.wait()
        seen.append(bench.state.tools.candidate)
    assert seen == [1, 2, 0]
    for expected in (2, 1):
        bench.view.progress.undo_requested.emit()
        bench.wait()
        assert bench.state.tools.candidate == expected
    bench.view.tools.next_candidate.emit()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].candidate == 2


def test_candidates_of_a_click_that_is_alone_again_are_there(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.tools.next_candidate.emit()
    bench.wait()
    chosen = bench.state.tools
    bench.layers.points.add([MIDDLE, 8, 12])
    bench.wait()
    assert bench.state.tools.candidates == 0
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.state.tools == chosen
    bench.view.tools.next_candidate.emit()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].candidate not in {None, chosen.candidate}


def test_candidates_of_a_click_in_a_file_are_there(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(2, MIDDLE + 1, 16, 10)
    tools = bench.state.tools
    save_delete_and_load(bench, tmp_path, (1, 2))
    bench.view.tools.next_candidate.emit()
    bench.wait()
    assert bench.state.tools.candidates == tools.candidates == 3
    assert bench.state.tools.candidate != tools.candidate
    bench.view.objects.object_activated.emit(2)
    bench.wait()
    assert bench.state.tools.candidates == 0
    bench.show(MIDDLE + 1)
    until(lambda: bench.state.tools.candidates == 3)


def test_the_candidate_that_was_chosen_is_the_one_in_the_file(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.tools.next_candidate.emit()
    bench.wait()
    chosen, mask = bench.state.tools.candidate, bench.labels[MIDDLE] == 1
    assert chosen != 1
    save_delete_and_load(bench, tmp_path, (1,))
    assert bench.session.prompts[PromptKey(1, MIDDLE)].candidate == chosen
    assert ((bench.labels[MIDDLE] == 1) == mask).all()


class HeldSteps:
    """Steps of an answer, of which the first waits until the test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps, self.entered, self.gate = Session.preview_steps, threading.Event(), threading.Event()

        def held(session: Session, *asked: Any) -> Any:
            if not self.entered.is_set():
                self.entered.set()
                assert self.gate.wait(60)
                yield
            return (yield from steps(session, *asked))

        monkeypatch.setattr(Session, "preview_steps", held)


@pytest.mark.parametrize("other", [PromptKey(2, MIDDLE), PromptKey(1, MIDDLE + 1)])
def test_the_next_masks_of_two_clicks_are_taken(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, other: PromptKey
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.prompt(other.obj, other.frame, 16, 10)
    bench.controller.prompts.activate(1)
    bench.show(MIDDLE)
    bench.wait()
    bench.controller.prompts.candidates.forget()
    held = HeldSteps(monkeypatch)
    bench.view.tools.next_candidate.emit()
    until(held.entered.is_set)
    bench.controller.prompts.activate(other.obj)
    bench.show(other.frame)
    bench.view.tools.next_candidate.emit()
    held.gate.set()
    bench.wait()
    assert None not in {said.candidate for said in bench.session.prompts.values()}


def test_the_next_mask_is_taken_although_the_frame_is_prepared_meanwhile(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.prompts.candidates.forget()
    held = HeldSteps(monkeypatch)
    bench.view.tools.next_candidate.emit()
    until(held.entered.is_set)
    bench.controller.prompts.candidates.look()
    held.gate.set()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].candidate is not None


def test_candidates_are_cycled_and_kept(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    tools = bench.state.tools
    assert (tools.candidates, tools.candidate) == (3, 1), "the network prefers the second"
    areas = []
    for _ in range(3):
        bench.view.tools.next_candidate.emit()
        bench.wait()
        areas.append(int(bench.labels.astype(bool).sum()))
    chosen = bench.session.prompts[PromptKey(1, MIDDLE)].candidate
    assert bench.state.tools.candidate == chosen
    assert len(set(areas)) == 3, "the three masks differ"
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.prompts[PromptKey(1, MIDDLE)].candidate != chosen
    bench.show(MIDDLE + 1)
    assert bench.state.tools.candidates == 0
