"""Frames that the user has confirmed: what was said of objects there, and the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2._tracking.state import Confirmed
from napari_sam2._tracking.stepping import Row, Trace, encode_prompted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from torch import Tensor

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._tracking.aiming import Aim
    from napari_sam2._tracking.conditioning import Base
    from napari_sam2._tracking.sighting import Answer
    from napari_sam2.features import FeatureCache
    from napari_sam2.passes import Anchor
    from napari_sam2.placement import Box
    from napari_sam2.prompts import FramePrompts


class ConfirmedFrames:
    """Confirmed frames by object; their prompts are answered when an answer is first needed.

    Parameters
    ----------
    model : Sam2
        Network.
    features : FeatureCache
        Of the frames.
    aim : Aim
        Answers prompts.
    """

    def __init__(self, model: Sam2, features: FeatureCache, aim: Aim) -> None:
        self._model = model
        self._features = features
        self._aim = aim
        self._frames: dict[int, dict[int, Confirmed]] = {}
        # In order, until one of them changes: passes ask for them at every frame, and there may be hundreds.
        self._anchors: dict[int, tuple[Anchor, ...]] = {}

    def declare(self, obj: int, anchor: Anchor, prompts: FramePrompts, base: Base | None) -> None:
        """Confirm a frame; what was confirmed there is replaced, but an answer to the same prompts."""
        frames = self._frames.setdefault(obj, {})
        before = frames.get(anchor.frame)
        said = (anchor.revision, prompts, base)
        if before is not None and said == (before.anchor.revision, before.prompts, before.base):
            frames[anchor.frame] = replace(before, anchor=anchor)
        else:
            frames[anchor.frame] = Confirmed(anchor, prompts, base)
        self._anchors.pop(obj, None)

    def forget(self, obj: int, frame: int) -> None:
        """Drop what was confirmed on a frame."""
        self._frames.get(obj, {}).pop(frame, None)
        self._anchors.pop(obj, None)
        if not self._frames.get(obj, True):
            del self._frames[obj]

    def remove(self, obj: int) -> None:
        """Drop all frames of an object."""
        self._frames.pop(obj, None)
        self._anchors.pop(obj, None)

    @property
    def objects(self) -> tuple[int, ...]:
        """Objects with at least one confirmed frame, in order."""
        return tuple(sorted(self._frames))

    def has(self, obj: int, frame: int) -> bool:
        """Whether a frame of an object is confirmed."""
        return frame in self._frames.get(obj, {})

    def anchors(self, obj: int) -> tuple[Anchor, ...]:
        """Return the confirmed frames of an object, in order."""
        if obj not in self._anchors:
            confirmed = self._frames.get(obj, {}).values()
            self._anchors[obj] = tuple(sorted(each.anchor for each in confirmed))
        return self._anchors[obj]

    def answer(self, obj: int, frame: int) -> Answer:
        """Return the answer to a confirmed frame's prompts, made when it is first needed."""
        confirmed = self._frames[obj][frame]
        if confirmed.answer is not None:
            return confirmed.answer
        answer = self._aim.answer(frame, confirmed.prompts, confirmed.base)
        self._frames[obj][frame] = replace(confirmed, answer=answer)
        return answer

    def make_ready(self, obj: int, frames: Iterable[int]) -> Generator[None, None, None]:
        """Answer prompts and encode memories of confirmed frames in steps, as far as they stay confirmed."""
        for frame in frames:
            yield from self._make_answer(obj, frame)
            confirmed = self._at(obj, frame)
            if confirmed is None or confirmed.answer is None or confirmed.memory is not None:
                continue
            if not self._features.has(frame, confirmed.answer.window):
                self._features.get(frame, confirmed.answer.window)
                yield
            if self._at(obj, frame) is confirmed:
                self.memory(obj, frame)
                yield

    def _make_answer(self, obj: int, frame: int) -> Generator[None, None, None]:
        confirmed = self._at(obj, frame)
        if confirmed is None or confirmed.answer is not None:
            return
        answer = yield from self._aim.answering(frame, confirmed.prompts, confirmed.base)
        if self._at(obj, frame) is confirmed:
            self._frames[obj][frame] = replace(confirmed, answer=answer)

    def _at(self, obj: int, frame: int) -> Confirmed | None:
        return self._frames.get(obj, {}).get(frame)

    def row(self, obj: int, frame: int) -> Row:
        """Return the answer of a confirmed frame as a row of a result."""
        answer = self.answer(obj, frame)
        return Row(obj, answer.prediction, window=answer.window)

    def memory(self, obj: int, frame: int) -> Tensor:
        """Return the spatial memory of a confirmed frame, in the answer's window."""
        answer = self.answer(obj, frame)
        confirmed = self._frames[obj][frame]
        if confirmed.memory is not None:
            return confirmed.memory
        memory = encode_prompted(self._model, self._features.get(frame, answer.window), answer.prediction)
        self._frames[obj][frame] = replace(confirmed, memory=memory)
        return memory

    def trace(self, obj: int, frame: int) -> Trace:
        """Return what the memory of a confirmed frame is made from."""
        answer = self.answer(obj, frame)
        prediction = answer.prediction
        return Trace(prediction.low_res, prediction.object_logits, answer.window, binarize=True)

    def box(self, obj: int, frame: int) -> Box | None:
        """Return the pixels that the mask of a confirmed frame covers."""
        return self._aim.box_of(self.answer(obj, frame))
