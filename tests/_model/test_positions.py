"""Position codes by their formulas, cell by cell."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from math import cos, pi, sin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from napari_sam2._model.positions import (
    moved_rotary_table,
    moved_sine_map,
    rotary_table,
    rotate,
    rotate_halves,
    sine_map,
    sine_times,
)
from tests._model.small import normal

CPU = torch.device("cpu")


@pytest.mark.parametrize(("channels", "side"), [(8, 3), (16, 5)])
def test_map_code(channels: int, side: int) -> None:
    code, half = sine_map(channels, side, CPU), channels // 2
    assert code.shape == (1, channels, side, side)
    for c in range(channels):
        for y in range(side):
            for x in range(side):
                j, step = (c, y) if c < half else (c - half, x)
                angle = (step + 1) / (side + 1e-6) * 2 * pi / 10000 ** (2 * (j // 2) / half)
                wanted = sin(angle) if j % 2 == 0 else cos(angle)
                assert code[0, c, y, x].item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("time", [-0.5, 0.0, 1 / 15, 1.0])
def test_time_code(time: float) -> None:
    """Not interleaved: all sines come first."""
    code = sine_times(torch.tensor([[0.3, time]]), 12)[0, 1]
    angles = [time / 10000 ** (2 * (j // 2) / 6) for j in range(6)]
    assert code.tolist() == pytest.approx([sin(a) for a in angles] + [cos(a) for a in angles], abs=1e-6)


def test_rotation_of_every_pair() -> None:
    """Pair j of token n turns by its column times a frequency, in the second half of the pairs by its row."""
    channels, side = 16, 3
    table, tokens = rotary_table(channels, side, CPU), normal("tokens", 1, 9, channels)
    turned = rotate(tokens, table)
    for n in range(9):
        for j in range(8):
            place = n % side if j < 4 else n // side
            angle = place * 10000 ** (-4 * (j % 4) / channels)
            pair = complex(*tokens[0, n, 2 * j : 2 * j + 2].tolist()) * cmath.exp(1j * angle)
            assert complex(*turned[0, n, 2 * j : 2 * j + 2].tolist()) == pytest.approx(pair, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(repeats=st.integers(1, 4), side=st.integers(1, 4), heads=st.integers(1, 2))
def test_every_map_of_a_sequence_is_turned_alike(repeats: int, side: int, heads: int) -> None:
    table = rotary_table(8, side, CPU)
    tokens = normal("sequence", heads, repeats * side * side, 8)
    parts = [rotate(part, table) for part in tokens.split(side * side, dim=1)]
    torch.testing.assert_close(rotate(tokens, table), torch.cat(parts, dim=1))


@settings(max_examples=25, deadline=None)
@given(dy=st.integers(0, 2), dx=st.integers(0, 2))
def test_turned_products_depend_on_the_shift_alone(dy: int, dx: int) -> None:
    """What a rotary code is for: q at a and k at a + d have the same product wherever a lies."""
    side, table = 5, rotary_table(8, 5, CPU)
    q, k = normal("q", 8).expand(side * side, 8), normal("k", 8).expand(side * side, 8)
    products = rotate(q, table) @ rotate(k, table).T
    shifted = [products[y * side + x, (y + dy) * side + x + dx].item() for y in range(3) for x in range(3)]
    assert shifted == pytest.approx([shifted[0]] * 9, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(down=st.integers(-3, 3), right=st.integers(-3, 3))
def test_maps_that_lie_beside_have_the_codes_of_the_places_that_they_cover(down: int, right: int) -> None:
    side, inside = 5, torch.zeros(2, 5, 5, dtype=torch.bool)
    inside[0, max(down, 0) : side + min(down, 0), max(right, 0) : side + min(right, 0)] = True
    inside[1, max(-down, 0) : side + min(-down, 0), max(-right, 0) : side + min(-right, 0)] = True
    here, there = inside[0].flatten(), inside[1].flatten()
    shifts = torch.tensor([[0.0, 0.0], [float(down), float(right)]])
    codes = moved_sine_map(8, side, shifts)
    assert torch.equal(codes[0], sine_map(8, side, CPU)[0].flatten(1).T)
    torch.testing.assert_close(codes[1, there], codes[0, here])
    turns = moved_rotary_table(8, side, shifts)
    assert torch.equal(turns[0], rotary_table(8, side, CPU))
    torch.testing.assert_close(turns[1, there], turns[0, here])


def test_parts_of_cells_lie_between_cells() -> None:
    down = moved_sine_map(16, 4, torch.tensor([[0.5, 0.0]]))[0].unflatten(0, (4, 4))
    between = moved_sine_map(16, 4, torch.tensor([[0.0, 0.0]]))[0].unflatten(0, (4, 4))
    # The slow half of the frequencies hardly bends over a cell.
    torch.testing.assert_close(down[0, :, 4:8], (between[0] + between[1])[:, 4:8] / 2, atol=0.02, rtol=0)
    torch.testing.assert_close(down[..., 8:], between[..., 8:])


@pytest.mark.parametrize("turn", [rotate, rotate_halves])
def test_each_map_is_turned_by_where_it_lies(turn: Callable[[Tensor, Tensor], Tensor]) -> None:
    tokens, shifts = normal("maps", 2, 18, 8), torch.tensor([[0.0, 1.5], [2.0, -1.0]])
    tables = [moved_rotary_table(8, 3, shifts), moved_rotary_table(8, 3, -shifts)]
    together = turn(tokens, torch.cat(tables, dim=1)[:, None])
    for obj in range(2):
        parts = [
            turn(part, table[obj])
            for part, table in zip(tokens[obj : obj + 1].split(9, dim=1), tables, strict=True)
        ]
        torch.testing.assert_close(together[obj : obj + 1], torch.cat(parts, dim=1))


def test_rotation_keeps_the_type_and_computes_in_float32() -> None:
    table, tokens = rotary_table(8, 2, CPU), normal("half", 4, 8).bfloat16()
    turned = rotate(tokens, table)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(tokens.float(), table).bfloat16())


def test_tables_made_while_tracking_serve_training() -> None:
    """Tensors of inference mode could not be saved for a backward pass."""
    with torch.inference_mode():
        tables = (sine_map(8, 7, CPU), rotary_table(8, 7, CPU))
    assert not any(table.is_inference() or table.requires_grad for table in tables)
    assert sine_map(8, 7, CPU) is tables[0]
    tokens = normal("train", 49, 8).requires_grad_()
    rotate(tokens, tables[1]).square().sum().backward()
    torch.testing.assert_close(tokens.grad, 2 * tokens.detach())
