"""Propagation on the inference thread: step by step, and again where prompts change while it is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2._napari.work.answers import Answer
from napari_sam2._tracking.state import steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._tracking.state import Job
    from napari_sam2.passes import Direction
    from napari_sam2.prompts import PromptKey
    from napari_sam2.session import Session

# Frames to each side of a click that are tracked first.
_FIRST_REACH = 4


@dataclass(frozen=True)
class Scope:
    """What is propagated, as `Session.propagate` takes it.

    Attributes
    ----------
    frames : range or None
        None: all.
    objects : sequence of int or None
        None: all.
    direction : {"both", "forward", "backward"}
        Which way.
    """

    frames: range | None = None
    objects: Sequence[int] | None = None
    direction: Direction = "both"

    def stale(self, session: Session) -> tuple[Job, ...]:
        """Plan what is out of date, as prompts have changed since it was tracked, or it was not."""
        chosen = self.among(session)
        return session.jobs_ahead(self.frames, chosen, self.direction, stale=True) if chosen else ()

    def among(self, session: Session) -> tuple[int, ...]:
        """Return those of the objects that can be propagated."""
        there = session.prompted_objects
        return there if self.objects is None else tuple(obj for obj in self.objects if obj in there)


def propagate(desk: Desk, scope: Scope) -> Iterator[Answer | None]:
    """Propagate in steps no longer than one encode or one group of objects.

    What is said meanwhile ends the passes that depend on it; they are made anew at the end.

    Yields
    ------
    Answer or None
        None where a frame is not done yet; the value of the first, and of others where prompts have changed
        meanwhile, is what lies ahead.
    """
    yield Answer(value=desk.opened.steps_ahead(scope.frames, scope.objects, scope.direction))
    yield from _tracked(desk, scope)
    before: tuple[Job, ...] = ()
    while (jobs := scope.stale(desk.opened)) and jobs != before:  # the same again cannot be written
        yield Answer(value=steps_of(jobs))
        yield from _tracked(desk, scope, stale=True)
        before = jobs
    yield desk.answer()


def spread(desk: Desk, key: PromptKey) -> Iterator[Answer | None]:
    """Propagate outward from a prompt, then what else is stale: one step of undo with what was said."""
    if not (desk.said.begin_to_spread() and desk.opened.prompted_objects):  # it was taken back meanwhile
        yield desk.answer()
        return
    yield Answer(value=desk.opened.steps_ahead())
    count, reach = desk.opened.volume.num_frames, _FIRST_REACH
    while reach < 4 * count and key.obj in desk.opened.prompted_objects:
        near = range(max(key.frame - reach, 0), min(key.frame + reach + 1, count))
        yield from _tracked(desk, Scope(near, (key.obj,)), spreads=True)
        reach *= 4
    if desk.opened.prompted_objects:
        yield from _tracked(desk, Scope(), spreads=True)
    yield desk.answer()


def _tracked(
    desk: Desk, scope: Scope, *, spreads: bool = False, stale: bool = False
) -> Iterator[Answer | None]:
    """Track and write; what spreads belongs to what was said last, else it is a step of undo by itself.

    If another session takes the place of this one meanwhile, all of it is done there.
    """
    while True:
        session = desk.opened
        chosen = scope.among(session) if stale else scope.objects
        if stale and not chosen:  # all prompts were taken back
            return
        for result in session.track(scope.frames, chosen, scope.direction, stale=stale, beats=True):
            if desk.session is not session:
                break
            if spreads and desk.said.run is None:  # all that could spread was taken back
                return
            if result is None:
                yield None
                continue
            with session.grouped("Propagate", desk.said.run if spreads else result.run):
                session.apply(result)
            yield Answer(session.take_changes(), desk.due_picture(), result)
        if desk.session is session:
            return
