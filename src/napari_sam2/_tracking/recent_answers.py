"""The last answers of the network, for who asks again or gives one more click."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from napari_sam2._tracking.conditioning import Base
    from napari_sam2.placement import Box

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Question:
    """What an answer is a function of.

    Attributes
    ----------
    frame : int
        Which frame.
    window : Box or None
        Where it is looked at; None where the prompts have to tell.
    prompts : FramePrompts
        What was said of the object there.
    base : Base or None
        What they correct.
    """

    frame: int
    window: Box | None
    prompts: FramePrompts
    base: Base | None

    def is_again(self, other: Question) -> bool:
        """Whether the same is asked; prompts are compared last, since masks are large."""
        return (
            self.frame == other.frame
            and self.window == other.window
            and self.base is other.base
            and self.prompts == other.prompts
        )

    def before_last_click(self) -> Question | None:
        """Return what was asked one click ago; None where nothing was."""
        before = _without_last_click(self.prompts)
        return None if before is None or before.is_empty else replace(self, prompts=before)


def _without_last_click(prompts: FramePrompts) -> FramePrompts | None:
    if not prompts.points:
        return None
    return FramePrompts(
        points=prompts.points[:-1],
        positive=prompts.positive[:-1],
        box=prompts.box,
        mask=prompts.packed,
        candidate=prompts.candidate,
    )


class RecentAnswers(Generic[T]):
    """A few answers; the oldest goes first.

    Parameters
    ----------
    count : int
        How many.
    """

    def __init__(self, count: int) -> None:
        self._kept: deque[tuple[Question, T]] = deque(maxlen=count)

    def get(self, question: Question | None) -> T | None:
        """Return the answer to a question; None if it is not kept."""
        if question is None:
            return None
        return next((answer for asked, answer in reversed(self._kept) if asked.is_again(question)), None)

    def keep(self, question: Question, answer: T) -> None:
        """Keep an answer, the only one to its question."""
        self._kept.append((question, answer))
