from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from napari_sam2.training.team import Team, run_team


def _parameters(rank: int) -> list[nn.Parameter]:
    """Two weights with gradients that tell the rank, one that only process 0 has used, one that is fixed."""
    first, second, third = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
    fixed = nn.Parameter(torch.zeros(1), requires_grad=False)
    first.grad = torch.full((2, 3), 1.0 + rank)
    second.grad = torch.arange(6.0).view(2, 3) * (rank + 1)
    if rank == 0:
        third.grad = torch.full((2, 3), 4.0)
    return [first, fixed, second, third]


def _help(team: Team, folder: Path) -> None:
    parameters = _parameters(team.rank)
    team.share_gradients(parameters)
    told = team.follow(None)
    team.collect(torch.tensor([team.rank, 7], dtype=torch.uint8))
    torch.save([told, *(p.grad for p in parameters)], folder / "helper.pt")


def test_a_team_shares_gradients_orders_and_states(tmp_path: Path) -> None:
    def lead(team: Team) -> tuple[list[nn.Parameter], list[torch.Tensor]]:
        assert team.leads
        parameters = _parameters(0)
        team.share_gradients(parameters)
        assert team.follow(0.25) == 0.25
        return parameters, team.collect(torch.tensor([0, 7], dtype=torch.uint8))

    parameters, states = run_team(2, lead, _help, (tmp_path,))
    first, fixed, second, third = (p.grad for p in parameters)
    assert fixed is None
    assert first is not None
    assert torch.equal(first, torch.full((2, 3), 1.5))
    assert second is not None
    assert torch.equal(second, torch.arange(6.0).view(2, 3) * 1.5)
    assert third is not None
    assert torch.equal(third, torch.full((2, 3), 2.0))
    assert [state.tolist() for state in states] == [[0, 7], [1, 7]]
    told, *gradients = torch.load(tmp_path / "helper.pt", weights_only=True)
    assert told == 0.25
    assert gradients[1] is None
    assert all(torch.equal(a, b) for a, b in zip(gradients[::2], (first, second), strict=True))


def test_one_alone_needs_nobody() -> None:
    parameters = _parameters(0)
    team = Team()
    team.share_gradients(parameters)
    assert parameters[3].grad is not None
    assert parameters[3].grad[0, 0] == 4
    assert team.follow(3.0) == 3.0
    assert len(team.collect(torch.zeros(1))) == 1
    assert run_team(1, lambda team: team.size, _help, ()) == 1


def test_an_error_of_the_leader_ends_the_helpers(tmp_path: Path) -> None:
    def lead(team: Team) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run_team(2, lead, _help, (tmp_path,))
    assert not torch.multiprocessing.active_children()
