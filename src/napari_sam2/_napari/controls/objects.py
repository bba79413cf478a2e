"""The objects: what the table shows and what is asked of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._napari.image.geometry import Place
from napari_sam2._napari.layers.finding import frame_of, look_at, middle_of
from napari_sam2._napari.layers.ids import next_id
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import ObjectRow, ObjectsState
from napari_sam2._napari.work.worker import Fate
from napari_sam2.summary import ObjectSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.work.answers import Answer
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.lineage import Daughters
    from napari_sam2.session import Session


class ObjectControl:
    """Names, shows, locks, deletes, joins and parts objects.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        Makes objects active, and draws the prompts after an edit.
    """

    def __init__(self, workspace: Workspace, prompts: PromptControl) -> None:
        self._space = workspace
        self._prompts = prompts
        self._hidden: set[int] = set()
        self._solo: int | None = None
        # Of whom those that were made by dividing or splitting are parts.
        self._origins: dict[int, int] = {}
        workspace.prompted.connect(self.reveal)
        workspace.answered.connect(self._forget_gone)
        workspace.loaded.connect(self._show_all)

    def forget(self) -> None:
        """Show all objects again: others come."""
        self._hidden, self._solo, self._origins = set(), None, {}

    def reveal(self, objects: set[int]) -> None:
        """Show what is prompted, painted or gone to."""
        for obj in objects & self._hidden:
            self.show(obj, True)
        if self._solo is not None and objects - {self._solo}:
            self.solo(None)

    def _forget_gone(self, _sequence: Sequence, answer: Answer) -> None:
        """Hide no object that comes under the id of one that has gone."""
        if answer.picture is None or not (self._hidden or self._solo):
            return
        there = {self._space.active}.union(*(each.answered_objects for each in self._space.touched()))
        for obj in self._hidden - there:
            self.show(obj, True)
        if self._solo is not None and self._solo not in there:
            self.solo(None)

    def _show_all(self, _sequence: Sequence) -> None:
        """Show all objects: others have come from a file."""
        for obj in tuple(self._hidden):
            self.show(obj, True)
        self.solo(None)

    def edit(
        self,
        call: Callable[[Session], object],
        done: Callable[[Answer], None] | None = None,
        *,
        in_order: bool = True,
    ) -> None:
        """Do something to the session, then draw its prompts; clicks that come later wait for it."""
        self._ask(lambda desk: desk.edit(call), done, in_order=in_order)

    def _ask(
        self,
        work: Callable[[Desk], Answer | Generator[None, None, Answer]],
        done: Callable[[Answer], None] | None = None,
        *,
        in_order: bool = True,
    ) -> None:
        sequence = self._space.sequence

        def after(answer: Answer) -> None:
            if sequence is not None:
                self._prompts.show(sequence)
            if done is not None:
                done(answer)

        self._space.ask(work, after, label="Editing", fate=Fate.DONE, in_order=in_order)

    # --- one object

    def rename(self, obj: int, name: str) -> None:
        """Give an object a name."""
        if self._is_known(obj):
            self.edit(lambda session: session.rename(obj, name), in_order=False)

    def show(self, obj: int, shown: bool) -> None:
        """Show or hide an object."""
        (self._hidden.discard if shown else self._hidden.add)(obj)
        if self._space.layers is not None:
            self._space.layers.colours.show(obj, visible=shown)
        self._space.changed.emit()

    def solo(self, obj: int | None) -> None:
        """Show one object alone; None shows all again."""
        self._solo = obj
        if self._space.layers is not None:
            self._space.layers.colours.show_only(obj)
        self._space.changed.emit()

    def lock(self, obj: int, locked: bool) -> None:
        """Lock an object as a whole, or release it."""
        if not self._is_known(obj):
            return
        if locked:
            self._ask(lambda desk: desk.edit_in_steps(lambda session: session.lock_object_steps(obj)))
        else:
            self.edit(lambda session: session.unlock_object(obj))

    def _is_known(self, obj: int) -> bool:
        """Whether anything was said of an object of the table; else say what to do."""
        known = self._space.sequence is not None and obj in self._space.sequence.objects
        if not known:
            tell(f"Object {obj} is not there yet: click on it first.")
        return known

    def visit(self, obj: int) -> None:
        """Make an object active, show a frame on which it is, and centre it."""
        self._prompts.activate(obj)
        self.reveal({obj})
        space = self._space
        prompted = [key.frame for key in space.picture.prompts if key.obj == obj]
        frame = frame_of(space.picture.summary, obj, prompted, space.frame)
        if frame is not None:
            space.go_to(frame)
            self._centre(obj, frame)

    def _centre(self, obj: int, frame: int) -> None:
        """Turn the camera to an object, if it has pixels on the frame."""
        middle = middle_of(self._space.picture.summary, obj, frame)
        layers, sequence = self._space.layers, self._space.sequence
        if middle is not None and layers is not None and sequence is not None:
            look_at(self._space.viewer, layers.labels, sequence.geometry, Place(frame, *middle))

    # --- on the frame that is shown

    def _needs_object(self) -> int | None:
        """Return the active object, if the session knows it; else say what to do."""
        obj, sequence = self._space.active, self._space.sequence
        if sequence is not None and obj in sequence.objects:
            return obj
        tell("Choose an object first: click on its row, or double click on its mask.")
        return None

    def begins_here(self) -> None:
        """Let the active object begin on the frame that is shown."""
        obj, frame = self._needs_object(), self._space.frame
        if obj is not None:
            self.edit(lambda session: session.begins_here(obj, frame))

    def ends_here(self) -> None:
        """Let the active object end on the frame that is shown."""
        obj, frame = self._needs_object(), self._space.frame
        if obj is not None:
            self.edit(lambda session: session.ends_here(obj, frame))

    def divide(self, obj: int) -> None:
        """Let an object divide on the frame that is shown, and make a daughter active."""
        if not self._is_known(obj):
            return
        frame, used = self._space.frame, self._prompts.used_ids()

        def share(session: Session) -> Daughters:
            first = _free(session, used)
            return session.divide(obj, frame, (first, _free(session, {*used, first})))

        def after(answer: Answer) -> None:
            daughters: Daughters = answer.value  # type: ignore[assignment]
            self._origins |= {daughters.first: obj, daughters.second: obj}
            self._prompts.expect(daughters)
            tell(_what_to_click(daughters, one_by_one=self._prompts.each_click_new))

        self.edit(share, after)

    def divides_here(self) -> None:
        """Let the active object divide on the frame that is shown."""
        obj = self._needs_object()
        if obj is not None:
            self.divide(obj)

    def lock_here(self) -> None:
        """Lock the active object's mask on the frame that is shown, or release it."""
        obj, frame = self._needs_object(), self._space.frame
        if obj is not None:
            self.edit(lambda session: _toggle_lock(session, obj, frame))

    # --- several objects, in one step of undo

    def merge(self, objects: tuple[int, ...]) -> None:
        """Make several objects one, the first of them."""
        first, *others = objects
        if not others:
            return

        def after(_answer: Answer) -> None:
            self._prompts.activate(first)
            if self._solo in others:
                self.solo(first)

        self._ask(lambda desk: desk.edit_in_steps(lambda session: session.merge_steps(first, *others)), after)

    def delete(self, objects: tuple[int, ...]) -> None:
        """Delete objects with their prompts, all of them or, where one is locked, none."""
        sequence, layers = self._space.sequence, self._space.layers
        if sequence is None or layers is None:
            return
        # An object whose first click was not answered yet is deleted when it was.
        layers.flush()
        if sequence.objects.intersection(objects):
            self.edit(partial(_remove, objects=objects))

    def split(self, obj: int) -> None:
        """Give what an object has from the frame that is shown on to a new one."""
        if not self._is_known(obj):
            return
        frame, used = self._space.frame, self._prompts.used_ids()

        def after(answer: Answer) -> None:
            new = int(str(answer.value))
            self._origins[new] = obj
            self._prompts.activate(new)

        self.edit(lambda session: session.split(obj, frame, _free(session, used)), after)

    def return_to_origin(self) -> None:
        """Make the object active again of which the active one was a part that is no more, as after undo."""
        obj = self._space.active
        if obj not in self._space.objects and obj in self._origins:
            self._prompts.activate(self._origins.pop(obj))

    def state(self) -> ObjectsState:
        """Return what the table shows: the session's objects and the active one, though it may be new."""
        picture, active, layers = self._space.picture, self._space.active, self._space.layers
        if layers is None:
            return ObjectsState()
        known = {row.obj: row for row in picture.summary.rows}
        ids = sorted({*known, active})
        rows = tuple(self._row(known.get(obj) or ObjectSummary(obj), layers) for obj in ids)
        return ObjectsState(rows=rows, active=active, solo=self._solo)

    def _row(self, row: ObjectSummary, layers: PromptLayers) -> ObjectRow:
        return ObjectRow(
            obj=row.obj,
            colour=layers.colours.colour(row.obj),
            name=row.name,
            prompts=row.prompts,
            frames=row.frames,
            worst=row.worst,
            shown=row.obj not in self._hidden,
            locked=row.locked,
            parent=row.parent,
        )


def _what_to_click(daughters: Daughters, *, one_by_one: bool) -> str:
    """Say how both daughters get a click; a second one refines the first, unless each begins an object."""
    if one_by_one:
        return f"Click on the daughters: {daughters.first} now, then {daughters.second}."
    return (
        f"Click on the first daughter, {daughters.first}. "
        f"Then select {daughters.second} in the table and click on the second."
    )


def _remove(session: Session, objects: tuple[int, ...]) -> None:
    known = [obj for obj in objects if obj in session.objects]
    if known:
        session.remove_object(*known)


def _free(session: Session, used: Collection[int]) -> int:
    """Return an id that is not in use, nor in the session, whose objects may be more by now."""
    return next_id({*used, *session.objects})


def _toggle_lock(session: Session, obj: int, frame: int) -> None:
    entry = session.entry(obj, frame)
    if entry is not None and entry.locked:
        session.unlock(obj, frame)
    else:
        session.lock(obj, frame)
