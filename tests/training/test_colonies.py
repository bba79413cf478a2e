from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.training.colonies import families_of
from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import NEVER, Layout, LayoutRules
from napari_sam2.training.scenes import draw_layout
from napari_sam2.training.shapes import draw_shapes

RODS = LayoutRules(
    kinds=(0.0, 1.0, 0.0, 0.0), max_objects=22, volumes=0.0, dividing=1.0, uneven=0.0, backward=0.0
)
FAMILIES = 4  # of 22 objects


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _layout(rules: LayoutRules = RODS, batch: int = 24, frames: int = 7, seed: int = 0) -> Layout:
    return draw_layout(rules, batch, frames, 64, _draws(seed))


def _families(layout: Layout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    alive = layout.lift < NEVER / 2
    return alive[..., :FAMILIES], alive[..., FAMILIES : 2 * FAMILIES], alive[..., 2 * FAMILIES : 3 * FAMILIES]


def test_a_mother_ends_where_her_two_daughters_begin() -> None:
    mother, first, second = _families(_layout())
    exists = mother[:, 0]
    assert torch.equal(first, second)
    assert torch.equal(first, exists.unsqueeze(1) & ~mother)
    assert first.any(1).float().mean() > 0.3
    # Once divided, a mother never comes back.
    assert not (mother[:, 1:] & ~mother[:, :-1]).any()


def test_backward_daughters_become_one() -> None:
    mother, first, _second = _families(_layout(replace(RODS, backward=1.0)))
    assert not (first[:, 1:] & ~first[:, :-1]).any()
    assert (mother[:, -1] & first[:, 0]).any()


def test_nobody_divides_where_nobody_may() -> None:
    mother, first, _second = _families(_layout(replace(RODS, dividing=0.0)))
    assert not first.any()
    assert (mother == mother[:, :1]).all()


def test_two_daughters_are_as_long_as_their_mother_was() -> None:
    layout = _layout()
    mother, first, _ = _families(layout)
    length = 2 * (layout.core + layout.long)
    checked = 0
    for scene, time, family in (first[:, 1:] & mother[:, :-1]).nonzero().tolist():
        before = length[scene, time, family]
        after = length[scene, time + 1, [FAMILIES + family, 2 * FAMILIES + family]].sum()
        assert 0.85 < after / before < 1.4
        checked += 1
    assert checked > 10


def test_daughters_lie_within_the_place_of_their_mother() -> None:
    layout = _layout()
    mother, first, _ = _families(layout)
    for scene, time, family in (first[:, 1:] & mother[:, :-1]).nonzero().tolist():
        pair = [FAMILIES + family, 2 * FAMILIES + family]
        moved = layout.y[scene, time + 1, pair].mean() - layout.y[scene, time, family]
        assert moved.abs() < 3 * (layout.core + layout.long)[scene, time, family]


def test_rods_grow() -> None:
    layout = _layout(replace(RODS, dividing=0.0))
    longer = layout.core[:, -1, :FAMILIES] - layout.core[:, 0, :FAMILIES]
    assert (longer >= 0).all()
    assert longer.max() > 1


def test_cells_of_a_chain_do_not_lie_on_one_another() -> None:
    """Nearly the whole area of the capsules is labelled: hardly any is hidden under a neighbour."""
    rules = replace(RODS, diameter=(0.15, 0.2))
    layout = _layout(rules, batch=16, frames=2)
    labels = draw_shapes(layout, 64, _draws()).labels
    inside = (layout.y - 32).abs().amax(1).lt(18) & (layout.x - 32).abs().amax(1).lt(18)
    alive = (layout.lift < NEVER / 2).all(1)
    area = 4 * layout.core * layout.short + torch.pi * layout.short**2
    shown = torch.stack([(labels == k + 1).flatten(2).sum(2) for k in range(22)], dim=2) / area
    chosen = (inside & alive).unsqueeze(1).expand_as(shown)
    assert chosen.sum() > 20
    assert shown[chosen].median() > 0.85


def test_other_scenes_stay_as_they_are() -> None:
    layout = _layout(replace(RODS, kinds=(1.0, 0.0, 0.0, 0.0), max_objects=23))
    assert (layout.core == 0).all()


def test_the_others_only_grow() -> None:
    layout = _layout()
    others = layout.lift[..., 3 * FAMILIES :] < NEVER / 2
    assert others.any()
    assert (others == others[:, :1]).all()


@pytest.mark.parametrize(("objects", "families"), [(1, 0), (4, 0), (5, 1), (16, 3)])
def test_families(objects: int, families: int) -> None:
    assert families_of(objects) == families
    assert (_layout(replace(RODS, max_objects=objects)).lift[:, 0] < NEVER / 2).any(1).all()
