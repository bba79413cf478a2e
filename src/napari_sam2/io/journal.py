"""A document and arrays in a folder that is brought up to date again and again: only what changed is written.

Arrays lie in parts, a file each, which are never changed: a new state of a part goes to a new file. The
document names the files that belong to it and is replaced in one step, so that at any moment the folder holds
one whole state, whatever happens to the program.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_sam2.io.atomic import remove, replacing

Arrays = Mapping[str, npt.NDArray[Any]]
Part = Callable[[], Arrays]
"""Makes the arrays of a part."""

FORMAT = "napari-sam2 journal"
VERSION = 2
_READ = (1, VERSION)
DOCUMENT = "journal.json"


@dataclass(frozen=True, eq=False)
class JournalContent:
    """What `read_journal` found.

    Parameters
    ----------
    document : dict
        As it was given to `Journal.write` last.
    parts : dict
        The arrays by name, of each part.
    """

    document: dict[str, Any]
    parts: dict[str, dict[str, npt.NDArray[Any]]]


class Journal:
    """Writes a folder that `read_journal` reads.

    Parameters
    ----------
    folder : Path
        Made when something is first written; what an earlier journal left there is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, str] = {}

    @property
    def is_whole(self) -> bool:
        """Whether all that was written is still there; nobody but the journal should delete any of it."""
        try:
            there = {path.name for path in self.folder.iterdir()} if self._files else set()
        except FileNotFoundError:
            return False
        return not self._files or there >= {DOCUMENT, *self._files.values()}

    def write(self, document: Mapping[str, Any], changed: Mapping[str, Arrays | None]) -> None:
        """Bring the folder up to date.

        Parameters
        ----------
        document : mapping
            Fit for JSON.
        changed : mapping
            Parts that are new or other than before; None for those that are gone.

        Raises
        ------
        OSError
            If it cannot be written; the folder still holds the state before.
        TypeError, ValueError
            If the document holds what JSON cannot.
        """
        parts: dict[str, Part | None] = {
            part: partial(dict, arrays) if arrays else None for part, arrays in changed.items()
        }
        for _ in itertools.chain(self.write_steps(document, parts), self.sweep_steps()):
            pass

    def write_steps(
        self, document: Mapping[str, Any], changed: Mapping[str, Part | None]
    ) -> Generator[None, None, None]:
        """Do what `write` does, a part at a time; each is made when it is written.

        What the document does not name any more is left for `sweep_steps`.
        """
        fresh = {part: f"{part}.{uuid.uuid4().hex[:8]}.npz" for part, made in changed.items() if made}
        files = {part: name for part, name in self._files.items() if part not in changed} | fresh
        head = {"format": FORMAT, "version": VERSION, "parts": files}
        text = json.dumps({**head, "document": dict(document)}, allow_nan=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for part, name in fresh.items():
                make = changed[part]
                _write_part(self.folder / name, make() if make else {})
                yield
            with replacing(self.folder / DOCUMENT) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except BaseException:
            for name in fresh.values():
                remove(self.folder / name)
            raise
        self._files = files

    def sweep_steps(self) -> Generator[None, None, None]:
        """Delete what the document does not name any more, a file at a time, or next time."""
        named = {DOCUMENT, *self._files.values()}
        for path in list(self.folder.iterdir()):
            if path.name not in named and path.suffix == ".npz":
                remove(path)
                yield


def _write_part(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})


def read_journal(folder: Path) -> JournalContent:
    """Read a folder that a `Journal` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no journal.
    ValueError
        If it is none, of another version, or damaged.
    """
    document = read_journal_document(folder)
    try:
        parts = {part: _read_part(folder / name) for part, name in document["parts"].items()}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{folder} is damaged: {error}") from error
    return JournalContent(document["document"], parts)


def _read_part(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def read_journal_document(folder: Path) -> dict[str, Any]:
    """Read the document of a journal and the names of its parts, but no array; errors as `read_journal`."""
    path = folder / DOCUMENT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a journal: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a journal of this program")
    if content.get("version") not in _READ or not {"document", "parts"} <= content.keys():
        raise ValueError(f"{path} is not a whole journal of a version up to {VERSION}")
    return content
