"""Images from label maps: each scene is painted in one of several manners and photographed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sam2.training.anything import paint_anything
from napari_sam2.training.camera import photograph
from napari_sam2.training.electron import paint_electron
from napari_sam2.training.fluorescence import paint_fluorescence
from napari_sam2.training.layout import BLOBS, ORGANELLES, RODS, TILES
from napari_sam2.training.membranes import paint_membranes
from napari_sam2.training.phase_contrast import paint_phase_contrast
from napari_sam2.training.phase_ring import paint_phase_ring

if TYPE_CHECKING:
    from napari_sam2.training.draws import Draws
    from napari_sam2.training.layout import Layout
    from napari_sam2.training.shapes import Shapes

_MANNERS = (
    paint_anything,
    paint_fluorescence,
    paint_phase_contrast,
    paint_phase_ring,
    paint_membranes,
    paint_electron,
)
_PHASES = (_MANNERS.index(paint_phase_contrast), _MANNERS.index(paint_phase_ring))
# How often each kind of scene is painted in each manner.
_SHARES = {
    BLOBS: (0.3, 0.54, 0.03, 0.03, 0.05, 0.05),
    RODS: (0.2, 0.15, 0.25, 0.4, 0.0, 0.0),
    TILES: (0.25, 0.0, 0.0, 0.0, 0.55, 0.2),
    ORGANELLES: (0.15, 0.05, 0.0, 0.0, 0.0, 0.8),
}


def render(layout: Layout, shapes: Shapes, draws: Draws) -> Tensor:
    """Images (B, T, 3, S, S) float32, 0 to 255, of label maps."""
    manner = draw_manners(layout.kind, draws)
    image = torch.empty_like(shapes.edge)
    for index, paint in enumerate(_MANNERS):
        rows = (manner == index).nonzero()[:, 0]
        if len(rows):
            image[rows] = paint(layout.rows(rows), shapes.rows(rows), draws)
    # Most electron micrographs and half of the phase contrast images have light to spare.
    phases = torch.tensor(_PHASES, device=manner.device)
    lit = torch.isin(manner, phases) & draws.chance(0.5, len(manner))
    return photograph(image, lit | (manner == _MANNERS.index(paint_electron)), draws) * 255


def draw_manners(kind: Tensor, draws: Draws) -> Tensor:
    """(B,) which of the manners each scene is painted in, by its kind."""
    edges = torch.tensor([_SHARES[k] for k in sorted(_SHARES)], device=kind.device).cumsum(1)
    return (draws.uniform(len(kind), 1) >= edges[kind]).sum(1).clamp(max=len(_MANNERS) - 1)
