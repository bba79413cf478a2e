"""A summary says of every object and frame what the labels and the entries say, however it was arrived at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.doubt import Stretch
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from napari_sam2.summary import Cells, CellStatus, least_confidence, update_confidence
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model

COUNT = 6
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def check(session: Session) -> None:
    """Compare a summary with what is found by looking at everything."""
    summary = session.summary()
    assert summary.objects == session.objects
    for row, obj in enumerate(summary.objects):
        for frame in range(COUNT):
            check_cell(session, summary.cells, row, obj, frame)
    again = replace(summary.cells, confidence=np.full_like(summary.cells.confidence, np.nan))
    update_confidence(again)
    np.testing.assert_array_equal(summary.cells.confidence, again.confidence)
    for told in summary.rows:
        assert told.frames == (session.labels == told.obj).any(axis=(1, 2)).sum()
        assert (told.parent, told.life) == (session.parents.get(told.obj), session.life(told.obj))
        assert (told.name, told.locked) == (
            session.names.get(told.obj, ""),
            told.obj in session.locked_objects,
        )
        assert told.prompts == sum(key.obj == told.obj for key in session.prompts)


def check_cell(session: Session, cells: Cells, row: int, obj: int, frame: int) -> None:
    places = np.argwhere(session.labels[frame] == obj)
    assert cells.area[row, frame] == len(places)
    expected = places.mean(axis=0) if len(places) else [np.nan, np.nan]
    np.testing.assert_allclose(cells.centroid[row, frame], expected, rtol=1e-5)
    entry = session.entry(obj, frame)
    expected = (np.nan, np.nan) if entry is None else (entry.score, entry.presence)
    np.testing.assert_allclose((cells.score[row, frame], cells.presence[row, frame]), expected, rtol=1e-6)
    prompts = session.prompts.get(PromptKey(obj, frame))
    status = "NOTHING" if entry is None else entry.provenance.upper()
    if entry is not None and prompts is not None and prompts.says_absent:
        status = "ABSENT"
    if entry is not None and entry.locked:
        status = "LOCKED"
    assert cells.status[row, frame] == CellStatus[status]


def square(side: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[2 : 2 + side, 3 : 3 + side] = True
    return mask


ACTIONS: dict[str, Callable[[Session, int, int], object]] = {
    "prompt": lambda session, obj, frame: session.set_prompts(obj, frame, click(4 * frame, 3 * obj)),
    "take back": lambda session, obj, frame: session.set_prompts(obj, frame, FramePrompts()),
    "absent": lambda session, obj, frame: session.set_prompts(obj, frame, absent()),
    "paint": lambda session, obj, frame: session.paint(obj, frame, square(3 * obj)),
    "paint nothing": lambda session, obj, frame: session.paint(obj, frame, square(0)),
    "propagate": lambda session, obj, frame: [None for _ in session.propagate()],
    "lock": lambda session, obj, frame: session.lock(obj, frame),
    "lock object": lambda session, obj, frame: session.lock_object(obj),
    "unlock object": lambda session, obj, frame: session.unlock_object(obj),
    "unlock": lambda session, obj, frame: session.unlock(obj, frame),
    "end": lambda session, obj, frame: session.ends_here(obj, frame),
    "divide": lambda session, obj, frame: session.divide(obj, frame),
    "remove": lambda session, obj, frame: session.remove_object(obj),
    "split": lambda session, obj, frame: session.split(obj, frame),
    "rename": lambda session, obj, frame: session.rename(obj, f"number {frame}"),
    "undo": lambda session, obj, frame: session.undo(),
    "redo": lambda session, obj, frame: session.redo(),
}
actions = st.tuples(
    st.sampled_from(sorted(ACTIONS)), st.integers(1, 3), st.integers(0, COUNT - 1), st.booleans()
)


@settings(max_examples=25, deadline=None)
@given(st.lists(actions, min_size=4, max_size=12))
def test_a_summary_that_follows_says_what_is_there(done: list[tuple[str, int, int, bool]]) -> None:
    session = Session(plain_frames(COUNT), model=FakeModel().as_model())
    session.paint(1, 2, square(9))
    session.set_prompts(2, 3, click(8, 8))
    for name, obj, frame, is_watched in done:
        try:
            ACTIONS[name](session, obj, frame)
        except ValueError:
            continue
        if is_watched:
            check(session)
    check(session)


def test_a_summary_is_a_value() -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(4))
    before = session.summary()
    session.paint(1, 3, square(4))
    after = session.summary()
    assert before.cells.area.sum() == 16
    assert after.cells.area.sum() == 32
    with pytest.raises(ValueError, match="read-only"):
        after.cells.area[0, 0] = 1


def test_only_what_changed_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(IMAGES, model=REAL)
    for frame in range(COUNT):
        session.paint(1, frame, square(4))
    first = session.summary()
    assert session.summary().cells is first.cells
    reads: list[int] = []
    look = session._state._table._look

    def noted(frame: int, changed: Box | None) -> None:
        reads.append(frame)
        look(frame, changed)

    monkeypatch.setattr(session._state._table, "_look", noted)
    session.paint(1, 2, square(5))
    session.summary()
    assert reads == [2]


def test_the_least_confidence_is_that_of_a_tracked_frame(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 2, click(10, 8))
    assert session.summary().rows[0].worst is None
    list(session.propagate())
    told = session.summary()
    sure = told.cells.score[0] * told.cells.presence[0]
    assert told.rows[0].worst == pytest.approx(min(sure[:2].tolist() + sure[3:].tolist()))
    cells = Cells.empty(2, 4)
    cells.status[:] = CellStatus.TRACKED
    cells.area[:, :3] = 5
    cells.score[:] = [[0.5, 0.2, 0.9, 0.1], [0.7, np.nan, 0.8, 0.0]]
    cells.status[0, 1] = CellStatus.PROMPTED
    cells.status[1, 1] = CellStatus.NOTHING
    update_confidence(cells)
    assert least_confidence(cells) == pytest.approx([0.5, 0.7])


def test_a_confirmed_mask_of_another_size_has_another_share_of_the_way(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT) + 60, model=fake_model.as_model())
    session.set_prompts(1, 0, click(10, 8))
    session.set_prompts(1, 5, click(10, 8))
    list(session.propagate())
    before = session.summary().cells.confidence
    state, on_the_way, confirmed = session._state, session.entry(1, 1), session.entry(1, 5)
    assert on_the_way is not None
    assert confirmed is not None
    state.put_entry(PromptKey(1, 1), replace(on_the_way, score=0.1))
    assert session.summary().cells.confidence[0, 2] < before[0, 2] / 2
    large = PackedMask.pack(np.ones(SHAPE, bool))
    state.put_entry(PromptKey(1, 5), replace(confirmed, logits=None, painted=large))
    assert session.summary().cells.confidence[0, 2] > before[0, 2] / 2, "it counts as tracked from there"
    check(session)


def test_a_session_lists_what_deserves_a_look(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT) + 60, model=fake_model.as_model())
    session.set_prompts(4, 0, click(10, 8))
    fake_model.lost_from = 64
    list(session.propagate())
    assert session.doubtful() == (Stretch(4, 4, 4),)
    session.ends_here(4, 3)
    assert session.doubtful() == ()


def test_prompts_that_leave_nothing_lead_nowhere() -> None:
    cells = Cells.empty(1, 6)
    cells.status[0] = CellStatus.TRACKED
    cells.status[0, [0, 5]] = CellStatus.PROMPTED
    cells.area[0, :5], cells.presence[0], cells.score[0] = 4, 1, (1, 0.9, 0.5, 0.9, 0.9, 0.2)
    update_confidence(cells)
    np.testing.assert_allclose(cells.confidence[0, 1:5], [0.9, 0.5, 0.5, 0.5])


def test_of_a_tracked_object_without_pixels_it_is_that_it_is_not_there() -> None:
    cells = Cells.empty(1, 4)
    cells.status[0, :3] = CellStatus.PROMPTED, CellStatus.TRACKED, CellStatus.TRACKED
    cells.area[0, :2], cells.score[0, :3], cells.presence[0, :3] = 5, (0.8, 0.9, 0.2), (1, 0.5, 0.1)
    update_confidence(cells)
    np.testing.assert_allclose(cells.confidence, [[0.8, 0.45, 0.9, np.nan]])


def test_labels_of_somebody_else_are_not_counted() -> None:
    labels = np.full((COUNT, *SHAPE), 7, np.uint16)
    session = Session(IMAGES, model=REAL, labels=labels)
    session.paint(1, 2, square(4))
    check(session)
    assert session.objects == (1,)


def test_nothing_is_known_at_first() -> None:
    summary = Session(IMAGES, model=REAL).summary()
    assert summary.objects == ()
    assert summary.cells.status.shape == (0, COUNT)
