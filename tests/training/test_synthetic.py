from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import NEVER, RODS, TILES, LayoutRules, draw_layout
from napari_sam2.training.shapes import draw_shapes
from napari_sam2.training.synthetic import SyntheticBatch, SyntheticConfig, make_sequences

RULES = LayoutRules(max_objects=12)
STILL = replace(RULES, volumes=0.0, dividing=0.0, visitors=0.0)


def _make(rules: LayoutRules = RULES, seed: int = 0, batch: int = 6, frames: int = 5) -> SyntheticBatch:
    generator = torch.Generator().manual_seed(seed)
    return make_sequences(SyntheticConfig(rules), batch, frames, 64, generator)


def test_shapes_types_and_ranges() -> None:
    made = _make()
    assert made.images.shape == (6, 5, 3, 64, 64)
    assert made.labels.shape == (6, 5, 64, 64)
    assert made.images.dtype == torch.float32
    assert made.labels.dtype == torch.int32
    assert made.images.min() >= 0
    assert made.images.max() <= 255
    assert made.labels.min() >= 0
    assert made.labels.max() <= 12


def test_the_seed_decides() -> None:
    first, again, other = _make(seed=3), _make(seed=3), _make(seed=4)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)


@pytest.mark.parametrize(("batch", "frames", "size"), [(0, 1, 64), (1, 0, 64), (1, 1, 60), (1, 1, 24)])
def test_bad_numbers_are_refused(batch: int, frames: int, size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        make_sequences(SyntheticConfig(), batch, frames, size, torch.Generator())


def test_every_scene_shows_objects() -> None:
    made = _make(batch=16)
    assert (made.labels > 0).flatten(1).any(1).all()
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


def test_objects_of_volumes_come_or_go() -> None:
    labels = _make(replace(RULES, volumes=1.0), batch=8, frames=8).labels
    first, last = (set(labels[b, t].unique().tolist()) for b in range(1) for t in (0, 7))
    assert any(set(labels[b, 0].unique().tolist()) != set(labels[b, 7].unique().tolist()) for b in range(8))
    assert first
    assert last


def test_tiles_fill_the_plane_and_blobs_do_not() -> None:
    def covered(kinds: tuple[float, float, float]) -> float:
        return float((_make(replace(STILL, kinds=kinds)).labels > 0).float().mean())

    assert covered((0, 0, 1)) > 0.85
    assert covered((1, 0, 0)) < 0.75
    assert covered((0, 1, 0)) < 0.75


def test_a_mother_ends_and_two_new_ids_begin_where_she_was() -> None:
    rules = replace(STILL, kinds=(0.0, 1.0, 0.0), dividing=1.0, diameter=(0.25, 0.3))
    draws = Draws(torch.Generator().manual_seed(1))
    layout = draw_layout(rules, 8, 6, 64, draws)
    assert (layout.kind == RODS).all()
    alive = layout.lift < NEVER / 2
    mothers = 2
    for mother, daughters in ((0, (10, 8)), (1, (11, 9))):
        assert mother < mothers
        for daughter in daughters:
            exists = alive[:, :, mother].any(1)
            assert torch.equal(alive[exists][:, :, daughter], ~alive[exists][:, :, mother])
        assert alive[:, 0, mother].any()
        assert not alive[:, -1, mother].any()
    begin = int(alive[0, :, 10].float().argmax())
    apart = (layout.y[0, begin, 10] - layout.y[0, begin - 1, 0]).abs()
    assert apart < 3 * (layout.core + layout.long)[0, begin - 1, 0]


def test_labels_are_the_living_objects_alone() -> None:
    draws = Draws(torch.Generator().manual_seed(2))
    layout = draw_layout(RULES, 6, 5, 64, draws)
    labels = draw_shapes(layout, 64, draws).labels
    for scene in range(6):
        for frame in range(5):
            shown = labels[scene, frame].unique()
            alive = layout.lift[scene, frame] < NEVER / 2
            assert all(bool(alive[int(obj) - 1]) for obj in shown if obj > 0)


def test_kinds_can_be_switched_off() -> None:
    draws = Draws(torch.Generator().manual_seed(0))
    layout = draw_layout(replace(RULES, kinds=(0, 0, 1)), 9, 2, 64, draws)
    assert (layout.kind == TILES).all()
