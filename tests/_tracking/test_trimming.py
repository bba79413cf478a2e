"""Clicks beside the middle of a mask take something off it; those in its middle deny it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2._tracking.conditioning import Base, answer_prompts
from napari_sam2._tracking.trimming import only_trims
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts
from tests._model.small import features, small_model

SIDE = 48
Y, X = np.mgrid[:SIDE, :SIDE]
DISC = (Y - 20) ** 2 + (X - 28) ** 2 < 15**2


def places(*each: tuple[float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(each, np.float32)


@pytest.mark.parametrize(
    ("place", "trims"),
    [
        ((28, 20), False),
        ((29.9, 21.2), False),
        ((37, 20), True),
        ((28, 7), True),
        ((2, 2), True),
        ((90, -4), True),
    ],
)
def test_what_is_beside_the_middle_trims(place: tuple[float, float], trims: bool) -> None:
    assert only_trims(DISC, places(place)) is trims


def test_one_click_in_the_middle_denies_whatever_the_others_do() -> None:
    assert not only_trims(DISC, places((37, 20), (28, 20)))
    assert only_trims(DISC, places((37, 20), (20, 12)))


def test_a_mask_without_pixels_has_nothing_to_trim() -> None:
    assert not only_trims(np.zeros((8, 8), bool), places((4, 4)))


def test_a_mask_that_fills_its_window_is_deepest_in_the_middle() -> None:
    full = np.ones((16, 16), bool)
    assert not only_trims(full, places((8, 7)))
    assert only_trims(full, places((1, 8)))


def _presence(*clicks: tuple[float, float], positive: bool = False, trims: bool = True) -> float:
    """Ask a network that calls everything absent; clicks as (y, x) on a frame of 96 x 96 pixels."""
    model = small_model()
    model.state_dict()["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(-20)
    seen = features(model)
    grid = 4 * seen.embedding.shape[-1]
    logits = np.where(np.kron(DISC, np.ones((2, 2)))[:: 96 // grid, :: 96 // grid], 8, -8).astype(np.float32)
    prompts = FramePrompts(points=clicks, positive=(positive,) * len(clicks))
    base = Base(logits, seen.embedding[0].numpy())
    with torch.no_grad():
        return float(
            answer_prompts(model, seen, prompts, (96, 96), base, Box(0, 0, 96, 96), trims=trims).object_logits
        )


@pytest.mark.parametrize("clicks", [((40, 76),), ((40, 76), (16, 56))])
def test_an_object_that_is_trimmed_stays(clicks: tuple[tuple[float, float], ...]) -> None:
    assert _presence(*clicks) > 0


def test_an_object_that_is_denied_goes_if_the_network_says_so() -> None:
    assert _presence((40, 56)) < 0
    assert _presence((40, 76), (40, 56)) < 0


def test_networks_made_for_frames_decide_by_themselves() -> None:
    assert _presence((40, 76), trims=False) < 0


def test_positive_clicks_leave_it_to_the_network() -> None:
    assert _presence((40, 76), positive=True) < 0
