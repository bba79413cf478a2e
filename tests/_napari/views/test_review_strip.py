"""The painted strip and the panel around it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QKeyEvent, QPainter, QWheelEvent

from napari_sam2._napari.state import ReviewState
from napari_sam2._napari.views.review_cells import confidence_colour
from napari_sam2._napari.views.review_marks import Mark, draw_mark, parts_of
from napari_sam2._napari.views.review_panel import READABLE, ReviewPanel, _Sample
from napari_sam2._napari.views.review_strip import ReviewStrip
from napari_sam2.summary import CellStatus
from tests._napari.views.snapshots import review

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def strip(qtbot: QtBot) -> ReviewStrip:
    strip = ReviewStrip()
    qtbot.addWidget(strip)
    strip.resize(330, 120)
    strip.show()
    strip.show_state(review(active=2))
    return strip


def place(strip: ReviewStrip, row: int, frame: int) -> QPoint:
    geometry = strip.geometry_now()
    assert strip._columns is not None
    x = geometry.x_of(frame // strip._columns.per_column + 0.5)
    return QPoint(round(x), geometry.y_of(row) + geometry.row // 2 + 1)


def painted(strip: ReviewStrip) -> QImage:
    viewport = strip.viewport()
    assert viewport is not None
    return viewport.grab().toImage()


def many(objects: int, frames: int) -> ReviewState:
    return review(tuple(range(1, objects + 1)), frames, active=objects // 2)


def test_cells_are_painted_in_the_colour_of_their_confidence(strip: ReviewStrip) -> None:
    state = review(active=None)
    state.confidence[:] = np.linspace(0, 1, 36, dtype=np.float32).reshape(3, 12)
    strip.show_state(state)
    image = painted(strip)
    for row, frame in ((0, 3), (1, 7), (2, 11)):
        spot = place(strip, row, frame)
        colour = confidence_colour(float(state.confidence[row, frame]))
        assert image.pixelColor(spot.x(), spot.y()) == QColor(*colour)


def test_every_mark_is_painted(strip: ReviewStrip) -> None:
    plain = painted(strip)
    state = review(active=2)
    for frame, status in enumerate(
        (CellStatus.PROMPTED, CellStatus.PAINTED, CellStatus.LOCKED, CellStatus.ABSENT), 2
    ):
        state.status[0, frame] = status
    state.jumps[1, 5] = True
    state.lost[2, 6] = True
    strip.show_state(state)
    image = painted(strip)
    geometry = strip.geometry_now()
    for row, frame in ((0, 2), (0, 3), (0, 4), (0, 5), (1, 5), (2, 6)):
        spot = place(strip, row, frame)
        area = [
            (spot.x() + dx, spot.y() + dy) for dx in range(-4, 5) for dy in range(-5, geometry.row // 2 - 1)
        ]
        assert any(image.pixel(x, y) != plain.pixel(x, y) for x, y in area), (row, frame)


def on_grounds(mark: Mark, cell: QRectF, size: QSize) -> tuple[QImage, QImage]:
    """Return a mark on black and on white."""
    images = []
    for ground in ("black", "white"):
        image = QImage(size, QImage.Format.Format_RGB32)
        image.fill(QColor(ground))
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_mark(painter, mark, cell, QColor("black"))
        painter.end()
        images.append(image)
    return images[0], images[1]


def around(cell: QRectF, image: QImage) -> list[tuple[int, int]]:
    """Return the pixels of a cell, and some beside it."""
    near = cell.toAlignedRect().adjusted(-4, 0, 4, 0).intersected(image.rect())
    return [(x, y) for x in range(near.left(), near.right()) for y in range(near.top(), near.bottom())]


def opaque(mark: Mark, cell: QRectF, size: QSize) -> dict[tuple[int, int], int]:
    """Return the pixels that a mark covers, with their colours: they are the same on black and on white."""
    first, second = on_grounds(mark, cell, size)
    return {at: first.pixel(*at) for at in around(cell, first) if first.pixel(*at) == second.pixel(*at)}


def touched(mark: Mark, cell: QRectF, size: QSize) -> set[tuple[int, int]]:
    """Return the pixels that a mark changes, on black or on white."""
    grounds = [
        (image, QColor(name))
        for image, name in zip(on_grounds(mark, cell, size), ("black", "white"), strict=True)
    ]
    return {at for image, ground in grounds for at in around(cell, image) if image.pixelColor(*at) != ground}


@pytest.mark.parametrize(("frame", "marked"), [(0, 0), (30, 30), (30, 29), (30, 31), (69, 69)])
def test_no_line_cuts_through_a_mark(strip: ReviewStrip, frame: int, marked: int) -> None:
    """Columns are as narrow as can be; the frame that is shown is the mark's or one beside it."""
    state = replace(review(frames=70, active=2), frame=frame)
    state.status[1, marked] = CellStatus.PROMPTED
    strip.show_state(state)
    image, at = painted(strip), strip.geometry_now()
    assert at.cell < 5
    cell = QRectF(at.x_of(marked), at.y_of(1) + 1, at.cell, at.row - 1)
    expected = opaque(Mark.PROMPTED, cell, image.size())
    assert len(expected) > 4
    assert {place: image.pixel(*place) for place in expected} == expected


