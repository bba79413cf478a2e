"""Several processes that train one network: each on its own sequences, with the mean of their gradients."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, multiprocessing, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """A process among those that train together; alone by default.

    Parameters
    ----------
    rank
        Number of this process. Process 0 keeps the log and the files.
    size
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process keeps the log and the files."""
        return self.rank == 0

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over the team; a missing one counts as zero."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([part.flatten() for part in parts])
        distributed.all_reduce(flat)
        flat /= self.size
        pieces = flat.split([p.numel() for p in trained])
        for parameter, piece in zip(trained, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

    def follow(self, value: float | None) -> float:
        """Return what the leader passed; the others pass None."""
        told = torch.tensor([0.0 if value is None else value], dtype=torch.float64)
        if self.size > 1:
            distributed.broadcast(told, 0)
        return float(told)

    def collect(self, state: Tensor) -> list[Tensor]:
        """Return what each process passed, in the order of their ranks; all of one shape, on the CPU."""
        if self.size == 1:
            return [state]
        states = [torch.empty_like(state) for _ in range(self.size)]
        distributed.all_gather(states, state)
        return states


def run_team(size: int, work: Callable[[Team], T], helper: Callable[..., None], args: Sequence[object]) -> T:
    """Call `work` here as process 0, beside `size` - 1 new processes.

    Parameters
    ----------
    size
        Number of processes.
    work
        What this process does.
    helper
        What the others do, called with their `Team` and `args`; it must be importable.
    args
        For `helper`.

    Returns
    -------
    T
        What `work` returns.
    """
    if size == 1:
        return work(Team())
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        spawn = multiprocessing.get_context("spawn")
        helpers = [
            spawn.Process(target=_join, args=(helper, Team(rank, size), meeting, tuple(args)), daemon=True)
            for rank in range(1, size)
        ]
        for process in helpers:
            process.start()
        try:
            return _meet(Team(0, size), meeting, work)
        finally:
            for process in helpers:
                process.terminate()
                process.join()


def _join(helper: Callable[..., None], team: Team, meeting: str, args: tuple[object, ...]) -> None:
    # A terminal tells Ctrl-C to all processes: the leader hears it, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _meet(team, meeting, lambda member: helper(member, *args))


def _meet(team: Team, meeting: str, work: Callable[[Team], T]) -> T:
    distributed.init_process_group("gloo", init_method=meeting, rank=team.rank, world_size=team.size)
    try:
        return work(team)
    finally:
        distributed.destroy_process_group()
