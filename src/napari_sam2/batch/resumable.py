"""A session whose propagation goes on, in another process, where it was when its state was last kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2._session.entry_table import StoredEntry
from napari_sam2.prompts import PromptKey
from napari_sam2.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._session.saved import SavedSession
    from napari_sam2._tracking.state import Track
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction


class ResumableSession(Session):
    """A session that tells what it has tracked and what it remembers, and takes that back in."""

    @classmethod
    def reopen(
        cls,
        saved: SavedSession,
        data: Any,  # noqa: ANN401 - numpy, dask, zarr
        *,
        model: Sam2,
        labels: Any,  # noqa: ANN401 - numpy, zarr
        **options: Any,  # noqa: ANN401 - the class's
    ) -> ResumableSession:
        """Go on with a saved session, its masks written into `labels`."""
        options = {**saved.options, **options, "labels": labels}
        session = cls(saved.open_volume(data), model=model, **options)
        session.location, session.geometry = saved.location, saved.geometry
        saved.restore(session._state, recompute=False)
        return session

    def go_on(self, frames: range | None, direction: Direction) -> Iterator[FrameResult]:
        """Track and write all that is not up to date, in any direction.

        Yields
        ------
        FrameResult
            As `propagate` does; nothing where no object has a prompt, as in a session of locked masks.
        """
        if self.prompted_objects:
            yield from self._write(self.track(frames, direction=direction, stale=True))

    def tracked(self, result: FrameResult) -> list[StoredEntry]:
        """Return what was written for the tracked objects of a result."""
        stored = []
        for obj, origin in zip(result.objects, result.origins, strict=True):
            key = PromptKey(obj, result.frame)
            entry = self._state.entry(key)
            if entry is not None and origin is not None and entry.origin == origin:
                stored.append(StoredEntry(key, entry))
        return stored

    def put_back(self, entries: Iterable[StoredEntry]) -> None:
        """Write what `tracked` returned."""
        for stored in entries:
            self._state.put_entry(stored.key, stored.entry)

    def held_passes(self) -> list[Track]:
        """Return the passes under way with their memories."""
        return list(self._tracker.held.values())

    def hold_passes(self, passes: Sequence[Track]) -> None:
        """Take in passes that `held_passes` returned; those whose prompts are not the same are left out."""
        for track in passes:
            if set(track.planned.anchors) <= set(self._tracker.anchors(track.obj)):
                self._tracker.held[track.obj, track.planned.key] = track
