"""How long the network takes for an answer, and whether it is quick enough for a mask under the cursor."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from napari_sam2.steps import within

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_sam2.frame_result import FrameResult
    from napari_sam2.prompts import FramePrompts, PromptKey
    from napari_sam2.session import Session

PREVIEW_LIMIT = 0.5
"""Masks are shown before the click where they take no longer, in seconds; clicks go between their steps."""

# So many answers are looked at: the quickest of them counts, since others may have been hiccups.
_LOOKED_AT = 3


class _Watch:
    """Seconds inside of it, and how many times that was."""

    def __init__(self) -> None:
        self.seconds, self.count, self._began = 0.0, 0, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began
        self.count += 1


class AnswerTimes:
    """Has answers worked out in steps, and notes how long they take."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_LOOKED_AT)

    @property
    def are_short(self) -> bool:
        """Whether a mask can be shown before the click."""
        return min(self._seconds, default=0.0) <= PREVIEW_LIMIT

    def answer_steps(
        self, session: Session, key: PromptKey, prompts: FramePrompts
    ) -> Generator[None, None, FrameResult]:
        """Work an answer out, which the session has at hand then.

        What is done between two steps does not count, nor does an answer on a frame that was not prepared, or
        one that was at hand.
        """
        counts, watch = session.is_ready(key.frame, prompts.place), _Watch()
        result = yield from within(watch, session.preview_steps(key.obj, key.frame, prompts))
        if counts and watch.count > 1:
            self._seconds.append(watch.seconds)
        return result
