"""Colours of the review strip, and many frames in a column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._napari.state import ReviewState
from napari_sam2._napari.views.review_cells import (
    UNSCORED,
    Columns,
    alarm,
    cell_colours,
    columns_of,
    confidence_colour,
    describe,
    lost_ends,
)
from napari_sam2.summary import CellStatus
from tests._napari.views.snapshots import review


@st.composite
def strips(draw: st.DrawFn) -> ReviewState:
    objects, frames = draw(st.integers(1, 4)), draw(st.integers(1, 17))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shape = objects, frames
    score = rng.random(shape).astype(np.float32)
    score[rng.random(shape) < 0.3] = np.nan
    return ReviewState(
        tuple(range(1, objects + 1)),
        rng.integers(0, 6, shape).astype(np.uint8),
        score,
        rng.random(shape) < 0.1,
        rng.random(shape) < 0.1,
    )


@given(strips(), st.integers(1, 20))
def test_a_column_shows_the_worst_of_its_frames(state: ReviewState, per_column: int) -> None:
    columns = columns_of(state, per_column)
    objects, frames = state.status.shape
    assert columns.pick.shape == (objects, -(-frames // per_column))
    ranks = alarm(state)
    for row in range(objects):
        for column, frame in enumerate(columns.pick[row].tolist()):
            within = range(column * per_column, min((column + 1) * per_column, frames))
            assert frame in within
            assert ranks[row, frame] == max(ranks[row, each] for each in within)
            assert columns.status[row, column] == state.status[row, frame]
            assert columns.lost[row, column] == state.lost[row, frame]
            assert columns.jumps[row, column] == state.jumps[row, frame]


@given(strips())
def test_one_frame_in_a_column_is_the_strip_itself(state: ReviewState) -> None:
    columns = columns_of(state, 1)
    np.testing.assert_array_equal(columns.status, state.status)
    np.testing.assert_array_equal(columns.confidence, state.confidence)


def test_a_column_of_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        columns_of(review(), 0)


def test_what_wants_to_be_looked_at_goes_first() -> None:
    status = np.array(
        [[CellStatus.TRACKED] * 4 + [CellStatus.PROMPTED, CellStatus.NOTHING, CellStatus.LOCKED]], np.uint8
    )
    score = np.array([[0.9, 0.1, 0.9, np.nan, 0.95, np.nan, 0.9]], np.float32)
    jumps = np.array([[0, 0, 1, 0, 0, 0, 1]], bool)
    lost = np.array([[0, 0, 0, 0, 0, 1, 0]], bool)
    rank = alarm(ReviewState((1,), status, score, jumps, lost))[0]
    lost_rank, jump, doubtful, prompted, tracked, unscored = rank[[5, 2, 1, 4, 0, 3]]
    assert lost_rank > jump > doubtful > prompted > tracked >= unscored
    assert rank[6] == prompted


def luminance(rgb: tuple[int, int, int]) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def test_doubtful_is_warm_and_sure_is_blue_for_every_eye() -> None:
    doubtful, sure = confidence_colour(0.2), confidence_colour(0.97)
    assert doubtful[0] > doubtful[2] + 100
    assert sure[2] > sure[0] + 60
    # Without red receptors the two ends differ in blue, which all common forms of colour blindness keep.
    assert sure[2] - doubtful[2] > 100
    assert luminance(confidence_colour(0.7)) > luminance(doubtful)
    assert luminance(confidence_colour(0.7)) > luminance(sure)


@given(st.floats(-3, 3))
def test_any_confidence_has_a_colour(score: float) -> None:
    assert all(0 <= each <= 255 for each in confidence_colour(score))


def unpacked(colours: Any) -> list[tuple[int, int, int]]:
    return [((each >> 16) & 255, (each >> 8) & 255, each & 255) for each in colours.ravel().tolist()]


def test_cells_take_the_colour_of_their_confidence() -> None:
    status = np.array([[1, 2, 1, 0, 5]], np.uint8)
    score = np.array([[0.0, 1.0, np.nan, 0.7, np.nan]], np.float32)
    colours = cell_colours(status, score, (9, 8, 7))
    assert colours.dtype == np.uint32
    assert (colours >> 24 == 255).all()
    assert unpacked(colours) == [confidence_colour(0), confidence_colour(1), UNSCORED, (9, 8, 7), (9, 8, 7)]


def test_a_cell_in_words() -> None:
    state = review()
    state.status[1, 4] = CellStatus.PROMPTED
    state.confidence[0, 3] = 0.41
    state.jumps[0, 3] = True
    state.lost[2, 5] = True
    state.status[2, 5] = CellStatus.NOTHING
    assert describe(state, 1, 4) == "Object 2, frame 4: prompted, 90 % sure"
    assert describe(state, 0, 3) == "Object 1, frame 3: tracked, 41 % sure (doubtful), jumps in area or place"
    assert describe(state, 2, 5) == "Object 3, frame 5: lost: tracked, but no mask"


def test_lost_is_marked_where_it_begins() -> None:
    """x: lost, t: tracked, a dot: never computed."""
    rows = ["txxt", "xxxt", "txxx", "xtxx", "xxxx", ".xxt", "tttt"]
    marks = ["0110", "0010", "0100", "1010", "0000", "0010", "0000"]
    shape = (len(rows), 4)
    lost = np.array([[cell == "x" for cell in row] for row in rows])
    status = np.array(
        [[CellStatus.NOTHING if cell == "." else CellStatus.TRACKED for cell in row] for row in rows]
    )
    columns = Columns(
        1, np.zeros(shape, np.int64), status, np.ones(shape, np.float32), np.zeros(shape, bool), lost
    )
    assert lost_ends(columns).tolist() == [[cell == "1" for cell in row] for row in marks]
