"""Which part of a frame the network looks at: the whole of it, or a square that follows an object.

Pure geometry on `Box`es of frame pixels. A window may stick out of a frame that is smaller than it; else it
is moved inside. Pixels need not be square: a window is square in the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

View = Literal["auto", "frame", "window"]
VIEWS: tuple[View, ...] = get_args(View)

# Side that windows are resampled to for networks that were made for larger frames.
_LARGEST_SIZE = 256

# A released network answers clicks and boxes in a part of the frame at most this many times as long as the
# side that it was made for: shrunk further, objects are no longer clear.
_CLEAR = 2
# Around a first click windows of many sizes are looked at. The largest is this many times as long as the side
# that windows are resampled to, and each is smaller than the one before by this ratio.
_SCANNED = 8
_SCAN_STEP = 2**0.5
# A memory is used where it is if its window lies less than this part of a side beside the one looked at now.
_FAR = 0.5
# The extent of a mask leaves out this share of its cells at each of its four sides, so that stray cells and
# thin spurs do not make the window larger.
_STRAY = 0.03


@dataclass(frozen=True)
class WindowRules:
    """How a window is made and when it changes.

    Parameters
    ----------
    view : {"auto", "frame", "window"}
        ``"frame"``: always the whole frame. ``"window"``: a window per object, the whole frame only for
        objects that need all of it. ``"auto"``: a window where it shows the object larger than the frame
        would.
    size : int, optional
        Side that windows are resampled to, a multiple of 32; by default that of the network's frames, at most
        256.
    factor : float
        Side of a window over the extent of its object.
    smallest : int
        Least side in pixels.
    slack : float
        The window keeps its size while a window made anew around the object would be at most this many times
        larger or smaller.
    drift : float
        The window stays where it is while the centre of the object is no further from its own than this part
        of its side.
    aspect : float
        Height of a pixel over its width.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    view: View = "frame"
    size: int | None = None
    factor: float = 2.5
    smallest: int = 32
    slack: float = 1.4
    drift: float = 0.15
    aspect: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        if self.view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}; got {self.view!r}")
        if self.size is not None and (self.size < 32 or self.size % 32):
            raise ValueError(f"the size of windows must be a positive multiple of 32; got {self.size}")
        if not self.factor > 1:
            raise ValueError(f"factor must be larger than 1; got {self.factor}")
        if self.smallest < 1:
            raise ValueError(f"smallest must be at least 1; got {self.smallest}")
        if not (self.slack > 1 and 0 < self.drift < 0.5):
            raise ValueError(f"slack must be above 1, drift in 0..0.5; got {self.slack}, {self.drift}")
        if not (np.isfinite(self.aspect) and self.aspect > 0):
            raise ValueError(
                f"the aspect of a pixel is its height over its width, above 0; got {self.aspect}"
            )


