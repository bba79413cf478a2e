"""Answers that are kept: to the same question, and to the one of a click ago."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._tracking.conditioning import Base
from napari_sam2._tracking.recent_answers import Question, RecentAnswers
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts

WINDOW = Box(0, 0, 8, 8)
BASE = Base(np.zeros((4, 4), np.float32), None)


def asked(*points: tuple[float, float], frame: int = 0, window: Box | None = None) -> Question:
    return Question(frame, window, FramePrompts(points=points, positive=(True,) * len(points)), None)


def test_only_the_same_question_is_answered() -> None:
    kept: RecentAnswers[str] = RecentAnswers(4)
    kept.keep(asked((1, 2), window=WINDOW), "here")
    assert kept.get(asked((1, 2), window=WINDOW)) == "here"
    others = (asked((1, 3), window=WINDOW), asked((1, 2)), asked((1, 2), frame=1, window=WINDOW), None)
    assert [kept.get(each) for each in others] == [None] * 4
    assert kept.get(Question(0, WINDOW, asked((1, 2)).prompts, BASE)) is None


def test_the_oldest_answer_goes_first() -> None:
    kept: RecentAnswers[int] = RecentAnswers(2)
    for x in range(3):
        kept.keep(asked((0, x)), x)
    assert [kept.get(asked((0, x))) for x in range(3)] == [None, 1, 2]


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (asked((1, 2), (3, 4)), asked((1, 2))),
        (asked((1, 2)), None),
        (Question(2, WINDOW, FramePrompts(box=(0, 0, 4, 4)), BASE), None),
        (
            Question(2, WINDOW, FramePrompts(points=((1, 1),), positive=(False,), box=(0, 0, 4, 4)), BASE),
            Question(2, WINDOW, FramePrompts(box=(0, 0, 4, 4)), BASE),
        ),
        (
            Question(0, None, FramePrompts(points=((1, 1),), positive=(True,), mask=np.eye(4) > 0), None),
            Question(0, None, FramePrompts(mask=np.eye(4) > 0), None),
        ),
    ],
    ids=["clicks", "one click", "a box", "a box and a click", "a mask and a click"],
)
def test_what_was_asked_a_click_ago(now: Question, before: Question | None) -> None:
    found = now.before_last_click()
    assert (found is None) == (before is None)
    assert before is None or (found is not None and found.is_again(before))
