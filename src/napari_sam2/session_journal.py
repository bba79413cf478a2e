"""A session that is saved again and again: only what has changed since the last time is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2 import io
from napari_sam2.changes import ChangeLog
from napari_sam2.entry_table import StoredEntry, pack_entries
from napari_sam2.passes import PassKey
from napari_sam2.prompts import PromptKey
from napari_sam2.session_document import describe_state, record_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from napari_sam2.session_state import PromptRecord, SessionState


class SessionJournal:
    """Keeps a folder up to date with a session; `session_document.read_session` reads it.

    Parameters
    ----------
    folder : Path
        The journal's own.
    state : SessionState
        The session, which is watched from now on.
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
        for frame in range(state.labels.shape[0]):
            if state.labels.entries(frame):
                self._changed.note(frame, None)
        state.labels.watch(self._changed.note)

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

    def write(self, remarks: Mapping[str, Any]) -> None:
        """Write what has changed, with these remarks, fit for JSON, in the document.

        Raises
        ------
        OSError
            If it cannot be written; the folder holds what it held, and the next call tries again.
        """
        state = self._state
        with state.lock:
            frames, edition, records = list(self._changed.drain()), state.edition, dict(state.records)
            try:
                changed: dict[str, dict[str, npt.NDArray[Any]] | None] = {
                    f"frame-{frame}": self._entries(frame) for frame in frames
                }
                changed |= self._changed_records(records)
                document = {**self._opening, **describe_state(state, self._origins), "remarks": dict(remarks)}
                self._journal.write(document, changed)
            except BaseException:
                for frame in frames:
                    self._changed.note(frame, None)
                raise
            self._records, self._edition = records, edition

    def _entries(self, frame: int) -> dict[str, npt.NDArray[Any]] | None:
        stored = [
            StoredEntry(PromptKey(obj, frame), entry)
            for obj in self._state.labels.objects(frame)
            if (entry := self._state.labels.get(obj, frame)) is not None
        ]
        for each in stored:
            if isinstance(each.entry.origin, PassKey):
                # Numbers that were given stay: files that were written speak of them.
                self._origins.setdefault(each.entry.origin, len(self._origins))
        return pack_entries(stored, self._origins) if stored else None

    def _changed_records(
        self, records: Mapping[PromptKey, PromptRecord]
    ) -> dict[str, dict[str, npt.NDArray[Any]] | None]:
        gone: dict[str, dict[str, npt.NDArray[Any]] | None] = {
            _part(key): None for key in self._records.keys() - records.keys()
        }
        fresh = {key: record for key, record in records.items() if self._records.get(key) is not record}
        return gone | {_part(key): record_arrays(key, record) for key, record in fresh.items()}


def _part(key: PromptKey) -> str:
    return f"prompts-{key.obj}-{key.frame}"
