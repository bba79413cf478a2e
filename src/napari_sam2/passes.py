"""Which frames are tracked from where: the plan of a propagation, as index logic alone.

Confirmed frames (prompted or locked) cut an object's sequence into gaps. A `Pass` covers frames in one
direction; its key says all that its answers depend on: passes of equal key give equal answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Direction = Literal["both", "forward", "backward"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


def check_direction(direction: str) -> None:
    """Raise ValueError if there is no such direction."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}; got {direction!r}")


class Step(NamedTuple):
    """A frame that is computed on the way in one direction."""

    frame: int
    reverse: bool


@dataclass(frozen=True, order=True)
class Anchor:
    """A confirmed frame of an object.

    Attributes
    ----------
    frame : int
        Its index.
    revision : int
        Number of the state of its prompts; another state has another number.
    present : bool
        False where the user says that the object is not on the frame: nothing is tracked through it.
    seen : bool
        False where the answer to the prompts is empty, as after a negative click on a mask that should not be
        there. Gaps take such a frame as one without the object: from an empty mask an empty track would set
        out, and what is right in that part of the gap would be lost. Where the object is seen on no
        confirmed frame, and in sweeps, it is tracked from such frames, too, as the reference does.
    area : int or None
        Pixels of the mask, which tell how much of a gap is tracked from here; None where it is not known. The
        same prompts have the same, so that it makes no other anchor.
    """

    frame: int
    revision: int
    present: bool = True
    seen: bool = True
    area: int | None = field(default=None, compare=False)

    @property
    def leads(self) -> bool:
        """Whether the object is there and seen."""
        return self.present and self.seen


@dataclass(frozen=True, order=True)
class Seed:
    """What of a forward pass a backward one attends to: the memories of its frames up to `last`.

    `first` is the frame that the forward pass set out from. Its anchors are those of the backward pass.
    """

    first: int
    last: int


@dataclass(frozen=True)
class PassKey:
    """All that the answers of a pass depend on, less the images and the network."""

    first: int
    reverse: bool
    anchors: tuple[Anchor, ...]
    seed: Seed | None = None

    def reaches(self, frame: int, anchors: Collection[Anchor]) -> bool:
        """Whether its answer on a frame stands while these are the object's confirmed frames.

        The anchors that it attends to must be among them, and none that the object is not on lies on the way.
        """
        low, high = sorted((self.first, frame))
        parted = any(
            low <= anchor.frame <= high and not anchor.leads and anchor not in self.anchors
            for anchor in anchors
        )
        return not parted and set(self.anchors).issubset(anchors)


