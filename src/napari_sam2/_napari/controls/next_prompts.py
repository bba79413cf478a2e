"""What was said of an object on a frame, with one thing more."""

from __future__ import annotations

from napari_sam2.prompts import FramePrompts


def with_candidate(prompts: FramePrompts, candidate: int) -> FramePrompts:
    """Return the prompts with a choice among the candidates of their first step."""
    return FramePrompts(prompts.points, prompts.positive, prompts.box, prompts.packed, candidate)


def with_point(prompts: FramePrompts, y: float, x: float, *, positive: bool) -> FramePrompts:
    """Return the prompts with one more click."""
    points, signs = (*prompts.points, (y, x)), (*prompts.positive, positive)
    return FramePrompts(points, signs, prompts.box, prompts.packed, prompts.candidate)
