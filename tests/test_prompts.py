"""Prompts: what is accepted, what is refused and in which words, JSON form, differences."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.prompts import (
    FramePrompts,
    PromptDifference,
    PromptKey,
    check_object_id,
    difference,
)

MASK = np.zeros((8, 10), bool)
MASK[2:4, 3:7] = True

coordinate = st.floats(-0.5, 500.0, allow_nan=False)


@st.composite
def frame_prompts(draw: st.DrawFn) -> FramePrompts:
    points = draw(st.lists(st.tuples(coordinate, coordinate), max_size=4))
    positive = draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    y0, x0 = draw(coordinate), draw(coordinate)
    box = draw(st.none() | st.just((y0, x0, y0 + 1.5, x0 + 2.25)))
    mask = draw(st.none() | st.just(MASK))
    return FramePrompts(points, positive, box, mask, draw(st.none() | st.integers(0, 2)))


def test_defaults_say_nothing() -> None:
    prompts = FramePrompts()
    assert prompts.is_empty
    assert not prompts.says_absent
    assert prompts == FramePrompts(points=np.zeros((0, 2)), positive=np.zeros(0, bool))
    assert repr(prompts) == "FramePrompts()"


def test_numpy_arrays_become_python_values() -> None:
    prompts = FramePrompts(
        points=np.array([[1, 2], [3, 4]], np.uint16),
        positive=np.array([1, 0]),
        box=np.array([0, 1, 2, 3], np.float32),
        mask=MASK.astype(np.uint8),
        candidate=np.int64(2),  # type: ignore[arg-type]
    )
    assert prompts.points == ((1.0, 2.0), (3.0, 4.0))
    assert prompts.positive == (True, False)
    assert prompts.box == (0.0, 1.0, 2.0, 3.0)
    assert all(type(value) is float for point in prompts.points for value in point)
    assert all(type(value) is bool for value in prompts.positive)
    assert type(prompts.candidate) is int
    assert prompts.mask is not None
    assert prompts.mask.dtype == np.bool_


def test_the_mask_is_a_read_only_copy() -> None:
    mask = MASK.copy()
    prompts = FramePrompts(mask=mask)
    mask[:] = False
    assert prompts.mask is not None
    assert prompts.mask.sum() == 8
    with pytest.raises(ValueError, match="read-only"):
        prompts.mask[0, 0] = True


def test_a_value_cannot_be_changed_but_replaced() -> None:
    prompts = FramePrompts(points=[(1, 2)], positive=[True], mask=MASK)
    with pytest.raises(FrozenInstanceError):
        prompts.box = (0, 0, 1, 1)  # type: ignore[misc]
    moved = replace(prompts, points=((3, 4),))
    assert moved.points == ((3.0, 4.0),)
    assert moved.mask is not None
    assert (moved.mask == MASK).all()


def test_equality_compares_contents() -> None:
    assert FramePrompts(mask=MASK) == FramePrompts(mask=MASK.copy())
    assert FramePrompts(mask=MASK) != FramePrompts(mask=~MASK)
    assert FramePrompts(mask=MASK) != FramePrompts(mask=MASK[:, :9])
    assert FramePrompts(mask=MASK) != FramePrompts()
    assert FramePrompts([(1, 2)], [True]) != FramePrompts([(1, 2)], [False])
    assert FramePrompts([(1, 2)], [True]) != FramePrompts([(1, 2)], [True], candidate=0)
    assert FramePrompts() != "prompts"
    with pytest.raises(TypeError):
        hash(FramePrompts())


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_packed_mask_says_what_its_pixels_say(mask: NDArray[np.bool_]) -> None:
    packed = PackedMask.pack(mask)
    prompts = FramePrompts(mask=packed)
    assert prompts.packed is packed
    assert prompts == FramePrompts(mask=mask)
    assert repr(prompts) == repr(FramePrompts(mask=mask))
    assert prompts.says_absent is not bool(mask.any())
    assert prompts.mask is not None
    assert np.array_equal(prompts.mask, mask)
    prompts.check_frame((mask.shape[0], mask.shape[1]))
    with pytest.raises(ValueError, match="covers a whole frame"):
        prompts.check_frame((mask.shape[0], mask.shape[1] + 1))
    assert FramePrompts.from_json(prompts.to_json(), packed) == prompts


def test_a_replaced_value_keeps_the_mask() -> None:
    prompts = FramePrompts(mask=MASK, candidate=1)
    assert replace(prompts, candidate=None) == FramePrompts(mask=MASK)
    assert replace(prompts, mask=None) == FramePrompts(candidate=1)
    assert pickle.loads(pickle.dumps(prompts)) == prompts


def test_a_mask_of_a_large_frame_takes_the_memory_of_its_box() -> None:
    mask = np.zeros((2048, 2048), bool)
    mask[100:400, 700:1000] = True
    packed = FramePrompts(mask=mask).packed
    assert packed is not None
    assert packed.bits.nbytes == 300 * 300 // 8


def test_repr_tells_what_there_is() -> None:
    text = repr(FramePrompts([(1, 2)], [True], (0, 0, 4, 4), MASK, 1))
    assert text == (
        "FramePrompts(points=((1.0, 2.0),), positive=(True,), box=(0.0, 0.0, 4.0, 4.0), "
        "mask=<(8, 10), 8 pixels>, candidate=1)"
    )


@pytest.mark.parametrize(
    ("values", "absent", "empty"),
    [
        ({"mask": np.zeros((4, 4))}, True, False),
        ({"mask": np.zeros((4, 4)), "points": [(1, 1)], "positive": [False]}, False, False),
        ({"mask": np.zeros((4, 4)), "box": (0, 0, 2, 2)}, False, False),
        ({"mask": np.eye(4)}, False, False),
        ({"candidate": 1}, False, True),
    ],
)
def test_absence_and_emptiness(values: dict[str, Any], absent: bool, empty: bool) -> None:
    prompts = FramePrompts(**values)
    assert prompts.says_absent is absent
    assert prompts.is_empty is empty


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"points": [(1, 2)], "positive": []}, ValueError, "1 points came with 0 values"),
        ({"points": [(1, 2)], "positive": [True, True]}, ValueError, "give one True"),
        ({"points": (1, 2), "positive": (True, True)}, ValueError, r"\(N, 2\)"),
        ({"points": [(1, 2, 3)], "positive": [True]}, ValueError, r"shape \(1, 3\)"),
        ({"points": [(1, 2), (3,)], "positive": [True, True]}, ValueError, "regular list"),
        ({"points": [(np.nan, 2)], "positive": [True]}, ValueError, "finite"),
        ({"points": [(np.inf, 2)], "positive": [True]}, ValueError, "finite"),
        ({"points": [("a", "b")], "positive": [True]}, TypeError, "real numbers"),
        ({"points": [(1j, 2)], "positive": [True]}, TypeError, "real numbers"),
        ({"points": [(1, 2)], "positive": True}, ValueError, "one bool for each point"),
        ({"points": [(1, 2)], "positive": [2]}, ValueError, "True and False"),
        ({"points": [(1, 2)], "positive": ["yes"]}, ValueError, "True and False"),
        ({"box": (1, 2, 3)}, ValueError, r"\(y0, x0, y1, x1\)"),
        ({"box": (1, 2, np.nan, 3)}, ValueError, "finite"),
        ({"box": (5, 2, 3, 4)}, ValueError, "y corners swapped, y0 = 5.0 > y1 = 3.0"),
        ({"box": (1, 4, 3, 2)}, ValueError, "x corners swapped"),
        ({"box": (1, 2, 1, 4)}, ValueError, "no area: y0 and y1 are both 1.0"),
        ({"box": (1, 2, 3, 2)}, ValueError, "no area: x0 and x1"),
        ({"box": "wide"}, TypeError, "real numbers"),
        ({"mask": np.zeros(4)}, ValueError, "two-dimensional"),
        ({"mask": np.zeros((2, 4, 4))}, ValueError, "two-dimensional"),
        ({"mask": np.zeros((0, 4))}, ValueError, "two-dimensional"),
        ({"mask": PackedMask.pack(np.zeros((0, 4), bool))}, ValueError, "two-dimensional"),
        ({"mask": np.full((4, 4), 255)}, ValueError, "compare it first"),
        ({"mask": np.full((4, 4), np.nan)}, ValueError, "compare it first"),
        ({"mask": np.full((4, 4), "x")}, TypeError, "True and False"),
        ({"candidate": 3}, ValueError, "give 0, 1 or 2"),
        ({"candidate": -1}, ValueError, "give 0, 1 or 2"),
        ({"candidate": True}, TypeError, "whole number"),
        ({"candidate": 1.0}, TypeError, "whole number"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused(
    values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        FramePrompts(**values)


@pytest.mark.parametrize("point", [(-0.5, -0.5), (7.5, 9.5), (0, 0)])
def test_points_on_the_pixels_of_a_frame_fit(point: tuple[float, float]) -> None:
    FramePrompts([point], [True]).check_frame((8, 10))


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((-0.6, 0), "y = -0.6"),
        ((7.6, 0), "8 x 10"),
        ((0, 9.6), r"x must be from -0.5 to 9.5"),
        ((0, -3), "x = -3"),
    ],
)
def test_points_beside_the_frame_do_not(point: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FramePrompts([point], [True]).check_frame((8, 10))


def test_boxes_may_end_where_the_box_of_a_mask_at_the_edge_does() -> None:
    FramePrompts(box=(0, 0, 8, 10)).check_frame((8, 10))
    FramePrompts(box=(-0.5, -0.5, 7.5, 9.5)).check_frame((8, 10))
    for box in [(-1, 0, 4, 4), (0, 0, 8.1, 4), (0, 0, 4, 11)]:
        with pytest.raises(ValueError, match="box corner"):
            FramePrompts(box=box).check_frame((8, 10))


def test_masks_cover_the_frame() -> None:
    FramePrompts(mask=MASK).check_frame((8, 10))
    with pytest.raises(ValueError, match=r"shape \(8, 10\), the frame \(10, 8\)"):
        FramePrompts(mask=MASK).check_frame((10, 8))


@given(frame_prompts())
def test_json_round_trip(prompts: FramePrompts) -> None:
    document = json.loads(json.dumps(prompts.to_json()))
    assert FramePrompts.from_json(document, mask=prompts.mask) == prompts


def test_json_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown entries \['boxes'\]"):
        FramePrompts.from_json({"points": [], "boxes": []})
    with pytest.raises(ValueError, match="none came"):
        FramePrompts.from_json({"mask": True})
    with pytest.raises(ValueError, match="one came"):
        FramePrompts.from_json({"points": [], "positive": []}, mask=MASK)


keys = st.builds(PromptKey, obj=st.integers(1, 3), frame=st.integers(0, 3))
prompt_sets = st.dictionaries(keys, frame_prompts(), max_size=5)


@given(prompt_sets, prompt_sets)
def test_applying_a_difference_gives_the_new_set(
    old: dict[PromptKey, FramePrompts], new: dict[PromptKey, FramePrompts]
) -> None:
    found = difference(old, new)
    result = {key: value for key, value in old.items() if key not in found.removed} | found.changed
    assert _spoken(result) == _spoken(new)
    assert all(old.get(key) != value for key, value in found.changed.items())
    assert list(found.changed) == sorted(found.changed)
    assert found.is_empty == (_spoken(old) == _spoken(new))


def _spoken(prompts: dict[PromptKey, FramePrompts]) -> dict[PromptKey, FramePrompts]:
    return {key: value for key, value in prompts.items() if not value.is_empty}


def test_empty_prompts_remove() -> None:
    key = PromptKey(obj=1, frame=4)
    found = difference({key: FramePrompts([(1, 1)], [True])}, {key: FramePrompts()})
    assert found == PromptDifference(changed={}, removed=(key,))


def test_keys_sort_by_object_then_frame() -> None:
    keys = [PromptKey(2, 0), PromptKey(1, 5), PromptKey(1, 2)]
    assert sorted(keys) == [PromptKey(1, 2), PromptKey(1, 5), PromptKey(2, 0)]


@pytest.mark.parametrize("obj", [1, np.uint32(7), np.int64(2**32 - 1)])
def test_object_ids(obj: object) -> None:
    number = check_object_id(obj)
    assert type(number) is int
    assert number == obj


@pytest.mark.parametrize(
    ("obj", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (2**32, ValueError),
        (1.0, TypeError),
        (True, TypeError),
        (np.True_, TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_object_ids_that_are_none(obj: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="whole number"):
        check_object_id(obj)


def test_the_area_is_that_of_the_mask() -> None:
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:6] = True
    assert FramePrompts(mask=mask).mask_area == 8
    assert FramePrompts(mask=np.zeros((5, 7), bool)).mask_area == 0
    assert FramePrompts(points=((1, 2),), positive=(True,)).mask_area is None
