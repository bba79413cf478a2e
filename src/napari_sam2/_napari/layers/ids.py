"""Which ids objects may be given, and which one is next."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from napari_sam2.prompts import MAX_OBJECT_ID

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_GIVEN = 2**31 - 1
"""Larger ids are seldom meant: they are negative labels, as -1 for "ignore", that were stored as unsigned.

It leaves room above: new objects count on from the highest id, and theirs must fit the Labels layer too.
"""


def is_allowed(obj: int, objects: Collection[int]) -> bool:
    """Whether an object may have an id, beside those that are there: these count on above `MAX_GIVEN` too."""
    return obj <= max(MAX_GIVEN, max(objects, default=0) + 1)


def check_allowed(obj: int, objects: Collection[int]) -> None:
    """Raise ValueError if an object may not have an id."""
    if not is_allowed(obj, objects):
        raise ValueError(f"the object id is {obj}: give a whole number from 1 to {MAX_GIVEN}")


def next_id(used: Collection[int], spare: int | None = None) -> int:
    """Return the id above those that are used; where none fits above, the spare one, else the lowest free."""
    above = max(used, default=0) + 1
    if above <= MAX_OBJECT_ID:
        return above
    return next(obj for obj in count(1) if obj not in used) if spare is None else spare
