"""What was painted, as it goes to the session, and what the session refuses of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.answers import Answer
from napari_sam2._napari.strokes import label_of
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from napari_sam2._napari.desk import Desk
    from napari_sam2._napari.strokes import Stroke
    from napari_sam2.session import Session


@dataclass(frozen=True, eq=False)
class Refusal:
    """A stroke that was not taken.

    Attributes
    ----------
    obj : int
        Whose stroke.
    error : Exception or None
        What the session says; None where the object is locked.
    """

    obj: int
    error: Exception | None = None


class Painting:
    """Strokes of one movement, or of one action of a script.

    Parameters
    ----------
    strokes : tuple of Stroke
        At least one.

    Attributes
    ----------
    last : PromptKey
        Where the last one is.
    refusals : list of Refusal
        Strokes that were not taken.
    """

    def __init__(self, strokes: tuple[Stroke, ...]) -> None:
        self.last = PromptKey(strokes[-1].obj, strokes[-1].frame)
        self.refusals: list[Refusal] = []
        self._label = label_of(strokes)

    def take(self, part: tuple[Stroke, ...], desk: Desk) -> Answer:
        """Take some of them, on the inference thread."""
        answer = desk.paint(part, self._label, self)
        if isinstance(answer.value, tuple):
            self.refusals += answer.value
        return answer

    @property
    def locked(self) -> list[int]:
        """Objects that stayed as they were because they are locked."""
        return sorted({each.obj for each in self.refusals if each.error is None})

    @property
    def errors(self) -> list[Exception]:
        """What else was said against strokes, once for each object and kind."""
        first: dict[tuple[int, type], Exception] = {}
        for each in self.refusals:
            if each.error is not None:
                first.setdefault((each.obj, type(each.error)), each.error)
        return list(first.values())

    def is_refused(self, obj: int) -> bool:
        """Whether a stroke of an object was not taken."""
        return any(each.obj == obj for each in self.refusals)


def is_locked(session: Session, obj: int, frame: int) -> bool:
    """Tell whether an object is locked, as a whole or on a frame."""
    entry = session.entry(obj, frame)
    return obj in session.locked_objects or (entry is not None and entry.locked)


def take_strokes(
    session: Session, strokes: Iterable[Stroke], label: str, run: Hashable
) -> tuple[Refusal, ...]:
    """Take strokes as masks, each by itself: one that is refused changes nothing and keeps no other back."""
    found = (_take_stroke(session, stroke, label, run) for stroke in strokes)
    return tuple(refusal for refusal in found if refusal is not None)


def _take_stroke(session: Session, stroke: Stroke, label: str, run: Hashable) -> Refusal | None:
    if is_locked(session, stroke.obj, stroke.frame):
        return Refusal(stroke.obj)
    if not _is_told(session, stroke):
        return None
    try:
        with session.grouped(label, run):
            session.paint(stroke.obj, stroke.frame, stroke.mask)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told when the layer was put back
        return Refusal(stroke.obj, error)
    return None


def _is_told(session: Session, stroke: Stroke) -> bool:
    """Whether a mask has to be set: one that only lost pixels to others was painted by hand before."""
    entry = session.entry(stroke.obj, stroke.frame)
    return not stroke.overpainted or (entry is not None and entry.provenance == "painted")


def put_back(strokes: Sequence[Stroke], error: Exception) -> Answer:
    """Answer strokes where there is no session: nothing can be seen there but what was painted."""
    shapes = {stroke.frame: stroke.mask.shape for stroke in strokes}
    changes = tuple(
        LabelChange(frame, Box(0, 0, *shape), np.zeros(shape, np.uint16)) for frame, shape in shapes.items()
    )
    return Answer(changes, value=tuple(Refusal(stroke.obj, error) for stroke in strokes))
