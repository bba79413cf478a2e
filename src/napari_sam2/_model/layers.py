"""Small layers that several parts of the network share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.derived import Derived

if TYPE_CHECKING:
    from torch import Tensor


def inner_dtype(tensor: Tensor) -> torch.dtype:
    """Return the precision that matrix products of this tensor run in: autocast's, or its own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def exactly(tensor: Tensor) -> AbstractContextManager[object]:
    """Context in which work on this tensor's device is not lowered by autocast.

    Tokens that stand for prompts, masks and objects are worked on in it: they are few, so that it costs next
    to nothing, and every pixel of a mask depends on them.
    """
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


class Linear(nn.Linear):
    """Linear layer that casts its weights once for autocast, not at every call."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__(dim, out_dim)
        self._cast: Derived[tuple[Tensor, Tensor]] = Derived()

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., out_dim)."""
        dtype = inner_dtype(x)
        if torch.is_grad_enabled() or dtype == self.weight.dtype:
            return super().forward(x)
        return functional.linear(x.to(dtype), *self.weights(dtype))

    def weights(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weight and bias in another precision."""
        return self._cast.get(
            (self.weight, self.bias), lambda: (self.weight.to(dtype), self.bias.to(dtype)), dtype
        )


class Doubling(nn.Module):
    """Transposed convolution of 2 x 2 cells and stride 2, as one matrix product on a map with channels last.

    Its cells do not overlap: each place of the map becomes four, whatever lies beside it.
    """

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, out_dim, 2, 2))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self._product: Derived[tuple[Tensor, Tensor]] = Derived()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to (B, 2h, 2w, out_dim)."""
        dtype = inner_dtype(x)
        if torch.is_grad_enabled():
            weight, bias = self._folded(dtype)
        else:
            weight, bias = self._product.get((self.weight, self.bias), lambda: self._folded(dtype), dtype)
        made = functional.linear(x.to(dtype), weight, bias).unflatten(-1, (2, 2, -1))
        return made.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _folded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weight (4 out_dim, dim) and bias (4 out_dim,) of the product."""
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        return weight.to(dtype).contiguous(), self.bias.repeat(4).to(dtype)


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

    def channels_last(self, x: Tensor) -> Tensor:
        """Normalise (B, H, W, C) over C."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-6)


class Mlp(nn.Module):
    """Linear layers with an activation between them."""

    def __init__(self, widths: tuple[int, ...], *, gelu: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(widths))
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
