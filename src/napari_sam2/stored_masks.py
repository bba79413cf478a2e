"""A packed mask as arrays of a session file, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.packed_mask import PackedMask
from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_sam2.prompts import MaskLike

_NO_BOX = Box(0, 0, 0, 0)


def mask_arrays(name: str, mask: PackedMask) -> dict[str, npt.NDArray[Any]]:
    """Return the bits of a mask, and where they lie on a frame of which size."""
    place = np.array([*(mask.box or _NO_BOX), *mask.shape], np.int64)
    return {f"{name}/bits": mask.bits, f"{name}/place": place}


def read_mask(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> MaskLike | None:
    """Return what `mask_arrays` made of a mask, or its pixels, as older files hold them; None without any.

    Raises
    ------
    ValueError
        If the arrays do not belong together.
    """
    bits, place = arrays.get(f"{name}/bits"), arrays.get(f"{name}/place")
    if bits is None or place is None:
        return arrays.get(name)
    *sides, height, width = place.tolist()
    return PackedMask(bits, Box(*sides) if bits.size else None, (height, width))
