"""Objects tracked onto one frame, each in its window, in jobs no longer than one encode or one group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2._tracking.field_jumps import FieldJumps
from napari_sam2._tracking.sighting import Answer
from napari_sam2._tracking.stepping import (
    Outcome,
    Row,
    Trace,
    encode_again,
    predict_groups,
    recall_one,
    remember_groups,
)
from napari_sam2.placement import AT_REST, Jump
from napari_sam2.window import shift_between

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from napari_sam2._model.results import ImageFeatures, Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._tracking.aiming import Aim
    from napari_sam2._tracking.confirmed import ConfirmedFrames
    from napari_sam2._tracking.judging import Judge
    from napari_sam2._tracking.motion import Motion
    from napari_sam2._tracking.state import Track
    from napari_sam2._tracking.tracked_memories import TrackedMemories
    from napari_sam2.features import FeatureCache
    from napari_sam2.grouping import Groups
    from napari_sam2.placement import Box
    from napari_sam2.window import Windows

# How often a frame is looked at again because the window cuts the object.
_WIDENINGS = 2
# Whether the field has jumped is asked where boxes of an object on two frames overlap less (IoU).
_STAYS = 0.9


class Look(NamedTuple):
    """A track, the window that it looks at, what is expected there, and how far the field has jumped."""

    track: Track
    window: Box
    expected: Motion | None = None
    jump: Jump = AT_REST


class _Seen(NamedTuple):
    """An answer and the features that it was predicted from.

    They go along to where the answer is remembered: with many objects in windows the cache has let go of the
    first of them by then, and each would be encoded twice.
    """

    answer: Answer
    features: ImageFeatures


class _Stale(NamedTuple):
    """A memory that is needed in a window of another size than it is of, or far from that."""

    track: Track
    frame: int
    window: Box


class Advance:
    """Takes tracks from one frame to the next.

    Parameters
    ----------
    model : Sam2
        Network.
    features : FeatureCache
        Of frames and windows.
    windows : Windows
        How windows follow objects.
    aim : Aim
        Tells where a mask lies.
    confirmed : ConfirmedFrames
        Frames that tracks come past.
    groups : Groups
        How many objects are taken at once.
    memories : TrackedMemories
        Is told what tracks remember.
    judge : Judge
        Chooses among masks, and says what their memories are worth.
    """

    def __init__(
        self,
        model: Sam2,
        features: FeatureCache,
        windows: Windows,
        aim: Aim,
        confirmed: ConfirmedFrames,
        groups: Groups,
        memories: TrackedMemories,
        judge: Judge,
    ) -> None:
        self._model = model
        self._features = features
        self._windows = windows
        self._aim = aim
        self._confirmed = confirmed
        self._groups = groups
        self._memories = memories
        self._judge = judge
        self._jumps = FieldJumps(features, windows)

    def onto(
        self, frame: int, tracks: Sequence[Track], is_due: Callable[[Track], bool]
    ) -> Generator[None, None, list[Row]]:
        """Track objects onto a frame and remember them.

        Parameters
        ----------
        frame : int
            The next frame of all of them.
        tracks : sequence of Track
            Of one direction.
        is_due : callable
            Tells whether an answer of a track is still wanted.

        Returns
        -------
        list of Row
            Those that are still wanted.
        """
        looks = [self._look(track) for track in tracks]
        seen = yield from self._predict(frame, looks)
        if self._windows.moves:
            yield from self._look_again(frame, looks, seen, is_due, self._after_jump)
            self._jumps.forget()
            for _ in range(_WIDENINGS):
                if not (yield from self._look_again(frame, looks, seen, is_due, self._wider)):
                    break
        kept = [i for i, track in enumerate(tracks) if is_due(track)]
        return (yield from self._remember(frame, [looks[i] for i in kept], [seen[i] for i in kept], is_due))

    def _look_again(
        self,
        frame: int,
        looks: list[Look],
        seen: list[_Seen],
        is_due: Callable[[Track], bool],
        better: Callable[[int, Look, Answer], Look | None],
    ) -> Generator[None, None, bool]:
        """Put what is seen elsewhere in place of what was seen, where there is a better look; tell if any."""
        again = {
            i: found
            for i, (look, each) in enumerate(zip(looks, seen, strict=True))
            if is_due(look.track) and (found := better(frame, look, each.answer))
        }
        answers = (yield from self._predict(frame, list(again.values()))) if again else []
        for (i, look), each in zip(again.items(), answers, strict=True):
            looks[i], seen[i] = look, each
        return bool(again)

    def recall(
        self, track: Track, frame: int, window: Box, attended: Mapping[int, Box]
    ) -> Generator[None, None, Tensor]:
        """Condition the features of a frame on what a track remembers, (1, C, g, g), in steps.

        `attended` tells in which windows memories are made again, by frame, where that is known.
        """
        stale = self._stale(frame, [Look(track, window, jump=track.jump)], attended)
        sights = [(each.frame, each.window) for each in stale]
        yield from self._features.in_groups([*sights, (frame, window)])
        yield from self._refresh(stale)
        features, shifts = self._features.get(frame, window), track.shifts(window, track.jump)
        reverse = track.planned.reverse
        return recall_one(self._model, features, frame, track.bank, reverse=reverse, shifts=shifts)

    def _look(self, track: Track) -> Look:
        return Look(track, self._next_window(track), self._judge.forecast(track), track.jump)

    def _next_window(self, track: Track) -> Box:
        """Choose where a track looks next: after the object, also past confirmed frames."""
        if not self._windows.moves:
            return track.window
        window = self._windows.follow(track.window, track.box)
        for passed in track.passed:
            if self._confirmed.has(track.obj, passed):
                window = self._windows.follow(window, self._confirmed.box(track.obj, passed))
        return window

    def _after_jump(self, frame: int, look: Look, answer: Answer) -> Look | None:
        """Look where the object has to be after a jump of the field; None where there was none.

        That is asked where an object is missed or found elsewhere than before.
        """
        before, box = look.track.before, self._box_before(look.track)
        if before is None or box is None or box.iou(self._aim.box_of(answer)) >= _STAYS:
            return None
        jump = self._jumps.between(before, frame, look.window, box)
        if jump == AT_REST:
            return None
        window = self._windows.inside(jump.moved(look.window))
        expected = look.expected and look.expected.moved(jump)
        return Look(look.track, window, expected, look.jump.plus(jump))

    def _box_before(self, track: Track) -> Box | None:
        """Tell where the object was on the frame that a track comes from; None where it was not found."""
        passed = track.passed[-1] if track.passed else None
        if passed is not None and self._confirmed.has(track.obj, passed):
            return self._confirmed.box(track.obj, passed)
        return track.box

    def _wider(self, _: int, look: Look, answer: Answer) -> Look | None:
        """Look again at more where the mask is cut off; None where it is not."""
        box = self._aim.box_of(answer)
        if box is None or not self._windows.is_cut(answer.window, box):
            return None
        wider = self._windows.widened(answer.window, box)
        return None if wider == answer.window else look._replace(window=wider)

    def _predict(self, frame: int, looks: Sequence[Look]) -> Generator[None, None, list[_Seen]]:
        features: list[ImageFeatures] = []
        at_once = self._groups.size
        for start in range(0, len(looks), at_once):
            part = looks[start : start + at_once]
            is_new = not all(self._features.has(frame, each.window) for each in part)
            features += self._features.get_all([(frame, each.window) for each in part])
            if is_new:
                yield
        yield from self._refresh(self._stale(frame, looks))
        banks = [each.track.bank for each in looks]
        reverse = looks[0].track.planned.reverse
        shifts = [each.track.shifts(each.window, each.jump) for each in looks]
        found: dict[int, Prediction] = {}
        for group in predict_groups(
            self._model, features, frame, banks, reverse=reverse, groups=self._groups, shifts=shifts
        ):
            found.update(group)
            yield
        answers = [
            self._judge.choose(Answer(found[i], each.window), each.expected) for i, each in enumerate(looks)
        ]
        return [_Seen(*each) for each in zip(answers, features, strict=True)]

    def _refresh(self, stale: Sequence[_Stale]) -> Generator[None, None, None]:
        for _ in self._groups.run(stale, self._encode_again):
            yield

    def _stale(
        self, frame: int, looks: Sequence[Look], attended: Mapping[int, Box] | None = None
    ) -> list[_Stale]:
        """List memories that are attended to and are seen in a window of no use here, or not in that told."""
        found = []
        for track, window, _, jump in looks:
            for memory in track.bank.select(frame, track.planned.reverse).spatial:
                there = track.seen_from(memory.frame, window, jump)
                encoded = track.encoded.get(memory.frame, there)
                usual = self._within(there, window) if shift_between(encoded, there) is None else encoded
                wanted = (attended or {}).get(memory.frame, usual)
                if wanted != encoded:
                    found.append(_Stale(track, memory.frame, wanted))
        return found

    def _within(self, there: Box, window: Box) -> Box:
        """Keep a window within its frame that has jumped out of it."""
        return there if there == window else self._windows.inside(there)

    def _encode_again(self, stale: Sequence[_Stale]) -> None:
        features = self._features.get_all([(each.frame, each.window) for each in stale])
        traces = [each.track.traces[each.frame] for each in stale]
        memories = encode_again(self._model, features, traces, [each.window for each in stale])
        for (track, frame, window), memory in zip(stale, memories, strict=True):
            track.bank.replace_features(frame, memory)
            track.encoded[frame] = window

    def _remember(
        self, frame: int, looks: Sequence[Look], seen: Sequence[_Seen], is_due: Callable[[Track], bool]
    ) -> Generator[None, None, list[Row]]:
        features, predictions = [each.features for each in seen], [each.answer.prediction for each in seen]
        outcomes: list[Outcome] = []
        for group in remember_groups(self._model, features, predictions, self._groups):
            outcomes += group
            yield
        rows = []
        for (track, _, expected, jump), (answer, _), outcome in zip(looks, seen, outcomes, strict=True):
            if is_due(track):
                merit = self._judge.judge(track, frame, answer, expected)
                if self._windows.moves:
                    track.arrive(frame, jump)
                track.remember(frame, replace(outcome, merit=merit))
                track.motion = self._judge.moved(answer, expected)
                self._note(track, frame, answer)
                self._memories.note(track, frame, outcome)
                rows.append(Row(track.obj, answer.prediction, track.planned.key, answer.window))
        return rows

    def _note(self, track: Track, frame: int, answer: Answer) -> None:
        """Keep what windows need: where the object was, and what its memory was made from."""
        if not self._windows.moves:
            return
        prediction = answer.prediction
        track.window, track.box = answer.window, self._aim.box_of(answer)
        trace = Trace(prediction.low_res, prediction.object_logits, answer.window, binarize=False)
        track.note(frame, trace, answer.window)
        track.drop_traces()
