"""Which of an object's masks on a tracked frame to take, and what its memory is worth.

Boxes and motion are in pixels of the frame, whatever window the mask was seen in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sam2._tracking.motion import Motion
from napari_sam2._tracking.sighting import Answer
from napari_sam2.selection import Merit, Worth

if TYPE_CHECKING:
    from napari_sam2._model.results import Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._tracking.confirmed import ConfirmedFrames
    from napari_sam2._tracking.odd_frames import OddFrames
    from napari_sam2._tracking.state import Track
    from napari_sam2.placement import Box
    from napari_sam2.selection import SelectionRules
    from napari_sam2.window import Windows


class Judge:
    """Follows the motion of tracks and judges their answers by it; idle under plain rules.

    Parameters
    ----------
    model : Sam2
        Network.
    windows : Windows
        Tells where a mask lies.
    confirmed : ConfirmedFrames
        Frames that tracks come past.
    rules : SelectionRules
        What counts.
    odd : OddFrames
        Tells bad frames.
    """

    def __init__(
        self,
        model: Sam2,
        windows: Windows,
        confirmed: ConfirmedFrames,
        rules: SelectionRules,
        odd: OddFrames,
    ) -> None:
        self._model = model
        self._windows = windows
        self._confirmed = confirmed
        self._rules = rules
        self._odd = odd

    def forecast(self, track: Track) -> Motion | None:
        """Expect where the object is on the next frame of a track; None where nothing is known of it."""
        if not self._rules.motion:
            return None
        motion = track.motion
        for frame in track.passed:
            motion = motion.forecast() if motion else None
            if self._confirmed.has(track.obj, frame):
                motion = _updated(motion, self._confirmed.box(track.obj, frame))
        return motion.forecast() if motion else None

    def choose(self, answer: Answer, expected: Motion | None) -> Answer:
        """Take the candidate that suits both the network's estimate and the motion best.

        Parameters
        ----------
        answer : Answer
            Of the network.
        expected : Motion or None
            From `forecast`.
        """
        prediction = answer.prediction
        if expected is None or not expected.is_known or prediction.ious.shape[1] == 1:
            return answer
        agreement = [expected.agreement(box) for box in self._boxes(prediction.masks, answer.window)]
        moved = prediction.ious.new_tensor([agreement])
        best = ((1 - self._rules.motion) * prediction.ious + self._rules.motion * moved).argmax(dim=1)
        if torch.equal(best, prediction.best):
            return answer
        with torch.inference_mode(), self._model.runtime.autocast():
            return Answer(self._model.choose(prediction, best), answer.window)

    def judge(self, track: Track, frame: int, answer: Answer, expected: Motion | None) -> Merit:
        """Decide on the memory of an answer.

        Parameters
        ----------
        track : Track
            Which has come to the frame and does not remember it yet.
        frame : int
            Of the answer.
        answer : Answer
            From `choose`.
        expected : Motion or None
            From `forecast`.
        """
        if self._rules.is_plain:
            return Merit()
        merit = self._rules.judge(
            self._worth(answer, expected), [abs(frame - anchor) for anchor in track.bank.anchors]
        )
        if not self._rules.blinks or self._box(answer) is not None:
            return merit
        return merit.unseen(blink=self._is_blink(track, frame, answer.window))

    def _is_blink(self, track: Track, frame: int, window: Box) -> bool:
        """Whether an object was seen up to a frame, and what is missing there is all that is around it."""
        step = -1 if track.planned.reverse else 1
        before = frame - step
        while track.bank.merit(before).blink:
            before -= step
        # Nothing is remembered before the first frame of a pass whose prompt lies ahead.
        was_seen = track.bank.remembers(before) and track.bank.merit(before).seen
        return was_seen and self._odd.is_odd(frame, before, window)

    def moved(self, answer: Answer, expected: Motion | None) -> Motion | None:
        """Return what is known of the motion after an answer; one that says little is not counted."""
        if not self._rules.motion:
            return None
        prediction = answer.prediction
        is_seen = _presence(prediction) >= self._rules.least_presence
        if not is_seen or float(prediction.iou) < self._rules.least_iou:
            return expected
        return _updated(expected, self._box(answer))

    def _worth(self, answer: Answer, expected: Motion | None) -> Worth:
        prediction = answer.prediction
        motion = None
        if expected is not None and expected.is_known:
            motion = expected.agreement(self._box(answer))
        alone = self._alone(answer) if self._rules.anchors else 1.0
        return Worth(float(prediction.iou), _presence(prediction), motion, alone)

    def _alone(self, answer: Answer) -> float:
        """Least share that the box of the mask has in the box of it and an alternative."""
        prediction = answer.prediction
        own, box = prediction.low_res > 0, self._box(answer)
        if box is None:
            return 1.0
        wider = self._boxes((prediction.masks > 0) | own, answer.window)
        return min(_area(box) / _area(each) for each in wider if each is not None)

    def _box(self, answer: Answer) -> Box | None:
        return self._boxes(answer.prediction.low_res, answer.window)[0]

    def _boxes(self, masks: torch.Tensor, window: Box) -> list[Box | None]:
        """Boxes of the masks (1, K, h, w) of one object."""
        return [self._windows.grid_box(mask, window) for mask in (masks[0] > 0).cpu().numpy()]


def _updated(motion: Motion | None, box: Box | None) -> Motion | None:
    """Take in where an object was seen, for the first time perhaps; None is nowhere."""
    if box is None:
        return motion
    return Motion.at(box) if motion is None else motion.seen(box)


def _presence(prediction: Prediction) -> float:
    return float(prediction.object_logits.float().sigmoid())


def _area(box: Box) -> int:
    return box.shape[0] * box.shape[1]
