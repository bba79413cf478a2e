"""Prompts answered where they belong: the window is chosen by the prompts, then fitted to the answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from napari_sam2._tracking.conditioning import Base, answer_click, answer_prompts
from napari_sam2._tracking.recent_answers import Question, RecentAnswers
from napari_sam2._tracking.second_look import look_again
from napari_sam2._tracking.sighting import Answer, Sighting, Sightings
from napari_sam2.grouping import Groups
from napari_sam2.placement import Box, PlacedLogits
from napari_sam2.prompts import FramePrompts
from napari_sam2.steps import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._tracking.second_look import SecondLook
    from napari_sam2.features import FeatureCache
    from napari_sam2.window import Windows

    Answering = Generator[None, None, "Answer"]

# How often a window is made larger because it cuts the answer.
_WIDENINGS = 2
# Answers that are kept: those in all windows of a first click, and some.
_RECENT = 16


class Aimed(NamedTuple):
    """Where to look for an object, and which candidate of its first click to take."""

    window: Box
    prompts: FramePrompts


class _Again(NamedTuple):
    """An answer, what a second look made of it, and what further clicks set out from."""

    first: Answer
    answer: Answer
    base: Base

    @classmethod
    def of(cls, first: Answer, look: SecondLook) -> _Again:
        low_res = look.prediction.low_res[0, 0].float().cpu().numpy()
        embedding = look.embedding[0].float().cpu().numpy()
        base = Base(low_res, embedding, first.window, answered=1)
        return cls(first, Answer(look.prediction, first.window), base)


class Aim:
    """Answers prompts on frames, each in a window of its own; the last answers are kept.

    So a click costs nothing where the mask under the cursor was shown before it, and one more click on an
    object costs no more than itself.

    Parameters
    ----------
    model : Sam2
        Network.
    features : FeatureCache
        Of the frames and their windows.
    windows : Windows
        How windows are made.
    groups : Groups, optional
        How many windows are looked at at once; by default one.
    """

    def __init__(
        self, model: Sam2, features: FeatureCache, windows: Windows, groups: Groups | None = None
    ) -> None:
        self._model = model
        self._features = features
        self._windows = windows
        self._groups = groups or Groups(1, model.runtime.device)
        self._recent: RecentAnswers[Answer] = RecentAnswers(_RECENT)
        self._again: _Again | None = None

    def answer(self, frame: int, prompts: FramePrompts, base: Base | None) -> Answer:
        """Answer all prompts of an object on a frame; a function of them and the base alone.

        Raises
        ------
        ValueError
            If there is no prompt.
        """
        return result_of(self.answering(frame, prompts, base))

    def answering(self, frame: int, prompts: FramePrompts, base: Base | None) -> Answering:
        """Do what `answer` does in steps, none longer than to encode some windows or to answer in one."""
        question = Question(frame, None, prompts, base)
        known = self._recent.get(question)
        if known is not None:
            return known
        if self._is_sought(prompts, base):
            answer = yield from self._clicks_answered(frame, prompts)
        else:
            window = self._first_window(prompts, base)
            answer = yield from self._held_whole(
                window, prompts, lambda held: self._answered_in(held, frame, prompts, base)
            )
        self._recent.keep(question, answer)
        return answer

    def _is_sought(self, prompts: FramePrompts, base: Base | None) -> bool:
        """Whether clicks alone have to tell where the object is."""
        return self._windows.field_at() is None and base is None and _are_clicks(prompts)

    def _clicks_answered(self, frame: int, prompts: FramePrompts) -> Answering:
        """Answer clicks alone: the first says what is meant, the others correct what is seen of it then."""
        window, aimed = yield from self._aimed_by_click(frame, prompts)
        return (
            yield from self._held_whole(window, prompts, lambda held: self._clicked_in(held, frame, aimed))
        )

    def _held_whole(
        self, window: Box, prompts: FramePrompts, answer_in: Callable[[Box], Answering]
    ) -> Answering:
        """Answer in a window that holds all prompts, made larger where it cuts the mask."""
        answer = yield from answer_in(self._windows.including(window, prompts.points))
        for _ in range(_WIDENINGS):
            wider = self._wider(answer, prompts)
            if wider == answer.window:
                break
            answer = yield from answer_in(wider)
        return answer

    def _clicked_in(self, window: Box, frame: int, prompts: FramePrompts) -> Answering:
        """Answer the first click, look again, and correct what is seen by all clicks.

        Where the second look sees nothing, something else, or denies the click, all clicks are answered as
        they are.
        """
        click, is_alone = _first_click(prompts, prompts.candidate), len(prompts.points) == 1
        first = yield from self._answered_in(window, frame, click, None)
        again = yield from self._seen_again(frame, first)
        if again is None or not self._heeds(again.answer, click):
            return first if is_alone else (yield from self._answered_in(window, frame, prompts, None))
        if is_alone:
            return again.answer
        clicks = FramePrompts(points=prompts.points, positive=prompts.positive)
        return (yield from self._answered_in(window, frame, clicks, again.base))

    def _seen_again(self, frame: int, first: Answer) -> Generator[None, None, _Again | None]:
        """Look again; not at all of a frame that is larger than windows, which is as dear as to track it."""
        if self._windows.resolution(first.window) > self._windows.size:
            return None
        if self._again is not None and self._again.first is first:
            return self._again
        look = look_again(self._model, self._features.get(frame, first.window), first.prediction)
        again = None if look is None else _Again.of(first, look)
        self._again = again
        yield
        return again

    def _heeds(self, answer: Answer, prompts: FramePrompts) -> bool:
        """Whether a mask holds the positive clicks of prompts and none of the negative ones."""
        logits = answer.prediction.low_res[0, 0].float().cpu().numpy()
        placed = PlacedLogits(logits, answer.window, self._windows.frame_shape)
        pixels = [Box(y, x, y + 1, x + 1) for y, x in np.rint(prompts.points).astype(int).tolist()]
        held = [bool(placed.sample(pixel, (1, 1))[0, 0] > 0) for pixel in pixels]
        return held == list(prompts.positive)

    def _first_window(self, prompts: FramePrompts, base: Base | None) -> Box:
        """Choose the window of prompts that tell where the object is."""
        windows = self._windows
        if not windows.moves:
            return windows.whole
        if prompts.packed is not None:
            # A mask without pixels has no place, and its answer is empty in whatever window.
            return windows.fit(prompts.packed.box or Box(0, 0, 1, 1))
        if base is not None:
            return base.window or windows.whole
        field = windows.field_at(prompts.place)
        if prompts.box is None:
            return field or windows.whole  # nothing tells where it is
        y0, x0, y1, x1 = prompts.box
        if field is not None:
            return windows.including(field, ((y0, x0), (y1 - 1, x1 - 1)))
        return windows.fit(Box(floor(y0), floor(x0), ceil(y1), ceil(x1)))

    def _aimed_by_click(self, frame: int, prompts: FramePrompts) -> Generator[None, None, Aimed]:
        """Choose a window and a candidate by the first click, unless the user has chosen a candidate."""
        sought = yield from self._scan(frame, prompts)
        click = _first_click(prompts)
        if sought is None:
            return Aimed(self._windows.around(prompts.points[0])[0], prompts)
        box = self._windows.grid_box(sought.logits > 0, Box(*(int(edge) for edge in sought.window)))
        window = self._windows.fit(box or self._windows.whole)
        if prompts.candidate is not None:
            return Aimed(window, prompts)
        found = yield from self._sighting(window, frame, click)
        alike = found.agreement(Sighting((sought,), (box,), np.ones(1)))
        candidate = int(np.argmax(alike * found.scores))
        return Aimed(
            window, FramePrompts(points=prompts.points, positive=prompts.positive, candidate=candidate)
        )

    def _scan(self, frame: int, prompts: FramePrompts) -> Generator[None, None, PlacedLogits | None]:
        """Look at the first click in windows of all sizes; return the answer that stands in most of them.

        A network that is shown part of an object, or a crowd of them, finds something that suits the window:
        its own estimate does not tell. What is there is found again in other windows.
        """
        click = _first_click(prompts)
        found = Sightings()
        around = self._windows.around(prompts.points[0])
        yield from self._answer_together(around, frame, click)
        for window in around:
            found.add((yield from self._sighting(window, frame, click)))
        return found.best()

    def _answer_together(
        self, windows: Sequence[Box], frame: int, click: FramePrompts
    ) -> Generator[None, None, None]:
        """Answer a first click in several windows, as many at a time as go through the network at once."""
        unknown = [w for w in windows if self._recent.get(Question(frame, w, click, None)) is None]
        yield from self._features.in_groups([(frame, window) for window in unknown])
        for _, alike in groupby(unknown, key=self._windows.resolution):
            for _ in self._groups.run(list(alike), lambda part: self._answer_group(part, frame, click)):
                yield

    def _answer_group(self, windows: Sequence[Box], frame: int, click: FramePrompts) -> None:
        features = self._features.get_all([(frame, window) for window in windows])
        with torch.inference_mode(), self._model.runtime.autocast():
            predictions = answer_click(self._model, features, click, windows)
        for window, prediction in zip(windows, predictions, strict=True):
            self._recent.keep(Question(frame, window, click, None), Answer(prediction, window))

    def _wider(self, answer: Answer, prompts: FramePrompts) -> Box:
        """Give a larger window where the mask is cut off; only clicks and boxes leave the mask open."""
        box = self.box_of(answer)
        if box is None or prompts.packed is not None or not self._windows.is_cut(answer.window, box):
            return answer.window
        return self._windows.including(self._windows.widened(answer.window, box), prompts.points)

    def box_of(self, answer: Answer) -> Box | None:
        """Find the pixels that an answer's mask covers."""
        positive = (answer.prediction.low_res[0, 0] > 0).cpu().numpy()
        return self._windows.grid_box(positive, answer.window)

    def _sighting(self, window: Box, frame: int, click: FramePrompts) -> Generator[None, None, Sighting]:
        answer = yield from self._answered_in(window, frame, click, None)
        return Sighting.of(answer, self._windows)

    def _answered_in(self, window: Box, frame: int, prompts: FramePrompts, base: Base | None) -> Answering:
        """Answer in a window, after it was encoded."""
        question = Question(frame, window, prompts, base)
        known = self._recent.get(question)
        if known is not None:
            return known
        if not self._features.has(frame, window):
            self._features.get(frame, window)
            yield
        answer = self._answer_in(window, question)
        self._recent.keep(question, answer)
        yield
        return answer

    def _answer_in(self, window: Box, question: Question) -> Answer:
        """Answer in a window, from the answer of one click ago where that is kept."""
        shape, base = self._windows.frame_shape, question.base
        before = self._recent.get(question.before_last_click())
        with torch.inference_mode(), self._model.runtime.autocast():
            features = self._features.get(question.frame, window)
            if base is not None and (base.window or self._windows.whole) != window:
                base = self._moved(base, window)
            known = None if before is None else before.prediction
            prediction = answer_prompts(
                self._model,
                features,
                question.prompts,
                shape,
                base,
                window,
                known,
                trims=self._windows.moves and self._windows.field_at() is None,
            )
        return Answer(prediction, window)

    def _moved(self, base: Base, window: Box) -> Base:
        """Show a base in another window; the features that it was predicted from are not known there."""
        shape = self._windows.frame_shape
        placed = PlacedLogits(base.low_res, base.window or self._windows.whole, shape)
        side = self._windows.resolution(window) // 4
        return replace(base, low_res=placed.sample(window, (side, side)), embedding=None, window=window)


def _are_clicks(prompts: FramePrompts) -> bool:
    return bool(prompts.points) and prompts.packed is None and prompts.box is None


def _first_click(prompts: FramePrompts, candidate: int | None = None) -> FramePrompts:
    return FramePrompts(points=prompts.points[:1], positive=prompts.positive[:1], candidate=candidate)
