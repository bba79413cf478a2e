"""Much is written in many turns of the event loop; nobody can tell but by the time that it takes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from psygnal import EmitLoopError

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers import label_writer
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from tests._napari.hand import settle
from tests._napari.labels_bench import GEOMETRY, Bench, change

FOUR = SequenceGeometry((3, 6, 40, 50), 2, 3, 1, {0: 0})


@pytest.fixture
def bench(model: ViewerModel, one_by_one: None) -> Iterator[Bench]:
    bench = Bench(model)
    yield bench
    bench.view.close()


def everywhere(value: int) -> list[LabelChange]:
    return [change(frame, value) for frame in range(GEOMETRY.num_frames)]


def written(bench: Bench, value: int) -> list[int]:
    """Frames that show a label."""
    return [int(frame) for frame in np.flatnonzero((bench.array == value).any(axis=(-1, -2)))]


def test_no_turn_takes_long(model: ViewerModel) -> None:
    count, size = 72, 1024
    bench = Bench(model, SequenceGeometry((count, size, size), 1, 2, 0))
    values = np.kron(np.arange(1, 5, dtype=np.uint16).reshape(2, 2), np.ones((512, 512), np.uint16))
    changes = [LabelChange(frame, Box(0, 0, size, size), values) for frame in range(count)]
    turns = [time.thread_time()]  # what other programs take away is not counted
    bench.view.write(changes)
    turns.append(time.thread_time())
    while bench.view.writer.is_at_work:
        settle(1)
        turns.append(time.thread_time())
    assert (bench.array == values).all()
    assert len(turns) > 3, "it takes more than one turn on the quickest machine"
    assert max(np.diff(turns)) < 0.1
    bench.view.close()


def test_the_frame_that_is_seen_is_written_first(bench: Bench) -> None:
    bench.model.dims.set_current_step(0, 3)
    bench.view.write(everywhere(2))
    assert written(bench, 2) == [3]
    assert len(bench.refreshed) == 2, "the slider, and what was written"
    bench.model.dims.set_current_step(0, 5)
    settle(1)
    assert written(bench, 2) == [3, 5]
    assert bench.told() == []
    assert written(bench, 2) == list(range(6))


def test_a_large_frame_is_written_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_writer, "_AT_ONCE", 500)
    values = np.full((40, 50), 7, np.uint16)
    bench.view.write([LabelChange(0, Box(0, 0, 40, 50), values)])
    assert (bench.array[0] == 7).sum() == 500
    bench.view.write([change(0, 3)])
    assert bench.told() == []
    values[5:9, 6:12] = 3
    np.testing.assert_array_equal(bench.array[0], values)


def test_what_comes_later_for_a_frame_is_what_stays(bench: Bench) -> None:
    bench.view.write(everywhere(2))
    bench.view.write([change(4, 3)])
    bench.view.write([LabelChange(5, Box(0, 0, 7, 50), np.full((7, 50), 4, np.uint16))])
    assert bench.told() == []
    assert written(bench, 2) == [0, 1, 2, 3, 5]
    assert written(bench, 3) == [4]
    assert (bench.array[5] == 4).sum() == 350


def test_what_is_covered_is_not_written_any_more(bench: Bench) -> None:
    for value in (2, 3, 2):
        bench.view.write(everywhere(value))
    for _ in range(8):
        settle(1)
    assert not bench.view.writer.is_at_work


@pytest.mark.parametrize("frame", [0, 4])
def test_what_is_painted_on_a_frame_that_waits_stays_over_it(bench: Bench, frame: int) -> None:
    bench.view.write([change(frame, 1)])
    bench.view.write([change(1, 3), *everywhere(2)])
    bench.layer.data[frame, 8:11, 6:8] = 5
    bench.layer.data[frame, 5, 6] = 0
    bench.layer.refresh()
    assert bench.told() == [(2, frame, 21), (5, frame, 6)]
    assert (bench.array[frame, 8:11, 6:8] == 5).all()
    assert (bench.array[frame] == 2).sum() == 21
    assert not (bench.array == 1).any()


def test_a_stroke_holds_up_what_waits(bench: Bench) -> None:
    bench.view.write(everywhere(2))
    bench.layer.mode = "paint"
    release = bench.press()
    settle()
    assert written(bench, 2) == [0]
    assert not bench.view.writer.is_at_work, "whoever waits for it would wait for the user"
    bench.layer.data[0, 30, 30] = 4
    next(release, None)
    bench.layer.events.paint(value=[])
    assert bench.told() == [(4, 0, 1)]
    assert written(bench, 2) == list(range(6))


def test_ids_that_need_a_wider_type_are_written_beneath_a_stroke(bench: Bench) -> None:
    bench.view.write([change(frame, 70_000, dtype=np.uint32) for frame in (0, 4)])
    bench.layer.data[4, 0, 0] = 5
    bench.layer.refresh()
    assert bench.told() == [(5, 4, 1)]
    assert (bench.layer.data == 70_000).sum() == 48


def test_it_goes_on_at_a_position_that_was_left(model: ViewerModel, one_by_one: None) -> None:
    bench = Bench(model, FOUR)
    bench.view.write(everywhere(2))
    model.dims.set_current_step(0, 1)
    bench.view.set_geometry(FOUR.at({0: 1}))
    bench.view.write([change(0, 3)])
    assert (bench.array[1, 0] == 3).any(), "it is seen"
    assert bench.told() == []
    assert (bench.array[0] == 2).any(axis=(1, 2)).all()
    assert not (bench.array[1:] == 2).any()
    bench.view.close()


def test_nothing_is_left_out_when_the_layer_is_let_go(bench: Bench) -> None:
    bench.view.write(everywhere(2))
    bench.view.close()
    assert written(bench, 2) == list(range(6))


def test_what_cannot_be_shown_keeps_back_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.view.write([change(0, 1)])
    fit = bench.view._widening.make_room

    def refuse(label: int) -> None:
        if label == 2:
            raise MemoryError
        fit(label)

    monkeypatch.setattr(bench.view._widening, "make_room", refuse)
    with pytest.raises(EmitLoopError):
        bench.view.write([change(0, 2), change(4, 3), change(5, 3)])
    assert bench.view.writer.is_at_work
    assert bench.told() == []
    assert (written(bench, 1), written(bench, 3)) == ([0], [4, 5])
    assert not bench.view.writer.is_at_work


def test_what_is_let_go_is_kept_in_no_second_copy(model: ViewerModel, one_by_one: None) -> None:
    geometry = SequenceGeometry((20, 256, 256), 1, 2, 0)
    bench, values = Bench(model, geometry), np.ones((256, 256), np.uint16)
    bench.view.write([LabelChange(frame, Box(0, 0, 256, 256), values) for frame in range(20)])
    assert len(written(bench, 1)) < 3
    tracemalloc.start()
    bench.view.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (bench.array == 1).all()
    assert peak < bench.array.nbytes / 2


def test_what_was_written_last_is_seen_when_the_layer_is_let_go(bench: Bench) -> None:
    for value in (2, 3):
        bench.view.write([change(0, value)])
    assert len(bench.refreshed) == 1, "the other one has to wait"
    bench.view.close()
    assert len(bench.refreshed) == 2
