"""The Hiera trunk: a hierarchical vision transformer with windows (Ryali et al. 2023, arXiv:2306.00989)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.derived import Derived
from napari_sam2._model.layers import Linear, Mlp, exactly, inner_dtype
from napari_sam2._model.mixing import is_blocked, mix, score_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_sam2._model.config import TrunkConfig

# On a CPU a map goes through a block in strips of about so many tokens, which stay in its caches.
_STRIP_TOKENS = 2048
# Maps that torch's kernels of a card attend in at once: a grid there has at most 65,535 blocks along an axis.
_MOST_MAPS = 65_535


@dataclass(frozen=True)
class BlockPlan:
    """Shape of one block.

    Attributes
    ----------
    dim, out_dim, heads : int
        Channels in and out, and heads.
    window : int
        Window side in tokens before pooling; 0 is global attention.
    pool : bool
        Queries are pooled 2 x 2, which halves the map.
    ends_stage : bool
        The output is one of the four maps.
    """

    dim: int
    out_dim: int
    heads: int
    window: int
    pool: bool
    ends_stage: bool


def plan_blocks(config: TrunkConfig) -> tuple[BlockPlan, ...]:
    """Lay out the blocks; a stage's first one pools in the windows of the stage before."""
    plans: list[BlockPlan] = []
    for stage, count in enumerate(config.stages):
        for index in range(count):
            pools = index == 0 and stage > 0
            dim = config.channels[stage - 1 if pools else stage]
            window = config.windows[stage - 1 if pools else stage]
            is_global = len(plans) in config.global_blocks
            heads = config.num_heads * 2**stage
            plans.append(
                BlockPlan(
                    dim, config.channels[stage], heads, 0 if is_global else window, pools, index + 1 == count
                )
            )
    return tuple(plans)


@dataclass(frozen=True)
class _Windows:
    """Windows cut from a padded map, (B n, w, w, C), and what is needed to put them back."""

    tokens: Tensor
    height: int
    width: int


