"""What the axes of an image layer are called: by its labels, its metadata, its file, or its units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from napari_sam2._napari.image.geometry import spatial_shape
from napari_sam2.io.reading import TIFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.layers import Image

BY_LABELS = "named by the image's axis labels"
BY_METADATA = "named by the image's metadata"
BY_FILE = "named by the image's file"
BY_UNIT = "told by its unit"

_Z_NAMES = {"z", "depth", "slice", "plane"}
_T_NAMES = {"t", "time", "frame", "frames"}
_CHANNEL_NAMES = {"c", "ch", "channel", "channels"}
# What tifffile calls axes of which a file does not say what they are, and what others write there.
_NO_NAMES = {"i", "q", "_", "?", "-", "none"}
# TIFF files that can tell; of others there is nothing to learn, and counting their pages may take long.
_DESCRIBED = ("ome", "imagej", "shaped", "lsm", "stk", "micromanager", "fluoview")


@dataclass(frozen=True)
class AxisName:
    """The name of an axis.

    Attributes
    ----------
    name : str
        "z", "t", "c", "y", "x", or whatever else it is called; empty if nothing tells.
    reason : str
        What tells, as the end of a sentence.
    """

    name: str = ""
    reason: str = ""


def axis_names(layer: Image) -> tuple[AxisName, ...]:
    """Find out what each data axis of an image is called; what was said of the layer itself comes first."""
    found = [AxisName()] * layer.ndim
    for reason, read in _SOURCES:
        if all(each.name for each in found):
            break
        _fill(found, read(layer), reason)
    return tuple(found)


def _fill(found: list[AxisName], names: Sequence[str], reason: str) -> None:
    """Give names to axes that have none; a name that is taken is none."""
    for axis, name in enumerate(names):
        if name and not found[axis].name and name not in {each.name for each in found}:
            found[axis] = AxisName(name, reason)


def _in_labels(layer: Image) -> tuple[str, ...]:
    """Return the axis labels, less those that napari gives by itself, such as "-3"."""
    labels = [str(label).strip() for label in layer.axis_labels]
    return tuple("" if _is_number(label) else _known(label) for label in labels)


def _is_number(label: str) -> bool:
    return label.startswith("-") or label.lower().startswith("axis ")


def _in_metadata(layer: Image) -> tuple[str, ...]:
    """Return the names in the layer's metadata: letters, words, or as OME-Zarr has them."""
    axes = layer.metadata.get("axes")
    if not isinstance(axes, str | list | tuple):
        return ()
    names = [each.get("name", "") if isinstance(each, dict) else each for each in axes]
    return _fitted(_stored(names), [None] * len(names), layer)


def _in_file(layer: Image) -> tuple[str, ...]:
    """Return the names in the TIFF file that the image was opened from, if it is still there."""
    path = layer.source.path
    if not isinstance(path, str) or Path(path).suffix.lower() not in TIFF:
        return ()
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        return ()
    axes, shape = _tiff_axes(path, changed)
    names = _stored(axes)
    # Of files that were opened as one stack, napari notes the first.
    return _fitted(names, shape, layer) or _fitted(["", *names], [None, *shape], layer)


@lru_cache(maxsize=64)
def _tiff_axes(path: str, _changed: int) -> tuple[str, tuple[int, ...]]:
    """Return letters and lengths of the first image of a TIFF file; the pixels are not read."""
    try:
        with tifffile.TiffFile(path) as tiff:
            if not any(getattr(tiff, f"is_{kind}") for kind in _DESCRIBED):
                return "", ()
            return tiff.series[0].axes, tuple(tiff.series[0].shape)
    except Exception:  # noqa: BLE001 - damaged bytes lead to errors of any kind, and the names can be done without
        return "", ()


def _in_units(layer: Image) -> tuple[str, ...]:
    return tuple("t" if _is_time(str(unit)) else "" for unit in layer.units)


def _is_time(unit: str) -> bool:
    return unit.endswith("second") or unit in {"minute", "hour", "day"}


_SOURCES: tuple[tuple[str, Callable[[Image], tuple[str, ...]]], ...] = (
    (BY_LABELS, _in_labels),
    (BY_METADATA, _in_metadata),
    (BY_FILE, _in_file),
    (BY_UNIT, _in_units),
)


def _known(label: str) -> str:
    """Return the letter that a name stands for, else the name."""
    lower = label.lower()
    for letter, names in (("z", _Z_NAMES), ("t", _T_NAMES), ("c", _CHANNEL_NAMES)):
        if lower in names:
            return letter
    return lower


def _stored(names: Iterable[Any]) -> list[str]:
    """Return names as they are stored with an image, where "s" are the samples of a pixel."""
    known = [_known(str(each).strip()) for each in names]
    return ["" if each in _NO_NAMES else "c" if each == "s" else each for each in known]


def _fitted(names: Sequence[str], lengths: Sequence[int | None], layer: Image) -> tuple[str, ...]:
    """Leave out colours, and channels that became layers of their own; empty if nothing fits the layer."""
    stored = list(zip(names, lengths, strict=True))
    without = [pair for pair in stored if pair[0] != "c"]
    for kept in (stored, stored[:-1] if layer.rgb else stored, without):
        if _fits([length for _, length in kept], spatial_shape(layer)):
            return tuple(name for name, _ in kept)
    return ()


def _fits(lengths: Sequence[int | None], shape: Sequence[int]) -> bool:
    return len(lengths) == len(shape) and all(a in {None, b} for a, b in zip(lengths, shape, strict=True))
