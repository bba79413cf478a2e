"""Clean-up of masks: fill holes, drop specks, keep the largest part. The same result on every machine."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BoolArray = NDArray[np.bool_]

# Pixels that touch at a corner belong together, for the object as for its holes.
_NEIGHBOURS = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Cleanup:
    """What is mended in a mask before it is written as labels.

    Parameters
    ----------
    fill_holes : int
        Fill every 8-connected piece of background of at most so many pixels, at the edge of the frame too.
        0 fills none.
    drop_specks : int
        Drop every 8-connected part of at most so many pixels, but never the largest part: a small object does
        not vanish. 0 drops none.
    keep_largest : bool
        Keep only the largest 8-connected part; of equal ones the one that comes first from the top.

    Raises
    ------
    ValueError
        If an area is negative.
    TypeError
        If an area is not a whole number.
    """

    fill_holes: int = 0
    drop_specks: int = 0
    keep_largest: bool = False

    def __post_init__(self) -> None:
        for name in ("fill_holes", "drop_specks"):
            area = getattr(self, name)
            if isinstance(area, bool) or not hasattr(area, "__index__"):
                raise TypeError(f"{name} is {area!r}: give a whole number of pixels")
            if area < 0:
                raise ValueError(f"{name} is {area}: give an area in pixels, or 0 for none")
            object.__setattr__(self, name, operator.index(area))  # the class is frozen

    @property
    def is_idle(self) -> bool:
        """True if masks stay as they are."""
        return not (self.fill_holes or self.drop_specks or self.keep_largest)

    def apply(self, mask: BoolArray) -> BoolArray:
        """Return the mended mask.

        Holes are filled first, so that a ring counts with its inside when parts are compared.

        Parameters
        ----------
        mask : bool array, shape (H, W)
            It is not changed.

        Returns
        -------
        bool array, shape (H, W)
            An array of its own, even if nothing had to be mended.

        Raises
        ------
        ValueError
            If the mask is not two-dimensional.
        """
        if mask.ndim != 2:
            raise ValueError(f"a mask is a two-dimensional array (H, W), shape {mask.shape} came")
        result = mask.astype(np.bool_)
        if self.is_idle or not result.any():
            return result
        part = result[_surroundings(result, self.fill_holes + 1)]
        if self.fill_holes:
            part |= _small_components(~part, self.fill_holes)
        if self.keep_largest:
            part &= _largest_component(part)
        elif self.drop_specks:
            part &= ~_small_components(part, self.drop_specks) | _largest_component(part)
        return result


def _surroundings(mask: BoolArray, margin: int) -> tuple[slice, slice]:
    """Return where work is needed: the box of the mask and a margin.

    Background that goes on beyond the margin has more pixels within it than a hole may have, so that nothing
    is taken for a hole because the rest of it was cut off.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _small_components(mask: BoolArray, max_area: int) -> BoolArray:
    labels, _ = ndimage.label(mask, structure=_NEIGHBOURS)
    small = np.bincount(labels.ravel()) <= max_area
    small[0] = False
    found: BoolArray = small[labels]
    return found


def _largest_component(mask: BoolArray) -> BoolArray:
    labels, _ = ndimage.label(mask, structure=_NEIGHBOURS)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    found: BoolArray = labels == areas.argmax()
    return found
