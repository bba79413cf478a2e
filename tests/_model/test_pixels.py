"""What the network is given: values exposed for what is in them, then normalised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS
from napari_sam2._model.pixels import _percentile, expose, normalise, prepare


def ramp(low: float, high: float, side: int = 64) -> torch.Tensor:
    return torch.linspace(low, high, side * side).view(1, 1, side, side)


def test_released_networks_get_their_images_as_they_are() -> None:
    image = ramp(20, 90)
    assert all(config.exposure == 0 for config in RELEASED_CONFIGS.values())
    for config in RELEASED_CONFIGS.values():
        assert torch.equal(prepare(image, config), normalise(image))


def test_a_whole_exposure_spans_the_range() -> None:
    shown = expose(ramp(20, 90), 1.0)
    assert shown.min() == 0
    assert shown.max() == 255
    assert abs(float(shown.median()) - 127.5) < 3


def test_half_an_exposure_lies_between_and_keeps_what_is_brighter_brighter() -> None:
    dim, bright = expose(ramp(5, 40), 0.5), expose(ramp(5, 80), 0.5)
    assert 40 < dim.quantile(0.9) < bright.quantile(0.9) < 255
    assert NANO_CONFIG.exposure == 0.5


def test_each_image_of_a_batch_is_exposed_alone() -> None:
    both = torch.cat([ramp(0, 60), ramp(100, 250)])
    assert torch.equal(expose(both, 0.5), torch.cat([expose(both[:1], 0.5), expose(both[1:], 0.5)]))


def test_channels_keep_their_colours() -> None:
    grey = ramp(10, 50).expand(1, 3, 64, 64)
    shown = expose(grey * torch.tensor([1.0, 0.5, 1.0]).view(1, 3, 1, 1), 1.0)
    assert torch.equal(shown[:, 0], shown[:, 2])
    assert (shown[:, 1] <= shown[:, 0]).all()


@given(st.floats(0, 255), st.floats(0, 1))
def test_an_image_of_one_value_stays_finite_and_within_range(value: float, share: float) -> None:
    shown = expose(torch.full((1, 1, 8, 8), value), share)
    assert torch.isfinite(shown).all()
    assert shown.min() >= 0
    assert shown.max() <= 255


def test_exposures_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="exposure"):
        replace(NANO_CONFIG, exposure=1.5)


@given(st.integers(1, 700), st.sampled_from([0.0, 0.5, 20.0, 99.8, 100.0]))
def test_percentiles_are_those_of_the_whole_row(count: int, percent: float) -> None:
    rows = torch.from_numpy(np.random.default_rng(count).uniform(0, 255, (3, count)).astype(np.float32))
    torch.testing.assert_close(_percentile(rows, percent), rows.quantile(percent / 100, dim=1))
