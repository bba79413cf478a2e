"""The protocol on a session that is known to be right, or wrong in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from napari_sam2._cli.progress import Run
from napari_sam2._cli.scoring import document, evaluate_session, table
from napari_sam2.prompts import PromptKey
from tests._cli.fake_session import FakeSession, two_squares

if TYPE_CHECKING:
    from napari_sam2.frame_result import FrameResult


def unwatched(results: Iterable[FrameResult], total: int) -> Run:
    count = sum(len(result.objects) for result in results)
    assert count == total
    return Run(results=count, seconds=2.0, stopped=False)


def test_a_session_that_is_right() -> None:
    session = FakeSession(two_squares())
    evaluation = evaluate_session(session.as_session(), session.truth, unwatched)
    assert (evaluation.j, evaluation.f, evaluation.clicks, evaluation.stopped) == (1.0, 1.0, 1, False)
    assert set(session.prompts) == {PromptKey(1, 0), PromptKey(2, 0)}
    assert [prompts.positive for prompts in session.prompts.values()] == [(True,), (True,)]


def test_corrections_go_to_the_worst_frame_and_end_when_nothing_is_wrong() -> None:
    session = FakeSession(two_squares(), bad_frame=4)
    once = evaluate_session(FakeSession(session.truth, bad_frame=4).as_session(), session.truth, unwatched)
    assert once.j == pytest.approx(5 / 6)
    evaluation = evaluate_session(session.as_session(), session.truth, unwatched, clicks=5)
    assert evaluation.j == 1.0
    assert (evaluation.clicks, evaluation.seconds) == (2, 4.0)
    corrected = session.prompts[PromptKey(1, 4)]
    ((y, x),) = corrected.points
    assert corrected.positive == (True,)
    assert session.truth[4, int(y), int(x)] == 1


class TwiceWrong(FakeSession):
    """Misses the object on its last frame, where it is one pixel, and half of it on the frame before."""

    def mask(self, obj: int, frame: int) -> NDArray[np.bool_]:
        found = super().mask(obj, frame)
        if obj == 1 and frame >= len(self.truth) - 2 and PromptKey(obj, frame) not in self.prompts:
            found[:, np.flatnonzero(found.any(axis=0))[0] :: 2] = False
        return found


def test_a_correction_goes_where_most_pixels_are_wrong() -> None:
    """Not where J is least, which is mostly an end of the object that nobody would look at."""
    truth = two_squares()
    rows, columns = np.nonzero(truth[-1] == 1)
    truth[-1, truth[-1] == 1] = 0
    truth[-1, rows[0], columns[0]] = 1
    session = TwiceWrong(truth)
    once = evaluate_session(TwiceWrong(truth).as_session(), truth, unwatched)
    assert once.scores[0].worst_frame == len(truth) - 1
    evaluate_session(session.as_session(), truth, unwatched, clicks=2)
    assert PromptKey(1, len(truth) - 2) in session.prompts
    assert PromptKey(1, len(truth) - 1) not in session.prompts


def test_a_stopped_run_is_scored_as_it_is() -> None:
    session = FakeSession(two_squares(), bad_frame=4)

    def stopped(results: Iterable[FrameResult], total: int) -> Run:
        unwatched(results, total)
        return Run(results=3, seconds=1.0, stopped=True)

    evaluation = evaluate_session(session.as_session(), session.truth, stopped, clicks=3)
    assert evaluation.stopped
    assert evaluation.clicks == 1


def test_every_object() -> None:
    truth = two_squares()
    truth[0, 38, 40] = 9
    chosen = evaluate_session(FakeSession(truth).as_session(), truth, unwatched)
    every = evaluate_session(FakeSession(truth).as_session(), truth, unwatched, every=True)
    assert [obj.id for obj in chosen.objects] == [1, 2]
    assert [obj.id for obj in every.objects] == [1, 2, 9]


def test_what_cannot_be_scored() -> None:
    truth = two_squares()
    with pytest.raises(ValueError, match=r"\(5, 40, 48\).*\(6, 40, 48\)"):
        evaluate_session(FakeSession(truth).as_session(), truth[1:], unwatched)
    with pytest.raises(ValueError, match="no object to score"):
        evaluate_session(FakeSession(truth).as_session(), truth * 0, unwatched)


def test_the_table_and_the_document() -> None:
    session = FakeSession(two_squares(), bad_frame=4)
    evaluation = evaluate_session(session.as_session(), session.truth, unwatched)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table(evaluation, "squares"))
    assert "squares" in captured.get()
    assert "0.833" in captured.get()
    written = json.loads(document(evaluation, model="fake"))
    assert written["model"] == "fake"
    assert written["j"] == pytest.approx(5 / 6)
    assert [each["id"] for each in written["objects"]] == [1, 2]
    assert written["objects"][0]["click"] == [9, 9]
    assert written["j_present"] == evaluation.j_present
    assert written["absent_empty"] == evaluation.absent_empty
    assert written["beyond_empty"] == evaluation.beyond_empty