@dataclass(frozen=True)
class Windows:
    """Windows of the frames of one sequence.

    Parameters
    ----------
    rules : WindowRules
    frame_shape : (int, int)
        Height and width of the frames.
    image_size : int
        Side that whole frames are resampled to.
    """

    rules: WindowRules
    frame_shape: tuple[int, int]
    image_size: int

    @property
    def whole(self) -> Box:
        """The window of the whole frame."""
        return Box(0, 0, *self.frame_shape)

    @property
    def size(self) -> int:
        """Side that windows are resampled to."""
        return self.rules.size or min(self.image_size, _LARGEST_SIZE)

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width."""
        return self.rules.aspect

    @property
    def moves(self) -> bool:
        """Whether there are other windows than the whole frame."""
        return self.rules.view != "frame"

    @property
    def sees_frames(self) -> bool:
        """Whether the network was made for frames, as released ones are, and windows are smaller.

        Such a network wants to see what is around an object: first masks of nuclei of 22 to 31 of its pixels
        were better in the whole frame than in windows.
        """
        return self.moves and self.size < self.image_size

    def field_at(self, place: tuple[float, float] | None = None) -> Box | None:
        """Where clicks and boxes at a place are answered, whatever is there.

        The whole frame, or of one that is too long for the network the nearest of fields that overlap by
        half.

        Parameters
        ----------
        place : (float, float), optional
            Row and column; by default those of the middle of the frame.

        Returns
        -------
        Box or None
            None for a network that was made for windows: which one has to be sought.
        """
        if not self.moves:
            return self.whole
        if not self.sees_frames:
            return None
        y, x = _centre(self.whole) if place is None else place
        side = _CLEAR * self.image_size
        y0, y1 = _nearest_field(y, round(side / self.aspect), self.frame_shape[0])
        x0, x1 = _nearest_field(x, side, self.frame_shape[1])
        return Box(y0, x0, y1, x1)

    @property
    def longest(self) -> float:
        """The longer side of the frame, in widths of a pixel."""
        return max(self.frame_shape[0] * self.aspect, self.frame_shape[1])

    def resolution(self, window: Box) -> int:
        """Side that a window is resampled to; one that is as long as a field is seen as whole frames are."""
        longest = _CLEAR * self.image_size - self.aspect  # sides are rounded
        is_field = window == self.whole or (self.sees_frames and self.extent(window) >= longest)
        return self.image_size if is_field else self.size

    def extent(self, box: Box) -> float:
        """Longer side of a box, in widths of a pixel."""
        height, width = box.shape
        return max(height * self.aspect, width)

    def fit(self, box: Box) -> Box:
        """Make the window of an object that lies in `box`."""
        return self.centred(_centre(box), self.rules.factor * self.extent(box))

    def centred(self, centre: tuple[float, float], side: float) -> Box:
        """Make a window around a place; the whole frame where that shows as much."""
        side = max(side, float(self.rules.smallest))
        if not self.moves or side >= self.longest * self._whole_share:
            return self.whole
        height, width = max(round(side / self.aspect), 1), max(round(side), 1)
        y0 = _placed(centre[0], height, self.frame_shape[0])
        x0 = _placed(centre[1], width, self.frame_shape[1])
        return Box(y0, x0, y0 + height, x0 + width)

    @property
    def _whole_share(self) -> float:
        """Side, in parts of the frame's, from which on the whole frame is looked at."""
        if self.rules.view == "auto":
            return 0.8 * min(self.size / self.image_size, 1.0)
        return 1.0

    def follow(self, window: Box, box: Box | None) -> Box:
        """Keep a window while it serves the object, else make it anew.

        Parameters
        ----------
        window : Box
            The window so far.
        box : Box or None
            Where the object is; None where it was not found.
        """
        if box is None or not self.moves:
            return window
        fresh = self.fit(box)
        ratio = self.extent(fresh) / self.extent(window)
        (y, x), (fresh_y, fresh_x) = _centre(window), _centre(fresh)
        reach = self.rules.drift * self.extent(window)
        is_near = abs(y - fresh_y) * self.aspect <= reach and abs(x - fresh_x) <= reach
        if not 1 / self.rules.slack <= ratio <= self.rules.slack:
            return fresh
        # Of one size, windows can look at what was remembered in each other.
        moved = window if is_near else self._moved(window, box)
        return fresh if self.is_cut(moved, box) else moved

    def _moved(self, window: Box, box: Box) -> Box:
        """Put a window of the same size around an object."""
        height, width = window.shape
        y, x = _centre(box)
        y0, x0 = _placed(y, height, self.frame_shape[0]), _placed(x, width, self.frame_shape[1])
        return Box(y0, x0, y0 + height, x0 + width)

    def is_cut(self, window: Box, box: Box) -> bool:
        """Whether an object reaches an edge of the window beyond which the frame goes on."""
        tolerance = self.extent(window) / 64
        return any(
            [
                window.y0 > 0 and (box.y0 - window.y0) * self.aspect < tolerance,
                window.x0 > 0 and box.x0 - window.x0 < tolerance,
                window.y1 < self.frame_shape[0] and (window.y1 - box.y1) * self.aspect < tolerance,
                window.x1 < self.frame_shape[1] and window.x1 - box.x1 < tolerance,
            ]
        )

    def inside(self, window: Box) -> Box:
        """Move a window of some size into the frame, as all windows are."""
        return self._moved(window, window)

    def surroundings(self, window: Box, times: float) -> Box:
        """Return so many times as much around a window, at most the whole frame."""
        return self.centred(_centre(window), times * self.extent(window))

    def widened(self, window: Box, box: Box) -> Box:
        """Make a larger window for an object that `window` cuts."""
        side = max(self.rules.slack * self.extent(window), self.rules.factor * self.extent(box))
        return self.centred(_centre(box), side)

    def including(self, window: Box, places: Iterable[tuple[float, float]]) -> Box:
        """Widen a window to hold places (y, x) that it does not hold, with a margin."""
        outside = [p for p in places if not _holds(window, p)]
        if not outside:
            return window
        rows, columns = [p[0] for p in outside], [p[1] for p in outside]
        hull = Box(
            min(window.y0, int(np.floor(min(rows)))),
            min(window.x0, int(np.floor(min(columns)))),
            max(window.y1, int(np.ceil(max(rows))) + 1),
            max(window.x1, int(np.ceil(max(columns))) + 1),
        )
        return self.centred(_centre(hull), 1.2 * self.extent(hull))

    def around(self, place: tuple[float, float]) -> tuple[Box, ...]:
        """Windows of many sizes around a click, from the largest to the smallest."""
        if not self.moves:
            return (self.whole,)
        sides = [min(self.longest, float(_SCANNED * self.size))]
        while sides[-1] / _SCAN_STEP >= self.rules.smallest:
            sides.append(sides[-1] / _SCAN_STEP)
        middle = (place[0] + 0.5, place[1] + 0.5)  # of the pixel
        return tuple(dict.fromkeys(self.centred(middle, side) for side in sides))

    def grid_box(self, positive: npt.NDArray[np.bool_], window: Box) -> Box | None:
        """Find the pixels that the True cells of a window's grid cover, less strays."""
        if not positive.any():
            return None
        rows = _bulk(positive.sum(axis=1), window.y0, window.y1)
        columns = _bulk(positive.sum(axis=0), window.x0, window.x1)
        return Box(rows[0], columns[0], rows[1], columns[1])


