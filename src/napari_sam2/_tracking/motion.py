"""Where an object is to be expected on the next frame: a Kalman filter of constant velocity over its box.

Centre and size are four numbers that do not depend on one another, so that the filter is four small ones. All
values are Python floats: the same on every machine, and plain to store.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from napari_sam2.placement import Box, Jump

# Standard deviations, in parts of the object's size: of what is measured, of the velocity that it has at
# first, and of what the velocity changes by from one frame to the next.
_MEASURED = 0.05
_FIRST_VELOCITY = 0.25
_CHANGE = 0.05
# A place is known while its standard deviation is no more than this part of the size.
_KNOWN = 0.25


class Path(NamedTuple):
    """One number that moves: its value and velocity, and their variances and covariance."""

    value: float
    velocity: float
    spread: float
    shared: float
    velocity_spread: float

    def moved(self, change: float) -> Path:
        """Go on by a frame; the velocity may have changed by a standard deviation of `change`."""
        return Path(
            self.value + self.velocity,
            self.velocity,
            self.spread + 2 * self.shared + self.velocity_spread,
            self.shared + self.velocity_spread,
            self.velocity_spread + change**2,
        )

    def measured(self, value: float, noise: float) -> Path:
        """Take in a measurement of a standard deviation of `noise`."""
        total = self.spread + noise**2
        gain, velocity_gain = self.spread / total, self.shared / total
        error = value - self.value
        return Path(
            self.value + gain * error,
            self.velocity + velocity_gain * error,
            (1 - gain) * self.spread,
            (1 - gain) * self.shared,
            self.velocity_spread - velocity_gain * self.shared,
        )


@dataclass(frozen=True)
class Motion:
    """How an object moves, and where it is on one frame, as far as that is known.

    Attributes
    ----------
    row, column, height, width : Path
        Centre and size of its box, in pixels of the frame and pixels per frame.
    """

    row: Path
    column: Path
    height: Path
    width: Path

    @classmethod
    def at(cls, box: Box) -> Motion:
        """Begin with an object that was seen once."""
        size = _size(*box.shape)
        first = ((_MEASURED * size) ** 2, 0.0, (_FIRST_VELOCITY * size) ** 2)
        return cls(*(Path(value, 0.0, *first) for value in _measures(box)))

    @property
    def size(self) -> float:
        """Side of the square that is as large as the box, at least a pixel."""
        return _size(self.height.value, self.width.value)

    @property
    def is_known(self) -> bool:
        """Whether it is known well enough where the object is: by a quarter of its size."""
        return max(sqrt(self.row.spread), sqrt(self.column.spread)) <= _KNOWN * self.size

    def forecast(self) -> Motion:
        """Go on by a frame without seeing the object: it is known less well where it is."""
        change = _CHANGE * self.size
        return Motion(*(path.moved(change) for path in self._paths))

    def moved(self, jump: Jump) -> Motion:
        """Return the same motion elsewhere, after a jump of the field."""
        row = self.row._replace(value=self.row.value + jump.down)
        column = self.column._replace(value=self.column.value + jump.right)
        return Motion(row, column, self.height, self.width)

    def seen(self, box: Box) -> Motion:
        """Take in where the object was seen on this frame."""
        noise = _MEASURED * _size(*box.shape)
        pairs = zip(self._paths, _measures(box), strict=True)
        return Motion(*(path.measured(value, noise) for path, value in pairs))

    def agreement(self, box: Box | None) -> float:
        """Compare a box with the one that is expected here: intersection over union, 0 to 1."""
        if box is None:
            return 0.0
        row, column, height, width = _measures(box)
        shared = _overlap(self.row.value, self.height.value, row, height) * _overlap(
            self.column.value, self.width.value, column, width
        )
        expected = max(self.height.value, 0.0) * max(self.width.value, 0.0)
        union = expected + height * width - shared
        return shared / union if union > 0 else 0.0

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.row, self.column, self.height, self.width)


def _measures(box: Box) -> tuple[float, float, float, float]:
    """Centre and size of a box."""
    height, width = box.shape
    return (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2, float(height), float(width)


def _size(height: float, width: float) -> float:
    return sqrt(max(height, 1.0) * max(width, 1.0))


def _overlap(centre: float, length: float, other: float, other_length: float) -> float:
    """Length of what two stretches share."""
    first = max(centre - length / 2, other - other_length / 2)
    last = min(centre + length / 2, other + other_length / 2)
    return max(last - first, 0.0)
