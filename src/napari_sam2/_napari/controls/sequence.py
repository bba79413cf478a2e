"""The sequences of the image that is worked on: their layers, their sessions, and which of them is shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2._napari.controls.left_layers import mark_left
from napari_sam2._napari.controls.many_files import mark_of
from napari_sam2._napari.controls.renewal import (
    Position,
    Renewal,
    RenewalControl,
    what_changes,
)
from napari_sam2._napari.image.pixel_sizes import pixel_sizes, step_along
from napari_sam2._napari.image.source import Axes, geometry_of
from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2._napari.notices import tell, warn
from napari_sam2._napari.work.autosave import WorkGroup
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.opening import Opening
from napari_sam2._napari.work.versions import OTHER_MODEL, OTHER_VIEW, ViewStep
from napari_sam2._napari.work.worker import Fate, Priority
from napari_sam2._napari.workspace import Sequence, Workspace
from napari_sam2.positions import Positions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from napari.layers import Image

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.image.network_view import View
    from napari_sam2._napari.work.answers import Answer

    Place = tuple[tuple[int, int], ...]


class SequenceControl:
    """Opens a session for each position along the other axes, when it is first needed.

    Parameters
    ----------
    workspace : Workspace
        Told which sequence is shown.
    opened : callable
        Called after new prompt layers were made.
    closing : callable
        Called before they are given up.
    cache_bytes : int
        How much memory image features of a session may take.

    Attributes
    ----------
    renewals : RenewalControl
        Answers prompts anew when the network sees something else.
    group : WorkGroup
        Of all sequences of the image.
    session_opened, sessions_closing : callable or None
        Called with each sequence whose session was opened, and with all that are about to be given up.
    """

    def __init__(
        self,
        workspace: Workspace,
        opened: Callable[[PromptLayers], None],
        closing: Callable[[], None],
        *,
        cache_bytes: int = 512 * 2**20,
    ) -> None:
        self._space = workspace
        workspace.touched, workspace.at_index = self.touched, self.at_index
        self._opened, self._closing = opened, closing
        self._cache_bytes = cache_bytes
        self._sequences: dict[Place, Sequence] = {}
        self._axes: Axes | None = None
        self._view: View | None = None
        self.renewals = RenewalControl(workspace)
        self._problem: object = ""
        self.renewals.done, self.renewals.late = self._renewed, self._late
        workspace.answered.connect(self._follow)
        self._coming: set[Sequence] = set()
        self.group = WorkGroup()
        self.session_opened: Callable[[Sequence], None] | None = None
        self.sessions_closing: Callable[[Collection[Sequence]], None] | None = None

    @property
    def loading(self) -> bool:
        """Whether a session is being opened."""
        return bool(self._coming)

    @property
    def is_touched(self) -> bool:
        """Whether anything was said of any sequence."""
        return any(sequence.is_touched for sequence in self._sequences.values())

    @property
    def has_objects(self) -> bool:
        """Whether any sequence has an object, or will have one when it is answered."""
        return any(sequence.objects or sequence.paintings for sequence in self._sequences.values())

    def begin(self, image: Image, axes: Axes, frame_axis: int | None, view: View) -> None:
        """Make prompt layers for an image and open the sequence that is shown."""
        geometry = geometry_of(image, axes, frame_axis)
        geometry = geometry.at(geometry.index_of(self._space.viewer.dims, image))
        self._axes, self._problem = axes, ""
        self.group = WorkGroup()
        self._space.layers = PromptLayers(self._space.viewer, image, geometry)
        self._space.sequence = self._sequence(geometry, view)
        self._opened(self._space.layers)
        self.ensure_open()

    def _sequence(self, geometry: SequenceGeometry, view: View) -> Sequence:
        position = geometry.position
        if position not in self._sequences:
            self._sequences[position] = Sequence(geometry, Desk(), self._view or view)
        return self._sequences[position]

    def touched(self) -> tuple[Sequence, ...]:
        """Return the sequences of which something was said."""
        return tuple(sequence for sequence in self._sequences.values() if sequence.is_touched)

    def has(self, index: Mapping[int, int]) -> bool:
        """Whether the other axes have these positions."""
        shown = self._space.sequence
        lengths = (
            {} if shown is None else {axis: shown.geometry.shape[axis] for axis in shown.geometry.others}
        )
        return all(index.get(axis, 0) < length for axis, length in lengths.items())

    def at_index(self, index: Mapping[int, int]) -> Sequence:
        """Return the sequence at positions of the other axes, with its session asked for."""
        shown = self._space.sequence
        if shown is None:
            raise RuntimeError("There is no image to work on: choose an image layer first.")
        known = {axis: at for axis, at in index.items() if axis in shown.geometry.others}
        sequence = self._sequence(shown.geometry.at(known), shown.view)
        if not sequence.is_open:
            self._open(sequence)
        return sequence

    def whole(self) -> Callable[[], Positions] | None:
        """Return what puts all positions along the other axis together; None if there are no others.

        It is called on the inference thread, for what was said until now.
        """
        touched, image = self.touched(), self._space.image
        if image is None or not touched or not touched[0].geometry.others:
            return None
        (axis,) = touched[0].geometry.others
        count, step = touched[0].geometry.shape[axis], step_along(image, axis)
        desks = {sequence.geometry.index[axis]: sequence.desk for sequence in touched}
        name = "" if self._axes is None else self._axes.names[axis]
        return lambda: Positions({at: desk.opened for at, desk in desks.items()}, count, step, name)

    @property
    def time_comes_first(self) -> bool:
        """Whether the axes of the image are (t, z, y, x)."""
        shown = self._space.sequence
        if shown is None or shown.geometry.ndim != 4:
            return False
        geometry = shown.geometry
        return (geometry.y_axis, geometry.x_axis) == (2, 3) and (
            (geometry.frame_axis == 0) == (self._letter(geometry) == "t")
        )

    @property
    def letter(self) -> str:
        """What files call the axis of the frames: "z" or "t"."""
        shown = self._space.sequence
        return "z" if shown is None else self._letter(shown.geometry)

    def call_axes(self, axes: Axes) -> None:
        """Take other names for the axes, and let all that is exported from now on have them."""
        self._axes = axes
        for sequence in self._sequences.values():
            self._describe(sequence, axes=f"{self._letter(sequence.geometry)}yx")

    def measure(self) -> None:
        """Let exports have the pixel sizes of now; windows in which masks were made stay as they are."""
        for sequence in self._sequences.values():
            scale = pixel_sizes(self._space.image, sequence.geometry)
            if sequence.is_open and not sequence.is_touched:
                self._open_otherwise(sequence, sequence.view)
            else:
                self._describe(sequence, scale=scale)

    def _describe(self, sequence: Sequence, **known: Any) -> None:  # noqa: ANN401 - of `LabelGeometry`
        told, key = partial(Desk.describe, **known), tuple(known)
        self._space.ask(told, key=key, label="Describing the image", sequence=sequence)

    def _letter(self, geometry: SequenceGeometry) -> str:
        """Return "t" or "z" for the axis of the frames."""
        return "z" if self._axes is None else self._axes.letter(geometry.frame_axis, tuple(geometry.others))

    def mark(self, sequence: Sequence) -> str:
        """Return what tells files of a sequence from those of others, as "_t0003"; empty without others."""
        names = () if self._axes is None else self._axes.names
        others = sequence.geometry.others.items()
        return "".join(mark_of(names[axis], at) for axis, at in others)

    def end(self) -> None:
        """Give the layers and sessions up; labels that hold something stay in the viewer."""
        space = self._space
        if space.layers is not None and space.image in space.viewer.layers:
            space.layers.finish(everywhere=True)  # what was said last is not lost
            for sequence in self._sequences.values():
                space.layers.write(sequence.rest(), sequence.geometry)
        has_objects = self.has_objects
        if self.sessions_closing is not None:
            self.sessions_closing(tuple(self._sequences.values()))
        for sequence in self._sequences.values():
            sequence.is_left = True
            space.worker.forget(sequence, wholly=not sequence.is_touched)
        self._sequences, self._view = {}, None
        self._coming.clear()
        if space.layers is not None:
            self._closing()
            mark_left(space.layers, self.group)
            space.layers.close(remove_layers=not has_objects)
        space.layers, space.sequence = None, None

    def follow_sliders(self) -> None:
        """Show the sequence at the position of the other slider."""
        space, shown = self._space, self._space.sequence
        if shown is None or space.layers is None or not shown.geometry.index:
            return
        if space.layers.labels.ndim != shown.geometry.ndim:  # a script has set other data, which is put back
            return
        geometry = shown.geometry.at(shown.geometry.index_of(space.viewer.dims, space.layers.labels))
        if geometry.index == shown.geometry.index:
            return
        wanted = self._sequence(geometry, shown.view)
        # What was said last still belongs to the sequence that was shown.
        space.layers.finish()
        space.sequence = wanted
        self._leave(shown)
        space.give_cache(wanted, self._cache_bytes)
        space.layers.set_geometry(geometry, wanted.declared)
        space.changed.emit()

    def _leave(self, sequence: Sequence) -> None:
        """Keep what was said of a position that is not shown any more; there may be hundreds of others."""
        if sequence.is_touched:
            self._space.give_cache(sequence, 0)
        elif sequence.is_open:
            self._open_otherwise(sequence, sequence.view)

    # --- sessions

    def close_unused(self) -> None:
        """Close sessions of which nothing was said, less the one that is shown."""
        for sequence in self._sequences.values():
            if sequence.is_open and not sequence.is_touched and sequence is not self._space.sequence:
                self._open_otherwise(sequence, sequence.view)

    def open_ahead(self) -> None:
        """Open the session that is shown before anything is said of it, unless that is known to fail."""
        sequence = self._space.sequence
        if sequence is not None and self._space.model.model is not None and not sequence.has_failed:
            self.ensure_open()

    def ensure_open(self) -> None:
        """Open the session of the sequence that is shown, if that was not done."""
        sequence = self._space.sequence
        if sequence is not None and not sequence.is_open:
            self._open(sequence)

    def _open(self, sequence: Sequence) -> None:
        opening, model = self._opening(sequence, sequence.view), self._space.model
        sequence.is_open = True
        self._coming.add(sequence)
        self._space.ask(
            lambda desk: desk.open(opening, model.take()),
            lambda answer: self._has_opened(sequence, answer),
            priority=Priority.CLICK,
            key="open",
            sequence=sequence,
            label="Opening the image",
            failed=lambda _: self._has_failed(sequence),
            fate=Fate.DONE,
        )

    def _has_opened(self, sequence: Sequence, answer: Answer) -> None:
        self._coming.discard(sequence)
        sequence.has_failed = False
        if answer.value and answer.value != self._problem:
            self._problem = answer.value
            warn(f"Not all of this image can be read: {self._problem}. The rest can be worked on.")
        if self.session_opened is not None:
            self.session_opened(sequence)

    def _has_failed(self, sequence: Sequence) -> None:
        self._coming.discard(sequence)
        sequence.is_open, sequence.has_failed = False, True

    def _opening(self, sequence: Sequence, view: View) -> Opening:
        geometry, image = sequence.geometry, self._space.image
        source = None if image is None else image.source.path
        return Opening(
            view,
            axis=geometry.frame_axis or 0,
            index=geometry.fixed,
            axes=f"{self._letter(geometry)}yx",
            scale=pixel_sizes(image, geometry),
            location=source,
            cache_bytes=self._cache_bytes if sequence is self._space.sequence else 0,
        )

    def show_view(self, view: View) -> None:
        """Show the network something else; prompts are answered again, which can be undone."""
        sequences = tuple(self._sequences.values())
        if all(view.matches(self.renewals.wanted(each)) for each in sequences):
            self._call(view.text)
        else:
            self._renew(dict.fromkeys(sequences, view), ViewStep(OTHER_VIEW))

    def _call(self, text: str) -> None:
        """Say of what is seen what it is called now: names of layers may have changed."""
        if self.renewals.running:
            return
        if self._view is not None:
            self._view = replace(self._view, text=text)
        for sequence in self._sequences.values():
            sequence.view = replace(sequence.view, text=text)

    def renew(self, model: Sam2) -> None:
        """Show another network the same."""
        views = {sequence: self.renewals.wanted(sequence) for sequence in self._sequences.values()}
        self._renew(views, ViewStep(OTHER_MODEL), model)

    def _renew(self, views: Mapping[Sequence, View], step: ViewStep, model: Sam2 | None = None) -> None:
        self.renewals.make_way()
        self._space.interrupted.emit(None)
        changed = [sequence for sequence, view in views.items() if not self._sees(sequence, view, model)]
        touched = [sequence for sequence in changed if sequence.is_touched]
        run = Renewal(step, {each: self._position(each, views[each]) for each in touched}, views, model)
        if any(sequence.objects for sequence in touched):
            tell(what_changes(touched))
        if touched:
            self.renewals.begin(run)
        else:
            self._renewed(run)

    def _position(self, sequence: Sequence, view: View) -> Position:
        return Position(self._opening(sequence, view), len(sequence.picture.prompts))

    def _late(self, run: Renewal) -> dict[Sequence, Position]:
        """Return the positions of which something was said since a renewal began."""
        late = [each for each in self.touched() if each not in run.positions]
        wanted = {each: run.views.get(each, run.view or each.view) for each in late}
        return {
            each: self._position(each, view)
            for each, view in wanted.items()
            if not self._sees(each, view, run.model)
        }

    def _renewed(self, run: Renewal) -> None:
        """Let sequences of which nothing was said see the same."""
        self._view = run.view or self._view
        for sequence in self._sequences.values():
            if sequence not in run.positions and not sequence.is_touched:
                self._open_otherwise(sequence, run.views.get(sequence, self._view or sequence.view))

    @staticmethod
    def _sees(sequence: Sequence, view: View, model: Sam2 | None) -> bool:
        """Whether a sequence has this view, and this network if it matters."""
        session = sequence.desk.session
        same = model is None or session is None or session.model is model
        return same and view.matches(sequence.view)

    def _open_otherwise(self, sequence: Sequence, view: View) -> None:
        """Open a sequence of which nothing was said anew: now if it is shown, else when it is."""
        sequence.view, sequence.is_open = view, False
        if sequence is self._space.sequence:
            self._open(sequence)
        else:  # in place of its opening, if that waits
            self._coming.discard(sequence)
            self._space.ask(Desk.close, priority=Priority.CLICK, key="open", sequence=sequence)

    def _follow(self, sequence: Sequence, answer: Answer) -> None:
        """Let sequences of which nothing was said see what the shown one does after a step back or forth."""
        replaced = answer.replaced
        if replaced is None or (replaced.step is None and sequence is not self._space.sequence):
            return
        self._view = replaced.view
        if replaced.step is not None and not self.renewals.is_busy:
            for each in self._sequences.values():
                if not each.is_touched and each is not sequence:
                    self._open_otherwise(each, replaced.view)

    @property
    def model_in_use(self) -> Sam2 | None:
        """The network of what was said so far; None if nothing was."""
        sessions = [sequence.desk.session for sequence in self.touched()]
        return next((session.model for session in sessions if session is not None), None)
