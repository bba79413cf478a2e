from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import BLOBS, NEVER, ORGANELLES, RODS, TILES, Layout, LayoutRules
from napari_sam2.training.motion import draw_times
from napari_sam2.training.scenes import draw_layout
from napari_sam2.training.shapes import draw_shapes

RULES = LayoutRules(max_objects=12)
STILL = replace(RULES, volumes=0.0, dividing=0.0, visitors=0.0, uneven=0.0, backward=0.0)
ONLY_BLOBS = (1.0, 0.0, 0.0, 0.0)
ONLY_RODS = (0.0, 1.0, 0.0, 0.0)
ONLY_TILES = (0.0, 0.0, 1.0, 0.0)
ONLY_ORGANELLES = (0.0, 0.0, 0.0, 1.0)


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _layout(rules: LayoutRules, batch: int = 8, frames: int = 6, seed: int = 0) -> Layout:
    return draw_layout(rules, batch, frames, 64, _draws(seed))


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [(ONLY_BLOBS, BLOBS), (ONLY_RODS, RODS), (ONLY_TILES, TILES), (ONLY_ORGANELLES, ORGANELLES)],
)
def test_kinds_can_be_switched_off(kinds: tuple[float, float, float, float], kind: int) -> None:
    assert (_layout(replace(RULES, kinds=kinds)).kind == kind).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_are_volumes(share: float) -> None:
    assert (_layout(replace(RULES, volumes=share), batch=32).volume == bool(share)).all()


def test_rods_are_mostly_times_and_organelles_mostly_slices() -> None:
    rods = _layout(replace(RULES, kinds=ONLY_RODS), batch=200, frames=1)
    organelles = _layout(replace(RULES, kinds=ONLY_ORGANELLES), batch=200, frames=1)
    assert rods.volume.float().mean() < 0.3
    assert organelles.volume.float().mean() > 0.7


def test_rows_are_the_scenes_of_an_index() -> None:
    layout = _layout(RULES)
    some = layout.rows(torch.tensor([5, 2]))
    assert torch.equal(some.kind, layout.kind[[5, 2]])
    assert torch.equal(some.lobes, layout.lobes[[5, 2]])


def test_time_goes_on_by_one_unless_told_otherwise() -> None:
    assert draw_times(STILL, 3, 4, _draws()).tolist() == [[0, 1, 2, 3]] * 3
    assert draw_times(replace(STILL, backward=1.0), 3, 4, _draws()).tolist() == [[3, 2, 1, 0]] * 3


def test_uneven_times_repeat_and_skip_frames_but_never_turn() -> None:
    steps = draw_times(replace(STILL, uneven=1.0), 50, 8, _draws()).diff(dim=1)
    assert set(steps.flatten().tolist()) >= {0.0, 1.0, 2.0}
    assert steps.min() == 0


def test_a_repeated_frame_shows_the_same_places() -> None:
    rules = replace(STILL, uneven=1.0, kinds=ONLY_RODS)
    layout = _layout(rules, batch=30)
    same = layout.time.diff(dim=1) == 0
    assert same.any()
    assert torch.equal(layout.core[:, 1:][same], layout.core[:, :-1][same])


@pytest.mark.parametrize("kinds", [ONLY_BLOBS, ONLY_TILES, ONLY_ORGANELLES])
@pytest.mark.parametrize("volumes", [0.0, 1.0])
def test_the_first_objects_live_on_the_first_frame(
    kinds: tuple[float, float, float, float], volumes: float
) -> None:
    rules = replace(RULES, kinds=kinds, volumes=volumes, visitors=1.0, dividing=0.0)
    lift = _layout(rules, batch=32).lift[:, 0, :2]
    assert (lift < 1).all()


def test_many_bodies_begin_or_end_within_the_clip() -> None:
    layout = _layout(replace(RULES, kinds=ONLY_BLOBS, volumes=1.0, uneven=0.0), batch=64, frames=7)
    seen = layout.lift[:, :, :3] < 1
    ends = seen.any(1) & ~seen.all(1)
    assert 0.4 < ends.float().mean() < 0.95


def test_lobes_live_and_die_with_their_object_in_time() -> None:
    layout = _layout(replace(RULES, kinds=ONLY_BLOBS, volumes=0.0, visitors=0.5), batch=32)
    count = layout.lobes.shape[-1]
    assert count == 4
    lobes = layout.lobes[:, :, 3] < NEVER / 2
    parents = layout.lift[..., :count] < NEVER / 2
    assert lobes.any()
    assert not (lobes & ~parents).any()


def test_a_mother_of_blobs_ends_and_two_new_ids_begin_beside_her_place() -> None:
    rules = replace(STILL, kinds=ONLY_BLOBS, dividing=1.0, diameter=(0.2, 0.25))
    layout = _layout(rules, frames=7)
    alive = layout.lift < NEVER / 2
    for mother, daughters in ((0, (10, 8)), (1, (11, 9))):
        assert alive[:, 0, mother].all()
        for daughter in daughters:
            assert torch.equal(alive[:, :, daughter], ~alive[:, :, mother])


def test_tissues_may_have_regions_that_are_no_object() -> None:
    layout = _layout(replace(STILL, kinds=ONLY_TILES), batch=64)
    assert layout.target[:, 0].all()
    assert (~layout.target).any()
    labels = draw_shapes(layout, 64, _draws()).labels
    for scene in range(64):
        beside = {int(k) + 1 for k in (~layout.target[scene]).nonzero()[:, 0]}
        assert not beside & set(labels[scene].unique().tolist())


def test_labels_are_the_living_objects_alone() -> None:
    layout = _layout(RULES, seed=2)
    labels = draw_shapes(layout, 64, _draws(2)).labels
    lobes = torch.zeros_like(layout.lift, dtype=torch.bool)
    lobes[..., : layout.lobes.shape[-1]] = layout.lobes[:, :, 3] < NEVER / 2
    alive = (layout.lift < NEVER / 2) | lobes
    for scene in range(8):
        for frame in range(6):
            shown = labels[scene, frame].unique()
            assert all(bool(alive[scene, frame, int(obj) - 1]) for obj in shown if obj > 0)


def test_an_object_looks_the_same_played_backward() -> None:
    """Only the times differ, so that a body that ends in one direction begins in the other."""
    rules = replace(STILL, volumes=1.0, kinds=ONLY_ORGANELLES)
    forward, backward = _layout(rules, batch=16), _layout(replace(rules, backward=1.0), batch=16)
    assert torch.equal(forward.time, backward.time.flip(1))
    assert torch.allclose(forward.lift[:, :, 3:], backward.lift[:, :, 3:].flip(1))
