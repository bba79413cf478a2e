from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.placement import OUTSIDE, Box, FloatArray, PlacedLogits, mask_box


def blob(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> FloatArray:
    y, x = np.indices(shape)
    return np.asarray(radius - np.hypot(y - centre[0], x - centre[1]), dtype=np.float32)


@st.composite
def placed(draw: st.DrawFn) -> PlacedLogits:
    """Draw logits, mostly negative, on a window that may stick out of the frame."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    frame = draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    corner = st.floats(-20, 40, allow_nan=False, width=32)
    y0, x0 = draw(corner), draw(corner)
    height, width = draw(st.floats(0.5, 50)), draw(st.floats(0.5, 50))
    logits = rng.normal(draw(st.floats(-3, 1)), 1.5, grid).astype(np.float32)
    return PlacedLogits(logits, (y0, x0, y0 + height, x0 + width), frame)


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int]) -> Box:
    y = sorted(draw(st.tuples(st.integers(0, shape[0]), st.integers(0, shape[0]))))
    x = sorted(draw(st.tuples(st.integers(0, shape[1]), st.integers(0, shape[1]))))
    return Box(y[0], x[0], y[1], x[1])


@pytest.mark.parametrize("grid", [(64, 64), (256, 256), (7, 5), (1, 1), (1, 9)])
@pytest.mark.parametrize("frame", [(443, 512), (100, 3), (31, 50), (256, 256), (1, 1)])
def test_a_whole_frame_is_interpolated_as_torch_does(grid: tuple[int, int], frame: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(0, 8, grid).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None, None], frame, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    rendered = PlacedLogits(logits, (0, 0, *frame), frame).render()
    assert rendered.dtype == np.float32
    np.testing.assert_allclose(rendered, expected, rtol=1e-6, atol=1e-5)


def test_the_window_places_the_grid() -> None:
    logits = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    alone = PlacedLogits(logits, (0, 0, 12, 10), (12, 10)).render()
    rendered = PlacedLogits(logits, (5, 7, 17, 17), (30, 40)).render()
    np.testing.assert_array_equal(rendered[5:17, 7:17], alone)
    rendered[5:17, 7:17] = OUTSIDE
    assert (rendered == OUTSIDE).all()


def test_a_window_may_stick_out_of_the_frame() -> None:
    logits = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    alone = PlacedLogits(logits, (0, 0, 12, 10), (12, 10)).render()
    rendered = PlacedLogits(logits, (-4, -3, 8, 7), (6, 5)).render()
    np.testing.assert_array_equal(rendered, alone[4:10, 3:8])


def test_a_window_beside_the_frame_shows_nothing() -> None:
    logits = PlacedLogits(np.ones((3, 3), np.float32), (20, 0, 30, 10), (10, 10))
    assert (logits.render() == OUTSIDE).all()
    assert logits.pixel_box() is None


def along(logits: PlacedLogits, axis: int, pixel: int) -> tuple[int, int, float] | None:
    """Cells and weight that a pixel is interpolated from, in double precision; None outside the window."""
    start, stop, cells = logits.window[axis], logits.window[axis + 2], logits.logits.shape[axis]
    if not start <= pixel + 0.5 < stop:
        return None
    position = min(max((pixel + 0.5 - start) * cells / (stop - start) - 0.5, 0), cells - 1)
    return int(position), min(int(position) + 1, cells - 1), position % 1


@given(placed())
def test_any_window_is_interpolated_between_the_centres_of_cells(logits: PlacedLogits) -> None:
    expected = np.full(logits.frame_shape, OUTSIDE, dtype=np.float64)
    values = logits.logits.astype(np.float64)
    for y, x in np.ndindex(*logits.frame_shape):
        row, column = along(logits, 0, y), along(logits, 1, x)
        if row is not None and column is not None:
            near, far = (
                values[i, column[0]] * (1 - column[2]) + values[i, column[1]] * column[2] for i in row[:2]
            )
            expected[y, x] = near * (1 - row[2]) + far * row[2]
    np.testing.assert_allclose(logits.render(), expected, atol=1e-4)


@given(placed(), st.data())
def test_a_part_has_the_bits_of_the_whole(logits: PlacedLogits, data: st.DataObject) -> None:
    box = data.draw(boxes(logits.frame_shape))
    part = logits.render(box)
    assert part.shape == box.shape
    np.testing.assert_array_equal(part, logits.render()[box.slices])


@given(placed(), st.data())
def test_tight_keeps_every_positive_bit(logits: PlacedLogits, data: st.DataObject) -> None:
    whole = logits.render()
    tight = logits.tight()
    if tight is None:
        assert (whole <= 0).all()
        assert logits.pixel_box() is None
        return
    rendered = tight.render()
    np.testing.assert_array_equal(rendered[whole > 0], whole[whole > 0])
    assert (rendered[whole <= 0] <= 0).all()
    box = data.draw(boxes(logits.frame_shape))
    np.testing.assert_array_equal(tight.render(box), rendered[box.slices])


@given(placed())
def test_the_pixel_box_holds_every_positive_pixel(logits: PlacedLogits) -> None:
    inside = np.zeros(logits.frame_shape, dtype=bool)
    box = logits.pixel_box()
    if box is not None:
        inside[box.slices] = True
    assert not (logits.render() > 0)[~inside].any()
    tight = logits.tight()
    assert (tight.pixel_box() if tight else None) == box


@given(placed())
def test_tight_twice_is_tight_once(logits: PlacedLogits) -> None:
    once = logits.tight()
    if once is not None:
        twice = once.tight()
        assert twice is not None
        assert twice.offset == once.offset
        np.testing.assert_array_equal(twice.logits, once.logits)


def test_tight_is_small_and_holds_no_more_than_it_shows() -> None:
    logits = PlacedLogits(blob((256, 256), (100, 60), 9.5), (0, 0, 1024, 1024), (1024, 1024))
    tight = logits.tight()
    assert tight is not None
    assert tight.offset == (90, 50)
    assert tight.logits.shape == (21, 21)
    assert tight.grid == (256, 256)
    base = tight.logits.base
    assert base is None or base.nbytes == tight.logits.nbytes
    box = tight.pixel_box()
    assert box is not None
    assert max(box.shape) <= 4 * 21


def test_what_is_kept_cannot_be_written() -> None:
    array = np.ones((3, 3), np.float32)
    logits = PlacedLogits(array, (0, 0, 9, 9), (9, 9))
    with pytest.raises(ValueError, match="read-only"):
        logits.logits[0, 0] = 2
    array[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros(3, np.float32)}, "non-empty"),
        ({"logits": np.zeros((0, 3), np.float32)}, "non-empty"),
        ({"logits": np.full((2, 2), np.nan, np.float32)}, "NaN"),
        ({"window": (0, 0, 0, 5)}, "window"),
        ({"window": (5, 0, 2, 5)}, "window"),
        ({"window": (0, 0, np.inf, 5)}, "window"),
        ({"frame_shape": (0, 5)}, "frame_shape"),
        ({"offset": (1, 0)}, "do not lie"),
        ({"offset": (-1, 0), "grid": (4, 4)}, "do not lie"),
    ],
)
def test_bad_placements_are_told(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "logits": np.zeros((2, 2), np.float32),
        "window": (0, 0, 5, 5),
        "frame_shape": (5, 5),
    }
    with pytest.raises(ValueError, match=message):
        PlacedLogits(**(arguments | changes))


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 6, 5), (3, 0, 2, 5), (0, 0, 5, 9)])
def test_a_box_outside_the_frame_is_told(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not lie"):
        PlacedLogits(np.zeros((2, 2), np.float32), (0, 0, 5, 5), (5, 5)).render(box)


def test_boxes() -> None:
    box = Box(2, 3, 5, 9)
    assert box.shape == (3, 6)
    assert box.intersection(Box(4, 0, 9, 4)) == Box(4, 3, 5, 4)
    assert box.intersection(Box(5, 3, 6, 9)) is None
    assert box.union(Box(0, 4, 1, 20)) == Box(0, 3, 5, 20)
    assert box.relative_to(Box(1, 1, 9, 9)) == Box(1, 2, 4, 8)
    mask = np.zeros((6, 10), dtype=bool)
    assert mask_box(mask) is None
    mask[box.slices] = True
    assert mask_box(mask) == box


# -------------------------------------------------------------------- sampling


@given(st.integers(0, 5), st.integers(0, 5), st.integers(4, 30))
def test_samples_at_the_pixels_of_the_frame_are_what_is_rendered(y0: int, x0: int, side: int) -> None:
    logits = np.random.default_rng(side).normal(size=(8, 8)).astype(np.float32)
    placed = PlacedLogits(logits, (y0, x0, y0 + side, x0 + side), (40, 40))
    window = Box(y0, x0, y0 + side, x0 + side)
    np.testing.assert_allclose(placed.sample(window, (side, side)), placed.render(window), atol=1e-4)


def test_samples_on_the_own_grid_are_the_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    placed = PlacedLogits(logits, (2, 3, 14, 15), (30, 30))
    np.testing.assert_allclose(placed.sample(Box(2, 3, 14, 15), (6, 6)), logits, atol=1e-5)


def test_samples_beyond_the_window_are_background() -> None:
    placed = PlacedLogits(np.full((4, 4), 5, np.float32), (10, 10, 20, 20), (30, 30))
    seen = placed.sample(Box(0, 0, 30, 30), (30, 30))
    assert (seen[10:20, 10:20] == 5).all()
    assert (np.delete(np.delete(seen, range(10, 20), 0), range(10, 20), 1) == -10).all()


def test_samples_of_a_crop_are_positive_where_those_of_the_whole_are() -> None:
    logits = np.full((16, 16), -4, np.float32)
    logits[5:9, 6:11] = 6
    placed = PlacedLogits(logits, (0, 0, 32, 32), (32, 32))
    tight = placed.tight()
    assert tight is not None
    window = Box(4, 4, 28, 28)
    whole, part = placed.sample(window, (24, 24)), tight.sample(window, (24, 24))
    np.testing.assert_array_equal(whole > 0, part > 0)
