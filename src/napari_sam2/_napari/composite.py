"""Several channels as one colour image, made frame by frame when it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    from napari.utils.colormaps import Colormap

_SHADES = 256
_DIGITS = 3


@dataclass(frozen=True, eq=False)
class Coloured:
    """An array with the colours that its values are shown in.

    Attributes
    ----------
    name : str
        Of the layer.
    data : array
        Values of one channel.
    low, high : float
        Values of the first and the last colour.
    colours : array (256, 3) of float32
        0 to 255.
    channel : (int, int) or None
        Axis and position of a channel of an array that has several.
    """

    name: str
    data: Any
    low: float
    high: float
    colours: npt.NDArray[np.float32]
    channel: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, 1 along the axis of channels."""
        axis = None if self.channel is None else self.channel[0]
        return tuple(1 if each == axis else int(size) for each, size in enumerate(self.data.shape))

    def same_as(self, other: Coloured) -> bool:
        """Whether another one shows the same values in the same colours."""
        same = (self.low, self.high, self.channel) == (other.low, other.high, other.channel)
        return self.data is other.data and same and np.array_equal(self.colours, other.colours)

    def note(self) -> dict[str, Any]:
        """Return all but the values, fit for JSON."""
        colours = [[round(float(each), _DIGITS) for each in colour] for colour in self.colours]
        limits = {"low": self.low, "high": self.high}
        return {"name": self.name, **limits, "colours": colours, "channel": self.channel}

    def read(self, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        """Read a part in colour, (..., 3), 0 to 255."""
        if self.channel is not None:
            axis, position = self.channel
            key = (*key[:axis], position, *key[axis + 1 :])
        values = np.asarray(self.data[key]).astype(np.float32)
        shades = (np.nan_to_num(values) - self.low) * ((_SHADES - 1) / (self.high - self.low))
        colours: npt.NDArray[np.float32] = self.colours[
            np.clip(np.rint(shades), 0, _SHADES - 1).astype(np.intp)
        ]
        return colours


def coloured(
    name: str,
    data: Any,  # noqa: ANN401 - any array
    limits: Sequence[float],
    colormap: Colormap,
    channel: tuple[int, int] | None = None,
) -> Coloured:
    """Take the colours of a layer as they are now.

    Parameters
    ----------
    name : str
        Of the layer.
    data : array
        Values of one channel.
    limits : (float, float)
        Contrast limits.
    colormap : Colormap
        napari's.
    channel : (int, int), optional
        Axis and position of the channel, of an array that has several.
    """
    colours = np.asarray(colormap.map(np.linspace(0, 1, _SHADES)))[:, :3] * 255
    # As they are noted, so that what is made of a note is the same.
    rounded = np.round(colours, _DIGITS).astype(np.float32)
    return Coloured(name, data, float(limits[0]), float(limits[1]), rounded, channel)


class CompositeFrames:
    """Channels added up in their colours, as additive layers look: an array (..., 3) of uint8.

    Parameters
    ----------
    parts : tuple of Coloured
        At least one, all of one shape.
    """

    def __init__(self, parts: tuple[Coloured, ...]) -> None:
        self.parts = parts
        self.shape = (*parts[0].shape, 3)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(np.uint8)

    def same_as(self, other: object) -> bool:
        """Whether another array shows the same channels in the same colours."""
        return (
            isinstance(other, CompositeFrames)
            and len(self.parts) == len(other.parts)
            and all(mine.same_as(theirs) for mine, theirs in zip(self.parts, other.parts, strict=True))
        )

    def __getitem__(self, key: tuple[Any, ...]) -> npt.NDArray[np.uint8]:
        """Read a part; the last entry of the key chooses among the three colours."""
        place, colour = key[:-1], key[-1]
        total = sum(part.read(place) for part in self.parts)
        rounded = np.clip(np.rint(total), 0, 255).astype(np.uint8)
        chosen: npt.NDArray[np.uint8] = rounded[..., colour]
        return chosen

    def notes(self) -> tuple[dict[str, Any], ...]:
        """Return how it is made, fit for JSON; `from_notes` makes it again."""
        return tuple(part.note() for part in self.parts)

    @classmethod
    def from_notes(cls, notes: Iterable[Mapping[str, Any]], images: Mapping[str, Any]) -> CompositeFrames:
        """Make it again from `notes` and the images by name.

        Raises
        ------
        ValueError
            If an image is missing.
        """
        noted = list(notes)
        missing = [f"“{each['name']}”" for each in noted if each["name"] not in images]
        if missing:
            names = ", ".join(f"“{each['name']}”" for each in noted)
            raise ValueError(
                f"the session sees a composite of {names}: open {', '.join(missing)} as well, under this name"
            )
        parts = [
            Coloured(
                each["name"],
                images[each["name"]],
                each["low"],
                each["high"],
                np.array(each["colours"], np.float32),
                None if each.get("channel") is None else tuple(each["channel"]),
            )
            for each in noted
        ]
        return cls(tuple(parts))
