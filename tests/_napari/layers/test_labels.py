"""Results are written into the Labels layer, strokes are read from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import Place, SequenceGeometry
from napari_sam2._napari.layers import stroke_search
from napari_sam2._napari.layers.colours import ObjectColours
from napari_sam2._napari.layers.labels import LabelsView
from tests._napari.hand import settle
from tests._napari.labels_bench import GEOMETRY, Bench, change


@pytest.fixture
def bench(model: ViewerModel) -> Iterator[Bench]:
    bench = Bench(model)
    yield bench
    bench.view.close()


def test_results_are_shown_and_are_no_strokes(bench: Bench) -> None:
    bench.view.write([change(0, 3), change(2, 4)])
    assert (bench.array[0] == 3).sum() == 24
    assert (bench.array[2, 5:9, 6:12] == 4).all()
    bench.layer.refresh()
    assert bench.told() == []


def test_the_array_is_never_another_one(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    assert bench.layer.data is bench.array


def test_ids_beyond_uint16_widen_the_layer(bench: Bench) -> None:
    bench.view.write([change(0, 3), change(1, 70_000, dtype=np.uint32)])
    assert bench.layer.data.dtype == np.uint32
    assert bench.layer.data.max() == 70_000
    assert bench.told() == []
    bench.layer.data[1, 0, 0] = 5
    bench.layer.refresh()
    assert bench.told() == [(5, 1, 1)]


def test_a_stroke_is_told_once(bench: Bench) -> None:
    bench.layer.brush_size = 3
    bench.layer.paint((0, 20, 20), 2)
    assert bench.strokes == []
    (stroke,) = bench.told()
    assert stroke[:2] == (2, 0)
    assert bench.told() == [stroke]


def test_a_stroke_is_told_though_the_slider_moves_at_once(bench: Bench) -> None:
    bench.layer.paint((0, 20, 20), 2)
    bench.model.dims.set_current_step(0, 4)
    assert [stroke[:2] for stroke in bench.told()] == [(2, 0)]


def test_a_stroke_during_which_the_slider_moves_is_told_on_all_frames(bench: Bench) -> None:
    bench.layer.mode = "paint"
    release = bench.press()
    with bench.layer.block_history():  # as napari does until the button is released
        for frame in (1, 3):
            bench.model.dims.set_current_step(0, frame)
            bench.layer.paint((frame, 20, 20), 2)
    next(release, None)
    assert sorted(stroke[:2] for stroke in bench.told()) == [(2, 1), (2, 3)]


def test_erased_entirely_is_a_mask_without_pixels(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    bench.layer.data_setitem(np.nonzero(bench.array == 3), 0)
    assert bench.told() == [(3, 0, 0)]


@pytest.mark.parametrize("frame", [0, 4])
def test_a_script_that_writes_and_refreshes_paints(bench: Bench, frame: int) -> None:
    bench.layer.data[frame, 1:3, 1:4] = 5
    bench.layer.refresh()
    assert bench.told() == [(5, frame, 6)]


def test_what_was_found_is_told_though_the_search_begins_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stroke_search, "_SECONDS", 0.0)
    bench.layer.data[1, 1:3, 1:4] = 5
    bench.layer.refresh()
    for _ in range(3):
        settle(1)
    assert bench.strokes == []
    bench.layer.data[5, 1:3, 1:4] = 5
    bench.layer.refresh()
    assert bench.told() == [(5, 1, 6), (5, 5, 6)]


def test_another_array_is_compared_too(bench: Bench) -> None:
    labels = np.zeros(GEOMETRY.shape, np.uint16)
    labels[3, 0, 0] = 9
    bench.layer.data = labels
    assert bench.told() == [(9, 3, 1)]
    bench.view.write([change(1, 2)])
    assert (labels[1] == 2).any()


def test_napari_undo_is_a_stroke_too(bench: Bench) -> None:
    bench.layer.paint((0, 20, 20), 2)
    bench.told()
    bench.layer.undo()
    assert bench.told()[-1] == (2, 0, 0)


def test_a_volume_brush_is_one_stroke_over_many_frames(bench: Bench) -> None:
    bench.layer.n_edit_dimensions = 3
    bench.layer.brush_size = 5
    bench.layer.paint((2, 20, 20), 7)
    assert [frame for _, frame, _ in bench.told()] == [0, 1, 2, 3, 4]
    assert len(bench.strokes) == 1


def test_filling_is_a_stroke(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    bench.layer.fill((0, 6, 7), 8)
    assert bench.told() == [(3, 0, 0), (8, 0, 24)]
    assert [each.overpainted for each in bench.strokes[0]] == [True, False]


def test_results_wait_for_the_end_of_a_stroke(bench: Bench) -> None:
    bench.layer.mode = "paint"
    release = bench.press()
    bench.layer.data[0, 30, 30] = 2
    bench.view.write([change(0, 3)])
    settle()
    assert not (bench.array == 3).any()
    assert bench.strokes == []
    next(release, None)
    bench.layer.events.paint(value=[])
    assert bench.told() == [(2, 0, 1)]
    assert (bench.array == 3).any()


def test_a_release_that_never_comes_holds_nothing_for_ever(bench: Bench) -> None:
    bench.layer.mode = "paint"
    press = bench.press()
    bench.view.write([change(0, 3)])
    del press
    settle()
    assert (bench.array == 3).any()


def test_an_encircling_stroke_lasts_until_it_is_painted(bench: Bench) -> None:
    bench.layer.mode = "paint"
    next(bench.press(button=2), None)
    bench.view.write([change(0, 3)])
    settle()
    assert not (bench.array == 3).any()
    bench.layer.events.paint(value=[])
    settle()
    assert (bench.array == 3).any()


def test_another_layer_ends_a_stroke(bench: Bench) -> None:
    bench.layer.mode = "paint"
    next(bench.press(button=2), None)
    bench.view.write([change(0, 3)])
    bench.view.let_go()
    settle()
    assert (bench.array == 3).any()


def test_panning_holds_nothing_back(bench: Bench) -> None:
    press = bench.press()
    bench.view.write([change(0, 3)])
    assert (bench.array == 3).any()
    next(press, None)


def test_what_was_painted_before_results_come_is_not_lost(bench: Bench) -> None:
    bench.layer.paint((0, 7, 8), 2)
    bench.view.write([change(0, 3)])
    assert [obj for obj, *_ in bench.told()] == [2]


# --- refreshing


def test_only_the_frame_that_is_shown_is_refreshed(bench: Bench) -> None:
    bench.view.write([change(1, 3), change(5, 3)])
    assert bench.refreshed == []
    bench.view.write([change(0, 3)])
    assert len(bench.refreshed) == 1


def test_nothing_is_refreshed_for_the_same_pixels(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    time.sleep(0.15)
    settle()
    bench.refreshed.clear()
    bench.view.write([change(0, 3)])
    settle()
    assert bench.refreshed == []


def test_refreshes_are_merged(bench: Bench) -> None:
    writes = bench.write_until(4, 0)
    # Never two within a tenth of a second, less what a coarse timer may err, whatever the machine does.
    assert min(np.diff(bench.refreshed)) > 0.09
    assert writes > len(bench.refreshed)
    time.sleep(0.15)
    count = len(bench.refreshed)
    settle()
    assert len(bench.refreshed) <= count + 1


def test_the_last_result_is_shown(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    bench.view.write([change(0, 4)])
    assert len(bench.refreshed) == 1
    end = time.monotonic() + 60
    while len(bench.refreshed) < 2 and time.monotonic() < end:
        settle(1)
    assert len(bench.refreshed) == 2


def test_a_volume_is_refreshed_rarely(bench: Bench) -> None:
    bench.model.dims.ndisplay = 3
    settle()
    bench.refreshed.clear()
    bench.write_until(2, 4)
    assert np.diff(bench.refreshed)[0] > 0.9


def test_frames_are_refreshed_when_the_axes_are_rolled(bench: Bench) -> None:
    bench.model.dims.order = (1, 0, 2)
    settle()
    bench.refreshed.clear()
    bench.view.write([change(5, 3)])
    assert len(bench.refreshed) == 1


# --- objects


def test_the_picker_is_told(bench: Bench) -> None:
    picked: list[int] = []
    bench.view.picked.connect(picked.append)
    bench.layer.selected_label = 4
    bench.layer.selected_label = 0
    bench.view.select(6)
    assert bench.layer.selected_label == 6
    assert picked == [4]


def test_values_at_places(bench: Bench) -> None:
    bench.view.write([change(2, 3)])
    assert bench.view.value_at(Place(2, 5.4, 6.4)) == 3
    assert bench.view.value_at(Place(2, 4.4, 6.4)) == 0
    assert bench.view.value_at(Place(2, -3, 6)) == 0
    assert bench.view.value_at(Place(6, 5, 6)) == 0
    assert bench.view.highest() == 3


def colours_of(bench: Bench, *labels: int) -> npt.NDArray[Any]:
    return np.array([np.ravel(bench.layer.colormap.map(label)) for label in labels])


def test_objects_are_hidden_shown_alone_and_coloured(bench: Bench) -> None:
    bench.view.write([change(0, 3), change(1, 4)])
    plain = colours_of(bench, 3, 4)
    bench.colours.show(3, visible=False)
    bench.view.show_colours()
    assert colours_of(bench, 3)[0, 3] == 0
    assert np.allclose(colours_of(bench, 4), plain[1:], atol=1e-6)
    bench.colours.show_only(3)
    bench.view.show_colours()
    assert np.allclose(colours_of(bench, 3), plain[:1], atol=1e-6)
    assert colours_of(bench, 4)[0, 3] == 0
    bench.colours.show_only(None)
    bench.colours.show(3, visible=True)
    bench.colours.choose(4, (1.0, 0.0, 0.0, 1.0))
    bench.view.show_colours()
    assert np.allclose(colours_of(bench, 4), [[1, 0, 0, 1]])
    bench.colours.choose(4, None)
    bench.view.show_colours()
    assert np.allclose(colours_of(bench, 3, 4), plain)
    assert bench.told() == []


def test_a_new_object_gets_its_colour_while_others_are_hidden(bench: Bench) -> None:
    bench.view.write([change(0, 3)])
    bench.colours.show(3, visible=False)
    bench.view.show_colours()
    bench.view.write([change(0, 11)])
    assert np.allclose(colours_of(bench, 11), [bench.colours.colour(11)], atol=1e-6)


def test_shuffled_colours_are_taken_over(bench: Bench) -> None:
    told: list[int] = []
    bench.view.shuffled.connect(lambda: told.append(1))
    before = bench.colours.colour(3)
    bench.layer.new_colormap(seed=5)
    assert told == [1]
    assert bench.colours.colour(3) != before
    assert np.allclose(colours_of(bench, 3), [bench.colours.colour(3)], atol=1e-6)


# --- other axes


def test_results_of_another_position_go_there(model: ViewerModel) -> None:
    geometry = SequenceGeometry((3, 6, 40, 50), 2, 3, 1, {0: 0})
    bench = Bench(model, geometry)
    bench.view.write([change(2, 3)], geometry.at({0: 1}))
    assert (bench.array[1, 2] == 3).sum() == 24
    assert bench.refreshed == []
    bench.view.set_geometry(geometry.at({0: 1}))
    bench.layer.data[1, 4, 0, 0] = 6
    bench.layer.refresh()
    assert bench.told() == [(6, 4, 1)]
    bench.view.close()


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told."""
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.layers.labels.tell", notes.append)
    return notes


