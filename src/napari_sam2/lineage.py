"""What is said of an object as a whole: its name, its lock, when it begins and ends, and of whom it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Life:
    """The frames that an object can be on.

    Attributes
    ----------
    first, last : int or None
        The first and the last of them; None where the user said nothing: the sequence's own.

    Raises
    ------
    ValueError
        If it ends before it begins.
    """

    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        """Check the order."""
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(
                f"the object would begin on frame {self.first} and end on frame {self.last}: "
                "change its other end first"
            )

    @property
    def is_whole(self) -> bool:
        """Whether nothing was said."""
        return self.first is None and self.last is None

    def __contains__(self, frame: int) -> bool:
        return (self.first is None or self.first <= frame) and (self.last is None or frame <= self.last)

    def within(self, frames: range) -> range:
        """Return those of some consecutive frames, in ascending order, that belong to the life."""
        first = frames.start if self.first is None else max(frames.start, self.first)
        last = frames.stop if self.last is None else min(frames.stop, self.last + 1)
        return range(first, max(first, last))

    def joined(self, other: Life) -> Life:
        """Return the life of an object that two are made into."""
        first = None if self.first is None or other.first is None else min(self.first, other.first)
        last = None if self.last is None or other.last is None else max(self.last, other.last)
        return Life(first, last)


@dataclass(frozen=True)
class ObjectFacts:
    """What is said of an object as a whole.

    Attributes
    ----------
    name : str
        Given by the user, or empty.
    life : Life
        When it begins and ends.
    parent : int or None
        The object that it is a daughter of.
    locked : bool
        Whether nothing may change it.
    """

    name: str = ""
    life: Life = field(default_factory=Life)
    parent: int | None = None
    locked: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether nothing is said."""
        return self == ObjectFacts()

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values, those that are said."""
        first, last = self.life.first, self.life.last
        said = {"name": self.name or None, "first": first, "last": last, "parent": self.parent}
        said["locked"] = self.locked or None
        return {key: value for key, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ObjectFacts:
        """Read what `to_json` returned."""
        life = Life(values.get("first"), values.get("last"))
        return cls(values.get("name", ""), life, values.get("parent"), values.get("locked", False))


@dataclass(frozen=True)
class Daughters:
    """The ids of the two objects that one divides into."""

    first: int
    second: int


def ancestors(parents: Mapping[int, int], obj: int) -> Iterator[int]:
    """Go from an object to its parent, the parent's parent and so on; an id that came before ends it."""
    seen = {obj}
    while (parent := parents.get(obj)) is not None and parent not in seen:
        yield parent
        seen.add(parent)
        obj = parent
