"""The trunk's windows, pooling and positions."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._model import hiera
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.hiera import (
    Block,
    BlockPlan,
    WindowAttention,
    _cut_windows,
    _join_windows,
    plan_blocks,
)
from tests._model.small import normal, small_model


def test_plan_of_the_released_tiny_trunk() -> None:
    plans = plan_blocks(RELEASED_CONFIGS["sam2.1-tiny"].trunk)
    assert [(p.dim, p.out_dim, p.heads, p.window, p.pool) for p in plans] == [
        (96, 96, 1, 8, False),
        (96, 192, 2, 8, True),
        (192, 192, 2, 4, False),
        (192, 384, 4, 4, True),
        (384, 384, 4, 14, False),
        (384, 384, 4, 0, False),
        (384, 384, 4, 14, False),
        (384, 384, 4, 0, False),
        (384, 384, 4, 14, False),
        (384, 384, 4, 0, False),
        (384, 768, 8, 14, True),
        (768, 768, 8, 7, False),
    ]
    assert [i for i, p in enumerate(plans) if p.ends_stage] == [0, 2, 9, 11]


@pytest.mark.parametrize(
    ("size", "ends", "pools", "last"),
    [
        ("small", [0, 2, 13, 15], [1, 3, 14], (768, 8, 7)),
        ("base-plus", [1, 4, 20, 23], [2, 5, 21], (896, 16, 7)),
        ("large", [1, 7, 43, 47], [2, 8, 44], (1152, 16, 8)),
    ],
)
def test_plans_of_the_other_sizes(
    size: str, ends: list[int], pools: list[int], last: tuple[int, ...]
) -> None:
    plans = plan_blocks(RELEASED_CONFIGS[f"sam2-{size}"].trunk)
    assert [i for i, p in enumerate(plans) if p.ends_stage] == ends
    assert [i for i, p in enumerate(plans) if p.pool] == pools
    assert (plans[-1].out_dim, plans[-1].heads, plans[-1].window) == last


@settings(max_examples=60, deadline=None)
@given(batch=st.integers(1, 3), height=st.integers(1, 11), width=st.integers(1, 11), window=st.integers(1, 6))
def test_windows_cut_and_joined_are_the_map(batch: int, height: int, width: int, window: int) -> None:
    x = normal("map", batch, height, width, 2)
    windows = _cut_windows(x, window, torch.zeros(2))
    rows, columns = -(-height // window), -(-width // window)
    assert windows.tokens.shape == (batch * rows * columns, window, window, 2)
    assert torch.equal(_join_windows(windows.tokens, height, width), x)


@settings(max_examples=60, deadline=None)
@given(y=st.integers(0, 6), x=st.integers(0, 4), window=st.integers(1, 5))
def test_each_token_lies_in_its_window(y: int, x: int, window: int) -> None:
    """Windows are counted row by row, and what is added at the bottom and on the right is zero."""
    image = torch.zeros(2, 7, 5, 1)
    image[1, y, x] = 1
    windows = _cut_windows(image, window, torch.zeros(1)).tokens
    rows, columns = -(-7 // window), -(-5 // window)
    index = rows * columns + y // window * columns + x // window
    assert windows[index, y % window, x % window].item() == 1
    assert windows.sum() == 1


def make_block(*, window: int, pool: bool = False) -> Block:
    block = Block(BlockPlan(4, 8 if pool else 4, 2, window, pool, ends_stage=False))
    for name, parameter in block.named_parameters():
        parameter.data = normal(name, *parameter.shape, scale=0.5)
    return block.requires_grad_(requires_grad=False)


def attend_by_hand(attention: WindowAttention, tokens: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Attend in one window: queries (m, C) as projected, keys and values of tokens (n, dim)."""
    _, k, v = (tokens @ attention.qkv.weight.T + attention.qkv.bias).chunk(3, dim=-1)
    width = k.shape[-1] // attention.heads
    heads = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        weights = (queries[:, part] @ k[:, part].T / sqrt(width)).softmax(dim=-1)
        heads.append(weights @ v[:, part])
    return torch.cat(heads, dim=-1) @ attention.proj.weight.T + attention.proj.bias


