"""What was painted, as it goes to the session, and what the session refuses of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._napari.layers.declared import refine
from napari_sam2._napari.layers.ids import check_allowed, is_allowed
from napari_sam2._napari.layers.strokes import label_of
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.opening import NotOpenError
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from napari_sam2._napari.layers.strokes import Stroke
    from napari_sam2._napari.work.desk import Desk
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
    """Strokes of one movement, or of one action of a script, taken a frame at a time.

    Parameters
    ----------
    strokes : tuple of Stroke
        At least one.
    said : mapping of PromptKey to FramePrompts
        What the layers say.
    behind : frozenset of int
        Frames of which the layer did not show yet what the session had: there only what was painted counts.

    Attributes
    ----------
    last : PromptKey
        Where the last one is.
    known : dict of PromptKey to FramePrompts
        What was said where it was painted; of the masks that take its place the layers hear at the end.
    frames : tuple of int
        Where it was painted, in order.
    shape : (int, int)
        Of a frame.
    refusals : list of Refusal
        Strokes that were not taken.
    ended : bool
        Whether the layers have heard of all of it.
    """

    def __init__(
        self,
        strokes: tuple[Stroke, ...],
        said: Mapping[PromptKey, FramePrompts],
        behind: frozenset[int] = frozenset(),
    ) -> None:
        keys = [PromptKey(stroke.obj, stroke.frame) for stroke in strokes]
        self.last, self.ended, self._behind = keys[-1], False, behind
        self.known = {key: said.get(key, FramePrompts()) for key in keys}
        self.refusals: list[Refusal] = []
        self._label, self._run = label_of(strokes), strokes[0].action or self
        self._waiting: dict[int, list[Stroke]] = {}
        for stroke in strokes:
            self._waiting.setdefault(stroke.frame, []).append(stroke)
        self.frames, self.shape = tuple(self._waiting), strokes[0].pixels.shape

    def take(self, frame: int, desk: Desk) -> None:
        """Take the strokes of a frame, if they wait still; on the inference thread."""
        strokes = self._waiting.pop(frame, [])
        if frame in self._behind and desk.session is not None:
            strokes = [new for each in strokes if (new := _over(desk.session, each)) is not None]
        if strokes:
            self.refusals += desk.paint(strokes, self._label, self._run)

    @property
    def is_taken(self) -> bool:
        """Whether none of its strokes waits."""
        return not self._waiting

    @property
    def locked(self) -> list[int]:
        """Objects that stayed as they were because they are locked."""
        return sorted({each.obj for each in self.refusals if each.error is None})

    @property
    def errors(self) -> list[Exception]:
        """What else was said against strokes and not told yet, once for each object and kind."""
        first: dict[tuple[int, type], Exception] = {}
        for each in self.refusals:
            if each.error is not None and not isinstance(each.error, NotOpenError):
                first.setdefault((each.obj, type(each.error)), each.error)
        return list(first.values())

    def is_refused(self, obj: int) -> bool:
        """Whether a stroke of an object was not taken."""
        return any(each.obj == obj for each in self.refusals)


def _over(session: Session, stroke: Stroke) -> Stroke | None:
    """Return what a stroke makes of the object as the session has it; None if it changes nothing there."""
    shown = session.pixels(stroke.frame) == stroke.obj
    mask = np.where(stroke.changed.unpack(), stroke.mask, shown)
    return None if np.array_equal(mask, shown) else replace(stroke, pixels=PackedMask.pack(mask))


def is_locked(session: Session, obj: int, frame: int) -> bool:
    """Tell whether an object is locked, as a whole or on a frame."""
    entry = session.entry(obj, frame)
    return obj in session.locked_objects or (entry is not None and entry.locked)


def take_strokes(
    session: Session, strokes: Iterable[Stroke], label: str, run: Hashable
) -> tuple[Refusal, ...]:
    """Take strokes as masks, each by itself: one that is refused changes nothing and keeps no other back.

    What it took from others they keep, so those that only lost pixels come last.
    """
    refusals: list[Refusal] = []
    refused: dict[int, npt.NDArray[np.bool_]] = {}
    for stroke in sorted(strokes, key=lambda each: _turn_of(session, each)):
        refusal = _take_stroke(session, _unlost(session, stroke, refused), label, run)
        if refusal is not None:
            refusals.append(refusal)
            refused[stroke.frame] = refused.get(stroke.frame, False) | stroke.mask
    return tuple(refusals)


def _turn_of(session: Session, stroke: Stroke) -> tuple[bool, bool]:
    """Sort what is certain to be refused first, then what gained pixels."""
    is_refused = not is_allowed(stroke.obj, session.objects) or is_locked(session, stroke.obj, stroke.frame)
    return not is_refused, stroke.overpainted


def _unlost(session: Session, stroke: Stroke, refused: Mapping[int, npt.NDArray[np.bool_]]) -> Stroke:
    """Return a stroke with the pixels that its object has lost to strokes that were refused."""
    if stroke.frame not in refused:
        return stroke
    kept = refused[stroke.frame] & (session.pixels(stroke.frame) == stroke.obj)
    return replace(stroke, pixels=PackedMask.pack(stroke.mask | kept)) if kept.any() else stroke


def _take_stroke(session: Session, stroke: Stroke, label: str, run: Hashable) -> Refusal | None:
    if is_locked(session, stroke.obj, stroke.frame):
        return Refusal(stroke.obj)
    if not _is_told(session, stroke):
        return None
    try:
        check_allowed(stroke.obj, session.objects)
        with session.grouped(label, run):
            session.paint(stroke.obj, stroke.frame, stroke.pixels)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told when the layer was put back
        return Refusal(stroke.obj, error)
    return None


def _is_told(session: Session, stroke: Stroke) -> bool:
    """Whether a mask has to be set: one that only lost pixels to others was painted by hand before."""
    if not stroke.overpainted:
        return True
    entry = session.entry(stroke.obj, stroke.frame)
    was_painted = entry is not None and entry.provenance == "painted"
    return was_painted and not np.array_equal(stroke.mask, session.mask(stroke.obj, stroke.frame))


def take_frame(paintings: Sequence[Painting], frame: int, desk: Desk) -> Answer:
    """Take what was painted on a frame, the earliest first, and tell what came of it."""
    for painting in paintings:
        painting.take(frame, desk)
    if desk.session is None:  # nothing can be seen there but what was painted
        shape = paintings[-1].shape
        return Answer((LabelChange(frame, Box(0, 0, *shape), np.zeros(shape, np.uint16)),))
    return desk.repaint(frame, last=paintings[-1].is_taken)


@dataclass(frozen=True, eq=False)
class Saying:
    """What the layers say of an object on a frame.

    Attributes
    ----------
    key : PromptKey
    prompts : FramePrompts
    known : FramePrompts or None
        What they said before a mask was painted there of which they do not know.
    is_certain : bool
        Whether it is all that counts, whatever is there, as what a script says.
    is_unmeant : bool
        Whether it takes back a click that was not meant, as the first of a double click.
    together : Together, optional
        What else is said at the same time, as where points of several objects are deleted.
    """

    key: PromptKey
    prompts: FramePrompts
    known: FramePrompts | None = None
    is_certain: bool = False
    is_unmeant: bool = False
    together: Together | None = None


@dataclass(frozen=True, eq=False)
class Together:
    """Several objects or frames of which something is said at the same time: one step of undo.

    Attributes
    ----------
    places : int
        How many.
    """

    places: int


def declare(
    paintings: Sequence[Painting], heard: dict[PromptKey, FramePrompts], saying: Saying, desk: Desk
) -> Generator[None, None, Answer]:
    """Declare prompts after the strokes of their frame, in steps.

    What is there may be another thing than the layers knew, as after an undo that was under way: what they
    have changed counts. `heard` is what the session heard last of each; it is written here.
    """
    key, prompts = saying.key, saying.prompts
    for painting in paintings:
        painting.take(key.frame, desk)
    if desk.session is None:  # every click tries to open it, which has told why it cannot be
        return Answer()
    known = heard.get(key, FramePrompts()) if saying.known is None else saying.known
    if not saying.is_certain:
        prompts = refine(prompts, known, desk.session.prompts.get(key, FramePrompts()))
    without = desk.take_back(key, prompts) if saying.is_unmeant else None
    answer = without or (yield from desk.declare(key, prompts, saying.together))
    heard[key] = saying.prompts  # now: what fails was not heard
    return answer
