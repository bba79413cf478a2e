"""Open images without reading them: TIFF, Zarr, OME-Zarr, .npy, .npz, folders of TIFF files."""

from __future__ import annotations

import logging
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import numpy as np
import tifffile
import zarr

from napari_sam2.io import ome_files
from napari_sam2.io.colours_last import ColoursLast
from napari_sam2.io.scales import coarser, ome_tiff_scale, ome_zarr_scale, tiff_scale
from napari_sam2.io.stacks import FileStack
from napari_sam2.io.stored_array import StoredArray
from napari_sam2.io.zarr_folder import ZarrFolder, is_zarr

TIFF = ome_files.TIFF
_MISSING = "failed to read "
_DAMAGE = ("invalid page offset", "corrupted", "failed to reshape", _MISSING)
"""What tifffile logs, and goes on, when a file ends too early."""


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image whose values are read when they are asked for.

    Parameters
    ----------
    array : array
        Has `shape` and `dtype`, and takes integers and slices in brackets: a zarr array (also for TIFF) or
        numpy.
    axes : str or None
        A letter for each axis if the file tells: t, z, c, y, x, and s for the colours of a pixel; others as
        the file has them.
    scale : tuple of float, or None
        Micrometres (t: seconds) from one position to the next along each axis, 1.0 where the file is silent;
        None if it tells nothing at all.
    series, level : int
        Which image of the file it is, at which resolution.
    """

    array: Any
    axes: str | None = None
    scale: tuple[float, ...] | None = None
    series: int = 0
    level: int = 0


@dataclass(frozen=True)
class LabelGeometry:
    """What is known of the axes of labels (frames, H, W).

    Parameters
    ----------
    axes : str
        Their letters, ``"tyx"`` or ``"zyx"``.
    scale : tuple of 3 floats, or None
        Micrometres (t: seconds) from one position to the next along each axis; None if nothing is known.
    series, level : int
        The image of the file that they are labels of, and its resolution.
    """

    axes: str = "zyx"
    scale: tuple[float, ...] | None = None
    series: int = 0
    level: int = 0


def label_geometry(opened: OpenedImage, axis: int) -> LabelGeometry:
    """Tell the geometry of labels of an image whose frames lie along `axis`."""
    axes = opened.axes or ""
    frames = axes[axis] if len(axes) > 2 and -len(axes) <= axis < len(axes) else ""
    frames = "" if frames in {"y", "x"} else frames  # of a single image
    known = dict(zip(axes, opened.scale or (), strict=False))
    scale = tuple(known.get(letter, 1.0) for letter in (frames, "y", "x")) if known else None
    letters = (frames if frames in {"t", "z"} else "z") + "yx"
    return LabelGeometry(letters, scale, opened.series, opened.level)


def open_image(path: str | Path, *, series: int = 0, level: int = 0) -> OpenedImage:
    """Open an image file or folder.

    Parameters
    ----------
    path : str or Path
        TIFF (ImageJ, OME and LSM included), the ``.companion.ome`` file of an OME-TIFF, a folder of TIFF
        files of one shape, Zarr array, OME-Zarr image (0.4 and 0.5), an array within a Zarr folder,
        ``.npy``, or ``.npz`` with an array `images`.
    series : int
        Which image of a file that has several.
    level : int
        Resolution level, 0 is the finest.

    Returns
    -------
    OpenedImage
        All but ``.npz`` are read lazily.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is of another kind, damaged or cut short, or has no such series or level.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    opener = _open_folder if path.is_dir() else _OPENERS.get(path.suffix.lower())
    if opener is None:
        kinds = ", ".join(sorted(_OPENERS))
        raise ValueError(f"{path.name}: cannot read files of this kind; an image is one of {kinds}, or .zarr")
    return replace(opener(path, series, level), series=series, level=level)


