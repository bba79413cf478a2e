"""Any array as a sequence of frames that a network can look at, read one frame at a time."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_sam2.brightness import PERCENTILES, Brightness
from napari_sam2.refusals import PartNeededError

Frame: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Channel: TypeAlias = int | Literal["rgb", "grey"] | None

SAMPLED_FRAMES = 16
SAMPLED_VALUES = 1_000_000


class Contrast(NamedTuple):
    """Values that are shown as black and as white."""

    low: float
    high: float


class Identity(NamedTuple):
    """Which images they are, and why some of those that were looked at cannot be read; empty if all can."""

    checksum: str
    problem: str


class _Layout(NamedTuple):
    """Which axis of the data is what."""

    frames: int | None
    fixed: Mapping[int, int]
    rows: int
    columns: int
    colour: int | None


class Volume:
    """Frames ``(H, W, C)`` along one axis of an array, read when they are asked for.

    Parameters
    ----------
    data : array
        Numpy, dask, zarr or whatever has `shape`, `dtype` and takes integers and slices in brackets. Two axes
        are one frame; of more, one is the frame axis. A last axis of 3 or 4 is colour if the data are uint8
        or `channel` says so, and not if it says grey; the fourth colour (alpha) is not looked at.
    axis : int
        The frame axis, z or t.
    index : mapping of int to int, optional
        Which position to take along other axes, ``{axis: position}``. An axis of length 1 need not be named.
    channel : int, "rgb" or "grey", optional
        ``"rgb"``: the last axis, of length 3 or 4, is colour, whatever the type; ``"grey"``: no axis is. A
        number: take that channel, of the last axis if it has at most 4, else of the one axis that is left
        beside the frame axis and the image.
    contrast : tuple of 2 floats, optional
        Values shown as black and white. None: uint8 data pass as they are; of others, the 0.5 and 99.8
        percentiles of at most a million finite values from at most 16 frames, looked up once, here.

    Raises
    ------
    TypeError
        If the data are not an array of integers or floats.
    ValueError
        If they have no values, fewer than two axes, or axes that nothing is said of; if `axis`, `index`,
        `channel` or `contrast` do not fit them; if a contrast is needed and they are constant or have no
        finite value.
    """

    def __init__(
        self,
        data: Any,  # noqa: ANN401 - a numpy, dask, zarr, ... array
        *,
        axis: int = 0,
        index: Mapping[int, int] | None = None,
        channel: Channel = None,
        contrast: Sequence[float] | None = None,
    ) -> None:
        self._data = _checked_array(data)
        self._brightness = Brightness()
        self._axis, self._channel = axis, _checked_channel(channel)
        self._layout = _layout(tuple(self._data.shape), self._data.dtype, axis, index or {}, self._channel)
        self._contrast = None if contrast is None else _checked_contrast(contrast)
        if self._contrast is None and self._data.dtype != np.uint8:
            self._contrast = self._measured_contrast()

    @classmethod
    def from_options(cls, data: Any, options: Mapping[str, Any]) -> Volume:  # noqa: ANN401 - see above
        """Open `data` as `options()` of another volume says, also after a trip through JSON."""
        index = {int(axis): int(position) for axis, position in options["index"].items()}
        return cls(
            data,
            axis=options["axis"],
            index=index,
            channel=options["channel"],
            contrast=options["contrast"],
        )

    @property
    def data(self) -> Any:  # noqa: ANN401 - see above
        """The array that frames are read from."""
        return self._data

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(frames, H, W)``."""
        return (self.num_frames, *self.frame_shape)

    @property
    def num_frames(self) -> int:
        """Number of frames; 1 for a single image."""
        axis = self._layout.frames
        return 1 if axis is None else int(self._data.shape[axis])

    @property
    def frame_shape(self) -> tuple[int, int]:
        """``(H, W)`` of a frame."""
        return int(self._data.shape[self._layout.rows]), int(self._data.shape[self._layout.columns])

    @property
    def channels(self) -> int:
        """3 for colour, else 1."""
        return 1 if self._layout.colour is None else 3

    @property
    def contrast(self) -> Contrast | None:
        """Values shown as black and white; None where uint8 values pass as they are."""
        return self._contrast

    @property
    def filled(self) -> float | None:
        """Part of black to white, 0 to 1, that the frames read so far fill; None before the first."""
        return self._brightness.filled

    def options(self) -> dict[str, Any]:
        """Return what `from_options` needs to open the same data in the same way, fit for JSON."""
        return {
            "axis": int(self._axis),
            "index": {str(axis): int(position) for axis, position in sorted(self._layout.fixed.items())},
            "channel": self._channel if isinstance(self._channel, str) else None,
            "contrast": None if self._contrast is None else list(self._contrast),
        }

    def frame(self, i: int) -> Frame:
        """Read one frame.

        Parameters
        ----------
        i : int
            0 to ``num_frames - 1``.

        Returns
        -------
        array (H, W, C)
            C is 3 for colour, else 1. uint8 as it is in the data, or float32 from 0 (the lower contrast limit
            and below, NaN) to 255 (the upper one and above). The caller's to keep: never a view of the data.

        Raises
        ------
        IndexError
            If there is no such frame.
        """
        return self._shown(self._read(i))

    def crop(self, i: int, box: Sequence[int]) -> Frame:
        """Read a part of a frame, and no more of it than the storage makes necessary.

        Parameters
        ----------
        i : int
            0 to ``num_frames - 1``.
        box : sequence of 4 ints
            (y0, x0, y1, x1), within the frame.

        Returns
        -------
        array (y1 - y0, x1 - x0, C)
            The same values as in ``frame(i)``.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If the box is empty or sticks out of the frame.
        """
        y0, x0, y1, x1 = box
        height, width = self.frame_shape
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise ValueError(f"box {tuple(box)} is no part of a frame of shape {self.frame_shape}")
        return self._shown(self._read(i, slice(y0, y1), slice(x0, x1)))

    def _shown(self, raw: npt.NDArray[Any]) -> Frame:
        """Bring values of the data into the form in which frames are handed out."""
        frame = raw if raw.ndim == 3 else raw[..., None]
        limits = self._contrast
        shown = np.array(frame, np.uint8, order="C") if limits is None else _windowed(frame, limits)
        self._brightness.look_at(shown)
        return shown

    def checksum(self) -> str:
        """Sum up shape, type and a sample of at most 16 frames in a sha256, whatever the storage."""
        return self.identity().checksum

    def identity(self) -> Identity:
        """Return the checksum, for which frames that cannot be read are all alike, and why they cannot."""
        dtype = self._data.dtype.newbyteorder("<")
        digest = hashlib.sha256(json.dumps([self.shape, self.channels, dtype.str]).encode())
        problem = ""
        for i in self._sampled_frames():
            try:
                digest.update(self._sampled(i).astype(dtype).tobytes())
            except Exception as error:  # noqa: BLE001 - storage fails in many ways
                digest.update(b"unreadable")
                problem = problem or str(error) or type(error).__name__
        return Identity(digest.hexdigest(), problem)

    def _read(self, i: int, rows: slice = slice(None), columns: slice = slice(None)) -> npt.NDArray[Any]:
        """Read the values of one frame, ``(H, W)`` or ``(H, W, 3)``, and no others."""
        if not 0 <= i < self.num_frames:
            raise IndexError(f"there is no frame {i}: the data have frames 0 to {self.num_frames - 1}")
        layout = self._layout
        key: list[int | slice] = [slice(None)] * len(self._data.shape)
        key[layout.rows], key[layout.columns] = rows, columns
        for axis, position in layout.fixed.items():
            key[axis] = position
        if layout.frames is not None:
            key[layout.frames] = i
        if layout.colour is not None:
            key[layout.colour] = slice(0, 3)
        return np.asarray(self._data[tuple(key)])

    def _sampled_frames(self) -> list[int]:
        count = min(self.num_frames, SAMPLED_FRAMES)
        return [round(i) for i in np.linspace(0, self.num_frames - 1, count)]

    def _sampled(self, i: int) -> npt.NDArray[Any]:
        """Values of frame `i` on a regular grid, all frames together no more than SAMPLED_VALUES."""
        raw = self._read(i)
        allowed = SAMPLED_VALUES / min(self.num_frames, SAMPLED_FRAMES)
        step = math.ceil(math.sqrt(max(raw.size / allowed, 1.0)))
        return np.ascontiguousarray(raw[::step, ::step])

    def _measured_contrast(self) -> Contrast:
        values = np.concatenate([self._sampled(i).ravel() for i in self._sampled_frames()])
        values = values.astype(np.float64)
        values = values[np.isfinite(values)]
        if values.size == 0:
            raise ValueError("the image has no finite value in the frames that were looked at")
        low, high = np.percentile(values, PERCENTILES).tolist()
        if low == high:
            # A few bright spots on an even ground.
            low, high = float(values.min()), float(values.max())
        if low == high:
            raise ValueError(
                f"the image is constant ({low:g}) in the frames that were looked at; if others differ, "
                "give contrast=(low, high), on the command line --contrast LOW,HIGH"
            )
        return Contrast(low, high)


