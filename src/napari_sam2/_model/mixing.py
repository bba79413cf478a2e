"""Attention on a CPU, where matrix products of blocks that fit its caches beat torch's fused kernel."""

from __future__ import annotations

from math import e, log2, sqrt

import torch
from torch import Tensor
from torch.nn import functional

# Exponentials to the base 2 cost half of those to the base e.
_LOG2_E = log2(e)

# Scores of so many queries and keys are held at once; of small maps, of as many heads as make one such block.
_QUERIES, _KEYS = 512, 8192
_BATCHED = 512 * 2048


def score_scale(width: int) -> float:
    """Return what queries of one head are multiplied with before `mix` takes them."""
    return _LOG2_E / sqrt(width)


def is_blocked(tensor: Tensor) -> bool:
    """Tell whether `mix` computes attention from this tensor: on a CPU, where no gradients are wanted."""
    return tensor.device.type == "cpu" and not torch.is_grad_enabled()


def mix(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Average values with the weights ``softmax(queries keys^T)``, to the base 2.

    No maximum is subtracted before the exponential, which saves a pass over the scores. Where that overflows
    or loses what is small, the block is computed again in torch's own way.

    Parameters
    ----------
    queries : Tensor
        (..., n, d), multiplied by `score_scale`.
    keys : Tensor
        (..., m, d); their mean is best zero, see `centre`.
    values : Tensor
        (..., m, v), in the same precision.

    Returns
    -------
    Tensor
        (..., n, v).
    """
    n, m = queries.shape[-2], keys.shape[-2]
    if n * m <= _BATCHED:
        return _mix_block(queries, keys, values)
    leading, width = queries.shape[:-2], values.shape[-1]
    result = queries.new_empty((*leading, n, width))
    flat = result.view(-1, n, width)
    parts = (queries.reshape(-1, n, queries.shape[-1]), keys.reshape(-1, m, keys.shape[-1]))
    for index, (q, k, v) in enumerate(zip(*parts, values.reshape(-1, m, width), strict=True)):
        for start in range(0, n, _QUERIES):
            flat[index, start : start + _QUERIES] = _mix_block(q[start : start + _QUERIES], k, v)
    return result


def centre(keys: Tensor) -> Tensor:
    """Subtract the mean key: it adds the same to all scores of a query, which changes no weight.

    What is left is small, so that it rounds little and its exponentials stay in range.
    """
    return keys - keys.mean(dim=-2, keepdim=True)


def _mix_block(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    total: Tensor | None = None
    share: Tensor | None = None
    for k, v in zip(keys.split(_KEYS, dim=-2), values.split(_KEYS, dim=-2), strict=True):
        scores = queries @ k.transpose(-1, -2)
        weights = torch.exp2(scores, out=scores)
        weight, mixed = weights.sum(-1, keepdim=True, dtype=torch.float32), weights @ v
        total = weight if total is None else total.add_(weight)
        share = mixed.float() if share is None else share.add_(mixed)
    if total is None or share is None or not _is_sound(total):
        return functional.scaled_dot_product_attention(queries, keys, values, scale=1 / _LOG2_E)
    return share.div_(total).to(queries.dtype)


def _is_sound(total: Tensor) -> bool:
    """Tell whether sums of weights are neither infinite nor so small that weights were lost."""
    low, high = total.aminmax()
    return bool(low > 1e-12) and bool(high < 1e30)
