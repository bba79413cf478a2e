"""Which axis of an image layer is what: between the coordinates of layers and (frame, y, x)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.utils.transforms import Affine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt
    from napari.components import Dims, ViewerModel
    from napari.layers import Image, Layer

    Floats = npt.NDArray[np.float64]


class Place(NamedTuple):
    """A point of the sequence: index of the frame, and pixels with centres at integers."""

    frame: int
    y: float
    x: float


class FrameKey(NamedTuple):
    """What tells a frame from all others of an image: `SequenceGeometry.position`, and its index there."""

    position: tuple[tuple[int, int], ...]
    frame: int


@dataclass(frozen=True, eq=False)
class Places:
    """Many points of the sequence.

    Attributes
    ----------
    frame : array (n,) of int
        Index of the frame, the nearest one.
    yx : array (n, 2) of float
        Pixels, centres at integers.
    inside : array (n,) of bool
        Whether the point lies on a pixel of a frame of this sequence, and not at another position along the
        axes that are fixed.
    """

    frame: npt.NDArray[np.intp]
    yx: Floats
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SequenceGeometry:
    """How a sequence of frames lies in the data axes of a layer.

    Parameters
    ----------
    shape : tuple of int
        Of the prompt layers: the shape of the image without colour, 1 along an axis of channels.
    y_axis, x_axis : int
        The axes of a frame.
    frame_axis : int, optional
        The axis of the frames; None if the image is a single one.
    index : mapping of int to int
        The position along every other axis.
    channel_axis : int, optional
        An axis of channels: the prompt layers have length 1 there and are stretched over all channels.

    Raises
    ------
    ValueError
        If an axis does not exist or is named twice, or a position is missing or does not exist.
    """

    shape: tuple[int, ...]
    y_axis: int
    x_axis: int
    frame_axis: int | None = None
    index: Mapping[int, int] = field(default_factory=dict)
    channel_axis: int | None = None

    def __post_init__(self) -> None:
        used = [self.y_axis, self.x_axis, *self.index]
        used += [] if self.frame_axis is None else [self.frame_axis]
        if sorted(used) != list(range(self.ndim)):
            raise ValueError(
                f"axes {sorted(used)} are named for data of shape {self.shape}: "
                "name each axis once, as frame, y, x or with its position in `index`"
            )
        for axis, position in self.index.items():
            if not 0 <= position < self.shape[axis]:
                raise ValueError(f"axis {axis} has no position {position}: its length is {self.shape[axis]}")
        if self.channel_axis is not None and self.shape[self.channel_axis] != 1:
            raise ValueError(f"the axis of channels has length 1 here, {self.shape} came")

    @classmethod
    def of(
        cls,
        layer: Image,
        *,
        frame_axis: int | None = None,
        index: Mapping[int, int] | None = None,
        channel_axis: int | None = None,
    ) -> SequenceGeometry:
        """Describe the sequence in an image layer.

        Parameters
        ----------
        layer : Image
            Of a multiscale image the highest resolution counts; colour is no axis.
        frame_axis : int, optional
            Data axis of the frames; None for a single image.
        index : mapping of int to int, optional
            Positions along axes that are neither frames, nor rows and columns, which are the last two axes
            that are left. Axes of length 1 need not be named.
        channel_axis : int, optional
            A data axis of channels: prompts count whatever channel is shown.

        Returns
        -------
        SequenceGeometry

        Raises
        ------
        ValueError
            If axes are left that nothing is said of, or there is no such axis.
        """
        shape = list(spatial_shape(layer))
        fixed = dict(index or {})
        if channel_axis is not None:
            _check_axis(channel_axis, len(shape))
            shape[channel_axis], fixed[channel_axis] = 1, 0
        if frame_axis is not None:
            _check_axis(frame_axis, len(shape))
        left = [axis for axis in range(len(shape)) if axis != frame_axis and axis not in fixed]
        if len(left) < 2:
            raise ValueError(
                f"index leaves no rows and columns in data of shape {tuple(shape)}: fix fewer axes"
            )
        for axis in left[:-2]:
            if shape[axis] != 1:
                raise ValueError(f"nothing is said of axis {axis} of length {shape[axis]}: give its position")
            fixed[axis] = 0
        return cls(tuple(shape), left[-2], left[-1], frame_axis, fixed, channel_axis)

    @property
    def ndim(self) -> int:
        """Number of data axes of the prompt layers."""
        return len(self.shape)

    @property
    def num_frames(self) -> int:
        """Number of frames; 1 for a single image."""
        return 1 if self.frame_axis is None else self.shape[self.frame_axis]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self.shape[self.y_axis], self.shape[self.x_axis]

    @property
    def position(self) -> tuple[tuple[int, int], ...]:
        """What tells it from those at other positions: axes and positions, in order."""
        return tuple(sorted(self.index.items()))

    @property
    def fixed(self) -> dict[int, int]:
        """Positions along the other axes, less a channel's, which is part of what the network sees."""
        return {axis: at for axis, at in self.index.items() if axis != self.channel_axis}

    @property
    def others(self) -> dict[int, int]:
        """Positions along those of the other axes on which there are others."""
        return {axis: at for axis, at in self.fixed.items() if self.shape[axis] > 1}

    def at(self, index: Mapping[int, int]) -> SequenceGeometry:
        """Return the sequence at other positions along the fixed axes, ``{axis: position}``."""
        fixed = {axis: index.get(axis, position) for axis, position in self.index.items()}
        return SequenceGeometry(
            self.shape, self.y_axis, self.x_axis, self.frame_axis, fixed, self.channel_axis
        )

    def elsewhere(self) -> Iterator[SequenceGeometry]:
        """Iterate over the sequences at all other positions along the fixed axes."""
        for position in product(*(range(self.shape[axis]) for axis in self.index)):
            index = dict(zip(self.index, position, strict=True))
            if index != self.index:
                yield self.at(index)

    def to_place(self, coords: npt.ArrayLike) -> Place:
        """Convert the data coordinates (ndim,) of one point, inside or outside of the sequence."""
        places = self.to_places(np.asarray(coords, float)[None])
        return Place(int(places.frame[0]), float(places.yx[0, 0]), float(places.yx[0, 1]))

    def to_places(self, coords: npt.ArrayLike) -> Places:
        """Convert data coordinates of layers.

        Parameters
        ----------
        coords : array (n, ndim)
            Data coordinates of points in a prompt layer.

        Returns
        -------
        Places
            Frames are rounded as napari does when it slices.
        """
        data = np.asarray(coords, dtype=float).reshape(-1, self.ndim)
        rounded = np.rint(data)
        frame = np.zeros(len(data)) if self.frame_axis is None else rounded[:, self.frame_axis]
        yx = data[:, [self.y_axis, self.x_axis]]
        inside = (frame >= 0) & (frame < self.num_frames)
        inside &= ((yx >= -0.5) & (yx <= np.array(self.frame_shape) - 0.5)).all(axis=1)
        for axis, position in self.index.items():
            inside &= rounded[:, axis] == position
        return Places(np.clip(np.nan_to_num(frame), -1, self.num_frames).astype(np.intp), yx, inside)

    def to_layer(self, frame: int, y: float, x: float) -> Floats:
        """Convert a place to data coordinates (ndim,)."""
        coords: Floats = self.to_layers([frame], np.array([[y, x]], float))[0]
        return coords

    def to_layers(self, frame: npt.ArrayLike, yx: npt.ArrayLike) -> Floats:
        """Convert places, frames (n,) or one for all and pixels (n, 2), to data coordinates (n, ndim)."""
        pixels = np.asarray(yx, float).reshape(-1, 2)
        coords = np.zeros((len(pixels), self.ndim))
        for axis, position in self.index.items():
            coords[:, axis] = position
        if self.frame_axis is not None:
            coords[:, self.frame_axis] = frame
        coords[:, [self.y_axis, self.x_axis]] = pixels
        return coords

    def same_index(self, coords: Floats) -> npt.NDArray[np.bool_]:
        """Tell which data coordinates (n, ndim) lie at the fixed positions, whatever frame and pixel."""
        same = np.ones(len(coords), np.bool_)
        for axis, position in self.index.items():
            same &= np.rint(coords[:, axis]) == position
        return same

    def frames_of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of the layer's shape as (frames, H, W): a view, writing into it writes that."""
        key: list[int | slice] = [slice(None)] * self.ndim
        for axis, position in self.index.items():
            key[axis] = position
        part = array[tuple(key)]
        order = [] if self.frame_axis is None else [self.frame_axis]
        order += [self.y_axis, self.x_axis]
        ranks = np.argsort(np.argsort(order))
        view: npt.NDArray[Any] = part.transpose(tuple(ranks))
        return view[None] if self.frame_axis is None else view

    def with_first(self, coords: Floats) -> npt.NDArray[np.bool_]:
        """Tell which data coordinates (n, ndim) lie on the frame and at the positions of the first."""
        planes = np.delete(np.rint(coords), [self.y_axis, self.x_axis], axis=1)
        same: npt.NDArray[np.bool_] = (planes == planes[0]).all(axis=1)
        return same

    def frame_of(self, dims: Dims, layer: Layer) -> int:
        """Return the frame that sliders show of a layer of this shape, kept within the sequence."""
        position = layer.world_to_data(np.asarray(dims.point, float))
        if self.frame_axis is None:
            return 0
        return int(np.clip(np.rint(position[self.frame_axis]), 0, self.num_frames - 1))

    def index_of(self, dims: Dims, layer: Layer) -> dict[int, int]:
        """Return the positions that sliders show along the fixed axes, kept within the data."""
        position = np.rint(layer.world_to_data(np.asarray(dims.point, float)))
        return {axis: int(np.clip(position[axis], 0, self.shape[axis] - 1)) for axis in self.index}

    def frame_axis_displayed(self, viewer: ViewerModel) -> bool:
        """Tell whether the frame axis is on the canvas, and not a slider."""
        return self.frame_axis is not None and self.frame_axis in self._displayed(viewer)

    def frames_shown(self, viewer: ViewerModel) -> bool:
        """Tell whether exactly rows and columns are on the canvas, so that a frame is seen as it is."""
        return viewer.dims.ndisplay == 2 and self._displayed(viewer) == {self.y_axis, self.x_axis}

    def key(self, frame: int) -> FrameKey:
        """Name one of the frames."""
        return FrameKey(self.position, frame)

    def seen(self, viewer: ViewerModel, layer: Layer) -> FrameKey | None:
        """Name the frame that is seen of such a layer, at any position; None if parts of many are."""
        if not self.frames_shown(viewer):
            return None
        position = tuple(sorted(self.index_of(viewer.dims, layer).items()))
        return FrameKey(position, self.frame_of(viewer.dims, layer))

    def brush_reach(self, dims: Dims) -> int:
        """Return over how many dimensions a brush may paint without leaving this sequence.

        Napari takes so many of the last axes in the order of the view. Axes of length 1 do no harm.
        """
        offset = dims.ndim - self.ndim
        order = [axis - offset for axis in dims.order if axis >= offset]
        mine = {self.frame_axis, self.y_axis, self.x_axis}
        others = [n for n, axis in enumerate(reversed(order)) if axis not in mine and self.shape[axis] > 1]
        return max(2, *others[:1]) if others else self.ndim

    def _displayed(self, viewer: ViewerModel) -> set[int]:
        offset = viewer.dims.ndim - self.ndim  # layers share the last axes of the world
        return {axis - offset for axis in viewer.dims.displayed}

    def layer_kwargs(self, image: Image) -> dict[str, Any]:
        """Return what places a layer of this shape over an image layer, as keyword arguments of layers.

        Scale, translate, rotate, shear, affine, units and axis labels are those of the image; along an axis
        of channels the one position is stretched over all of them.
        """
        scale, translate = np.array(image.scale, float), np.array(image.translate, float)
        if self.channel_axis is not None:
            channels = spatial_shape(image)[self.channel_axis]
            along = _direction(image, self.channel_axis)
            translate = translate + along * (channels - 1) / 2
            scale[self.channel_axis] *= channels
        return {
            "scale": scale,
            "translate": translate,
            "rotate": image.rotate,
            "shear": image.shear,
            "affine": image.affine,
            "units": image.units,
            "axis_labels": image.axis_labels,
        }


