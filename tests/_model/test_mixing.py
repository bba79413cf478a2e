"""Attention by blocks and folded projections give what the plain path gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from napari_sam2._model import hiera, mixing
from napari_sam2._model.attention import RotaryAttention
from napari_sam2._model.derived import Derived
from napari_sam2._model.layers import Linear
from napari_sam2._model.mixing import centre, mix, score_scale
from napari_sam2._model.positions import rotary_table, rotate, rotate_halves
from tests._model.small import click, features, memories, normal, small_model

CPU = torch.device("cpu")


def plain(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(queries, keys, values)


@pytest.mark.parametrize("batched", [1, 10**9])
@pytest.mark.parametrize("keys", [5, 23])
def test_blocks_give_the_softmax_of_all_keys(
    monkeypatch: pytest.MonkeyPatch, keys: int, batched: int
) -> None:
    monkeypatch.setattr(mixing, "_BATCHED", batched)
    monkeypatch.setattr(mixing, "_QUERIES", 4)
    monkeypatch.setattr(mixing, "_KEYS", 7)
    q, k, v = normal("q", 2, 3, 10, 8), normal("k", 2, 3, keys, 8), normal("v", 2, 3, keys, 5)
    torch.testing.assert_close(mix(q * score_scale(8), k, v), plain(q, k, v), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shift", [-300.0, 300.0])
def test_scores_out_of_range_are_computed_again(shift: float) -> None:
    """All scores of a query lie far from zero: exponentials would be all zero or infinite."""
    q, k, v = torch.ones(4, 8), normal("k", 6, 8) + shift, normal("v", 6, 8)
    got = mix(q * score_scale(8), k, v)
    torch.testing.assert_close(got, plain(q[None], k[None], v[None])[0], rtol=1e-3, atol=1e-3)


def test_centred_keys_weigh_the_same() -> None:
    q, k, v = normal("q", 4, 8), normal("k", 6, 8) + 3, normal("v", 6, 8)
    assert centre(k).mean(0).abs().max() < 1e-6
    scaled = q * score_scale(8)
    torch.testing.assert_close(mix(scaled, centre(k), v), mix(scaled, k, v), rtol=1e-4, atol=1e-5)


def test_halves_are_turned_as_pairs() -> None:
    tokens, table = normal("tokens", 2, 18, 8), rotary_table(8, 3, CPU)
    halves = torch.cat((tokens[..., 0::2], tokens[..., 1::2]), dim=-1)
    turned = rotate(tokens, table)
    wanted = torch.cat((turned[..., 0::2], turned[..., 1::2]), dim=-1)
    torch.testing.assert_close(rotate_halves(halves, table), wanted)


@pytest.mark.parametrize("unplaced", [0, 2])
def test_folded_attention_is_the_plain_one(unplaced: int) -> None:
    attention = RotaryAttention(8, 1, memory_dim=4)
    for name, parameter in attention.named_parameters():
        parameter.data = normal(name, *parameter.shape)
    q, k, v = normal("q", 2, 9, 8), normal("k", 2, 18 + unplaced, 4), normal("v", 2, 18 + unplaced, 4)
    wanted = attention(q, k, v, unplaced)
    with torch.no_grad():
        torch.testing.assert_close(attention(q, k, v, unplaced), wanted, rtol=1e-4, atol=1e-5)
        attention.v_proj.weight.mul_(2)
        changed = attention(q, k, v, unplaced)
    torch.testing.assert_close(changed, attention(q, k, v, unplaced), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(changed, wanted, atol=1e-2)


def test_strips_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    image = normal("image", 2, 3, 96, 96)
    with torch.inference_mode():
        whole = model.encode_image(image)
        monkeypatch.setattr(hiera, "_STRIP_TOKENS", 1)
        strips = model.encode_image(image)
    torch.testing.assert_close(strips.embedding, whole.embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(strips.high_res, whole.high_res, rtol=1e-4, atol=1e-5)


def test_inference_gives_what_training_gives() -> None:
    """Nothing that is folded, cut or shared changes an answer; gradients go through the plain path."""
    model = small_model()
    image = normal("image", 1, 3, 64, 64)
    with torch.inference_mode():
        seen = model.encode_image(image)
        quick = model.step(seen, memories(model), points=click((20.0, 30.0)))
    model.requires_grad_(requires_grad=True)
    trained = model.encode_image(image)
    slow = model.step(trained, memories(model), points=click((20.0, 30.0)))
    torch.testing.assert_close(seen.high_res, trained.high_res, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(quick.masks, slow.masks, rtol=1e-3, atol=1e-3)
    slow.masks.sum().backward()
    assert model.get_parameter("memory_attention.layers.0.cross_attn_image.v_proj.weight").grad is not None
    assert model.sam_mask_decoder.conv_s0.weight.grad is not None


def test_bfloat16_stays_near_float32() -> None:
    model = small_model()
    image = normal("image", 1, 3, 64, 64)
    with torch.inference_mode():
        exact = model.recall(model.encode_image(image), memories(model))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.recall(model.encode_image(image), memories(model)).float()
    error = (rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 1e-5 < error < 0.03


@torch.inference_mode()
def test_what_all_objects_share_is_computed_once_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    calls: list[int] = []
    attend = RotaryAttention.forward

    def count(self: RotaryAttention, q: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls.append(len(q))
        return attend(self, q, *rest)

    monkeypatch.setattr(RotaryAttention, "forward", count)
    first, second = features(model), features(model, tag="other")
    alone = model.recall(first, memories(model))
    model.recall(first, memories(model, tag="another"))
    assert len(calls) == 3  # one layer: itself once, memories twice
    together = model.recall(first.expand(2), memories(model, batch=2))
    assert calls[3:] == [1, 2] or calls[3:] == [2]
    assert not torch.allclose(model.recall(second, memories(model)), alone)
    assert together.shape[0] == 2


def test_prepared_weights_are_no_state() -> None:
    model = small_model()
    before = set(model.state_dict())
    with torch.inference_mode():
        model.recall(features(model), memories(model))
    assert set(model.state_dict()) == before


def test_derived_values_follow_their_sources() -> None:
    weight, made = torch.ones(2), []
    derived: Derived[torch.Tensor] = Derived()

    def double() -> torch.Tensor:
        made.append(1)
        return 2 * weight

    assert derived.get((weight,), double) is derived.get((weight,), double)
    weight.add_(1)
    assert torch.equal(derived.get((weight,), double), torch.full((2,), 4.0))
    derived.get((weight,), double, "other option")
    assert len(made) == 3


def test_linear_casts_its_weights_once() -> None:
    layer, x = Linear(4, 3), normal("x", 2, 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        assert layer.weights(torch.bfloat16)[0] is layer.weights(torch.bfloat16)[0]
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).sum().backward()
    assert layer.weight.grad is not None
