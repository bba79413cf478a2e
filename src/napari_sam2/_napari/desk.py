"""What runs on the inference thread: one session, and answers that are fit for the GUI thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.replay import replay, say
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.summary import Cells, SessionSummary
from napari_sam2.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.autosave import Autosave, Recovery
    from napari_sam2._napari.image_source import View
    from napari_sam2._napari.strokes import Stroke
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction
    from napari_sam2.prompts import FramePrompts, PromptKey
    from napari_sam2.session import Session

REBUILT = "Use current view"
# Masks are shown before the click where that takes no longer, in seconds.
PREVIEW_LIMIT = 0.05
_FIRST_REACH = 4
# While frames are tracked, a picture is made so often at most, in seconds.
_PICTURE_EVERY = 0.1


def _no_summary() -> SessionSummary:
    return SessionSummary((), Cells.empty(0, 0))


@dataclass(frozen=True, eq=False)
class Picture:
    """What the GUI thread knows of a session.

    Attributes
    ----------
    objects : tuple of int
        Ids, in order.
    prompts : mapping of PromptKey to FramePrompts
        All prompts, painted masks among them.
    undo_label, redo_label : str
        What would be undone and redone; empty if nothing.
    summary : SessionSummary
        All objects on all frames.
    axes : str
        What files call the axes, "zyx" or "tyx".
    """

    objects: tuple[int, ...] = ()
    prompts: Mapping[PromptKey, FramePrompts] = field(default_factory=dict)
    undo_label: str = ""
    redo_label: str = ""
    summary: SessionSummary = field(default_factory=_no_summary)
    axes: str = ""


@dataclass(frozen=True, eq=False)
class Opening:
    """How a session is opened.

    Attributes
    ----------
    view : View
        What the network sees.
    axis : int
        Data axis of the frames.
    index : mapping of int to int
        Positions along the other axes, less a channel that is part of the view.
    axes : str
        "zyx" or "tyx".
    scale : (float, float, float)
        Size of a step along frames, rows and columns.
    location : str or None
        The file of the image.
    cache_bytes : int
        How much memory image features may take.
    """

    view: View
    axis: int = 0
    index: Mapping[int, int] = field(default_factory=dict)
    axes: str = "zyx"
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    location: str | None = None
    cache_bytes: int = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a piece of work.

    Attributes
    ----------
    changes : tuple of LabelChange
        Labels that were written.
    picture : Picture or None
        The session after it; None if one was made a moment ago.
    result : FrameResult or None
        The answer to a prompt, or the frame that was tracked.
    value : object
        Whatever else was returned.
    """

    changes: tuple[LabelChange, ...] = ()
    picture: Picture | None = None
    result: FrameResult | None = None
    value: object = None