def test_beyond_the_last_of_few_frames_nothing_is_painted(strip: ReviewStrip) -> None:
    strip.show_state(replace(review(frames=4, active=2), frame=1))
    image, at = painted(strip), strip.geometry_now()
    beyond = range(round(at.x_of(4)) + 3, image.width())
    assert len(beyond) > 50
    rows = range(at.top + 1, at.y_of(3))
    assert len({image.pixel(x, y) for x in beyond for y in rows}) == 1


@pytest.mark.parametrize("frames", [12, 70])
@pytest.mark.parametrize(
    ("status", "mark"),
    [
        (CellStatus.PROMPTED, Mark.PROMPTED),
        (CellStatus.PAINTED, Mark.PAINTED),
        (CellStatus.LOCKED, Mark.LOCKED),
    ],
)
def test_no_mark_covers_another(strip: ReviewStrip, status: CellStatus, mark: Mark, frames: int) -> None:
    """In columns as wide, and as narrow, as can be."""
    state = review(frames=frames, active=2)
    state.status[1, 5], state.jumps[1, 5] = status, True
    strip.show_state(state)
    image, at = painted(strip), strip.geometry_now()
    cell = QRectF(at.x_of(5), at.y_of(1) + 1, at.cell, at.row - 1)
    parts = parts_of(cell)
    drawn = [touched(mark, parts.other, image.size()), touched(Mark.JUMP, parts.jump, image.size())]
    assert min(len(each) for each in drawn) > 8
    assert not drawn[0] & drawn[1]
    for each, part in ((mark, parts.other), (Mark.JUMP, parts.jump)):
        expected = opaque(each, part, image.size())
        assert {place: image.pixel(*place) for place in expected} == expected


def test_a_click_goes_there(strip: ReviewStrip, qtbot: QtBot) -> None:
    with qtbot.waitSignal(strip.cell_visited) as told:
        qtbot.mouseClick(strip.viewport(), LEFT, pos=place(strip, 2, 7))
    assert told.args == [3, 7]


def test_a_click_on_the_frame_numbers_keeps_the_object(strip: ReviewStrip, qtbot: QtBot) -> None:
    with qtbot.waitSignal(strip.cell_visited) as told:
        qtbot.mouseClick(strip.viewport(), LEFT, pos=QPoint(place(strip, 0, 9).x(), 3))
    assert told.args == [2, 9]


def test_a_drag_follows_and_does_not_repeat(strip: ReviewStrip, qtbot: QtBot) -> None:
    heard: list[tuple[int, int]] = []
    strip.cell_visited.connect(lambda obj, frame: heard.append((obj, frame)))
    viewport = strip.viewport()
    qtbot.mousePress(viewport, LEFT, pos=place(strip, 0, 1))
    qtbot.mouseMove(viewport, pos=place(strip, 0, 2))
    qtbot.mouseMove(viewport, pos=place(strip, 0, 2) + QPoint(1, 1))
    qtbot.mouseRelease(viewport, LEFT, pos=place(strip, 0, 2))
    assert heard[0] == (1, 1)
    assert heard.count((1, 2)) <= 1


