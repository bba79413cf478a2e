"""The filter of an object's motion: against a plain Kalman filter, and what must hold for any object."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._tracking.motion import Motion, Path
from napari_sam2.placement import Box

whole = st.integers(-5, 5)
sizes = st.integers(8, 60)


def box_at(row: float, column: float, height: float, width: float) -> Box:
    """Make a box around a centre; half pixels fall down."""
    y0, x0 = int(row - height / 2), int(column - width / 2)
    return Box(y0, x0, y0 + int(height), x0 + int(width))


def followed(boxes: list[Box]) -> Motion:
    motion = Motion.at(boxes[0])
    for box in boxes[1:]:
        motion = motion.forecast().seen(box)
    return motion


def variance(motion: Motion) -> float:
    return max(motion.row.spread, motion.column.spread)


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=8),
    st.floats(0.1, 4),
    st.floats(0.1, 4),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_path_is_a_kalman_filter(
    values: list[float], noise: float, change: float, seen: list[bool]
) -> None:
    path = Path(values[0], 0.0, 1.0, 0.0, 4.0)
    state, covariance = np.array([values[0], 0.0]), np.diag([1.0, 4.0])
    step, look = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    for value, is_seen in zip(values[1:], seen, strict=False):
        path = path.moved(change)
        state, covariance = step @ state, step @ covariance @ step.T + np.diag([0.0, change**2])
        if is_seen:
            path = path.measured(value, noise)
            gain = covariance @ look.T / (look @ covariance @ look.T + noise**2)
            state = state + (gain * (value - look @ state)).ravel()
            covariance = (np.eye(2) - gain @ look) @ covariance
        expected = [*state, covariance[0, 0], covariance[0, 1], covariance[1, 1]]
        np.testing.assert_allclose(path, expected, rtol=1e-6, atol=1e-6)


@given(whole, whole, sizes, sizes)
def test_constant_velocity_is_expected(dy: int, dx: int, height: int, width: int) -> None:
    motion = followed([Box(dy * t, dx * t, dy * t + height, dx * t + width) for t in range(12)])
    ahead = Box(12 * dy, 12 * dx, 12 * dy + height, 12 * dx + width)
    expected = motion.forecast()
    assert expected.row.value == pytest.approx((ahead.y0 + ahead.y1) / 2, abs=0.06 * motion.size)
    assert expected.column.value == pytest.approx((ahead.x0 + ahead.x1) / 2, abs=0.06 * motion.size)
    assert expected.is_known
    assert expected.agreement(ahead) > expected.agreement(Box(*(edge + 2 * height for edge in ahead)))


@given(sizes, st.floats(0.9, 1.1))
def test_growth_is_expected(size: int, factor: float) -> None:
    motion = followed([box_at(100, 100, size * factor**t, size * factor**t) for t in range(9)])
    assert motion.forecast().height.value == pytest.approx(size * factor**9, rel=0.25, abs=2)


@given(whole, whole, sizes)
def test_the_longer_unseen_the_less_is_known(dy: int, dx: int, size: int) -> None:
    motion = followed([box_at(50 + dy * t, 50 + dx * t, size, size) for t in range(6)])
    spreads = [variance(motion)]
    for _ in range(20):
        motion = motion.forecast()
        spreads.append(variance(motion))
    assert all(later > earlier for earlier, later in pairwise(spreads))
    assert not motion.is_known
    assert variance(motion.seen(box_at(50, 50, size, size))) < spreads[-1]


def test_an_object_that_was_seen_once_may_go_anywhere() -> None:
    box = Box(10, 10, 30, 30)
    once = Motion.at(box)
    assert once.is_known
    assert not once.forecast().is_known
    assert once.forecast().seen(box).forecast().is_known


def test_after_a_gap_an_object_is_found_where_it_is_and_not_where_it_was() -> None:
    motion = followed([box_at(20, 20 + 3 * t, 16, 16) for t in range(8)])
    for _ in range(6):
        motion = motion.forecast()
    seen = motion.seen(box_at(30, 60, 16, 16))
    assert (seen.row.value, seen.column.value) == pytest.approx((30, 60), abs=2)


def test_agreement_is_the_overlap_of_boxes() -> None:
    motion = Motion.at(Box(10, 20, 30, 60))
    assert motion.agreement(Box(10, 20, 30, 60)) == pytest.approx(1)
    assert motion.agreement(Box(10, 20, 30, 40)) == pytest.approx(0.5)
    assert motion.agreement(Box(20, 20, 40, 60)) == pytest.approx(1 / 3)
    assert motion.agreement(Box(40, 20, 60, 60)) == 0
    assert motion.agreement(None) == 0


def test_a_size_that_would_fall_below_nothing_agrees_with_nothing() -> None:
    motion = followed([box_at(50, 50, size, size) for size in (40, 30, 20, 10, 2)])
    for _ in range(4):
        motion = motion.forecast()
    assert motion.height.value < 0
    assert motion.agreement(Box(45, 45, 55, 55)) == 0
    assert motion.size == 1
