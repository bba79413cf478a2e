"""Prompts from clicks and boxes."""

from __future__ import annotations

import pytest

from napari_sam2._cli import seeds
from napari_sam2._cli.arguments import BoxArgument, Click
from napari_sam2.prompts import FramePrompts


def test_clicks_and_boxes_are_collected_in_order() -> None:
    clicks = (Click(1, 3, (1, 2), True), Click(2, 3, (5, 5), True), Click(1, 3, (8, 9), False))
    found = seeds.seeds_of(clicks, (BoxArgument(1, 3, (0, 0, 9, 9)), BoxArgument(1, 4, (1, 1, 3, 3))))
    assert found == {
        (1, 3): FramePrompts(((1, 2), (8, 9)), (True, False), box=(0, 0, 9, 9)),
        (2, 3): FramePrompts(((5, 5),), (True,)),
        (1, 4): FramePrompts(box=(1, 1, 3, 3)),
    }


def test_two_boxes_for_one_object() -> None:
    box = BoxArgument(1, 3, (0, 0, 9, 9))
    with pytest.raises(ValueError, match="two boxes on frame 3"):
        seeds.seeds_of((), (box, box))
