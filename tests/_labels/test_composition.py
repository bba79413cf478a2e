"""Boxes that are written together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._labels.composition import apart, listed, strips
from napari_sam2._labels.entries import Boxes
from napari_sam2.placement import Box

SIDE = 12
corners = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(1, 4), st.integers(1, 4))
boxes = corners.map(lambda c: Box(c[0], c[1], min(c[0] + c[2], SIDE), min(c[1] + c[3], SIDE)))


@given(st.lists(boxes, max_size=8))
def test_all_pixels_are_in_one_of_them(several: list[Box]) -> None:
    joined = apart(several)
    wanted, covered = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    for box in several:
        wanted[box.slices] = True
    for box in joined:
        covered[box.slices] = True
    assert covered[wanted].all()
    assert len(joined) <= len(several)


def test_those_that_meet_are_one() -> None:
    far = Box(8, 8, 9, 9)
    assert apart([Box(0, 0, 2, 2), far, Box(1, 1, 3, 4)]) == [Box(0, 0, 3, 4), far]
    assert apart([Box(0, 0, 2, 2)] * 5) == [Box(0, 0, 2, 2)]
    assert apart([]) == []


@given(st.lists(boxes, max_size=4), st.lists(boxes, min_size=1, max_size=4))
def test_boxes_are_listed_however_they_are_held(several: list[Box], others: list[Box]) -> None:
    held: list[Boxes] = [several, np.array(others, np.int32), np.zeros((0, 4), np.int32)]
    assert listed(held) == several + others
    assert all(type(side) is int for box in listed(held) for side in box)


@given(boxes, st.integers(1, 30))
def test_strips_are_the_box_in_parts(box: Box, pixels: int) -> None:
    parts = strips(box, pixels)
    covered = np.zeros((SIDE, SIDE), int)
    for part in parts:
        covered[part.slices] += 1
        assert part.shape[0] == 1 or part.shape[0] * part.shape[1] <= pixels
    assert covered.sum() == covered[box.slices].sum() == box.shape[0] * box.shape[1]
    assert covered.max() == 1
