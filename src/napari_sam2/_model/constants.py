"""Numbers that a network needs again and again on its device."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@lru_cache(maxsize=256)
def constant(values: tuple[float | tuple[float, ...], ...], device: torch.device) -> Tensor:
    """Return numbers on a device, float32; kept there, since to bring them to a card waits for its work."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)
