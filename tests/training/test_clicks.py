from __future__ import annotations

import pytest
import torch

from napari_sam2.training.clicks import (
    boxes,
    choose_targets,
    click_inside,
    corrective_clicks,
    depth,
    first_clicks,
    join,
    spot_targets,
)
from napari_sam2.training.draws import Draws


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _rectangle(y0: int, x0: int, y1: int, x1: int, side: int = 64) -> torch.Tensor:
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[0, y0:y1, x0:x1] = True
    return mask


def test_depth_is_deepest_in_the_middle() -> None:
    found = depth(_rectangle(10, 20, 31, 41))
    assert found[0, 20, 30] == found.max() == 12
    assert found[0, 10, 20] == 2
    assert found[0, 9, 20] == 0


def test_depth_on_a_coarser_grid() -> None:
    found = depth(_rectangle(30, 30, 71, 71, side=128))
    peak = divmod(int(found.flatten().argmax()), 128)
    assert abs(peak[0] - 50) <= 3
    assert abs(peak[1] - 50) <= 3
    assert found.shape == (1, 128, 128)


def test_a_thin_mask_still_gets_a_click() -> None:
    mask = _rectangle(5, 3, 6, 60, side=128)
    x, y = click_inside(mask, torch.tensor([True]), _draws())[0].int().tolist()
    assert mask[0, y, x]


@pytest.mark.parametrize("innermost", [0.0, 1.0])
def test_first_clicks_lie_inside(innermost: float) -> None:
    mask = torch.cat([_rectangle(3, 4, 20, 9), _rectangle(40, 40, 64, 64)])
    points = first_clicks(mask, _draws(), innermost=innermost)
    for row, (x, y) in enumerate(points.coords[:, 0].int().tolist()):
        assert mask[row, y, x]
    assert points.labels.tolist() == [[1], [1]]


def test_innermost_click() -> None:
    x, y = click_inside(_rectangle(10, 20, 31, 41), torch.tensor([True]), _draws())[0].tolist()
    assert (x, y) == (30, 20)


def test_corrections_go_to_the_deeper_error() -> None:
    truth = torch.cat([_rectangle(10, 10, 40, 40)] * 3)
    missed, spilled = _rectangle(10, 10, 40, 20), _rectangle(10, 10, 60, 40)
    points = corrective_clicks(truth, torch.cat([missed, spilled, truth[:1]]), _draws())
    assert points.labels[:, 0].tolist() == [1, 0, -1]
    (x0, y0), (x1, y1) = points.coords[:2, 0].int().tolist()
    assert truth[0, y0, x0]
    assert not missed[0, y0, x0]
    assert spilled[0, y1, x1]
    assert not truth[0, y1, x1]


def test_boxes_without_jitter_are_exact() -> None:
    points = boxes(_rectangle(10, 20, 31, 41), _draws(), jitter=0.0)
    assert points.coords[0].tolist() == [[20, 10], [41, 31]]
    assert points.labels[0].tolist() == [2, 3]


def test_jitter_is_bounded() -> None:
    masks = _rectangle(10, 20, 30, 40).expand(50, -1, -1)
    moved = boxes(masks, _draws(), jitter=0.1).coords.flatten(1) - torch.tensor([20, 10, 40, 30])
    assert 0.5 < moved.abs().max() <= 2.0001


def test_join() -> None:
    first = first_clicks(_rectangle(0, 0, 9, 9), _draws())
    assert join(None, first) is first
    assert join(first, boxes(_rectangle(0, 0, 9, 9), _draws())).labels.tolist() == [[1, 2, 3]]


def test_targets_are_different_objects_of_the_first_frame() -> None:
    labels = torch.zeros(2, 3, 64, 64, dtype=torch.int32)
    labels[0, :, :20, :20], labels[0, :, 30:50, :20], labels[0, 0, 60, 60] = 4, 7, 9
    labels[1, 1:, :20, :20] = 5
    targets = choose_targets(labels, 2, _draws())
    assert targets.owner.tolist() == [0, 0, 1, 1]
    assert targets.valid.tolist() == [True, True, False, False]
    assert {int(labels[0, 0][targets.truth[i, 0]][0]) for i in (0, 1)} == {4, 7}
    assert targets.present[:2].all()


def test_too_few_objects_repeat_the_same() -> None:
    labels = torch.zeros(1, 1, 64, 64, dtype=torch.int32)
    labels[0, 0, :20, :20] = 3
    targets = choose_targets(labels, 3, _draws())
    assert targets.valid.all()
    assert (targets.truth[0] == targets.truth[2]).all()
    assert targets.truth[0].sum() == 400


def test_spots_are_discs_with_a_click_in_their_middle() -> None:
    spots = spot_targets(2, 3, 2, 64, _draws())
    assert spots.truth.shape == (6, 2, 64, 64)
    assert spots.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert spots.present.all()
    assert spots.truth.sum((2, 3)).max() <= 3.2 * 8**2 + 20
    assert torch.equal(spots.truth[:, 0], spots.truth[:, 1])


def test_whole_objects_are_chosen_first() -> None:
    labels = torch.zeros(1, 1, 64, 64, dtype=torch.int32)
    for number, (y, x) in enumerate([(0, 10), (20, 54), (30, 0), (54, 30), (20, 20)], start=1):
        labels[0, 0, y : y + 10, x : x + 10] = number
    chosen = [choose_targets(labels, 2, _draws(seed), whole=True) for seed in range(12)]
    assert all(targets.truth[0, 0, 25, 25] for targets in chosen)
    # There is no other whole one, so that the second is one of those that the border cuts.
    assert all(targets.truth[1, 0].any() and not targets.truth[1, 0, 25, 25] for targets in chosen)
    anyone = [choose_targets(labels, 2, _draws(seed)) for seed in range(12)]
    assert not all(targets.truth[0, 0, 25, 25] for targets in anyone)
