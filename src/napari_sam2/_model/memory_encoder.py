"""Memory encoder: a frame's features and its mask to a spatial memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.layers import LayerNorm2d, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config

_MASK_CHANNELS = (1, 4, 16, 64, 256)


class MaskDownsampler(nn.Module):
    """Mask at the network's resolution to stride 16."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in pairwise(_MASK_CHANNELS):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), LayerNorm2d(b), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(_MASK_CHANNELS[-1], dim, 1))

    def forward(self, mask: Tensor) -> Tensor:
        """Map (B, 1, S, S) to (B, C, g, g)."""
        encoded: Tensor = self.encoder(mask)
        return encoded


class FuserBlock(nn.Module):
    """ConvNeXt block (Liu et al. 2022, arXiv:2201.03545) with a learned scale of its residual."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = Linear(dim, 4 * dim)
        self.pwconv2 = Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Update (B, C, g, g)."""
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class Fuser(nn.Module):
    """A stack of ConvNeXt blocks."""

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """Update (B, C, g, g)."""
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Fuses features and mask and narrows them to the memory's width."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.model_dim
        self.mask_downsampler = MaskDownsampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, 1)
        self.fuser = Fuser(dim, config.fuser_layers)
        self.out_proj = nn.Conv2d(dim, config.memory_dim, 1)

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Map features (B, C, g, g) and scaled mask (B, 1, S, S) to a memory (B, M, g, g)."""
        fused = self.fuser(self.pix_feat_proj(embedding) + self.mask_downsampler(mask))
        memory: Tensor = self.out_proj(fused)
        return memory
