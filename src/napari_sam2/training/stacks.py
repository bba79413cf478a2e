"""A user's own labelled stacks, read from a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import tifffile
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_PERCENTILES = (0.5, 99.8)
_SAMPLE = 1_000_000
_LEAST_AREA = 16
_TIFF = (".tif", ".tiff")
_TRUTH = ("_labels", "_masks")


@dataclass(frozen=True)
class Places:
    """Where the objects of a stack are, one row for each object and frame that it is on.

    Parameters
    ----------
    obj, frame
        (N,) id and frame.
    box
        (N, 4) y0, x0, y1, x1.
    """

    obj: NDArray[np.int64]
    frame: NDArray[np.int64]
    box: NDArray[np.int64]


@dataclass(frozen=True)
class Stack:
    """Images with their truth.

    Parameters
    ----------
    name
        For messages.
    images
        (T, H, W, C) of any number type, C = 1 or 3.
    labels
        (T, H, W) whole numbers, 0 for the background.
    contrast
        Values shown as black and white, (0, 255) for uint8.
    places
        Where the objects are.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[np.integer]
    contrast: tuple[float, float]
    places: Places


def read_stacks(folder: Path) -> tuple[Stack, ...]:
    """Read all labelled stacks of a folder.

    Parameters
    ----------
    folder
        Holds `NAME.npz` with the arrays `images` and `labels`; or `NAME.tif` beside `NAME_labels.tif` (or
        `NAME_masks.tif`); or folders `images` and `labels` with TIFF files of the same names. Images are
        (frames, H, W), or (frames, H, W, 3 or 4) for colour, or a single frame; labels have the same frames.

    Raises
    ------
    ValueError
        If there is none, or images and labels do not fit each other, or there is no object in them.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one with labelled stacks")
    stacks = [*_stored(folder), *_beside(folder), *_apart(folder)]
    if not stacks:
        raise ValueError(
            f"{folder} has no labelled stacks: put NAME.npz with images and labels there, NAME.tif beside "
            "NAME_labels.tif, or folders images and labels with TIFF files of the same names"
        )
    return tuple(stacks)


def make_stack(name: str, images: NDArray[Any], labels: NDArray[Any]) -> Stack:
    """Check that images and labels fit each other.

    Parameters
    ----------
    name
        For messages.
    images
        (T, H, W), (T, H, W, 3 or 4), or without T for a single frame.
    labels
        (T, H, W), or (H, W) for a single frame.

    Raises
    ------
    ValueError
        If they do not, or if no object has an area of 16 pixels.
    """
    if labels.dtype.kind not in "ui":
        raise ValueError(f"{name}: labels must be whole numbers, got {labels.dtype}")
    if labels.size and int(labels.min()) < 0:
        raise ValueError(f"{name}: labels must not be negative, got {int(labels.min())}")
    if images.dtype.kind not in "uif":
        raise ValueError(f"{name}: images must be numbers, got {images.dtype}")
    colour = images.ndim == labels.ndim + 1 and images.shape[-1] in (3, 4)
    if (
        labels.ndim not in (2, 3)
        or images.shape[: labels.ndim] != labels.shape
        or (images.ndim != labels.ndim and not colour)
    ):
        raise ValueError(
            f"{name}: images of shape {images.shape} and labels of shape {labels.shape} do not fit; "
            "both must be (frames, height, width), images may have 3 or 4 colours last"
        )
    if labels.ndim == 2:
        images, labels = images[np.newaxis], labels[np.newaxis]
    pictures = images[..., :3] if colour else images[..., np.newaxis]
    places = find_places(labels)
    if not len(places.obj):
        raise ValueError(f"{name}: no object has {_LEAST_AREA} pixels on a frame")
    return Stack(name, pictures, labels, find_contrast(pictures), places)


def find_places(labels: NDArray[np.integer]) -> Places:
    """Find the boxes of all objects on all frames; pieces of fewer than 16 pixels are left out."""
    rows = [row for frame, image in enumerate(labels) for row in _boxes(frame, image)]
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    return Places(table[:, 0], table[:, 1], table[:, 2:])


def find_contrast(images: NDArray[Any]) -> tuple[float, float]:
    """Return the values shown as black and white: as they are for uint8, else percentiles 0.5 and 99.8."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    values = images.reshape(-1)[:: max(1, images.size // _SAMPLE)].astype(np.float64)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, _PERCENTILES) if values.size else (0.0, 0.0)
    return float(low), float(max(high, low + 1e-6))


def _boxes(frame: int, image: NDArray[np.integer]) -> Iterator[tuple[int, ...]]:
    ids, dense = np.unique(image, return_inverse=True)
    dense = dense.reshape(image.shape)
    areas = np.bincount(dense.ravel())
    for index, found in enumerate(ndimage.find_objects(dense + 1)):
        if ids[index] > 0 and areas[index] >= _LEAST_AREA and found is not None:
            y, x = found
            yield int(ids[index]), frame, y.start, x.start, y.stop, x.stop


def _stored(folder: Path) -> Iterator[Stack]:
    for path in sorted(folder.glob("*.npz")):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                missing = {"images", "labels"} - set(stored.files)
                if missing:
                    raise ValueError(f"{path} has no array {' and no array '.join(sorted(missing))}")
                arrays = stored["images"], stored["labels"]
        except (EOFError, BadZipFile) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        yield make_stack(path.name, *arrays)


def _tiffs(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in _TIFF}


def _beside(folder: Path) -> Iterator[Stack]:
    files = _tiffs(folder)
    for name, path in files.items():
        truths = [files[name + ending] for ending in _TRUTH if name + ending in files]
        if truths:
            yield make_stack(path.name, tifffile.imread(path), tifffile.imread(truths[0]))


def _apart(folder: Path) -> Iterator[Stack]:
    truths = _tiffs(folder / "labels")
    for name, path in _tiffs(folder / "images").items():
        if name not in truths:
            raise ValueError(f"{path} has no labels: {folder / 'labels' / path.name} is missing")
        yield make_stack(path.name, tifffile.imread(path), tifffile.imread(truths[name]))
