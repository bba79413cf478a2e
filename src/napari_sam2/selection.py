"""Which tracked frames are worth remembering among objects that look alike: scores, motion, alternatives.

The ideas are those of SAMURAI (Yang et al. 2024, arXiv:2411.11922: memories chosen by their scores, masks by
a Kalman filter) and DAM4SAM (Videnovic et al. 2024, arXiv:2411.17576: frames where alternative masks disagree
are kept as anchors). Nothing is trained for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

PARTS = ("quality", "motion", "anchors", "blinks")
PLAIN = "plain"
"""The word for none of them."""
_MOTION, _ANCHORS = 0.15, 2


@dataclass(frozen=True)
class Worth:
    """What is known of an object on a tracked frame.

    Attributes
    ----------
    iou : float
        The network's own estimate of the overlap with the true mask.
    presence : float
        Probability that the object is on the frame.
    motion : float or None
        Overlap of its box with the one that was expected; None where nothing could be expected.
    alone : float
        Least share of the box of the mask in the box of it and an alternative; 1 where alternatives agree.
    """

    iou: float
    presence: float
    motion: float | None = None
    alone: float = 1.0


@dataclass(frozen=True)
class Merit:
    """What becomes of the memory of a tracked frame.

    Attributes
    ----------
    worthy : bool
        It counts among the last memories; one that does not is looked at by the next frame alone.
    anchor : bool
        It may be looked at for longer, beside conditioning frames.
    seen : bool
        The object was seen there, or it does not matter.
    blink : bool
        No other frame looks at it: it is a bad one, on which the object could not be seen.
    """

    worthy: bool = True
    anchor: bool = False
    seen: bool = True
    blink: bool = False

    def unseen(self, *, blink: bool) -> Merit:
        """Return that of a frame on which the object was not seen."""
        return Merit(self.worthy and not blink, anchor=False, seen=False, blink=blink)


@dataclass(frozen=True)
class SelectionRules:
    """Which memories of tracked frames are looked at; by default the last ones, whatever they are worth.

    Parameters
    ----------
    quality : bool
        The last ones that were scored well: `least_iou` and `least_presence`.
    motion : float
        Weight, from 0 to 1, that expected motion has beside the predicted overlap where one of several masks
        is chosen. Above 0, memories also have to lie where they were expected, see `least_motion`.
    anchors : int
        Number of frames at most that are looked at for longer because alternative masks disagreed there. They
        take the place of the oldest other ones.
    blinks : bool
        A bad frame, on which the object is not seen, is looked at by no other: a memory of nothing would end
        the track there. See `OddFrames`.
    least_iou, least_presence, least_motion : float
        What a frame must reach to be worthy: predicted overlap, probability, overlap with the expected box.
    anchor_iou, anchor_alone : float
        An anchor has at least this predicted overlap, and `Worth.alone` below this.
    spacing : int
        Least number of frames between anchors.
    reach : int
        How many frames back worthy ones are looked for.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    quality: bool = False
    motion: float = 0.0
    anchors: int = 0
    blinks: bool = False
    least_iou: float = 0.5
    least_presence: float = 0.5
    least_motion: float = 0.1
    anchor_iou: float = 0.8
    anchor_alone: float = 0.7
    spacing: int = 5
    reach: int = 15

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.anchors < 0:
            raise ValueError(f"anchors is {self.anchors}: give 0 (none) or more")
        if self.spacing < 1 or self.reach < 1:
            raise ValueError(f"spacing and reach are 1 or more; got {self.spacing}, {self.reach}")
        shares = ("motion", "least_iou", "least_presence", "least_motion", "anchor_iou", "anchor_alone")
        wrong = [name for name in shares if not 0 <= getattr(self, name) <= 1]
        if wrong:
            raise ValueError(f"{wrong[0]} is {getattr(self, wrong[0])}: give 0 to 1")

    @property
    def is_plain(self) -> bool:
        """Whether all frames are alike, as in SAM 2."""
        return not (self.is_choosy or self.anchors or self.blinks)

    @property
    def is_choosy(self) -> bool:
        """Whether some frames are worthier than others."""
        return self.quality or self.motion > 0

    def judge(self, worth: Worth, anchors: Sequence[int] = ()) -> Merit:
        """Decide on the memory of a frame.

        Parameters
        ----------
        worth : Worth
            What is known of it.
        anchors : sequence of int
            How many frames away the anchors are that there are already.
        """
        is_found = worth.iou >= self.least_iou and worth.presence >= self.least_presence
        is_placed = worth.motion is None or worth.motion >= self.least_motion
        worthy = (is_found or not self.quality) and (is_placed or not self.motion)
        anchor = (
            self.anchors > 0
            and worthy
            and is_found
            and worth.iou >= self.anchor_iou
            and worth.alone < self.anchor_alone
            and min(anchors, default=self.spacing) >= self.spacing
        )
        return Merit(worthy, anchor)

    @classmethod
    def parse(cls, text: str) -> SelectionRules:
        """Read ``plain``, or some of ``quality,motion,anchors,blinks``; ValueError for other words."""
        words = [word.strip() for word in text.split(",")]
        wrong = [word for word in words if word not in PARTS]
        if words == [PLAIN]:
            return cls()
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no rule of memory: give {PLAIN}, or some of {','.join(PARTS)}")
        return cls(
            quality="quality" in words,
            motion=_MOTION if "motion" in words else 0.0,
            anchors=_ANCHORS if "anchors" in words else 0,
            blinks="blinks" in words,
        )


def last_anchors(frame: int, anchors: Iterable[int], limit: int, *, reverse: bool) -> tuple[int, ...]:
    """Return the last anchors behind a frame, less the one just before, which is looked at anyway.

    Parameters
    ----------
    frame : int
        The frame to predict.
    anchors : iterable of int
        All of them.
    limit : int
        How many at most.
    reverse : bool
        Whether the pass goes towards frame 0.

    Returns
    -------
    tuple of int
        By index.
    """
    back = -1 if reverse else 1
    behind = sorted((t for t in anchors if back * (frame - t) > 1), key=lambda t: back * (frame - t))
    return tuple(sorted(behind[:limit]))


def last_worthy(
    frame: int, worthy: Collection[int], given: Collection[int], slots: int, reach: int, *, reverse: bool
) -> dict[int, int]:
    """Return the last worthy frames behind a frame, by slot: 1 for the last one.

    Parameters
    ----------
    frame : int
        The frame to predict.
    worthy : collection of int
        Frames that may be taken.
    given : collection of int
        Conditioning frames, which are looked at anyway; those on the way leave their slot empty.
    slots : int
        How many at most.
    reach : int
        How far back.
    reverse : bool
        Whether the pass goes towards frame 0.
    """
    back = -1 if reverse else 1
    way = (frame - back * distance for distance in range(1, reach + 1))
    counted = [t for t in way if t in worthy or t in given]
    return {slot: t for slot, t in enumerate(counted[:slots], start=1) if t in worthy}
