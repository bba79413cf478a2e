"""A session: volume, network, prompts, labels and history; the one object that scripts and the plugin use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2 import io
from napari_sam2 import session_edits as edits
from napari_sam2.cleanup import Cleanup
from napari_sam2.labels import LabelVolume
from napari_sam2.passes import DIRECTIONS, Direction
from napari_sam2.prompts import FramePrompts, PromptKey, check_object_id
from napari_sam2.session_checks import check_key, check_objects, check_range
from napari_sam2.session_document import read_session, write_session
from napari_sam2.session_state import PromptRecord, SessionState
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.labels import Entry
    from napari_sam2.volume import Channel

VIEWS = ("auto", "frame")


class Session:
    """Prompts in, tracked labels out.

    Parameters
    ----------
    data : array or Volume
        Images: numpy, dask or zarr; see `Volume` for `axis`, `index`, `channel` and `contrast`.
    model : Sam2
        From `load_model`.
    axis : int
        The axis along which objects are tracked, z or t.
    index : mapping, optional
        Position along each other axis, ``{axis: position}``.
    channel : int or "rgb", optional
        Which channel, or that the last axis is colour.
    contrast : (float, float), optional
        Values shown as black and white.
    view : {"auto", "frame"}
        What the network looks at: the whole frame.
    labels : array (frames, H, W), optional
        Integers, numpy or zarr, to write into.
    cleanup : Cleanup, optional
        What is mended in masks before they are written; nothing by default.

    Attributes
    ----------
    volume : Volume
        The images as frames.
    model : Sam2
        The network.
    location : str or None
        Where the images were opened.
    geometry : LabelGeometry
        What their file tells of axes and pixel sizes.

    Raises
    ------
    TypeError, ValueError
        If the data are no images or an option does not fit them.

    Notes
    -----
    Methods may be called from any thread; network work is done by one at a time.
    """

    def __init__(
        self,
        data: Any,  # noqa: ANN401 - numpy, dask, zarr or Volume
        *,
        model: Sam2,
        axis: int = 0,
        index: Mapping[int, int] | None = None,
        channel: Channel = None,
        contrast: Sequence[float] | None = None,
        view: str = "auto",
        labels: Any = None,  # noqa: ANN401 - numpy or zarr
        cleanup: Cleanup | None = None,
    ) -> None:
        if view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}; got {view!r}")
        if isinstance(data, Volume):
            self.volume = data
        else:
            self.volume = Volume(data, axis=axis, index=index, channel=channel, contrast=contrast)
        self.model = model
        self.location: str | None = None
        self.geometry = io.LabelGeometry()
        self.cleanup = cleanup or Cleanup()
        apply = None if self.cleanup.is_idle else self.cleanup.apply
        written = LabelVolume(self.volume.shape, labels, cleanup=apply)
        self._tracker = Tracker(model, self.volume, self.volume.shape)
        self._state = SessionState(written, self._tracker)

    @classmethod
    def open(cls, path: str | Path, *, model: Sam2, **options: Any) -> Session:  # noqa: ANN401 - the class's
        """Open images from a file or folder without reading them; options are those of the class.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file or it holds no images.
        """
        opened = io.open_image(path)
        session = cls(opened.array, model=model, **options)
        session.location = str(Path(path).resolve())
        session.geometry = io.label_geometry(opened, options.get("axis", 0))
        return session

    @property
    def labels(self) -> Any:  # noqa: ANN401 - numpy or zarr
        """The integer labels (frames, H, W), the very array that is written into."""
        return self._state.labels.array

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
    def frames_encoded(self) -> int:
        """How many times a frame went through the image encoder."""
        return self._tracker.features.encoded

    def entry(self, obj: int, frame: int) -> Entry | None:
        """Return what is known of an object on a frame: logits, score, presence, where it comes from."""
        return self._state.entry(check_key(obj, frame, self.volume.num_frames))

    def mask(self, obj: int, frame: int) -> NDArray[np.bool_]:
        """Return an object's own mask (H, W), before overlaps are decided."""
        return self._state.mask(check_key(obj, frame, self.volume.num_frames))

    def set_prompts(self, obj: int, frame: int, prompts: FramePrompts) -> FrameResult:
        """Say all that is said of an object on a frame, and get its mask there.

        Parameters
        ----------
        obj : int
            Id of the object, its label value.
        frame : int
            Index of the frame.
        prompts : FramePrompts
            Replaces what was said before; ``FramePrompts()`` takes it back. An all-False mask says that the
            object is not on the frame: nothing is tracked through it, and what was tracked beyond is erased.

        Returns
        -------
        FrameResult
            Of that object alone; without objects where prompts were taken back.

        Raises
        ------
        ValueError, TypeError
            If the id is none, the frame does not exist, a prompt lies outside it, or the frame is locked.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        prompts.check_frame(self.volume.frame_shape)
        with self._state.lock, self._state.grouped("Remove prompts" if prompts.is_empty else "Prompt"):
            edits.check_unlocked(self._state, key)
            if prompts.is_empty:
                return edits.take_back(self._state, key)
            base = edits.find_base(self._state, key) if prompts.mask is None else None
            return edits.confirm(self._state, key, PromptRecord(prompts, self._state.next_revision(), base))

    def paint(self, obj: int, frame: int, mask: ArrayLike) -> FrameResult:
        """Set an object's mask on a frame by hand: these very pixels, and a mask prompt for tracking.

        Parameters
        ----------
        obj, frame : int
            Whose mask, and where; points and box that were given there are dropped.
        mask : array of bool, (H, W)
            All False: the object is not on the frame.

        Raises
        ------
        ValueError, TypeError
            As `set_prompts`.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        prompts = FramePrompts(mask=mask)
        prompts.check_frame(self.volume.frame_shape)
        with self._state.lock, self._state.grouped("Paint"):
            edits.check_unlocked(self._state, key)
            record = PromptRecord(prompts, self._state.next_revision(), source="painted")
            return edits.confirm(self._state, key, record)

    def lock(self, obj: int, frame: int) -> None:
        """Confirm an object's mask on a frame: only `unlock` and `undo` change it, tracking conditions on it.

        Raises
        ------
        ValueError
            If nothing is known of the object there.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Lock"):
            edits.lock(self._state, key)

    def unlock(self, obj: int, frame: int) -> None:
        """Take back `lock`."""
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Unlock"):
            edits.unlock(self._state, key)

    def remove_object(self, obj: int) -> None:
        """Remove an object with its prompts; pixels that it took from others go back to them."""
        with self._state.lock, self._state.grouped("Remove object"):
            edits.remove(self._state, check_object_id(obj))

    def merge(self, obj: int, other: int) -> None:
        """Make two objects one: `obj` gets the masks of `other`, which is removed.

        On frames where both had a mask the union counts as painted.
        """
        with self._state.lock, self._state.grouped("Merge"):
            edits.merge(self._state, check_object_id(obj), check_object_id(other))

    def split(self, obj: int, frame: int, new: int | None = None) -> int:
        """Give an object's prompts and masks from a frame on to a new object.

        Parameters
        ----------
        obj, frame : int
            Which object, and the first frame that it gives away.
        new : int, optional
            Id of the new object; by default one above the highest.

        Returns
        -------
        int
            Id of the new object.

        Raises
        ------
        ValueError
            If `new` is there already.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Split"):
            return edits.split(self._state, key, None if new is None else check_object_id(new))

    def propagate(
        self,
        frames: range | None = None,
        objects: Sequence[int] | None = None,
        direction: Direction = "both",
    ) -> Iterator[FrameResult]:
        """Track objects and write their labels, frame by frame; stop at any time and keep what is done.

        Parameters
        ----------
        frames : range, optional
            Frames that may be computed; all by default.
        objects : sequence of int, optional
            Which objects; all by default.
        direction : {"both", "forward", "backward"}
            ``"both"`` goes outward from the outer confirmed frames and into the gaps between them from both
            sides, and computes only what is not up to date. The others go one way from the earliest (latest)
            prompted frame with all confirmed frames attended, as the reference does.

        Yields
        ------
        FrameResult
            One per direction and frame.

        Raises
        ------
        ValueError
            If there are no prompts, an object has none, or a range or direction is none.
        """
        return self._write(self.track(frames, objects, direction))

    def _write(self, steps: Iterator[FrameResult]) -> Iterator[FrameResult]:
        for result in steps:
            self.apply(result)
            yield result

    def track(
        self,
        frames: range | None = None,
        objects: Sequence[int] | None = None,
        direction: Direction = "both",
    ) -> Iterator[FrameResult]:
        """Track objects as `propagate` does and write nothing; `apply` writes a result."""
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}; got {direction!r}")
        limits = check_range(frames, self.volume.num_frames)
        with self._state.lock:
            chosen = check_objects(objects, self._tracker.objects)
            jobs = self._tracker.plan(chosen, direction, limits)
            if direction == "both":
                jobs = edits.what_is_left(self._state, jobs)
        steps = self._tracker.track(jobs)
        return edits.locked_steps(self._state, steps, run=self._state.next_revision())

    def apply(self, result: FrameResult) -> None:
        """Write a result of `track`; objects whose prompts have changed since are left as they are."""
        with self._state.lock, self._state.grouped("Propagate", result.run):
            edits.write_tracked(self._state, result)

    def grouped(self, label: str) -> AbstractContextManager[None]:
        """Make all that is done inside one step of undo, under this name."""
        return self._state.grouped(label)

    def undo(self) -> str | None:
        """Take back the last step and return its name; None if there is none."""
        return self._state.undo()

    def redo(self) -> str | None:
        """Do the step again that was taken back last, and return its name; None if there is none."""
        return self._state.redo()

    def export(self, path: str | Path, *, scale: Sequence[float] | None = None) -> None:
        """Write the labels to ``.tif``, ``.zarr`` (OME-Zarr) or a folder ``..._RES``; see `io.export_labels`.

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
        if self.location is not None and Path(path).resolve() == Path(self.location):
            raise ValueError(f"{path} holds the images: choose another name for the labels")
        io.export_labels(path, self.labels, scale=scale or self.geometry.scale, axes=self.geometry.axes)

    def save(self, path: str | Path) -> None:
        """Write ``NAME.sam2.json`` and beside it ``NAME.sam2.zarr``, whole or not at all."""
        with self._state.lock:
            write_session(
                path,
                self._state,
                model=self.model,
                volume=self.volume,
                cleanup=self.cleanup,
                location=self.location,
                geometry=self.geometry,
            )

    @classmethod
    def load(
        cls,
        path: str | Path,
        data: Any = None,  # noqa: ANN401 - numpy, dask, zarr
        model: Sam2 | None = None,
        *,
        recompute: bool = False,
    ) -> Session:
        """Open a saved session.

        Parameters
        ----------
        path : str or Path
            What `save` wrote.
        data : array, optional
            The images; by default those at the stored location. They are checked against the stored checksum.
        model : Sam2, optional
            By default the one that the session names.
        recompute : bool
            Track everything again instead of taking the stored masks; the labels are the same.

        Raises
        ------
        ValueError
            If it is no session file of this version, or the images are others.
        """
        saved = read_session(path)
        session = cls(saved.open_volume(data), model=saved.open_model(model), cleanup=saved.cleanup)
        session.location, session.geometry = saved.location, saved.geometry
        saved.restore(session._state, recompute=recompute)
        return session