def _cut_windows(x: Tensor, window: int, padding: Tensor) -> _Windows:
    """Pad bottom and right with `padding` (C,) to whole windows; these tokens are attended to."""
    batch, height, width, channels = x.shape
    rows, columns = -(-height // window), -(-width // window)
    if (rows * window, columns * window) != (height, width):
        padded = padding.to(x.dtype).expand(batch, rows * window, columns * window, -1).clone()
        padded[:, :height, :width] = x
        x = padded
    x = x.view(batch, rows, window, columns, window, channels).transpose(2, 3)
    return _Windows(x.reshape(-1, window, window, channels), height, width)


def _join_windows(tokens: Tensor, height: int, width: int) -> Tensor:
    """Put windows back and crop the padding."""
    window, channels = tokens.shape[1], tokens.shape[-1]
    rows, columns = -(-height // window), -(-width // window)
    x = tokens.view(-1, rows, columns, window, window, channels).transpose(2, 3)
    return x.reshape(-1, rows * window, columns * window, channels)[:, :height, :width]


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if len(q) <= _MOST_MAPS:
        return functional.scaled_dot_product_attention(q, k, v)
    parts = zip(*(each.split(_MOST_MAPS) for each in (q, k, v)), strict=True)
    return torch.cat([functional.scaled_dot_product_attention(*part) for part in parts])


def _max_pool(x: Tensor) -> Tensor:
    """Pool (B, H, W, C) 2 x 2."""
    upper, lower = x.unflatten(1, (-1, 2)).unbind(2)
    rows = torch.maximum(upper, lower)
    left, right = rows.unflatten(2, (-1, 2)).unbind(3)
    return torch.maximum(left, right)


class PatchEmbedding(nn.Module):
    """Convolution from pixels to stride-4 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 7, stride=4, padding=3)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, S/4, S/4, C).

        All that follows is made of its result, and it costs little: it is never computed in less precision.
        """
        with exactly(images):
            tokens: Tensor = self.proj(images.contiguous(memory_format=torch.channels_last))
        return tokens.permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Self-attention inside the windows of (B, H, W, C) maps, queries pooled on request."""

    def __init__(self, dim: int, out_dim: int, heads: int, *, pool: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        self.qkv = Linear(dim, 3 * out_dim)
        self.proj = Linear(out_dim, out_dim)
        self._scaled: Derived[tuple[Tensor, Tensor]] = Derived()

    def forward(self, x: Tensor, window: int = 0) -> Tensor:
        """Attend within each window, or within the whole map where `window` is 0.

        Padding up to whole windows is attended as tokens of zeros, as in the reference: projected, the bias.
        """
        if not window:
            return self.proj(self._attend_all(x))
        windows = _cut_windows(self.qkv(x), window, self.qkv.bias)
        mixed = self._attend(windows.tokens, blocked=False)
        step = 2 if self.pool else 1
        return self.proj(_join_windows(mixed, windows.height // step, windows.width // step))

    def _attend_all(self, x: Tensor) -> Tensor:
        """Attend within the whole map."""
        dtype = inner_dtype(x)
        # In float32, and in windows, torch's fused kernel is as fast as the machine can be.
        if not (is_blocked(x) and dtype == torch.bfloat16):
            return self._attend(self.qkv(x), blocked=False)
        return self._attend(functional.linear(x.to(dtype), *self._scale_queries(dtype)), blocked=True)

    def _attend(self, tokens: Tensor, *, blocked: bool) -> Tensor:
        """Attend within each map of (n, h, w, 3 C)."""
        q, k, v = tokens.chunk(3, dim=-1)
        if self.pool:
            q = _max_pool(q)
        height, width = q.shape[1:3]
        q, k, v = (y.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        mixed = mix(q, k, v) if blocked else _attention(q, k, v)
        return mixed.transpose(1, 2).flatten(2).unflatten(1, (height, width))

    def _scale_queries(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weight and bias with the scale of `mix` on the queries' rows."""
        return self._scaled.get((self.qkv.weight, self.qkv.bias), lambda: self._make_scaled(dtype), dtype)

    def _make_scaled(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        width = self.proj.in_features
        scale = torch.ones(3 * width, device=self.qkv.weight.device)
        scale[:width] = score_scale(width // self.heads)
        return (scale[:, None] * self.qkv.weight).to(dtype), (scale * self.qkv.bias).to(dtype)


class Block(nn.Module):
    """Attention and MLP, each with a residual."""

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        self.plan = plan
        self.norm1 = nn.LayerNorm(plan.dim, eps=1e-6)
        self.attn = WindowAttention(plan.dim, plan.out_dim, plan.heads, pool=plan.pool)
        self.norm2 = nn.LayerNorm(plan.out_dim, eps=1e-6)
        self.mlp = Mlp((plan.out_dim, 4 * plan.out_dim, plan.out_dim), gelu=True)
        if plan.dim != plan.out_dim:
            self.proj = Linear(plan.dim, plan.out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to (B, H', W', out_dim), halved where queries are pooled."""
        if not self.plan.window:
            return _in_strips(self._transform, self._attend(x), 1)
        return _in_strips(lambda part: self._transform(self._attend(part)), x, self.plan.window)

    def _attend(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        # Where the width changes, the residual is a projection of the normed tokens, not of the tokens.
        shortcut = x if self.plan.dim == self.plan.out_dim else self.proj(normed)
        if self.plan.pool:
            shortcut = _max_pool(shortcut)
        return shortcut + self.attn(normed, self.plan.window)

    def _transform(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm2(x))


def _in_strips(function: Callable[[Tensor], Tensor], x: Tensor, unit: int) -> Tensor:
    """Apply a function of (B, H, W, C) maps to strips of a multiple of `unit` rows, which do not interact."""
    rows = unit * max(1, _STRIP_TOKENS // (unit * x.shape[0] * x.shape[2]))
    if not is_blocked(x) or rows >= x.shape[1]:
        return function(x)
    first = function(x[:, :rows])
    shrinks = rows // first.shape[1]
    result = first.new_empty(x.shape[0], x.shape[1] // shrinks, *first.shape[2:])
    result[:, : first.shape[1]] = first
    for start in range(rows, x.shape[1], rows):
        part = function(x[:, start : start + rows])
        result[:, start // shrinks : start // shrinks + part.shape[1]] = part
    return result


class Hiera(nn.Module):
    """The trunk: pixels in, four maps at strides 4, 8, 16 and 32 out."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.embed_dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.embed_dim, *config.background_size))
        self.pos_embed_window = nn.Parameter(
            torch.zeros(1, config.embed_dim, config.windows[0], config.windows[0])
        )
        self.plans = plan_blocks(config)
        self.blocks = nn.ModuleList(Block(plan) for plan in self.plans)
        self._table: Derived[Tensor] = Derived()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (B, 3, S, S) to four NCHW maps, finest first."""
        x = self.patch_embed(images)
        x = x + self.positions(x.shape[1], x.shape[2])
        maps = []
        for plan, block in zip(self.plans, self.blocks, strict=True):
            x = block(x)
            if plan.ends_stage:
                maps.append(x.permute(0, 3, 1, 2))
        return maps

    def positions(self, height: int, width: int) -> Tensor:
        """Positional embedding of a stride-4 map, (1, height, width, C)."""
        if torch.is_grad_enabled():
            return self._make_positions(height, width)
        # Bicubic resizing costs tens of milliseconds a frame: the table is kept until a weight changes.
        embeds = (self.pos_embed, self.pos_embed_window)
        return self._table.get(embeds, lambda: self._make_positions(height, width), height, width)

    def _make_positions(self, height: int, width: int) -> Tensor:
        stretched = functional.interpolate(self.pos_embed.float(), (height, width), mode="bicubic")
        window = self.pos_embed_window
        tiled = window.tile((1, 1, height // window.shape[2], width // window.shape[3]))
        return (stretched + tiled).permute(0, 2, 3, 1).contiguous()
