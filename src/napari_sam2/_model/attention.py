"""Attention with separate projections, and its rotary form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.positions import rotary_table, rotate

if TYPE_CHECKING:
    from torch import Tensor


class Attention(nn.Module):
    """Multi-head attention whose queries, keys and values are projected to an inner width.

    Parameters
    ----------
    dim : int
        Channels of queries and of the result.
    heads : int
        Number of heads.
    inner_dim : int
        Channels of all heads together.
    memory_dim : int
        Channels of keys and values.
    """

    def __init__(
        self, dim: int, heads: int, *, inner_dim: int | None = None, memory_dim: int | None = None
    ) -> None:
        super().__init__()
        inner = inner_dim or dim
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(memory_dim or dim, inner)
        self.v_proj = nn.Linear(memory_dim or dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from (B, n, dim) to (B, m, memory_dim)."""
        return self._attend(self.q_proj(q), self.k_proj(k), self.v_proj(v))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class RotaryAttention(Attention):
    """One-head attention between maps with axial rotary positions."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, unplaced: int = 0) -> Tensor:
        """Attend from one map's tokens to those of one or more maps.

        Parameters
        ----------
        q : Tensor
            (B, N, dim), N a square.
        k, v : Tensor
            (B, k N + unplaced, memory_dim).
        unplaced : int
            Number of last keys that have no place in the map and are not turned.
        """
        queries, keys = self.q_proj(q), self.k_proj(k)
        table = rotary_table(queries.shape[-1], _side(queries.shape[1]), queries.device)
        placed = keys.shape[1] - unplaced
        if placed:
            keys = torch.cat((rotate(keys[:, :placed], table), keys[:, placed:]), dim=1)
        return self._attend(rotate(queries, table), keys, self.v_proj(v))


def _side(tokens: int) -> int:
    side = round(tokens**0.5)
    if side * side != tokens:
        raise ValueError(f"Memory attention needs square maps; got {tokens} tokens.")
    return side
