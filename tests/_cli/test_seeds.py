"""Prompts from clicks, boxes and label images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2._cli import seeds
from napari_sam2._cli.arguments import Box, Click
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._cli.fake_session import FakeSession, two_squares


def test_clicks_and_boxes_are_collected_in_order() -> None:
    clicks = (Click(1, 3, (1, 2), True), Click(2, 3, (5, 5), True), Click(1, 3, (8, 9), False))
    found = seeds.seeds_of(clicks, (Box(1, 3, (0, 0, 9, 9)), Box(1, 4, (1, 1, 3, 3))))
    assert found == {
        (1, 3): FramePrompts(((1, 2), (8, 9)), (True, False), box=(0, 0, 9, 9)),
        (2, 3): FramePrompts(((5, 5),), (True,)),
        (1, 4): FramePrompts(box=(1, 1, 3, 3)),
    }


def test_two_boxes_for_one_object() -> None:
    box = Box(1, 3, (0, 0, 9, 9))
    with pytest.raises(ValueError, match="two boxes on frame 3"):
        seeds.seeds_of((), (box, box))


def test_labels_of_the_sequence_seed_the_frames_where_they_are() -> None:
    labels = two_squares()
    labels[1:] = 0
    labels[4, 1, 1] = 70_000 % 65_536
    found = seeds.mask_seeds(labels, labels.shape, 0)
    assert set(found) == {(1, 0), (2, 0), (70_000 % 65_536, 4)}
    assert found[1, 0] == FramePrompts(mask=labels[0] == 1)


def test_labels_of_one_frame() -> None:
    labels = two_squares()
    found = seeds.mask_seeds(labels[2], labels.shape, 5)
    assert set(found) == {(1, 5), (2, 5)}


def test_labels_that_do_not_fit() -> None:
    labels = two_squares()
    with pytest.raises(ValueError, match=r"\(6, 40, 47\).*\(6, 40, 48\)"):
        seeds.mask_seeds(labels[..., :-1], labels.shape, 0)
    with pytest.raises(ValueError, match="whole numbers, not float32"):
        seeds.mask_seeds(labels.astype(np.float32), labels.shape, 0)


def test_sources_are_joined() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1] = True
    point = FramePrompts(((1, 2),), (True,))
    joined = seeds.merged({(1, 0): FramePrompts(mask=mask)}, {(1, 0): point, (2, 0): point})
    assert joined == {(1, 0): FramePrompts(((1, 2),), (True,), mask=mask), (2, 0): point}


def test_a_prompt_beside_the_sequence() -> None:
    with pytest.raises(ValueError, match="frame 6: the frames are 0 to 5"):
        seeds.check_frames({(1, 6): FramePrompts(((1, 2),), (True,))}, 6)


def test_planting() -> None:
    session = FakeSession(two_squares())
    given = seeds.seeds_of((Click(2, 4, (1, 2), True), Click(1, 0, (1, 2), True)), ())
    seeds.plant(session.as_session(), given)
    assert list(session.prompts) == [PromptKey(1, 0), PromptKey(2, 4)]
