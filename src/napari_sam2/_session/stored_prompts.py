"""What was said on a frame, and masks, in a session file: the one place that names its rows and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_sam2.prompts import MaskLike

_NO_BOX = Box(0, 0, 0, 0)
RECORD_FIELDS = ("obj", "frame", "revision", "source", "base", "area")
"""What a row of the document tells of a confirmed frame; all else in it are the prompts themselves."""

_OLDER_FIELDS = ("seen",)


def array_name(key: PromptKey, what: str) -> str:
    """Name an array that belongs to an object on a frame."""
    return f"prompts/{key.obj}/{key.frame}/{what}"


def read_prompts(row: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> FramePrompts:
    """Return what was said on a confirmed frame.

    Parameters
    ----------
    row : mapping
        Of the document's ``prompts``.
    arrays : mapping of str to array
        Those of the file, the mask among them if there is one.

    Raises
    ------
    ValueError
        If the row says something unknown, or the arrays do not belong to it.
    """
    said = {name: value for name, value in row.items() if name not in (*RECORD_FIELDS, *_OLDER_FIELDS)}
    name = array_name(PromptKey(int(row["obj"]), int(row["frame"])), "mask")
    return FramePrompts.from_json(said, read_mask(name, arrays))


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
