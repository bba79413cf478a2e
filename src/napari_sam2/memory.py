"""Which frames' memories a frame looks at: index logic alone, whatever the memories are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_sam2.selection import Merit, SelectionRules, last_anchors, last_worthy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_USUAL = Merit()


@dataclass(frozen=True)
class MemoryRules:
    """How a network chooses its memories.

    Parameters
    ----------
    frames : int
        Memory slots: one for conditioning frames, the others for frames tracked before. 0 is image mode.
    stride : int
        Step between the tracked frames that are looked at; the frame just before is always among them.
    max_conditioning : int
        Largest number of conditioning frames looked at, at least 2; -1 for all of them.
    max_pointers : int
        Object pointers reach back ``max_pointers - 1`` frames.
    past_pointers_only : bool
        Leave out pointers of conditioning frames that the pass has not reached yet.
    use_pointers : bool
        Whether pointers are looked at.
    rows : int
        Rows of the network's table of temporal positions, at least `frames`. The last one is that of
        conditioning frames.
    selection : SelectionRules
        Which tracked frames are worth it; by default the last ones.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    frames: int = 7
    stride: int = 1
    max_conditioning: int = -1
    max_pointers: int = 16
    past_pointers_only: bool = True
    use_pointers: bool = True
    rows: int = 7
    selection: SelectionRules = field(default_factory=SelectionRules)

    def __post_init__(self) -> None:
        if self.frames < 0:
            raise ValueError(f"frames is {self.frames}: give 0 (no memory) or more")
        if self.stride < 1:
            raise ValueError(f"stride is {self.stride}: give 1 or more")
        if self.max_conditioning != -1 and self.max_conditioning < 2:
            raise ValueError(f"max_conditioning is {self.max_conditioning}: give 2 or more, or -1 for all")
        if self.max_pointers < 1:
            raise ValueError(f"max_pointers is {self.max_pointers}: give 1 or more, or use_pointers=False")
        if self.rows < self.frames:
            raise ValueError(
                f"{self.frames} memory frames need as many rows of positions, there are {self.rows}"
            )

    def pointer_reach(self, num_frames: int) -> int:
        """Return how many frames back pointers are looked at in a sequence of `num_frames`."""
        return min(num_frames, self.max_pointers) - 1

    def reach(self, num_frames: int) -> int:
        """Return how many frames behind itself a frame of `num_frames` can look at, in whatever way."""
        if self.frames == 0:
            return 0
        return max(
            self.stride * (self.frames - 1),
            self.pointer_reach(num_frames) if self.use_pointers else 0,
            self.selection.reach if self.selection.is_choosy else 0,
        )

    @property
    def anchors(self) -> int:
        """Anchors looked at at most; the frame just before always has its place beside them."""
        return max(min(self.selection.anchors, self.frames - 2), 0)

    def pointer_span(self, num_frames: int) -> int:
        """Return by what the distance of a pointer is divided: its reach, at least 1."""
        return max(self.pointer_reach(num_frames), 1)


@dataclass(frozen=True)
class SpatialMemory:
    """A frame whose mask memory is looked at, and its row in the table of temporal positions."""

    frame: int
    row: int
    conditioning: bool


@dataclass(frozen=True)
class PointerMemory:
    """A frame whose object pointer is looked at; `distance` is positive for frames that lie behind."""

    frame: int
    distance: int
    conditioning: bool


@dataclass(frozen=True)
class MemorySelection:
    """What one frame looks at, in order: conditioning frames by index, anchors, then tracked frames.

    Spatial memories go on from the oldest to the newest, pointers from the newest to the oldest.
    """

    spatial: tuple[SpatialMemory, ...] = ()
    pointers: tuple[PointerMemory, ...] = ()


