"""Metrics: worked examples, an independent boundary F, and the written protocol where it is at hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.metrics import (
    Click,
    ProtocolObject,
    boundary_f,
    choose_objects,
    correction_click,
    innermost_point,
    jaccard,
    score_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

BoolArray = NDArray[np.bool_]
SHARED = Path(__file__).parents[2] / "shared"

sides = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
pairs = sides.flatmap(lambda shape: st.tuples(hnp.arrays(np.bool_, shape), hnp.arrays(np.bool_, shape)))


def rectangle(y0: int, x0: int, y1: int, x1: int, shape: tuple[int, int] = (20, 30)) -> BoolArray:
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def moving_squares() -> NDArray[np.uint16]:
    """Object 1 on frames 0-5, 2 on frames 3-9 and largest on 6, 3 on three frames only, 4 too small."""
    labels = np.zeros((10, 40, 60), np.uint16)
    for t in range(6):
        labels[t, 2:12, 2 + t : 12 + t] = 1
    for t in range(3, 10):
        labels[t, 20:32, 20 : 32 + (t == 6)] = 2
    labels[0:3, 20:32, 45:57] = 3
    labels[:, 36:39, 2:5] = 4
    return labels


def test_jaccard() -> None:
    a, b = rectangle(0, 0, 10, 10), rectangle(0, 5, 10, 15)
    assert jaccard(a, b) == pytest.approx(50 / 150)
    assert jaccard(a, a) == 1.0
    assert jaccard(a, ~a) == 0.0
    assert jaccard(a & ~a, a & ~a) == 1.0


def test_boundary_f_by_hand() -> None:
    a, b = rectangle(4, 4, 12, 12), rectangle(4, 7, 12, 15)
    assert boundary_f(a, a) == 1.0
    assert boundary_f(a, b, tolerance=3) == 1.0
    assert 0 < boundary_f(a, b, tolerance=1) < 1
    assert boundary_f(rectangle(0, 0, 3, 3), rectangle(15, 20, 18, 23), tolerance=2) == 0.0


def test_boundary_f_without_boundaries() -> None:
    nothing, everything = np.zeros((20, 30), bool), np.ones((20, 30), bool)
    assert boundary_f(nothing, nothing) == 1.0
    assert boundary_f(everything, everything) == 1.0
    assert boundary_f(nothing, everything) == 0.0
    assert boundary_f(nothing, rectangle(2, 2, 9, 9)) == 0.0


def test_the_default_tolerance_grows_with_the_frame() -> None:
    shape = (300, 400)  # the diagonal is 500, 0.8 % of it 4
    a = rectangle(50, 50, 150, 150, shape)
    assert boundary_f(a, rectangle(50, 54, 150, 154, shape)) == 1.0
    assert boundary_f(a, rectangle(50, 55, 150, 155, shape)) < 1.0


def slow_boundary(mask: BoolArray) -> BoolArray:
    height, width = mask.shape
    edge = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            below, right = min(y + 1, height - 1), min(x + 1, width - 1)
            near = {mask[below, x], mask[y, right], mask[below, right]}
            edge[y, x] = near != {mask[y, x]}
    return edge


@given(pairs, st.integers(0, 3))
def test_boundary_f_against_dilation(masks: tuple[BoolArray, BoolArray], radius: int) -> None:
    a, b = (slow_boundary(mask) for mask in masks)
    found = boundary_f(*masks, tolerance=radius)
    assert found == pytest.approx(boundary_f(*masks[::-1], tolerance=radius))
    if not a.any() or not b.any():
        assert found in (0.0, 1.0)
        return
    y, x = np.indices((2 * radius + 1, 2 * radius + 1)) - radius
    disc = y**2 + x**2 <= radius**2
    precision = (a & ndimage.binary_dilation(b, disc)).sum() / a.sum()
    recall = (b & ndimage.binary_dilation(a, disc)).sum() / b.sum()
    assert found == pytest.approx(2 * precision * recall / max(precision + recall, 1e-9))


@given(pairs)
def test_bounds_and_symmetry(masks: tuple[BoolArray, BoolArray]) -> None:
    a, b = masks
    assert jaccard(a, b) == jaccard(b, a)
    assert 0.0 <= jaccard(a, b) <= 1.0
    assert 0.0 <= boundary_f(a, b) <= 1.0
    assert boundary_f(a, a) == jaccard(a, a) == 1.0


@pytest.mark.parametrize("measure", [jaccard, boundary_f, correction_click])
def test_masks_of_two_shapes(measure: Callable[[BoolArray, BoolArray], object]) -> None:
    with pytest.raises(ValueError, match=r"one shape \(H, W\)"):
        measure(np.zeros((3, 4), bool), np.zeros((4, 3), bool))


@given(hnp.arrays(np.bool_, sides).filter(lambda mask: bool(mask.any())))
def test_the_innermost_point_is_farthest_from_any_edge(mask: BoolArray) -> None:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = innermost_point(mask)
    assert y * mask.shape[1] + x == depth.argmax()  # the first of equals
    assert mask[y, x]


def test_an_empty_mask_has_no_innermost_point() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        innermost_point(np.zeros((3, 3), bool))


def test_corrections_go_to_the_larger_error() -> None:
    truth = rectangle(2, 2, 11, 11)
    assert correction_click(truth, rectangle(2, 2, 11, 4)) == Click(5, 7, positive=True)  # the first of three
    assert correction_click(truth, rectangle(2, 2, 11, 24)) == Click(6, 15, positive=False)
    assert correction_click(truth, truth) is None
    assert correction_click(truth & ~truth, truth) == Click(6, 6, positive=False)


@given(pairs)
def test_a_correction_lies_on_an_error_and_says_which(masks: tuple[BoolArray, BoolArray]) -> None:
    truth, mask = masks
    click = correction_click(truth, mask)
    assert (click is None) == bool((truth == mask).all())
    if click is not None:
        assert truth[click.y, click.x] == click.positive
        assert mask[click.y, click.x] != click.positive


def test_objects_of_the_protocol() -> None:
    first, second = choose_objects(moving_squares())
    assert first == ProtocolObject(id=1, seed=0, click=first.click, first=0, last=7)
    assert first.click == (6, 6)
    assert (second.id, second.seed, second.first, second.last) == (2, 6, 1, 9)
    assert list(second.frames) == list(range(1, 10))


def test_every_object() -> None:
    assert [obj.id for obj in choose_objects(moving_squares(), every=True)] == [1, 2, 3, 4]


def test_many_objects_are_thinned_out_evenly() -> None:
    labels = np.zeros((4, 10, 260), np.int32)
    for obj in range(1, 27):
        labels[:, :8, 10 * obj - 10 : 10 * obj - 1] = obj
    assert [obj.id for obj in choose_objects(labels)] == [1, 3, 6, 8, 10, 12, 15, 17, 19, 21, 24, 26]
    assert len(choose_objects(labels, every=True)) == 26


def test_labels_without_objects_or_frames() -> None:
    assert choose_objects(np.zeros((5, 8, 8), np.uint8)) == ()
    with pytest.raises(ValueError, match="frame, y, x"):
        choose_objects(np.zeros((8, 8), np.uint8))


def test_a_perfect_score() -> None:
    labels = moving_squares()
    (_, obj) = choose_objects(labels)
    score = score_object(labels, obj, {t: labels[t] == 2 for t in range(10)})
    assert (score.j, score.f, score.j_present, score.absent_empty, score.j_seed) == (1, 1, 1, 1, 1)


def test_missing_frames_count_as_empty() -> None:
    labels = moving_squares()
    (_, obj) = choose_objects(labels)
    score = score_object(labels, obj, {6: labels[6] == 2})
    assert score.j == pytest.approx((2 + 1) / 9)  # frames 1 and 2 are rightly empty, 6 is right
    assert score.j_present == pytest.approx(1 / 7)
    assert score.absent_empty == 1.0
    assert score.worst_frame == 3
    assert score.frames == tuple(range(1, 10))


def test_what_is_found_where_nothing_is() -> None:
    labels = moving_squares()
    (_, obj) = choose_objects(labels)
    square = labels[5] == 2
    score = score_object(labels, obj, dict.fromkeys(range(2, 10), square))
    assert score.absent_empty == 0.5
    assert score.j_of_frame[:3] == (1.0, 0.0, 1.0)
    assert score.j_seed == pytest.approx(12 / 13)
    assert score.worst_frame == 2


def test_what_is_found_far_beyond_the_object_is_told_apart_from_its_margin() -> None:
    labels = np.zeros((12, 20, 20), np.uint8)
    labels[4:8, 5:15, 5:15] = 3
    (obj,) = choose_objects(labels)
    square = labels[5] == 3
    # Right on its own frames; on one of four in the margin, on two of four beyond: 0 and 11.
    score = score_object(labels, obj, dict.fromkeys((0, 3, *range(4, 8), 11), square))
    assert score.frames == tuple(range(2, 10))
    assert score.absent_empty == 0.75
    assert score.beyond_empty == 0.5
    assert score.j_present == 1


def test_an_object_on_all_scored_frames_is_never_absent() -> None:
    labels = np.zeros((4, 20, 20), np.uint8)
    labels[:, 5:15, 5:15] = 7
    (obj,) = choose_objects(labels)
    score = score_object(labels, obj, {})
    assert (score.absent_empty, score.beyond_empty) == (None, None)


@pytest.fixture(scope="module")
def written_protocol() -> ModuleType:
    path = SHARED / "protocol.py"
    if not path.exists():
        pytest.skip("the written protocol (../shared/protocol.py) is not on this machine")
    spec = importlib.util.spec_from_file_location("written_protocol", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["z_plant_nuclei_1135", "z_plant_ovule_membrane", "z_cells3d_nuclei"])
def test_numbers_are_those_of_the_written_protocol(written_protocol: ModuleType, name: str) -> None:
    path = SHARED / "data" / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{name} is not on this machine")
    labels = written_protocol.load(path)[1]
    theirs = written_protocol.objects(labels)
    ours = choose_objects(labels)
    assert [(o.id, o.seed, o.click, o.first, o.last) for o in ours] == [
        (o["id"], o["seed"], o["click"], o["first"], o["last"]) for o in theirs
    ]
    for our, their in zip(ours[::4], theirs[::4], strict=True):
        copies = dict.fromkeys(range(our.first + 1, our.last + 1), labels[our.seed] == our.id)
        score = score_object(labels, our, copies)
        assert score.j == pytest.approx(written_protocol.score(labels, their, copies), abs=1e-12)
