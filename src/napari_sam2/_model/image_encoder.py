"""Image encoder: trunk and feature pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from napari_sam2._model.hiera import Hiera

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config


class Lateral(nn.Module):
    """1 x 1 convolution to the model's width."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, dim, H, W)."""
        projected: Tensor = self.conv(x)
        return projected


class Neck(nn.Module):
    """Feature pyramid (Lin et al. 2017, arXiv:1612.03144); its only top-down step is from stride 32 to 16."""

    def __init__(self, channels: tuple[int, ...], dim: int) -> None:
        super().__init__()
        # The released weights count the laterals from the coarsest map.
        self.convs = nn.ModuleList(Lateral(c, dim) for c in reversed(channels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map four trunk maps to three of the model's width, strides 4, 8, 16."""
        fine, middle, coarse, coarsest = (
            conv(x) for conv, x in zip(reversed(list(self.convs)), maps, strict=True)
        )
        upsampled = functional.interpolate(coarsest.float(), scale_factor=2.0, mode="nearest")
        return [fine, middle, coarse + upsampled]


class ImageEncoder(nn.Module):
    """Pixels to features at strides 4, 8 and 16."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.trunk)
        self.neck = Neck(config.trunk.channels, config.model_dim)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map normalised (B, 3, S, S) to three maps, finest first."""
        features: list[Tensor] = self.neck(self.trunk(images))
        return features
