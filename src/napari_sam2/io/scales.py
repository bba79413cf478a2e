"""Sizes of pixels from the metadata of files, in micrometres and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tifffile

_UNITS = {
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("Å", "\u212b", "angstrom"), 1e-4),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("µm", "um", "micron", "micrometer", "\\u00B5m"), 1.0),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("dm", "decimeter"), 1e5),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("in", "inch"), 25_400.0),
    **dict.fromkeys(("ns", "nanosecond"), 1e-9),
    **dict.fromkeys(("µs", "us", "microsecond"), 1e-6),
    **dict.fromkeys(("ms", "millisecond"), 1e-3),
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86_400.0),
}
"""Micrometres or seconds."""


def _scale(axes: str, known: Mapping[str, float]) -> tuple[float, ...] | None:
    """Put sizes in the order of the axes; None if there is none.

    Of a pixel of which one side alone is known the other is as long: a square is meant.
    """
    sizes = {axis: size for axis, size in known.items() if axis in axes and size > 0}
    for axis, other in ("yx", "xy"):
        if axis in axes and other in sizes:
            sizes.setdefault(axis, sizes[other])
    return tuple(sizes.get(axis, 1.0) for axis in axes) if sizes else None


def _converted(size: object, unit: object) -> float:
    """Read a size; 0 if it is no number. An unknown unit is taken for micrometres or seconds."""
    try:
        return float(str(size)) * _UNITS.get(str(unit), 1.0)
    except ValueError:
        return 0.0


def ome_tiff_scale(xml: str | None, series: int, axes: str) -> tuple[float, ...] | None:
    """Read the sizes of an OME-TIFF series; None if the XML has none."""
    if xml is None:
        return None
    images = tifffile.xml2dict(xml).get("OME", {}).get("Image", [])
    images = images if isinstance(images, list) else [images]
    pixels = images[series].get("Pixels", {}) if series < len(images) else {}
    known = {
        axis: _converted(
            pixels.get(f"PhysicalSize{axis.upper()}"), pixels.get(f"PhysicalSize{axis.upper()}Unit")
        )
        for axis in "zyx"
    }
    known["t"] = _converted(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    return _scale(axes, known)


def tiff_scale(tiff: tifffile.TiffFile, axes: str) -> tuple[float, ...] | None:
    """Read the sizes of a TIFF file that ImageJ wrote; None of any other, whose resolution is a printer's."""
    metadata = tiff.imagej_metadata
    if metadata is None:
        return None
    unit = metadata.get("unit", "µm")
    known = {"z": _converted(metadata.get("spacing"), unit), "t": _converted(metadata.get("finterval"), "s")}
    tags = tiff.pages.first.tags
    for axis, name in (("y", "YResolution"), ("x", "XResolution")):
        count, length = tags[name].value if name in tags else (0, 0)
        known[axis] = _converted(length / count if count else None, unit)
    return _scale(axes, known)


def ome_zarr_scale(
    image: Mapping[str, Any], dataset: Mapping[str, Any], ndim: int
) -> tuple[float, ...] | None:
    """Multiply the scales of a level and of the whole image; None if there is none."""
    units = [each.get("unit") if isinstance(each, dict) else None for each in image.get("axes", ())]
    factors = [*_zarr_scales(dataset), *_zarr_scales(image)]
    if not factors or any(len(each) != ndim for each in [units, *factors]):
        return None
    sizes = [_UNITS.get(str(unit), 1.0) for unit in units]
    for factor in factors:
        sizes = [size * float(each) for size, each in zip(sizes, factor, strict=True)]
    return tuple(sizes)


def _zarr_scales(holder: Mapping[str, Any]) -> list[Sequence[float]]:
    steps = holder.get("coordinateTransformations", ())
    return [each["scale"] for each in steps if each.get("type") == "scale" and "scale" in each]


def coarser(
    scale: tuple[float, ...] | None, finest: Sequence[int], shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return the sizes at a level of `shape` from those at the finest one; a file tells these alone."""
    if scale is None:
        return None
    return tuple(size * _step(fine, coarse) for size, fine, coarse in zip(scale, finest, shape, strict=True))


def _step(fine: int, coarse: int) -> float:
    """Positions of the finest level to one: a whole number where that gives the length, which is rounded."""
    whole = round(fine / coarse)
    return whole if coarse in {fine // whole, -(-fine // whole)} else fine / coarse