def test_padding_is_attended_as_keys_and_values() -> None:
    """A 3 x 3 map in one 4 x 4 window: seven keys more, which are the bias of the projection."""
    block, x = make_block(window=4), normal("map", 1, 3, 3, 4)
    normed = torch.nn.functional.layer_norm(x, (4,), block.norm1.weight, block.norm1.bias, eps=1e-6)
    padded = torch.zeros(16, 4)
    inside = [y * 4 + z for y in range(3) for z in range(3)]
    padded[inside] = normed.reshape(9, 4)
    q = (padded @ block.attn.qkv.weight.T + block.attn.qkv.bias)[:, :4]
    mixed = x + attend_by_hand(block.attn, padded, q)[inside].view(1, 3, 3, 4)
    wanted = mixed + block.mlp(block.norm2(mixed))
    torch.testing.assert_close(block(x), wanted, rtol=1e-5, atol=1e-5)


def test_pooled_queries_and_projected_shortcut() -> None:
    """Queries are the largest of each 2 x 2; keys stay, and the shortcut is made of the normed tokens."""
    block, x = make_block(window=4, pool=True), normal("map", 1, 4, 4, 4)
    normed = block.norm1(x)
    q = (normed @ block.attn.qkv.weight.T + block.attn.qkv.bias)[..., :8]
    pooled = torch.stack(
        [q[0, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2].amax((0, 1)) for y in range(2) for z in range(2)]
    )
    projected = normed @ block.proj.weight.T + block.proj.bias
    shortcut = projected.view(1, 2, 2, 2, 2, 8).amax((2, 4))
    mixed = shortcut + attend_by_hand(block.attn, normed.view(16, 4), pooled).view(1, 2, 2, 8)
    torch.testing.assert_close(block(x), mixed + block.mlp(block.norm2(mixed)), rtol=1e-5, atol=1e-5)


def test_windows_do_not_see_each_other_and_global_blocks_do() -> None:
    x = normal("map", 1, 4, 4, 4)
    changed = x.clone()
    changed[0, 3, 3] *= -1
    windowed, everywhere = make_block(window=2), make_block(window=0)
    assert torch.equal(windowed(x)[:, :2], windowed(changed)[:, :2])
    assert not torch.isclose(everywhere(x)[0, 0, 0], everywhere(changed)[0, 0, 0]).any()


def test_four_maps_at_their_strides() -> None:
    trunk = small_model().image_encoder.trunk
    maps = trunk(normal("image", 2, 3, 96, 96))
    assert [tuple(x.shape) for x in maps] == [(2, 8, 24, 24), (2, 16, 12, 12), (2, 32, 6, 6), (2, 64, 3, 3)]


def test_positions_are_stretched_and_tiled() -> None:
    trunk = small_model().image_encoder.trunk
    stretched = torch.nn.functional.interpolate(trunk.pos_embed, (24, 24), mode="bicubic")
    got = trunk.positions(24, 24)
    for y, x in ((0, 0), (5, 13), (23, 8)):
        wanted = stretched[0, :, y, x] + trunk.pos_embed_window[0, :, y % 4, x % 4]
        torch.testing.assert_close(got[0, y, x], wanted)


@torch.no_grad()
def test_positions_are_made_once_until_weights_or_size_change() -> None:
    trunk = small_model().image_encoder.trunk
    first = trunk.positions(16, 16)
    assert trunk.positions(16, 16) is first
    assert trunk.positions(24, 24).shape == (1, 24, 24, 8)
    for embedding in (trunk.pos_embed, trunk.pos_embed_window):
        before = trunk.positions(16, 16)
        embedding.add_(1)
        torch.testing.assert_close(trunk.positions(16, 16), before + 1)


@torch.no_grad()
def test_positions_follow_loaded_weights() -> None:
    trunk = small_model().image_encoder.trunk
    first = trunk.positions(16, 16)
    other = small_model(seed=1).image_encoder.trunk
    trunk.load_state_dict(other.state_dict())
    assert torch.equal(trunk.positions(16, 16), other.positions(16, 16))
    trunk.load_state_dict(small_model().image_encoder.trunk.state_dict(), assign=True)
    assert torch.equal(trunk.positions(16, 16), first)


def test_positions_are_trained() -> None:
    trunk = small_model().image_encoder.trunk
    with torch.inference_mode():
        trunk.positions(16, 16)
    trunk.requires_grad_(requires_grad=True)
    trunk.positions(16, 16).sum().backward()
    assert trunk.pos_embed_window.grad is not None
    assert (trunk.pos_embed_window.grad == 16).all()
    assert trunk.pos_embed.grad is not None


def test_more_windows_than_a_card_takes_at_once_are_attended_to_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attention = WindowAttention(16, 16, 2, pool=True)
    x = normal("x", 3, 16, 16, 16)
    whole = attention(x, 8)
    monkeypatch.setattr(hiera, "_MOST_MAPS", 5)
    assert torch.allclose(attention(x, 8), whole, atol=1e-6)
