"""Labels as files that other programs read: OME-TIFF, OME-Zarr, Cell Tracking Challenge."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from yaozarrs import v05
from yaozarrs.write.v05 import prepare_image

from napari_sam2.io.atomic import replacing
from napari_sam2.io.ctc import check_ctc, write_ctc
from napari_sam2.io.planes import LabelPlanes, check_replaceable, describe

SMALL_PLANE = 1024
"""Pixels along an axis beyond which an OME-Zarr image has a smaller copy."""

TILE = 1024
"""Pixels along either axis of the chunks of an OME-Zarr image."""

CLASSIC_TIFF = 2**32 - 2**25
"""Bytes of pixels that a classic TIFF file is trusted with, its own bookkeeping beside them."""


def export_labels(
    path: str | Path,
    labels: Any,  # noqa: ANN401 - numpy, dask or zarr
    *,
    scale: Sequence[float] | None = None,
    axes: str | None = None,
    ctc: bool = False,
    parents: Mapping[int, int] | None = None,
) -> None:
    """Write labels, one plane at a time, whole or not at all.

    Parameters
    ----------
    path : str or Path
        ``.tif`` / ``.tiff``: OME-TIFF, compressed, BigTIFF where it has to be. ``.zarr``: OME-Zarr 0.5 label
        image, with smaller copies of large planes. A folder whose name ends with ``_RES``: a Cell Tracking
        Challenge result, ``mask000.tif`` ... and ``res_track.txt``. A file that is there is replaced, and so
        are labels in a folder, but nothing else is.
    labels : array (..., H, W)
        Integers from 0, numpy, dask or zarr. Signed ones are written as unsigned, 64 bits as 32.
    scale : sequence of float, optional
        Micrometres (t: seconds) between positions along each axis.
    axes : str, optional
        A letter of ``tzcyx`` for each axis; by default the last ones of ``tzyx``.
    ctc : bool
        Write a Cell Tracking Challenge result whatever the name.
    parents : mapping of int to int, optional
        The label that each daughter comes from; a Cell Tracking Challenge result tells it.

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
    for _ in export_steps(path, labels, scale=scale, axes=axes, ctc=ctc, parents=parents):
        pass


def export_steps(
    path: str | Path,
    labels: Any,  # noqa: ANN401 - numpy, dask or zarr
    *,
    scale: Sequence[float] | None = None,
    axes: str | None = None,
    ctc: bool = False,
    parents: Mapping[int, int] | None = None,
) -> Iterator[None]:
    """Do what `export_labels` does in steps.

    Yields
    ------
    None
        After each plane, tile of an OME-Zarr image or time of a Cell Tracking Challenge result; where no more
        steps are taken, nothing is left.
    """
    path = Path(path)
    if ctc or path.name.endswith("_RES"):
        yield from write_ctc(path, describe(labels, scale, axes), parents or {})
        return
    write = _writer(path)
    yield from write(path, describe(labels, scale, axes))


def _writer(path: Path) -> Callable[[Path, LabelPlanes], Iterator[None]]:
    known: Mapping[str, Callable[[Path, LabelPlanes], Iterator[None]]] = {
        ".tif": _write_tiff,
        ".tiff": _write_tiff,
        ".zarr": _write_zarr,
    }
    write = known.get(path.suffix.lower())
    if write is None:
        known_names = ".tif, .tiff, .zarr, or a folder called ..._RES"
        raise ValueError(f"labels are written to {known_names}, not to {path.name}")
    return write


def check_target(path: Path) -> None:
    """Refuse early what `export_labels` would refuse in the end: something else has the name.

    Raises
    ------
    FileExistsError
        If that is so.
    """
    if path.name.endswith("_RES"):
        check_ctc(path)
    elif path.suffix.lower() == ".zarr":
        check_label_image(path)
    else:
        _check_tiff(path)


def _check_tiff(path: Path) -> None:
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder, not a TIFF file: choose another name")


