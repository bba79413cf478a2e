"""A session that is saved again and again: only what has changed since the last time is written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2 import io
from napari_sam2._session.document import describe_state, record_arrays
from napari_sam2._session.entry_table import KnownEntries
from napari_sam2.changes import ChangeLog

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from napari_sam2._session.state import PromptRecord, SessionState
    from napari_sam2.io.journal import Part
    from napari_sam2.passes import PassKey
    from napari_sam2.prompts import PromptKey


class SessionJournal:
    """Keeps a folder up to date with a session; `saved.read_session` reads it.

    It watches the session until `close` is called.

    Parameters
    ----------
    folder : Path
        The journal's own.
    state : SessionState
        The session.
    opening : mapping
        From `describe_opening`.
    """

    def __init__(self, folder: Path, state: SessionState, opening: Mapping[str, Any]) -> None:
        self.folder = folder
        self._state = state
        self._opening = opening
        self._journal = io.Journal(folder)
        self._changed = ChangeLog()
        self._records: dict[PromptKey, PromptRecord] = {}
        self._origins: dict[PassKey, int] = {}
        self._edition = -1
        self._steps: Generator[None, None, None] | None = None
        for frame in range(state.labels.shape[0]):
            if state.labels.objects(frame):
                self._changed.note(frame, None)
        self.close = state.labels.watch_entries(lambda frame: self._changed.note(frame, None))

    @property
    def is_current(self) -> bool:
        """Whether nothing has changed since the last `write`."""
        return self._edition == self._state.edition

    @property
    def is_whole(self) -> bool:
        """Whether all that was written is still there; if not, another journal has to begin anew."""
        return self._journal.is_whole

    def describe(self, geometry: io.LabelGeometry) -> None:
        """Take other names of the axes, or another scale; the next `write` tells them."""
        images = self._opening["images"]
        told = {"axes": geometry.axes, "scale": geometry.scale}
        if {name: images[name] for name in told} != told:
            self._opening = {**self._opening, "images": {**images, **told}}
            self._edition = -1

    def write_steps(self, remarks: Mapping[str, Any]) -> Generator[None, None, None]:
        """Write what has changed until the first step, a file at a time, with these remarks, fit for JSON.

        Each step is taken while the state's lock is held. It ends what was begun before.

        Raises
        ------
        OSError
            If it cannot be written: then the folder holds what it held, and the next call tries again. Or if
            what is needed no more cannot be deleted.
        """
        if self._steps is not None:
            self._steps.close()
        self._steps = self._written(remarks)
        yield from self._steps

    def _written(self, remarks: Mapping[str, Any]) -> Generator[None, None, None]:
        state, frames = self._state, list(self._changed.drain())
        try:
            edition, records = state.edition, dict(state.records)
            entries = KnownEntries(state.labels, frames)
            for origin in entries.origins:
                # Numbers that were given stay: files that were written speak of them.
                self._origins.setdefault(origin, len(self._origins))
            document = {**self._opening, **describe_state(state, self._origins), "remarks": dict(remarks)}
            origins = tuple(self._origins)
            parts: dict[str, Part | None] = {
                f"frame-{frame}": partial(entries.packed, frame, origins) if frame in entries else None
                for frame in frames
            }
            yield from self._journal.write_steps(document, parts | self._changed_records(records))
        except BaseException:
            for frame in frames:
                self._changed.note(frame, None)
            raise
        self._records, self._edition = records, edition
        yield from self._journal.sweep_steps()

    def _changed_records(self, records: Mapping[PromptKey, PromptRecord]) -> dict[str, Part | None]:
        gone: dict[str, Part | None] = {_part(key): None for key in self._records.keys() - records.keys()}
        fresh = {key: record for key, record in records.items() if self._records.get(key) is not record}
        return gone | {_part(key): _made_of(record_arrays(key, record)) for key, record in fresh.items()}


def _made_of(arrays: Mapping[str, npt.NDArray[Any]]) -> Part | None:
    return partial(dict, arrays) if arrays else None


def _part(key: PromptKey) -> str:
    return f"prompts-{key.obj}-{key.frame}"