def spatial_shape(layer: Layer) -> tuple[int, ...]:
    """Return the shape of an image or labels layer without colour; the first level of a multiscale one."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(int(size) for size in data.shape[: layer.ndim])


def to_world(layer: Layer, coords: Iterable[npt.ArrayLike]) -> Floats:
    """Convert data coordinates (n, ndim) of a layer to world coordinates (n, ndim)."""
    return np.array([layer.data_to_world(np.asarray(each)) for each in coords], float).reshape(-1, layer.ndim)


def to_data(layer: Layer, coords: Iterable[npt.ArrayLike]) -> Floats:
    """Convert world coordinates to data coordinates (n, ndim) of a layer; both share the last axes."""
    return np.array([layer.world_to_data(each) for each in coords], float).reshape(-1, layer.ndim)


def _direction(image: Image, axis: int) -> Floats:
    """Step in physical coordinates that one step along a data axis makes."""
    matrix = Affine(rotate=image.rotate, shear=image.shear, scale=image.scale, ndim=image.ndim).linear_matrix
    column: Floats = np.asarray(matrix, float)[:, axis]
    return column


def _check_axis(axis: int, ndim: int) -> None:
    if not 0 <= axis < ndim:
        raise ValueError(f"there is no axis {axis}: the data have axes 0 to {ndim - 1}")
