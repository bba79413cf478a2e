"""Overlay pictures: some frames of a sequence side by side, each object outlined and tinted in its colour."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BACKGROUND = (18, 20, 24)
INK = (232, 234, 238)
FAINT = (150, 156, 166)
FINE = 2  # drawn larger and reduced at the end, so that lines are smooth
PANEL = 330  # longest side of a frame in the picture
GAP = 14
TINT = 0.38
GAMMA = 0.8  # lifts what is dim

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Mark:
    """Where an object was clicked.

    Attributes
    ----------
    obj, frame : int
    point : (float, float)
        (y, x) in pixels of the frame.
    """

    obj: int
    frame: int
    point: tuple[float, float]


def contact_sheet(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    *,
    marks: Sequence[Mark] = (),
    title: str = "",
    legend: Sequence[str] = (),
    panels: int = 8,
    columns: int = 4,
) -> Image.Image:
    """Draw frames with their labels.

    Parameters
    ----------
    images : ndarray, shape (frames, H, W) or (frames, H, W, 3)
        Any intensities; the contrast is the same on all panels.
    labels : ndarray of integers, shape (frames, H, W)
        What is outlined.
    marks : sequence of Mark
        Clicks, drawn as rings on their frames; these frames are shown.
    title, legend
        Words above and below the panels.
    panels, columns : int
        How many frames, evenly spaced, and how many of them in a row.

    Returns
    -------
    PIL.Image.Image
        The picture, RGB.
    """
    frames = chosen_frames(len(images), panels, [mark.frame for mark in marks])
    limits = _contrast(images)
    drawn = [
        _panel(_grey(images[frame], limits), labels[frame], frame, [m for m in marks if m.frame == frame])
        for frame in frames
    ]
    return _arranged(drawn, min(columns, len(drawn)), title, legend)


def chosen_frames(count: int, panels: int, wanted: Sequence[int]) -> list[int]:
    """Choose evenly spaced frames, each moved to the nearest wanted frame that is close to it."""
    even = np.linspace(0, count - 1, min(panels, count)).round().astype(int).tolist()
    reach = (count - 1) / max(len(even) - 1, 1) / 2
    chosen = set()
    for frame in even:
        near = min(wanted, key=lambda each: abs(each - frame), default=frame)
        chosen.add(near if abs(near - frame) < reach else frame)
    return sorted(chosen)


def colour_of(obj: int) -> Colour:
    """Give an object its colour: neighbouring ids are far apart on the colour wheel."""
    hue = (0.53 + 0.381966 * (obj - 1)) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.62, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def _contrast(images: NDArray[Any]) -> tuple[float, float]:
    low, high = np.percentile(np.asarray(images[:: max(len(images) // 16, 1)], dtype=np.float32), (0.5, 99.8))
    return float(low), float(max(high, low + 1e-6))


def _grey(image: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Stretch to 0..1 and give it three channels."""
    low, high = limits
    stretched = np.clip((np.asarray(image, dtype=np.float32) - low) / (high - low), 0, 1) ** GAMMA
    rgb = stretched if stretched.ndim == 3 else np.repeat(stretched[..., np.newaxis], 3, axis=2)
    return np.asarray(rgb[..., :3], dtype=np.float32)


def _panel(
    grey: NDArray[np.float32], labels: NDArray[np.integer[Any]], frame: int, marks: Sequence[Mark]
) -> Image.Image:
    height, width = labels.shape
    scale = FINE * PANEL / max(height, width)
    tinted = grey.copy()
    objects = [int(obj) for obj in np.unique(labels) if obj]
    for obj in objects:
        colour = np.asarray(colour_of(obj), dtype=np.float32) / 255
        inside = labels == obj
        tinted[inside] = (1 - TINT) * tinted[inside] + TINT * colour * (0.4 + 0.6 * tinted[inside])
    size = (round(width * scale), round(height * scale))
    picture = Image.fromarray((tinted * 255).round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for obj in objects:
        _outline(pen, labels == obj, colour_of(obj), scale)
    for mark in marks:
        _ring(pen, mark, scale)
    _tag(pen, str(frame))
    return picture


def _outline(pen: ImageDraw.ImageDraw, mask: NDArray[np.bool_], colour: Colour, scale: float) -> None:
    """Draw the smoothed contour of a mask."""
    soft = ndimage.gaussian_filter(np.pad(mask, 3).astype(np.float32), 0.7)
    for contour in find_contours(soft, 0.5):
        points = [((x - 2.5) * scale, (y - 2.5) * scale) for y, x in contour]
        pen.line(points, fill=colour, width=round(1.7 * FINE), joint="curve")


def _ring(pen: ImageDraw.ImageDraw, mark: Mark, scale: float) -> None:
    """Draw a click: a white dot in a ring, readable on any ground."""
    x, y = (mark.point[1] + 0.5) * scale, (mark.point[0] + 0.5) * scale
    for radius, colour in ((7.0, (0, 0, 0)), (5.8, (255, 255, 255)), (3.8, colour_of(mark.obj))):
        reach = radius * FINE
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)


def _tag(pen: ImageDraw.ImageDraw, text: str) -> None:
    """Write the number of the frame into the corner."""
    pen.text((8 * FINE, 6 * FINE), text, INK, _font(15), stroke_width=FINE, stroke_fill=BACKGROUND)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINE)


def _arranged(panels: list[Image.Image], columns: int, title: str, legend: Sequence[str]) -> Image.Image:
    """Put panels into rows, with a title above and a legend below."""
    width, height = panels[0].size
    gap, rows = GAP * FINE, -(-len(panels) // columns)
    top = gap + (34 * FINE if title else 0)
    bottom = gap + (30 * FINE if legend else 0)
    sheet = Image.new(
        "RGB",
        (columns * (width + gap) + gap, top + rows * (height + gap) - gap + bottom),
        BACKGROUND,
    )
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        sheet.paste(panel, (gap + column * (width + gap), top + row * (height + gap)))
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, gap), title, INK, _font(19))
    _legend(pen, legend, (gap, sheet.height - bottom + 10 * FINE))
    return sheet.resize((sheet.width // FINE, sheet.height // FINE), Image.Resampling.LANCZOS)


def _legend(pen: ImageDraw.ImageDraw, legend: Sequence[str], place: tuple[int, int]) -> None:
    x, y = place
    font = _font(15)
    for text in legend:
        pen.text((x, y), text, FAINT, font)
        x += round(pen.textlength(text, font)) + 22 * FINE
