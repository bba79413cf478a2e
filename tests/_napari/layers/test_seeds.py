"""Layers of the user's as prompts for many objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.seeds import LabelSeeds, owners_of, read_seeds
from napari_sam2.prompts import FramePrompts

SHAPE = (6, 20, 30)
TRANSFORMS: list[dict[str, Any]] = [
    {},
    {"scale": (4, 0.5, 0.5), "translate": (3, -2, 9)},
    {"rotate": 30, "scale": (2, 1, 1)},
]


def seeds_of(layer: Layer, frame: int = 2, **options: Any) -> dict[int, dict[int, FramePrompts]]:
    image = Image(np.zeros(SHAPE, np.uint8), **options)
    geometry = SequenceGeometry.of(image, frame_axis=0)
    target = Labels(np.zeros(SHAPE, np.uint8), **geometry.layer_kwargs(image))
    if not isinstance(layer, Labels):
        return read_seeds(layer, target, geometry, frame)
    masks, seeds = LabelSeeds(layer, target, geometry, frame), dict[int, dict[int, FramePrompts]]()
    for at in masks.frames:
        for obj in masks.look(at):
            seeds.setdefault(obj, {})[at] = masks.prompts(obj, at)
    return dict(sorted(seeds.items()))


def square(y0: float, x0: float, y1: float, x1: float, *before: float) -> npt.NDArray[np.float64]:
    return np.array([[*before, y, x] for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))], float)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_each_point_is_an_object_where_it_lies_in_the_world(transform: dict[str, Any]) -> None:
    places = np.array([[0, 3, 4], [5, 19, 29], [2, 7.5, 8]], float)
    seeds = seeds_of(Points(places, **transform), **transform)
    assert [(obj, list(frames)) for obj, frames in seeds.items()] == [(1, [0]), (2, [5]), (3, [2])]
    assert np.allclose(seeds[3][2].points, [(7.5, 8)])
    assert seeds[3][2].positive == (True,)


def test_another_scale_is_another_place() -> None:
    seeds = seeds_of(Points([[8, 6, 8]], scale=(1, 0.5, 0.5)), scale=(4, 1, 1))
    assert seeds == {1: {2: FramePrompts(((3, 4),), (True,))}}


def test_points_without_the_frame_axis_count_on_the_frame_that_is_shown() -> None:
    seeds = seeds_of(Points([[3, 4], [90, 4]]), frame=4, scale=(7, 1, 1), translate=(5, 0, 0))
    assert seeds == {1: {4: FramePrompts(((3, 4),), (True,))}}


def test_features_tell_objects_and_signs() -> None:
    features = {"label": [7, 2, 7], "positive": [True, True, False]}
    seeds = seeds_of(Points([[2, 1, 1], [2, 5, 5], [2, 9, 9]], features=features))
    assert seeds == {
        7: {2: FramePrompts(((1, 1), (9, 9)), (True, False))},
        2: {2: FramePrompts(((5, 5),), (True,))},
    }


@pytest.mark.parametrize(
    ("column", "ids", "are_given"),
    [
        ([7, 2, 7], [7, 2, 7], True),
        (np.array([7, 2, 7], np.uint32), [7, 2, 7], True),
        ([7.0, 2.0, 7.0], [7, 2, 7], True),
        (np.array([np.int64(7), np.float32(2), 7], object), [7, 2, 7], True),
        (np.array([7, 2.0, 7], object), [7, 2, 7], True),
        (["bud", "mother", "bud"], [1, 2, 3], False),
        (np.array(["bud", "mother", "bud"], object), [1, 2, 3], False),
        ([7.5, 2.0, 7.0], [1, 2, 3], False),
        ([7.0, np.nan, 7.0], [1, 2, 3], False),
        ([np.inf, 2.0, 7.0], [1, 2, 3], False),
        ([0, 2, 7], [1, 2, 3], False),
        (["bud", "", "bud"], [1, 2, 3], False),
        ([True, True, False], [1, 2, 3], False),
    ],
)
def test_columns_tell_whose_points_are(column: Any, ids: list[int], are_given: bool) -> None:
    owners = owners_of(Points([[2, 1, 1], [2, 5, 5], [2, 9, 9]], features={"label": column}))
    assert owners.ids.tolist() == ids
    assert owners.are_given is are_given


def test_words_tell_nothing_where_another_column_has_numbers() -> None:
    features = {"label": ["bud", "bud"], "track_id": [4, 5]}
    assert list(seeds_of(Points([[2, 1, 1], [2, 5, 5]], features=features))) == [4, 5]


def test_words_tell_signs() -> None:
    words = ["no", "False", " NEGATIVE ", "0", "yes", "True", "positive", "1", "of the nucleus"]
    features = {"label": [1] * len(words), "positive": words}
    (on_frame,) = seeds_of(Points([[2, 1, 1]] * len(words), features=features)).values()
    assert on_frame[2].positive == (False,) * 4 + (True,) * 5


def test_points_outside_are_left_out() -> None:
    assert seeds_of(Points([[9, 1, 1], [2, -3, 1]])) == {}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_rectangles_are_boxes(transform: dict[str, Any]) -> None:
    shapes = Shapes([square(2, 3, 8, 9, 1), square(2, 3, 8, 99, 3)], shape_type="rectangle", **transform)
    seeds = seeds_of(shapes, **transform)
    assert np.allclose(seeds[1][1].box, (2, 3, 8, 9))  # type: ignore[arg-type]
    assert np.allclose(seeds[2][3].box, (2, 3, 8, 30))  # type: ignore[arg-type]


def test_rectangles_that_are_turned_are_masks() -> None:
    shapes = Shapes([square(2, 3, 12, 13)], shape_type="rectangle", rotate=20)
    (prompts,) = seeds_of(shapes)[1].values()
    assert prompts.box is None
    assert prompts.mask is not None
    assert prompts.mask.sum() == pytest.approx(100, abs=15)


def test_closed_shapes_are_masks_and_open_ones_nothing() -> None:
    shapes = Shapes(
        [square(2, 3, 8, 9), square(2, 3, 8, 9), square(2, 3, 8, 9)],
        shape_type=["polygon", "path", "ellipse"],
    )
    seeds = seeds_of(shapes, frame=5)
    assert sorted(seeds) == [1, 3]
    assert list(seeds[1]) == [5]
    assert seeds[1][5].mask is not None
    assert seeds[1][5].mask[3:8, 4:9].all()
    assert seeds[1][5].mask.sum() <= 49


def test_shapes_across_frames_or_beside_them_are_left_out() -> None:
    across = np.array([[0, 2, 3], [4, 2, 3], [4, 2, 9], [0, 2, 9]], float)
    shapes = Shapes([across, square(50, 3, 60, 9, 1), square(2, 3, 8, 9, 8)], shape_type="rectangle")
    assert seeds_of(shapes) == {}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_labels_are_masks_on_all_their_frames(transform: dict[str, Any]) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[1:3, 4:9, 5:7], labels[2, 15, 25] = 12, 3
    seeds = seeds_of(Labels(labels, **transform), **transform)
    assert [(obj, list(frames)) for obj, frames in seeds.items()] == [(3, [2]), (12, [1, 2])]
    assert np.array_equal(seeds[12][2].mask, labels[2] == 12)  # type: ignore[arg-type]


def test_flat_labels_count_on_the_frame_that_is_shown() -> None:
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[4, 5] = 2
    seeds = seeds_of(Labels(labels), frame=3, scale=(9, 1, 1))
    assert list(seeds[2]) == [3]
    mask = seeds[2][3].mask
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[4, 5]]


def test_coarser_labels_cover_more_pixels() -> None:
    labels = np.zeros((3, 10, 15), np.uint8)
    labels[1, 4, 5] = 2
    seeds = seeds_of(Labels(labels, scale=(2, 2, 2), translate=(0.5, 0.5, 0.5)))
    assert [(frame, int(each.mask.sum())) for frame, each in seeds[2].items() if each.mask is not None] == [
        (2, 4),
        (3, 4),
    ]


def test_the_layer_is_not_changed_and_others_are_refused() -> None:
    points = Points([[2, 3, 4]], features={"object": [5]})
    seeds_of(points)
    assert points.data.tolist() == [[2, 3, 4]]
    assert points.features["object"].tolist() == [5]
    with pytest.raises(TypeError, match="choose one of points, shapes or labels"):
        seeds_of(Image(np.zeros((4, 4)), name="cells"))