@dataclass(frozen=True)
class Pass:
    """Frames of one object tracked in one direction.

    Attributes
    ----------
    first, last : int
        The frame it sets out at and the one it ends at; `last` is the smaller one in a backward pass.
    reverse : bool
        Towards frame 0.
    anchors : tuple of Anchor
        Conditioning frames that are attended.
    seed : Seed or None
        Forward memories that are attended besides.
    returns : int or None
        Of a forward pass: the frame from which a backward pass may set out later. The memories that this one
        can attend to are kept until then.
    """

    first: int
    last: int
    reverse: bool
    anchors: tuple[Anchor, ...]
    seed: Seed | None = None
    returns: int | None = None

    @cached_property  # one for all masks that it makes
    def key(self) -> PassKey:
        """What its answers depend on."""
        return PassKey(self.first, self.reverse, self.anchors, self.seed)

    @property
    def span(self) -> range:
        """All frames from `first` to `last`, in order, those of anchors included."""
        return range(self.first, self.last - 1, -1) if self.reverse else range(self.first, self.last + 1)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that it computes, in order."""
        confirmed = {anchor.frame for anchor in self.anchors}
        return tuple(frame for frame in self.span if frame not in confirmed)


def plan_gaps(
    anchors: Iterable[Anchor], *, num_frames: int, reach: int, limits: range | None = None
) -> tuple[Pass, ...]:
    """Plan ``direction="both"``: outward from the outer confirmed frames, from both ends into each gap.

    Parameters
    ----------
    anchors : iterable of Anchor
        All confirmed frames of the object.
    num_frames : int
        Length of the sequence.
    reach : int
        Number of frames behind itself that a frame can attend to.
    limits : range, optional
        Frames that may be computed; all by default.

    Returns
    -------
    tuple of Pass
        Those that compute at least one frame, forward ones first. An edit of one anchor changes the keys of
        the passes in the two gaps beside it and of no others.

    Notes
    -----
    From the end of a gap on which there is more of the object more of the gap is tracked, in the ratio of
    the areas: a few pixels near the end of an object soon lead astray.
    """
    ordered = sorted(anchors)
    window = limits if limits is not None else range(num_frames)
    leading = _leading(ordered)
    passes: list[Pass] = []
    for left, right in zip([None, *ordered], [*ordered, None], strict=True):
        passes += _plan_gap(left, right, num_frames, leading)
    kept = [_seeded(limited(p, window), window, reach) for p in passes]
    return tuple(sorted((p for p in kept if p.frames), key=lambda p: (p.reverse, p.first)))


def _leading(anchors: Iterable[Anchor]) -> frozenset[Anchor]:
    """Return the confirmed frames from which tracks set out into gaps."""
    present = frozenset(anchor for anchor in anchors if anchor.present)
    return frozenset(anchor for anchor in present if anchor.seen) or present


def _plan_gap(
    left: Anchor | None, right: Anchor | None, num_frames: int, leading: frozenset[Anchor]
) -> list[Pass]:
    """Plan one gap; an end that does not lead gives no pass and is not attended."""
    before = left.frame if left else -1
    after = right.frame if right else num_frames
    attended = tuple(anchor for anchor in (left, right) if anchor in leading)
    border = _border(*attended) if len(attended) == 2 else None
    passes = []
    if left in leading:
        last = after - 1 if border is None else border
        passes.append(Pass(before, last, reverse=False, anchors=attended))
    if right in leading:
        last = before + 1 if border is None else border + 1
        passes.append(Pass(after, last, reverse=True, anchors=attended))
    return passes


def _border(left: Anchor, right: Anchor) -> int:
    """Return the last frame of a gap that is tracked from the left: the middle where areas are not known."""
    first, second = (left.area, right.area) if left.area and right.area else (1, 1)
    length = right.frame - left.frame
    return min(left.frame + length * first // (first + second), right.frame - 1)


def limited(planned: Pass, window: range) -> Pass:
    """Keep to the frames that may be computed; a pass then sets out from the nearest of them.

    One that sets out from a conditioning frame, which it does not compute, may do so from beside them.
    """
    if not window:
        return replace(planned, last=planned.first + (1 if planned.reverse else -1))
    low, high = min(window), max(window)
    beside = int(any(anchor.frame == planned.first for anchor in planned.anchors))
    if planned.reverse:
        first = planned.first if planned.first - beside <= high else high
        return replace(planned, first=first, last=max(planned.last, low))
    first = planned.first if planned.first + beside >= low else low
    return replace(planned, first=first, last=min(planned.last, high))


def _seeded(planned: Pass, window: range, reach: int) -> Pass:
    """Let the backward pass from a lone anchor attend to the forward one from it."""
    if len(planned.anchors) != 1 or not window or planned.first != planned.anchors[0].frame:
        return planned
    start = planned.first
    if not planned.reverse:
        return replace(planned, returns=start)
    last = min(start + reach, max(window))
    if last <= start or min(window) > start + 1:
        return planned
    return replace(planned, seed=Seed(start, last))


def plan_sweep(
    anchors: Iterable[Anchor],
    *,
    num_frames: int,
    start: int,
    reverse: bool,
    limits: range | None = None,
) -> tuple[Pass, ...]:
    """Plan one direction as the reference does: from `start` on, all conditioning frames attended.

    Parameters
    ----------
    anchors : iterable of Anchor
        All confirmed frames of the object.
    num_frames : int
        Length of the sequence.
    start : int
        Earliest (backward: latest) prompted frame of all objects that are propagated together.
    reverse : bool
        Towards frame 0.
    limits : range, optional
        Frames that may be computed; all by default.

    Returns
    -------
    tuple of Pass
        One, or several where frames without the object part them.
    """
    if limits is not None and not limits:
        return ()
    if reverse:
        mirrored = [replace(anchor, frame=num_frames - 1 - anchor.frame) for anchor in anchors]
        window = None if limits is None else range(num_frames - 1 - max(limits), num_frames - min(limits))
        passes = plan_sweep(
            mirrored, num_frames=num_frames, start=num_frames - 1 - start, reverse=False, limits=window
        )
        return tuple(_mirror(p, num_frames) for p in passes)
    ordered = sorted(anchors)
    attended = tuple(anchor for anchor in ordered if anchor.present)
    window = limits if limits is not None else range(num_frames)
    stretches = _stretches(ordered, num_frames, start)
    returns = attended[-1].frame if attended else None
    passes = tuple(
        limited(Pass(s.start, s.stop - 1, reverse=False, anchors=attended, returns=returns), window)
        for s in stretches
    )
    return tuple(p for p in passes if p.frames)


def _stretches(ordered: Sequence[Anchor], num_frames: int, start: int) -> list[range]:
    """Cut the way from `start` to the end at frames without the object; go on at the next one with it."""
    before = [anchor for anchor in ordered if anchor.frame < start]
    after = [anchor for anchor in ordered if anchor.frame >= start]
    stretches: list[range] = []
    begin = start if any(anchor.present for anchor in (*before[-1:], *after[:1])) else None
    for anchor in after:
        if anchor.present:
            begin = anchor.frame if begin is None else begin
        elif begin is not None:
            stretches.append(range(begin, anchor.frame))
            begin = None
    if begin is not None:
        stretches.append(range(begin, num_frames))
    return stretches


def _mirror(planned: Pass, num_frames: int) -> Pass:
    """Turn a forward pass on the mirrored axis into a backward one."""
    last = num_frames - 1
    anchors = tuple(sorted(replace(anchor, frame=last - anchor.frame) for anchor in planned.anchors))
    return Pass(last - planned.first, last - planned.last, reverse=True, anchors=anchors)
