from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_sam2.training.clicks import choose_targets
from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.synthetic import SyntheticBatch, SyntheticConfig, make_sequences

RULES = LayoutRules(max_objects=12)
STILL = replace(RULES, volumes=0.0, dividing=0.0, visitors=0.0, uneven=0.0, backward=0.0)
ALL_KINDS = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


def _make(rules: LayoutRules = RULES, seed: int = 0, batch: int = 6, frames: int = 5) -> SyntheticBatch:
    generator = torch.Generator("cpu").manual_seed(seed)
    return make_sequences(SyntheticConfig(rules), batch, frames, 64, generator)


def test_shapes_types_and_ranges() -> None:
    made = _make(batch=12)
    assert made.images.shape == (12, 5, 3, 64, 64)
    assert made.labels.shape == (12, 5, 64, 64)
    assert made.images.dtype == torch.float32
    assert made.labels.dtype == torch.int32
    assert made.images.isfinite().all()
    assert made.images.min() >= 0
    assert made.images.max() <= 255
    assert made.labels.min() >= 0
    assert made.labels.max() <= 12


def test_the_state_of_the_generator_decides() -> None:
    first, again, other = _make(seed=3), _make(seed=3), _make(seed=4)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)


def test_a_generator_goes_on_where_it_was() -> None:
    generator = torch.Generator().manual_seed(0)
    first = make_sequences(SyntheticConfig(RULES), 2, 2, 32, generator)
    state = generator.get_state()
    second = make_sequences(SyntheticConfig(RULES), 2, 2, 32, generator)
    assert not torch.equal(first.images, second.images)
    generator.set_state(state)
    assert torch.equal(make_sequences(SyntheticConfig(RULES), 2, 2, 32, generator).images, second.images)


def test_everything_is_made_on_the_device_of_the_generator() -> None:
    """Where another device is the default, what is made without one cannot be used with the rest."""
    plain = _make(batch=16, frames=3)
    with torch.device("meta"):
        inside = _make(batch=16, frames=3)
    assert inside.images.device.type == "cpu"
    assert torch.equal(plain.images, inside.images)
    assert torch.equal(plain.labels, inside.labels)


def test_half_precision_around_it_changes_nothing() -> None:
    plain = _make()
    with torch.autocast("cpu", torch.bfloat16):
        inside = _make()
    assert torch.equal(plain.images, inside.images)
    assert torch.equal(plain.labels, inside.labels)


@pytest.mark.parametrize(("batch", "frames", "size"), [(0, 1, 64), (1, 0, 64), (1, 1, 60), (1, 1, 24)])
def test_bad_numbers_are_refused(batch: int, frames: int, size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        make_sequences(SyntheticConfig(), batch, frames, size, torch.Generator())


@pytest.mark.parametrize("objects", [1, 2, 3, 7, 24])
def test_any_number_of_objects(objects: int) -> None:
    labels = _make(LayoutRules(max_objects=objects), frames=3).labels
    assert 1 <= labels.max() <= objects


@pytest.mark.parametrize("kinds", ALL_KINDS)
def test_every_clip_starts_with_an_object_to_click(kinds: tuple[float, float, float, float]) -> None:
    made = _make(replace(RULES, kinds=kinds), batch=20, frames=2)
    assert (made.labels[:, 0] > 0).flatten(1).any(1).float().mean() > 0.95
    assert made.images.flatten(1).std(1).min() > 0.1


def test_an_id_stays_with_its_object() -> None:
    """From frame to frame most of an object's pixels keep its id."""
    labels = _make(STILL, batch=8).labels
    kept = []
    for before, after in zip(labels[:, :-1].flatten(0, 1), labels[:, 1:].flatten(0, 1), strict=True):
        for obj in before.unique()[1:]:
            mask = before == obj
            if mask.sum() > 60:
                kept.append(float((after[mask] == obj).float().mean()))
    assert sum(kept) / len(kept) > 0.7


@pytest.mark.parametrize("kinds", ALL_KINDS[:3])
def test_an_object_is_one_piece(kinds: tuple[float, float, float, float]) -> None:
    """But for crumbs that a warped outline leaves, and pieces that a neighbour cuts off."""
    labels = _make(replace(STILL, kinds=kinds), batch=8, frames=2).labels.numpy()
    largest = []
    for frame in labels.reshape(-1, 64, 64):
        for obj in np.unique(frame)[1:]:
            pieces = ndimage.label(frame == obj, np.ones((3, 3)))[0]
            largest.append(np.bincount(pieces.ravel())[1:].max() / (frame == obj).sum())
    assert np.mean(largest) > 0.98


@pytest.mark.parametrize(("kinds", "low", "high"), [(k, 0.05, 0.5) for k in ALL_KINDS])
def test_a_clicked_object_is_often_absent_later(
    kinds: tuple[float, float, float, float], low: float, high: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    rules = SyntheticConfig(LayoutRules(kinds=kinds, diameter=(0.15, 0.7), max_objects=16))
    made = make_sequences(rules, 40, 7, 32, generator)
    targets = choose_targets(made.labels, 3, Draws(generator), least_area=4)
    absent = ~targets.present[targets.valid]
    assert not absent[:, 0].any()
    assert low < absent.float().mean() < high


def test_tiles_fill_the_plane_and_others_do_not() -> None:
    def covered(kinds: tuple[float, float, float, float]) -> float:
        return float((_make(replace(STILL, kinds=kinds)).labels > 0).float().mean())

    tiles = covered(ALL_KINDS[2])
    assert tiles > 0.8
    assert all(covered(kinds) < tiles - 0.1 for kinds in (ALL_KINDS[0], ALL_KINDS[1], ALL_KINDS[3]))
