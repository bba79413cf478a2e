"""Prompts for many objects at once: from another layer, or from the masks of this index for the next one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Labels, Points, Shapes

from napari_sam2._napari.controls.left_out import left_out, sentence_of
from napari_sam2._napari.layers.ids import MAX_GIVEN, is_allowed
from napari_sam2._napari.layers.outline import is_preview
from napari_sam2._napari.layers.seeds import LabelSeeds, ShapeSeeds, owners_of, read_seeds
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2._napari.work.answers import Answer
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.steps import until_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from napari.layers import Layer

    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Sequence, Workspace

    _Wanted = Mapping[PromptKey, Callable[[], FramePrompts]]


_NOTHING = object()


class Seeding:
    """Many things to read and to say, of which the first that fails ends all.

    Parameters
    ----------
    source : str
        Where they come from, for the user.
    sequence : Sequence
        Whose session is told.
    names : mapping of int to str, optional
        What objects are called that have no name there.

    Attributes
    ----------
    note : str
        What else there is to say in the end.
    looks, looked : int
        How many frames or outlines have to be looked at before, and how many were.
    objects, total : int
        How many objects, and how many prompts of them; 0 until all were looked at.
    said : int
        How many of them were said.
    ended : bool
        Whether no more is said.
    """

    def __init__(self, source: str, sequence: Sequence, names: Mapping[int, str] | None = None) -> None:
        self.source, self.sequence, self.note = source, sequence, ""
        self._names = names or {}
        self.looks = self.looked = self.objects = self.total = self.said = 0
        self.ended = False

    @property
    def outcome(self) -> str:
        """What came of it, as a sentence."""
        if not self.said:
            return "Seeding was ended before anything was said."
        if self.said == self.total:
            text = f"{self.objects} object{'' if self.objects == 1 else 's'} from {self.source}."
            return f"{text} {self.note}".strip()
        return f"Seeding was ended after {self.said} of {self.total}; undo takes these back."

    def look(self, steps: Iterator[object], _desk: Desk) -> Answer:
        """Look at a little more, on the inference thread; the answer's value is whether there was any."""
        if self.ended:
            return Answer(value=False)
        with self._to_the_end():
            is_there = next(steps, _NOTHING) is not _NOTHING
        self.looked += is_there
        return Answer(value=is_there)

    def say(
        self, key: PromptKey, prompts: Callable[[], FramePrompts], desk: Desk
    ) -> Generator[None, None, Answer]:
        """Say one of them there, in steps, unless it is ended before the last one."""
        if self.ended:
            return Answer()
        with self._to_the_end():
            steps = desk.seed(key, prompts(), self, self._names.get(key.obj, ""))
            answer = yield from until_ended(steps, lambda: self.ended)
        self.said += answer is not None
        return answer or Answer()

    @contextmanager
    def _to_the_end(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.ended = True
            raise


class SeedControl:
    """Seeds.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        Draws the prompts.

    Attributes
    ----------
    running : Seeding or None
        What is under way.
    """

    def __init__(self, workspace: Workspace, prompts: PromptControl) -> None:
        self._space = workspace
        self._prompts = prompts
        self.running: Seeding | None = None
        workspace.interrupted.connect(self.stop)

    @property
    def running_here(self) -> Seeding | None:
        """What is under way at the position that is shown."""
        run = self.running
        return run if run is not None and run.sequence is self._space.sequence else None

    def seed(self) -> None:
        """Read the selected layer, or the only one that there is, as prompts of new objects."""
        space = self._space
        layers, sequence = space.layers, space.sequence
        if layers is None or sequence is None:
            return
        chosen = self._chosen()
        if chosen is None:
            tell("Select the layer of points, shapes or labels to take the prompts from.")
            return
        if self._is_busy():
            return
        run = Seeding(f"“{chosen.name}”", sequence)
        where = layers.labels, sequence.geometry, space.frame
        if isinstance(chosen, Labels):
            masks = LabelSeeds(chosen, *where)
            self._look(run, len(masks.frames), masks.read(), lambda: masks.wanted)
            return
        counted = not owners_of(chosen).are_given
        if isinstance(chosen, Shapes):
            shapes, drawn = ShapeSeeds(chosen, *where), dict[PromptKey, "Callable[[], FramePrompts]"]()
            steps = (drawn.setdefault(key, partial(_ready, said)) for key, said in shapes.read())
            self._look(run, shapes.count, steps, lambda: drawn, counted=counted)
            return
        seeds = read_seeds(chosen, *where)
        found = {
            PromptKey(obj, frame): partial(_ready, prompts)
            for obj, frames in seeds.items()
            for frame, prompts in frames.items()
        }
        self._say(run, self._free(run, found, counted=counted))

    def _is_busy(self) -> bool:
        """Whether seeding is under way, and say so."""
        if self.running is not None:
            tell(f"Seeding from {self.running.source} is under way: wait for it, or cancel it.")
        return self.running is not None

    def _look(
        self,
        run: Seeding,
        looks: int,
        steps: Iterator[object],
        wanted: Callable[[], _Wanted],
        *,
        counted: bool = False,
    ) -> None:
        """Find out what is in a layer of labels or shapes, some of it at a time, then say it."""
        self._prompts.freeze()
        run.sequence.is_seeded = True
        self.running, run.looks = run, looks
        self._look_on(run, steps, lambda: self._say(run, self._free(run, wanted(), counted=counted)))

    def _look_on(self, run: Seeding, steps: Iterator[object], looked: Callable[[], None]) -> None:
        """Look at more when the last was looked at, so that all else goes between."""

        def after(answer: Answer) -> None:
            if answer.value and not run.ended:
                self._look_on(run, steps, looked)
                return
            self._end(run)
            if not run.ended:
                looked()

        self._space.ask(
            partial(run.look, steps),
            after,
            label=f"Reading {run.source}",
            failed=lambda _: self._end(run),
            sequence=run.sequence,
        )

    def _chosen(self) -> Layer | None:
        """Return the layer to read: one of the selected ones, else the only one."""
        viewer, layers = self._space.viewer, self._space.layers
        own = () if layers is None else (layers.points, layers.shapes, layers.labels)
        kinds = (Points, Shapes, Labels)
        fit = [
            each
            for each in viewer.layers
            if isinstance(each, kinds) and each not in own and not is_preview(each)
        ]
        selected = [each for each in fit if each in viewer.layers.selection]
        if len(selected) == 1:
            return selected[0]
        return fit[0] if len(fit) == 1 else None

    def _free(self, run: Seeding, found: _Wanted, *, counted: bool = False) -> _Wanted:
        """Give all of them higher ids if one of them is taken; ids that were only counted, anywhere."""
        elsewhere = self._space.objects_elsewhere(run.sequence)
        used = {*run.sequence.objects, *(elsewhere if counted else ())}
        beyond = {key.obj for key in found if not is_allowed(key.obj, self._space.objects)}
        found = {key: each for key, each in found.items() if key.obj not in beyond}
        run.note = _told_of(beyond)
        shift = max({*used, *elsewhere}) if used & {key.obj for key in found} else 0
        return {PromptKey(key.obj + shift, key.frame): each for key, each in found.items()}

    def _say(self, run: Seeding, wanted: _Wanted) -> None:
        """Say all of it, each in a job of its own."""
        if not wanted:
            tell(run.note or f"There is nothing in {run.source} that lies on a frame of this image.")
            return
        self._prompts.freeze()
        run.sequence.is_seeded = True
        self.running = run
        run.objects, run.total = len({key.obj for key in wanted}), len(wanted)
        self._space.reserved = max(key.obj for key in wanted)
        self._say_on(run, iter(wanted.items()))

    def _say_on(self, run: Seeding, left: Iterator[tuple[PromptKey, Callable[[], FramePrompts]]]) -> None:
        """Say the next one when the one before was said, so that all else goes between."""
        item = None if run.ended else next(left, None)
        if item is None:
            self._space.ask(
                lambda desk: desk.answer(),
                lambda _: self._said(run),
                label="Seeding",
                sequence=run.sequence,
            )
            return
        self._space.ask(
            partial(run.say, *item),
            lambda _: self._say_on(run, left),
            label=f"Seeding from {run.source}",
            failed=lambda _: self._said(run),
            sequence=run.sequence,
        )

    def _said(self, run: Seeding) -> None:
        self._prompts.show(run.sequence)
        if not run.ended:
            tell(run.outcome)
        self._end(run)

    def _end(self, run: Seeding) -> None:
        run.sequence.is_seeded = False
        if self.running in {run, None}:
            self.running, self._space.reserved = None, 0

    def stop(self, sequence: Sequence | None = None) -> None:
        """Say no more to a sequence, or to any; without a word where it is shown: the user takes it back."""
        run = self.running
        if run is not None and sequence in {None, run.sequence}:
            run.ended, self.running = True, None
            if run.sequence is not self._space.sequence:
                tell(run.outcome)

    def detach(self) -> None:
        """Say no more: the layers are given up."""
        self.stop()
        self._space.reserved = 0

    def cancel(self) -> None:
        """Say no more, and tell how far it came; what was said stays."""
        run = self.running
        if run is not None:
            run.ended, self.running = True, None
            self._space.ask(  # after what is being said now
                lambda desk: desk.answer(),
                lambda _: tell(run.outcome),
                label="Stopping",
                sequence=run.sequence,
            )

    def shown_in(self, progress: ProgressState) -> ProgressState:
        """Return what the dock shows of what is going on, with how far it has come."""
        run = self.running
        if run is None:
            return progress
        here = run.sequence is self._space.sequence
        ends = "undo or cancel ends it" if here else "cancel ends it"
        return replace(
            progress,
            activity=Activity.SEEDING,
            message=progress.message or f"Seeding from {run.source}. Clicks go first; {ends}.",
            done=run.said if run.total else run.looked,
            total=run.total or run.looks,
            can_undo=progress.can_undo or here,
            undo_label="Seed" if here else progress.undo_label,
        )

    def seed_next(self) -> None:
        """Give the masks of this index as prompts to the next one along the other axis."""
        space = self._space
        space.catch_up()
        sequence = space.sequence
        if space.layers is None or sequence is None or self._is_busy():
            return
        if self._next_of(sequence) is None:
            tell("There is no next index along another axis.")
        elif sequence.waiting or sequence.paintings:  # what is not answered yet has no mask
            space.ask(
                lambda desk: desk.answer(),
                lambda _: self._go_on_from(sequence),
                label="Seeding",
                sequence=sequence,
            )
        else:
            self._go_on_from(sequence)

    @staticmethod
    def _next_of(sequence: Sequence) -> tuple[int, SequenceGeometry] | None:
        """Return the other axis, and the next index along it; None if there is none."""
        here = sequence.geometry
        axis = next((axis for axis in here.index if axis != here.channel_axis), None)
        if axis is None or here.index[axis] + 1 >= here.shape[axis]:
            return None
        return axis, here.at({axis: here.index[axis] + 1})

    def _go_on_from(self, sequence: Sequence) -> None:
        """Turn to the next index along the other axis, with the masks of this one, unless it was left."""
        space, following = self._space, self._next_of(sequence)
        layers = space.layers
        if layers is None or following is None or space.sequence is not sequence or self._is_busy():
            return
        axis, step = following
        wanted, names = self._masks(sequence), sequence.names
        place = layers.labels.data_to_world(step.to_layer(space.frame, 0, 0))
        offset = space.viewer.dims.ndim - step.ndim
        space.viewer.dims.set_point(offset + axis, float(place[axis]))
        if space.sequence is not None:
            self._pass_on(Seeding("the index before", space.sequence, names), wanted)

    def _pass_on(self, run: Seeding, wanted: _Wanted) -> None:
        """Say what does not contradict what was said there before, and tell what does."""
        kept = left_out(run.sequence, wanted)
        run.note = sentence_of(kept)
        self._say(run, {key: prompts for key, prompts in wanted.items() if key.obj not in kept})

    def _masks(self, sequence: Sequence) -> _Wanted:
        """Return the masks of all objects on the frames that they were prompted on, else on the shown one."""
        picture, masks = sequence.picture, dict[PromptKey, "Callable[[], FramePrompts]"]()
        for obj, areas in zip(picture.summary.objects, picture.summary.cells.area, strict=True):
            prompted = [key.frame for key in picture.prompts if key.obj == obj] or [self._space.frame]
            for frame in prompted:
                if areas[frame]:
                    masks[PromptKey(obj, frame)] = partial(_mask, sequence.desk, obj, frame)
        return masks


def _told_of(beyond: set[int]) -> str:
    if not beyond:
        return ""
    listed = ", ".join(map(str, sorted(beyond)))
    return f"Left out: {listed}, since ids of objects go up to {MAX_GIVEN}."


def _mask(desk: Desk, obj: int, frame: int) -> FramePrompts:
    """Return what is shown of an object, on the inference thread."""
    return FramePrompts(mask=desk.opened.pixels(frame) == obj)


def _ready(prompts: FramePrompts) -> FramePrompts:
    return prompts
