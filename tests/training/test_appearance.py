from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.training.appearance import _MANNERS, draw_manners, render
from napari_sam2.training.draws import Draws
from napari_sam2.training.electron import paint_electron
from napari_sam2.training.fluorescence import paint_fluorescence
from napari_sam2.training.layout import BLOBS, ORGANELLES, RODS, TILES, Layout, LayoutRules
from napari_sam2.training.membranes import paint_membranes
from napari_sam2.training.phase_contrast import paint_phase_contrast
from napari_sam2.training.phase_ring import _through_ring, paint_phase_ring
from napari_sam2.training.scenes import draw_layout
from napari_sam2.training.shapes import Shapes, draw_shapes

Painter = Callable[[Layout, Shapes, Draws], Tensor]
ONLY = {
    BLOBS: (1.0, 0.0, 0.0, 0.0),
    RODS: (0.0, 1.0, 0.0, 0.0),
    TILES: (0.0, 0.0, 1.0, 0.0),
    ORGANELLES: (0.0, 0.0, 0.0, 1.0),
}


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _scene(kind: int, batch: int = 8, frames: int = 2, seed: int = 0) -> tuple[Layout, Shapes]:
    rules = LayoutRules(
        kinds=ONLY[kind], diameter=(0.3, 0.4), max_objects=8, volumes=0, uneven=0, backward=0, visitors=0
    )
    draws = _draws(seed)
    layout = draw_layout(rules, batch, frames, 64, draws)
    return layout, draw_shapes(layout, 64, draws)


@pytest.mark.parametrize("kind", list(ONLY))
@pytest.mark.parametrize("paint", _MANNERS)
def test_every_manner_paints_every_kind(paint: Painter, kind: int) -> None:
    layout, shapes = _scene(kind, batch=3)
    image = paint(layout, shapes, _draws(1))
    assert image.shape == (3, 2, 64, 64)
    assert image.isfinite().all()
    assert image.flatten(1).std(1).min() > 1e-3


def _steepness(image: Tensor) -> Tensor:
    """How much an image changes about each pixel."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return (across.square() + down.square()).sqrt()


@pytest.mark.parametrize(
    ("paint", "kind"),
    [
        (paint_phase_contrast, RODS),
        (paint_phase_ring, RODS),
        (paint_fluorescence, BLOBS),
        (paint_electron, ORGANELLES),
    ],
)
def test_labels_follow_the_border_that_is_seen(paint: Painter, kind: int) -> None:
    """Images change most just where labels say that objects end, less on either side."""
    layout, shapes = _scene(kind, batch=24)
    steep = _steepness(paint(layout, shapes, _draws(1)))
    # Away from where two objects touch.
    alone = shapes.seam > 6
    at, within, without = (
        float(steep[alone & ((shapes.edge - place).abs() < 0.7)].mean()) for place in (0.0, -5.0, 5.0)
    )
    assert at > 1.4 * within
    assert at > 1.4 * without


def test_rods_are_dark_and_their_halo_bright() -> None:
    layout, shapes = _scene(RODS, batch=40)
    image = paint_phase_contrast(layout, shapes, _draws(1))
    inside, halo, far = shapes.edge < -3, (shapes.edge > 1.5) & (shapes.edge < 4), shapes.edge > 12
    darker = brighter = 0
    for scene in range(40):
        levels = [image[scene][region[scene]].mean() for region in (inside, halo, far)]
        darker += bool(levels[0] < levels[2])
        brighter += bool(levels[1] > levels[2])
    # One in ten is the negative of the others.
    assert darker >= 30
    assert brighter >= 24


def test_rods_are_darker_than_the_light_beside_them_also_between_walls() -> None:
    """Walls may be darker still."""
    layout, shapes = _scene(RODS, batch=40)
    image = paint_phase_ring(layout, shapes, _draws(1))
    inside, halo, far = shapes.edge < -2, (shapes.edge > 1.5) & (shapes.edge < 4), shapes.edge > 12
    levels = [[image[i][region[i]].mean() for region in (inside, halo, far)] for i in range(40)]
    assert sum(bool(body < light) for body, light, _ in levels) >= 30
    assert 3 <= sum(bool(wall < body) for body, _, wall in levels) <= 20


def test_gaps_in_a_crowd_are_brighter_than_what_is_around_it() -> None:
    """What the ring lets through is added to the light of the medium, between bodies most."""
    layout, shapes = _scene(RODS, batch=40)
    image = paint_phase_ring(layout, shapes, _draws(1))
    gap, far = (shapes.edge > 1) & (shapes.seam < 1), shapes.edge > 12
    seen = [scene for scene in range(40) if gap[scene].sum() > 20 and far[scene].sum() > 20]
    brighter = sum(bool(image[i][gap[i]].mean() > image[i][far[i]].mean()) for i in seen)
    assert len(seen) > 10
    assert brighter > 0.7 * len(seen)


def test_halos_do_not_come_round_to_the_other_side() -> None:
    late = torch.zeros(1, 1, 64, 64)
    late[..., :6] = 1
    image = _through_ring(late, torch.full((1,), 3.0), _draws(2))
    assert image[..., -6:].abs().max() < 0.02 * image[..., :12].abs().max()


def test_walls_of_a_tissue_are_where_the_labels_meet() -> None:
    layout, shapes = _scene(TILES, batch=24)
    image = paint_membranes(layout, shapes, _draws(1))
    wall, cell = shapes.seam < 1, shapes.seam > 8
    contrast = [float(image[i][wall[i]].mean() - image[i][cell[i]].mean()) for i in range(24)]
    assert sum(value > 0 for value in contrast) > 16
    assert sum(value < 0 for value in contrast) > 0


def test_organelles_lie_in_cells_that_are_no_objects() -> None:
    """There are dark membranes far from every object."""
    layout, shapes = _scene(ORGANELLES, batch=12)
    image = paint_electron(layout, shapes, _draws(1))
    far = shapes.edge > 8
    for scene in range(12):
        values = image[scene][far[scene]]
        if len(values) > 500:
            assert values.quantile(0.02) < values.median() - 0.1


def test_texture_moves_with_its_object() -> None:
    layout, shapes = _scene(BLOBS, batch=6, frames=1)
    moved = replace(layout, y=layout.y + 5, x=layout.x - 3)
    shifted = Shapes(
        *(
            getattr(shapes, name).roll((5, -3), (2, 3))
            for name in ("labels", "nearest", "depth", "edge", "seam")
        )
    )
    first, second = (paint_fluorescence(*pair, _draws(4)) for pair in ((layout, shapes), (moved, shifted)))
    inner = (shapes.edge < -2)[..., 8:48, 8:48]
    there = first[..., 8:48, 8:48][inner]
    correlation = torch.corrcoef(torch.stack((there, second[..., 13:53, 5:45][inner])))[0, 1]
    assert correlation > 0.9


def test_manners_fit_the_kind() -> None:
    kinds = torch.tensor([BLOBS, RODS, TILES, ORGANELLES]).repeat_interleave(300)
    manner = draw_manners(kinds, _draws())
    assert not ((kinds == RODS) & (manner >= 4)).any()
    assert ((manner == 5) & (kinds == ORGANELLES)).sum() > 200
    assert set(manner.tolist()) == set(range(6))


def test_scenes_of_a_batch_do_not_mix() -> None:
    """Every scene is painted, whatever the manners of the others."""
    layout, shapes = _scene(TILES, batch=16)
    images = render(layout, shapes, _draws(3))
    assert images.shape == (16, 2, 3, 64, 64)
    assert images.isfinite().all()
    assert images.flatten(1).std(1).min() > 1
