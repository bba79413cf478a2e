from __future__ import annotations

import math

import pytest
import torch

from napari_sam2._model.results import Prediction
from napari_sam2.training.losses import LossWeights, dice_loss, focal_loss, frame_loss, mask_iou


def _prediction(masks: torch.Tensor, ious: torch.Tensor, presence: torch.Tensor) -> Prediction:
    return Prediction(masks, masks, ious, ious.argmax(1), presence, torch.zeros(len(masks), 4))


def test_focal_by_hand() -> None:
    logits, truth = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    wrong = 1 / (1 + math.exp(-2))
    expected = (0.25 * 0.25 * math.log(2) + 0.75 * wrong**2 * -math.log(1 - wrong)) / 2
    assert float(focal_loss(logits, truth)) == pytest.approx(expected, rel=1e-5)


def test_focal_without_focus_is_half_of_the_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 8, 8, generator=generator)
    truth = (torch.rand(3, 8, 8, generator=generator) > 0.5).float()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(
        (1, 2)
    )
    assert torch.allclose(focal_loss(logits, truth, alpha=0.5, gamma=0.0), entropy / 2, atol=1e-6)


def test_focal_is_finite_for_large_logits() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[0.0, 1.0]]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_dice_by_hand() -> None:
    logits = torch.zeros(1, 2, 2)
    truth = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    assert float(dice_loss(logits, truth)) == pytest.approx(1 - (2 * 1.5 + 1) / (2 + 3 + 1))


def test_iou() -> None:
    logits = torch.tensor([[[1.0, 1.0]], [[-1.0, -1.0]], [[1.0, -1.0]]])
    truth = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]])
    assert mask_iou(logits, truth).tolist() == [0.5, 1.0, 0.0]


@pytest.fixture
def square() -> torch.Tensor:
    truth = torch.zeros(1, 16, 16, dtype=torch.bool)
    truth[:, 4:12, 4:12] = True
    return truth


def _logits(mask: torch.Tensor) -> torch.Tensor:
    quarter = mask[:, ::4, ::4]
    return torch.where(quarter, 9.0, -9.0)


def test_the_best_candidate_alone_is_trained(square: torch.Tensor) -> None:
    masks = torch.stack((_logits(square), -_logits(square), torch.zeros(1, 4, 4)), 1).requires_grad_()
    terms = frame_loss(
        _prediction(masks, torch.tensor([[0.9, 0.2, 0.5]]), torch.ones(1, 1)),
        square,
        torch.tensor([True]),
        weights=LossWeights(),
    )
    (terms.focal + terms.dice).backward()
    assert masks.grad is not None
    assert masks.grad[0, 0].abs().sum() > 0
    assert masks.grad[0, 1:].abs().sum() == 0
    assert float(terms.j) > 0.6


def test_all_candidates_learn_their_iou(square: torch.Tensor) -> None:
    masks = torch.stack((_logits(square), -_logits(square)), 1)
    ious = torch.tensor([[0.3, 0.4]], requires_grad=True)
    terms = frame_loss(
        _prediction(masks, ious, torch.ones(1, 1)),
        square,
        torch.tensor([True]),
        weights=LossWeights(),
        stride=1,
    )
    terms.iou.backward()
    assert ious.grad is not None
    assert ious.grad.tolist() == [[-0.5, 0.5]]


def test_an_absent_object_counts_for_its_score_alone(square: torch.Tensor) -> None:
    masks = torch.zeros(2, 3, 4, 4)
    truth = torch.cat((torch.zeros_like(square), square))
    presence = torch.tensor([[2.0], [2.0]])
    terms = frame_loss(
        _prediction(masks, torch.full((2, 3), 0.5), presence),
        truth,
        torch.tensor([True, False]),
        weights=LossWeights(),
    )
    assert float(terms.focal) == float(terms.dice) == float(terms.iou) == 0
    assert float(terms.presence) == pytest.approx(math.log(1 + math.exp(2)), rel=1e-5)


def test_the_total_is_weighted(square: torch.Tensor) -> None:
    prediction = _prediction(torch.zeros(1, 1, 4, 4), torch.tensor([[0.5]]), torch.zeros(1, 1))
    terms = frame_loss(prediction, square, torch.tensor([True]), weights=LossWeights())
    by_hand = 20 * terms.focal + terms.dice + terms.iou + terms.presence
    assert float(terms.total(LossWeights())) == pytest.approx(float(by_hand))
    assert float(terms.presence) == pytest.approx(math.log(2))


def test_presence_weighs_the_rare_absent_object_by_a_power_of_how_rare_it_is() -> None:
    truth = torch.zeros(8, 8, 8, dtype=torch.bool)
    truth[:7, 2:6, 2:6] = True
    prediction = _prediction(torch.zeros(8, 1, 8, 8), torch.zeros(8, 1), torch.full((8, 1), 2.0))
    loss = frame_loss(prediction, truth, torch.ones(8, dtype=torch.bool), weights=LossWeights(), stride=1)
    wrong, right = (torch.nn.functional.softplus(torch.tensor(value)) for value in (2.0, -2.0))
    rare, frequent = 0.5 / (1 / 8), 0.5 / (7 / 8)
    weights = torch.tensor([rare**0.75, 7 * frequent**0.75])
    assert torch.isclose(loss.presence, (weights * torch.stack([wrong, right])).sum() / weights.sum())
