"""A picture of where tracking failed: each object on its frame of least J, the truth and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sam2.metrics import ObjectScore
    from napari_sam2.session import Session

# Told apart by the colour-blind, too.
TRUTH, FOUND = (90, 220, 120), (240, 90, 200)
_BACKGROUND, _INK = (18, 20, 24), (232, 234, 238)
_PANEL, _LINE, _GAP = 200, 16, 8
# Room around truth and mask, in parts of their extent, and the least side in pixels of the frame.
_ROOM, _SMALLEST = 0.6, 32


@dataclass(frozen=True, eq=False)
class Failure:
    """An object on its worst frame.

    Attributes
    ----------
    score : ObjectScore
        Of the object.
    image : array (H, W, 3), uint8
        The frame.
    truth, found : array (H, W), bool
        Where it is, and where it was found.
    """

    score: ObjectScore
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]

    @property
    def caption(self) -> str:
        """What stands below it."""
        return f"{self.score.id}, frame {self.score.worst_frame}, J {min(self.score.j_of_frame):.2f}"


def worst_frames(
    session: Session, truth: NDArray[np.integer[Any]], scores: Iterable[ObjectScore], *, columns: int = 6
) -> Image.Image:
    """Draw the worst frame of each object, the worst object first.

    Parameters
    ----------
    session : Session
        That was scored.
    truth : ndarray of integers, shape (frames, H, W)
        The true labels.
    scores : iterable of ObjectScore
        At least one.
    columns : int
        Panels in a row.

    Returns
    -------
    PIL.Image.Image
        RGB; the truth is outlined in green, what was found in pink.
    """
    ordered = sorted(scores, key=lambda score: min(score.j_of_frame))
    panels = [_panel(_failure(session, truth, score)) for score in ordered]
    columns = min(columns, len(panels))
    width, height = _PANEL + _GAP, _PANEL + _LINE + _GAP
    rows = ceil(len(panels) / columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP + _LINE), _BACKGROUND)
    for index, panel in enumerate(panels):
        sheet.paste(panel, (_GAP + index % columns * width, _GAP + index // columns * height))
    pen = ImageDraw.Draw(sheet)
    for left, text, colour in ((_GAP, "truth", TRUTH), (_GAP + 60, "found", FOUND)):
        pen.text((left, sheet.height - _LINE - 2), text, fill=colour, font=ImageFont.load_default())
    return sheet


def _failure(session: Session, truth: NDArray[np.integer[Any]], score: ObjectScore) -> Failure:
    frame = score.worst_frame
    seen = np.asarray(session.volume.frame(frame)).round().clip(0, 255).astype(np.uint8)
    image = np.broadcast_to(seen, (*seen.shape[:2], 3))
    return Failure(score, image, truth[frame] == score.id, session.mask(score.id, frame))


def _panel(failure: Failure) -> Image.Image:
    top, left, side = _square(failure.truth | failure.found)
    seen = _cut(failure.image, top, left, side)
    picture = Image.fromarray(seen).resize((_PANEL, _PANEL), Image.Resampling.BICUBIC)
    panel = Image.new("RGB", (_PANEL, _PANEL + _LINE), _BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for mask, colour in ((failure.truth, TRUTH), (failure.found, FOUND)):
        for contour in find_contours(np.pad(_cut(mask, top, left, side), 1).astype(np.float32), 0.5):
            places = (contour[:, ::-1] - 0.5) * (_PANEL / side)
            pen.line([(float(x), float(y)) for x, y in places], fill=colour, width=2)
    panel.paste(picture)
    ImageDraw.Draw(panel).text((2, _PANEL + 2), failure.caption, fill=_INK, font=ImageFont.load_default())
    return panel


def _square(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Top, left and side of a square around a mask, with room; in the middle where there is none."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        rows, columns = np.array([mask.shape[0] // 2]), np.array([mask.shape[1] // 2])
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = max(ceil(extent * (1 + _ROOM)), _SMALLEST)
    return int(rows.min() + rows.max() - side) // 2, int(columns.min() + columns.max() - side) // 2, side


def _cut(values: NDArray[Any], top: int, left: int, side: int) -> NDArray[Any]:
    """Cut a square out of a frame; zeros where it sticks out."""
    padded = np.pad(values, [(side, side), (side, side)] + [(0, 0)] * (values.ndim - 2))
    return padded[top + side : top + 2 * side, left + side : left + 2 * side]
