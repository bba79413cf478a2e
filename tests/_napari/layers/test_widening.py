"""Ids that uint16 cannot hold: the labels that are shown are widened beside the user's work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._labels import array as label_array
from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers import label_writer, widening
from tests._napari.hand import settle
from tests._napari.labels_bench import GEOMETRY, Bench, change
from tests._napari.prompting import Desk

LARGE = 70_000


@pytest.fixture
def in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen about eight rows of labels in a turn."""
    monkeypatch.setattr(label_array, "_AT_ONCE", 400)
    monkeypatch.setattr(widening, "_SECONDS", 0.0)


@pytest.fixture
def bench(model: ViewerModel, in_turns: None) -> Iterator[Bench]:
    bench = full(model, GEOMETRY)
    yield bench
    bench.view.close()


def full(model: ViewerModel, geometry: SequenceGeometry) -> Bench:
    """Return labels with one on every pixel, all of them on record."""
    bench = Bench(model, geometry)
    bench.layer.data[...] = 3
    bench.layer.refresh()
    bench.view.finish()
    bench.strokes.clear()
    return bench


def works(bench: Bench) -> bool:
    return bench.view.writer.is_at_work


def begin(bench: Bench) -> None:
    """Write a label that does not fit, and let a part of the rest be widened."""
    bench.view.write([change(4, LARGE, np.uint32)])
    settle(1)
    assert bench.layer.data.dtype == np.uint16
    assert bench.view.writer.is_at_work


def check_written(bench: Bench) -> None:
    assert bench.layer.data.dtype == np.uint32
    np.testing.assert_array_equal(np.unique(bench.layer.data[4, 5:9, 6:12]), [LARGE])
    assert (bench.layer.data[1:3] != 3).sum() == 0


def test_no_turn_takes_long(model: ViewerModel) -> None:
    bench = full(model, SequenceGeometry((64, 1024, 1024), 1, 2, 0))
    turns = [time.thread_time()]  # what other programs take away is not counted
    bench.view.write([change(frame, LARGE, np.uint32) for frame in range(64)])
    turns.append(time.thread_time())
    while bench.view.writer.is_at_work:
        settle(1)
        turns.append(time.thread_time())
    assert (bench.layer.data == LARGE).sum() == 64 * 24
    assert max(np.diff(turns)) < 0.06
    bench.view.close()


def test_what_does_not_fit_waits(bench: Bench) -> None:
    begin(bench)
    bench.view.write([change(5, 4)])
    assert bench.told() == []
    check_written(bench)
    assert (bench.layer.data[5] == 4).sum() == 24
    assert not bench.view.writer.is_at_work


