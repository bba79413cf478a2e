"""Points say of each click whose it is and whether it is positive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.colours import NEGATIVE, POSITIVE, ObjectColours
from napari_sam2._napari.layers.columns import object_column, sign_column
from napari_sam2._napari.layers.points import PointsView
from napari_sam2.prompts import FramePrompts, PromptKey

GEOMETRY = SequenceGeometry((6, 40, 50), 1, 2, 0)


@pytest.fixture
def view(model: ViewerModel) -> Iterator[PointsView]:
    view = PointsView(GEOMETRY, ObjectColours(), {}, model.dims)
    model.add_layer(view.layer)
    yield view
    view.close()


def test_points_keep_their_order_by_object_and_frame(view: PointsView) -> None:
    view.set_next(3, positive=True)
    view.layer.add([[2, 30, 4], [4, 1, 1]])
    view.set_next(1, positive=False)
    view.layer.add([[2, 10, 4], [2, 9, 4]])
    found = view.read()
    assert {key: (each.points, each.positive) for key, each in found.items()} == {
        PromptKey(3, 2): ([(30, 4)], [True]),
        PromptKey(3, 4): ([(1, 1)], [True]),
        PromptKey(1, 2): ([(10, 4), (9, 4)], [False, False]),
    }


def test_colours_tell_sign_and_object(view: PointsView) -> None:
    colours = ObjectColours()
    view.layer.add([1, 1, 1])
    view.set_next(7, positive=False)
    view.layer.add([1, 2, 2])
    view.show_colours()
    assert np.allclose(view.layer.face_color, [POSITIVE, NEGATIVE], atol=1e-6)
    assert np.allclose(view.layer.border_color, [colours.colour(1), colours.colour(7)], atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: setattr(layer, "current_face_color", "blue"),
        lambda layer: setattr(layer, "face_color", "white"),
        lambda layer: setattr(layer, "features", {"object": [1, 1], "positive": ["yes", "no"]}),
    ],
)
def test_signs_have_their_colours_whatever_is_chosen_in_napari(view: PointsView, change: object) -> None:
    view.layer.add([1, 1, 1])
    view.set_next(1, positive=False)
    view.layer.add([1, 2, 2])
    change(view.layer)  # type: ignore[operator]
    view.show_colours()
    view.layer.add([1, 3, 3])
    view.show_colours()
    assert np.allclose(view.layer.face_color, [POSITIVE, NEGATIVE, NEGATIVE], atol=1e-6)


def test_many_objects_do_not_turn_colours_into_a_scale(view: PointsView) -> None:
    for obj in range(1, 41):
        view.set_next(obj, positive=obj % 2 == 0)
        view.layer.add([1, obj % 40, 1])
    view.show_colours()
    assert np.allclose(view.layer.face_color[0::2], NEGATIVE)
    assert np.allclose(view.layer.face_color[1::2], POSITIVE)


def test_selecting_a_point_does_not_change_the_next_one(view: PointsView) -> None:
    view.layer.add([1, 1, 1])
    view.set_next(2, positive=False)
    view.layer.selected_data = {0}
    view.layer.add([1, 2, 2])
    assert view.objects().tolist() == [1, 2]
    assert view.positive().tolist() == [True, False]


def test_the_colour_of_a_selected_point_stays(view: PointsView) -> None:
    view.layer.add([1, 1, 1])
    view.show_colours()
    before = view.layer.border_color.copy()
    view.layer.selected_data = {0}
    view.set_next(9, positive=True)
    assert np.allclose(view.layer.border_color, before)


def test_defaults_that_a_script_sets_are_told(view: PointsView) -> None:
    told: list[tuple[int, bool]] = []
    view.defaults_changed.connect(lambda obj, positive: told.append((obj, positive)))
    view.layer.feature_defaults = {"object": 5, "positive": False}
    assert told == [(5, False)]


def test_defaults_that_a_script_sets_are_told_beside_a_selected_point(view: PointsView) -> None:
    told: list[tuple[int, bool]] = []
    view.defaults_changed.connect(lambda obj, positive: told.append((obj, positive)))
    view.layer.add([1, 1, 1])
    assert view.layer.selected_data == {0}
    view.layer.feature_defaults = {"object": 5, "positive": True}
    assert told == [(5, True)]


def heard(view: PointsView) -> list[tuple[int, bool]]:
    """Keep what is told, and follow it as the dock does."""
    told: list[tuple[int, bool]] = []
    view.defaults_changed.connect(lambda obj, positive: told.append((obj, positive)))
    view.defaults_changed.connect(lambda obj, positive: view.set_next(obj, positive=positive))
    return told


@pytest.mark.parametrize("symbols", [["disc", "disc"], ["disc", "star"]])
def test_defaults_that_a_script_sets_may_be_those_of_the_selected_points(
    view: PointsView, symbols: list[str]
) -> None:
    view.layer.add([[1, 1, 1], [1, 2, 2]])
    view.layer.symbol = symbols
    view.set_next(5, positive=False)
    told = heard(view)
    view.layer.selected_data = {0, 1}
    assert told == [], "napari says it, not the script"
    view.layer.feature_defaults = {"object": 1, "positive": True}
    assert told == [(1, True)]
    view.set_next(5, positive=False)
    view.layer.selected_data = {0, 1}  # again, of which no selection tells
    assert told == [(1, True)]


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.add([1, 2, 3]),
        lambda layer: layer.remove([0]),
        lambda layer: setattr(layer, "data", [[1, 1, 1], [2, 2, 2]]),
        lambda layer: setattr(layer, "features", {"object": [2], "positive": [True]}),
        lambda layer: layer.refresh(),
    ],
)
def test_changes_are_noticed(view: PointsView, change: object) -> None:
    view.layer.add([3, 3, 3])
    told: list[int] = []
    view.touched.connect(lambda: told.append(1))
    change(view.layer)  # type: ignore[operator]
    assert told


def test_shown_points_are_read_again(view: PointsView) -> None:
    prompts = {
        PromptKey(2, 5): FramePrompts(((1, 2), (3, 4)), (True, False)),
        PromptKey(1, 0): FramePrompts(((39.4, 49.4),), (False,)),
        PromptKey(4, 0): FramePrompts(box=(1, 2, 3, 4)),
    }
    view.layer.add([2, 2, 2])
    view.show(prompts)
    found = {key: FramePrompts(each.points, each.positive) for key, each in view.read().items()}
    assert found == {key: each for key, each in prompts.items() if each.points}
    view.show({})
    assert len(view.layer.data) == 0


def test_showing_the_same_changes_nothing(view: PointsView) -> None:
    prompts = {PromptKey(1, 0): FramePrompts(((1, 2),), (True,))}
    view.show(prompts)
    view.layer.selected_data = {0}
    view.show(prompts)
    assert view.layer.selected_data == {0}


def test_points_at_other_positions_stay(model: ViewerModel) -> None:
    geometry = SequenceGeometry((3, 6, 40, 50), 2, 3, 1, {0: 1})
    view = PointsView(geometry, ObjectColours(), {}, model.dims)
    model.add_layer(view.layer)
    view.layer.add([[0, 2, 5, 5], [1, 2, 6, 6], [1, 2, -7, 6]])
    assert view.read()[PromptKey(1, 2)].points == [(6, 6)]
    view.show({PromptKey(4, 3): FramePrompts(((8, 9),), (True,))})
    assert view.layer.data.tolist() == [[0, 2, 5, 5], [1, 2, -7, 6], [1, 3, 8, 9]]
    assert view.objects().tolist() == [1, 1, 4]
    view.close()


def test_hidden_objects_have_no_points(model: ViewerModel) -> None:
    colours = ObjectColours()
    view = PointsView(GEOMETRY, colours, {}, model.dims)
    model.add_layer(view.layer)
    view.show({PromptKey(obj, 0): FramePrompts(((obj, 2),), (True,)) for obj in (1, 2)})
    colours.show(1, visible=False)
    view.show_colours()
    assert view.layer.shown.tolist() == [False, True]
    assert len(view.read()) == 2
    view.close()


def test_features_that_a_script_left_out_or_broke() -> None:
    table = Points(np.zeros((6, 2))).features
    assert object_column(table, 6, 4).tolist() == [4] * 6
    assert sign_column(table, 6).tolist() == [True] * 6
    broken = table.assign(object=[None, "3", 0, -2, 2.0, "x"], positive=[None, 0, 1, np.nan, True, False])
    assert object_column(broken, 6, 9).tolist() == [9, 3, 9, 9, 2, 9]
    assert sign_column(broken, 6).tolist() == [True, False, True, True, True, False]


def test_points_have_a_least_size_only_where_there_are_some(model: ViewerModel, view: PointsView) -> None:
    """Napari draws one in the corner of slices without points, as large as the least size."""
    model.add_image(np.zeros((6, 40, 50)))

    def least(frame: int) -> float:
        model.dims.set_current_step(0, frame)
        return float(view.layer.canvas_size_limits[0])

    assert least(2) == 0
    view.layer.add([2, 30, 4])
    assert (least(2), least(3)) == (9, 0)
    model.dims.ndisplay = 3
    assert least(3) == 9
    model.dims.ndisplay = 2
    model.dims.order = (1, 0, 2)
    model.dims.set_current_step(1, 30)
    assert view.layer.canvas_size_limits[0] == 9
    view.layer.shown = False
    view.layer.data = view.layer.data
    assert view.layer.canvas_size_limits[0] == 0
