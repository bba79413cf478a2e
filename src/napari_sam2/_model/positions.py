"""Position codes without parameters: sine codes of maps and times, rotary tables."""

from __future__ import annotations

from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_TEMPERATURE = 10000.0


def _frequencies(count: int, device: torch.device) -> Tensor:
    """Return d_j = T^(2 floor(j / 2) / count), as in Vaswani et al. 2017 (arXiv:1706.03762)."""
    index = torch.arange(count, dtype=torch.float32, device=device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / count
    return torch.pow(_TEMPERATURE, exponent)


def _interleaved_sine(angles: Tensor) -> Tensor:
    """Sine of even channels and cosine of odd ones, kept in place."""
    pair = torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), dim=-1)
    return pair.flatten(-2)


# The tables are made outside inference mode, so that training can use one that tracking made first.
@lru_cache(maxsize=16)
def sine_map(channels: int, side: int, device: torch.device) -> Tensor:
    """Sine code of a square map, rows in the first half of the channels and columns in the second.

    Returns
    -------
    Tensor
        (1, channels, side, side) float32.
    """
    with torch.inference_mode(False), torch.no_grad():
        code = moved_sine_map(channels, side, torch.zeros(1, 2, device=device))
        return code.transpose(1, 2).unflatten(2, (side, side)).contiguous()


def moved_sine_map(channels: int, side: int, shifts: Tensor) -> Tensor:
    """Sine codes of maps that lie beside the map that `sine_map` is of.

    Parameters
    ----------
    channels : int
        Width of the code.
    side : int
        Of all the maps.
    shifts : Tensor
        (B, 2): how many cells each map lies further down, and further right.

    Returns
    -------
    Tensor
        (B, side * side, channels) float32.
    """
    cells = torch.arange(1, side + 1, dtype=torch.float32, device=shifts.device)
    steps = (cells + shifts[:, :, None]) / (side + 1e-6) * (2 * pi)
    axes = _interleaved_sine(steps[..., None] / _frequencies(channels // 2, shifts.device))
    return torch.cat((_of_rows(axes[:, 0]), _of_columns(axes[:, 1])), dim=-1)


def _of_rows(values: Tensor) -> Tensor:
    """Give each token what its row has: (B, side, C) to (B, side * side, C)."""
    return values.repeat_interleave(values.shape[1], dim=1)


def _of_columns(values: Tensor) -> Tensor:
    """Give each token what its column has: (B, side, C) to (B, side * side, C)."""
    return values.repeat(1, values.shape[1], 1)


def sine_times(times: Tensor, channels: int) -> Tensor:
    """Sine code of times: all sines, then all cosines.

    Parameters
    ----------
    times : Tensor
        (...), in units of the longest distance.
    channels : int
        Width of the code.

    Returns
    -------
    Tensor
        (..., channels) float32.
    """
    angles = times[..., None].float() / _frequencies(channels // 2, times.device)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


@lru_cache(maxsize=16)
def rotary_table(channels: int, side: int, device: torch.device) -> Tensor:
    """Axial rotary angles (Su et al. 2021, arXiv:2104.09864) of a square map's tokens.

    Returns
    -------
    Tensor
        (side * side, channels / 2, 2) float32: cosine and sine of each pair's angle; columns turn the first
        half of the pairs and rows the second.
    """
    with torch.inference_mode(False), torch.no_grad():
        return moved_rotary_table(channels, side, torch.zeros(1, 2, device=device))[0]


def moved_rotary_table(channels: int, side: int, shifts: Tensor) -> Tensor:
    """Rotary angles of maps that lie beside the map that `rotary_table` is of.

    Parameters
    ----------
    channels : int
        Width of queries and keys.
    side : int
        Of all the maps.
    shifts : Tensor
        (B, 2): how many cells each map lies further down, and further right.

    Returns
    -------
    Tensor
        (B, side * side, channels / 2, 2) float32.
    """
    exponent = torch.arange(channels // 4, dtype=torch.float32, device=shifts.device) * 4 / channels
    frequencies = 1.0 / torch.pow(_TEMPERATURE, exponent)
    cells = torch.arange(side, dtype=torch.float32, device=shifts.device)
    angles = (cells + shifts[:, :, None])[..., None] * frequencies
    turns = torch.stack((angles.cos(), angles.sin()), dim=-1).flatten(-2)
    table = torch.stack((_of_columns(turns[:, 1]), _of_rows(turns[:, 0])), dim=2)
    return table.unflatten(-1, (-1, 2)).flatten(2, 3)


def rotate(tokens: Tensor, table: Tensor) -> Tensor:
    """Turn channel pairs (2j, 2j+1) by the table's angles, in float32.

    Parameters
    ----------
    tokens : Tensor
        (..., k N, channels); the table is used k times along the sequence, once for every map.
    table : Tensor
        (N, channels / 2, 2) from `rotary_table`; or (B, 1, k N, channels / 2, 2), of each map where it lies.
    """
    pairs = tokens.float().unflatten(-1, (-1, 2)).unflatten(-3, (-1, table.shape[-3]))
    a, b = pairs.unbind(-1)
    cosine, sine = table.unbind(-1)
    turned = torch.stack((a * cosine - b * sine, a * sine + b * cosine), dim=-1)
    return turned.flatten(-2).flatten(-3, -2).to(tokens.dtype)


def rotate_halves(tokens: Tensor, table: Tensor) -> Tensor:
    """Turn channel pairs as `rotate` does, pair j being channels j and channels / 2 + j.

    Parameters
    ----------
    tokens : Tensor
        (..., k N, channels).
    table : Tensor
        (N, channels / 2, 2) from `rotary_table`; or (B, 1, k N, channels / 2, 2), of each map where it lies.

    Returns
    -------
    Tensor
        (..., k N, channels) float32.
    """
    maps = tokens.unflatten(-2, (-1, table.shape[-3]))
    a, b = maps.chunk(2, dim=-1)
    cosine, sine = table[..., 0], table[..., 1]
    turned = torch.empty(maps.shape, dtype=torch.float32, device=tokens.device)
    first, second = turned.chunk(2, dim=-1)
    torch.mul(a, cosine, out=first).addcmul_(b, sine, value=-1)
    torch.mul(b, cosine, out=second).addcmul_(a, sine)
    return turned.flatten(-3, -2)
