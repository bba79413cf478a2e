"""Several channels as one colour image, made frame by frame when it is read."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    from napari.utils.colormaps import Colormap

_SHADES = 256
_DIGITS = 3
# So many planes of an array are looked at to know it again, and so many values of each.
_PLANES, _VALUES = 4, 100_000


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

    @cached_property
    def checksum(self) -> str:
        """Tells the array again, whatever its layer is called then; a few planes are read for it."""
        return checksum_of(self.data)

    def note(self) -> dict[str, Any]:
        """Return all but the values, fit for JSON."""
        colours = [[round(float(each), _DIGITS) for each in colour] for colour in self.colours]
        limits = {"low": self.low, "high": self.high}
        known = {"name": self.name, "channel": self.channel, "checksum": self.checksum}
        return {**known, **limits, "colours": colours}

    @classmethod
    def from_note(cls, note: Mapping[str, Any], data: Any) -> Coloured:  # noqa: ANN401 - any array
        """Give an array the colours of a note."""
        channel = None if note.get("channel") is None else tuple(note["channel"])
        colours = np.array(note["colours"], np.float32)
        return cls(note["name"], data, note["low"], note["high"], colours, channel)

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
    gamma: float = 1.0,
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
    gamma : float
        Power of the values between the limits, before they get their colours.
    channel : (int, int), optional
        Axis and position of the channel, of an array that has several.
    """
    colours = np.asarray(colormap.map(np.linspace(0, 1, _SHADES) ** gamma))[:, :3] * 255
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
    def from_notes(
        cls,
        notes: Iterable[Mapping[str, Any]],
        images: Iterable[tuple[str, Any]],
        own: Any = None,  # noqa: ANN401 - any array
    ) -> CompositeFrames:
        """Make it again from `notes`.

        Parameters
        ----------
        notes : iterable of mapping
            What `notes` returned, also after a trip through JSON.
        images : iterable of (str, array)
            Names and values of images that it may be made of; one with another name than noted is known by
            its values.
        own : array, optional
            The image that channels are of.

        Raises
        ------
        ValueError
            If an image is missing.
        """
        noted, known = list(notes), list(images)
        found = [_found(note, known, own) for note in noted]
        missing = _listed(note["name"] for note, part in zip(noted, found, strict=True) if part is None)
        if missing:
            names = _listed(note["name"] for note in noted)
            raise ValueError(f"the session sees a composite of {names}: open {missing} as well")
        return cls(tuple(part for part in found if part is not None))


def _found(note: Mapping[str, Any], images: Sequence[tuple[str, Any]], own: Any) -> Coloured | None:  # noqa: ANN401 - any array
    """Return a part as noted: a channel of the image, or what has its values, first of all of its name."""
    if note.get("channel") is not None and own is not None:
        return Coloured.from_note(note, own)
    # The name comes first: of several images with the same values, and where the values cannot be read.
    ordered = sorted(images, key=lambda image: image[0] != note["name"])
    same = next(((name, data) for name, data in ordered if _is_noted(data, note, own)), None)
    if same is None:
        same = next((image for image in ordered if image[0] == note["name"]), None)
    return None if same is None else replace(Coloured.from_note(note, same[1]), name=same[0])


def _is_noted(data: Any, note: Mapping[str, Any], own: Any) -> bool:  # noqa: ANN401 - any array
    fits = own is None or tuple(data.shape) == tuple(own.shape)
    checksum = note.get("checksum", "")
    return fits and bool(checksum) and checksum_of(data) == checksum


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in dict.fromkeys(names))


def checksum_of(data: Any) -> str:  # noqa: ANN401 - any array
    """Sum up shape, type and a sample of an array; empty if it cannot be read."""
    dtype = np.dtype(data.dtype).newbyteorder("<")
    digest = hashlib.sha256(json.dumps([[int(size) for size in data.shape], dtype.str]).encode())
    try:
        for plane in _sample(data):
            digest.update(plane.astype(dtype).tobytes())
    except Exception:  # noqa: BLE001 - storage fails in many ways, and the name of the layer still tells
        return ""
    return digest.hexdigest()


def _sample(data: Any) -> Iterator[npt.NDArray[Any]]:  # noqa: ANN401 - any array
    """Read a few planes of the last two axes, thinned out."""
    leading = tuple(int(size) for size in data.shape[:-2])
    for number in sorted({round(each) for each in np.linspace(0, math.prod(leading) - 1, _PLANES)}):
        place = tuple(int(each) for each in np.unravel_index(number, leading)) if leading else ()
        plane = np.asarray(data[place])
        step = math.ceil(math.sqrt(max(plane.size / _VALUES, 1.0)))
        yield np.ascontiguousarray(plane[::step, ::step])
