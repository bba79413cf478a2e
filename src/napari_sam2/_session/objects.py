"""What can be done to whole objects of a session, and to their locks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2._session import locking, object_edits
from napari_sam2._session.checks import check_frame, check_key
from napari_sam2._session.retelling import Retelling
from napari_sam2._session.views import SessionViews
from napari_sam2.prompts import check_object_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

    from napari_sam2.lineage import Daughters


class SessionObjects(SessionViews):
    """Edits objects; every method is one step of undo."""

    def lock(self, obj: int, frame: int) -> None:
        """Confirm an object's mask on a frame: only `unlock` and `undo` change it, tracking conditions on it.

        Raises
        ------
        ValueError
            If nothing is known of the object there.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Lock"):
            locking.lock(self._state, key)

    def unlock(self, obj: int, frame: int) -> None:
        """Take back `lock`."""
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Unlock"):
            locking.unlock(self._state, key)

    def lock_object(self, obj: int) -> None:
        """Keep an object as it is on all frames, and its pixels with it, until `unlock_object`.

        It is not tracked any more; prompts and edits of it are errors, and no other object takes its pixels,
        one that is locked later neither.

        Raises
        ------
        ValueError
            If there is no such object.
        """
        for _ in self.lock_object_steps(obj):
            pass

    def lock_object_steps(self, obj: int) -> Iterator[None]:
        """Do what `lock_object` does; a frame is looked at at a time, and all is changed in the last step."""
        number = check_object_id(obj)
        left = yield from locking.left_steps(self._state, number)
        with self._state.lock, self._state.grouped("Lock object"):
            locking.lock_object(self._state, number, left)

    def unlock_object(self, obj: int) -> None:
        """Take back `lock_object`."""
        with self._state.lock, self._state.grouped("Unlock object"):
            locking.unlock_object(self._state, check_object_id(obj))

    def rename(self, obj: int, name: str) -> None:
        """Give an object a name; an empty one takes its name away.

        Raises
        ------
        ValueError, TypeError
            If there is no such object, or the name is no text.
        """
        with self._state.lock, self._state.grouped("Rename"):
            object_edits.rename(self._state, check_object_id(obj), name)

    def remove_object(self, obj: int, *others: int) -> None:
        """Remove objects with their prompts; pixels that they took from others go back to them.

        Raises
        ------
        ValueError
            If one of them is not there or locked: then none is removed.
        """
        objects = {check_object_id(each) for each in (obj, *others)}
        label = f"Remove {len(objects)} objects" if len(objects) > 1 else "Remove object"
        with self._state.lock, self._state.grouped(label):
            object_edits.remove(self._state, objects)

    def merge(self, obj: int, *others: int) -> None:
        """Make objects one: `obj` gets the masks and the daughters of the others, which are removed.

        On frames where several had a mask the union counts as painted. It begins with the one that begins
        first, and ends with the one that ends last.

        Raises
        ------
        ValueError
            If one of them is locked, as a whole or on a frame where another one had a mask too.
        """
        for _ in self.merge_steps(obj, *others):
            pass

    def merge_steps(self, obj: int, *others: int) -> Iterator[None]:
        """Do what `merge` does; masks are joined some at a time, and all is changed in the last step."""
        first, *rest = (check_object_id(each) for each in (obj, *others))
        unions = yield from object_edits.union_steps(self._state, (first, *rest))
        with self._state.lock, self._state.grouped("Merge"):
            object_edits.merge(self._state, first, rest, unions)

    def split(self, obj: int, frame: int, new: int | None = None) -> int:
        """Give an object's prompts, masks and daughters from a frame on to a new object.

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
            If `new` is there already, or there is nothing from that frame on.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        with self._state.lock, self._state.grouped("Split"):
            return object_edits.split(self._state, key, None if new is None else check_object_id(new))

    def begins_here(self, obj: int, frame: int | None) -> None:
        """Say that an object begins on a frame: what was before is erased, nothing is tracked there any more.

        Parameters
        ----------
        obj : int
            Which object.
        frame : int or None
            Its first frame; None takes back what was said, but brings no mask back.

        Raises
        ------
        ValueError
            If there is no such object, it is locked on a frame before, or it ends before.
        """
        number, first = check_object_id(obj), self._checked_end(frame)
        with self._state.lock, self._state.grouped("Begins here"):
            life = self._state.facts_of(number).life
            object_edits.set_life(self._state, number, replace(life, first=first))

    def ends_here(self, obj: int, frame: int | None) -> None:
        """Say that an object ends on a frame, its last one; otherwise as `begins_here`."""
        number, last = check_object_id(obj), self._checked_end(frame)
        with self._state.lock, self._state.grouped("Ends here"):
            life = self._state.facts_of(number).life
            object_edits.set_life(self._state, number, replace(life, last=last))

    def _checked_end(self, frame: int | None) -> int | None:
        return None if frame is None else check_frame(frame, self.volume.num_frames)

    def divide(self, obj: int, frame: int, daughters: tuple[int, int] | None = None) -> Daughters:
        """Say that an object has divided: it ends on the frame before, and two daughters begin on this one.

        Parameters
        ----------
        obj, frame : int
            The mother, and the first frame of the daughters.
        daughters : (int, int), optional
            Their ids, new ones or those of objects that are there; by default the two above the highest.

        Returns
        -------
        Daughters
            The ids. They have no mask yet: prompt them.

        Raises
        ------
        ValueError
            If the object begins on that frame or later, one of them is locked, or the daughters are no two
            other objects.
        """
        key = check_key(obj, frame, self.volume.num_frames)
        chosen = None if daughters is None else tuple(check_object_id(each) for each in daughters)
        if chosen is not None and len(chosen) != 2:
            raise ValueError(f"an object divides into two daughters; got {len(chosen)} ids")
        with self._state.lock, self._state.grouped("Divide"):
            return object_edits.divide(self._state, key, None if chosen is None else (chosen[0], chosen[1]))

    def say_again(self, source: SessionObjects) -> Retelling:
        """Say to this session, an empty one, all that was said to another one, as to see it otherwise.

        Prompts are answered anew. Locked masks and objects stay as they are, and so do the masks of objects
        that were never prompted; all other tracked masks are left behind. None of it can be undone.

        Parameters
        ----------
        source : Session
            Of frames of the same shape. It may change meanwhile: what is new is said as well.

        Returns
        -------
        iterator of PromptKey
            Each step answers a prompt and tells which. Take all: the objects' names, lives and locks come
            last. Its `step` answers one without ending it.

        Raises
        ------
        ValueError
            If the frames have another shape, or something was said to this session already.
        """
        if source.volume.shape != self.volume.shape:
            raise ValueError(f"the frames are {source.volume.shape} there and {self.volume.shape} here")
        if self.objects:
            raise ValueError("something was said to this session already: take a new one")
        return Retelling(source._state, self._state)

    def grouped(self, label: str, run: Hashable | None = None) -> AbstractContextManager[None]:
        """Make all that is done inside of the ``with`` block one step of undo.

        An error that leaves the block takes back what was done in it.

        Parameters
        ----------
        label : str
            Name of the step, which `undo` returns. A group within a group belongs to the outer one.
        run : hashable, optional
            Groups of the same run, one after the other, are undone together.
        """
        return self._state.grouped(label, run)

    def undo(self) -> str | None:
        """Take back the last step and return its name; None if there is none."""
        return self._state.undo()

    def take_back(self, run: Hashable) -> str | None:
        """Take back the last step as if it had never been made, such as a click that was not meant.

        Parameters
        ----------
        run : hashable
            Of the step, as given to `Session.grouped`; any other step stays.

        Returns
        -------
        str or None
            Its name; None if the last step is another one. What could be done again before it was made can
            be done again, unless more was undone since.
        """
        return self._state.take_back(run)

    def redo(self) -> str | None:
        """Do the step again that was taken back last, and return its name; None if there is none."""
        return self._state.redo()

    def forget_undone(self) -> None:
        """Make sure that nothing can be done again, as after a step of which the session knows nothing."""
        self._state.history.forget_undone()