def test_clicks_beside_the_cells_do_nothing(strip: ReviewStrip, qtbot: QtBot) -> None:
    strip.resize(330, 300)
    with qtbot.assertNotEmitted(strip.cell_visited):
        qtbot.mouseClick(strip.viewport(), LEFT, pos=QPoint(100, 290))
        qtbot.mouseClick(strip.viewport(), LEFT, pos=QPoint(2, 40))
        qtbot.mouseClick(strip.viewport(), Qt.MouseButton.RightButton, pos=place(strip, 0, 1))


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (Qt.Key.Key_Left, [2, 4]),
        (Qt.Key.Key_Right, [2, 6]),
        (Qt.Key.Key_Up, [1, 5]),
        (Qt.Key.Key_Down, [3, 5]),
    ],
)
def test_arrow_keys_step(strip: ReviewStrip, qtbot: QtBot, key: Qt.Key, told: list[int]) -> None:
    strip.show_state(review(frames=12, frame=5, active=2))
    with qtbot.waitSignal(strip.cell_visited) as heard:
        qtbot.keyClick(strip, key)
    assert heard.args == told


def test_arrow_keys_stop_at_the_edges(strip: ReviewStrip, qtbot: QtBot) -> None:
    strip.show_state(review(frames=12, frame=0, active=1))
    heard: list[tuple[int, int]] = []
    strip.cell_visited.connect(lambda obj, frame: heard.append((obj, frame)))
    qtbot.keyClick(strip, Qt.Key.Key_Left)
    qtbot.keyClick(strip, Qt.Key.Key_Up)
    assert heard == [(1, 0), (1, 0)]


def test_other_keys_are_left_to_others(strip: ReviewStrip, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(strip.cell_visited):
        for key in (Qt.Key.Key_A.value, 0x1F600):
            strip.keyPressEvent(QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))


def test_tooltips_say_what_is_there(strip: ReviewStrip) -> None:
    assert strip.tip_at(place(strip, 1, 4)) == "Object 2, frame 4: tracked, 90 % sure"
    assert strip.tip_at(QPoint(1, 60)) == ""


def test_the_current_cell_is_described_for_screen_readers(strip: ReviewStrip) -> None:
    strip.show_state(review(frame=3, active=2))
    assert strip.accessibleDescription() == "Object 2, frame 3: tracked, 90 % sure"
    strip.show_state(review(frame=3, active=None))
    assert strip.accessibleDescription() == ""


def test_many_frames_share_columns_and_lead_to_the_worst(strip: ReviewStrip, qtbot: QtBot) -> None:
    state = many(20, 2000)
    state.confidence[4, 1234] = 0.1
    strip.show_state(state)
    bar = strip.horizontalScrollBar()
    assert bar is not None
    assert bar.maximum() == 0
    assert strip._columns is not None
    assert strip._columns.per_column > 1
    vertical = strip.verticalScrollBar()
    assert vertical is not None
    vertical.setValue(0)
    with qtbot.waitSignal(strip.cell_visited) as told:
        qtbot.mouseClick(strip.viewport(), LEFT, pos=place(strip, 4, 1234))
    assert told.args == [5, 1234]


def test_zoomed_frames_scroll_with_the_current_one(strip: ReviewStrip) -> None:
    strip.set_zoom(READABLE)
    strip.show_state(replace(many(200, 2000), frame=1500, active=150))
    geometry = strip.geometry_now()
    viewport = strip.viewport()
    assert viewport is not None
    assert geometry.left <= geometry.x_of(1500) < viewport.width()
    assert geometry.top <= geometry.y_of(149) < viewport.height()