class Desk:
    """A session on the inference thread; every method is called there and nowhere else.

    Attributes
    ----------
    session : Session or None
        None until `open` has run.
    image : str
        A checksum of the image, the same at all positions along other axes.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self._pictured = 0.0
        self._kept: Session | None = None
        self._slowness = 0.0
        self._place: Mapping[int, int] = {}
        self.image = ""

    def open(self, opening: Opening, model: Sam2) -> Answer:
        """Open a session, in place of the one that is open."""
        self.session = session = self._opened(opening, model)
        self.image = _checksum_at_first(session.volume, opening.index)
        return self.answer()

    def _opened(self, opening: Opening, model: Sam2) -> Session:
        from napari_sam2.io import LabelGeometry
        from napari_sam2.session import Session
        from napari_sam2.window import WindowRules

        view, scale, self._place = opening.view, opening.scale, opening.index
        session = Session(
            view.data,
            model=model,
            axis=opening.axis,
            index={**view.index, **opening.index},
            channel=view.channel,
            contrast=view.contrast,
            view=WindowRules("auto", aspect=scale[1] / scale[2]),
        )
        session.geometry = LabelGeometry(opening.axes, scale)
        session.location = opening.location
        session.cache_bytes = opening.cache_bytes
        return session

    def load(self, path: str, data: object, model: Sam2) -> Answer:
        """Read a saved session of these images, in place of the one that is open.

        Returns
        -------
        Answer
            Its value is the contrast that the network sees.
        """
        from napari_sam2.session import Session

        before, loaded = self.opened, Session.load(path, data, model)
        if loaded.volume.shape != before.volume.shape:
            raise ValueError(
                f"the saved session has frames {loaded.volume.shape}, the image {before.volume.shape}: "
                "choose the axis and the image that it was made with"
            )
        self._check_place(loaded)
        return replace(self._replace(loaded), value=loaded.volume.contrast)

    def _check_place(self, loaded: Session) -> None:
        """Make sure that a session lies where this one does along the other axes."""
        stored = loaded.volume.options()["index"]
        for axis, position in self._place.items():
            at = stored.get(str(axis), position)
            if at != position:
                raise ValueError(
                    f"the saved session is of position {at} along axis {axis}, the slider is at {position}: "
                    "move it there and load again"
                )

    def recover(self, autosave: Autosave, recovery: Recovery, data: object, model: Sam2) -> Answer:
        """Bring back what was saved by itself before a crash; nothing is computed."""
        answer = self.load(str(recovery.folder), data, model)
        autosave.take_over(recovery, self.opened)
        return answer

    def rebuild(self, opening: Opening, model: Sam2) -> Answer:
        """Open the session anew with another view or model, and answer all its prompts again, undoably."""
        before, after = self.opened, self._opened(opening, model)
        replay(before, after, REBUILT)
        self._kept = before
        return self._replace(after)

    def _replace(self, session: Session) -> Answer:
        """Take another session, and tell of all frames on which one of the two has labels."""
        before, self.session = self.opened, session
        session.take_changes()
        frames = [
            frame
            for frame in range(session.volume.num_frames)
            if np.any(before.labels[frame]) or np.any(session.labels[frame])
        ]
        return Answer(tuple(self._whole(frame) for frame in frames), self._picture())

    def undo(self) -> Answer:
        """Take back the last step, of which opening the session anew may be one."""
        if self.opened.undo_label == REBUILT and self._kept is not None:
            kept, self._kept = self._kept, None
            kept.geometry = self.opened.geometry
            return replace(self._replace(kept), value=REBUILT)
        return self.answer(value=self.opened.undo())

    def undo_prompt(self) -> Answer:
        """Take back what spread by itself, and the prompt that it spread from."""
        while self.opened.undo_label == "Propagate":
            self.opened.undo()
        return self.undo()

    def redo(self) -> Answer:
        """Do the step again that was taken back last."""
        return self.answer(value=self.opened.redo())

    @property
    def opened(self) -> Session:
        """The session; RuntimeError if none could be opened."""
        if self.session is None:
            raise RuntimeError("The image is not open: choose an image layer and a model that can be loaded.")
        return self.session

    def answer(self, result: FrameResult | None = None, value: object = None) -> Answer:
        """Tell of what has been written, with a new picture."""
        return Answer(self.opened.take_changes(), self._picture(), result, value)

    def _picture(self) -> Picture:
        session = self.opened
        self._pictured = time.perf_counter()
        return Picture(
            objects=session.objects,
            prompts=session.prompts,
            undo_label=session.undo_label or "",
            redo_label=session.redo_label or "",
            summary=session.summary(),
            axes=session.geometry.axes,
        )

    def declare(self, key: PromptKey, prompts: FramePrompts) -> Answer:
        """Say what the prompt layers say of an object on a frame; a mask alone is taken pixel by pixel."""
        session, began = self.opened, time.perf_counter()
        is_ready = session.is_ready(key.frame)
        verb = "Remove prompts" if prompts.is_empty else "Prompt"
        with session.grouped(f"{verb} (object {key.obj}, frame {key.frame})"):
            result = say(session, key, prompts)
        if is_ready and len(prompts.points) == 1:
            self._note_pace(began)
        return self.answer(result)

    def seed(self, key: PromptKey, prompts: FramePrompts, run: Hashable) -> Answer:
        """Say one of many things; those of a run that come one after the other are one step of undo."""
        with self.opened.grouped("Seed", run):
            say(self.opened, key, prompts)
        return Answer(self.opened.take_changes(), self._picture() if self._is_due else None)

    @property
    def _is_due(self) -> bool:
        """Whether the last picture is old enough for another one while much goes on."""
        return time.perf_counter() - self._pictured > _PICTURE_EVERY

    def paint(self, strokes: Sequence[Stroke]) -> Answer:
        """Take what was painted as masks, all in one step of undo, and put back what is locked.

        Returns
        -------
        Answer
            Its value is the tuple of objects that are locked and stayed as they were.
        """
        session = self.opened
        refused = {stroke.obj for stroke in strokes if self._is_locked(stroke.obj, stroke.frame)}
        with session.grouped(_painting(strokes)):
            for stroke in strokes:
                if stroke.obj not in refused and self._is_told(stroke):
                    session.paint(stroke.obj, stroke.frame, stroke.mask)
        session.take_changes()
        frames = sorted({stroke.frame for stroke in strokes})
        changes = tuple(self._whole(frame) for frame in frames)
        return Answer(changes, self._picture(), value=tuple(sorted(refused)))

    def _is_locked(self, obj: int, frame: int) -> bool:
        entry = self.opened.entry(obj, frame)
        return obj in self.opened.locked_objects or (entry is not None and entry.locked)

    def _is_told(self, stroke: Stroke) -> bool:
        """Whether a mask has to be set: one that only lost pixels to others was painted by hand before."""
        entry = self.opened.entry(stroke.obj, stroke.frame)
        return not stroke.overpainted or (entry is not None and entry.provenance == "painted")

    def _whole(self, frame: int) -> LabelChange:
        """Return the labels of a whole frame: a stroke may have gone anywhere."""
        values = np.array(self.opened.labels[frame])
        return LabelChange(frame, Box(0, 0, *values.shape), values)

    def edit(self, call: Callable[[Session], object]) -> Answer:
        """Do anything else to the session."""
        value = call(self.opened)
        return self.answer(value=value)

    def prepare(self, frame: int) -> Answer:
        """Compute the image features of a frame ahead."""
        if self.session is not None and not self.session.is_ready(frame):
            self.session.prepare(frame)
        return Answer()

    def preview(self, obj: int, frame: int, prompts: FramePrompts) -> Answer:
        """Answer without changing anything; without a result where that would take too long to be of use."""
        session = self.session
        if session is None or not session.is_ready(frame) or self._slowness > PREVIEW_LIMIT:
            return Answer()
        if self._is_locked(obj, frame):
            return Answer()
        began = time.perf_counter()
        result = session.preview(obj, frame, prompts)
        self._note_pace(began)
        return Answer(result=result)

    def _note_pace(self, began: float) -> None:
        """Note how long a decode took; the usual time counts, not a single hiccup."""
        self._slowness = 0.5 * (self._slowness + time.perf_counter() - began)

    def steps(
        self, frames: range | None, objects: Sequence[int] | None, direction: Direction
    ) -> Iterator[Answer | None]:
        """Propagate in steps no longer than one encode or one group of objects.

        Yields
        ------
        Answer or None
            None where a frame is not done yet.
        """
        yield from self._tracked(frames, objects, direction, None)
        yield self.answer()

    def spread(self, key: PromptKey) -> Iterator[Answer | None]:
        """Propagate outward from a prompt, then what else is out of date; all of it is one step of undo.

        Yields
        ------
        Answer or None
            As `steps`.
        """
        count, run = self.opened.volume.num_frames, None
        reach = _FIRST_REACH
        while reach < 4 * count:
            near = range(max(key.frame - reach, 0), min(key.frame + reach + 1, count))
            run = yield from self._tracked(near, (key.obj,), "both", run)
            reach *= 4
        yield from self._tracked(None, None, "both", run)
        yield self.answer()

    def _tracked(
        self, frames: range | None, objects: Sequence[int] | None, direction: Direction, run: int | None
    ) -> Generator[Answer | None, None, int | None]:
        """Track and write; return the number under which it is undone."""
        session = self.opened
        for result in session.track(frames, objects, direction, beats=True):
            if result is None:
                yield None
                continue
            run = result.run if run is None else run
            session.apply(replace(result, run=run))
            yield Answer(session.take_changes(), self._picture() if self._is_due else None, result)
        return run


def _checksum_at_first(volume: Volume, others: Mapping[int, int]) -> str:
    """Return the checksum of what lies at the first positions along other axes."""
    options = volume.options()
    first = {str(axis): 0 for axis in others}
    return Volume.from_options(volume.data, {**options, "index": {**options["index"], **first}}).checksum()


def _painting(strokes: Sequence[Stroke]) -> str:
    """Name what was painted, for undo."""
    objects = {stroke.obj for stroke in strokes}
    frames = {stroke.frame for stroke in strokes}
    what = f"object {objects.pop()}" if len(objects) == 1 else f"{len(objects)} objects"
    return f"Paint ({what}, " + (f"frame {frames.pop()})" if len(frames) == 1 else f"{len(frames)} frames)")
