"""Labels that are written to disk while they are made: an OME-Zarr label image, a frame held at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from yaozarrs.write.v05 import prepare_image

from napari_sam2.io.atomic import followed, remove
from napari_sam2.io.exporting import TILE, check_label_image, label_image, pyramid_steps
from napari_sam2.io.zarr_folder import ZarrFolder, check_zarr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

HELD_FRAMES = 4
"""Frames in memory: objects are written one by one, frames mostly one after the other."""


class StreamedLabels:
    """Labels (frames, H, W) on disk, read and written as an array.

    A frame is held in memory while objects are written into it, and goes to disk as a whole when others
    follow or `flush` is called. Any thread may call. Give it to `Session` as `labels`.

    Parameters
    ----------
    array : zarr.Array
        Where the frames lie, a frame or less to a chunk.
    coarser : sequence of zarr.Array
        Further levels of a pyramid, each with every second pixel of the one before.
    held : int
        Frames that are kept in memory.

    Attributes
    ----------
    shape : tuple of int
        ``(frames, H, W)``.
    dtype : dtype
        Unsigned integers.
    """

    def __init__(
        self, array: zarr.Array[Any], coarser: Sequence[zarr.Array[Any]] = (), *, held: int = HELD_FRAMES
    ) -> None:
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self._array, self._coarser = array, tuple(coarser)
        self._held = held
        self._frames: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()
        self._changed: set[int] = set()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - an index, what lies there
        first, rest = _parted(key)
        if isinstance(first, (int, np.integer)):
            with self._lock:
                return self._frame(int(first))[rest].copy()
        self.flush()
        return self._array[key]

    def __setitem__(self, key: Any, values: Any) -> None:  # noqa: ANN401 - as in numpy
        first, rest = _parted(key)
        if not isinstance(first, (int, np.integer)):
            raise TypeError(f"labels on disk are written one frame at a time, got the index {key!r}")
        with self._lock:
            # Looked up first: room is made, and may fail, before anything is changed.
            frame = self._frame(int(first))
            frame[rest] = values
            self._changed.add(int(first) % self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: ANN401
        return np.array(self[...], dtype=dtype, copy=True if copy is None else copy)

    def flush(self) -> None:
        """Write what is held in memory; OSError if that fails, and it is still held then."""
        with self._lock:
            for frame in sorted(self._changed):
                self._write(frame)

    def _frame(self, i: int) -> npt.NDArray[Any]:
        if not -self.shape[0] <= i < self.shape[0]:
            raise IndexError(f"there is no frame {i}: the labels have frames 0 to {self.shape[0] - 1}")
        i %= self.shape[0]
        if i not in self._frames:
            while len(self._frames) >= self._held:
                oldest = next(iter(self._frames))
                self._write(oldest)
                del self._frames[oldest]
            self._frames[i] = np.array(self._array[i])
        self._frames.move_to_end(i)
        return self._frames[i]

    def _write(self, frame: int) -> None:
        if frame in self._changed:
            plane = self._frames[frame]
            for level, array in enumerate((self._array, *self._coarser)):
                array[frame] = plane[:: 2**level, :: 2**level]
            self._changed.discard(frame)


def _parted(key: Any) -> tuple[Any, Any]:  # noqa: ANN401 - an index
    """Part an index into that of the frame and that within it."""
    if isinstance(key, tuple):
        return (key[0], key[1:]) if key else (Ellipsis, ())
    return key, ()


def create_labels(
    path: Path,
    shape: tuple[int, int, int],
    *,
    axes: str = "zyx",
    scale: Sequence[float] | None = None,
    dtype: npt.DTypeLike = "uint16",
) -> StreamedLabels:
    """Make an OME-Zarr 0.5 label image of zeros, to be written into frame by frame.

    Parameters
    ----------
    path : Path
        A folder that is not there yet, ``.zarr`` at its end.
    shape : (int, int, int)
        Frames, height, width.
    axes : str
        ``"tyx"`` or ``"zyx"``.
    scale : sequence of 3 floats, optional
        Micrometres (t: seconds) along each axis.
    dtype : dtype
        uint16 or uint32; it has to hold the largest id.

    Raises
    ------
    FileExistsError
        If there is something of that name.
    OSError
        If it cannot be written.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already: choose another name, or delete it")
    steps = pyramid_steps(shape[1:])
    prepare_image(
        path,
        label_image(axes, scale, len(steps)),
        [((shape[0], *(-(-size // step) for size in shape[1:])), np.dtype(dtype)) for step in steps],
        writer="zarr",
        chunks=(1, *(min(each, TILE) for each in shape[1:])),
    )
    store = ZarrFolder(path)
    finest, *coarser = (zarr.open_array(store, path=str(level), mode="r+") for level in range(len(steps)))
    return StreamedLabels(finest, coarser)


def finish_labels(made: Path, path: Path) -> None:
    """Give labels that are complete, and flushed, their name; older labels of that name are replaced.

    A link stays, and what it leads to is replaced.

    Raises
    ------
    FileExistsError
        If what has the name is no label image.
    OSError
        If they have vanished, or the file system refuses; what was there before is still there.
    """
    check_zarr(made)
    check_label_image(path)
    path = followed(path)
    aside = made.with_name(f".{made.name}.replaced")
    remove(aside)
    if path.exists():
        path.rename(aside)
    try:
        made.rename(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise
    remove(aside)
