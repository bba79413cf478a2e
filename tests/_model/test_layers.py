"""Norm over channels, small MLPs, attention and resizing, by their formulas."""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import pytest
import torch
from torch import nn

from napari_sam2._model.attention import Attention, PlaceAttention, RotaryAttention, TokenAttention
from napari_sam2._model.layers import Doubling, LayerNorm2d, Mlp, resize_logits
from napari_sam2._model.positions import rotary_table, rotate
from tests._model.small import normal


def fill(module: torch.nn.Module) -> None:
    for name, parameter in module.named_parameters():
        parameter.data = normal(name, *parameter.shape, scale=0.5)


def test_norm_over_channels() -> None:
    norm = LayerNorm2d(6)
    fill(norm)
    x = normal("x", 2, 6, 3, 4, scale=5)
    wanted = torch.nn.functional.layer_norm(x.permute(0, 2, 3, 1), (6,), norm.weight, norm.bias, eps=1e-6)
    torch.testing.assert_close(norm(x), wanted.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-5)
    assert torch.isfinite(norm(torch.ones(1, 6, 2, 2))).all()


@pytest.mark.parametrize("gelu", [False, True])
def test_mlp_activates_between_layers_only(gelu: bool) -> None:
    mlp = Mlp((3, 5, 4, 2), gelu=gelu)
    fill(mlp)
    x = normal("x", 7, 3)
    wanted = x
    layer: Any
    for index, layer in enumerate(mlp.layers):
        wanted = wanted @ layer.weight.T + layer.bias
        if index < 2:
            flat = [v * (1 + erf(v / sqrt(2))) / 2 if gelu else max(v, 0) for v in wanted.flatten().tolist()]
            wanted = torch.tensor(flat).view_as(wanted)
    torch.testing.assert_close(mlp(x), wanted)
    assert (mlp(x) < 0).any()


def attend_by_hand(attention: Attention, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attend with projected q, k, v, head by head."""
    width = q.shape[-1] // attention.heads
    heads = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / sqrt(width)
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        heads.append(weights @ v[..., part])
    return torch.cat(heads, dim=-1) @ attention.out_proj.weight.T + attention.out_proj.bias


def test_doubling_is_a_transposed_convolution() -> None:
    layer, reference = Doubling(6, 5), nn.ConvTranspose2d(6, 5, 2, stride=2)
    fill(layer)
    reference.load_state_dict(layer.state_dict())
    x = normal("x", 2, 3, 4, 6)
    wanted = reference(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(x), wanted)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize("kind", [TokenAttention, PlaceAttention])
@pytest.mark.parametrize("tokens", [8, 9])
def test_attention_between_few_tokens_and_a_map_is_the_same_folded(
    kind: type[Attention], tokens: int
) -> None:
    layer = kind(32, 2, inner_dim=16)
    fill(layer)
    places, code, few = normal("places", 3, 20, 32), normal("code", 1, 20, 32), normal("few", 3, tokens, 32)
    asked = (few, places + code, places) if kind is TokenAttention else (places + code, few, few)
    torch.testing.assert_close(layer(*asked), Attention.forward(layer, *asked), rtol=1e-4, atol=1e-4)


def test_attention_projects_to_its_inner_width() -> None:
    attention = Attention(8, 2, inner_dim=4, memory_dim=6)
    fill(attention)
    q, k, v = normal("q", 2, 5, 8), normal("k", 2, 3, 6), normal("v", 2, 3, 6)
    wanted = attend_by_hand(attention, attention.q_proj(q), attention.k_proj(k), attention.v_proj(v))
    torch.testing.assert_close(attention(q, k, v), wanted)


@pytest.mark.parametrize(("maps", "unplaced"), [(1, 0), (2, 3), (0, 1)])
def test_rotary_attention_leaves_the_last_keys_in_place(maps: int, unplaced: int) -> None:
    attention = RotaryAttention(8, 1, memory_dim=4)
    fill(attention)
    q, k = normal("q", 1, 9, 8), normal("k", 1, 9 * maps + unplaced, 4)
    table = rotary_table(8, 3, torch.device("cpu"))
    keys, placed = attention.k_proj(k), 9 * maps
    turned = [rotate(part, table) for part in keys[:, :placed].split(9, dim=1)] if maps else []
    wanted = attend_by_hand(
        attention,
        rotate(attention.q_proj(q), table),
        torch.cat([*turned, keys[:, placed:]], dim=1),
        attention.v_proj(k),
    )
    torch.testing.assert_close(attention(q, k, k, unplaced), wanted, rtol=1e-5, atol=1e-5)


def test_rotary_attention_needs_a_square() -> None:
    attention = RotaryAttention(8, 1)
    with pytest.raises(ValueError, match="square maps; got 6 tokens"):
        attention(*[torch.zeros(1, 6, 8)] * 3)


def test_resizing_is_in_float32_and_clamps_at_the_edge() -> None:
    logits = torch.tensor([[[[0.0, 4.0]]]], dtype=torch.bfloat16)
    resized = resize_logits(logits, (1, 4))
    assert resized.dtype == torch.float32
    assert resized.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]
    smaller = resize_logits(resized, (1, 2), antialias=True)
    assert smaller.flatten().tolist() == pytest.approx([6 / 7, 22 / 7])
