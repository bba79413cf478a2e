"""A session: volume, network, prompts, labels and history; the one object that scripts and the plugin use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from napari_sam2 import io
from napari_sam2._session import edits
from napari_sam2._session.checks import check_key
from napari_sam2._session.saved import reading_steps
from napari_sam2._session.saving import SessionSaving
from napari_sam2._session.state import PromptRecord, SessionState
from napari_sam2.cleanup import Cleanup
from napari_sam2.keeping import Keeping
from napari_sam2.labels import LabelVolume
from napari_sam2.prompts import FramePrompts, MaskLike
from napari_sam2.selection import SelectionRules
from napari_sam2.steps import result_of
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume
from napari_sam2.window import View, WindowRules

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction
    from napari_sam2.volume import Channel


class Session(SessionSaving):
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
    channel : int, "rgb" or "grey", optional
        Which channel, or that the last axis is colour, or that none is.
    contrast : (float, float), optional
        Values shown as black and white.
    view : {"auto", "frame", "window"} or WindowRules
        What the network looks at: the whole frame, or a window that follows each object; ``"auto"`` takes a
        window where it shows the object larger than the frame would. `WindowRules` have more options.
    memory : str or SelectionRules, optional
        Which tracked frames are remembered: ``"plain"``, the last ones, or some of
        ``"quality,motion,anchors"``, against look-alikes, and of ``"blinks"``, against bad frames. By default
        ``"blinks"`` for small networks such as `nano`, ``"plain"`` for released ones.
    labels : array (frames, H, W), optional
        Integers, numpy or zarr, to write into; by default in memory, or in a temporary file where that is too
        small.
    cleanup : Cleanup, optional
        What is mended in masks before they are written; nothing by default.
    feature_folder : str or Path, optional
        A folder in which image features are kept: another pass or correction, the session opened again, and
        other sessions of the same images and network read them instead of computing them.
    feature_bytes : int
        Bytes that this folder may take; what was used longest ago goes first.

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
    made_of : tuple of mapping
        Where the images are no array of a file but put together: a note, fit for JSON, of what and how. It is
        stored for whoever opens the session again.

    Raises
    ------
    TypeError, ValueError
        If the data are no images or an option does not fit them.

    Notes
    -----
    Methods may be called from any thread; network work is done by one at a time.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, most have a good default
        self,
        data: Any,  # noqa: ANN401 - numpy, dask, zarr or Volume
        *,
        model: Sam2,
        axis: int = 0,
        index: Mapping[int, int] | None = None,
        channel: Channel = None,
        contrast: Sequence[float] | None = None,
        view: View | WindowRules = "auto",
        memory: str | SelectionRules | None = None,
        labels: Any = None,  # noqa: ANN401 - numpy or zarr
        cleanup: Cleanup | None = None,
        feature_folder: str | Path | None = None,
        feature_bytes: int = Keeping.feature_bytes,
    ) -> None:
        windows = view if isinstance(view, WindowRules) else WindowRules(view)
        if isinstance(data, Volume):
            self.volume = data
        else:
            self.volume = Volume(data, axis=axis, index=index, channel=channel, contrast=contrast)
        self.model = model
        self.location: str | None = None
        self.made_of: tuple[Mapping[str, Any], ...] = ()
        self.geometry = io.LabelGeometry()
        self.cleanup = cleanup or Cleanup()
        apply = None if self.cleanup.is_idle else self.cleanup.apply
        keeping = Keeping(feature_folder=feature_folder, feature_bytes=feature_bytes).beside(labels)
        shape = self.volume.shape
        written = LabelVolume(shape, labels, cleanup=apply, budget=keeping.answers)
        selection = SelectionRules.parse(memory) if isinstance(memory, str) else memory
        self._tracker = Tracker(
            model, self.volume, shape, windows=windows, keeping=keeping, selection=selection
        )
        self._state = SessionState(written, self._tracker)
        self._journal = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        model: Sam2,
        series: int = 0,
        level: int = 0,
        labels: Any = None,  # noqa: ANN401 - numpy, zarr or a path
        dtype: npt.DTypeLike = "uint16",
        **options: Any,  # noqa: ANN401 - the class's
    ) -> Self:
        """Open images from a file or folder without reading them.

        Parameters
        ----------
        path, model
            What `io.open_image` opens, and a network from `load_model`.
        series, level : int
            Which image of a file that has several, and its resolution; level 0 is the finest.
        labels : array, str or Path, optional
            As the class has it, or where an OME-Zarr label image shall be made that labels are streamed to.
        dtype : dtype
            Of a label image that is made; uint32 holds ids above 65,535.
        **options
            Those of the class. Without `axis`, frames lie along the axis that the file calls t, else z, where
            it has more than one position there; along the first one if the file says nothing. Without
            `channel`, a last axis of 3 or 4 that the file calls colour is one; channels of a single picture
            are no frames.

        Raises
        ------
        FileNotFoundError, ValueError, FileExistsError
            If there is no such file, it holds no images, or the label image is there already.
        """
        opened = io.open_image(path, series=series, level=level)
        of_images = ("axis", "index", "channel", "contrast") & options.keys()
        chosen = io.told_options(opened, {name: options.pop(name) for name in of_images})
        geometry = io.label_geometry(opened, chosen["axis"])
        view = options.pop("view", "auto")
        if geometry.scale is not None and not isinstance(view, WindowRules):
            view = WindowRules(view, aspect=geometry.scale[-2] / geometry.scale[-1])
        volume = Volume(opened.array, **chosen)
        if isinstance(labels, (str, Path)):
            labels = io.create_labels(
                Path(labels), volume.shape, axes=geometry.axes, scale=geometry.scale, dtype=dtype
            )
        session = cls(volume, model=model, view=view, labels=labels, **options)
        session.location, session.geometry = str(Path(path).resolve()), geometry
        return session

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
            If the id is none, the frame does not exist, a prompt lies outside it, or the object is locked
            there, begins later or ends before.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        prompts.check_frame(self.volume.frame_shape)
        with self._state.lock, self._state.grouped("Remove prompts" if prompts.is_empty else "Prompt"):
            edits.check_open(self._state, key)
            if prompts.is_empty:
                return edits.take_back(self._state, key)
            base = result_of(edits.base_of(self._state, key, prompts))
            return edits.confirm(self._state, key, PromptRecord(prompts, self._state.next_revision(), base))

    def paint(self, obj: int, frame: int, mask: MaskLike) -> FrameResult:
        """Set an object's mask on a frame by hand: these very pixels, and a mask prompt for tracking.

        Parameters
        ----------
        obj, frame : int
            Whose mask, and where; points and box that were given there are dropped.
        mask : array of bool, (H, W), or PackedMask
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
            edits.check_open(self._state, key)
            record = PromptRecord(prompts, self._state.next_revision(), source="painted")
            return edits.confirm(self._state, key, record)

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

    @overload
    def track(
        self,
        frames: range | None = ...,
        objects: Sequence[int] | None = ...,
        direction: Direction = ...,
        *,
        stale: bool = ...,
        beats: Literal[False] = ...,
    ) -> Iterator[FrameResult]: ...

    @overload
    def track(
        self,
        frames: range | None = ...,
        objects: Sequence[int] | None = ...,
        direction: Direction = ...,
        *,
        stale: bool = ...,
        beats: bool,
    ) -> Iterator[FrameResult | None]: ...

    def track(
        self,
        frames: range | None = None,
        objects: Sequence[int] | None = None,
        direction: Direction = "both",
        *,
        stale: bool = False,
        beats: bool = False,
    ) -> Iterator[FrameResult] | Iterator[FrameResult | None]:
        """Track objects as `propagate` does, but write nothing: `apply` writes a result.

        Parameters
        ----------
        frames, objects, direction
            As in `propagate`.
        stale : bool
            Leave out what is up to date in one direction too; with ``"both"`` it is always left out.
        beats : bool
            Yield None after every encode and every group of objects, so that a frame of many objects keeps
            nobody waiting. Prompts may be given at any of these points, as they may between two frames.

        Yields
        ------
        FrameResult, or None with `beats`
            As `propagate` does.

        Raises
        ------
        ValueError, TypeError
            As `propagate` does, when this is called and not when the first result is asked for.
        """
        jobs = self.jobs_ahead(frames, objects, direction, stale=stale)
        run = self._state.next_revision()
        steps = edits.locked_steps(self._state, self._tracker.track_in_beats(jobs), run=run)
        return steps if beats else (step for step in steps if step is not None)

    def apply(self, result: FrameResult) -> None:
        """Write a result of `track` into the labels.

        Parameters
        ----------
        result : FrameResult
            Of this session. Objects whose prompts have changed since it was computed are left as they are.
        """
        with self._state.lock, self._state.grouped("Propagate", result.run):
            edits.write_tracked(self._state, result)

    @classmethod
    def load(
        cls,
        path: str | Path,
        data: Any = None,  # noqa: ANN401 - numpy, dask, zarr
        model: Sam2 | None = None,
        *,
        recompute: bool = False,
        **options: Any,  # noqa: ANN401 - the class's
    ) -> Session:
        """Open a saved session.

        Parameters
        ----------
        path : str or Path
            What `save` wrote, or the folder of `autosave`.
        data : array or callable, optional
            The images, or what makes them, called with `made_of`; by default those at the stored location.
            They are checked against the stored checksum.
        model : Sam2, optional
            By default the one that the session names.
        recompute : bool
            Track everything again instead of taking the stored masks; the labels are the same.
        **options
            `labels`, `feature_folder` and `feature_bytes` of the class.

        Raises
        ------
        ValueError
            If it is no session file of this version, or the images are others.
        """
        return result_of(cls.load_steps(path, data, model, recompute=recompute, **options))

    @classmethod
    def load_steps(
        cls,
        path: str | Path,
        data: Any = None,  # noqa: ANN401 - as `load`
        model: Sam2 | None = None,
        *,
        recompute: bool = False,
        **options: Any,  # noqa: ANN401 - the class's
    ) -> Generator[None, None, Session]:
        """Do what `load` does, some masks at a time, and return the session at the end."""
        saved = yield from reading_steps(path)
        volume = saved.open_volume(data)
        yield
        chosen = saved.open_model(model)
        session = cls(volume, model=chosen, **saved.options, **options)
        session.location, session.geometry = saved.location, saved.geometry
        session.made_of = saved.made_of
        yield from saved.restore_steps(session._state, recompute=recompute)
        return session
