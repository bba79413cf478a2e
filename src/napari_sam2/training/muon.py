"""Muon that turns all matrices of one shape at once: a network has many small ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Muon

from napari_sam2.device import computes_bfloat16

if TYPE_CHECKING:
    from collections.abc import Sequence

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class StackedMuon(Muon):
    """`torch.optim.Muon` with steps of the size of AdamW's, computed for stacks of matrices.

    The results and the state are those of torch's optimiser, which takes the matrices one by one: on a GPU
    most of a training step of a small network goes into launching that.

    Parameters
    ----------
    matrices
        Parameters of two dimensions.
    rate
        Learning rate; that of AdamW fits (Liu et al. 2025, arXiv:2502.16982).
    decay
        Weight decay.
    """

    def __init__(self, matrices: Sequence[Tensor], rate: float, decay: float) -> None:
        super().__init__(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make a step with all matrices that have a gradient."""
        del closure
        for group in self.param_groups:
            trained = [p for p in group["params"] if p.grad is not None]
            if trained:
                self._step(group, trained)

    def _step(self, group: dict[str, Any], trained: list[Tensor]) -> None:
        buffers = [self._momentum(matrix) for matrix in trained]
        gradients = [matrix.grad for matrix in trained if matrix.grad is not None]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, buffers, group["momentum"])  # noqa: SLF001
        torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
        for shape in {matrix.shape for matrix in trained}:
            rows = [row for row, matrix in enumerate(trained) if matrix.shape == shape]
            turned = orthogonalise(torch.stack([updates[row] for row in rows]))
            size = 0.2 * math.sqrt(max(shape)) * group["lr"]
            torch._foreach_add_(
                [trained[row] for row in rows], list(turned.to(updates[0].dtype).unbind(0)), alpha=-size
            )

    def _momentum(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices near one, by five rounds of a Newton-Schulz iteration.

    The coefficients are those of Jordan et al. 2024: values end between about 0.7 and 1.2, in few rounds.

    Parameters
    ----------
    matrices
        (k, m, n).

    Returns
    -------
    Tensor
        (k, m, n); bfloat16 where the device is faster in it, else float32.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16() if computes_bfloat16(matrices.device) else matrices.float()
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
