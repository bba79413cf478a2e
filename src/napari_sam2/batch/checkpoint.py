"""What keeps the state of an unfinished sequence on disk, so that a run can go on where it was killed.

The folder holds what was tracked, a file for each part of the run, and the memories of the passes under way.
Files are written first and named last, in one step, by ``state.json``: what that names is whole and belongs
together.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam2._session.entry_table import StoredEntry, pack_entries, unpack_entries
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.state import Track
from napari_sam2.batch.identity import difference
from napari_sam2.io.atomic import remove, replacing
from napari_sam2.passes import Anchor, PassKey, Seed
from napari_sam2.process import return_memory
from napari_sam2.tensor_file import save_tensors

if TYPE_CHECKING:
    from napari_sam2.batch.identity import MadeFrom
    from napari_sam2.batch.resumable import ResumableSession
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction

_SHARE = 0.05
"""Part of the time that keeping the state may take."""
_MOST_ENTRIES = 4096
"""Entries held in memory before they are kept whatever the time."""
_PLAIN = frozenset({"__builtin__.frozenset", "builtins.frozenset"})


class Checkpoint:
    """The state of one sequence in a folder.

    Parameters
    ----------
    folder : Path
        Made when it is first needed.
    made_from : mapping of str to str
        Checksums of inputs, model and options; the state of others is not taken, and that is said.
    seconds : float
        Time between two writings, more where they take long: they get a twentieth of the time at most. 0:
        after every frame.
    """

    def __init__(self, folder: Path, made_from: MadeFrom, seconds: float) -> None:
        self.folder = folder
        self._made_from = made_from
        self._seconds = seconds
        self._parts: list[str] = []
        self._fresh: list[StoredEntry] = []
        self._due = time.monotonic() + seconds

    def resume(self, session: ResumableSession) -> int:
        """Bring a session of the same prompts to the state that was kept; return how many masks it had."""
        said = self._state_to_take()
        if said is None:
            return 0
        count = 0
        try:
            for name in said["parts"]:
                entries = _read_entries(self.folder / name, session.volume.frame_shape)
                session.put_back(entries)
                self._parts.append(name)
                count += len(entries)
            session.hold_passes(_read_passes(self.folder / said["passes"], session.model.runtime.device))
        except Exception as error:  # noqa: BLE001 - damaged bytes lead to errors of any kind
            # What was put back is right as far as it goes; the rest is tracked again.
            self._tell_of_damage(error)
        return count

    def follow(
        self, session: ResumableSession, frames: range | None, direction: Direction
    ) -> Generator[FrameResult]:
        """Track what is not up to date, and keep the state on the way, and once more whatever ends it.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        try:
            for result in session.go_on(frames, direction):
                self.note(session, result)
                yield result
        except BaseException:
            # Whatever it was (memory, disk, a file that vanished): what is done need not be done again.
            with suppress(OSError):
                self.finish(session)
            raise
        self.finish(session)

    def note(self, session: ResumableSession, result: FrameResult) -> None:
        """Take up a result, and keep the state when it is time to.

        Raises
        ------
        OSError
            If that cannot be written; what was kept before is still there.
        """
        self._fresh += session.tracked(result)
        if time.monotonic() >= self._due or len(self._fresh) >= _MOST_ENTRIES:
            self.keep(session)

    def finish(self, session: ResumableSession) -> None:
        """Keep the state once more if anything has come since."""
        if self._fresh:
            self.keep(session)

    def keep(self, session: ResumableSession) -> None:
        """Write what is new, the memories of now, and then the file that names them."""
        begin = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(self._parts)
        part, passes = f"entries-{number:06d}.npz", f"passes-{number:06d}.pt"
        with replacing(self.folder / part) as temporary:
            _write_entries(temporary, self._fresh)
        with replacing(self.folder / passes) as temporary:
            save_tensors(session.held_passes(), temporary)
        self._write_state([*self._parts, part], passes)
        self._parts.append(part)
        self._fresh = []
        for old in self.folder.glob("passes-*.pt"):
            if old.name != passes:
                remove(old)
        return_memory()
        end = time.monotonic()
        self._due = end + max(self._seconds, (end - begin) / _SHARE if self._seconds else 0)

    def _state_to_take(self) -> dict[str, Any] | None:
        """Read what was kept of the same inputs; what was of others is deleted."""
        said = self._read_state()
        changed = "" if said is None else difference(said["made_from"], self._made_from)
        if not changed:
            return said
        # Its own description goes first: parts of two runs are never taken for those of one.
        (self.folder / "state.json").unlink()
        for old in (*self.folder.glob("entries-*.npz"), *self.folder.glob("passes-*.pt")):
            remove(old)
        warnings.warn(f"what an earlier run had begun is made anew: {changed}", stacklevel=4)
        return None

    def _read_state(self) -> dict[str, Any] | None:
        try:
            said = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            return {name: said[name] for name in ("made_from", "parts", "passes")}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._tell_of_damage(error)
            return None

    def _tell_of_damage(self, error: Exception) -> None:
        warnings.warn(f"the kept state in {self.folder} is damaged: {error}", stacklevel=4)

    def _write_state(self, parts: Sequence[str], passes: str) -> None:
        said = {"made_from": dict(self._made_from), "parts": list(parts), "passes": passes}
        with replacing(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _write_entries(path: Path, entries: Sequence[StoredEntry]) -> None:
    origins = list(dict.fromkeys(e.entry.origin for e in entries if isinstance(e.entry.origin, PassKey)))
    arrays = {name.replace("/", "."): array for name, array in pack_entries(entries, origins).items()}
    arrays["origins"] = np.frombuffer(json.dumps([asdict(origin) for origin in origins]).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read_entries(path: Path, frame_shape: tuple[int, int]) -> list[StoredEntry]:
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name.replace(".", "/"): stored[name] for name in stored.files}
    origins = [_read_origin(each) for each in json.loads(arrays.pop("origins").tobytes())]
    return list(unpack_entries(arrays, origins, frame_shape))


def _read_origin(said: dict[str, Any]) -> PassKey:
    seed = None if said["seed"] is None else Seed(**said["seed"])
    return PassKey(said["first"], said["reverse"], tuple(Anchor(**each) for each in said["anchors"]), seed)


def _read_passes(path: Path, device: torch.device) -> Sequence[Track]:
    """Read memories without running anything that the file may contain."""
    named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    known: list[Any] = [*((frozenset, name) for name in _PLAIN), *map(_value_class, set(named) - _PLAIN)]
    with torch.serialization.safe_globals(known):
        passes = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(passes, list) or not all(isinstance(each, Track) for each in passes):
        raise ValueError(f"{path} holds no passes")
    return passes


def _value_class(name: str) -> type:
    """Return a class of this package that only holds values."""
    module, _, class_name = name.rpartition(".")
    found = getattr(import_module(module), class_name) if module.startswith("napari_sam2.") else None
    if isinstance(found, type) and (is_dataclass(found) or issubclass(found, (tuple, MemoryBank))):
        return found
    raise ValueError(f"{name} is not taken from a file of memories")
