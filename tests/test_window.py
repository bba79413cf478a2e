"""Windows: where they lie, how large they are, when they are kept and when they are made anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_sam2.placement import Box
from napari_sam2.window import Shift, View, WindowRules, Windows, shift_between

SIDES = st.integers(20, 600)


@st.composite
def frames(draw: st.DrawFn, views: tuple[View, ...] = ("window", "auto")) -> Windows:
    rules = WindowRules(
        draw(st.sampled_from(views)),
        draw(st.sampled_from([None, 64, 128])),
        draw(st.floats(1.5, 5)),
        draw(st.integers(24, 40)),
        aspect=draw(st.sampled_from([0.5, 1.0, 1.0, 3.0])),
    )
    return Windows(rules, (draw(SIDES), draw(SIDES)), draw(st.sampled_from([128, 256, 1024])))


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int]) -> Box:
    y0, x0 = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
    return Box(y0, x0, draw(st.integers(y0 + 1, shape[0])), draw(st.integers(x0 + 1, shape[1])))


def square(side: int = 200) -> Windows:
    return Windows(WindowRules("window", factor=3), (side, side), 256)


@given(frames(), st.data())
def test_a_window_holds_its_object_and_lies_on_the_frame(windows: Windows, data: st.DataObject) -> None:
    box = data.draw(boxes(windows.frame_shape))
    window = windows.fit(box)
    assert window.intersection(box) == box
    assert not windows.is_cut(window, box)
    for axis in (0, 1):
        low, high, size = window[axis], window[axis + 2], windows.frame_shape[axis]
        assert (low >= 0 and high <= size) or (low <= 0 and high >= size)


@given(frames(("window",)), st.data())
def test_a_window_is_square_in_the_world_and_as_large_as_said(windows: Windows, data: st.DataObject) -> None:
    box = data.draw(boxes(windows.frame_shape))
    window = windows.fit(box)
    assume(window != windows.whole)
    height, width = window.shape
    assert abs(height * windows.aspect - width) <= max(windows.aspect, 1)
    wanted = max(windows.rules.factor * windows.extent(box), windows.rules.smallest)
    assert abs(windows.extent(window) - wanted) <= max(windows.aspect, 1)
    is_field = windows.sees_frames and windows.extent(window) >= 2 * windows.image_size - windows.aspect
    assert windows.resolution(window) == (windows.image_size if is_field else windows.size)


@given(frames(), st.data())
def test_a_window_that_was_just_made_is_kept(windows: Windows, data: st.DataObject) -> None:
    box = data.draw(boxes(windows.frame_shape))
    window = windows.fit(box)
    assert windows.follow(window, box) == window
    assert windows.follow(window, None) == window


@given(frames(), st.data())
def test_what_follows_holds_the_object_wherever_it_was(windows: Windows, data: st.DataObject) -> None:
    window = windows.fit(data.draw(boxes(windows.frame_shape)))
    box = data.draw(boxes(windows.frame_shape))
    followed = windows.follow(window, box)
    assert followed.intersection(box) == box
    assert windows.follow(followed, box) == followed


@given(frames(), st.data())
def test_the_larger_window_is_larger_or_the_whole_frame(windows: Windows, data: st.DataObject) -> None:
    fitted = data.draw(boxes(windows.frame_shape))
    window = windows.fit(fitted)
    seen = data.draw(boxes(windows.frame_shape)).intersection(window) or fitted
    wider = windows.widened(window, seen)
    assert wider == windows.whole or windows.extent(wider) > 1.2 * windows.extent(window) - 2


@given(frames(), st.data())
def test_places_outside_widen_a_window_and_places_inside_do_not(
    windows: Windows, data: st.DataObject
) -> None:
    window = windows.fit(data.draw(boxes(windows.frame_shape)))
    height, width = windows.frame_shape
    place = (data.draw(st.floats(0, height - 1)), data.draw(st.floats(0, width - 1)))
    wider = windows.including(window, [place])
    is_inside = window.y0 <= place[0] < window.y1 and window.x0 <= place[1] < window.x1
    assert (wider == window) == is_inside or window == windows.whole
    assert wider.y0 <= place[0] < wider.y1
    assert wider.x0 <= place[1] < wider.x1
    assert windows.including(wider, [place]) == wider


@given(frames(("frame",)), st.data())
def test_the_frame_view_knows_the_whole_frame_alone(windows: Windows, data: st.DataObject) -> None:
    box = data.draw(boxes(windows.frame_shape))
    whole = Box(0, 0, *windows.frame_shape)
    seen = (
        windows.fit(box),
        windows.follow(whole, box),
        windows.widened(whole, box),
        *windows.around((3, 3)),
    )
    assert set(seen) == {whole}
    assert windows.resolution(whole) == windows.image_size


@given(frames(), st.data())
def test_windows_around_a_click_hold_it_and_shrink(windows: Windows, data: st.DataObject) -> None:
    height, width = windows.frame_shape
    click = (data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1)))
    around = windows.around(click)
    assert all(w.y0 <= click[0] < w.y1 and w.x0 <= click[1] < w.x1 for w in around)
    sides = [windows.extent(w) for w in around]
    assert sides == sorted(sides, reverse=True)
    assert len(set(around)) == len(around)


def test_windows_around_a_click_do_not_cost_the_whole_of_a_large_frame() -> None:
    windows = Windows(WindowRules("window", 256), (8192, 8192), 256)
    around = windows.around((4000, 4000))
    assert windows.extent(around[0]) == 2048
    assert windows.extent(around[-1]) < 64


@pytest.mark.parametrize(
    ("view", "size", "frame", "image_size", "field"),
    [
        ("auto", None, (1024, 1024), 1024, (0, 0, 1024, 1024)),  # a released network
        ("window", 512, (2048, 700), 1024, (0, 0, 2048, 700)),
        ("auto", None, (2050, 700), 1024, (2, 0, 2050, 700)),  # too long to be seen well at once
        ("auto", None, (4096, 4096), 1024, (2048, 1024, 4096, 3072)),
        ("auto", None, (512, 512), 128, None),  # nano: made for windows
        ("frame", None, (4096, 4096), 128, (0, 0, 4096, 4096)),
    ],
)
def test_clicks_belong_where_a_network_for_frames_sees_them_well(
    view: View,
    size: int | None,
    frame: tuple[int, int],
    image_size: int,
    field: tuple[int, int, int, int] | None,
) -> None:
    windows = Windows(WindowRules(view, size), frame, image_size)
    assert windows.field_at((frame[0] - 5, frame[1] / 2)) == field
    assert windows.field_at() == windows.field_at((frame[0] / 2, frame[1] / 2))


@given(frames(), st.data())
def test_fields_show_what_is_around_a_place_at_the_resolution_of_frames(
    windows: Windows, data: st.DataObject
) -> None:
    assume(windows.sees_frames)
    place = tuple(data.draw(st.integers(0, size - 1)) for size in windows.frame_shape)
    field = windows.field_at((place[0], place[1]))
    assert field is not None
    assert windows.resolution(field) == windows.image_size
    for axis, width in ((0, windows.aspect), (1, 1.0)):
        low, high, size = field[axis], field[axis + 2], windows.frame_shape[axis]
        side = 2 * windows.image_size / width
        assert 0 <= low <= place[axis] < high <= size
        assert high - low == min(round(side), size)
        reach = side / 4 - 1  # of the sides that overlap by half
        assert low == 0 or place[axis] - low >= reach
        assert high == size or high - place[axis] >= reach


def test_few_fields_cover_a_large_frame() -> None:
    windows = Windows(WindowRules("auto"), (4096, 5000), 1024)
    fields = {windows.field_at((y, x)) for y in range(0, 4096, 64) for x in range(0, 5000, 50)}
    assert len(fields) == 3 * 4
    assert {windows.resolution(field) for field in fields if field} == {1024}
    assert windows.resolution(windows.fit(Box(100, 100, 400, 400))) == 256


@pytest.mark.parametrize(("shift", "is_kept"), [(0, True), (10, True), (25, False)])
def test_a_window_follows_with_hysteresis(shift: int, is_kept: bool) -> None:
    windows = square()
    window = windows.fit(Box(80, 80, 110, 110))
    assert (windows.follow(window, Box(80, 80 + shift, 110, 110 + shift)) == window) == is_kept


@pytest.mark.parametrize(("shift", "left"), [(25, 77), (40, 92), (60, 110)])
def test_a_window_of_an_object_that_moves_keeps_its_size(shift: int, left: int) -> None:
    windows = square()
    window = windows.fit(Box(80, 80, 110, 110))
    assert window == Box(50, 50, 140, 140)
    followed = windows.follow(window, Box(78, 80 + shift, 112, 114 + shift))
    assert followed == Box(50, left, 140, left + 90)
    lies = shift_between(followed, window)
    assert lies == (None if left - 50 >= 45 else Shift(0, (left - 50) / 90))


@given(st.data())
def test_windows_of_one_size_lie_beside_each_other_while_they_share_half(data: st.DataObject) -> None:
    window = data.draw(boxes((300, 300)))
    down, right = data.draw(st.integers(-200, 200)), data.draw(st.integers(-200, 200))
    other = Box(window.y0 + down, window.x0 + right, window.y1 + down, window.x1 + right)
    height, width = window.shape
    lies, back = shift_between(other, window), shift_between(window, other)
    if 2 * abs(down) >= height or 2 * abs(right) >= width:
        assert lies is None
        assert back is None
    else:
        assert lies == Shift(down / height, right / width)
        assert back == Shift(-down / height, -right / width)
    assert shift_between(window._replace(y1=window.y1 + 1), window) is None


@pytest.mark.parametrize(("size", "is_kept"), [(30, True), (38, True), (48, False), (23, True), (18, False)])
def test_a_window_changes_scale_with_the_object(size: int, is_kept: bool) -> None:
    windows = square()
    window = windows.fit(Box(80, 80, 110, 110))
    grown = Box(95 - size // 2, 95 - size // 2, 95 + size // 2, 95 + size // 2)
    followed = windows.follow(window, grown)
    assert (followed == window) == is_kept
    if not is_kept:
        assert abs(windows.extent(followed) - 3 * windows.extent(grown)) <= 1


def test_an_edge_cuts_an_object_only_where_the_frame_goes_on() -> None:
    windows = square()
    corner = Box(0, 0, 60, 60)
    assert not windows.is_cut(corner, Box(0, 0, 20, 20))
    assert windows.is_cut(corner, Box(10, 30, 20, 60))
    assert windows.is_cut(Box(50, 50, 110, 110), Box(50, 60, 70, 80))


def test_auto_takes_a_window_where_it_shows_the_object_larger() -> None:
    small, large = Box(100, 100, 130, 130), Box(100, 100, 300, 300)
    own = Windows(WindowRules("auto", factor=3), (512, 512), 256)
    assert own.fit(small) != own.whole
    assert own.fit(large) == own.whole
    # A network for 1024 pixels sees this much in the whole frame already.
    released = Windows(WindowRules("auto", factor=3), (512, 512), 1024)
    assert released.fit(Box(100, 100, 180, 180)) == released.whole
    assert released.fit(small) != released.whole


def test_the_box_of_a_grid_leaves_strays_out() -> None:
    windows = square()
    positive = np.zeros((64, 64), bool)
    assert windows.grid_box(positive, Box(10, 20, 74, 84)) is None
    positive[20:40, 10:40] = True
    assert windows.grid_box(positive, Box(10, 20, 74, 84)) == Box(30, 30, 50, 60)
    positive[63, 63] = True
    assert windows.grid_box(positive, Box(10, 20, 74, 84)) == Box(30, 30, 50, 60)


@given(frames(), st.data())
def test_the_box_of_a_grid_lies_in_its_window(windows: Windows, data: st.DataObject) -> None:
    window = windows.fit(data.draw(boxes(windows.frame_shape)))
    i, j = data.draw(st.tuples(st.integers(0, 31), st.integers(0, 31)))
    positive = np.zeros((32, 32), bool)
    positive[i : i + 5, j : j + 3] = True
    box = windows.grid_box(positive, window)
    assert box is not None
    assert window.intersection(box) == box


@pytest.mark.parametrize(
    "options",
    [
        {"view": "square"},
        {"size": 100},
        {"size": 0},
        {"factor": 1.0},
        {"smallest": 0},
        {"slack": 1.0},
        {"drift": 0.6},
        {"aspect": 0.0},
        {"aspect": float("nan")},
    ],
    ids=str,
)
def test_rules_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WindowRules(**options)  # type: ignore[arg-type]
