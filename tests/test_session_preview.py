"""Answers that change nothing, and frames that are looked at ahead."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from napari_sam2._tracking.conditioning import Base
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from napari_sam2.window import WindowRules
from tests.fakes import SHAPE, FakeModel, click, noisy_frames, plain_frames, seeing_model
from tests.seeing import SeeingFake, phantom
from tests.test_session_history import assert_same, snapshot

COUNT = 6
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def prepared() -> Session:
    """Return a session with an object that is tracked and one that is corrected."""
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    session.set_prompts(2, 2, click(15, 12))
    list(session.propagate())
    session.set_prompts(2, 4, click(5, 5))
    return session


@pytest.mark.parametrize(
    ("obj", "frame"), [(1, 2), (1, 4), (2, 4), (3, 5)], ids=["prompted", "tracked", "corrected", "new"]
)
@pytest.mark.parametrize(
    "prompts",
    [
        click(9, 9),
        click(9, 9, (3, 3, False)),
        FramePrompts(box=(2, 3, 12, 15)),
        FramePrompts(mask=np.eye(*SHAPE)),
    ],
    ids=["click", "clicks", "box", "mask"],
)
def test_a_preview_is_the_answer_that_prompts_get(obj: int, frame: int, prompts: FramePrompts) -> None:
    session = prepared()
    seen = session.preview(obj, frame, prompts)
    said = session.set_prompts(obj, frame, prompts)
    assert seen.objects == said.objects == (obj,)
    np.testing.assert_array_equal(seen.logits, said.logits)
    np.testing.assert_array_equal(seen.candidates, said.candidates)
    np.testing.assert_array_equal(seen.presence, said.presence)


def test_a_preview_changes_nothing() -> None:
    session = prepared()
    before = snapshot(session)
    session.take_changes()
    for frame in range(COUNT):
        session.preview(1, frame, click(9, 9))
    assert_same(snapshot(session), before)
    assert session.take_changes() == ()
    assert session.objects == (1, 2)
    assert session.undo_label == "Prompt"


def test_many_previews_on_a_frame_look_at_its_memories_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = prepared()
    asked: list[int] = []
    base_of = session._tracker.base_of

    def noted(obj: int, frame: int, *more: Any) -> Generator[None, None, Base | None]:
        asked.append(frame)
        return base_of(obj, frame, *more)

    monkeypatch.setattr(session._tracker, "base_of", noted)
    for x in range(5):
        session.preview(1, 4, click(9, x))
    assert asked == [4]
    session.preview(1, 5, click(9, 9))
    session.rename(1, "left")
    session.preview(1, 5, click(9, 9))
    assert asked == [4, 5, 5]


@pytest.mark.parametrize(("obj", "frame"), [(1, 4), (2, 4), (3, 5)], ids=["tracked", "corrected", "new"])
def test_what_was_shown_or_worked_out_before_is_at_hand(
    obj: int, frame: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = prepared(), prepared()
    expected = other.set_prompts(obj, frame, click(9, 9))
    shown = session.preview(obj, frame, click(9, 9))
    assert list(session.preview_steps(obj, frame, click(9, 9))) == []
    assert list(session.preview_steps(obj, frame, click(9, 8)))
    assert list(session.preview_steps(obj, frame, click(9, 9))) == []
    monkeypatch.setattr(REAL, "predict", None)  # it is not asked again
    said = session.set_prompts(obj, frame, click(9, 9))
    for result in (shown, expected):
        np.testing.assert_array_equal(said.logits, result.logits)
    np.testing.assert_array_equal(session.labels, other.labels)


def test_what_is_worked_out_changes_nothing_and_what_comes_between_counts() -> None:
    session, other = prepared(), prepared()
    before = snapshot(session)
    steps = session.preview_steps(1, 4, click(9, 9))
    next(steps)
    assert_same(snapshot(session), before)
    for each in (session, other):
        each.set_prompts(1, 3, click(2, 2))
        list(each.propagate())
    list(steps)
    said, expected = session.set_prompts(1, 4, click(9, 9)), other.set_prompts(1, 4, click(9, 9))
    np.testing.assert_array_equal(said.logits, expected.logits)


def test_what_cannot_be_prompted_is_not_worked_out() -> None:
    session = prepared()
    session.lock(1, 3)
    with pytest.raises(ValueError, match="locked on frame 3"):
        next(session.preview_steps(1, 3, click(9, 9)))
    with pytest.raises(ValueError, match="outside the frame"):
        next(session.preview_steps(1, 2, click(99, 9)))
    with pytest.raises(ValueError, match="nothing to preview"):
        next(session.preview_steps(1, 2, FramePrompts()))


def test_a_preview_in_the_middle_of_tracking_does_not_disturb_it(fake_model: FakeModel) -> None:
    session, alone = (Session(plain_frames(COUNT), model=fake_model.as_model()) for _ in range(2))
    for each in (session, alone):
        each.set_prompts(1, 2, click(10, 8))
    for step in session.track(beats=True):
        session.preview(1, 4, click(9, 9))
        session.preview(7, 0, click(3, 3))
        if step is not None:
            session.apply(step)
    list(alone.propagate())
    np.testing.assert_array_equal(session.labels, alone.labels)
    assert session.objects == (1,)


def test_what_cannot_be_prompted_cannot_be_previewed() -> None:
    session = prepared()
    with pytest.raises(ValueError, match="nothing to preview"):
        session.preview(1, 2, FramePrompts())
    with pytest.raises(ValueError, match="outside the frame"):
        session.preview(1, 2, click(99, 9))
    session.lock(1, 3)
    with pytest.raises(ValueError, match="locked on frame 3"):
        session.preview(1, 3, click(9, 9))
    session.ends_here(2, 4)
    with pytest.raises(ValueError, match="object 2 ends on frame 4"):
        session.preview(2, 5, click(9, 9))


def test_a_prepared_frame_is_answered_without_an_encode(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model(), view="frame")
    assert not session.is_ready(3)
    session.prepare(3)
    assert session.is_ready(3)
    assert not session.is_ready(2)
    assert fake_model.encoded == [3]
    session.set_prompts(1, 3, click(9, 9))
    session.prepare(3)
    assert fake_model.encoded == [3]
    assert session.frames_encoded == 1
    for call in (session.prepare, session.is_ready):
        with pytest.raises(ValueError, match="no frame 6"):
            call(COUNT)


def test_of_a_large_frame_the_part_around_a_place_is_prepared() -> None:
    model = SeeingFake(image_size=64)
    frames = phantom((400, 300), [(270.0, 90.0)], [6.0]).frames
    session = Session(frames, model=model.as_model(), view=WindowRules("window", 32))
    session.prepare(0, (270, 90))
    assert session.is_ready(0, (275, 85))
    assert not session.is_ready(0, (20, 280))
    assert not session.is_ready(0)
    session.set_prompts(1, 0, click(270, 90))
    assert session.frames_encoded == 1
    assert session.is_ready(0, np.array([275, 85]))  # type: ignore[arg-type]  # as from layer.world_to_data
    session.prepare(0)
    assert session.is_ready(0, (200, 150))
    assert session.frames_encoded == 2


def test_the_cache_can_be_made_smaller(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model(), view="frame")
    assert session.cache_bytes == 512 * 2**20
    session.cache_bytes = 0
    for frame in range(3):
        session.prepare(frame)
    assert [session.is_ready(frame) for frame in range(3)] == [False, False, True]
    with pytest.raises(ValueError, match="cache_bytes is -1"):
        session.cache_bytes = -1


def test_steps_are_named_before_they_are_taken_back() -> None:
    session = Session(IMAGES, model=REAL)
    assert (session.undo_label, session.redo_label) == (None, None)
    session.set_prompts(1, 2, click(10, 8))
    session.lock(1, 2)
    assert (session.undo_label, session.redo_label) == ("Lock", None)
    session.undo()
    assert (session.undo_label, session.redo_label) == ("Prompt", "Lock")