@pytest.mark.parametrize(
    ("frame_axis", "order", "frames"),
    [
        (1, (0, 1, 2, 3), {0, 1, 2, 3}),
        (0, (0, 1, 2, 3), {1}),
        (0, (1, 0, 2, 3), {0, 1, 2}),
        (1, (1, 0, 2, 3), {1}),
    ],
    ids=["z", "t", "t, rolled", "z, rolled"],
)
def test_a_brush_stays_within_the_sequence(
    model: ViewerModel, notes: list[str], frame_axis: int, order: tuple[int, ...], frames: set[int]
) -> None:
    geometry = SequenceGeometry((3, 6, 40, 50), 2, 3, frame_axis, {1 - frame_axis: 1})
    bench = Bench(model, geometry)
    model.dims.set_current_step((0, 1), (1, 1))
    model.dims.order = order
    settle()
    bench.layer.n_edit_dimensions = 4
    assert len(notes) == 1
    bench.layer.brush_size = 5
    bench.layer.paint((1, 1, 20, 20), 7)
    assert {frame for _, frame, _ in bench.told()} == frames
    assert (geometry.frames_of(bench.layer.data) > 0).sum() == (bench.layer.data > 0).sum()
    bench.view.close()


def test_a_brush_stays_within_the_sequence_when_the_axes_are_rolled(
    model: ViewerModel, notes: list[str]
) -> None:
    bench = Bench(model, SequenceGeometry((3, 6, 40, 50), 2, 3, 1, {0: 1}))
    bench.layer.n_edit_dimensions = 3
    assert notes == []
    model.dims.order = (1, 0, 2, 3)
    assert bench.layer.n_edit_dimensions == 2
    bench.view.close()


def test_channels_do_not_count_for_a_brush(model: ViewerModel, notes: list[str]) -> None:
    bench = Bench(model, SequenceGeometry((6, 1, 40, 50), 2, 3, 0, {1: 0}, 1))
    bench.layer.n_edit_dimensions = 4
    assert bench.layer.n_edit_dimensions == 4
    bench.view.close()


@pytest.mark.parametrize("shape", [(3, 10, 10), (40, 50), (2, 6, 40, 50)])
def test_labels_that_do_not_fit_are_put_back(bench: Bench, notes: list[str], shape: tuple[int, ...]) -> None:
    bench.view.write([change(0, 3)])
    bench.layer.data = np.ones(shape, np.uint16)
    assert bench.layer.data is bench.array
    assert len(notes) == 1
    assert bench.told() == []
    bench.view.write([change(4, 4)])
    assert (bench.array[4] == 4).any()


def test_the_labels_fit_the_image(model: ViewerModel) -> None:
    with pytest.raises(ValueError, match="the image"):
        LabelsView(model, GEOMETRY, np.zeros((6, 40, 51), np.uint16), ObjectColours(), {})
