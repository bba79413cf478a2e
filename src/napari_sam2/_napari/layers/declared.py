"""The prompts that the layers declare, put together from points, boxes, outlines and painted masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.prompts import FramePrompts, PromptKey, difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_sam2._labels.packed_mask import PackedMask
    from napari_sam2.prompts import Point, PromptBox


@dataclass
class Clicks:
    """The points of an object on a frame, in the order in which they were given."""

    points: list[Point] = field(default_factory=list)
    positive: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Drawn:
    """What is drawn in the layers of prompts.

    Attributes
    ----------
    clicks : mapping of PromptKey to Clicks
    boxes : mapping of PromptKey to PromptBox
    outlines : mapping of PromptKey to PackedMask
        Rasterised.
    """

    clicks: Mapping[PromptKey, Clicks]
    boxes: Mapping[PromptKey, PromptBox]
    outlines: Mapping[PromptKey, PackedMask]


class Declaration:
    """Turns what is drawn into prompts, and remembers of prompts what cannot be drawn.

    Painted masks are seen in the Labels layer only, and the choice among candidates nowhere. Both are kept
    here from the prompts that were shown last. An outline takes the place of a painted mask; a choice ends
    when the first step that it belongs to is another one.
    """

    def __init__(self) -> None:
        self._painted: dict[PromptKey, PackedMask] = {}
        self._choices: dict[PromptKey, tuple[object, int]] = {}
        self._cache: dict[PromptKey, tuple[object, FramePrompts]] = {}

    def remember(self, prompts: Mapping[PromptKey, FramePrompts], outlined: Iterable[PromptKey]) -> None:
        """Take the prompts that are shown from now on; the masks of `outlined` are drawn as shapes."""
        drawn = set(outlined)
        self._painted = {
            key: each.packed for key, each in prompts.items() if each.packed is not None and key not in drawn
        }
        self._choices = {
            key: (_first_step(each.points, each.positive, each.box, each.packed is not None), each.candidate)
            for key, each in prompts.items()
            if each.candidate is not None
        }

    def prompts(self, drawn: Drawn) -> dict[PromptKey, FramePrompts]:
        """Return all prompts, sorted by object and frame."""
        keys = {*drawn.clicks, *drawn.boxes, *drawn.outlines, *self._painted}
        found = {key: self._of(key, drawn) for key in sorted(keys)}
        self._cache = {key: each for key, each in self._cache.items() if key in keys}
        return found

    def _of(self, key: PromptKey, drawn: Drawn) -> FramePrompts:
        clicks, box = drawn.clicks.get(key, Clicks()), drawn.boxes.get(key)
        mask = drawn.outlines.get(key)
        if mask is None:
            mask = self._painted.get(key)
        else:
            self._painted.pop(key, None)
        points, positive = tuple(clicks.points), tuple(clicks.positive)
        choice = self._choice(key, _first_step(points, positive, box, mask is not None))
        said = (points, positive, box, mask, choice)
        known = self._cache.get(key)
        if known is None or known[0] != said:
            known = self._cache[key] = (said, FramePrompts(*said))
        return known[1]

    def _choice(self, key: PromptKey, first: object) -> int | None:
        known = self._choices.get(key)
        if known is None:
            return None
        if known[0] == first:
            return known[1]
        del self._choices[key]
        return None


def same_prompts(a: Mapping[PromptKey, FramePrompts], b: Mapping[PromptKey, FramePrompts]) -> bool:
    """Tell whether two sets of prompts are equal; quick where they hold the same objects."""
    return a.keys() == b.keys() and all(each is b[key] or each == b[key] for key, each in a.items())


def absorbing(
    prompts: Mapping[PromptKey, FramePrompts],
    told: Mapping[PromptKey, FramePrompts],
    outlines: Iterable[PromptKey],
) -> dict[PromptKey, FramePrompts]:
    """Return what outlines that were just drawn, or changed, make of the prompts there.

    As a stroke does, an outline takes the place of the points and the box that were there before it.
    """
    found = {}
    for key in outlines:
        said, before = prompts[key], told.get(key, FramePrompts())
        if before.is_empty or _adds_nothing(said.packed, before.packed):
            continue
        clicks = [each for each in _clicks(said) if each not in _clicks(before)]
        box = None if said.box == before.box else said.box
        if (len(clicks), box) != (len(said.points), said.box):
            points, signs = [at for at, _ in clicks], [sign for _, sign in clicks]
            found[key] = FramePrompts(points, signs, box, said.packed)
    return found


def _adds_nothing(mask: PackedMask | None, before: PackedMask | None) -> bool:
    """Whether an outline is as it was, or one of several was taken out."""
    return mask is None or (before is not None and mask.is_within(before))


def unread(
    shown: Mapping[PromptKey, FramePrompts],
    told: Mapping[PromptKey, FramePrompts],
    now: Mapping[PromptKey, FramePrompts],
) -> dict[PromptKey, FramePrompts]:
    """Return what differs in the layers from what they told last, and so was not told yet.

    Where prompts are to be shown that have a mask of which the layers did not know, as after a stroke that a
    click follows at once, the mask stays and the click refines it.

    Parameters
    ----------
    shown : mapping of PromptKey to FramePrompts
        What is to be shown.
    told, now : mapping of PromptKey to FramePrompts
        What the layers told last, and what they say now.

    Returns
    -------
    dict of PromptKey to FramePrompts
        Empty ones where everything was taken out.
    """
    nothing, mine = FramePrompts(), difference(told, now)
    return {
        key: refine(now.get(key, nothing), told.get(key, nothing), shown.get(key, nothing))
        for key in (*mine.removed, *mine.changed)
    }


def refine(said: FramePrompts, known: FramePrompts, there: FramePrompts) -> FramePrompts:
    """Say of other prompts what was said without knowing of them, as of a mask that was just painted.

    Parameters
    ----------
    said : FramePrompts
        What the layers say.
    known : FramePrompts
        What they said when they knew last what was there: only the difference counts.
    there : FramePrompts
        What is there now.

    Returns
    -------
    FramePrompts
        `there`, with the points, the box, the mask and the choice that `said` changed.
    """
    if there == known:
        return said
    clicks = _merged(_clicks(said), _clicks(known), _clicks(there))
    mask = there.packed if said.packed == known.packed else said.packed
    box = there.box if said.box == known.box else said.box
    choice = there.candidate if box == there.box else None
    if said.candidate != known.candidate and mask == said.packed:
        choice = said.candidate
    return FramePrompts([at for at, _ in clicks], [sign for _, sign in clicks], box, mask, choice)


_Click = tuple["Point", bool]


def _clicks(prompts: FramePrompts) -> list[_Click]:
    return list(zip(prompts.points, prompts.positive, strict=True))


def _merged(said: list[_Click], known: list[_Click], there: list[_Click]) -> list[_Click]:
    """Return clicks without those that were taken out and with those that were given since."""
    kept = [each for each in there if each in said or each not in known]
    return kept + [each for each in said if each not in known and each not in there]


def _first_step(
    points: tuple[Point, ...],
    positive: tuple[bool, ...],
    box: PromptBox | None,
    has_mask: bool,
) -> object:
    """Return what the network is told first, which a choice among its candidates belongs to."""
    if has_mask:
        return "mask"
    return box if box is not None else (points[:1], positive[:1])
