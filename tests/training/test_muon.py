"""Muon by stacks does what torch's does matrix by matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Muon

from napari_sam2.training import muon
from napari_sam2.training.muon import StackedMuon, orthogonalise

SHAPES = ((4, 6), (6, 4), (5, 5), (4, 6))


def matrices() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def give_gradients(parameters: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(step + 1)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_it_steps_as_torchs_own_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "computes_bfloat16", lambda _: True)
    ours, theirs = matrices(), matrices()
    stacked = StackedMuon(ours, 0.01, 0.1)
    single = Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        stacked.step()
        single.step()
    for mine, other, before in zip(ours, theirs, matrices(), strict=True):
        assert not torch.allclose(mine, before, atol=1e-2)
        # The iteration runs in bfloat16 on both sides, but adds up in another order.
        torch.testing.assert_close(mine, other, atol=3e-4, rtol=0)


def test_its_state_is_that_of_torchs_own() -> None:
    ours, theirs = matrices(), matrices()
    single, stacked = Muon(theirs), StackedMuon(ours, 0.01, 0.1)
    give_gradients(theirs, 0)
    single.step()
    stacked.load_state_dict(single.state_dict())
    torch.testing.assert_close(
        stacked.state[ours[1]]["momentum_buffer"], single.state[theirs[1]]["momentum_buffer"]
    )


def test_what_has_no_gradient_stays() -> None:
    ours = matrices()
    before = ours[1].detach().clone()
    give_gradients([ours[0]], 0)
    StackedMuon(ours, 0.01, 0.1).step()
    torch.testing.assert_close(ours[1].detach(), before)


@pytest.mark.parametrize("in_bfloat16", [False, True])
@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 16), (2, 16, 4)])
def test_singular_values_come_near_one(
    shape: tuple[int, ...], in_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muon, "computes_bfloat16", lambda _: in_bfloat16)
    made: Tensor = orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(3)))
    assert made.shape == shape
    assert made.dtype == (torch.bfloat16 if in_bfloat16 else torch.float32)
    values = torch.linalg.svdvals(made.float())
    assert values.max() < 1.3
    assert values[:, : min(shape[1:]) // 2].min() > 0.6
