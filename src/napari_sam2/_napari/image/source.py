"""What an image layer is: whether it can be used, which of its axes is frames and which is channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._napari.image.axis_names import BY_FILE, AxisName, axis_names
from napari_sam2._napari.image.geometry import SequenceGeometry, spatial_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image

_ROWS_AND_COLUMNS = {"y", "x"}
_NO_NAME = "axis "
_OTHER_LETTER = {"z": "t", "t": "z"}


@dataclass(frozen=True)
class Axes:
    """The axes of an image layer.

    Attributes
    ----------
    names : tuple of str
        One per data axis; "z", "t", "c", "y", "x" where that is known, else "axis 0".
    candidates : tuple of int
        Axes that may hold the frames; no more than two, unless the image cannot be used.
    frames : int or None
        Which of them does, at a guess; None if the image is a single one.
    reason : str
        Why, as a sentence.
    channels : int or None
        The axis of channels, if there is one.
    single : tuple of int
        Axes of length 1 that are left over.
    untold : tuple of int
        Candidates of which nothing tells whether they are z or t: the user may say it.
    """

    names: tuple[str, ...]
    candidates: tuple[int, ...]
    frames: int | None
    reason: str
    channels: int | None = None
    single: tuple[int, ...] = ()
    untold: tuple[int, ...] = ()

    def other(self, frames: int | None) -> int | None:
        """Return the axis with a slider beside the frames, as t of (t, z, y, x); None if there is none."""
        left = [axis for axis in self.candidates if axis != frames]
        return left[0] if left and len(self.names) - (self.channels is not None) > 3 else None

    def letters(self, frames: int | None) -> tuple[str, ...]:
        """Return what the user may call the axis of the frames; empty where it or the other is told."""
        told = {self.names[axis] for axis in self.candidates if axis not in self.untold}
        return () if frames not in self.untold or told & set(_OTHER_LETTER) else tuple(_OTHER_LETTER)

    def letter(self, frames: int | None, others: Sequence[int]) -> str:
        """Return "t" or "z" for the axis of the frames: its name, else the one that the others leave over."""
        if frames is None or self.names[frames] in _OTHER_LETTER:
            return "z" if frames is None else self.names[frames]
        left = set(_OTHER_LETTER) - {self.names[axis] for axis in others}
        if len(left) == 1:
            return left.pop()
        return "t" if others and frames < others[0] else "z"

    def called(self, frames: int, letter: str) -> Axes:
        """Return the same with frames along "z" or "t"; another axis without a name gets the other letter."""
        other = _OTHER_LETTER[letter]
        names = [
            other if axis in self.untold and (name == letter or name.startswith(_NO_NAME)) else name
            for axis, name in enumerate(self.names)
        ]
        names[frames] = letter
        return replace(self, names=tuple(names))


def base_level(layer: Image) -> Any:  # noqa: ANN401 - numpy, dask, zarr
    """Return the array of a layer, of a multiscale one that of the highest resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def why_not(layer: Image, axes: Axes | None = None) -> str:
    """Say why an image cannot be used; empty if it can.

    Parameters
    ----------
    layer : Image
        The image.
    axes : Axes, optional
        From `read_axes`, if it was called.
    """
    data = base_level(layer)
    if np.dtype(data.dtype).kind not in "uif":
        return f"“{layer.name}” holds {data.dtype} values: convert it to integers or floats first."
    if layer.ndim < 2 or min(spatial_shape(layer)) < 1:
        return f"“{layer.name}” is empty."
    if layer.ndim > 5:
        return f"“{layer.name}” has {layer.ndim} axes: take a part with at most time, z and channels."
    return _too_many(layer, axes or read_axes(layer))


def _too_many(layer: Image, axes: Axes) -> str:
    """Say that more axes are left than frames and positions can lie along."""
    if len(axes.candidates) < 3:
        return ""
    left = ", ".join(axes.names[axis] for axis in axes.candidates)
    return (
        f"“{layer.name}” has {len(axes.candidates)} axes beside rows and columns ({left}), and none of them "
        "is called channel: take a part with time and z alone, or name the axes in napari's console, as in "
        'layer.axis_labels = ("t", "c", "z", "y", "x").'
    )