def _checked_array(data: Any) -> Any:  # noqa: ANN401 - whatever came
    """Take anything that is an array, and say of anything else why it is not an image."""
    if isinstance(data, (list, tuple)):
        data = np.asarray(data)
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        raise TypeError(f"not an image: {type(data).__name__}; give an array (numpy, dask, zarr)")
    if not isinstance(data.dtype, np.dtype) or data.dtype.kind not in "uif":
        kind = getattr(data.dtype, "kind", "")
        hint = {"b": ", e.g. by data.astype('uint8') * 255", "c": ", e.g. by abs(data)"}.get(kind, "")
        raise TypeError(f"an image must hold integers or floats, got {data.dtype}; convert it first{hint}")
    if len(data.shape) < 2:
        raise ValueError(f"an image has at least two axes, got shape {tuple(data.shape)}")
    if 0 in data.shape:
        raise ValueError(f"the image is empty: shape {tuple(data.shape)}")
    return data


def _checked_channel(channel: object) -> Channel:
    if channel is None or (isinstance(channel, str) and channel in {"rgb", "grey"}):
        return channel  # type: ignore[return-value]
    if isinstance(channel, (int, np.integer)) and not isinstance(channel, bool):
        return int(channel)
    error = ValueError if isinstance(channel, str) else TypeError
    raise error(f"channel must be a number, 'rgb', 'grey' or None, got {channel!r}")


