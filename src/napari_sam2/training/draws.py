"""Random numbers of one generator, in the few shapes that the making of images needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Draws:
    """Draws from one `torch.Generator`, on its device.

    Parameters
    ----------
    generator
        The source of all numbers. The same state gives the same numbers.
    """

    generator: torch.Generator

    @property
    def device(self) -> torch.device:
        """Where the numbers are made."""
        return self.generator.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Float32 numbers between `low` and `high`."""
        unit = torch.rand(shape, generator=self.generator, device=self.device)
        return unit.mul_(high - low).add_(low)

    def log_uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Float32 numbers whose logarithm is uniform between those of `low` and `high`."""
        return self.uniform(*shape, low=math.log(low), high=math.log(high)).exp_()

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Draw normal float32 numbers of mean 0."""
        return torch.randn(shape, generator=self.generator, device=self.device).mul_(scale)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """Bools that are true with `probability`."""
        return self.uniform(*shape) < probability

    def sometimes(self, values: Tensor, probability: float) -> Tensor:
        """`values` with a `probability` for each row of the first axis, zeros otherwise."""
        rows = self.chance(probability, values.shape[0])
        return values * rows.view(-1, *[1] * (values.ndim - 1))

    def integers(self, *shape: int, low: int, high: int) -> Tensor:
        """Int64 numbers from `low` up to, not including, `high`."""
        return torch.randint(low, high, shape, generator=self.generator, device=self.device)

    def pick(self, weights: Sequence[float], *shape: int) -> Tensor:
        """Draw indices into `weights`, as often as these say."""
        edges = torch.tensor(weights, device=self.device).cumsum(0)
        return torch.bucketize(self.uniform(*shape) * edges[-1], edges[:-1], right=True)

    def streak(self, probability: float, most: int) -> int:
        """Count how often in a row something of that `probability` happens, up to `most` times."""
        count = 0
        while count < most and bool(self.chance(probability)):
            count += 1
        return count