def select_memories(
    frame: int,
    *,
    conditioning: Collection[int],
    tracked: Collection[int],
    pointers: Collection[int],
    num_frames: int,
    rules: MemoryRules,
    reverse: bool = False,
    merits: Mapping[int, Merit] = MappingProxyType({}),
) -> MemorySelection:
    """Choose the memories that a frame is predicted from.

    Parameters
    ----------
    frame : int
        The frame to predict.
    conditioning : collection of int
        Frames with prompts or confirmed masks. Each has a spatial memory and a pointer.
    tracked, pointers : collection of int
        Tracked frames whose spatial memory, whose pointer is there.
    num_frames : int
        Length of the whole sequence, never of a part of it.
    rules : MemoryRules
    reverse : bool
        Whether the pass goes towards frame 0.
    merits : mapping
        Of tracked frames that are not just worthy.

    Returns
    -------
    MemorySelection
        Empty if ``rules.frames`` is 0. Conditioning frames beyond the limit serve as tracked ones would.
    """
    if rules.frames == 0:
        return MemorySelection()
    chosen = _closest(frame, conditioning, rules.max_conditioning)
    spare = frozenset(conditioning) - frozenset(chosen)
    blinks = frozenset(t for t, merit in merits.items() if merit.blink)
    tracked, pointers = frozenset(tracked) - blinks, frozenset(pointers) - blinks
    flagged = [t for t, merit in merits.items() if merit.anchor and t in tracked and t not in conditioning]
    anchored = last_anchors(frame, flagged, rules.anchors, reverse=reverse)
    spatial = [SpatialMemory(t, rules.rows - 1, conditioning=True) for t in chosen]
    spatial += [SpatialMemory(t, rules.rows - 1, conditioning=False) for t in anchored]
    taken = {*chosen, *anchored}
    there = spare.union(t for t in tracked if t not in taken)
    for slot, t in _last(frame, rules.frames - 1 - len(anchored), there, chosen, rules, reverse, merits):
        spatial.append(SpatialMemory(t, slot - 1, conditioning=False))
    return MemorySelection(
        spatial=tuple(spatial),
        pointers=_select_pointers(frame, chosen, spare, pointers, num_frames, rules, reverse),
    )


def _last(
    frame: int,
    slots: int,
    there: Collection[int],
    chosen: Collection[int],
    rules: MemoryRules,
    reverse: bool,
    merits: Mapping[int, Merit],
) -> list[tuple[int, int]]:
    """Slots and frames of the last memories, the oldest first."""
    if rules.selection.is_choosy:
        worthy = frozenset(t for t in there if merits.get(t, _USUAL).worthy)
        just_before = _earlier(frame, 1, 1, reverse)
        found = last_worthy(
            frame,
            worthy.union({just_before}.intersection(there)),
            chosen,
            slots,
            rules.selection.reach,
            reverse=reverse,
        )
        return list(reversed(found.items()))
    ways = ((t_rel, _earlier(frame, t_rel, rules.stride, reverse)) for t_rel in range(slots, 0, -1))
    return [(t_rel, t) for t_rel, t in ways if t in there]


def _select_pointers(
    frame: int,
    chosen: tuple[int, ...],
    spare: frozenset[int],
    pointers: Collection[int],
    num_frames: int,
    rules: MemoryRules,
    reverse: bool,
) -> tuple[PointerMemory, ...]:
    if not rules.use_pointers:
        return ()
    back = 1 if reverse else -1
    distances = {t: (t - frame) * back for t in chosen}
    found = [
        PointerMemory(t, distance, conditioning=True)
        for t, distance in distances.items()
        if distance >= 0 or not rules.past_pointers_only
    ]
    for distance in range(1, rules.pointer_reach(num_frames) + 1):
        t = frame + back * distance
        if t in spare or (t in pointers and t not in distances):
            found.append(PointerMemory(t, distance, conditioning=False))
    return tuple(found)


def _closest(frame: int, conditioning: Collection[int], limit: int) -> tuple[int, ...]:
    """Nearest before, nearest at or after, then whichever is nearest; of two equally near the earlier."""
    if limit == -1 or len(conditioning) <= limit:
        return tuple(sorted(conditioning))
    before = max((t for t in conditioning if t < frame), default=None)
    after = min((t for t in conditioning if t >= frame), default=None)
    chosen = [t for t in (before, after) if t is not None]
    rest = sorted(set(conditioning) - set(chosen), key=lambda t: (abs(t - frame), t))
    return tuple(sorted(chosen + rest[: limit - len(chosen)]))


def _earlier(frame: int, t_rel: int, stride: int, reverse: bool) -> int:
    """Return the frame that slot `t_rel` looks at: the frame just before, then multiples of the stride."""
    if reverse:
        return -_earlier(-frame, t_rel, stride, reverse=False)  # the same rule on the mirrored axis
    if t_rel == 1:
        return frame - 1
    return (frame - 2) // stride * stride - (t_rel - 2) * stride


def spatial_ahead(t: int, frame: int, rules: MemoryRules, reverse: bool) -> bool:
    """Tell whether a frame that a pass visits after `frame` can look at the spatial memory of `t`.

    Parameters
    ----------
    t, frame : int
        Two frames.
    rules : MemoryRules
        What they say of worth and anchors is left to the bank, which knows of both.
    reverse : bool
        Whether the pass goes towards frame 0.
    """
    if reverse:
        return spatial_ahead(-t, -frame, rules, reverse=False)
    if rules.frames < 2:
        return False
    if t >= frame:
        return True
    oldest = _earlier(frame + 1, rules.frames - 1, rules.stride, reverse=False)
    return t % rules.stride == 0 and t >= oldest
