"""A second task for the image encoder: what every pixel belongs to, before anyone clicks.

Clicks tell the encoder about a few objects of an image; foreground, borders and the way to the centre of the
own object tell it about every pixel, so that a random start learns to see in minutes. The heads are thrown
away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_sam2._model.config import Sam2Config
    from napari_sam2._model.results import ImageFeatures

STRIDE = 2
OUTPUTS = 5
TYPICAL_SIDE = 16.0


class DenseHeads(nn.Module):
    """One linear layer on each map of the encoder: foreground, border, way to the centre (y, x), size.

    Parameters
    ----------
    config
        Of the network; says how wide the maps are.
    """

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.model_dim
        widths = (dim // 8, dim // 4, dim) if config.high_res_features else (dim,)
        self.heads = nn.ModuleList(nn.Conv2d(width, OUTPUTS, 1) for width in widths)

    def forward(self, features: ImageFeatures) -> list[Tensor]:
        """Logits and values (B, 5, h, w) from each map, the finest first."""
        maps = (*features.high_res, features.embedding)
        return [head(x) for head, x in zip(self.heads, maps, strict=True)]


def dense_targets(labels: Tensor) -> Tensor:
    """Make what the heads are asked for.

    Parameters
    ----------
    labels
        (B, H, W) integer labels.

    Returns
    -------
    Tensor
        (B, 5, H, W): foreground, border, way to the centre in units of the object's size (y, x), logarithm of
        that size.
    """
    foreground = (labels > 0).float()
    values = labels.float().unsqueeze(1)
    border = functional.max_pool2d(values, 3, 1, 1) != -functional.max_pool2d(-values, 3, 1, 1)
    lines = [torch.arange(side, device=labels.device, dtype=torch.float32) for side in labels.shape[1:]]
    y, x = torch.meshgrid(*lines, indexing="ij")
    area = _of_object(labels, torch.ones_like(foreground))
    size = area.sqrt().clamp(min=1)
    way = [(_of_object(labels, place.expand_as(foreground)) / area - place) / size for place in (y, x)]
    parts = (
        foreground,
        border[:, 0].float(),
        *(part * foreground for part in way),
        (size / TYPICAL_SIDE).log(),
    )
    return torch.stack(parts, 1)


def dense_loss(outputs: list[Tensor], labels: Tensor) -> Tensor:
    """Mean over the maps of the error of the heads.

    Parameters
    ----------
    outputs
        Of `DenseHeads`.
    labels
        (B, S, S) integer labels.
    """
    truth = dense_targets(labels[:, ::STRIDE, ::STRIDE])
    inside = truth[:, :1]
    total = torch.zeros((), device=labels.device)
    for output in outputs:
        values = functional.interpolate(
            output.float(), size=truth.shape[-2:], mode="bilinear", align_corners=False
        )
        known = functional.binary_cross_entropy_with_logits(
            values[:, :2], truth[:, :2], reduction="none"
        ).mean((0, 2, 3))
        off = (values[:, 2:] - truth[:, 2:]).abs() * inside
        total = total + known.sum() + off.sum() / inside.sum().clamp(min=1)
    return total / len(outputs)


def _of_object(labels: Tensor, values: Tensor) -> Tensor:
    """Return the sum of `values` over all pixels with the same label, at each pixel."""
    index = labels.flatten(1).long()
    sums = values.new_zeros(len(labels), int(labels.max()) + 1)
    sums.scatter_add_(1, index, values.flatten(1))
    return sums.gather(1, index).view_as(values)
