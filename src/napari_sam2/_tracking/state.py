"""What the tracker holds of objects: confirmed frames, and passes under way with their memories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_sam2.passes import Step
from napari_sam2.placement import AT_REST, Jump
from napari_sam2.window import shift_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from napari_sam2._tracking.conditioning import Base
    from napari_sam2._tracking.motion import Motion
    from napari_sam2._tracking.sighting import Answer
    from napari_sam2._tracking.stepping import Bank, Outcome, Trace
    from napari_sam2.passes import Anchor, Pass
    from napari_sam2.placement import Box
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.window import Shift


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
    answer : Answer or None
        Of a batch of one, and the window that it was seen in.
    memory : Tensor or None
        Spatial memory (1, M, g, g) in bfloat16, of the same window.
    """

    anchor: Anchor
    prompts: FramePrompts
    base: Base | None = None
    answer: Answer | None = None
    memory: Tensor | None = None


@dataclass(frozen=True)
class Job:
    """A pass of one object to carry out, from `begin` on if its memories up to there are still held."""

    obj: int
    planned: Pass
    begin: int | None = None

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that it computes, in order."""
        frames = self.planned.frames
        return frames if self.begin is None else frames[frames.index(self.begin) :]


def steps_of(jobs: Iterable[Job]) -> frozenset[Step]:
    """Return what jobs compute, together: each frame once per direction, however many objects share it."""
    ways: dict[bool, set[int]] = {False: set(), True: set()}
    for job in jobs:
        ways[job.planned.reverse].update(job.frames)
    return frozenset(Step(frame, reverse) for reverse, frames in ways.items() for frame in frames)


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
    window : Box
        Where it looks, or looked on the frame that was computed last.
    box : Box or None
        Where the object was on that frame; None if it was not found.
    traces : dict
        What the memories of the bank were made from, by frame; empty where the window never changes.
    encoded : dict
        Windows of the memories of the bank, by frame, as long as there are traces.
    front : int or None
        The frame that was computed last.
    motion : Motion or None
        How the object has moved up to that frame, where that matters and it was found.
    jump : Jump
        How far the field had jumped by that frame, from where the pass set out.
    jumps : dict
        The same of the frames of the memories of the bank that it has come past, as long as there are traces.
    """

    obj: int
    planned: Pass
    bank: Bank
    window: Box
    box: Box | None = None
    traces: dict[int, Trace] = field(default_factory=dict)
    encoded: dict[int, Box] = field(default_factory=dict)
    front: int | None = None
    motion: Motion | None = None
    jump: Jump = AT_REST
    jumps: dict[int, Jump] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether its last frame was computed."""
        frames = self.planned.frames
        return not frames or self.front == frames[-1]

    @property
    def upcoming(self) -> int | None:
        """The frame to compute next; None when all are computed."""
        step = -1 if self.planned.reverse else 1
        confirmed = {anchor.frame for anchor in self.planned.anchors}
        frame = self.planned.first if self.front is None else self.front + step
        while frame in confirmed:
            frame += step
        return frame if frame in self.planned.span else None

    @property
    def ahead(self) -> frozenset[int]:
        """Frames that are still to be computed."""
        frames = self.planned.frames
        return frozenset(frames if self.front is None else frames[frames.index(self.front) + 1 :])

    def continues_at(self, frame: int) -> bool:
        """Whether some frames are computed and `frame` is the next one."""
        return self.front is not None and self.upcoming == frame

    @property
    def passed(self) -> range:
        """Frames between the one that was computed last and the next one: confirmed ones."""
        step = -1 if self.planned.reverse else 1
        start = self.planned.first if self.front is None else self.front + step
        return range(start, start if self.upcoming is None else self.upcoming, step)

    @property
    def before(self) -> int | None:
        """The frame that it comes from, computed or confirmed; None where its prompt lies elsewhere."""
        if self.passed:
            return self.passed[-1]
        return self.front

    def arrive(self, frame: int, jump: Jump) -> None:
        """Note how far the field has jumped by a frame.

        On confirmed frames on the way to it, the field lies as on the frame before them.
        """
        self.jumps.update(dict.fromkeys(self.passed, self.jump))
        self.jump = self.jumps[frame] = jump

    def copy(self) -> Track:
        """Return one with the same memories: what becomes of it does not change this one."""
        return replace(
            self,
            bank=self.bank.copy(),
            traces=dict(self.traces),
            encoded=dict(self.encoded),
            jumps=dict(self.jumps),
        )

    def seen_from(self, frame: int, window: Box, jump: Jump) -> Box:
        """Return where what a window shows after a jump lay on the frame of a memory."""
        return self.jumps.get(frame, jump).minus(jump).moved(window)

    def shifts(self, window: Box, jump: Jump) -> dict[int, Shift]:
        """Tell by frame how far the windows of memories lie beside one, of those that lie beside it.

        Parameters
        ----------
        window : Box
            Which is looked at.
        jump : Jump
            How far the field has jumped by then.
        """
        found = {
            frame: shift_between(encoded, self.seen_from(frame, window, jump))
            for frame, encoded in self.encoded.items()
        }
        return {frame: shift for frame, shift in found.items() if shift is not None and any(shift)}

    def remember(self, frame: int, outcome: Outcome) -> None:
        """Take up an answer and drop what neither this frame nor a later one attends to."""
        if outcome.memory is not None:
            self.bank.add_tracked(frame, outcome.memory, outcome.prediction.pointer, outcome.merit)
        reverse = self.planned.reverse
        returns = () if self.planned.returns is None else (self.planned.returns,)
        # Until the next frame is computed, all that this one was predicted from stays for its correction.
        self.bank.trim(frame + 1 if reverse else frame - 1, reverse, returns=returns)
        self.front = frame

    def note(self, frame: int, trace: Trace, window: Box) -> None:
        """Keep what a memory was made from, and the window that it is of."""
        self.traces[frame], self.encoded[frame] = trace, window

    def drop_traces(self) -> None:
        """Forget traces of memories that the bank has let go."""
        held = {*self.bank.tracked, *self.bank.conditioning}
        self.traces = {frame: trace for frame, trace in self.traces.items() if frame in held}
        self.encoded = {frame: window for frame, window in self.encoded.items() if frame in held}
        self.jumps = {frame: jump for frame, jump in self.jumps.items() if frame in held}
