"""Names of files: after their image, and one for each position of another axis, as in ``cells_t0003.tif``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2 import io

if TYPE_CHECKING:
    from collections.abc import Mapping

TOGETHER = "together"
"""The remark that is the same in all sessions that are saved in one go."""
# Suffixes with a dot or without in them, which the name of the position has to stand before.
_SUFFIXES = (".sam2.json", ".ome.zarr", "_RES")
# What no file can be called.
_FORBIDDEN = r'[<>:"/\\|?*\x00-\x1f]'


def proposed_stem(name: str, path: str | None) -> str:
    """Return what files of an image are proposed to be called after.

    Parameters
    ----------
    name : str
        Of the image layer; what no file can be called is left out.
    path : str or None
        Where the image was opened; files are proposed to lie beside it.
    """
    bare = " ".join(re.sub(_FORBIDDEN, " ", name).split()).strip(" .") or "image"
    folder = Path(path).parent if path else None
    return str(folder / bare) if folder is not None and folder.is_dir() else bare


def mark_of(axis: str, position: int) -> str:
    """Return the mark of a position along another axis, as "_t0003".

    Parameters
    ----------
    axis : str
        Its name; blanks and what no file can be called are left out.
    position : int
        From 0 on.
    """
    return f"_{re.sub(_FORBIDDEN, '', axis).replace(' ', '')}{position:04d}"


def _parts(path: str) -> tuple[str, str]:
    """Part a path into what a mark stands behind, and what it stands before."""
    suffix = next((each for each in _SUFFIXES if path.endswith(each)), Path(path).suffix)
    return path.removesuffix(suffix), suffix


def marked(path: str, mark: str) -> str:
    """Return the path with a mark such as "_t0003" before its suffix, in place of one that is there.

    Parameters
    ----------
    path : str
        As the user chose it.
    mark : str
        An underscore, the name of the axis, and the position in four digits; empty for no mark.
    """
    stem, suffix = _parts(path)
    return f"{_unmarked(stem, mark)}{mark}{suffix}"


def _unmarked(stem: str, mark: str) -> str:
    return re.sub(re.escape(mark[:-4]) + r"\d{4}$", "", stem) if mark else stem


def saved_together(path: str, others: Mapping[int, str]) -> dict[int, str]:
    """Return those of some sessions that were saved in one go with another one, by position.

    Parameters
    ----------
    path : str
        The other one.
    others : mapping of int to str
        Sessions by position. Older ones do not tell; they are taken as saved together.

    Raises
    ------
    OSError, ValueError
        If one of the files cannot be read.
    """
    wanted = io.read_remarks(path).get(TOGETHER)
    return {at: each for at, each in others.items() if io.read_remarks(each).get(TOGETHER) == wanted}


def siblings(path: str, mark: str) -> dict[int, str]:
    """Return the files that have the name of one that is there but for the position, by position.

    Parameters
    ----------
    path : str
        One of them.
    mark : str
        Of any position.

    Returns
    -------
    dict of int to str
        Empty if the name of the file has no mark.
    """
    stem, suffix = _parts(path)
    bare = Path(_unmarked(stem, mark))
    if str(bare) == str(Path(stem)):
        return {}
    pattern = re.compile(re.escape(bare.name + mark[:-4]) + r"(\d{4})" + re.escape(suffix))
    found = ((pattern.fullmatch(each.name), each) for each in bare.parent.iterdir())
    return {int(match[1]): str(each) for match, each in sorted(found, key=lambda pair: pair[1]) if match}
