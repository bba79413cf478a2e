"""Clean-up: drawn examples, and properties against a plain flood fill."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_sam2.cleanup import Cleanup

BoolArray = NDArray[np.bool_]

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def draw(*rows: str) -> BoolArray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def components(mask: BoolArray) -> Iterator[set[tuple[int, int]]]:
    """8-connected components by flood fill."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    while left:
        stack, part = [min(left)], {min(left)}
        while stack:
            y, x = stack.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & (left - part)
            part |= near
            stack += near
        left -= part
        yield part


def as_mask(parts: list[set[tuple[int, int]]], shape: tuple[int, ...]) -> BoolArray:
    mask = np.zeros(shape, bool)
    for part in parts:
        for pixel in part:
            mask[pixel] = True
    return mask


def test_holes_up_to_an_area_are_filled() -> None:
    mask = draw(
        "#########",
        "##.###..#",
        "#######.#",
        "#########",
    )
    assert (
        Cleanup(fill_holes=1).apply(mask) == mask | (np.indices(mask.shape) == [[[1]], [[2]]]).all(0)
    ).all()
    assert Cleanup(fill_holes=2).apply(mask).sum() == mask.sum() + 1
    assert Cleanup(fill_holes=3).apply(mask).all()


def test_a_hole_that_is_open_at_a_corner_is_none() -> None:
    mask = draw(
        ".....",
        ".###.",
        ".#.#.",
        ".##..",
        ".....",
    )
    assert (Cleanup(fill_holes=8).apply(mask) == mask).all()


def test_small_background_at_the_edge_of_the_frame_is_filled_too() -> None:
    mask = draw(
        ".###",
        "####",
        "####",
    )
    assert Cleanup(fill_holes=1).apply(mask).all()


def test_an_empty_mask_stays_empty_on_the_smallest_frame() -> None:
    assert not Cleanup(fill_holes=100, drop_specks=100, keep_largest=True).apply(np.zeros((3, 3), bool)).any()


def test_specks_are_dropped() -> None:
    mask = draw(
        "#....##",
        "......#",
        "####...",
        "####...",
    )
    assert Cleanup(drop_specks=1).apply(mask).sum() == 11
    assert Cleanup(drop_specks=3).apply(mask).sum() == 8
    assert Cleanup(drop_specks=100).apply(mask).sum() == 8


def test_the_largest_part_counts_with_its_holes() -> None:
    mask = draw(
        "###....",
        "#.#.###",
        "###.###",
        "....##.",
    )
    assert Cleanup(keep_largest=True).apply(mask).sum() == 8
    kept = Cleanup(fill_holes=1, keep_largest=True).apply(mask)
    assert kept[:3, :3].all()
    assert kept.sum() == 9


def test_of_equal_parts_the_first_is_kept() -> None:
    mask = draw("..##", "....", "##..")
    assert Cleanup(keep_largest=True).apply(mask)[0].sum() == 2


@given(masks, st.integers(0, 30))
def test_filling_against_flood_fill(mask: BoolArray, area: int) -> None:
    holes = [part for part in components(~mask) if len(part) <= area and mask.any()]
    assert (Cleanup(fill_holes=area).apply(mask) == mask | as_mask(holes, mask.shape)).all()


@given(masks, st.integers(1, 30))
def test_dropping_against_flood_fill(mask: BoolArray, area: int) -> None:
    parts = sorted(components(mask), key=len, reverse=True)
    kept = parts[:1] + [part for part in parts[1:] if len(part) > area]
    found = Cleanup(drop_specks=area).apply(mask)
    assert found.sum() == sum(len(part) for part in kept)
    assert (found == as_mask(kept, mask.shape)).all() or len(parts[0]) <= area


@settings(max_examples=50)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 8), masks)
def test_the_result_does_not_depend_on_where_the_object_lies(
    y: int, x: int, area: int, mask: BoolArray
) -> None:
    """Work is done on a crop: holes must not look smaller there than on the frame."""
    frame = np.zeros((24, 24), bool)
    frame[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    holes = [part for part in components(~frame) if len(part) <= area and frame.any()]
    assert (Cleanup(fill_holes=area).apply(frame) == frame | as_mask(holes, frame.shape)).all()


@given(masks, st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_the_input_is_never_touched_nor_returned(
    mask: BoolArray, fill: int, drop: int, largest: bool
) -> None:
    before = mask.copy()
    mask.setflags(write=False)
    result = Cleanup(fill, drop, largest).apply(mask)
    assert (mask == before).all()
    assert result.flags.writeable
    assert not np.shares_memory(result, mask)
    assert result.dtype == np.bool_


@given(masks, st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_twice_is_the_same_as_once(mask: BoolArray, fill: int, drop: int, largest: bool) -> None:
    cleanup = Cleanup(0 if drop or largest else fill, drop, largest)
    once = cleanup.apply(mask)
    assert (cleanup.apply(once) == once).all()


def test_idle() -> None:
    assert Cleanup().is_idle
    assert not Cleanup(fill_holes=1).is_idle
    assert not Cleanup(keep_largest=True).is_idle


def test_bad_values() -> None:
    with pytest.raises(ValueError, match="fill_holes is -1"):
        Cleanup(fill_holes=-1)
    with pytest.raises(TypeError, match=r"drop_specks is 2\.5"):
        Cleanup(drop_specks=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="whole number"):
        Cleanup(fill_holes=True)
    with pytest.raises(ValueError, match="two-dimensional"):
        Cleanup().apply(np.zeros((2, 3, 4), bool))
