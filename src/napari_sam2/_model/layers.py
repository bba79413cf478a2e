"""Small layers that several parts of the network share."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of an NCHW map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over C."""
        centred = x - x.mean(1, keepdim=True)
        variance = centred.pow(2).mean(1, keepdim=True)
        return centred / torch.sqrt(variance + 1e-6) * self.weight[:, None, None] + self.bias[:, None, None]


class Mlp(nn.Module):
    """Linear layers with an activation between them."""

    def __init__(self, widths: tuple[int, ...], *, gelu: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index + 1 < len(self.layers):
                x = functional.gelu(x) if self.gelu else functional.relu(x)
        return x


def resize_logits(logits: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """Resize (B, K, h, w) bilinearly in float32, corners not aligned."""
    return functional.interpolate(
        logits.float(), size, mode="bilinear", align_corners=False, antialias=antialias
    )
