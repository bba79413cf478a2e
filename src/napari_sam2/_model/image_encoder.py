"""Image encoder: trunk and feature pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.derived import Derived
from napari_sam2._model.hiera import Hiera
from napari_sam2._model.layers import exactly, inner_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sam2._model.config import Sam2Config


class Lateral(nn.Module):
    """1 x 1 convolution to the model's width."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, 1)
        self._folded: Derived[tuple[Tensor, Tensor]] = Derived()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, dim, H, W)."""
        projected: Tensor = self.conv(x)
        return projected

    def narrow(self, x: Tensor, narrowing: nn.Conv2d) -> Tensor:
        """Map (B, channels, H, W) to the channels of another 1 x 1 convolution, which follows.

        Two in a row are one, so that the wide map between them is made only where gradients flow through it.
        """
        if torch.is_grad_enabled():
            return narrowing(self.conv(x))
        sources = (*self.conv.parameters(), *narrowing.parameters())
        dtype = inner_dtype(x)
        weight, bias = self._folded.get(sources, lambda: _fold(self.conv, narrowing, dtype), dtype)
        tokens = x.to(dtype).flatten(2)
        narrowed = torch.baddbmm(bias[:, None], weight.expand(len(x), -1, -1), tokens)
        return narrowed.unflatten(2, x.shape[2:])


def _fold(first: nn.Conv2d, second: nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return weight (out, in) and bias (out,) of two 1 x 1 convolutions in a row."""
    after, before = second.weight.flatten(1), first.weight.flatten(1)
    bias = torch.zeros_like(before[:, 0]) if first.bias is None else first.bias
    last = torch.zeros_like(after[:, 0]) if second.bias is None else second.bias
    return (after @ before).to(dtype), (after @ bias + last).to(dtype)


class Neck(nn.Module):
    """Feature pyramid (Lin et al. 2017, arXiv:1612.03144); its only top-down step is from stride 32 to 16."""

    def __init__(self, channels: tuple[int, ...], dim: int) -> None:
        super().__init__()
        # The released weights count the laterals from the coarsest map.
        self.convs = nn.ModuleList(Lateral(c, dim) for c in reversed(channels))

    def forward(self, maps: list[Tensor], narrowing: Sequence[nn.Conv2d]) -> list[Tensor]:
        """Map four trunk maps to those that are used, finest first.

        Parameters
        ----------
        maps : list of Tensor
            Strides 4, 8, 16 and 32.
        narrowing : sequence of Conv2d
            What narrows the maps of strides 4 and 8; without it they are left out.

        Returns
        -------
        list of Tensor
            Narrowed maps, and that of stride 16 in the model's width.
        """
        laterals: list[Lateral] = list(reversed(self.convs))  # type: ignore[arg-type]
        lowered = inner_dtype(maps[0])
        # Little work whose roundings nothing evens out: it is never done in less precision.
        with exactly(maps[0]):
            exact = [x.float() for x in maps]
            fine = [
                lateral.narrow(x, conv) for lateral, x, conv in zip(laterals, exact, narrowing, strict=False)
            ]
            coarse, coarsest = (lateral(x) for lateral, x in zip(laterals[2:], exact[2:], strict=True))
            upsampled = functional.interpolate(coarsest, scale_factor=2.0, mode="nearest")
        # Fine maps are large, and are kept.
        return [*(x.to(lowered) for x in fine), coarse + upsampled]


class ImageEncoder(nn.Module):
    """Pixels to features at strides 4, 8 and 16."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.trunk)
        self.neck = Neck(config.trunk.channels, config.model_dim)

    def forward(self, images: Tensor, narrowing: Sequence[nn.Conv2d]) -> list[Tensor]:
        """Map normalised (B, 3, S, S) to the maps of the neck, finest first."""
        features: list[Tensor] = self.neck(self.trunk(images), narrowing)
        return features
