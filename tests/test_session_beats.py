"""Tracking in beats: prompts given in the middle of a frame do what they do between two frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from napari_sam2.frame_result import FrameResult
from napari_sam2.prompts import PromptKey
from napari_sam2.session import Session
from napari_sam2.window import WindowRules
from tests.fakes import FakeModel, absent, click, plain_frames
from tests.seeing import SeeingFake, crossing

pytestmark = pytest.mark.usefixtures("one_at_a_time")

COUNT = 9
START = 3

Edit = Callable[[Session], object]


def session_of(fake: FakeModel) -> Session:
    session = Session(plain_frames(COUNT), model=fake.as_model())
    for obj, place in ((1, (5, 5)), (2, (12, 10)), (3, (18, 14))):
        session.set_prompts(obj, START, click(*place))
    return session


def undone(session: Session) -> None:
    """Say something of the object and take it back: its passes end all the same."""
    session.set_prompts(2, START, click(1, 1))
    session.undo()


EDITS: dict[str, Edit] = {
    "clicked ahead": lambda session: session.set_prompts(2, START + 3, click(10, 4)),
    "clicked here": lambda session: session.set_prompts(2, START + 1, click(10, 4)),
    "clicked before": lambda session: session.set_prompts(2, START - 1, click(10, 4)),
    "clicked again": lambda session: session.set_prompts(2, START, click(1, 1)),
    "taken back": lambda session: session.set_prompts(2, START, type(click(0, 0))()),
    "absent ahead": lambda session: session.set_prompts(2, START + 2, absent()),
    "absent here": lambda session: session.set_prompts(2, START + 1, absent()),
    "removed": lambda session: session.remove_object(2),
}


def tell(result: FrameResult) -> tuple[int, tuple[int, ...], tuple[bytes, ...]]:
    return result.frame, result.objects, tuple(placed.logits.tobytes() for placed in result.placed)


def beats_before_each_result(fake: FakeModel) -> list[int]:
    counts, beats = [], 0
    for step in session_of(fake).track(beats=True):
        if step is None:
            beats += 1
        else:
            counts.append(beats)
            beats = 0
    return counts


def run_in_beats(session: Session, edit: Edit, results: int, beats: int) -> list[object]:
    """Apply results; after `results` of them and `beats` more beats, edit."""
    told: list[object] = []
    done = 0
    for step in session.track(beats=True):
        if step is not None:
            session.apply(step)
            told.append(tell(step))
            done = 0
        else:
            done += 1
        if len(told) == results and done == beats:
            edit(session)
            done = -COUNT * COUNT  # once
    return told


def run_in_frames(session: Session, edit: Edit, results: int) -> list[object]:
    told: list[object] = []
    for result in session.propagate():
        told.append(tell(result))
        if len(told) == results:
            edit(session)
    return told


def test_beats_come_after_an_encode_and_after_each_group(fake_model: FakeModel) -> None:
    counts = beats_before_each_result(fake_model)
    assert len(counts) == COUNT
    # an encode; one object at a time, predicted and remembered
    assert counts[2] == 1 + 3 + 3


def test_without_beats_only_results_come(fake_model: FakeModel) -> None:
    results = [tell(result) for result in session_of(fake_model).track()]
    beaten = [tell(step) for step in session_of(fake_model).track(beats=True) if step is not None]
    assert results == beaten


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("results", [1, 2, 6])
def test_a_prompt_within_a_frame_does_what_it_does_before_it(edit: Edit, results: int) -> None:
    wanted_session = session_of(FakeModel())
    wanted = run_in_frames(wanted_session, edit, results)
    beats = beats_before_each_result(FakeModel())[results]
    assert beats >= 6
    for beat in range(1, beats + 1):
        session = session_of(FakeModel())
        told = run_in_beats(session, edit, results, beat)
        assert told == wanted
        np.testing.assert_array_equal(session.labels, wanted_session.labels)
        # What is left is computed by the next propagation, with the same end.
        list(session.propagate())
        assert not list(session.propagate())
    list(wanted_session.propagate())
    np.testing.assert_array_equal(session.labels, wanted_session.labels)


@pytest.mark.parametrize("results", [1, 2, 6])
def test_what_is_taken_back_within_a_frame_is_computed_next_time(results: int) -> None:
    wanted = session_of(FakeModel())
    list(wanted.propagate())
    for beat in range(1, beats_before_each_result(FakeModel())[results] + 1):
        session = session_of(FakeModel())
        run_in_beats(session, undone, results, beat)
        list(session.propagate())
        np.testing.assert_array_equal(session.labels, wanted.labels)


def test_the_lock_is_free_between_beats(fake_model: FakeModel) -> None:
    session = session_of(fake_model)
    steps = session.track(beats=True)
    assert next(steps) is None
    other = Thread(target=lambda: session.set_prompts(4, 0, click(3, 3)))
    other.start()
    other.join(timeout=10)
    assert not other.is_alive()
    assert 4 in session.objects


def test_two_propagations_at_once_do_not_mix(fake_model: FakeModel) -> None:
    alone = session_of(FakeModel())
    list(alone.propagate())
    session = session_of(fake_model)
    first, second = session.track(beats=True), session.track(beats=True)
    for _ in range(9):
        next(first)
    for step in (*second, *first):
        if step is not None:
            session.apply(step)
    np.testing.assert_array_equal(session.labels, alone.labels)


def work_of(model: SeeingFake, steps: Iterator[object]) -> list[int]:
    """Tell of each step how many windows were encoded and answers given."""
    work, before = [], len(model.sides) + model.asked
    while next(steps, _END) is not _END:
        after = len(model.sides) + model.asked
        work.append(after - before)
        before = after
    return work


def loaded(folder: Path) -> tuple[Session, SeeingFake]:
    """Load an object that is prompted on four frames and tracked between; nothing is answered yet."""
    seen, rules, model = crossing(), WindowRules("window", 64, 3, smallest=16), SeeingFake()
    session = Session(seen.frames, model=model.as_model(), view=rules)
    for frame in (0, 6, 12, 18):
        y, x = np.argwhere(seen.truth[frame]).mean(axis=0)
        session.set_prompts(1, frame, click(y, x))
    list(session.propagate())
    session.save(folder / "a.sam2.json")
    return Session.load(folder / "a.sam2.json", seen.frames, model.as_model()), model


def test_no_beat_of_a_session_that_was_loaded_is_longer_than_one_window(tmp_path: Path) -> None:
    session, model = loaded(tmp_path)
    work = work_of(model, session.track(direction="forward", beats=True))
    assert sum(work) > 4 * 3, "four clicks have to be answered for their memories"
    assert max(work) == 1


def test_no_step_of_a_first_correction_is_longer_than_one_window(tmp_path: Path) -> None:
    session, model = loaded(tmp_path)
    work = work_of(model, session.preview_steps(1, 9, click(80, 80)))
    assert sum(work) > 4 * 3
    assert max(work) == 1
    asked = model.asked
    session.set_prompts(1, 9, click(80, 80))
    assert model.asked == asked


@pytest.mark.parametrize("beat", range(1, 6))
def test_an_outline_between_two_beats_changes_nothing_that_is_tracked(beat: int) -> None:
    seen, rules = crossing(), WindowRules("window", 64, 3, smallest=16)
    places = [np.argwhere(truth).mean(axis=0) for truth in seen.truth]
    alone, looked_at = (Session(seen.frames, model=SeeingFake().as_model(), view=rules) for _ in range(2))
    for session in (alone, looked_at):
        session.set_prompts(1, 0, click(*places[0]))
    frame, beats = 0, 0
    for result in looked_at.track(direction="forward", beats=True):
        if result is not None:
            looked_at.apply(result)
            frame, beats = result.frame, 0
        elif frame:
            beats += 1
            if beats == beat:
                looked_at.preview(1, frame, click(*places[frame]))
    list(alone.propagate(direction="forward"))
    for frame in range(len(places)):
        one, other = (session._state.entry(PromptKey(1, frame)) for session in (alone, looked_at))
        assert one is not None
        assert other is not None
        assert np.array_equal(one.logits.logits, other.logits.logits)  # type: ignore[union-attr]


_END = object()