def _layout(
    shape: tuple[int, ...], dtype: np.dtype[Any], axis: int, index: Mapping[int, int], channel: Channel
) -> _Layout:
    """Find out which axis of the data is what."""
    fixed = {_checked_axis(each, shape, "index"): position for each, position in index.items()}
    colour = _colour_axis(shape, dtype, fixed, channel)
    spare = [i for i in range(len(shape)) if i != colour]
    last = len(shape) - 1
    if isinstance(channel, int) and shape[last] <= 4 and last not in fixed:
        fixed[last] = channel
        channel = None
    frames = _frame_axis(shape, axis, fixed, spare)
    if isinstance(channel, int):
        fixed |= _chosen_channel(channel, shape, [i for i in spare if i != frames and i not in fixed])
    left = [i for i in spare if i != frames and i not in fixed]
    if len(left) < 2:
        raise ValueError(f"index leaves no image in data of shape {tuple(shape)}: fix fewer axes")
    fixed |= _single(left[:-2], shape, frames)
    for each, position in fixed.items():
        _check_position(each, position, shape)
    return _Layout(frames, fixed, left[-2], left[-1], colour)


def _frame_axis(
    shape: tuple[int, ...], axis: int, fixed: Mapping[int, int], spare: Sequence[int]
) -> int | None:
    """Check the frame axis; None if no more than an image is left."""
    axis = _checked_axis(axis, shape, "axis")
    if len([i for i in spare if i not in fixed]) <= 2:
        if axis != 0:
            raise ValueError(f"axis={axis}, but there is one frame in shape {tuple(shape)}; leave it out")
        return None
    if axis in fixed or axis not in spare:
        raise ValueError(f"axis {axis} cannot be the frame axis: it is fixed or holds the colours")
    return axis


