"""Which object a pixel goes to where several want it."""

from __future__ import annotations

from functools import reduce
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from napari_sam2._labels.entries import Boxes, Record
    from napari_sam2.placement import BoolArray, FloatArray


class Claim(NamedTuple):
    """Pixels of a box that an object wants, and how much it wants them."""

    mask: BoolArray
    logits: FloatArray


class Claimant(NamedTuple):
    """An object with a mask on a frame.

    Attributes
    ----------
    rank : tuple of 2 bools
        Whether it is locked, and whether it is painted: the higher wins.
    obj : int
        Its id: among equals with equal logits the lower wins.
    record : Record
        What is known of it.
    """

    rank: tuple[bool, bool]
    obj: int
    record: Record


def compose(
    claimants: Iterable[Claimant],
    box: Box,
    dtype: npt.DTypeLike,
    claim: Callable[[Record, Box], Claim],
) -> npt.NDArray[Any]:
    """Decide the pixels of a box: the highest rank, then the highest logit, then the lowest id.

    Parameters
    ----------
    claimants : iterable of Claimant
        All whose masks may meet the box.
    box : Box
        Of the frame.
    dtype : dtype
        Of the labels.
    claim : callable
        Tells what of a box an object wants.

    Returns
    -------
    array, shape of the box
        Ids, 0 where nobody wants a pixel.
    """
    labels = np.zeros(box.shape, dtype=dtype)
    ordered = sorted(claimants, key=lambda each: each[:2])
    for _, equals in groupby(ordered, key=lambda each: each.rank):
        best = np.full(box.shape, -np.inf, dtype=np.float32)
        for each in equals:
            _contest(labels, best, box, each, claim)
    return labels


def _contest(
    labels: npt.NDArray[Any],
    best: FloatArray,
    box: Box,
    claimant: Claimant,
    claim: Callable[[Record, Box], Claim],
) -> None:
    """Give an object the pixels where it beats its equals; ids come in order, so the lower keeps a tie."""
    record = claimant.record
    common = record.box.intersection(box) if record.box else None
    if common is None:
        return
    here = common.relative_to(box).slices
    wanted = claim(record, common)
    wins = wanted.mask & (wanted.logits > best[here])
    best[here][wins] = wanted.logits[wins]
    labels[here][wins] = claimant.obj


def listed(several: Iterable[Boxes]) -> list[Box]:
    """List boxes one by one."""
    return [Box(*each) for boxes in several for each in np.asarray(boxes).tolist()]


def apart(boxes: Iterable[Box]) -> list[Box]:
    """Join boxes that meet, so that few pixels are decided twice."""
    above: list[Box] = []
    joined: list[Box] = []
    for box in sorted(set(boxes)):  # by their first row: what ends above one meets none of those that follow
        above += [each for each in joined if each.y1 <= box.y0]
        joined = [each for each in joined if each.y1 > box.y0]
        met = [each for each in joined if each.intersection(box)]
        joined = [each for each in joined if each not in met] + [reduce(Box.union, met, box)]
    return above + joined


def strips(box: Box, pixels: int) -> list[Box]:
    """Cut a box into parts of so many pixels at most, of a row at least."""
    height, width = box.shape
    rows = max(pixels // max(width, 1), 1)
    tops = range(box.y0, box.y0 + height, rows)
    return [box._replace(y0=top, y1=min(top + rows, box.y1)) for top in tops]


def around(boxes: Sequence[Box]) -> Box | None:
    """Return the box of all boxes; None where there is none."""
    return reduce(Box.union, boxes) if boxes else None
