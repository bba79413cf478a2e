"""The memories of one object, kept as long as a later frame can look at them, whatever they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from napari_sam2.memory import MemoryRules, MemorySelection, select_memories, spatial_ahead
from napari_sam2.selection import Merit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

F = TypeVar("F")
P = TypeVar("P")

_USUAL = Merit()


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
        self._merits: dict[int, Merit] = {}

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

    @property
    def anchors(self) -> tuple[int, ...]:
        """Tracked frames that may be looked at for longer, sorted."""
        return tuple(sorted(t for t, merit in self._merits.items() if merit.anchor and t in self._features))

    def remembers(self, frame: int) -> bool:
        """Tell whether the spatial memory of a frame is kept."""
        return frame in self._features

    def merit(self, frame: int) -> Merit:
        """Return what was decided on the memory of a frame."""
        return self._merits.get(frame, _USUAL)

    def add_conditioning(self, frame: int, features: F, pointer: P) -> None:
        """Put in a prompted or confirmed frame; what was there for the frame is replaced."""
        self._check(frame)
        self._merits.pop(frame, None)
        self._conditioning |= {frame}
        self._features[frame] = features
        self._pointers[frame] = pointer

    def add_tracked(self, frame: int, features: F, pointer: P, merit: Merit = _USUAL) -> None:
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
        self._merits.pop(frame, None)
        if merit != _USUAL:
            self._merits[frame] = merit

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
            merits=self._merits,
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
        self._merits.pop(frame, None)

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
        kept = self._features.keys() | self._pointers.keys()
        self._merits = {t: merit for t, merit in self._merits.items() if t in kept}

    def copy(self) -> MemoryBank[F, P]:
        """Return a bank of its own with the same memories, which are not copied."""
        other: MemoryBank[F, P] = MemoryBank(self.rules, self.num_frames)
        other._conditioning = self._conditioning
        other._features = dict(self._features)
        other._pointers = dict(self._pointers)
        other._merits = dict(self._merits)
        return other

    def _check(self, frame: int) -> None:
        if not 0 <= frame < self.num_frames:
            raise ValueError(f"frame {frame} is not in a sequence of {self.num_frames} frames")

    def _spatial_needed(self, t: int, frame: int, reverse: bool, starts: tuple[int, ...]) -> bool:
        return self._ahead(t, frame, reverse) or any(
            _beyond(t, start, reverse) and self._ahead(t, start, not reverse) for start in starts
        )

    def _ahead(self, t: int, frame: int, reverse: bool) -> bool:
        """Tell whether a frame that a pass visits after `frame` can look at the spatial memory of `t`.

        An anchor is kept while fewer nearer ones than the rules allow have come after it, any other memory
        while it is among the last worthy ones within reach.
        """
        if self.rules.selection.is_plain or self.rules.frames < 2:
            return spatial_ahead(t, frame, self.rules, reverse)
        nearer = [u for u in self._features if 0 <= _behind(u, frame, reverse) < _behind(t, frame, reverse)]
        if self.merit(t).anchor and self._count_anchors(nearer, frame) < self.rules.anchors:
            return True
        if not self.rules.selection.is_choosy:
            return spatial_ahead(t, frame, self.rules, reverse)
        # Those that may be anchors take no slot as long as they are.
        taken = sum(self.merit(u).worthy and not self.merit(u).anchor for u in nearer)
        is_near = _behind(t, frame, reverse) < self.rules.selection.reach and taken < self.rules.frames - 1
        return _behind(t, frame, reverse) <= 0 or (is_near and self.merit(t).worthy)

    def _count_anchors(self, frames: Iterable[int], frame: int) -> int:
        """Count anchors; the frame just tracked is not one yet for the next."""
        return sum(self.merit(u).anchor and u != frame for u in frames)

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
