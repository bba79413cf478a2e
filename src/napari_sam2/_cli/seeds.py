"""Clicks and boxes of the command line as prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from napari_sam2._cli.arguments import BoxArgument, Click
    from napari_sam2.seeding import Seeds


@dataclass
class _Draft:
    """The prompts of one object on one frame while they are collected."""

    points: list[tuple[float, float]] = field(default_factory=list)
    positive: list[bool] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None


def seeds_of(clicks: Iterable[Click], boxes: Iterable[BoxArgument]) -> Seeds:
    """Collect clicks and boxes by object and frame; clicks keep their order."""
    drafts: dict[tuple[int, int], _Draft] = {}
    for click in clicks:
        draft = drafts.setdefault((click.obj, click.frame), _Draft())
        draft.points.append(click.point)
        draft.positive.append(click.positive)
    for box in boxes:
        draft = drafts.setdefault((box.obj, box.frame), _Draft())
        if draft.box is not None:
            raise ValueError(f"Object {box.obj} has two boxes on frame {box.frame}: give one.")
        draft.box = box.corners
    return {key: FramePrompts(draft.points, draft.positive, draft.box) for key, draft in drafts.items()}