class Shift(NamedTuple):
    """How far a window lies further down and further right than another one, in parts of their sides."""

    down: float
    right: float


def shift_between(window: Box, other: Box) -> Shift | None:
    """Tell how far a window lies beside another one of the same size; None for others, and for far ones."""
    if window.shape != other.shape:
        return None
    height, width = other.shape
    shift = Shift((window.y0 - other.y0) / height, (window.x0 - other.x0) / width)
    return shift if max(abs(shift.down), abs(shift.right)) < _FAR else None


def _bulk(counts: npt.NDArray[np.intp], start: int, stop: int) -> tuple[int, int]:
    """First and last pixel of the cells that hold all but the strays on either side."""
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, _STRAY, side="right"))
    last = int(np.searchsorted(share, 1 - _STRAY, side="left")) + 1
    scale = (stop - start) / len(counts)
    low, high = int(np.floor(start + first * scale)), int(np.ceil(start + last * scale))
    return low, max(high, low + 1)


def _centre(box: Box) -> tuple[float, float]:
    return (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2


def _holds(box: Box, place: Sequence[float]) -> bool:
    return box.y0 <= place[0] < box.y1 and box.x0 <= place[1] < box.x1


def _placed(centre: float, length: int, size: int) -> int:
    """Begin of a stretch around `centre`, moved inside the frame; centred on a frame that is shorter."""
    if length >= size:
        return (size - length) // 2
    return min(max(round(centre - length / 2), 0), size - length)


def _nearest_field(place: float, length: int, size: int) -> tuple[int, int]:
    """Begin and end of the field whose middle is nearest, of those that overlap by half and fill a frame."""
    if length >= size:
        return 0, size
    last = ceil(2 * (size - length) / length)
    step = (size - length) / last
    start = round(min(max(round((place - length / 2) / step), 0), last) * step)
    return start, start + length
