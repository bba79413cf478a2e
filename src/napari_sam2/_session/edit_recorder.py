"""What one edit of a session has replaced, so that it can be taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from napari_sam2._labels.entries import FrameRecords
from napari_sam2.history import Change, Edit

Kind = Literal["record", "entries", "facts"]
"""What a value is: an object's record on a frame, labels entries of a frame, or what is said of an object."""


class StateKey(NamedTuple):
    """Where a value lies."""

    kind: Kind
    place: Hashable


@dataclass(eq=False)
class Recorder:
    """Collects the first value of everything that one edit replaces, the labels entries of a frame as one."""

    label: str
    before: dict[StateKey, object] = field(default_factory=dict)
    entries: defaultdict[int, list[FrameRecords]] = field(default_factory=lambda: defaultdict(list))
    noted: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def note(self, frame: int, known: FrameRecords) -> None:
        """Note what is known of objects on a frame, of each the first time."""
        objects, noted = set(known.objects.tolist()), self.noted[frame]
        new = objects - noted
        if new:
            noted |= new
            self.entries[frame].append(known if new == objects else known.part(new))

    def take(self, inner: Recorder) -> None:
        """Note what an edit within this one has replaced."""
        for key, value in inner.before.items():
            self.before.setdefault(key, value)
        for frame, several in inner.entries.items():
            for known in several:
                self.note(frame, known)

    def clear(self) -> None:
        """Forget what was replaced, as it is in its place again."""
        self.before.clear()
        self.entries.clear()
        self.noted.clear()

    def edit(self) -> Edit:
        """Return the edit; what it leads to is read when it is undone."""
        frames = (
            (StateKey("entries", frame), FrameRecords.joined(known)) for frame, known in self.entries.items()
        )
        return Edit(
            self.label, tuple(Change(key, value, None) for key, value in (*self.before.items(), *frames))
        )
