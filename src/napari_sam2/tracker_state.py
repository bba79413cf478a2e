"""What the tracker holds of objects: confirmed frames, and passes under way with their memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.results import Prediction
    from napari_sam2.conditioning import Base
    from napari_sam2.passes import Anchor, Pass
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.stepping import Bank, Outcome


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A confirmed frame of an object: what was said and, once it was needed, the answer.

    Attributes
    ----------
    anchor : Anchor
        Frame and revision.
    prompts : FramePrompts
        What was said.
    base : Base or None
        What was tracked there before.
    prediction : Prediction or None
        Of a batch of one.
    memory : Tensor or None
        Spatial memory (1, M, g, g) in bfloat16.
    """

    anchor: Anchor
    prompts: FramePrompts
    base: Base | None = None
    prediction: Prediction | None = None
    memory: Tensor | None = None


@dataclass(frozen=True)
class Job:
    """A pass of one object to carry out, from `begin` on if its memories up to there are still held."""

    obj: int
    planned: Pass
    begin: int | None = None


@dataclass(eq=False)
class Track:
    """A pass under way.

    Attributes
    ----------
    obj : int
        Whose.
    planned : Pass
        What is to be done.
    bank : MemoryBank
        What it remembers.
    front : int or None
        The frame that was computed last.
    """

    obj: int
    planned: Pass
    bank: Bank
    front: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether its last frame was computed."""
        frames = self.planned.frames
        return not frames or self.front == frames[-1]

    @property
    def ahead(self) -> frozenset[int]:
        """Frames that are still to be computed."""
        frames = self.planned.frames
        return frozenset(frames if self.front is None else frames[frames.index(self.front) + 1 :])

    def continues_at(self, frame: int) -> bool:
        """Whether `frame` is the next one to compute."""
        frames = self.planned.frames
        return self.front in frames[:-1] and frames[frames.index(self.front) + 1] == frame

    def remember(self, frame: int, outcome: Outcome) -> None:
        """Take up an answer and drop what neither this frame nor a later one attends to."""
        if outcome.memory is not None:
            self.bank.add_tracked(frame, outcome.memory, outcome.prediction.pointer)
        reverse = self.planned.reverse
        returns = () if self.planned.returns is None else (self.planned.returns,)
        # Until the next frame is computed, all that this one was predicted from stays for its correction.
        self.bank.trim(frame + 1 if reverse else frame - 1, reverse, returns=returns)
        self.front = frame
