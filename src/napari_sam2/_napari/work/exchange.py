"""Other work in place of all that is there: taken at all positions together, or at none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2._napari.work.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from napari_sam2._napari.work.autosave import WorkGroup
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.work.versions import Version


@dataclass(frozen=True, eq=False)
class Source:
    """What comes to one position; both are called on the inference thread.

    Attributes
    ----------
    read : callable
        Returns it after some steps, and changes nothing.
    taken : callable
        Told when it has taken its place; may raise OSError.
    """

    read: Callable[[Desk], Generator[None, None, Version]]
    taken: Callable[[Desk], object]


class Exchange:
    """Other work that is read position by position, then taken; used on the inference thread.

    Parameters
    ----------
    group : WorkGroup
        Of the work that is there; it gets the name of the other one.
    name : str
        That name.
    leave : callable
        Saves what is there for the last time; if it raises, all stays as it is.

    Attributes
    ----------
    problem : OSError or None
        What kept other work from being noted as taken.
    """

    def __init__(self, group: WorkGroup, name: str, leave: Callable[[Collection[Desk]], None]) -> None:
        self._group, self._name, self._leave = group, name, leave
        self._coming: dict[Desk, Version] = {}
        self._sources: dict[Desk, Source] = {}
        self._failed = False
        self.problem: OSError | None = None

    def brings(self, desk: Desk) -> bool:
        """Whether anything comes to a position; any thread may ask after `take`."""
        return desk in self._sources

    def read(self, source: Source, desk: Desk) -> Generator[None, None, Answer]:
        """Read what comes to a position; nothing more after the first that fails."""
        if not self._failed:
            self._failed = True  # unless it comes to an end
            self._coming[desk] = yield from source.read(desk)
            self._sources[desk] = source
            self._failed = False
        return Answer()

    def clear(self, desk: Desk) -> Answer:
        """Let nothing come to a position, which sees there what the others see."""
        if not self._failed and self._coming and desk.session is not None:
            self._failed = True
            self._coming[desk] = desk.blank(next(iter(self._coming.values())).opening.view)
            self._failed = False
        return Answer()

    def take(self) -> dict[Desk, Answer]:
        """Put all in place of what is there; nothing if one has failed."""
        if self._failed:
            return {}
        self._leave(self._coming)
        self._group.name = self._name
        answers = {desk: desk.put(version) for desk, version in self._coming.items()}
        for desk, source in self._sources.items():
            self._note(desk, source)
        return answers

    def _note(self, desk: Desk, source: Source) -> None:
        try:
            source.taken(desk)
        except OSError as error:  # it is there all the same, and the user has to see it
            self.problem = error
