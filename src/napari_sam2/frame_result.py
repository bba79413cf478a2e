"""What is predicted for objects on one frame, at the frame's own resolution when asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_sam2.placement import BoolArray, Box, FloatArray

if TYPE_CHECKING:
    from napari_sam2.passes import PassKey
    from napari_sam2.placement import PlacedLogits


@dataclass(frozen=True)
class PlacedMask:
    """A mask cropped to its box.

    Attributes
    ----------
    box : Box
        (y0, x0, y1, x1) in pixels of the frame.
    crop : array of bool, shape of the box
        The mask there; it is False everywhere else.
    """

    box: Box
    crop: BoolArray


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Objects on one frame.

    Attributes
    ----------
    frame : int
        Index of the frame.
    objects : tuple of int
        Ids, in order; the arrays below follow it.
    presence : array (n,), float32
        Probability that the object is on the frame.
    iou : array (n,), float32
        The network's own estimate of the overlap with the true mask.
    placed : tuple of PlacedLogits
        Logits on the network's grid and where they lie on the frame.
    candidates : array (k, h, w), float32
        After an ambiguous click, the logits of its candidates on the network's grid; else k = 0.
    origins : tuple of PassKey or None
        Which pass computed each object; None for confirmed frames.
    run : int
        Which propagation it belongs to; those of one are undone together.
    frame_shape : (int, int)
        Height and width of the frame.
    """

    frame: int
    objects: tuple[int, ...]
    presence: FloatArray
    iou: FloatArray
    placed: tuple[PlacedLogits, ...] = field(repr=False)
    candidates: FloatArray = field(repr=False, default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    origins: tuple[PassKey | None, ...] = field(repr=False, default=())
    run: int = field(repr=False, default=0)
    frame_shape: tuple[int, int] = field(repr=False, default=(0, 0))

    @property
    def logits(self) -> FloatArray:
        """Logits of all objects at the frame's resolution, (n, H, W) float32, before clean-up."""
        rendered = [placed.render() for placed in self.placed]
        return np.stack(rendered) if rendered else np.zeros((0, *self.frame_shape), np.float32)

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """``logits > 0``, (n, H, W)."""
        masks = np.zeros((len(self.objects), *self.frame_shape), np.bool_)
        for mask, placed in zip(masks, self.placed, strict=True):
            box = placed.pixel_box()  # most of a frame lies outside, and need not be rendered
            if box is not None:
                mask[box.slices] = placed.render(box) > 0
        return masks

    def mask_of(self, obj: int) -> PlacedMask:
        """Return one object's mask, cropped to the pixels that it can lie in.

        Raises
        ------
        KeyError
            If the object is not part of this result.
        """
        placed = self.placed[self._index(obj)]
        box = placed.pixel_box() or Box(0, 0, 0, 0)
        return PlacedMask(box, placed.render(box) > 0)

    def _index(self, obj: int) -> int:
        if obj not in self.objects:
            raise KeyError(f"object {obj} is not part of this result; it has {self.objects}")
        return self.objects.index(obj)
