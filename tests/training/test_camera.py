from __future__ import annotations

import torch

from napari_sam2.training.camera import _digitise, _noise_levels, _sample, _window, photograph
from napari_sam2.training.draws import Draws


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _scene(batch: int = 12, frames: int = 3) -> torch.Tensor:
    image = torch.full((batch, frames, 48, 48), 0.2)
    image[:, :, 12:36, 12:36] = 0.7
    return image


def test_pictures_are_colours_between_black_and_white() -> None:
    pictures = photograph(_scene(), torch.zeros(12, dtype=torch.bool), _draws())
    assert pictures.shape == (12, 3, 3, 48, 48)
    assert pictures.min() >= 0
    assert pictures.max() <= 1


def test_what_is_there_is_to_be_seen() -> None:
    pictures = photograph(_scene(40), torch.zeros(40, dtype=torch.bool), _draws())
    inside = pictures[..., 14:34, 14:34].mean((2, 3, 4))
    outside = pictures[..., :10].mean((2, 3, 4))
    assert ((inside - outside).abs().amax(1) > 0.02).float().mean() > 0.95


def test_noise_never_buries_the_picture() -> None:
    image = _scene(200)
    shot, read, _rows = _noise_levels(image, _draws())
    noise = shot * image.mean((1, 2, 3)).sqrt() + read
    assert (noise <= 1.6 * image.std((1, 2, 3))).all()


def test_few_bits_are_few_grey_values() -> None:
    ramp = torch.linspace(-0.2, 1.2, 64 * 64).view(1, 1, 64, 64).expand(80, -1, -1, -1)
    digits = _digitise(ramp, _draws())
    assert digits.min() == 0
    assert digits.max() == 1
    counts = {len(image.unique()) for image in digits}
    assert {16, 64, 256} <= counts
    assert max(counts) > 1000


def test_calm_scenes_have_less_noise_and_finer_pixels() -> None:
    image = _scene(60, frames=1)
    noise = {
        calm: float(
            (_sample(image, torch.full((60,), calm), _draws(2)) - image)[..., :8].std((1, 2, 3)).median()
        )
        for calm in (False, True)
    }
    assert noise[True] < 0.75 * noise[False]


def test_dim_pictures_are_stretched() -> None:
    dim = _scene(60) * 0.1
    stretched = _window(dim, _draws())
    spans = stretched.flatten(1).amax(1) - stretched.flatten(1).amin(1)
    assert (spans > 0.2).all()
    assert spans.max() > 0.9


def test_bright_pictures_may_stay_as_they_are() -> None:
    same = (_window(_scene(60), _draws()) == _scene(60)).flatten(1).all(1)
    assert 0.2 < same.float().mean() < 0.6