def _write_tiff(path: Path, labels: LabelPlanes) -> Iterator[None]:
    _check_tiff(path)
    big = labels.nbytes > CLASSIC_TIFF
    with (
        replacing(path) as temporary,
        temporary.open("wb") as file,
        tifffile.TiffWriter(file, bigtiff=big, ome=False) as tiff,
    ):
        # All pages in one call could not be parted: the first one brings what makes them one image.
        description: bytes | None = _ome_description(labels)
        for _, plane in labels.planes():
            tiff.write(
                plane,
                photometric="minisblack",
                compression="zlib",
                description=description,
                metadata=None,
            )
            description = None
            yield


def _ome_description(labels: LabelPlanes) -> bytes:
    shape = tuple(labels.array.shape)
    stored = (int(np.prod(shape[:-2])), 1, 1, shape[-2], shape[-1], 1)
    document = tifffile.OmeXml()
    document.addimage(labels.dtype, shape, stored, **_ome_metadata(labels))
    return document.tostring(declaration=True).encode()


def _ome_metadata(labels: LabelPlanes) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": labels.axes.upper(), "Name": "labels"}
    for axis, size in zip(labels.axes, labels.scale or (), strict=False):
        if axis == "t":
            metadata |= {"TimeIncrement": size, "TimeIncrementUnit": "s"}
        elif axis != "c":
            metadata |= {f"PhysicalSize{axis.upper()}": size, f"PhysicalSize{axis.upper()}Unit": "µm"}
    return metadata


def _write_zarr(path: Path, labels: LabelPlanes) -> Iterator[None]:
    check_label_image(path)
    shape = tuple(labels.array.shape)
    steps = pyramid_steps(shape[-2:])
    # Every second pixel of the level before: labels have no mean, and centres stay where they are.
    shapes = [(*shape[:-2], *(-(-size // step) for size in shape[-2:])) for step in steps]
    with replacing(path) as temporary:
        _, arrays = prepare_image(
            temporary,
            label_image(labels.axes, labels.scale, len(steps)),
            [(each, labels.dtype) for each in shapes],
            writer="zarr",
            chunks=(*(1 for _ in shape[:-2]), *(min(each, TILE) for each in shape[-2:])),
        )
        for position, plane in labels.planes():
            for level, step in enumerate(steps):
                coarse = plane[::step, ::step]
                for tile in _tiles(coarse.shape):
                    place: tuple[Any, ...] = (*position, *tile)
                    arrays[str(level)][place] = coarse[tile]
                    yield


def _tiles(size: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Cut a plane into the chunks that it is stored in."""
    for y, x in itertools.product(*(range(0, each, TILE) for each in size)):
        yield slice(y, y + TILE), slice(x, x + TILE)


def pyramid_steps(size: Sequence[int]) -> list[int]:
    """List the steps in pixels of the levels: halved until a plane is small enough to be shown at once."""
    steps = [1]
    while max(size) > steps[-1] * SMALL_PLANE:
        steps.append(2 * steps[-1])
    return steps


def label_image(axes: str, scale: Sequence[float] | None, levels: int = 1) -> v05.LabelImage:
    """Make the metadata of an OME-Zarr label image; levels ``0``, ``1`` ... are each half the one before."""
    *others, height, width = scale or (1.0,) * len(axes)
    sizes = [[*others, height * 2**level, width * 2**level] for level in range(levels)]
    datasets = [
        v05.Dataset(path=str(level), coordinateTransformations=[v05.ScaleTransformation(scale=size)])
        for level, size in enumerate(sizes)
    ]
    described = [_zarr_axis(axis, known=scale is not None) for axis in axes]
    multiscale = v05.Multiscale(name="labels", axes=described, datasets=datasets)
    return v05.LabelImage.model_validate({"multiscales": [multiscale], "image-label": {}})


def _zarr_axis(axis: str, *, known: bool) -> Any:  # noqa: ANN401 - a model of yaozarrs
    if axis == "c":
        return v05.ChannelAxis(name=axis)
    if axis == "t":
        return v05.TimeAxis(name=axis, unit="second" if known else None)
    return v05.SpaceAxis(name=axis, unit="micrometer" if known else None)


def check_label_image(path: Path) -> None:
    """Raise FileExistsError where there is something else than labels, which are not to be lost for them."""
    check_replaceable(path, _is_label_image(path), "an OME-Zarr label image")


def _is_label_image(path: Path) -> bool:
    try:
        document = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return "image-label" in document["attributes"]["ome"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
