"""What deserves a look, from areas, places and confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2.doubt import (
    Findings,
    Place,
    Stretch,
    beside,
    find,
    find_jumps,
    next_doubtful,
    status_of,
    stretches,
)
from napari_sam2.summary import Cells, CellStatus, ObjectSummary, SessionSummary, update_confidence

FRAMES = 8


def cells(*objects: tuple[list[int], list[float]]) -> Cells:
    """Make tracked objects from their areas and the x of their centres."""
    made = Cells.empty(len(objects), FRAMES)
    made.status[:] = CellStatus.TRACKED
    made.score[:] = 0.9
    for row, (areas, places) in enumerate(objects):
        made.area[row] = areas
        seen = np.array(areas) > 0
        made.centroid[row, seen] = np.column_stack([np.full(FRAMES, 20.0), places])[seen]
    return made


def look(made: Cells) -> Findings:
    update_confidence(made)
    return find(made)


STEADY = [100] * FRAMES
STILL = [50.0] * FRAMES


def test_a_steady_object_is_not_doubtful() -> None:
    findings = look(cells((STEADY, STILL)))
    assert not findings.doubtful.any()
    assert not findings.lost.any()


def test_a_sudden_change_of_area_is_marked_on_the_later_frame() -> None:
    jumps = find_jumps(cells(([100, 100, 100, 260, 260, 260, 100, 100], STILL)))
    assert np.flatnonzero(jumps[0]).tolist() == [3, 6]


def test_a_sudden_change_of_place_is_marked() -> None:
    jumps = find_jumps(cells((STEADY, [50, 50, 51, 51, 70, 70, 71, 71])))
    assert np.flatnonzero(jumps[0]).tolist() == [4]


def test_an_object_that_always_moves_fast_does_not_jump() -> None:
    jumps = find_jumps(cells((STEADY, [10.0 * frame for frame in range(FRAMES)])))
    assert not jumps.any()


def test_of_a_loss_only_its_ends_are_doubtful() -> None:
    findings = look(cells(([100, 100, 100, 0, 0, 0, 0, 100], STILL)))
    assert np.flatnonzero(findings.lost[0]).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(findings.doubtful[0]).tolist() == [3, 6]


def test_low_scores_are_doubtful_unless_the_user_has_confirmed_the_frame() -> None:
    made = cells((STEADY, STILL))
    made.score[0, [2, 5]] = 0.2
    made.status[0, 5] = CellStatus.LOCKED
    assert np.flatnonzero(look(made).doubtful[0]).tolist() == [0, 1, 2], "frame 2 has led to those before"


def test_so_are_low_presences() -> None:
    made = cells((STEADY, STILL))
    made.presence[0], made.presence[0, 6], made.status[0, 0] = 1, 0.5, CellStatus.PROMPTED
    assert np.flatnonzero(look(made).doubtful[0]).tolist() == [6, 7]


def test_nothing_is_found_where_nothing_is_known() -> None:
    assert not find(Cells.empty(0, FRAMES)).doubtful.size
    findings = find(Cells.empty(2, FRAMES))
    assert not np.any([findings.doubtful, findings.jumps, findings.lost])
    assert not find(Cells.empty(1, 1)).doubtful.any()


def test_beside() -> None:
    present = np.array([[False, True, False, False, False]])
    assert beside(present).tolist() == [[True, False, True, False, False]]


def summary() -> SessionSummary:
    made = cells((STEADY, STILL), (STEADY, STILL))
    made.score[0, 5] = made.score[1, 5] = made.score[1, 2] = 0.1
    update_confidence(made)
    return SessionSummary((ObjectSummary(4), ObjectSummary(7)), made)


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        (Place(4, 0), Place(7, 2)),
        (Place(7, 2), Place(4, 5)),
        (Place(4, 5), Place(7, 5)),
        (Place(7, 5), Place(7, 2)),
        (Place(7, 7), Place(7, 2)),
    ],
)
def test_the_next_doubtful_place(at: Place, wanted: Place) -> None:
    assert next_doubtful(summary(), at) == wanted


def test_of_a_stretch_the_middle_is_looked_at() -> None:
    made = cells((STEADY, STILL), (STEADY, STILL))
    made.status[:, 0] = CellStatus.PROMPTED
    made.score[0, 3], made.score[1, 1], made.score[1, 2] = 0.5, 0.3, 0.9
    made.status[1, 2] = CellStatus.LOCKED
    update_confidence(made)
    told = SessionSummary((ObjectSummary(4), ObjectSummary(7)), made)
    assert stretches(told) == (Stretch(4, 3, 7), Stretch(7, 1, 1))
    assert [each.middle for each in stretches(told)] == [Place(4, 5), Place(7, 1)]


def test_there_may_be_none() -> None:
    assert next_doubtful(SessionSummary((ObjectSummary(1),), cells((STEADY, STILL))), Place(1, 0)) is None


def test_an_object_that_is_locked_is_confirmed_wherever_it_is() -> None:
    made = summary()
    made.cells.status[1, :2] = CellStatus.NOTHING, CellStatus.ABSENT
    rows = (made.rows[0], replace(made.rows[1], locked=True))
    told = replace(made, rows=rows)
    assert next_doubtful(told, Place(7, 0)) == Place(4, 5)
    shown = status_of(told)
    assert set(shown[0]) == {CellStatus.TRACKED}
    assert [*shown[1]] == [CellStatus.NOTHING, CellStatus.ABSENT, *[CellStatus.LOCKED] * (FRAMES - 2)]
