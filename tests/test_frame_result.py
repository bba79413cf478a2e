"""Results at the frame's own resolution, the cropped masks of single objects in them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.frame_result import FrameResult
from napari_sam2.placement import Box, PlacedLogits

FRAME = (24, 30)


def placed(seed: int) -> PlacedLogits:
    logits = np.random.default_rng(seed).normal(size=(8, 8)).astype(np.float32)
    return PlacedLogits(logits, (0, 0, *FRAME), FRAME)


def nothing() -> PlacedLogits:
    return PlacedLogits(np.full((8, 8), -5, np.float32), (0, 0, *FRAME), FRAME)


def result(*rows: PlacedLogits) -> FrameResult:
    count = len(rows)
    return FrameResult(
        frame=4,
        objects=tuple(range(3, 3 + count)),
        presence=np.linspace(0, 1, count, dtype=np.float32),
        iou=np.ones(count, np.float32),
        placed=rows,
        frame_shape=FRAME,
    )


def test_logits_are_those_of_each_object_in_order() -> None:
    first, second = placed(0), placed(1)
    both = result(first, second)
    assert both.logits.shape == (2, *FRAME)
    assert both.logits.dtype == np.float32
    np.testing.assert_array_equal(both.logits, [first.render(), second.render()])


def test_masks_are_where_logits_are_positive() -> None:
    both = result(placed(0), nothing())
    assert both.masks.dtype == np.bool_
    np.testing.assert_array_equal(both.masks, both.logits > 0)
    assert not both.masks[1].any()


@pytest.mark.parametrize("seed", range(8))
def test_masks_of_small_objects_in_windows_are_where_logits_are_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = np.full((8, 8), -3, np.float32)
    y, x = rng.integers(0, 7, 2)
    logits[y : y + 2, x : x + 2] = rng.normal(1, 2, (2, 2))
    window = (int(rng.integers(-4, 12)), int(rng.integers(-4, 12)), 20, 28)
    seen = result(PlacedLogits(logits, window, FRAME), nothing())
    np.testing.assert_array_equal(seen.masks, seen.logits > 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_cropped_mask_is_the_whole_one_in_its_box(seed: int) -> None:
    both = result(placed(seed), placed(seed + 10))
    for index, obj in enumerate(both.objects):
        cropped = both.mask_of(obj)
        whole = np.zeros(FRAME, bool)
        whole[cropped.box.slices] = cropped.crop
        np.testing.assert_array_equal(whole, both.masks[index])


def test_the_mask_of_an_object_that_is_not_there_is_empty() -> None:
    cropped = result(nothing()).mask_of(3)
    assert cropped.box == Box(0, 0, 0, 0)
    assert cropped.crop.shape == (0, 0)


def test_an_object_that_is_not_part_of_it_is_named() -> None:
    with pytest.raises(KeyError, match=r"object 9 .* \(3, 4\)"):
        result(placed(0), placed(1)).mask_of(9)


def test_a_result_without_objects_has_arrays_of_no_rows() -> None:
    empty = result()
    assert empty.logits.shape == empty.masks.shape == (0, *FRAME)
    assert empty.candidates.shape == (0, 0, 0)
