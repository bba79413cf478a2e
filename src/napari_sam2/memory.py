"""Which frames' memories a frame looks at: index logic alone, whatever the memories are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

F = TypeVar("F")
P = TypeVar("P")


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
            self.stride * (self.frames - 1), self.pointer_reach(num_frames) if self.use_pointers else 0
        )

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
    """What one frame looks at, in order: conditioning frames by index, then tracked frames.

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

    Returns
    -------
    MemorySelection
        Empty if ``rules.frames`` is 0. Conditioning frames beyond the limit serve as tracked ones would.
    """
    if rules.frames == 0:
        return MemorySelection()
    chosen = _closest(frame, conditioning, rules.max_conditioning)
    spare = frozenset(conditioning) - frozenset(chosen)
    taken = frozenset(chosen)
    spatial = [SpatialMemory(t, rules.rows - 1, conditioning=True) for t in chosen]
    for t_rel in range(rules.frames - 1, 0, -1):
        t = _earlier(frame, t_rel, rules.stride, reverse)
        if t in spare or (t in tracked and t not in taken):
            spatial.append(SpatialMemory(t, t_rel - 1, conditioning=False))
    return MemorySelection(
        spatial=tuple(spatial),
        pointers=_select_pointers(frame, chosen, spare, pointers, num_frames, rules, reverse),
    )


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


def _spatial_ahead(t: int, frame: int, rules: MemoryRules, reverse: bool) -> bool:
    """Tell whether a frame that a pass visits after `frame` can look at the spatial memory of `t`."""
    if reverse:
        return _spatial_ahead(-t, -frame, rules, reverse=False)
    if rules.frames < 2:
        return False
    if t >= frame:
        return True
    oldest = _earlier(frame + 1, rules.frames - 1, rules.stride, reverse=False)
    return t % rules.stride == 0 and t >= oldest


class MemoryBank(Generic[F, P]):
    """The memories of one object: conditioning frames and tracked ones, with whatever they carry.

    Parameters
    ----------
    rules : MemoryRules
    num_frames : int
        Length of the whole sequence.
    """

    def __init__(self, rules: MemoryRules, num_frames: int) -> None:
        if num_frames < 1:
            raise ValueError(f"num_frames is {num_frames}: a sequence has at least one frame")
        self.rules = rules
        self.num_frames = num_frames
        self._conditioning: frozenset[int] = frozenset()
        self._features: dict[int, F] = {}
        self._pointers: dict[int, P] = {}

    @property
    def conditioning(self) -> tuple[int, ...]:
        """Conditioning frames, sorted."""
        return tuple(sorted(self._conditioning))

    @property
    def tracked(self) -> tuple[int, ...]:
        """Tracked frames whose spatial memory is kept, sorted."""
        return tuple(sorted(self._features.keys() - self._conditioning))

    @property
    def tracked_pointers(self) -> tuple[int, ...]:
        """Tracked frames whose pointer is kept, sorted."""
        return tuple(sorted(self._pointers.keys() - self._conditioning))

    def add_conditioning(self, frame: int, features: F, pointer: P) -> None:
        """Put in a prompted or confirmed frame; what was there for the frame is replaced."""
        self._check(frame)
        self._conditioning |= {frame}
        self._features[frame] = features
        self._pointers[frame] = pointer

    def add_tracked(self, frame: int, features: F, pointer: P) -> None:
        """Put in a tracked frame; an earlier result of tracking it is replaced.

        Raises
        ------
        ValueError
            If it is a conditioning frame: those are given, not tracked.
        """
        self._check(frame)
        if frame in self._conditioning:
            raise ValueError(f"frame {frame} is a conditioning frame: discard it before tracking through it")
        self._features[frame] = features
        self._pointers[frame] = pointer

    def replace_features(self, frame: int, features: F) -> None:
        """Put another spatial memory in place of a frame's; KeyError if there is none."""
        if frame not in self._features:
            raise KeyError(frame)
        self._features[frame] = features

    def select(self, frame: int, reverse: bool = False) -> MemorySelection:
        """Return what `frame` looks at in a pass of this direction, see `select_memories`."""
        return select_memories(
            frame,
            conditioning=self._conditioning,
            tracked=self._features.keys(),
            pointers=self._pointers.keys(),
            num_frames=self.num_frames,
            rules=self.rules,
            reverse=reverse,
        )

    def features(self, frame: int) -> F:
        """Return the spatial memory of a frame; KeyError if there is none."""
        return self._features[frame]

    def pointer(self, frame: int) -> P:
        """Return the object pointer of a frame; KeyError if there is none."""
        return self._pointers[frame]

    def discard(self, frame: int) -> None:
        """Forget all about a frame, conditioning or not."""
        self._conditioning -= {frame}
        self._features.pop(frame, None)
        self._pointers.pop(frame, None)

    def trim(
        self, frame: int, reverse: bool = False, keep: Collection[int] = (), returns: Iterable[int] = ()
    ) -> None:
        """Drop what no frame that this pass visits after `frame` can look at.

        Conditioning frames always stay.

        Parameters
        ----------
        frame : int
            The frame that was just tracked.
        reverse : bool
            Direction of the pass.
        keep : collection of int
            Tracked frames to keep with all they have.
        returns : iterable of int
            Frames at which passes in the other direction will start. What those can look at on this side of
            their start is kept as well, no more.
        """
        starts = tuple(returns)
        held = self._conditioning.union(keep)
        self._features = {
            t: value
            for t, value in self._features.items()
            if t in held or self._spatial_needed(t, frame, reverse, starts)
        }
        self._pointers = {
            t: value
            for t, value in self._pointers.items()
            if t in held or self._pointer_needed(t, frame, reverse, starts)
        }

    def copy(self) -> MemoryBank[F, P]:
        """Return a bank of its own with the same memories, which are not copied."""
        other: MemoryBank[F, P] = MemoryBank(self.rules, self.num_frames)
        other._conditioning = self._conditioning
        other._features = dict(self._features)
        other._pointers = dict(self._pointers)
        return other

    def _check(self, frame: int) -> None:
        if not 0 <= frame < self.num_frames:
            raise ValueError(f"frame {frame} is not in a sequence of {self.num_frames} frames")

    def _spatial_needed(self, t: int, frame: int, reverse: bool, starts: tuple[int, ...]) -> bool:
        return _spatial_ahead(t, frame, self.rules, reverse) or any(
            _beyond(t, start, reverse) and _spatial_ahead(t, start, self.rules, not reverse)
            for start in starts
        )

    def _pointer_needed(self, t: int, frame: int, reverse: bool, starts: tuple[int, ...]) -> bool:
        reach = self.rules.pointer_reach(self.num_frames)
        if not self.rules.use_pointers or self.rules.frames == 0 or reach == 0:
            return False
        return _behind(t, frame, reverse) < reach or any(
            _beyond(t, start, reverse) and _behind(t, start, not reverse) < reach for start in starts
        )


def _behind(t: int, frame: int, reverse: bool) -> int:
    """Return by how many frames `t` lies behind `frame` in a pass of this direction."""
    return t - frame if reverse else frame - t


def _beyond(t: int, start: int, reverse: bool) -> bool:
    """Tell whether a pass of this direction reaches `t` at or after `start`."""
    return _behind(t, start, reverse) <= 0
