"""Memory attention: the current frame's features look at memories and object pointers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from napari_sam2._model.attention import RotaryAttention

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
    """

    values: Tensor
    codes: Tensor
    unplaced: int


class MemoryAttentionLayer(nn.Module):
    """Self-attention, attention to memories, MLP; normed before each."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.model_dim
        self.self_attn = RotaryAttention(dim, 1)
        self.cross_attn_image = RotaryAttention(dim, 1, memory_dim=config.memory_dim)
        self.linear1 = nn.Linear(dim, config.attention_mlp_dim)
        self.linear2 = nn.Linear(config.attention_mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, memory: MemoryTokens) -> Tensor:
        """Update (B, N, C)."""
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y)
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, memory.values + memory.codes, memory.values, memory.unplaced)
        return x + self.linear2(functional.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nn.Module):
    """A stack of memory attention layers."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.attention_layers))
        self.norm = nn.LayerNorm(config.model_dim)

    def forward(self, current: Tensor, current_code: Tensor, memory: MemoryTokens) -> Tensor:
        """Condition features on memories.

        Parameters
        ----------
        current, current_code : Tensor
            (B, N, C) and (1, N, C); a tenth of the code is added once.
        memory : MemoryTokens
            What is remembered.
        """
        x = current + 0.1 * current_code
        for layer in self.layers:
            x = layer(x, memory)
        normed: Tensor = self.norm(x)
        return normed