def test_ctrl_and_wheel_zoom_in_and_out(strip: ReviewStrip) -> None:
    strip.show_state(many(3, 400))

    def turn(steps: int) -> None:
        middle = QPointF(150, 40)
        buttons, control = Qt.MouseButton.NoButton, Qt.KeyboardModifier.ControlModifier
        phase = Qt.ScrollPhase.NoScrollPhase
        strip.wheelEvent(
            QWheelEvent(middle, middle, QPoint(), QPoint(0, steps), buttons, control, phase, False)
        )

    assert strip.zoom() is None
    turn(120)
    assert strip.zoom() is not None
    for _ in range(20):
        turn(120)
    largest = strip.zoom()
    turn(120)
    assert strip.zoom() == largest
    for _ in range(40):
        turn(-120)
    assert strip.zoom() is None


def test_the_picture_is_made_anew_only_for_new_arrays(strip: ReviewStrip) -> None:
    state = review(active=1)
    strip.show_state(state)
    first = strip._image
    strip.show_state(replace(state, frame=7, active=3))
    assert strip._image is first
    strip.show_state(replace(state, confidence=state.confidence * 0.5))
    assert strip._image is not first


def test_two_hundred_objects_and_two_thousand_frames_are_fast(strip: ReviewStrip) -> None:
    state = many(200, 2000)
    strip.show_state(state)
    viewport = strip.viewport()
    assert viewport is not None
    start = time.thread_time()  # other programs may share the processor
    for frame in range(10):
        strip.show_state(replace(state, frame=frame))
        viewport.repaint()
    assert (time.thread_time() - start) / 10 < 0.05
    start = time.thread_time()
    strip.show_state(replace(state, status=state.status.copy()))
    assert time.thread_time() - start < 0.5


def test_an_empty_strip_is_quiet(strip: ReviewStrip, qtbot: QtBot) -> None:
    strip.show_state(ReviewState())
    painted(strip)
    with qtbot.assertNotEmitted(strip.cell_visited):
        qtbot.mouseClick(strip.viewport(), LEFT, pos=QPoint(100, 30))
        qtbot.keyClick(strip, Qt.Key.Key_Left)


def test_a_status_without_frames_is_painted(strip: ReviewStrip) -> None:
    strip.show_state(review((1, 2), 0))
    assert not painted(strip).isNull()


def test_the_panel_explains_marks_and_colours(qtbot: QtBot) -> None:
    panel = ReviewPanel({"next_doubtful": "J"})
    qtbot.addWidget(panel)
    panel.show()
    assert panel._empty.isVisible()
    assert not panel.strip.isVisible()
    assert not panel._next.isEnabled()
    panel.show_state(review(active=1))
    assert not panel._empty.isVisible()
    assert panel.strip.isVisible()
    said = {
        each.accessibleName().split(":")[0]
        for each in panel._legend.children()
        if hasattr(each, "accessibleName")
    }
    filled = {status.name.lower() for status in CellStatus} - {"nothing"}
    assert filled | {mark.value for mark in Mark} <= said
    sample = panel._legend.findChildren(_Sample)[0].grab().toImage()
    assert sample.pixelColor(7, 7) == QColor(*confidence_colour(0.9)), "a tracked cell has no mark"
    with qtbot.waitSignal(panel.next_doubtful):
        qtbot.mouseClick(panel._next, LEFT)
    assert panel._next.toolTip().endswith("(J)")
    with qtbot.waitSignal(panel.cell_visited) as told:
        qtbot.mouseClick(panel.strip.viewport(), LEFT, pos=place(panel.strip, 0, 6))
    assert told.args == [1, 6]


def test_the_zoom_button_and_the_wheel_agree(qtbot: QtBot) -> None:
    panel = ReviewPanel()
    qtbot.addWidget(panel)
    panel.show_state(review(active=1))
    panel.show()
    assert panel._wide.isChecked()
    qtbot.mouseClick(panel._wide, LEFT)
    assert panel.strip.zoom() == READABLE
    panel.strip.set_zoom(None)
    assert panel._wide.isChecked()


def test_where_an_object_is_lost_the_cell_is_as_empty_as_where_nothing_is(strip: ReviewStrip) -> None:
    state = many(3, 40)
    state.status[1, 30] = CellStatus.NOTHING
    state.lost[1, 20] = True
    strip.show_state(state)
    assert strip._image is not None
    tracked, lost, nothing = (strip._image.pixel(frame, 1) for frame in (10, 20, 30))
    assert lost == nothing != tracked
