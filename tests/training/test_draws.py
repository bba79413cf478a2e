from __future__ import annotations

import pytest
import torch

from napari_sam2.training.draws import Draws


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def test_same_seed_same_numbers() -> None:
    assert torch.equal(_draws().uniform(5), _draws().uniform(5))
    assert not torch.equal(_draws(0).uniform(5), _draws(1).uniform(5))


def test_uniform_and_log_uniform_keep_their_bounds() -> None:
    draws = _draws()
    for values in (draws.uniform(1000, low=2, high=3), draws.log_uniform(1000, low=2, high=3)):
        assert values.min() >= 2
        assert values.max() <= 3


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.0, 0.0, 2.0), (0.0, 5.0, 0.0)])
def test_pick_never_takes_what_has_no_weight(weights: tuple[float, ...]) -> None:
    assert set(_draws().pick(weights, 200).tolist()) == {weights.index(max(weights))}


def test_pick_follows_the_weights() -> None:
    counts = torch.bincount(_draws().pick((1, 3), 4000), minlength=2)
    assert counts[1] / counts[0] == pytest.approx(3, rel=0.15)


def test_sometimes_keeps_or_clears_whole_rows() -> None:
    kept = _draws().sometimes(torch.ones(500, 3), 0.4)
    rows = kept.sum(1)
    assert set(rows.tolist()) == {0.0, 3.0}
    assert (rows > 0).float().mean() == pytest.approx(0.4, abs=0.08)


@pytest.mark.parametrize(("probability", "most", "count"), [(0.0, 3, 0), (1.0, 3, 3), (1.0, 0, 0)])
def test_a_streak_ends_where_nothing_happens_or_at_most(probability: float, most: int, count: int) -> None:
    assert _draws().streak(probability, most) == count


def test_streaks_are_as_long_as_their_probability_says() -> None:
    draws = _draws()
    mean = sum(draws.streak(0.5, 20) for _ in range(2000)) / 2000
    assert mean == pytest.approx(1, abs=0.1)
