"""Memory attention: the current frame's features look at memories and object pointers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.attention import RotaryAttention
from napari_sam2._model.derived import Derived
from napari_sam2._model.layers import Linear, inner_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config


@dataclass(frozen=True)
class MemoryTokens:
    """Tokens that are attended to.

    Attributes
    ----------
    values, codes : Tensor
        (B, L, M): memories and their position codes.
    unplaced : int
        Number of last tokens that have no place in the map: object pointers.
    table : Tensor or None
        Rotary angles (B, 1, L - unplaced, C / 2, 2) of the others; None where all lie where the frame does.
    """

    values: Tensor
    codes: Tensor
    unplaced: int
    table: Tensor | None = None


class MemoryAttentionLayer(nn.Module):
    """Self-attention, attention to memories, MLP; normed before each."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.model_dim
        self.self_attn = RotaryAttention(dim, 1)
        self.cross_attn_image = RotaryAttention(dim, 1, memory_dim=config.memory_dim)
        self.linear1 = Linear(dim, config.attention_mlp_dim)
        self.linear2 = Linear(config.attention_mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def attend_self(self, x: Tensor) -> Tensor:
        """Let (B, N, C) look at itself."""
        y = self.norm1(x)
        return x + self.self_attn(y, y, y)

    def attend_memory(self, x: Tensor, keys: Tensor, memory: MemoryTokens) -> Tensor:
        """Let (B, N, C) look at memories, then pass through the MLP."""
        seen = self.cross_attn_image(self.norm2(x), keys, memory.values, memory.unplaced, memory.table)
        x = x + seen
        return x + self.linear2(functional.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nn.Module):
    """A stack of memory attention layers."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.attention_layers))
        self.norm = nn.LayerNorm(config.model_dim)
        self._seen: Derived[Tensor] = Derived()

    def forward(self, current: Tensor, current_code: Tensor, memory: MemoryTokens) -> Tensor:
        """Condition features on memories.

        Parameters
        ----------
        current, current_code : Tensor
            (B, N, C) and (1, N, C); a tenth of the code is added once.
        memory : MemoryTokens
            What is remembered.
        """
        keys = memory.values + memory.codes
        x = self._look(current, current_code)
        for index, layer in enumerate(self._stack):
            x = layer.attend_memory(x if index == 0 else layer.attend_self(x), keys, memory)
        normed: Tensor = self.norm(x)
        return normed

    @property
    def _stack(self) -> list[MemoryAttentionLayer]:
        return list(self.layers)  # type: ignore[arg-type]

    def _look(self, current: Tensor, code: Tensor) -> Tensor:
        """Let a frame look at itself: the same for all objects on it, so it is done once for a frame."""
        first = self._stack[0]
        if torch.is_grad_enabled():
            return first.attend_self(current + 0.1 * code)
        # Objects of one frame are views of one map.
        shared = current[:1] if current.stride(0) == 0 else current
        seen = self._seen.get(
            (shared, *first.self_attn.parameters(), *first.norm1.parameters()),
            lambda: first.attend_self(shared + 0.1 * code),
            inner_dtype(current),
        )
        return seen.expand(len(current), -1, -1)
