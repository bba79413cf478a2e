"""Errors that are told otherwise where there is a table of objects than where there are calls."""

from __future__ import annotations


class ObjectLockedError(ValueError):
    """An object that is locked as a whole was to be changed.

    Parameters
    ----------
    obj : int
        Its id.
    """

    def __init__(self, obj: int) -> None:
        super().__init__(f"object {obj} is locked: unlock it first (unlock_object)")
        self.obj = obj
