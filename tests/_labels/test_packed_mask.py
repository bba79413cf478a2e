"""Masks at one bit a pixel: nothing is lost, and they are compared by their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.placement import BoolArray, Box, mask_box
from tests.test_placement import boxes


@st.composite
def masks(draw: st.DrawFn) -> BoolArray:
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))


@given(masks(), st.data())
def test_packing_a_mask_loses_nothing(mask: BoolArray, data: st.DataObject) -> None:
    packed = PackedMask.pack(mask)
    np.testing.assert_array_equal(packed.unpack(), mask)
    box = data.draw(boxes((mask.shape[0], mask.shape[1])))
    np.testing.assert_array_equal(packed.unpack(box), mask[box.slices])
    assert packed.box == mask_box(mask)
    assert packed.bits.nbytes <= mask.size // 8 + 1


@given(masks(), st.data())
def test_a_mask_is_packed_where_its_box_is(mask: BoolArray, data: st.DataObject) -> None:
    shape = (mask.shape[0], mask.shape[1])
    box = data.draw(boxes(shape))
    inside = np.zeros(shape, np.bool_)
    inside[box.slices] = mask[box.slices]
    assert PackedMask.pack_within(mask[box.slices], box, shape) == PackedMask.pack(inside)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[BoolArray, BoolArray]:
    """Draw two masks of one shape, alike more often than chance has it."""
    one = draw(masks())
    other = draw(hnp.arrays(np.bool_, one.shape))
    return one, draw(st.sampled_from([other, one.copy(), one & other, one | other]))


@given(pairs())
def test_packed_masks_are_compared_by_their_pixels(pair: tuple[BoolArray, BoolArray]) -> None:
    one, other = pair
    a, b = PackedMask.pack(one), PackedMask.pack(other)
    same = np.array_equal(one, other)
    assert (a == b) is same
    assert len({a, b}) == 2 - same
    assert a.is_within(b) is not bool((one & ~other).any())
    assert a.area == np.count_nonzero(one)


def test_masks_of_frames_of_other_shapes_are_others() -> None:
    assert PackedMask.pack(np.zeros((3, 4), bool)) != PackedMask.pack(np.zeros((4, 3), bool))
    assert PackedMask.pack(np.eye(3, dtype=bool)) != PackedMask.pack(np.eye(3, 4, dtype=bool))
    assert PackedMask.pack(np.eye(3, dtype=bool)) != "mask"


@pytest.mark.parametrize(
    ("size", "box", "shape"),
    [
        (1, Box(0, 0, 3, 3), (3, 3)),
        (1, None, (3, 3)),
        (2, Box(0, 0, 3, 3), (2, 3)),
        (1, Box(2, 2, 1, 1), (3, 3)),
    ],
    ids=["too few bits", "no box", "beyond the frame", "upside down"],
)
def test_bits_box_and_frame_fit_together(size: int, box: Box | None, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="are no mask in the box"):
        PackedMask(np.zeros(size, np.uint8), box, shape)


def test_packed_bits_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        PackedMask.pack(np.eye(3, dtype=bool)).bits[0] = 0


def test_only_masks_are_packed() -> None:
    with pytest.raises(TypeError, match="boolean"):
        PackedMask.pack(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        PackedMask.pack(np.zeros(3, dtype=bool))
