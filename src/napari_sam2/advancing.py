"""Objects tracked onto one frame, each in its window, in jobs no longer than one encode or one group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.sighting import Answer
from napari_sam2.stepping import (
    Outcome,
    Row,
    Trace,
    encode_again,
    predict_groups,
    recall_one,
    remember_groups,
)
from napari_sam2.window import shift_between

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from napari_sam2._model.results import ImageFeatures, Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.aiming import Aim
    from napari_sam2.confirmed import ConfirmedFrames
    from napari_sam2.features import FeatureCache
    from napari_sam2.grouping import Groups
    from napari_sam2.judging import Judge
    from napari_sam2.motion import Motion
    from napari_sam2.placement import Box
    from napari_sam2.tracked_memories import TrackedMemories
    from napari_sam2.tracker_state import Track
    from napari_sam2.window import Windows

# How often a frame is looked at again because the window cuts the object.
_WIDENINGS = 2


class Look(NamedTuple):
    """A track, the window that it looks at, and what is expected there."""

    track: Track
    window: Box
    expected: Motion | None = None


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
        looks = [Look(track, self._next_window(track), self._judge.forecast(track)) for track in tracks]
        seen = yield from self._predict(frame, looks)
        for _ in range(_WIDENINGS if self._windows.moves else 0):
            again = {i: window for i, each in enumerate(seen) if (window := self._wider(each.answer))}
            again = {i: window for i, window in again.items() if is_due(tracks[i])}
            if not again:
                break
            wider = [looks[i]._replace(window=window) for i, window in again.items()]
            better = yield from self._predict(frame, wider)
            for i, each in zip(again, better, strict=True):
                seen[i] = each
        kept = [i for i, track in enumerate(tracks) if is_due(track)]
        return (yield from self._remember(frame, [looks[i] for i in kept], [seen[i] for i in kept], is_due))

    def recall(
        self, track: Track, frame: int, window: Box, attended: Mapping[int, Box]
    ) -> Generator[None, None, Tensor]:
        """Condition the features of a frame on what a track remembers, (1, C, g, g), in steps.

        `attended` tells in which windows memories are made again, by frame, where that is known.
        """
        stale = self._stale(frame, [Look(track, window)], attended)
        sights = [(each.frame, each.window) for each in stale]
        yield from self._features.in_groups([*sights, (frame, window)])
        yield from self._refresh(stale)
        features, shifts = self._features.get(frame, window), track.shifts(window)
        reverse = track.planned.reverse
        return recall_one(self._model, features, frame, track.bank, reverse=reverse, shifts=shifts)

    def _next_window(self, track: Track) -> Box:
        """Choose where a track looks next: after the object, also past confirmed frames."""
        if not self._windows.moves:
            return track.window
        window = self._windows.follow(track.window, track.box)
        for passed in track.passed:
            if self._confirmed.has(track.obj, passed):
                window = self._windows.follow(window, self._confirmed.box(track.obj, passed))
        return window

    def _wider(self, answer: Answer) -> Box | None:
        """Give a larger window where the mask is cut off; None where it is not."""
        box = self._aim.box_of(answer)
        if box is None or not self._windows.is_cut(answer.window, box):
            return None
        wider = self._windows.widened(answer.window, box)
        return None if wider == answer.window else wider

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
        shifts = [each.track.shifts(each.window) for each in looks]
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
        for track, window, _ in looks:
            for memory in track.bank.select(frame, track.planned.reverse).spatial:
                encoded = track.encoded.get(memory.frame, window)
                usual = window if shift_between(encoded, window) is None else encoded
                wanted = (attended or {}).get(memory.frame, usual)
                if wanted != encoded:
                    found.append(_Stale(track, memory.frame, wanted))
        return found

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
        for (track, _, expected), (answer, _), outcome in zip(looks, seen, outcomes, strict=True):
            if is_due(track):
                merit = self._judge.judge(track, frame, answer, expected)
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
