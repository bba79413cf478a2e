"""What runs on the inference thread: one session, and answers that are fit for the GUI thread."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from napari_sam2._napari.work.answer_times import AnswerTimes
from napari_sam2._napari.work.answers import Answer, Picture, Replaced
from napari_sam2._napari.work.differences import Untold
from napari_sam2._napari.work.last_said import LastSaid, say
from napari_sam2._napari.work.opening import NotOpenError, check_frames, open_session
from napari_sam2._napari.work.painting import Refusal, take_strokes
from napari_sam2._napari.work.propagation import propagate, spread
from napari_sam2._napari.work.versions import Renewal, Version, Versions
from napari_sam2._session.state import WRITING_SECONDS
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.network_view import View
    from napari_sam2._napari.layers.strokes import Stroke
    from napari_sam2._napari.work.opening import Opening
    from napari_sam2._napari.work.painting import Together
    from napari_sam2._napari.work.propagation import Scope
    from napari_sam2._napari.work.versions import ViewStep
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.positions import Positions
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.session import Session

# While frames are tracked, a picture is made so often at most, in seconds.
_PICTURE_EVERY = 0.1


class Desk:
    """A session on the inference thread; every method is called there and nowhere else.

    Attributes
    ----------
    image : str
        A checksum of the image, the same at all positions along other axes.
    frame : int
        The frame that is shown, which is written first; the GUI thread sets it.
    """

    def __init__(self) -> None:
        self._versions: Versions | None = None
        self._renewal: Renewal | None = None
        self._cache_bytes = 0
        self._pictured = 0.0
        self._answer_times = AnswerTimes()
        self.said = LastSaid()
        self._untold = Untold()
        self.image = ""
        self.frame = 0

    @property
    def session(self) -> Session | None:
        """The session; None until `open` has run."""
        return None if self._versions is None else self._versions.open.session

    @property
    def opened(self) -> Session:
        """The session; NotOpenError if none could be opened."""
        return self._known.open.session

    @property
    def _known(self) -> Versions:
        if self._versions is None:
            raise NotOpenError
        return self._versions

    @property
    def others(self) -> tuple[Session, ...]:
        """Sessions that undo or redo would bring back."""
        return () if self._versions is None else tuple(each.session for each in self._versions.others)

    def open(self, opening: Opening, model: Sam2) -> Answer:
        """Open a session, in place of the one that is open; the answer's value says what cannot be read."""
        session, rest = open_session(opening, model), self.close().changes
        self._versions, self._cache_bytes = Versions(Version(session, opening)), opening.cache_bytes
        found = opening.view.at_first(opening.axis, opening.index).identity()
        self.image = found.checksum
        answer = self.answer(value=found.problem)
        return replace(answer, changes=(*rest, *answer.changes), replaced=self._replaced())

    def close(self) -> Answer:
        """Give the session up, of which nothing was said; what took its objects away is told whole."""
        rest = () if self.session is None else self._untold.take(self.session, self.frame, inf)
        self._versions = None
        return Answer(rest, behind=frozenset())

    def keep_features(self, cache_bytes: int) -> Answer:
        """Keep so many bytes of image features from now on, of whichever session is open."""
        self._cache_bytes = cache_bytes
        if self.session is not None:
            self.session.cache_bytes = cache_bytes
        return Answer()

    def describe(self, **known: Any) -> Answer:  # noqa: ANN401 - of `LabelGeometry`
        """Tell axes or scale for files; a session that is opened later is told when it is."""
        new = None if self._renewal is None else self._renewal.session
        for session in (self.session, new, *self.others):
            if session is not None:
                session.geometry = replace(session.geometry, **known)
        return Answer()

    def read(self, path: str, images: Mapping[str, Any], model: Sam2) -> Generator[None, None, Version]:
        """Read a saved session of these images, for `put`; the one that is open stays.

        `images` are all that a composite may be made of, by name.
        """
        from napari_sam2.session import Session

        opening, before = self._known.open.opening, self.opened
        loaded = yield from Session.load_steps(path, partial(opening.view.again, images=images), model)
        check_frames(loaded, before)
        # Pixels are as large as the layer says now; what the frames are called is kept.
        loaded.geometry = replace(loaded.geometry, scale=before.geometry.scale)
        return Version(loaded, replace(opening, view=opening.view.of(loaded.volume)))

    def blank(self, view: View) -> Version:
        """Open a session of which nothing was said, for `put`; the one that is open stays."""
        opening = replace(self._known.open.opening, view=view)
        session = open_session(opening, self.opened.model)
        session.geometry = self.opened.geometry
        return Version(session, opening)

    def put(self, version: Version) -> Answer:
        """Put a session in place of the one that is open, and of all that undo would bring back."""
        before = self.opened
        self._versions = Versions(version)
        return self._replace(before)

    def renew(self, opening: Opening, model: Sam2) -> Answer:
        """Begin to open the session anew, beside the one that is open; `say_again` goes on with it."""
        session = open_session(opening, model)
        session.geometry = self.opened.geometry  # what was told since it was asked for
        self._renewal = Renewal(session, opening, session.say_again(self.opened))
        return Answer()

    def say_again(self) -> Generator[None, None, Answer]:
        """Answer one more prompt in the session that is opened anew; nothing is shown of it yet.

        Returns
        -------
        Answer
            Its value is whether there was one.
        """
        steps = None if self._renewal is None else self._renewal.steps
        said = None if steps is None else (yield from steps.in_steps())
        return Answer(value=said is not None)  # clicks may still come

    def take_new(self, step: ViewStep) -> Answer:
        """Take the session that was opened anew, as a step of undo; what was said meanwhile is said too."""
        renewal, self._renewal = self._renewal, None
        if renewal is None:
            return self.answer()
        before, began = self.opened, time.perf_counter()
        for _ in renewal.steps:
            pass
        self._known.add(renewal.session, renewal.opening, step)
        return self._replace(before, step, spent=time.perf_counter() - began)

    def drop_new(self, step: ViewStep) -> Answer:
        """Give up the session that is opened anew, also if it was taken a moment ago."""
        self._renewal = None
        before = self.opened
        if self._known.back is not step:
            return self.answer()
        self._known.drop()
        return self._replace(before, step)

    def _replace(self, before: Session, step: ViewStep | None = None, *, spent: float = 0) -> Answer:
        """Tell of all that the session in place of the one before shows otherwise."""
        self.opened.cache_bytes = self._cache_bytes
        self._untold.replace(before, self.opened)
        answer = self.answer(value="" if step is None else step.label, spent=spent)
        return replace(answer, replaced=self._replaced(step))

    def _replaced(self, step: ViewStep | None = None) -> Replaced:
        version = self._known.open
        return Replaced(version.opening.view, version.session.model, step)

    def undo(self) -> Answer:
        """Take back the last step, of which opening the session anew may be one."""
        before = self.opened
        self.said.forget()
        step = self._known.step_back()
        return self.edit(lambda session: session.undo()) if step is None else self._replace(before, step)

    def undo_step(self, step: ViewStep) -> Answer:
        """Take back a step to another view or network, if it is the last one here."""
        before = self.opened
        is_next = self._known.back is step and self._known.step_back()
        return self._replace(before, step) if is_next else self.answer()

    def redo_step(self, step: ViewStep) -> Answer:
        """Take a step to another view or network again, if it is the next one here."""
        before = self.opened
        is_next = self._known.forth is step and self._known.step_forth()
        return self._replace(before, step) if is_next else self.answer()

    def redo(self) -> Answer:
        """Do the step again that was taken back last."""
        before = self.opened
        step = self._known.step_forth()
        return self.edit(lambda session: session.redo()) if step is None else self._replace(before, step)

    def answer(
        self, result: FrameResult | None = None, value: object = None, *, drawn: bool = True, spent: float = 0
    ) -> Answer:
        """Tell of what is written in the rest of a turn, with a new picture; `write_on` tells all else."""
        changes = self._untold.take(self.opened, self.frame, WRITING_SECONDS - spent)
        behind = self._untold.frames(self.opened)
        picture = self._picture() if drawn or self._is_due or not behind else None
        return Answer(changes, picture, result, value, behind=behind)

    def write_on(self) -> Answer:
        """Write and tell more of what the last answer has left."""
        return Answer(behind=frozenset()) if self.session is None else self.answer(drawn=False)

    def _picture(self) -> Picture:
        session, known = self.opened, self._known
        if not self.said.may_be_taken_back(session):
            known.prune()
        self._pictured = time.perf_counter()
        return Picture(
            objects=session.objects,
            prompts=session.prompts,
            undo_label=known.undo_label,
            redo_label=known.redo_label,
            summary=session.summary_so_far(),
            axes=session.geometry.axes,
            filled=session.volume.filled,
        )

    def take_back(self, key: PromptKey, prompts: FramePrompts) -> Answer | None:
        """Take back a click that was not meant, as if it had never been; None if that cannot be done.

        It can if nothing else was done since, and `prompts` are what was said there before.
        """
        with self.opened.postponed():
            return self.answer() if self.said.take_back(self.opened, key, prompts) else None

    def declare(
        self, key: PromptKey, prompts: FramePrompts, together: Together | None = None
    ) -> Generator[None, None, Answer]:
        """Say what the prompt layers say of an object on a frame; a mask alone is taken pixel by pixel.

        What is said together of several is one step of undo.
        """
        session = self.opened
        if not prompts.is_empty:
            yield from self._answer_times.answer_steps(session, key, prompts)
        verb = "Remove prompts" if prompts.is_empty else "Prompt"
        where = f"{together.places} places" if together else f"object {key.obj}, frame {key.frame}"
        with self.said.prompted(session, key, f"{verb} ({where})", together):
            result = say(session, key, prompts)
        return self.answer(result)

    def seed(
        self, key: PromptKey, prompts: FramePrompts, run: Hashable, name: str = ""
    ) -> Generator[None, None, Answer]:
        """Say one of many things; those of a run that come one after the other are one step of undo.

        An object without a name gets this one.
        """
        yield from self.opened.preview_steps(key.obj, key.frame, prompts)
        with self.opened.grouped("Seed", run):
            say(self.opened, key, prompts)
            if name and key.obj not in self.opened.names:
                self.opened.rename(key.obj, name)
        return Answer(self.opened.take_changes(), self.due_picture())

    def due_picture(self) -> Picture | None:
        """Return a picture if the last one is old."""
        return self._picture() if self._is_due else None

    @property
    def _is_due(self) -> bool:
        """Whether the last picture is old enough for another one while much goes on."""
        return time.perf_counter() - self._pictured > _PICTURE_EVERY

    def paint(self, strokes: Sequence[Stroke], label: str, run: Hashable) -> tuple[Refusal, ...]:
        """Take what was painted as masks; a run is one step of undo. `repaint` tells what came of it."""
        if self.session is None:
            return tuple(Refusal(stroke.obj, NotOpenError()) for stroke in strokes)
        with self.said.noted(self.session, run):
            return take_strokes(self.session, strokes, label, run)

    def repaint(self, frame: int, *, last: bool) -> Answer:
        """Tell of a whole frame that was painted on; a picture is made now and then, and with the last one.

        Elsewhere is erased what cannot be tracked any more, where an object was painted away.
        """
        elsewhere = [change for change in self.opened.take_changes() if change.frame != frame]
        picture = self._picture() if last or self._is_due else None
        values = self.opened.pixels(frame)  # whole: a stroke may have gone anywhere
        return Answer((*elsewhere, LabelChange(frame, Box(0, 0, *values.shape), values)), picture)

    def edit(self, call: Callable[[Session], object]) -> Answer:
        """Do anything else to the session."""
        began = time.perf_counter()
        with self.opened.postponed():
            return self.answer(value=call(self.opened), spent=time.perf_counter() - began)

    def edit_in_steps(self, steps: Callable[[Session], Iterator[None]]) -> Generator[None, None, Answer]:
        """Do something to the session a step at a time."""
        session, began = self.opened, time.perf_counter()
        for _ in session.postponing(steps(session)):
            yield
            began = time.perf_counter()
        return self.answer(spent=time.perf_counter() - began)

    def tracks(self, whole: Callable[[], Positions] | None = None) -> Generator[None, None, Answer]:
        """Find the paths of the objects, here or at all positions, when all of the labels is written."""
        yield from self.opened.settle_steps()
        yield
        paths = (self.opened if whole is None else whole()).tracks()
        yield
        return self.answer(value=paths)

    def prepare(self, frame: int, place: tuple[float, float] | None = None) -> Answer:
        """Compute the image features at a place of a frame ahead, and tell whether they were lacking."""
        if self.session is None or self.session.is_ready(frame, place):
            return Answer()
        self.session.prepare(frame, place)
        return Answer(value=True)

    def preview(self, obj: int, frame: int, prompts: FramePrompts) -> Generator[None, None, Answer]:
        """Answer without changing anything; without a result where that would take too long to be of use."""
        session = self.session
        if session is not None and session.is_ready(frame, prompts.place) and self._answer_times.are_short:
            return (yield from self._previewed(PromptKey(obj, frame), prompts))
        return Answer()

    def candidates(self, key: PromptKey, *, asked: bool) -> Generator[None, None, Answer]:
        """Answer a click once more, for the masks that it may mean; where it is quick, unless asked for."""
        session = self.session
        prompts = None if session is None else session.prompts.get(key)
        if session is None or prompts is None or not (asked or session.is_ready(key.frame, prompts.place)):
            return Answer()
        return (yield from self._previewed(key, prompts))

    def _previewed(self, key: PromptKey, prompts: FramePrompts) -> Generator[None, None, Answer]:
        session = self.opened
        if not session.is_open(key.obj, key.frame):
            return Answer()
        result = yield from self._answer_times.answer_steps(session, key, prompts)
        is_its = self.session is session and session.is_open(key.obj, key.frame)  # things went between
        return Answer(result=result) if is_its else Answer()

    def steps(self, scope: Scope) -> Iterator[Answer | None]:
        """Propagate, and what is said meanwhile; see `propagation.propagate`."""
        return propagate(self, scope)

    def spread(self, key: PromptKey) -> Iterator[Answer | None]:
        """Propagate outward from a prompt; see `propagation.spread`."""
        return spread(self, key)
