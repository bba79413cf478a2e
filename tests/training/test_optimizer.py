"""One optimiser of two: which parameter is in which, and going on exactly."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim import AdamW, Muon

from napari_sam2.training.optimizer import SplitOptimizer, make_optimizer


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.convolution = nn.Conv2d(1, 2, 3)
        self.table = nn.Embedding(3, 4)

    def forward(self) -> torch.Tensor:
        return self.linear.weight.square().sum() + self.table.weight.sum() + self.convolution.weight.sum()


def optimiser_of(network: Network) -> SplitOptimizer:
    return make_optimizer(network, nn.Identity(), 1e-2, 0.1)


def train(network: Network, optimiser: SplitOptimizer, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        (network() - 1).square().backward()
        optimiser.step()


def test_only_the_matrices_of_linear_layers_are_turned() -> None:
    network = Network()
    muon, others = optimiser_of(network).parts
    assert isinstance(muon, Muon)
    assert isinstance(others, AdamW)
    assert [p is network.linear.weight for g in muon.param_groups for p in g["params"]] == [True]
    held = {id(p) for g in others.param_groups for p in g["params"]}
    assert held == {id(p) for p in network.parameters()} - {id(network.linear.weight)}


def test_only_what_has_two_dimensions_decays() -> None:
    groups = optimiser_of(Network()).param_groups
    assert all((group["weight_decay"] > 0) == (p.ndim >= 2) for group in groups for p in group["params"])


def test_frozen_parameters_are_left_out() -> None:
    network = Network()
    network.linear.requires_grad_(requires_grad=False)
    optimiser = optimiser_of(network)
    assert len(optimiser.parts) == 1
    assert not any(p is network.linear.weight for g in optimiser.param_groups for p in g["params"])


def test_the_rate_is_that_of_all_parts() -> None:
    optimiser = optimiser_of(Network())
    optimiser.set_rate(0.5)
    assert {group["lr"] for part in optimiser.parts for group in part.param_groups} == {0.5}


def test_a_state_goes_on_exactly() -> None:
    torch.manual_seed(0)
    network = Network()
    optimiser = optimiser_of(network)
    train(network, optimiser, 3)
    again = copy.deepcopy(network)
    other = optimiser_of(again)
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    train(network, optimiser, 4)
    train(again, other, 4)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_a_step_moves_a_matrix_in_all_its_directions_alike() -> None:
    torch.manual_seed(0)
    network = Network()
    before = network.linear.weight.detach().clone()
    optimiser = make_optimizer(network, nn.Identity(), 1e-2, 0.0)
    train(network, optimiser, 1)
    moved = torch.linalg.svdvals(network.linear.weight.detach() - before)
    assert moved.max() < 3 * moved.min()
