"""Positions of (t, z, y, x) at which nothing was said: ready for the first click, and no burden once left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2._napari.controls.sequence import SequenceControl
from tests._napari.dock import Dock, Held, pause, until
from tests.fakes import click

pytestmark = pytest.mark.gui


def go(dock: Dock, t: int) -> None:
    dock.viewer.dims.set_current_step(0, t)
    dock.wait()


def opened(dock: Dock) -> dict[int, Any]:
    """Return the sessions that are open, by t."""
    sequences: SequenceControl = dock.controller.sequences
    return {
        position[0][1]: each.desk.session
        for position, each in sequences._sequences.items()
        if each.desk.session is not None
    }


def rest(dock: Dock) -> None:
    """Wait as a user does who looks at a frame."""
    until(lambda: dock.widget.session is not None and dock.session.is_ready(2))
    dock.wait()


def test_the_mask_under_the_cursor_is_outlined_before_the_first_click_there(four: Dock) -> None:
    go(four, 2)
    rest(four)
    four.layers.hovered.emit(2, 8, 10)
    four.wait()
    (outline,) = (layer for layer in four.viewer.layers if layer.name == "movie preview" and len(layer.data))
    places = np.concatenate(outline.data)
    assert {tuple(place) for place in places[:, :2]} == {(2, 2)}
    assert four.session.undo_label is None


def test_the_first_click_finds_features_that_are_ready(four: Dock) -> None:
    go(four, 2)
    rest(four)
    encoded = four.session.frames_encoded
    four.prompt(1, 2, 8, 10)
    assert four.session.frames_encoded == encoded
    assert four.session.objects == (1,)


def test_open_is_what_is_shown_and_that_of_which_something_was_said(four: Dock) -> None:
    four.prompt(1, 2, 8, 10)
    said = four.session
    for t in (2, 0, 2, 0):
        go(four, t)
        rest(four)
        assert opened(four) == {1: said, t: four.session}
    go(four, 1)
    assert opened(four) == {1: said}
    assert four.session is said


def test_sliders_that_do_not_rest_open_nothing(four: Dock) -> None:
    rest(four)
    first = four.session
    for t in (2, 0, 2, 1):
        four.viewer.dims.set_current_step(0, t)
    rest(four)
    assert set(opened(four)) == {1}
    assert four.session is not first


def test_a_click_under_way_keeps_its_position_open(four: Dock) -> None:
    go(four, 2)
    rest(four)
    four.widget.set_prompts(1, 2, click(8, 10))
    go(four, 0)
    assert opened(four)[2].objects == (1,)


def test_what_cannot_be_opened_is_told_once_and_not_tried_at_every_rest(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fail(*args: object) -> None:
        asked.append(args)
        raise OSError("the disk is gone")

    go(four, 2)
    rest(four)
    monkeypatch.setattr("napari_sam2._napari.work.desk.open_session", fail)
    four.viewer.dims.set_current_step(0, 0)  # and no more: a slow machine has rested before `go` is done
    until(lambda: bool(four.failures))
    assert [str(each) for each in four.failures] == ["the disk is gone"]
    four.failures.clear()
    for z in (1, 3, 1):
        four.viewer.dims.set_current_step(1, z)
        until(lambda: not four.controller.ahead._rest.waiting)
        four.wait()
    assert len(asked) == 1
    four.widget.set_prompts(1, 2, click(8, 10))
    until(lambda: four.controller.space.sequence.waiting == {})  # type: ignore[union-attr]  # it is there
    assert [str(each) for each in four.failures] == ["the disk is gone"], "of a click that is refused, too"
    assert not len(four.layers.points.data)
    four.failures.clear()
    monkeypatch.undo()
    four.prompt(1, 2, 8, 10)
    assert four.session.objects == (1,), "a click tries again"


def test_it_is_being_opened_although_another_one_is_closed_meanwhile(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest(four)
    closing = Held(monkeypatch, "close")
    four.viewer.dims.set_current_step(0, 2)
    closing.until_entered()
    opening = Held(monkeypatch, "open")
    four.controller.sequences.open_ahead()
    closing.gate.set()
    opening.until_entered()
    pause(20)
    assert four.state.image.loading
    opening.gate.set()
    four.wait()
    assert not four.state.image.loading


@pytest.mark.parametrize("name", ["work.sam2.json", "labels.tif"])
def test_a_position_is_written_before_anybody_rested_there(four: Dock, tmp_path: Path, name: str) -> None:
    rest(four)
    four.viewer.dims.set_current_step(0, 2)
    files = four.controller.files
    (files.save if name.endswith("json") else files.export)(str(tmp_path / name))
    four.wait()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("fails", [False, True])
def test_positions_that_other_work_does_not_bring_are_closed(four: Dock, tmp_path: Path, fails: bool) -> None:
    four.prompt(1, 2, 8, 10)
    four.controller.files.save(str(tmp_path / "work.sam2.json"))
    four.wait()
    go(four, 2)
    rest(four)
    if fails:
        four.controller.image.begin_anew()
        shutil.rmtree(tmp_path / "work.sam2.zarr")
    else:
        four.prompt(2, 2, 8, 10)
    go(four, 0)
    four.controller.files.load(str(tmp_path / "work.sam2.json"))
    until(lambda: four.controller.saving.is_exchanging is False)
    assert bool(four.failures) is fails
    four.failures.clear()
    four.wait()
    rest(four)
    assert set(opened(four)) == ({0} if fails else {0, 1})
