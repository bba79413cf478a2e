from __future__ import annotations

import math

import pytest
import torch

from napari_sam2._model.config import Sam2Config
from napari_sam2._model.results import ImageFeatures
from napari_sam2.training.dense import DenseHeads, dense_loss, dense_targets


def _labels() -> torch.Tensor:
    labels = torch.zeros(1, 16, 16, dtype=torch.int32)
    labels[0, 4:8, 2:10] = 3
    labels[0, 12:14, 12:14] = 1
    return labels


def test_targets_point_to_the_centre() -> None:
    foreground, border, down, right, size = dense_targets(_labels())[0]
    assert foreground.sum() == 4 * 8 + 4
    assert border[4, 2] == border[3, 2] == 1
    assert border[5, 5] == 0
    assert [float(down[4, 5]), float(down[7, 5])] == pytest.approx([1.5 / 32**0.5, -1.5 / 32**0.5])
    assert [float(right[4, 2]), float(right[4, 9])] == pytest.approx([3.5 / 32**0.5, -3.5 / 32**0.5])
    assert (down * (1 - foreground) == 0).all()
    assert float(size[5, 5]) == pytest.approx(math.log(32**0.5 / 16))


def test_perfect_answers_have_little_loss() -> None:
    labels = _labels().repeat_interleave(2, 1).repeat_interleave(2, 2)
    truth = dense_targets(labels[:, ::2, ::2])
    perfect = torch.cat((truth[:, :2] * 60 - 30, truth[:, 2:]), 1)
    assert float(dense_loss([perfect], labels)) < 1e-5
    assert float(dense_loss([torch.zeros_like(perfect)], labels)) > 1
    assert float(dense_loss([perfect, torch.zeros_like(perfect)], labels)) > 0.5


def test_an_empty_image_is_no_problem() -> None:
    loss = dense_loss([torch.zeros(1, 5, 4, 4)], torch.zeros(1, 16, 16, dtype=torch.int32))
    assert torch.isfinite(loss)


def test_heads_follow_the_widths(tiny_config: Sam2Config) -> None:
    features = ImageFeatures(torch.zeros(2, 32, 4, 4), (torch.zeros(2, 4, 16, 16), torch.zeros(2, 8, 8, 8)))
    outputs = DenseHeads(tiny_config)(features)
    assert [tuple(o.shape) for o in outputs] == [(2, 5, 16, 16), (2, 5, 8, 8), (2, 5, 4, 4)]