def _open_folder(path: Path, series: int, level: int) -> OpenedImage:
    if is_zarr(path):
        return _open_zarr(path, series, level)
    named = [str(each) for each in path.iterdir() if each.suffix.lower() in (".tif", ".tiff")]
    files = [Path(each) for each in tifffile.natural_sorted(named)]
    if not files:
        raise ValueError(f"{path} is neither a Zarr folder nor a folder of TIFF files")
    return _open_tiff_folder(files, series, level)


def _open_tiff_folder(files: Sequence[Path], series: int, level: int) -> OpenedImage:
    """Stack files in the order of their names, unless their own metadata puts them together."""
    with _told_as_damage(files[0]):
        is_one = ome_files.is_part(files[0])
    if is_one:
        return _open_tiff(files[0], series, level)
    first = _open_tiff(files[0], series, level)
    if len(files) == 1:
        return first
    stack = FileStack(files, lambda file: _open_tiff(file, series, level).array)
    letter = next((each for each in "tz" if each not in (first.axes or "")), None)
    axes = f"{letter}{first.axes}" if letter and first.axes else None
    return OpenedImage(stack, axes, first.scale and (1.0, *first.scale))


def _open_tiff(path: Path, series: int, level: int) -> OpenedImage:
    with _told_as_damage(path):
        tiff = ome_files.open_tiff(path)
        try:
            return _open_series(tiff, path, series, level)
        except BaseException:
            tiff.close()
            raise


def _open_series(tiff: tifffile.TiffFile, path: Path, series: int, level: int) -> OpenedImage:
    stack = _pick(tiff.series, series, f"{path.name}: series")
    image = _pick(stack.levels, level, f"{path.name}: level")
    if _end(image) > tiff.filehandle.size:
        raise tifffile.TiffFileError("its last page lies beyond its end")
    # A page a chunk: a frame is read whole, and strips of a few rows would be as many reads.
    store = stack.aszarr(level=level, chunkmode="page")
    weakref.finalize(store, tiff.close)
    axes = image.axes.lower()
    scale = ome_tiff_scale(tiff.ome_metadata, series, axes) if tiff.is_ome else tiff_scale(tiff, axes)
    scale = coarser(scale, stack.levels[0].shape, image.shape)
    opened = OpenedImage(StoredArray.of(zarr.open_array(store, mode="r"), path), axes, scale)
    return _with_colours_last(opened)


def _with_colours_last(opened: OpenedImage) -> OpenedImage:
    """Put colours that are stored as planes behind the pixels, where all others have them."""
    axes, scale = opened.axes or "", opened.scale
    at = axes.find("s")
    if at in {-1, len(axes) - 1}:
        return opened
    moved = None if scale is None else (*scale[:at], *scale[at + 1 :], scale[at])
    array = ColoursLast(opened.array, at)
    return replace(opened, array=array, axes=f"{axes[:at]}{axes[at + 1 :]}s", scale=moved)


