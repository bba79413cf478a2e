"""What a file tells of its axes, for whoever does not say how its images are to be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_sam2.io.reading import OpenedImage


def told_options(opened: OpenedImage, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options of a `Volume` by what the file tells.

    Parameters
    ----------
    opened : OpenedImage
        The image.
    chosen : mapping
        Options that somebody chose; they are kept as they are, but for a channel of an image that has no
        frames, which becomes a position on the axis of the channels.

    Raises
    ------
    ValueError
        If the frames would be the channels of one picture, and nobody said which of them.
    """
    fixed = chosen.get("index") or {}
    told = frame_axis(opened, fixed)
    if "axis" not in chosen and _holds_channels(opened, told, fixed):
        channel = chosen.get("channel")
        if not isinstance(channel, int):
            raise ValueError(_which_channel(opened, told))
        return {**chosen, "axis": 0, "index": {**fixed, told: channel}, "channel": None}
    return {"axis": told, "channel": colours(opened, fixed), **chosen}


def frame_axis(opened: OpenedImage, fixed: Collection[int] = ()) -> int:
    """Tell which axis objects are most likely tracked along: time, else depth, whichever has a length.

    Axes at whose position one stays (`fixed`) are none.
    """
    axes, shape = opened.axes or "", opened.array.shape
    if len(axes) == len(shape):
        stays = _from_the_front(fixed, len(shape))
        for letter in "tz":
            axis = axes.find(letter)
            if axis >= 0 and axis not in stays and shape[axis] > 1:
                return axis
    return 0


def colours(opened: OpenedImage, fixed: Collection[int] = ()) -> Literal["rgb"] | None:
    """Tell whether the last axis is colour, as the file says; not where a position on it is `fixed`."""
    axes, shape = opened.axes or "", opened.array.shape
    is_colour = len(axes) == len(shape) and axes.endswith("s") and shape[-1] in {3, 4}
    return "rgb" if is_colour and not {-1, len(shape) - 1} & set(fixed) else None


def _from_the_front(fixed: Collection[int], ndim: int) -> set[int]:
    return {axis % ndim for axis in fixed if -ndim <= axis < ndim}


def _holds_channels(opened: OpenedImage, axis: int, fixed: Collection[int]) -> bool:
    """Whether the file calls an axis channels, of which none is chosen."""
    axes, shape = opened.axes or "", opened.array.shape
    if len(axes) != len(shape) or axis in _from_the_front(fixed, len(shape)):
        return False
    return axes[axis] == "c" and shape[axis] > 1


def _which_channel(opened: OpenedImage, axis: int) -> str:
    """Say that channels are no frames, and what to choose."""
    count = opened.array.shape[axis]
    return (
        f"the image has {count} channels and no frames (its axes are {opened.axes}): choose one with "
        f"channel=0 to {count - 1}, on the command line --channel; or track along them with axis={axis}"
    )
