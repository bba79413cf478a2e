"""Where the cells of the strip lie."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._napari.views.review_geometry import LARGEST, SMALLEST, Cell, StripGeometry, fit, tick_step


@st.composite
def strips(draw: st.DrawFn) -> StripGeometry:
    return StripGeometry(
        rows=draw(st.integers(1, 300)),
        columns=draw(st.integers(1, 3000)),
        cell=draw(st.floats(4, 32)),
        row=draw(st.integers(8, 30)),
        left=draw(st.integers(10, 60)),
        top=draw(st.integers(8, 30)),
        scroll_x=draw(st.integers(0, 2000)),
        scroll_y=draw(st.integers(0, 2000)),
    )


@given(strips(), st.integers(0, 299), st.integers(0, 2999))
def test_the_middle_of_a_cell_is_that_cell(strip: StripGeometry, row: int, column: int) -> None:
    row, column = row % strip.rows, column % strip.columns
    x, y = strip.x_of(column + 0.5), strip.y_of(row) + strip.row / 2
    found = strip.cell_at(x, y)
    hidden = x < strip.left or y < strip.top
    assert found == (None if hidden else Cell(row, column))
    assert strip.column_near(x) == column


@given(strips(), st.integers(50, 1500), st.integers(50, 1500))
def test_visible_rows_and_columns_are_those_that_are_seen(
    strip: StripGeometry, width: int, height: int
) -> None:
    columns, rows = strip.visible_columns(width), strip.visible_rows(height)
    for column in range(0, strip.columns, 7):
        seen = strip.x_of(column + 1) > strip.left + 1e-6 and strip.x_of(column) < width - 1e-6
        assert seen <= (column in columns)
    for row in range(0, strip.rows, 3):
        seen = strip.y_of(row + 1) > strip.top and strip.y_of(row) < height
        assert seen == (row in rows)


@given(st.integers(0, 5000), st.integers(1, 2000))
def test_all_frames_fit(frames: int, room: int) -> None:
    laid = fit(frames, room, None)
    columns = -(-max(frames, 1) // laid.per_column)
    assert columns * laid.cell <= room + 1e-6
    assert laid.cell >= room / math.ceil(room / SMALLEST) - 1e-6


@given(st.integers(1, 5000), st.integers(1, 2000), st.floats(4, 30))
def test_zoomed_frames_have_a_column_each(frames: int, room: int, zoom: float) -> None:
    laid = fit(frames, room, zoom)
    assert laid.per_column == 1
    assert zoom <= laid.cell <= max(zoom, LARGEST)


def test_margins_are_no_cells() -> None:
    strip = StripGeometry(rows=3, columns=5, cell=10, row=12, left=20, top=15)
    assert strip.cell_at(19, 20) is None
    assert strip.cell_at(25, 14) is None
    assert strip.cell_at(20 + 50, 20) is None
    assert strip.cell_at(25, 15 + 36) is None
    assert strip.column_near(-100) == 0
    assert strip.column_near(1000) == 4


@pytest.mark.parametrize(
    ("density", "label", "step"), [(0.05, 20, 1), (0.1, 20, 2), (0.2, 20, 5), (4.0, 40, 200), (9.0, 60, 1000)]
)
def test_frame_numbers_are_round_and_do_not_touch(density: float, label: int, step: int) -> None:
    assert tick_step(density, label) == step
