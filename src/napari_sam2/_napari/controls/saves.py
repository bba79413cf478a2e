"""Sessions on their way into files, and what has to wait for them."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import TYPE_CHECKING

from napari_sam2 import io
from napari_sam2._napari.controls.many_files import TOGETHER
from napari_sam2._napari.notices import writing
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.worker import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from napari_sam2._napari.work.autosave import WorkGroup
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2.session import Session


class Saving:
    """Sessions that are saved one after the other, of which the first that fails ends all.

    Parameters
    ----------
    saved : callable
        Told of each session on the inference thread.
    work : WorkGroup
        What they are; told where they are, after the last, unless it has become other work.
    places : tuple of str
        The files.
    older : iterable of str
        Files that they take the place of under other names.

    Attributes
    ----------
    places : tuple of str
        The files.
    """

    def __init__(
        self,
        saved: Callable[[Session], None],
        work: WorkGroup,
        places: tuple[str, ...],
        older: Iterable[str],
    ) -> None:
        self.places = places
        self._saved, self._work, self._name, self._older = saved, work, work.name, older
        self._left = len(places)
        self._remarks = {TOGETHER: uuid.uuid4().hex}
        self._failed = False

    def save(self, place: str, desk: Desk) -> Generator[Priority | None, None, Answer]:
        """Save one of them, on the inference thread; clicks go between its frames, and soon edits too."""
        if not self._failed:
            try:
                yield from self._write(place, desk.opened)
            except Exception:
                self._failed = True
                raise
            if place == self.places[-1] and not self._failed:
                for each in self._older:
                    io.remove_session(each)
        return Answer()

    def _write(self, place: str, session: Session) -> Iterator[Priority | None]:
        while not session.is_settled:  # a click may come between
            yield from session.settle_steps()
        edition = session.edition
        with writing(place), closing(session.save_steps(place, **self._remarks)) as steps:
            for _ in steps:
                # What is written is certain now. Another one may have failed before it comes to this one.
                yield Priority.AHEAD
                if self._failed:
                    return
        if session.edition == edition:  # what was said meanwhile is in no file
            self._saved(session)

    def is_last(self) -> bool:
        """Count one that is saved, never one that has failed; after the last note where they are."""
        self._left -= 1
        if not self._left and self._work.name == self._name:
            self._work.file = self.places[0]
        return not self._left


class PendingSaves:
    """What waits until all is saved that is being saved; where that fails, it is not done."""

    def __init__(self) -> None:
        self._count = 0
        self._next: Callable[[], object] | None = None

    def begin(self) -> None:
        """Count one more."""
        self._count += 1

    def fail(self) -> None:
        """Count one less, which is in no file: whoever loads another session now would lose it."""
        self._next = None
        self.end()

    def end(self) -> None:
        """Count one less; after the last go on with what waits."""
        self._count -= 1
        if not self._count and self._next is not None:
            call, self._next = self._next, None
            call()

    def then(self, call: Callable[[], object]) -> None:
        """Call it now, or once all is saved; of several only the last."""
        if self._count:
            self._next = call
        else:
            call()