def read_axes(layer: Image, displayed: Sequence[int] = ()) -> Axes:
    """Find out what the axes of an image are, from their names, see `axis_names`, and the viewer's sliders.

    Parameters
    ----------
    layer : Image
        Whose axes.
    displayed : sequence of int
        Data axes that are on the canvas; by default the last two.
    """
    named = _without_lone_channels(layer, axis_names(layer))
    names = tuple(each.name or f"{_NO_NAME}{axis}" for axis, each in enumerate(named))
    channels = names.index("c") if "c" in names and layer.ndim > 2 else None
    planes = _rows_and_columns(names, displayed, channels)
    sliders = [axis for axis in range(layer.ndim) if axis not in planes and axis != channels]
    candidates, single = _worth_choosing(sliders, spatial_shape(layer))
    frames, why = _guess(layer, named, candidates)
    untold = tuple(axis for axis in candidates if names[axis] not in _OTHER_LETTER)
    return Axes(names, candidates, frames, why, channels, single, untold)


def _without_lone_channels(layer: Image, named: Sequence[AxisName]) -> Sequence[AxisName]:
    """Forget the name of channels that a file tells of where nothing else could be frames.

    Programs that are not told what a stack is write its frames as channels, tifffile among them.
    """
    long = [
        each
        for each, size in zip(named, spatial_shape(layer), strict=True)
        if size > 1 and each.name not in _ROWS_AND_COLUMNS
    ]
    lone = AxisName("c", BY_FILE)
    return [AxisName() if each == lone and long == [lone] else each for each in named]


def _rows_and_columns(names: Sequence[str], displayed: Sequence[int], channels: int | None) -> set[int]:
    """Return the axes of a plane: by their names, else those on the canvas, else the last two."""
    if set(names) >= _ROWS_AND_COLUMNS:
        return {names.index("y"), names.index("x")}
    if displayed and channels not in displayed:
        return set(displayed)
    others = [axis for axis in range(len(names)) if axis != channels]
    return set(others[-2:])


def _worth_choosing(sliders: Sequence[int], shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tell axes with a slider from those of length 1 that are too many to be of use."""
    surplus = max(len(sliders) - 2, 0)
    single = tuple([axis for axis in sliders if shape[axis] == 1][:surplus])
    return tuple(axis for axis in sliders if axis not in single), single


def _guess(layer: Image, named: Sequence[AxisName], candidates: Sequence[int]) -> tuple[int | None, str]:
    """Choose the frame axis: z before t, else the last of those with a slider."""
    longer = [axis for axis in candidates if spatial_shape(layer)[axis] > 1]
    if not longer:
        return (candidates[0], "the only slice") if candidates else (None, "a single image")
    for name in ("z", "t"):
        for axis in longer:
            if named[axis].name == name:
                return axis, named[axis].reason
    return longer[-1], named[longer[-1]].reason or "the axis with the slider"


def geometry_of(layer: Image, axes: Axes, frames: int | None, position: int = 0) -> SequenceGeometry:
    """Describe the sequence along an axis, at a position of the other one."""
    other = axes.other(frames)
    index = {} if other is None else {other: position}
    index |= dict.fromkeys(axes.single, 0)
    return SequenceGeometry.of(layer, frame_axis=frames, index=index, channel_axis=axes.channels)


def displayed_axes(viewer: ViewerModel, layer: Image) -> tuple[int, ...]:
    """Return the data axes of a layer that are on the canvas; none if it is shown in 3-D."""
    if viewer.dims.ndisplay != 2:
        return ()
    offset = viewer.dims.ndim - layer.ndim
    axes = tuple(axis - offset for axis in viewer.dims.displayed)
    return axes if min(axes) >= 0 else ()


def shown_channel(viewer: ViewerModel, layer: Image, axes: Axes) -> int:
    """Return the channel of a layer that the viewer's slider shows; 0 without an axis of channels."""
    if axes.channels is None:
        return 0
    position = layer.world_to_data(np.asarray(viewer.dims.point, float))[axes.channels]
    return int(np.clip(np.rint(position), 0, spatial_shape(layer)[axes.channels] - 1))
