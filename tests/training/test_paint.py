from __future__ import annotations

import math

import pytest
import torch

from napari_sam2.training.draws import Draws
from napari_sam2.training.layout import Layout, LayoutRules
from napari_sam2.training.paint import blur, cloud, grain, lines, local_grid, spots
from napari_sam2.training.scenes import draw_layout
from napari_sam2.training.shapes import draw_shapes


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _layout(frames: int = 3) -> Layout:
    return draw_layout(LayoutRules(max_objects=6, volumes=0.0), 4, frames, 64, _draws())


@pytest.mark.parametrize("cell", [5, 8, 30])
def test_spots_lie_whole_within_their_cells(cell: int) -> None:
    found = spots(_layout(), 64, _draws(1), cell)
    assert found.distance.shape == found.chance.shape == (4, 3, 64, 64)
    # The side of a cell is never nearer to a point than a quarter of the cell.
    assert found.distance.max() < 0.75 * math.sqrt(2) * cell + 1
    jumps = (found.chance[..., 1:] != found.chance[..., :-1]) & (found.distance[..., 1:] < cell / 4 - 0.6)
    assert not jumps.any()


def test_spots_last_or_are_new() -> None:
    lasting, new = (spots(_layout(), 64, _draws(1), 9, lasting=last) for last in (True, False))
    assert torch.equal(lasting.distance[:, 0], lasting.distance[:, 2])
    assert not torch.equal(new.distance[:, 0], new.distance[:, 2])


def test_grain_has_the_wanted_length_and_is_new_on_every_frame() -> None:
    fine, coarse = grain(_layout(), 64, _draws(), 2.0), grain(_layout(), 64, _draws(), 8.0)
    assert 0.8 < fine.std() < 1.2
    assert 0.7 < coarse.std() < 1.3
    assert fine.diff(dim=-1).std() > 2 * coarse.diff(dim=-1).std()
    assert not torch.equal(coarse[:, 0], coarse[:, 1])


@pytest.mark.parametrize("factor", [4, 8])
def test_blur_keeps_the_mean_and_takes_the_detail(factor: int) -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    soft = blur(image, factor)
    assert soft.shape == image.shape
    assert float(soft.mean()) == pytest.approx(float(image.mean()), abs=0.01)
    assert soft.std() < 0.3 * image.std()


def test_clouds_are_as_many_as_asked_for() -> None:
    made = cloud(_layout(), torch.full((4,), 12.0), torch.zeros(4), 64, _draws(), fields=2)
    assert made.shape == (4, 3, 2, 64, 64)
    assert torch.equal(made[:, 0], made[:, 2])


def test_filaments_cover_their_share() -> None:
    drawn = lines(_layout(), 64, _draws(), torch.full((4,), 16.0), torch.full((4,), 1.0))
    assert drawn.min() >= 0
    assert drawn.max() > 0.95
    # A bell of width 1 on lines 16 apart is sqrt(pi) / 16 in the mean, less where they are bent.
    assert 0.04 < drawn.mean() < 0.16


def test_the_grid_of_an_object_has_its_centre_and_direction() -> None:
    layout = _layout(frames=1)
    shapes = draw_shapes(layout, 64, _draws())
    grid = local_grid(layout, shapes)
    obj = int(shapes.nearest[0, 0, 32, 32])
    y, x, angle = (float(values[0, 0, obj]) for values in (layout.y, layout.x, layout.angle))
    along, across = grid[0, 0, 32, 32].tolist()
    assert x + along * math.cos(angle) - across * math.sin(angle) == pytest.approx(32, abs=1e-3)
    assert y + along * math.sin(angle) + across * math.cos(angle) == pytest.approx(32, abs=1e-3)
