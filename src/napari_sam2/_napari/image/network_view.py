"""What the network sees of an image layer: which channel or composite, in which contrast; frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.colormaps import CYMRGB, MAGENTA_GREEN, ensure_colormap

from napari_sam2._napari.image.composite import CompositeFrames, coloured
from napari_sam2._napari.image.geometry import spatial_shape
from napari_sam2._napari.image.source import base_level
from napari_sam2.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from napari.layers import Image

    from napari_sam2._napari.image.source import Axes

    Colour = Literal["rgb", "grey"] | None

_COMPOSITE = "Composite of the visible layers"
_ALL_CHANNELS = "All channels, in colour"
_MOST_COLOURS = len(CYMRGB)
_DIM = "Dim images are outlined less well."
_LIKE_COLOUR = (3, 4)  # a last axis that `Volume` takes for colour where nothing is said


@dataclass(frozen=True, eq=False)
class View:
    """What the network sees of an image, frozen.

    Attributes
    ----------
    image : array
        Pixels of the layer.
    data : array
        What is seen of it: the same, or a composite that is made when it is read.
    channel : "rgb", "grey" or None
        Whether the last axis is colour; "grey" where it is not and its length looks like it.
    index : mapping of int to int
        Channel axis and chosen channel; empty without.
    contrast : (float, float) or None
        Values that are black and white; None where uint8 values pass as they are.
    text : str
        The same for the user, as in "120-3400, channel 1".
    choice : int
        Index into `channel_choices` of what is shown.
    """

    image: Any
    data: Any
    channel: Colour = None
    index: Mapping[int, int] = field(default_factory=dict)
    contrast: tuple[float, float] | None = None
    text: str = ""
    choice: int = 0

    def matches(self, other: View) -> bool:
        """Whether the network would see the same."""
        same = self.data is other.data
        if isinstance(self.data, CompositeFrames):
            same = self.data.same_as(other.data)
        return same and self._said() == other._said()

    def of(self, volume: Volume) -> View:
        """Return what a session of the same image sees, as one that was loaded."""
        if isinstance(volume.data, CompositeFrames):
            return _composite(self.image, volume.data)
        if self.channel == "rgb" and self.data is self.image:
            return self
        stored = volume.options()["index"]
        index = {axis: int(stored.get(str(axis), at)) for axis, at in self.index.items()}
        return _plain(self.image, index, volume.contrast)

    @property
    def made_of(self) -> tuple[dict[str, Any], ...]:
        """Of a composite, how it is made; see `Session.made_of`."""
        return self.data.notes() if isinstance(self.data, CompositeFrames) else ()

    def again(self, made_of: Sequence[Mapping[str, Any]], images: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the array of a stored session: the image, or a composite of images by name or values."""
        if not made_of:
            return self.image
        # Layers of what is seen now may have been taken out of the viewer since.
        own = self.data.parts if isinstance(self.data, CompositeFrames) else ()
        known = [*images.items(), *((part.name, part.data) for part in own)]
        return CompositeFrames.from_notes(made_of, known, self.image)

    def at_first(self, axis: int, index: Mapping[int, int]) -> Volume:
        """Return the image at the first positions along all other axes, whatever is seen of it."""
        others = dict.fromkeys([*self.index, *index], 0)
        colour = self.channel if self.data is self.image else "grey"
        return Volume(self.image, axis=axis, index=others, channel=colour, contrast=(0, 1))

    @property
    def dim_advice(self) -> str:
        """What to do where the image fills little of the range that is seen."""
        if self.channel == "rgb" and self.data is self.image:
            return f"{_DIM} Colour is shown to the model as it is: brighten the pixels, and open them again."
        return f"{_DIM} Set the contrast limits of the layer around its values, then “Use current view”."

    def _said(self) -> tuple[object, ...]:
        # Without the text: it has names of layers, which change what is said and not what is seen.
        return self.channel, tuple(self.index.items()), self.contrast


def channel_choices(layer: Image, axes: Axes, layers: Sequence[Image]) -> tuple[str, ...]:
    """List what the network may be shown; empty where there is no choice."""
    choices: list[str] = []
    if axes.channels is not None:
        count = spatial_shape(layer)[axes.channels]
        choices = [f"Channel {number + 1}" for number in range(count)]
        if 1 < count <= _MOST_COLOURS:
            choices.append(_ALL_CHANNELS)
    elif layer.rgb:
        return ()
    else:
        choices = [f"“{layer.name}” alone"]
    if len(composed(layer, layers)) > 1 and axes.channels is None:
        choices.append(_COMPOSITE)
    return tuple(choices) if len(choices) > 1 else ()


