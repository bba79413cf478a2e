"""What can be read of a session."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2 import io
from napari_sam2._session import edits, object_edits
from napari_sam2._session.checks import check_frame, check_key, check_objects, check_range
from napari_sam2._session.pixels import SessionPixels
from napari_sam2._tracking.state import steps_of
from napari_sam2.doubt import Stretch, stretches
from napari_sam2.passes import check_direction
from napari_sam2.steps import result_of, within
from napari_sam2.tracks import TABLE_COLUMNS, make_tracks, table_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2._tracking.state import Job
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.labels import Entry
    from napari_sam2.lineage import Life
    from napari_sam2.passes import Direction, Step
    from napari_sam2.prompts import FramePrompts, PromptKey
    from napari_sam2.summary import SessionSummary
    from napari_sam2.tracker import Tracker
    from napari_sam2.tracks import Tracks


class SessionViews(SessionPixels):
    """Reads the state that `Session` changes.

    Attributes
    ----------
    location : str or None
        Where the images were opened.
    geometry : LabelGeometry
        What their file tells of axes and pixel sizes.
    """

    location: str | None
    geometry: io.LabelGeometry
    _tracker: Tracker

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of all objects, in order."""
        return self._state.objects

    @property
    def prompts(self) -> dict[PromptKey, FramePrompts]:
        """Prompts by object and frame, painted masks among them, in order."""
        with self._state.lock:
            records = self._state.records
            return {key: records[key].prompts for key in sorted(records) if records[key].source != "locked"}

    @property
    def names(self) -> dict[int, str]:
        """Names that objects were given, by id."""
        with self._state.lock:
            return {obj: facts.name for obj, facts in sorted(self._state.facts.items()) if facts.name}

    @property
    def parents(self) -> dict[int, int]:
        """The object that each daughter comes from, by the daughter's id."""
        with self._state.lock:
            return object_edits.parents(self._state)

    @property
    def locked_objects(self) -> frozenset[int]:
        """Ids of the objects that are locked as a whole."""
        with self._state.lock:
            return frozenset(obj for obj, facts in self._state.facts.items() if facts.locked)

    def life(self, obj: int) -> Life:
        """Return when an object was said to begin and to end."""
        with self._state.lock:
            return self._state.facts_of(obj).life

    @property
    def frames_encoded(self) -> int:
        """How many times a frame went through the image encoder."""
        return self._tracker.features.encoded

    @property
    def prompted_objects(self) -> tuple[int, ...]:
        """Ids of the objects that propagation can set out from, in order: prompted or locked on a frame."""
        with self._state.lock:
            return self._tracker.objects

    @property
    def undo_label(self) -> str | None:
        """Name of the step that `undo` would take back; None if there is none."""
        return self._state.history.undo_label

    @property
    def undo_run(self) -> Hashable | None:
        """Run of the step that `undo` would take back, as given to `Session.grouped`; None if it has none."""
        return self._state.history.undo_run

    @property
    def redo_label(self) -> str | None:
        """Name of the step that `redo` would do again; None if there is none."""
        return self._state.history.redo_label

    @property
    def steps_made(self) -> int:
        """How many steps were made so far; undoing one does not count, nor does doing it again."""
        return self._state.history.made

    def entry(self, obj: int, frame: int) -> Entry | None:
        """Return all that is known of an object on a frame; None if nothing is.

        Returns
        -------
        Entry or None
            `score`, the network's estimate of the overlap with the true mask, and `presence`, the probability
            that the object is there, from 0 to 1; `provenance`, ``"prompted"``, ``"tracked"`` or
            ``"painted"``; `locked`; `logits` on the network's grid, and the mask that was `painted`.

        Raises
        ------
        ValueError, TypeError
            If the id is none or there is no such frame.
        """
        return self._state.entry(check_key(obj, frame, self.volume.num_frames))

    def mask(self, obj: int, frame: int) -> NDArray[np.bool_]:
        """Return an object's own mask on a frame, before overlaps with others are decided.

        Returns
        -------
        array of bool, (H, W)
            All False where nothing is known of the object.

        Raises
        ------
        ValueError, TypeError
            If the id is none or there is no such frame.
        """
        return self._state.mask(check_key(obj, frame, self.volume.num_frames))

    def summary(self) -> SessionSummary:
        """Return all objects on all frames at a glance: status, score, area, place.

        Only frames on which something changed since the last call are looked at again.
        """
        with self._state.lock:
            self._state.settle()
            return self._state.summary()

    def summary_so_far(self) -> SessionSummary:
        """Return what `summary` does, of frames that are `behind` as it was before."""
        return self._state.summary()

    def doubtful(self) -> tuple[Stretch, ...]:
        """List the stretches of tracked frames that deserve a look, by object and frame.

        These are masks that jump, or that are not sure (a `Cells.confidence` below 0.6), and the first frame
        on which an object was lost. To correct or confirm the `Stretch.middle` of one reaches farthest.
        """
        return stretches(self.summary())

    def tracks(self) -> Tracks:
        """Return the paths of all objects and their lineage, for napari's Tracks layer."""
        return make_tracks(self.summary(), self.geometry.scale)

    @property
    def edition(self) -> int:
        """A number that is another one after every change, so that one can tell whether there was any."""
        return self._state.edition

    @property
    def cache_bytes(self) -> int:
        """How many bytes of image features may be kept; what is beyond goes as soon as it is set."""
        return self._tracker.features.budget

    @cache_bytes.setter
    def cache_bytes(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"cache_bytes is {value}: give 0 or more")
        with self._state.lock:
            self._tracker.features.shrink(value)

    def preview(self, obj: int, frame: int, prompts: FramePrompts) -> FrameResult:
        """Return what `set_prompts` would answer, and change nothing.

        Raises
        ------
        ValueError, TypeError
            As `set_prompts`, and if nothing is said.
        """
        with self._state.lock:
            return result_of(self.preview_steps(obj, frame, prompts))

    def preview_steps(
        self, obj: int, frame: int, prompts: FramePrompts
    ) -> Generator[None, None, FrameResult]:
        """Do what `preview` does in steps no longer than to encode a window or to answer in it.

        Anything may be done between two. If nothing was changed, `set_prompts` has the same answer at hand.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        prompts.check_frame(self.volume.frame_shape)
        if prompts.is_empty:
            raise ValueError("there is nothing to preview: give a point, a box or a mask")
        with self._state.lock:
            edits.check_open(self._state, key)
        base = yield from within(self._state.lock, edits.base_of(self._state, key, prompts))
        yield from within(self._state.lock, self._tracker.answering(key.frame, prompts, base))
        with self._state.lock:
            return edits.preview(self._state, key, prompts, base)

    def is_open(self, obj: int, frame: int) -> bool:
        """Whether an object takes prompts on a frame: not where it is locked, nor beyond its begin or end."""
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock:
            try:
                edits.check_open(self._state, key)
            except ValueError:
                return False
        return True

    def steps_ahead(
        self,
        frames: range | None = None,
        objects: Sequence[int] | None = None,
        direction: Direction = "both",
        *,
        stale: bool = False,
    ) -> frozenset[Step]:
        """Return what `Session.track` would compute: frames, each once per direction; empty if up to date.

        Raises
        ------
        ValueError, TypeError
            As `Session.track`.
        """
        return steps_of(self.jobs_ahead(frames, objects, direction, stale=stale))

    def jobs_ahead(
        self,
        frames: range | None = None,
        objects: Sequence[int] | None = None,
        direction: Direction = "both",
        *,
        stale: bool = False,
    ) -> tuple[Job, ...]:
        """Plan what `Session.track` does; both ways, and with `stale` in any, less what is up to date."""
        check_direction(direction)
        limits = check_range(frames, self.volume.num_frames)
        with self._state.lock:
            chosen = check_objects(objects, self._tracker.objects)
            jobs = edits.plan(self._state, chosen, direction, limits)
            return edits.what_is_left(self._state, jobs) if stale or direction == "both" else jobs

    def prepare(self, frame: int, place: tuple[float, float] | None = None) -> None:
        """Compute image features ahead, so that the next prompt is answered at once.

        Parameters
        ----------
        frame : int
            The frame.
        place : (float, float), optional
            Row and column near which the prompt will be, by default in the middle: of frames that are longer
            than twice what a released network sees, it is shown a part at a time.
        """
        at = check_frame(frame, self.volume.num_frames)
        with self._state.lock:
            self._tracker.features.get(at, self._tracker.windows.field_at(place))

    def is_ready(self, frame: int, place: tuple[float, float] | None = None) -> bool:
        """Whether the features are at hand for a prompt at a place of a frame; see `prepare`."""
        at = check_frame(frame, self.volume.num_frames)
        return self._tracker.features.has(at, self._tracker.windows.field_at(place))

    def export(self, path: str | Path, *, scale: Sequence[float] | None = None) -> None:
        """Write the labels to ``.tif``, ``.zarr`` (OME-Zarr) or a folder ``..._RES``; see `io.export_labels`.

        To ``.csv`` goes a table of all objects on all frames, with the columns of `tracks.TABLE_COLUMNS`.

        Parameters
        ----------
        path : str or Path
            Where to; never the images' own file.
        scale : sequence of 3 floats, optional
            Micrometres (t: seconds) along each axis; by default what the images' file tells.

        Raises
        ------
        ValueError, OSError
            If the name says none of these, or the file cannot be written; nothing is left under it then.
        """
        for _ in self.export_steps(path, scale=scale):
            pass

    def export_steps(self, path: str | Path, *, scale: Sequence[float] | None = None) -> Iterator[None]:
        """Do what `export` does a frame at a time; what is written are the labels as they were at first.

        What edits have left to be written into them is written before.

        Yields
        ------
        None
            After each frame.
        """
        self.check_export(path)
        yield from self.settle_steps()
        if Path(path).suffix.lower() == ".csv":
            io.write_table(path, TABLE_COLUMNS, table_rows(self.summary()))
            return
        size = self.geometry.scale if scale is None else scale
        axes, parents = self.geometry.axes, self.parents
        with closing(self.label_snapshot()) as labels:
            yield from io.export_steps(path, labels, scale=size, axes=axes, parents=parents)

    def check_export(self, path: str | Path) -> None:
        """Raise ValueError if the images themselves are there."""
        if self.location is not None and Path(path).resolve() == Path(self.location):
            raise ValueError(f"{path} holds the images: choose another name for the labels")
