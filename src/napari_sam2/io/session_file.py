"""A session on disk: a JSON document beside a Zarr folder of arrays.

``cells.sam2.json`` holds what people may want to read, ``cells.sam2.zarr`` what is large. Both carry the same
mark, so that files of different sessions, or of a saving that was cut off half-way, are not taken for one.

A document that somebody copied without its arrays is read from those of the original. When these are replaced
they are left to the copy, under its name.
"""

from __future__ import annotations

import itertools
import json
import math
import uuid
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_sam2.io.atomic import remove, replacing_all
from napari_sam2.io.planes import check_replaceable
from napari_sam2.steps import result_of

FORMAT = "napari-sam2 session"
VERSION = 3
_OLDER: Mapping[int, Mapping[str, Any]] = {1: {"objects": [], "view": {"view": "frame"}}, 2: {}}
"""What a document of an older version lacks, and what stands for it."""

_MARK = "saving"
_AT_ONCE = 2**20
"""Values of a row of numbers that are written or read together."""


@dataclass(frozen=True, eq=False)
class SessionDocument:
    """What `read_session` found.

    Parameters
    ----------
    document : dict
        The JSON document as it was given to `write_session`.
    arrays : dict of str to array
        The arrays by name.
    """

    document: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def write_session(path: str | Path, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a session, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    path : str or Path
        Name of the JSON file, ``.json`` at its end; the arrays go to the same name with ``.zarr``.
    document : mapping
        Fit for JSON; without the keys `format`, `version`, `arrays` and `saving`, which are written here.
    arrays : mapping of str to array
        Numpy or zarr; names may have parts, ``"painted/3"``. Written one position of the first axis at a
        time.

    Raises
    ------
    ValueError
        If `path` does not end with ``.json``, a key is taken, or a number is not finite.
    TypeError
        If the document holds what JSON cannot.
    FileExistsError
        If there is a folder of that name, or one for the arrays that holds something else.
    OSError
        If it cannot be written; what was there before is still there.
    """
    for _ in session_steps(path, document, arrays):
        pass


def session_steps(path: str | Path, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Iterator[None]:
    """Do what `write_session` does in steps; the arrays may not change until the last one.

    Yields
    ------
    None
        After each array, of large ones and those of more than two axes after each part.
    """
    path = Path(path)
    folder = check_place(path)
    taken = {"format", "version", "arrays", _MARK} & document.keys()
    if taken:
        raise ValueError(f"keys of the session file itself cannot be set: {sorted(taken)}")
    mark = uuid.uuid4().hex
    head = {"format": FORMAT, "version": VERSION, "arrays": folder.name, _MARK: mark}
    text = json.dumps({**head, **document}, indent=2, ensure_ascii=False, allow_nan=False)
    left: Path | None = None
    try:
        with replacing_all(folder, path) as (store, file):
            yield from _write_arrays(store, arrays, mark)
            file.write_text(text + "\n", encoding="utf-8")
            left = _leave_to_a_copy(path, folder)
    except BaseException:
        if left is not None:
            left.rename(folder)
        raise


def check_place(path: Path) -> Path:
    """Refuse a name that a session cannot be written under; return the folder of its arrays.

    Raises
    ------
    ValueError
        If it does not end with ``.json``.
    FileExistsError
        If something else has the name.
    """
    folder = _folder(path)
    check_replaceable(path, path.is_file(), "a session file")
    check_replaceable(folder, _is_store(folder), "the arrays of a session")
    return folder


def remove_session(path: str | Path) -> None:
    """Delete a session in whose place others were written, with its arrays; what is no session stays.

    Arrays under another name stay as well: they are those of a session of which this one is a copy.
    """
    path = Path(path)
    try:
        document = _checked_document(path)
    except (OSError, ValueError):
        return
    folder = path.with_suffix(".zarr")
    if _mark_of(folder) == document[_MARK] and _leave_to_a_copy(path, folder) is None:
        remove(folder)
    remove(path)


def _leave_to_a_copy(path: Path, folder: Path) -> Path | None:
    """Rename arrays that are about to go to those of a copy of their document, and return their new place."""
    for copy in _copies(path, _mark_of(folder)):
        place = copy.with_suffix(".zarr")
        if not place.exists():
            return folder.rename(place)
    return None


def _copies(path: Path, mark: str | None) -> list[Path]:
    """List the files beside a document of this mark that say the same, byte for byte."""
    content = path.read_bytes() if path.is_file() else b""
    if mark is None or mark.encode() not in content:
        return []
    others = (each for each in sorted(path.parent.glob("*.json")) if each != path and each.is_file())
    return [each for each in others if each.stat().st_size == len(content) and each.read_bytes() == content]


def _folder(path: Path) -> Path:
    if path.suffix != ".json":
        raise ValueError(f"a session file is called something.sam2.json, got {path.name}")
    return path.with_suffix(".zarr")


def _is_store(folder: Path) -> bool:
    return _attributes(folder).get("format") == FORMAT


def _mark_of(folder: Path) -> str | None:
    """Return which document the arrays in a folder belong to; None if it holds none."""
    mark = _attributes(folder).get(_MARK)
    return mark if isinstance(mark, str) else None


def _attributes(folder: Path) -> dict[str, Any]:
    try:
        return zarr.open_group(folder, mode="r").attrs.asdict()
    except (OSError, ValueError, KeyError):
        return {}


def _arrays_of(path: Path, document: Mapping[str, Any]) -> Path:
    """Return where arrays lie: under the name of their document, or as that says, or under that of a copy."""
    named = path.with_name(str(document["arrays"]))
    for folder in (path.with_suffix(".zarr"), named):
        if _mark_of(folder) == document[_MARK]:
            return folder
    others = (each for each in sorted(path.parent.glob("*.zarr")) if _mark_of(each) == document[_MARK])
    return next(others, named)


def _write_arrays(store: Path, arrays: Mapping[str, Any], mark: str) -> Iterator[None]:
    group = zarr.open_group(store, mode="w", attributes={"format": FORMAT, _MARK: mark})
    for name, array in arrays.items():
        chunks = _chunks(array.shape)
        target = group.create_array(name, shape=tuple(array.shape), dtype=array.dtype, chunks=chunks)
        for part in _parts(array.shape, chunks):
            target[part] = np.asarray(array[part])
            yield


def _chunks(shape: Sequence[int]) -> tuple[int, ...]:
    """Cut an array into rows that are quick to write: of planes, those of one at a time."""
    if not shape:
        return ()
    planes = max(len(shape) - 2, 0)
    rows = max(_AT_ONCE // max(math.prod(shape[planes + 1 :]), 1), 1)
    chunks = (*(1 for _ in range(planes)), min(rows, shape[planes]), *shape[planes + 1 :])
    return tuple(max(each, 1) for each in chunks)


def _parts(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[Any]:
    """Index the chunks of an array one after the other; none where it is empty."""
    if not shape:
        yield ...
        return
    *planes, rows = range(max(len(shape) - 2, 0) + 1)
    for place in itertools.product(*(range(shape[axis]) for axis in planes)):
        for first in range(0, shape[rows], chunks[rows]):
            band = slice(first, first + chunks[rows])
            yield (*place, band) if place else band


def read_session(path: str | Path, *, without: Collection[str] = ()) -> SessionDocument:
    """Read a session that `write_session` wrote.

    Parameters
    ----------
    path : str or Path
        ``NAME.sam2.json``.
    without : collection of str
        Names of arrays that are not read, such as labels that can be written again.

    Raises
    ------
    FileNotFoundError
        If the JSON file or its Zarr folder is missing.
    ValueError
        If it is no session file, of another version, or the two do not belong together.
    """
    return result_of(reading_steps(path, without=without))


def reading_steps(
    path: str | Path, *, without: Collection[str] = ()
) -> Generator[None, None, SessionDocument]:
    """Do what `read_session` does, a part of an array at a time."""
    path = Path(path)
    document = _checked_document(path)
    folder = _arrays_of(path, document)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing: the arrays of {path.name}; move both together")
    mark = document.pop(_MARK)
    del document["arrays"]
    try:
        group = zarr.open_group(folder, mode="r")
        matches = group.attrs.get(_MARK) == mark
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, node in _members(group) if matches else ():
            if name not in without:
                arrays[name] = yield from _array_read(node)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{folder} is damaged, take another copy of it: {error}") from error
    if not matches:
        raise ValueError(
            f"{path.name} and {folder.name} do not belong together: they come from different sessions, "
            "the program was stopped while it saved, or one was copied without the other before that was "
            "saved again; take both from another copy"
        )
    return SessionDocument(document, arrays)


def _array_read(node: zarr.Array[Any]) -> Generator[None, None, npt.NDArray[Any]]:
    array = np.empty(node.shape, node.dtype)
    for part in _parts(node.shape, node.chunks):
        array[part] = node[part]
        yield
    return array


@dataclass(frozen=True, eq=False)
class SessionDescription:
    """What `read_description` found.

    Parameters
    ----------
    remarks : dict
        What was noted beside the session; empty if nothing was.
    index : dict of int to int
        Positions along the axes that are neither frames, rows nor columns; empty if none is told.
    """

    remarks: dict[str, Any]
    index: dict[int, int]


def read_description(path: str | Path) -> SessionDescription:
    """Read what is said of a session, and no array. Errors as `read_session`."""
    document = _checked_document(Path(path))
    remarks = document.get("remarks")
    try:
        stored = document["images"]["options"]["index"]
        index = {int(axis): int(position) for axis, position in stored.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        index = {}  # whoever reads all of it tells what is missing
    return SessionDescription(remarks if isinstance(remarks, dict) else {}, index)


def _members(group: zarr.Group) -> list[tuple[str, zarr.Array[Any]]]:
    return [(name, node) for name, node in group.members(max_depth=None) if isinstance(node, zarr.Array)]


def _checked_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a session file, choose one that was saved here: {error}") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise ValueError(
            f"{path} is not a session file of this program, it does not say format {FORMAT!r}: "
            "choose one that was saved here"
        )
    version = document.pop("version", None)
    if version not in (VERSION, *_OLDER):
        raise ValueError(
            f"{path} is a session file of version {version}, this program reads versions up to {VERSION}: "
            "open it with the program that wrote it"
        )
    document = {**_OLDER.get(version, {}), **document}
    if not {"arrays", _MARK} <= document.keys():
        raise ValueError(
            f"{path} is not a whole session file, it does not name its arrays: take another copy of it"
        )
    return document
