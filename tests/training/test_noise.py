from __future__ import annotations

import math

import pytest
import torch

from napari_sam2.training.draws import Draws
from napari_sam2.training.noise import evolving_noise, octave_weights


def _field(speed: float, wavelength: float = 16.0) -> torch.Tensor:
    draws = Draws(torch.Generator().manual_seed(0))
    weights = octave_weights(torch.tensor([wavelength]), 64)
    return evolving_noise(draws, weights, 4, 2, 64, torch.tensor([speed]))


def test_weights_have_unit_energy_and_peak_at_the_wavelength() -> None:
    weights = octave_weights(torch.tensor([4.0, 16.0]), 64)
    assert torch.allclose(weights.norm(dim=1), torch.ones(2))
    assert weights.argmax(1).tolist() == [2, 0]


def test_shape_and_variance() -> None:
    field = _field(0.1, wavelength=6.0)
    assert field.shape == (1, 4, 2, 64, 64)
    assert 0.5 < field.std() < 1.6


def test_no_speed_keeps_the_field() -> None:
    field = _field(0.0)
    assert torch.equal(field[:, 0], field[:, 3])


def test_a_quarter_turn_makes_an_unrelated_field() -> None:
    field = _field(math.pi / 2, wavelength=4.0)
    both = torch.stack((field[0, 0, 0].flatten(), field[0, 1, 0].flatten()))
    assert float(torch.corrcoef(both)[0, 1]) == pytest.approx(0, abs=0.25)


def test_long_waves_are_smoother() -> None:
    fine, coarse = _field(0.0, 4.0), _field(0.0, 16.0)
    assert fine.diff(dim=-1).std() / fine.std() > 1.5 * coarse.diff(dim=-1).std() / coarse.std()