def _end(image: tifffile.TiffPageSeries) -> int:
    """Position in the file behind the last value."""
    if image.dataoffset is not None:
        return image.dataoffset + image.nbytes
    page = image.pages[-1]
    if page is None or image.is_multifile:
        return 0
    return max((a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)


@contextmanager
def _told_as_damage(path: Path) -> Iterator[None]:
    """Turn what tifffile says of a broken file, aloud or in its log, into one ValueError."""
    heard: list[str] = []
    handler = _Listener(heard)
    logger = logging.getLogger("tifffile")
    logger.addHandler(handler)
    try:
        yield
    except (tifffile.TiffFileError, struct.error, ParseError) as error:
        raise ValueError(f"{path} is not a TIFF file, or it is damaged or cut short: {error}") from error
    finally:
        logger.removeHandler(handler)
    missing = next((each for each in heard if _MISSING in each), "")
    if missing:
        raise ValueError(
            f"{path}: the image lies in several files, of which {_quoted(missing)} cannot be read: put "
            "all of them beside it"
        )
    if heard:
        raise ValueError(f"{path} is damaged or cut short: {heard[0]}")


def _quoted(message: str) -> str:
    """Return the name of a file that a message of tifffile has."""
    return message.partition(_MISSING)[2].split("'")[1]


class _Listener(logging.Handler):
    """Keeps this thread's messages that tell of damage."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard, self._thread = heard, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.thread == self._thread and any(word in message for word in _DAMAGE):
            self._heard.append(message)


def _open_zarr(path: Path, series: int, level: int) -> OpenedImage:
    try:
        node = zarr.open(ZarrFolder(path, read_only=True), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a Zarr folder that can be read: {error}") from error
    if isinstance(node, zarr.Array):
        return OpenedImage(StoredArray.of(node, path), _dimension_names(node))
    attributes = _ome_attributes(node)
    if "multiscales" in attributes:
        return _open_multiscale(node, attributes["multiscales"], path, series, level)
    if "bioformats2raw.layout" in attributes:
        return _open_zarr(path / str(series), 0, level)
    arrays = sorted(name for name, _ in node.arrays())
    if len(arrays) == 1:
        return _open_zarr(path / arrays[0], 0, 0)
    groups = sorted(name for name, _ in node.groups())
    inside = ", ".join(arrays + groups) or "nothing"
    raise ValueError(
        f"{path} is a Zarr group without an image; it has {inside}: give the path of one of them"
    )


def _open_multiscale(
    group: zarr.Group, multiscales: Sequence[Mapping[str, Any]], path: Path, series: int, level: int
) -> OpenedImage:
    image = _pick(multiscales, series, f"{path.name}: series")
    dataset = _pick(image["datasets"], level, f"{path.name}: level")
    array = group.get(dataset["path"])
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{path}: the array {dataset['path']!r} of its metadata is missing")  # noqa: TRY004
    # Version 0.3 had bare letters for axes.
    axes = [each if isinstance(each, str) else each["name"] for each in image.get("axes", ())]
    letters = "".join(axes) if len(axes) == array.ndim and all(len(each) == 1 for each in axes) else None
    return OpenedImage(StoredArray.of(array, path), letters, ome_zarr_scale(image, dataset, array.ndim))


def _ome_attributes(group: zarr.Group) -> Mapping[str, Any]:
    """Look up OME metadata where 0.5 has them (under `ome`) or 0.4 and before (at the top)."""
    attributes = group.attrs.asdict()
    inner = attributes.get("ome", attributes)
    return inner if isinstance(inner, dict) else {}


def _dimension_names(array: zarr.Array[Any]) -> str | None:
    names = getattr(array.metadata, "dimension_names", None)
    if names and all(isinstance(each, str) and len(each) == 1 for each in names):
        return "".join(names).lower()
    return None


def _open_npy(path: Path, series: int, level: int) -> OpenedImage:
    _only_one(path, series, level)
    try:
        return OpenedImage(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not a .npy file of numbers, or it is cut short: {error}") from error


def _open_npz(path: Path, series: int, level: int) -> OpenedImage:
    _only_one(path, series, level)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return OpenedImage(stored[_chosen_name(stored.files)])
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _chosen_name(names: Sequence[str]) -> str:
    if "images" in names or len(names) == 1:
        return "images" if "images" in names else names[0]
    raise ValueError(f"it has no array `images`; it has {', '.join(names) or 'nothing'}")


def _only_one(path: Path, series: int, level: int) -> None:
    if series or level:
        raise ValueError(
            f"{path.name}: there is one series and one level, got series={series}, level={level}"
        )


def _pick(items: Sequence[Any], i: int, what: str) -> Any:  # noqa: ANN401 - an item
    if not 0 <= i < len(items):
        raise ValueError(f"{what} {i} is not there; there are {len(items)}")
    return items[i]


_OPENERS: Mapping[str, Callable[[Path, int, int], OpenedImage]] = {
    **dict.fromkeys((*TIFF, ome_files.COMPANION), _open_tiff),
    ".npy": _open_npy,
    ".npz": _open_npz,
}