def _colour_axis(
    shape: tuple[int, ...], dtype: np.dtype[Any], fixed: Mapping[int, int], channel: Channel
) -> int | None:
    last = len(shape) - 1
    fits = last >= 2 and shape[last] in (3, 4) and last not in fixed
    if channel == "rgb":
        if not fits:
            raise ValueError(f"channel='rgb' needs a free last axis of 3 or 4, got shape {tuple(shape)}")
        return last
    return last if channel is None and fits and dtype == np.uint8 else None


def _chosen_channel(channel: int, shape: tuple[int, ...], left: list[int]) -> dict[int, int]:
    """Find the axis that `channel` counts along, among the axes that are left."""
    candidates = [i for i in left[:-2] if shape[i] > 1] or left[:-2]
    if len(candidates) != 1:
        which = f"which of the axes {candidates} is it?" if candidates else "no axis is left for it."
        raise ValueError(
            f"channel={channel} in data of shape {tuple(shape)}: {which} "
            f"Use index={{axis: {channel}}}, on the command line --index AXIS:{channel}"
        )
    return {candidates[0]: channel}


def _single(axes: list[int], shape: tuple[int, ...], frames: int | None) -> dict[int, int]:
    """Fix axes of length 1; of longer ones the caller has to say what to take."""
    longer = [i for i in axes if shape[i] != 1]
    if longer:
        raise PartNeededError(shape, longer, frames)
    return dict.fromkeys(axes, 0)


def _checked_axis(axis: int, shape: tuple[int, ...], name: str) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name}: an axis is a whole number, got {axis!r}")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name}: there is no axis {axis} in data of shape {tuple(shape)}")
    return int(axis) % len(shape)


def _check_position(axis: int, position: int, shape: tuple[int, ...]) -> None:
    if isinstance(position, bool) or not isinstance(position, (int, np.integer)):
        raise TypeError(f"index: a position is a whole number, got {position!r}")
    if not 0 <= position < shape[axis]:
        raise ValueError(f"there is no position {position} along axis {axis} of length {shape[axis]}")


def _checked_contrast(contrast: Sequence[float]) -> Contrast:
    if len(contrast) != 2:
        raise ValueError(f"contrast must be (low, high), got {contrast!r}")
    limits = Contrast(float(contrast[0]), float(contrast[1]))
    if not (math.isfinite(limits.high - limits.low) and limits.low < limits.high):
        raise ValueError(f"contrast must be (low, high), finite and low < high, got {tuple(contrast)}")
    return limits


def _windowed(frame: npt.NDArray[Any], contrast: Contrast) -> npt.NDArray[np.float32]:
    """Map the contrast limits to 0 and 255 and clip; NaN becomes 0."""
    # Large integers and doubles lose their differences in float32; the common types need not pay for that.
    small = frame.dtype.itemsize <= 2 or frame.dtype == np.float32
    work = np.dtype(np.float32 if small else np.float64).type
    with np.errstate(over="ignore", invalid="ignore"):
        values = (frame.astype(work) - work(contrast.low)) * work(255.0 / (contrast.high - contrast.low))
    clipped = np.clip(values, 0, 255).astype(np.float32, copy=False)
    return np.nan_to_num(clipped, copy=False, nan=0.0)