@pytest.fixture
def widened(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return labels that are wide, of which eight rows of what is on record are widened in a turn."""
    monkeypatch.setattr(label_writer, "_SECONDS", 0.0)
    monkeypatch.setattr(label_writer, "_AT_ONCE", 400)
    begin(bench)
    while bench.layer.data.dtype == np.uint16:
        settle(1)
    return bench


def test_what_is_on_record_of_a_frame_is_widened_in_turns(widened: Bench) -> None:
    turns = 0
    while works(widened):
        settle(1)
        turns += 1
    assert turns >= 40 / 8, "rows of the frame, and what is written"
    check_written(widened)
    assert widened.told() == []


def test_what_a_script_paints_while_what_is_on_record_is_widened_stays(widened: Bench) -> None:
    settle(1)
    assert works(widened)
    widened.layer.data[4, :2, :2] = 7
    widened.layer.refresh()
    assert widened.told() == [(3, 4, 2000 - 24 - 4), (7, 4, 4)]
    check_written(widened)


def test_what_a_script_paints_meanwhile_stays(bench: Bench) -> None:
    begin(bench)
    bench.layer.data[0, :2, :2] = 7
    bench.layer.data[5, :2, :2] = 0
    bench.layer.refresh()
    assert bench.told() == [(3, 0, 1996), (7, 0, 4), (3, 5, 1996)]
    check_written(bench)
    assert (bench.layer.data[0] == 7).sum() == 4


def test_other_labels_that_a_script_gives_meanwhile_stay(bench: Bench) -> None:
    begin(bench)
    given = bench.layer.data.copy()
    given[5, :2, :2] = 7
    bench.layer.data = given
    assert bench.told() == [(3, 5, 1996), (7, 5, 4)]
    check_written(bench)
    assert (bench.layer.data[5] == 7).sum() == 4


def test_labels_of_a_wide_type_that_a_script_gives_meanwhile_stay(bench: Bench) -> None:
    begin(bench)
    bench.layer.data = bench.layer.data.astype(np.int64)
    assert bench.told() == []
    assert bench.layer.data.dtype == np.int64
    assert (bench.layer.data[4] == LARGE).sum() == 24


def test_a_stroke_paints_the_object_that_was_chosen(bench: Bench) -> None:
    bench.view.select(LARGE)
    settle(1)
    assert bench.layer.selected_label == 1
    bench.layer.mode = "paint"
    release = bench.press()
    bench.layer.paint((0, 30, 30), bench.layer.selected_label)
    next(release, None)
    assert bench.layer.selected_label == LARGE
    assert LARGE in {obj for obj, _, _ in bench.told()}


def test_what_is_chosen_meanwhile_stays(bench: Bench) -> None:
    bench.view.select(LARGE)
    bench.view.select(2)
    assert works(bench), "whoever waits may paint then"
    assert bench.told() == []
    assert not works(bench)
    assert (bench.layer.selected_label, bench.layer.data.dtype) == (2, np.uint32)


def test_during_a_stroke_nothing_is_put_off(bench: Bench) -> None:
    bench.layer.mode = "paint"
    release = bench.press()
    bench.view.select(LARGE)
    assert bench.layer.selected_label == LARGE
    next(release, None)


def test_a_layer_that_is_let_go_meanwhile_has_all(bench: Bench) -> None:
    begin(bench)
    bench.view.close()
    check_written(bench)


def test_refreshing_all_the_time_keeps_nothing_from_being_shown(bench: Bench) -> None:
    begin(bench)
    for _ in range(200):
        bench.layer.refresh()
        settle(1)
    assert (bench.layer.data == LARGE).sum() == 24
    assert bench.told() == []


def test_the_label_that_is_selected_stays(bench: Bench) -> None:
    bench.view.select(3)
    begin(bench)
    bench.layer.selected_label = 0  # to erase
    assert bench.told() == []
    check_written(bench)
    assert bench.layer.selected_label == 0


def by_points(desk: Desk) -> None:
    desk.layers.points.feature_defaults = {"object": LARGE, "positive": True}


def by_shapes(desk: Desk) -> None:
    desk.layers.shapes.feature_defaults = {"object": LARGE}


def by_label(desk: Desk) -> None:
    desk.layers.labels._selected_label = LARGE  # which some versions of napari refuse, and others take
    desk.layers.labels.events.selected_label()


@pytest.mark.parametrize("choose", [by_points, by_shapes, by_label])
@pytest.mark.parametrize("begun", [False, True])
def test_a_script_may_write_an_object_as_soon_as_it_has_chosen_it(
    model: ViewerModel, in_turns: None, choose: Callable[[Desk], None], begun: bool
) -> None:
    desk = Desk(model)
    labels = desk.layers.labels
    labels.data[...] = 3
    if begun:
        desk.layers.set_active(LARGE - 1)
        assert labels.data.dtype == np.uint16
    choose(desk)
    assert labels.selected_label == LARGE
    labels.data[4, :2, :2] = LARGE
    labels.refresh()
    desk.layers.finish(everywhere=True)
    assert LARGE in {stroke.obj for told in desk.strokes for stroke in told}
    assert (labels.data == LARGE).sum() == 4
    desk.layers.close(remove_layers=True)


def test_whoever_clicks_need_not_wait(model: ViewerModel, in_turns: None) -> None:
    desk = Desk(model)
    desk.layers.labels.data[...] = 3
    desk.layers.set_active(LARGE)
    assert desk.layers.labels.data.dtype == np.uint16
    desk.layers.labels.selected_label = 2
    assert desk.layers.active == 2
    assert desk.layers.labels.data.dtype == np.uint16, "this one has room as it is"
    desk.layers.close(remove_layers=True)
