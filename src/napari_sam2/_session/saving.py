"""How a session is written: to a file when the user says so, and again and again to a folder of its own."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2 import io
from napari_sam2._session.document import describe_opening, session_steps
from napari_sam2._session.journal import SessionJournal
from napari_sam2._session.objects import SessionObjects
from napari_sam2.steps import result_of, within

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.cleanup import Cleanup


class SessionSaving(SessionObjects):
    """Writes all that a session knows; `Session.load` reads it.

    Attributes
    ----------
    model : Sam2
        The network.
    cleanup : Cleanup
        What is mended in masks before they are written.
    made_of : tuple of mapping
        What the images were put together of.
    """

    model: Sam2
    cleanup: Cleanup
    made_of: tuple[Mapping[str, Any], ...]
    _journal: SessionJournal | None

    def save(self, path: str | Path, **remarks: str | float | None) -> None:
        """Write ``NAME.sam2.json`` and ``NAME.sam2.zarr``, with any `remarks`, whole or not at all."""
        for _ in self.save_steps(path, **remarks):
            pass

    def save_steps(self, path: str | Path, **remarks: str | float | None) -> Generator[None, None, None]:
        """Do what `save` does a frame at a time; what is written is the session as it was at first."""
        yield from self.settle_steps()
        said = yield from session_steps(self._state, self._opening(), remarks)
        with closing(said.arrays["labels"]):
            yield from io.session_steps(path, said.document, said.arrays)

    def autosave(self, folder: str | Path, **remarks: str | float | None) -> bool:
        """Bring a folder of its own up to date with the session; only what has changed is written.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there, and written anew if any of it was deleted. `load` reads it.
        **remarks : str, float or None
            Whatever is to be noted beside.

        Returns
        -------
        bool
            Whether anything had to be written.

        Raises
        ------
        OSError
            If it cannot be written; the folder still holds what was saved last.
        """
        with self._state.lock:
            return result_of(self.autosave_steps(folder, **remarks))

    def autosave_steps(
        self, folder: str | Path, **remarks: str | float | None
    ) -> Generator[None, None, bool]:
        """Do what `autosave` does a frame at a time; what is written is the session as it was at first.

        It ends where another call begins, which writes all of it.
        """
        with self._state.lock:
            journal = self._journal
            if journal is None or journal.folder != Path(folder) or not journal.is_whole:
                if journal is not None:
                    journal.close()
                journal = self._journal = SessionJournal(Path(folder), self._state, self._opening())
            journal.describe(self.geometry)
            if journal.is_current:
                return False
            steps = journal.write_steps(remarks)
        yield from within(self._state.lock, steps)
        return True

    def _opening(self) -> dict[str, Any]:
        return describe_opening(
            self.model, self.volume, self.cleanup, self.location, self.geometry, self.made_of
        )
