"""Labels as files that other programs read: OME-TIFF, OME-Zarr, Cell Tracking Challenge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile
from yaozarrs import v05
from yaozarrs.write.v05 import prepare_image

from napari_sam2.io.atomic import replacing

LabelArray = npt.NDArray[np.unsignedinteger[Any]]

CLASSIC_TIFF = 2**32 - 2**25
"""Bytes of pixels that a classic TIFF file is trusted with, its own bookkeeping beside them."""


class _Labels(NamedTuple):
    """Labels to be written, and what is said of them."""

    array: Any
    axes: str
    scale: tuple[float, ...] | None
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.array.shape, dtype=np.int64)) * self.dtype.itemsize

    def planes(self) -> Iterator[tuple[tuple[int, ...], LabelArray]]:
        """Read one plane (y, x) after the other, with its position along the other axes."""
        for position in np.ndindex(*self.array.shape[:-2]):
            yield position, _checked_plane(np.asarray(self.array[position]), self.dtype)


def export_labels(
    path: str | Path,
    labels: Any,  # noqa: ANN401 - numpy, dask or zarr
    *,
    scale: Sequence[float] | None = None,
    axes: str | None = None,
    ctc: bool = False,
) -> None:
    """Write labels, one plane at a time, whole or not at all.

    Parameters
    ----------
    path : str or Path
        ``.tif`` / ``.tiff``: OME-TIFF, compressed, BigTIFF where it has to be. ``.zarr``: OME-Zarr 0.5 label
        image. A folder whose name ends with ``_RES``: a Cell Tracking Challenge result, ``mask000.tif`` ...
        and ``res_track.txt``. A file that is there is replaced, and so are labels in a folder, but nothing
        else is.
    labels : array (..., H, W)
        Integers from 0, numpy, dask or zarr. Signed ones are written as unsigned, 64 bits as 32.
    scale : sequence of float, optional
        Micrometres (t: seconds) between positions along each axis.
    axes : str, optional
        A letter of ``tzcyx`` for each axis; by default the last ones of ``tzyx``.
    ctc : bool
        Write a Cell Tracking Challenge result whatever the name.

    Raises
    ------
    ValueError
        If the kind of file is not known, `axes` or `scale` do not fit, or a label is negative or too large.
    TypeError
        If the labels are not integers.
    FileExistsError
        If there is a folder of that name with something else in it.
    OSError
        If it cannot be written (disk full, read-only): nothing is left under the name.
    """
    path = Path(path)
    write = _writer(path, ctc=ctc)
    write(path, _described(labels, scale, axes))


def _writer(path: Path, *, ctc: bool) -> Callable[[Path, _Labels], None]:
    if ctc or path.name.endswith("_RES"):
        return _write_ctc
    known: Mapping[str, Callable[[Path, _Labels], None]] = {
        ".tif": _write_tiff,
        ".tiff": _write_tiff,
        ".zarr": _write_zarr,
    }
    write = known.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"{path.name}: labels are written to .tif, .tiff, .zarr, or a folder called ..._RES")
    return write


def _described(labels: Any, scale: Sequence[float] | None, axes: str | None) -> _Labels:  # noqa: ANN401
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
    return _Labels(labels, axes, None if scale is None else tuple(map(float, scale)), dtype)


def _checked_plane(plane: npt.NDArray[Any], dtype: np.dtype[Any]) -> LabelArray:
    if plane.dtype == dtype:
        return np.ascontiguousarray(plane)
    if plane.size and (plane.min() < 0 or plane.max() > np.iinfo(dtype).max):
        raise ValueError(f"labels must be 0 to {np.iinfo(dtype).max}, got {plane.min()} to {plane.max()}")
    return np.ascontiguousarray(plane.astype(dtype))


def _write_tiff(path: Path, labels: _Labels) -> None:
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder, not a TIFF file")
    big = labels.nbytes > CLASSIC_TIFF
    with (
        replacing(path) as temporary,
        temporary.open("wb") as file,
        tifffile.TiffWriter(file, bigtiff=big, ome=True) as tiff,
    ):
        tiff.write(
            (plane for _, plane in labels.planes()),
            shape=labels.array.shape,
            dtype=labels.dtype,
            photometric="minisblack",
            compression="zlib",
            metadata=_ome_metadata(labels),
        )


def _ome_metadata(labels: _Labels) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": labels.axes.upper(), "Name": "labels"}
    for axis, size in zip(labels.axes, labels.scale or (), strict=False):
        if axis == "t":
            metadata |= {"TimeIncrement": size, "TimeIncrementUnit": "s"}
        elif axis != "c":
            metadata |= {f"PhysicalSize{axis.upper()}": size, f"PhysicalSize{axis.upper()}Unit": "µm"}
    return metadata


def _write_zarr(path: Path, labels: _Labels) -> None:
    _check_replaceable(path, _is_label_image(path), "an OME-Zarr label image")
    shape = tuple(labels.array.shape)
    with replacing(path) as temporary:
        _, arrays = prepare_image(
            temporary,
            _label_image(labels),
            (shape, labels.dtype),
            writer="zarr",
            chunks=(*(1 for _ in shape[:-2]), *(min(each, 2048) for each in shape[-2:])),
        )
        for position, plane in labels.planes():
            arrays["0"][position] = plane


def _label_image(labels: _Labels) -> v05.LabelImage:
    level = v05.Dataset(
        path="0",
        coordinateTransformations=[
            v05.ScaleTransformation(scale=list(labels.scale or (1.0,) * len(labels.axes)))
        ],
    )
    axes = [_zarr_axis(axis, known=labels.scale is not None) for axis in labels.axes]
    multiscale = v05.Multiscale(name="labels", axes=axes, datasets=[level])
    return v05.LabelImage.model_validate({"multiscales": [multiscale], "image-label": {}})


def _zarr_axis(axis: str, *, known: bool) -> Any:  # noqa: ANN401 - a model of yaozarrs
    if axis == "c":
        return v05.ChannelAxis(name=axis)
    if axis == "t":
        return v05.TimeAxis(name=axis, unit="second" if known else None)
    return v05.SpaceAxis(name=axis, unit="micrometer" if known else None)


def _is_label_image(path: Path) -> bool:
    try:
        document = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return "image-label" in document["attributes"]["ome"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_replaceable(path: Path, ours: bool, what: str) -> None:
    """Refuse to delete a folder that is not a result of this kind."""
    if path.exists() and not ours and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} is there and is not {what}: it is not replaced; choose another name")


class _Span(NamedTuple):
    """A row of ``res_track.txt``: a label that is on every frame from begin to end, and what it continues."""

    label: int
    begin: int
    end: int
    parent: int


def _write_ctc(path: Path, labels: _Labels) -> None:
    if len(labels.array.shape) not in (3, 4):
        raise ValueError(f"a Cell Tracking Challenge result is (t, y, x) or (t, z, y, x), got {labels.axes}")
    _check_replaceable(path, _is_ctc(path), "a Cell Tracking Challenge result")
    frames = labels.array.shape[0]
    spans = _spans(labels, frames)
    digits = max(3, len(str(frames - 1)))
    with replacing(path) as temporary:
        temporary.mkdir()
        for t in range(frames):
            frame = _renamed(_frame(labels, t), t, spans)
            with (temporary / f"mask{t:0{digits}d}.tif").open("wb") as file:
                tifffile.imwrite(file, frame, photometric="minisblack", compression="zlib")
        rows = sorted(span for pieces in spans.values() for span in pieces)
        text = "".join(f"{row.label} {row.begin} {row.end} {row.parent}\n" for row in rows)
        (temporary / "res_track.txt").write_text(text, encoding="ascii")


def _is_ctc(path: Path) -> bool:
    if not path.is_dir():
        return False
    ours = {"res_track.txt", *(each.name for each in path.glob("mask*.tif"))}
    return all(each.name in ours for each in path.iterdir())


def _frame(labels: _Labels, t: int) -> LabelArray:
    return _checked_plane(np.asarray(labels.array[t]), labels.dtype)


def _spans(labels: _Labels, frames: int) -> dict[int, list[_Span]]:
    """List the frames of each label; one that was away goes on under a new number, as its own child."""
    seen: dict[int, list[int]] = {}
    for t in range(frames):
        for label in np.unique(_frame(labels, t)).tolist():
            if label:
                seen.setdefault(label, []).append(t)
    spans: dict[int, list[_Span]] = {}
    free = max(seen, default=0) + 1
    for label, times in sorted(seen.items()):
        gaps = np.flatnonzero(np.diff(times) > 1) + 1
        pieces = [(int(each[0]), int(each[-1])) for each in np.split(np.asarray(times), gaps)]
        names = [label, *range(free, free + len(gaps))]
        free += len(gaps)
        parents = [0, *names[:-1]]
        spans[label] = [_Span(n, *piece, p) for n, piece, p in zip(names, pieces, parents, strict=True)]
    if free - 1 > np.iinfo(np.uint16).max:
        raise ValueError(f"a Cell Tracking Challenge result has labels up to 65535, {free - 1} are needed")
    return spans


def _renamed(frame: LabelArray, t: int, spans: Mapping[int, Sequence[_Span]]) -> npt.NDArray[np.uint16]:
    renamed = frame.astype(np.uint16)
    for label, pieces in spans.items():
        for piece in pieces[1:]:
            if piece.begin <= t <= piece.end:
                renamed[frame == label] = piece.label
    return renamed
