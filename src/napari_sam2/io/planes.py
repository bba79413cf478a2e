"""Labels to be written: what they are, and their planes one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LabelArray = npt.NDArray[np.unsignedinteger[Any]]


class LabelPlanes(NamedTuple):
    """Labels to be written, and what is said of them."""

    array: Any
    axes: str
    scale: tuple[float, ...] | None
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of all planes."""
        return int(np.prod(self.array.shape, dtype=np.int64)) * self.dtype.itemsize

    def planes(self) -> Iterator[tuple[tuple[int, ...], LabelArray]]:
        """Read one plane (y, x) after the other, with its position along the other axes."""
        for position in np.ndindex(*self.array.shape[:-2]):
            yield position, checked_plane(np.asarray(self.array[position]), self.dtype)


def describe(labels: Any, scale: Sequence[float] | None, axes: str | None) -> LabelPlanes:  # noqa: ANN401
    """Check labels and what is said of them; see `export_labels`."""
    shape = tuple(labels.shape)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if axes is None:
        axes = "tzyx"[-len(shape) :]
    known = len(set(axes)) == len(axes) and set(axes) <= set("tzcyx")
    if len(axes) != len(shape) or not axes.endswith("yx") or not known:
        raise ValueError(f"axes must be a letter of tzcyx for each axis of {shape}, yx last, got {axes!r}")
    if scale is not None and (len(scale) != len(shape) or not all(0 < each < np.inf for each in scale)):
        raise ValueError(f"scale must be one positive number for each axis of {shape}, got {tuple(scale)}")
    dtype = np.dtype(f"u{min(labels.dtype.itemsize, 4)}")
    return LabelPlanes(labels, axes, None if scale is None else tuple(map(float, scale)), dtype)


def checked_plane(plane: npt.NDArray[Any], dtype: np.dtype[Any]) -> LabelArray:
    """Return values as an unsigned type that holds them; ValueError if it cannot."""
    if plane.dtype == dtype:
        return np.ascontiguousarray(plane)
    if plane.size and (plane.min() < 0 or plane.max() > np.iinfo(dtype).max):
        raise ValueError(f"labels must be 0 to {np.iinfo(dtype).max}, got {plane.min()} to {plane.max()}")
    return np.ascontiguousarray(plane.astype(dtype))


def check_replaceable(path: Path, ours: bool, what: str) -> None:
    """Refuse to delete a folder that is not a result of this kind."""
    if path.exists() and not ours and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} is there and is not {what}: it is not replaced; choose another name")
