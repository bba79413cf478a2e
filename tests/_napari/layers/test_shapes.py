"""Rectangles are boxes, closed shapes are masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.colours import ObjectColours
from napari_sam2._napari.layers.shapes import ShapesView, mask_of
from napari_sam2.prompts import FramePrompts, PromptKey

GEOMETRY = SequenceGeometry((6, 40, 50), 1, 2, 0)
KEY = PromptKey(1, 2)


@pytest.fixture
def view(model: ViewerModel) -> Iterator[ShapesView]:
    view = ShapesView(GEOMETRY, ObjectColours(), {}, model)
    model.add_layer(view.layer)
    yield view
    view.close()


def square(frame: float, y0: float, x0: float, y1: float, x1: float) -> npt.NDArray[np.float64]:
    return np.array([[frame, y0, x0], [frame, y0, x1], [frame, y1, x1], [frame, y1, x0]], float)


def disc(y: float, x: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.ogrid[:40, :50]
    found: npt.NDArray[np.bool_] = (rows - y) ** 2 + (columns - x) ** 2 <= 16
    return found


def test_rectangles_are_boxes(view: ShapesView) -> None:
    view.set_next(3)
    view.layer.add(square(2, 4, 5, 10, 20.5), shape_type="rectangle")
    assert view.read().boxes == {PromptKey(3, 2): (4, 5, 10, 20.5)}


def test_defaults_that_a_script_sets_may_be_those_of_the_selected_shapes(view: ShapesView) -> None:
    told: list[int] = []
    view.defaults_changed.connect(told.append)
    view.layer.add([square(2, 4, 5, 10, 20), square(2, 20, 5, 30, 20)], shape_type="rectangle")
    view.set_next(3)
    view.layer.selected_data = {0, 1}
    assert told == [], "some versions of napari say it, not the script"
    view.layer.feature_defaults = {"object": 1}
    assert told == [1]


def test_boxes_end_with_the_frame(view: ShapesView) -> None:
    view.layer.add(square(2, -9, 30, 80, 90), shape_type="rectangle")
    assert view.read().boxes == {KEY: (-0.5, 30, 40, 50)}
    FramePrompts(box=view.read().boxes[KEY]).check_frame((40, 50))


@pytest.mark.parametrize(
    "vertices",
    [square(2, 4, 60, 10, 70), square(2, 4, 5, 4, 20), square(9, 4, 5, 10, 20), square(-1, 4, 5, 10, 20)],
    ids=["beside", "flat", "after the last frame", "before the first"],
)
def test_boxes_without_pixels_say_nothing(view: ShapesView, vertices: npt.NDArray[np.float64]) -> None:
    view.layer.add(vertices, shape_type="rectangle")
    assert not view.read().boxes


@pytest.mark.parametrize(
    ("vertices", "kind"),
    [
        (square(2, 4, 60, 10, 70), "rectangle"),
        (square(2, 4, 5, 4.9, 20), "rectangle"),
        (square(2, 4, 5, 20, 5.9), "rectangle"),
        (square(2, -4, 5, 0.3, 20), "rectangle"),
        (square(2, 4, 60, 10, 70), "polygon"),
        (square(2, 4.2, 5.2, 4.4, 5.4), "ellipse"),
    ],
    ids=["beside", "low", "narrow", "nearly beside", "outline beside", "between pixels"],
)
def test_shapes_that_say_nothing_are_taken_out(
    view: ShapesView, vertices: npt.NDArray[np.float64], kind: str
) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="rectangle")
    view.layer.add(vertices, shape_type=kind)
    drawn = view.tidy()
    assert drawn.boxes == {KEY: (4, 5, 10, 20)}
    assert drawn.outlines == {}
    assert len(view.layer.data) == 1


def test_a_narrow_box_that_was_shown_stays(view: ShapesView) -> None:
    prompts = {KEY: FramePrompts(box=(4, 5, 4.5, 20))}
    view.show(prompts)
    assert view.tidy().boxes == {KEY: (4, 5, 4.5, 20)}
    view.layer.data = [square(2, 4, 5, 4.4, 20)]
    assert view.tidy().boxes == {}


def test_a_box_of_more_digits_than_the_layer_has_is_read_as_it_was_given(view: ShapesView) -> None:
    prompts = {KEY: FramePrompts(box=(4.1, 5.2, 10.3, 20.7))}
    view.show(prompts)
    assert view.tidy().boxes == {KEY: (4.1, 5.2, 10.3, 20.7)}
    view.layer.data = [square(2, 4.1, 5.2, 10.4, 20.7)]
    assert view.tidy().boxes[KEY] == pytest.approx((4.1, 5.2, 10.4, 20.7), abs=1e-5)


def test_of_two_boxes_the_last_one_counts(view: ShapesView) -> None:
    view.layer.add([square(2, 4, 5, 10, 20), square(3, 0, 0, 9, 9), square(2, 6, 6, 9, 9)])
    drawn = view.read()
    assert drawn.boxes == {KEY: (6, 6, 9, 9), PromptKey(1, 3): (0, 0, 9, 9)}
    assert drawn.void == [0]
    assert view.tidy().boxes == drawn.boxes
    assert len(view.layer.data) == 2


def test_polygons_are_masks_and_several_are_one(view: ShapesView) -> None:
    view.layer.add([square(2, 4, 5, 10, 20)[:, :], square(2, 20, 5, 25, 9)], shape_type="polygon")
    (mask,) = (outline.unpack() for outline in view.read().outlines.values())
    expected = np.zeros((40, 50), np.bool_)
    expected[5:10, 6:20] = expected[21:25, 6:9] = True  # at the rim either is right
    assert mask[expected].all()
    grown = np.zeros_like(expected)
    grown[4:11, 5:21] = grown[20:26, 5:10] = True
    assert not mask[~grown].any()


def test_what_is_not_closed_or_not_on_one_frame_says_nothing(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="path")
    view.layer.add(square(2, 4, 5, 10, 20)[:2], shape_type="line")
    across = np.array([[0, 4, 5], [5, 4, 5], [5, 4, 9], [0, 4, 9]], float)  # drawn with the frame axis shown
    view.layer.add(across, shape_type="rectangle")
    drawn = view.read()
    assert (drawn.boxes, drawn.outlines) == ({}, {})


def test_masks_are_the_same_value_until_a_vertex_moves(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="polygon")
    first = view.read().outlines[KEY]
    assert view.read().outlines[KEY] is first
    view.layer.data = [(square(2, 4, 5, 12, 20), "polygon")]
    assert view.read().outlines[KEY] is not first


@given(
    st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 55)), min_size=3, max_size=8),
)
def test_pixels_count_by_their_centres(vertices: list[tuple[float, float]]) -> None:
    yx = np.array(vertices)
    mask = mask_of(yx, "polygon", (40, 50))
    centres = np.indices((40, 50)).reshape(2, -1).T
    certain = ~near_an_edge(yx, centres)
    inside = winding_is_odd(yx, centres)
    assert np.array_equal(mask.ravel()[certain], inside[certain])


def near_an_edge(yx: npt.NDArray[np.float64], points: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    close = np.zeros(len(points), np.bool_)
    for a, b in zip(yx, np.roll(yx, -1, axis=0), strict=True):
        step = b - a
        length = float(step @ step)
        along = np.zeros(len(points)) if length == 0 else np.clip((points - a) @ step / length, 0, 1)
        close |= np.linalg.norm(points - a - along[:, None] * step, axis=1) < 1e-6
    return close


def winding_is_odd(yx: npt.NDArray[np.float64], points: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    odd = np.zeros(len(points), np.bool_)
    y, x = points.T
    for (ay, ax), (by, bx) in zip(yx, np.roll(yx, -1, axis=0), strict=True):
        crosses = (ay > y) != (by > y)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            odd ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return odd


def test_ellipses_fill_their_rectangle() -> None:
    mask = mask_of(square(0, 6, 10, 14, 30)[:, 1:], "ellipse", (40, 50))
    rows, columns = np.mgrid[:40, :50]
    radius = ((rows - 10) / 4) ** 2 + ((columns - 20) / 10) ** 2
    assert mask[radius < 0.9].all()
    assert not mask[radius > 1.01].any()


def test_an_outline_comes_back_with_its_vertices(view: ShapesView) -> None:
    view.set_next(3)
    vertices = square(2, 4, 5, 10, 20)
    view.layer.add(vertices, shape_type="polygon")
    drawn = view.read()
    view.remember(drawn)
    prompts = {PromptKey(3, 2): FramePrompts(mask=drawn.outlines[PromptKey(3, 2)])}
    view.layer.remove([0])
    assert view.show(prompts) == {PromptKey(3, 2)}
    assert view.layer.shape_type == ["polygon"]
    assert np.allclose(view.layer.data[0], vertices)
    assert view.objects().tolist() == [3]


def test_masks_that_were_never_drawn_are_not_shown(view: ShapesView) -> None:
    assert view.show({KEY: FramePrompts(mask=disc(10, 10))}) == set()
    assert len(view.layer.data) == 0


def test_shown_boxes_are_read_again_and_others_go(view: ShapesView) -> None:
    view.layer.add([square(1, 1, 1, 9, 9), square(5, 1, 1, 5, 5)])
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="path")
    prompts = {
        PromptKey(2, 0): FramePrompts(box=(1, 2, 3.5, 4)),
        PromptKey(1, 5): FramePrompts(box=(1, 1, 5, 5)),
    }
    view.show(prompts)
    assert {key: FramePrompts(box=box) for key, box in view.read().boxes.items()} == prompts
    assert "path" in view.layer.shape_type


def test_an_outline_goes_when_another_mask_comes(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="polygon")
    view.remember(view.read())
    assert view.show({KEY: FramePrompts(mask=disc(10, 10))}) == set()
    assert len(view.layer.data) == 0


def test_an_outline_and_a_box_stay_together(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="polygon")
    drawn = view.read()
    view.remember(drawn)
    prompts = {KEY: FramePrompts(mask=drawn.outlines[KEY], box=(1, 1, 30, 30))}
    assert view.show(prompts) == {KEY}
    again = view.read()
    assert again.boxes == {KEY: (1, 1, 30, 30)}
    assert again.outlines == drawn.outlines
    assert len(view.layer.data) == 2


def test_edges_have_the_colours_of_objects_and_hidden_ones_none(view: ShapesView) -> None:
    colours = ObjectColours()
    view.show({PromptKey(obj, 0): FramePrompts(box=(1, 2, 3, 4)) for obj in (1, 2)})
    expected = {obj: colours.colour(obj) for obj in (1, 2)}
    edges = dict(zip(view.objects().tolist(), view.layer.edge_color, strict=True))
    assert all(np.allclose(edges[obj], colour, atol=1e-6) for obj, colour in expected.items())


def test_a_shape_that_is_being_drawn_is_told_apart(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20), shape_type="rectangle", gui=True)
    assert view.drawing
    view.layer.remove([0])
    assert not view.drawing


def test_shapes_that_a_script_replaces_by_none_leave_no_object_behind(view: ShapesView) -> None:
    view.set_next(2)
    view.layer.add([square(1, 4, 5, 10, 20), square(2, 4, 5, 10, 20)])
    view.layer.data = []
    view.set_next(3)
    view.layer.add(square(2, 4, 5, 10, 20))
    assert set(view.tidy().boxes) == {PromptKey(3, 2)}
    assert len(view.layer.features) == len(view.layer.edge_color) == 1


def test_shapes_without_an_object_stay_with_the_one_that_was_active(view: ShapesView) -> None:
    view.layer.add(square(2, 4, 5, 10, 20))
    view.layer.features = {"object": [np.nan]}
    view.set_next(3)
    assert set(view.tidy().boxes) == {PromptKey(3, 2)}
    view.set_next(4)
    assert set(view.tidy().boxes) == {PromptKey(3, 2)}
