"""Prompt encoder: points, boxes and masks to tokens (Kirillov et al. 2023, arXiv:2304.02643)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_sam2._model.derived import Derived
from napari_sam2._model.layers import LayerNorm2d, exactly

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.results import Points

_MASK_CHANNELS = 16


class FourierPositions(nn.Module):
    """Random Fourier code of places (Tancik et al. 2020, arXiv:2006.10739)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, places: Tensor) -> Tensor:
        """Map (..., 2) places (x, y) in 0..1 to (..., dim), in float32."""
        with exactly(places):  # angles of many turns: autocast would round them to some degrees
            angles = 2 * pi * ((2 * places.float() - 1) @ self.positional_encoding_gaussian_matrix.float())
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


@dataclass(frozen=True)
class PromptTokens:
    """Encoded prompts: `sparse` (B, P + 1, C) tokens and `dense` (B, C, g, g)."""

    sparse: Tensor
    dense: Tensor


class PromptEncoder(nn.Module):
    """Points, box corners and a mask prompt to sparse tokens and a dense map."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pe_layer = FourierPositions(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, _MASK_CHANNELS // 4, 2, stride=2),
            LayerNorm2d(_MASK_CHANNELS // 4),
            nn.GELU(),
            nn.Conv2d(_MASK_CHANNELS // 4, _MASK_CHANNELS, 2, stride=2),
            LayerNorm2d(_MASK_CHANNELS),
            nn.GELU(),
            nn.Conv2d(_MASK_CHANNELS, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)
        self._grid: Derived[Tensor] = Derived()

    def forward(self, points: Points, mask_logits: Tensor | None, *, grid: int) -> PromptTokens:
        """Encode prompts.

        Parameters
        ----------
        points : Points
            Tokens in pixels of the network's input, whose side is 16 `grid`.
        mask_logits : Tensor, optional
            (B, 1, 4 grid, 4 grid).
        grid : int
            Side of the stride-16 map.
        """
        return PromptTokens(
            self.encode_points(points, side=16 * grid),
            self.encode_mask(mask_logits, len(points.labels), grid),
        )

    def encode_points(self, points: Points, *, side: int) -> Tensor:
        """Encode points and append the padding token that the released weights expect, (B, P + 1, C)."""
        coords = torch.cat((points.coords.float(), points.coords.new_zeros(len(points.coords), 1, 2)), dim=1)
        labels = torch.cat((points.labels, points.labels.new_full((len(points.labels), 1), -1)), dim=1)
        tokens = self.pe_layer((coords + 0.5) / side)
        tokens = torch.where((labels == -1)[..., None], self.not_a_point_embed.weight, tokens)
        for kind, embedding in enumerate(self.point_embeddings):
            weight: Tensor = embedding.weight  # type: ignore[assignment]
            tokens = tokens + (labels == kind)[..., None] * weight
        return tokens

    def encode_mask(self, mask_logits: Tensor | None, batch: int, grid: int) -> Tensor:
        """Encode a mask prompt, or the learned "no mask", (B, C, g, g)."""
        if mask_logits is not None:
            dense: Tensor = self.mask_downscaling(mask_logits)
            return dense
        return self.no_mask_embed.weight[:, :, None, None].expand(batch, -1, grid, grid)

    def dense_positions(self, grid: int) -> Tensor:
        """Code of the cell centres of the stride-16 map, (1, C, g, g)."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        return self._grid.get((matrix,), lambda: self._encode_grid(grid, matrix.device), grid)

    def _encode_grid(self, grid: int, device: torch.device) -> Tensor:
        centres = (torch.arange(grid, dtype=torch.float32, device=device) + 0.5) / grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        code: Tensor = self.pe_layer(torch.stack((x, y), dim=-1))
        return code.permute(2, 0, 1)[None]