def composed(layer: Image, layers: Sequence[Image]) -> tuple[Image, ...]:
    """Return the layers that a composite would show: visible ones of one value, lying as this one does."""
    shape = spatial_shape(layer)
    return tuple(
        other
        for other in layers
        if (other.visible or other is layer)
        and not other.rgb
        and spatial_shape(other) == shape
        and np.allclose(_lies(other), _lies(layer))
    )


def _lies(layer: Image) -> npt.NDArray[np.float64]:
    """Return where the first pixel of a layer and its neighbours along each axis lie in the world."""
    corners = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    return np.array([layer.data_to_world(corner) for corner in corners])


def freeze(layer: Image, axes: Axes, channel: int, layers: Sequence[Image]) -> View:
    """Take the view of an image as it is now: its channel, or a composite, and its contrast limits.

    Parameters
    ----------
    layer : Image
        The image.
    axes : Axes
        From `read_axes`.
    channel : int
        Index into `channel_choices`.
    layers : sequence of Image
        All image layers, for a composite.
    """
    choices = channel_choices(layer, axes, layers)
    name = choices[channel] if channel < len(choices) else ""
    data = base_level(layer)
    if name == _COMPOSITE:
        parts = [
            coloured(part.name, base_level(part), part.contrast_limits, part.colormap, part.gamma)
            for part in composed(layer, layers)
        ]
        return _composite(data, CompositeFrames(tuple(parts)))
    if name == _ALL_CHANNELS and axes.channels is not None:
        return _composite(data, _all_channels(layer, axes.channels))
    if layer.rgb:
        contrast = None if data.dtype == np.uint8 else (0.0, _white(data.dtype))
        return View(data, data, channel="rgb", contrast=contrast, text="colour as it is")
    limits = float(layer.contrast_limits[0]), float(layer.contrast_limits[1])
    whole = data.dtype == np.uint8 and limits == (0.0, 255.0)
    index = {} if axes.channels is None else {axes.channels: channel}
    return _plain(data, index, None if whole else limits)


def _all_channels(layer: Image, axis: int) -> CompositeFrames:
    """Add the channels of one layer up, in the colours that napari gives to layers made of them."""
    count, data = spatial_shape(layer)[axis], base_level(layer)
    colours = MAGENTA_GREEN if count == 2 else CYMRGB
    look = partial(coloured, layer.name, data, layer.contrast_limits, gamma=layer.gamma)
    parts = [
        look(ensure_colormap(colour), channel=(axis, position))
        for position, colour in enumerate(colours[:count])
    ]
    return CompositeFrames(tuple(parts))


def _composite(image: Any, data: CompositeFrames) -> View:  # noqa: ANN401 - numpy, dask, zarr
    first = data.parts[0]
    if first.channel is not None:
        channels = "+".join(str(number + 1) for number in range(len(data.parts)))
        text, index = f"{_range((first.low, first.high))}, channels {channels}", {first.channel[0]: 0}
        return View(image, data, channel="rgb", index=index, text=text, choice=len(data.parts))
    parts = ", ".join(f"“{part.name}” {_range((part.low, part.high))}" for part in data.parts)
    return View(image, data, channel="rgb", text=f"composite of {parts}", choice=1)


def _plain(image: Any, index: Mapping[int, int], contrast: tuple[float, float] | None) -> View:  # noqa: ANN401
    """Return the view of one channel of an image."""
    text = _range(contrast or (0.0, 255.0))
    (channel,) = index.values() or (0,)
    named = f"{text}, channel {channel + 1}" if index else text
    # Layers that are colour are not seen so, whatever the length of their last axis.
    colour: Colour = "grey" if image.shape[-1] in _LIKE_COLOUR else None
    return View(image, image, channel=colour, index=index, contrast=contrast, text=named, choice=channel)


def _white(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def _range(limits: Sequence[float]) -> str:
    low, high = limits
    return f"{low:.4g}-{high:.4g}" if high < 10 else f"{low:.0f}-{high:.0f}"
