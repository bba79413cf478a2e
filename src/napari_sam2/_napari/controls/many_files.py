"""Names of files: after their image, and one for each position of another axis, as in ``cells_t0003.tif``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2 import io

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    """Return the mark of a position along another axis, as "_t0003" or "_axis0-0003".

    Parameters
    ----------
    axis : str
        Its name; blanks and what no file can be called are left out.
    position : int
        From 0 on.
    """
    name = re.sub(_FORBIDDEN, "", axis).replace(" ", "")
    return f"_{name}{'-' * name[-1:].isdigit()}{position:04d}"


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


def is_marked(path: str, mark: str) -> bool:
    """Whether a path has a mark of any position, such as this one."""
    stem, _ = _parts(path)
    return _unmarked(stem, mark) != stem


def _unmarked(stem: str, mark: str) -> str:
    return re.sub(re.escape(mark[:-4]) + r"\d{4}$", "", stem) if mark else stem


def saved_together(path: str, others: Iterable[str]) -> dict[str, Mapping[int, int]]:
    """Return a session and those of some others that were saved in one go with it, each with its positions.

    Parameters
    ----------
    path : str
        The one; it comes last.
    others : iterable of str
        Older ones do not tell; they are taken as saved together.

    Returns
    -------
    dict of str to mapping of int to int
        Positions along the axes that are neither frames, rows nor columns: names may say something else.

    Raises
    ------
    OSError, ValueError
        If one of the files cannot be read.
    """
    paths = [*(each for each in others if each != path), path]
    found = {each: io.read_description(each) for each in paths}
    wanted = found[path].remarks.get(TOGETHER)
    return {each: said.index for each, said in found.items() if said.remarks.get(TOGETHER) == wanted}


def siblings(path: str, mark: str) -> tuple[str, ...]:
    """Return the files that have the name of one that is there but for the position, in the order of names.

    Parameters
    ----------
    path : str
        One of them.
    mark : str
        Of any position.

    Returns
    -------
    tuple of str
        Empty if the name of the file has no mark.
    """
    stem, suffix = _parts(path)
    bare = Path(_unmarked(stem, mark))
    if not is_marked(path, mark):
        return ()
    pattern = re.compile(re.escape(bare.name + mark[:-4]) + r"\d{4}" + re.escape(suffix))
    return tuple(str(each) for each in sorted(bare.parent.iterdir()) if pattern.fullmatch(each.name))


def listed(paths: tuple[str, ...]) -> str:
    """Name one file, or the first and the last of many."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} ... {Path(paths[-1]).name}"
