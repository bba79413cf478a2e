"""OME-TIFF images that lie in several files, one of which, or a companion file, describes them all."""

from __future__ import annotations

import html
import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIFF = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk")
COMPANION = ".ome"
"""Suffix of a file that only describes: ``.companion.ome``."""

_PART = re.compile(r'FileName="([^"]+)"')
_ELSEWHERE = re.compile(r'<(?:\w+:)?BinaryOnly\s[^>]*?MetadataFile="([^"]+)"')


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file, or the image that a companion file or a part of an OME-TIFF belongs to.

    Raises
    ------
    FileNotFoundError
        If what describes it, or all that is described, is missing.
    ValueError
        If a companion file describes no image.
    """
    if path.suffix.lower() == COMPANION:
        return _open_described(path)
    tiff = tifffile.TiffFile(path)
    where = _described_in(path, tiff.ome_metadata or "")
    if where is None:
        return tiff
    tiff.close()
    if not where.is_file():
        raise FileNotFoundError(
            f"{path} is a part of an image that {where.name} describes, which is not beside it: put it "
            "there, or export the image as one OME-TIFF"
        )
    return _open_described(where) if where.suffix.lower() not in TIFF else tifffile.TiffFile(where)


def is_part(path: Path) -> bool:
    """Tell whether a TIFF file belongs to an image of several files."""
    with open_tiff(path) as tiff:
        return bool(tiff.is_ome) and any(each.is_multifile for each in tiff.series)


def _described_in(path: Path, xml: str) -> Path | None:
    found = _ELSEWHERE.search(xml)
    return path.with_name(html.unescape(found[1])) if found else None


def _open_described(companion: Path) -> tifffile.TiffFile:
    xml = _read(companion)
    parts = list(_parts(companion, xml))
    there = [each for each in parts if each.is_file()]
    if not parts:
        raise ValueError(f"{companion} describes no TIFF files: open the image itself")
    if not there:
        raise FileNotFoundError(
            f"{companion} describes {parts[0].name}, which is not beside it: put the files of the image there"
        )
    return tifffile.TiffFile(there[0], omexml=xml)


def _read(companion: Path) -> str:
    try:
        return companion.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{companion} is no description of an OME-TIFF: {error}") from error


def _parts(described: Path, xml: str) -> Iterator[Path]:
    for name in dict.fromkeys(_PART.findall(xml)):
        yield described.with_name(html.unescape(name))


def image_files(path: Path) -> tuple[Path, ...]:
    """List the files that an image lies in, this one first: an OME-TIFF may name others beside it."""
    if path.is_dir() or path.suffix.lower() not in (*TIFF, COMPANION):
        return (path,)
    named: set[Path] = set()
    # Whoever opens it tells what is wrong with it.
    with suppress(ValueError, OSError, struct.error, tifffile.TiffFileError):
        named = set(_all_files(path))
    return (path, *(each for each in sorted(named - {path}) if each.is_file()))


def _all_files(path: Path) -> Iterator[Path]:
    xml = _description(path)
    where = _described_in(path, xml)
    if where is None:
        yield from _parts(path, xml)
    elif where.is_file():
        yield from (where, *_parts(where, _description(where)))


def _description(path: Path) -> str:
    if path.suffix.lower() not in TIFF:
        return _read(path)
    with tifffile.TiffFile(path) as tiff:
        return tiff.ome_metadata or ""
