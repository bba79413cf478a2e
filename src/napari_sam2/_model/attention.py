"""Attention with separate projections, and its rotary form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.derived import Derived
from napari_sam2._model.layers import Linear, exactly, inner_dtype
from napari_sam2._model.mixing import centre, is_blocked, mix, score_scale
from napari_sam2._model.positions import rotary_table, rotate, rotate_halves

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
        self.q_proj = Linear(dim, inner)
        self.k_proj = Linear(memory_dim or dim, inner)
        self.v_proj = Linear(memory_dim or dim, inner)
        self.out_proj = Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from (B, n, dim) to (B, m, memory_dim)."""
        return self._attend(self.q_proj(q), self.k_proj(k), self.v_proj(v))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (self._split(x) for x in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """Split (B, n, inner) into heads, (B, heads, n, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _FoldedAttention(Attention):
    """Attention between a few tokens and a map.

    With few tokens it is cheaper to apply the projections of the map's places to the tokens instead:
    ``(x Q) k = x (Q k)``. In the lower precision that would round what is summed up.
    """

    def _pays(self, tokens: Tensor, places: Tensor) -> bool:
        """Whether all products of places with folded tokens are fewer than their projections, unlowered."""
        dim, few = places.shape[-1], self.heads * tokens.shape[1]
        return 2 * few <= dim and inner_dtype(places) == places.dtype == tokens.dtype

    def _weight(self, layer: Linear) -> Tensor:
        """Weight of a projection by heads, (heads, d, dim)."""
        return layer.weight.unflatten(0, (self.heads, -1))


class TokenAttention(_FoldedAttention):
    """Attention of a few tokens to a map: autocast lowers only what is done for each place of the map."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from tokens (B, n, dim) to the places of a map (B, N, memory_dim)."""
        if self._pays(q, k):
            return self._attend_folded(q, k, v)
        keys, values = self.k_proj(k), self.v_proj(v)
        with exactly(q):
            return self._attend(self.q_proj(q), keys.to(q.dtype), values.to(q.dtype))

    def _attend_folded(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend with the key's and the value's projections folded; a softmax ignores the key's bias."""
        queries = self._split(self.q_proj(q))
        asked = queries @ self._weight(self.k_proj) * queries.shape[-1] ** -0.5
        shares = (asked.flatten(1, 2) @ k.transpose(1, 2)).softmax(-1)
        seen = (shares @ v).unflatten(1, (self.heads, -1))
        mixed = seen @ self._weight(self.v_proj).transpose(1, 2)
        return self.out_proj(mixed.transpose(1, 2).flatten(2) + self.v_proj.bias)


class PlaceAttention(_FoldedAttention):
    """Attention of a map's places to a few tokens."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from the places of a map (B, N, dim) to tokens (B, n, memory_dim)."""
        if self._pays(k, q):
            return self._attend_folded(q, k, v)
        return super().forward(q, k, v)

    def _attend_folded(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend with the query's projection and that of the result folded."""
        keys, values = self._split(self.k_proj(k)), self._split(self.v_proj(v))
        scale = keys.shape[-1] ** -0.5
        asked = (keys @ self._weight(self.q_proj) * scale).flatten(1, 2)
        offset = (keys @ self.q_proj.bias.unflatten(0, (self.heads, -1, 1)) * scale).flatten(1)
        shares = torch.baddbmm(offset[:, None], q, asked.transpose(1, 2)).unflatten(-1, (self.heads, -1))
        told = values @ self.out_proj.weight.t().unflatten(0, (self.heads, -1))
        return torch.baddbmm(self.out_proj.bias, shares.softmax(-1).flatten(2), told.flatten(1, 2))


@dataclass(frozen=True)
class _Folded:
    """Projections of a one-head attention for `mix`.

    Attributes
    ----------
    query, key : (Tensor, Tensor)
        Weight and bias: the first channels of all pairs come before the second ones, and queries are scaled.
    out : (Tensor, Tensor)
        Projection of values and of the result in one: weights of a softmax sum to one, so that averages of
        projected values are projected averages.
    """

    query: tuple[Tensor, Tensor]
    key: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]


class RotaryAttention(Attention):
    """One-head attention between maps with axial rotary positions."""

    def __init__(
        self, dim: int, heads: int, *, inner_dim: int | None = None, memory_dim: int | None = None
    ) -> None:
        super().__init__(dim, heads, inner_dim=inner_dim, memory_dim=memory_dim)
        self._folded: Derived[_Folded] = Derived()

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, unplaced: int = 0, key_table: Tensor | None = None
    ) -> Tensor:
        """Attend from one map's tokens to those of one or more maps.

        Parameters
        ----------
        q : Tensor
            (B, N, dim), N a square.
        k, v : Tensor
            (B, k N + unplaced, memory_dim).
        unplaced : int
            Number of last keys that have no place in the map and are not turned.
        key_table : Tensor, optional
            Angles (B, 1, k N, dim / 2, 2) of keys whose maps do not lie where that of the queries does.
        """
        if is_blocked(q):
            return self._attend_folded(q, k, v, unplaced, key_table)
        queries, keys = self.q_proj(q), self.k_proj(k)
        table = rotary_table(queries.shape[-1], _side(queries.shape[1]), queries.device)
        placed = keys.shape[1] - unplaced
        if placed:
            turned = rotate(keys[:, :placed], table if key_table is None else key_table)
            keys = torch.cat((turned, keys[:, placed:]), dim=1)
        return self._attend(rotate(queries, table), keys, self.v_proj(v))

    def _attend_folded(
        self, q: Tensor, k: Tensor, v: Tensor, unplaced: int, key_table: Tensor | None
    ) -> Tensor:
        dtype = inner_dtype(q)
        folded = self._folded.get(tuple(self.parameters()), lambda: self._fold(dtype), dtype)
        queries = functional.linear(q.to(dtype), *folded.query)
        keys = functional.linear(k.to(dtype), *folded.key)
        table = rotary_table(queries.shape[-1], _side(queries.shape[1]), queries.device)
        placed = keys.shape[1] - unplaced
        placed_keys = rotate_halves(keys[:, :placed], table if key_table is None else key_table)
        turned = torch.cat((placed_keys, keys[:, placed:].float()), dim=1)
        mixed = mix(rotate_halves(queries, table).to(dtype), centre(turned).to(dtype), v.to(dtype))
        return functional.linear(mixed, *folded.out)

    def _fold(self, dtype: torch.dtype) -> _Folded:
        width = len(self.q_proj.weight)
        halves = torch.cat((torch.arange(0, width, 2), torch.arange(1, width, 2)))
        scale = score_scale(width)
        with exactly(self.out_proj.weight):  # rounded once, at the end
            weight = self.out_proj.weight @ self.v_proj.weight
            bias = self.out_proj.weight @ self.v_proj.bias + self.out_proj.bias
        return _Folded(
            query=(
                (scale * self.q_proj.weight[halves]).to(dtype),
                (scale * self.q_proj.bias[halves]).to(dtype),
            ),
            key=(self.k_proj.weight[halves].to(dtype), self.k_proj.bias[halves].to(dtype)),
            out=(weight.to(dtype), bias.to(dtype)),
        )


def _side(tokens: int) -> int:
    side = round(tokens**0.5)
    if side * side != tokens:
        raise ValueError(f"Memory attention needs square maps; got {tokens} tokens.")
    return side
