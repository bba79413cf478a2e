"""A mask of a frame at one bit a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.placement import Box, mask_box

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_sam2.placement import BoolArray


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask at one bit a pixel of its box; a value that never changes. Make it with `PackedMask.pack`.

    Parameters
    ----------
    bits : array (n,), uint8
        `numpy.packbits` of the pixels in the box.
    box : Box or None
        Box of the True pixels; None if there are none.
    shape : tuple of 2 ints
        ``(H, W)`` of the frame.

    Raises
    ------
    ValueError
        If there are more or fewer bits than pixels in the box, or the box is not within the frame.
    """

    bits: npt.NDArray[np.uint8]
    box: Box | None
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        """Check that bits, box and frame fit together, and freeze the bits."""
        height, width = self.box.shape if self.box else (0, 0)
        inside = self.box is None or self.box.intersection(Box(0, 0, *self.shape)) == self.box
        if not inside or self.bits.shape != ((height * width + 7) // 8,):
            raise ValueError(f"{self.bits.size} bytes are no mask in the box {self.box} of {self.shape}")
        bits = self.bits.view()
        bits.flags.writeable = False
        object.__setattr__(self, "bits", bits)

    @classmethod
    def pack(cls, mask: npt.ArrayLike) -> PackedMask:
        """Pack a boolean mask ``(H, W)``; TypeError or ValueError if it is something else."""
        array = np.asarray(mask)
        if array.dtype != np.bool_:
            raise TypeError(f"a mask must be boolean, got {array.dtype}; compare it first (mask > 0)")
        if array.ndim != 2:
            raise ValueError(f"a mask must be (H, W), got shape {array.shape}")
        return cls.pack_within(array, Box(0, 0, *array.shape), (array.shape[0], array.shape[1]))

    @classmethod
    def pack_within(cls, mask: BoolArray, box: Box, shape: tuple[int, int]) -> PackedMask:
        """Pack a mask of which a box is at hand; it is False in the rest of the frame ``(H, W)``."""
        inner = mask_box(mask)
        if inner is None:
            return cls(np.zeros(0, dtype=np.uint8), None, shape)
        y, x = box.y0, box.x0
        placed = Box(inner.y0 + y, inner.x0 + x, inner.y1 + y, inner.x1 + x)
        return cls(np.packbits(mask[inner.slices]), placed, shape)

    def unpack(self, box: Box | None = None) -> BoolArray:
        """Return the mask, or the part of it in `box`, as a new boolean array."""
        wanted = Box(0, 0, *self.shape) if box is None else box
        mask = np.zeros(wanted.shape, dtype=np.bool_)
        common = self.box.intersection(wanted) if self.box else None
        if self.box and common:
            rows, columns = common.relative_to(self.box).slices
            mask[common.relative_to(wanted).slices] = self._rows(rows.start, rows.stop)[:, columns]
        return mask

    def _rows(self, first: int, stop: int) -> BoolArray:
        """Unpack rows of the box."""
        width = self.box.shape[1] if self.box else 0
        begin, end = first * width, stop * width
        bits = np.unpackbits(self.bits[begin // 8 : (end + 7) // 8])[begin % 8 :]
        return bits[: end - begin].view(np.bool_).reshape(stop - first, width)

    @cached_property
    def area(self) -> int:
        """How many pixels are True."""
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    def is_within(self, other: PackedMask) -> bool:
        """Tell whether all True pixels are True in `other` too."""
        return self.box is None or not (self.unpack(self.box) & ~other.unpack(self.box)).any()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedMask):
            return NotImplemented
        placed = (self.shape, self.box) == (other.shape, other.box)
        return self is other or (placed and np.array_equal(self.bits, other.bits))

    def __hash__(self) -> int:
        return hash((self.shape, self.box, self.bits.tobytes()))
