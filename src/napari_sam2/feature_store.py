"""Image features in a folder: what was encoded once is read again, by another pass, session or process."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
import warnings
import zlib
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_sam2._model.results import ImageFeatures
from napari_sam2._model.weights import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_sam2._model.sam2 import Sam2

_VERSION = 1
_SUFFIX, _PART = ".features.safetensors", ".features.part"
_SUM = "crc32"
_LEFT = 0.9
"""Share of the limit that is left when room is made."""
_LOOK = 0.05
"""Share of the limit that is written before the folder is looked at again: others may write there, too."""
_FORSAKEN = 3600.0
"""Seconds after which a half-written file belongs to nobody."""


def check_feature_folder(folder: Path) -> None:
    """Refuse, before the work, what can be no folder of features: it is a file, or lies below one.

    Raises
    ------
    NotADirectoryError
        If that is so.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise NotADirectoryError(
            f"{there} is a file, not a folder that image features can be kept in: choose another one"
        )


class _Kept(NamedTuple):
    """A file of the folder; the smallest was used longest ago."""

    used: int
    nbytes: int
    path: Path


class FeatureStore:
    """Features by what they were made from: pixels as the network is shown them, weights, options, precision.

    They come back bit by bit. Several processes may use a folder at the same time, and one may be killed at
    any time: an entry is written beside and then named, and one that is damaged is taken for none.

    Parameters
    ----------
    folder : str or Path
        Made when it is first needed.
    model : Sam2
        Whose features they are; those of others may lie beside.
    limit : int
        Bytes that all entries of the folder may take; those that were used longest ago go first.

    Attributes
    ----------
    found : int
        Number of entries that were read.

    Raises
    ------
    ValueError
        If the limit is negative.
    NotADirectoryError
        If the folder cannot be one.
    """

    def __init__(self, folder: str | Path, model: Sam2, *, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"the folder of features cannot be limited to {limit} bytes: give 0 or more")
        check_feature_folder(Path(folder))
        self.folder = Path(folder)
        self.limit = limit
        self.found = 0
        self._model = model
        self._lock = threading.Lock()
        self._total = 0
        self._unseen: int | None = None
        self._has_failed = False

    @cached_property
    def _maker(self) -> bytes:
        """What features depend on beside the pixels."""
        runtime = self._model.runtime
        said = {
            "version": _VERSION,
            "weights": checksum(self._model),
            "config": asdict(self._model.config),
            "runtime": [runtime.device.type, str(runtime.dtype)],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).digest()

    def key(self, pixels: npt.NDArray[Any], side: int) -> str:
        """Name the features of a frame or a window of one.

        Parameters
        ----------
        pixels : array (H, W, C)
            As they are read, contrast applied, not yet resized.
        side : int
            What they are resized to.
        """
        name = hashlib.blake2b(self._maker, digest_size=24)
        name.update(json.dumps([*pixels.shape, pixels.dtype.str, side]).encode())
        name.update(np.ascontiguousarray(pixels).data)
        return name.hexdigest()

    def load(self, key: str) -> ImageFeatures | None:
        """Read an entry into main memory; None if there is none that is whole."""
        path = self._path(key)
        try:
            tensors = _read(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, ValueError):
            _delete(path)
            return None
        with suppress(OSError):  # whoever shares the folder may read the files of others, but not touch them
            os.utime(path)
        self.found += 1
        return ImageFeatures(tensors[0], tuple(tensors[1:]))

    def save(self, key: str, features: ImageFeatures) -> None:
        """Write an entry; where that fails, say so once and write no more."""
        if self._has_failed:
            return
        tensors = [each.detach().cpu().contiguous() for each in (features.embedding, *features.high_res)]
        try:
            with self._lock:
                self._write(self._path(key), tensors)
        except OSError as error:
            self._has_failed = True
            warnings.warn(f"image features are not kept in {self.folder} any more: {error}", stacklevel=2)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _write(self, path: Path, tensors: Sequence[Tensor]) -> None:
        named = {str(index): each for index, each in enumerate(tensors)}
        content = save({**named, _SUM: torch.tensor(_sum(tensors))})
        if not self._has_room(len(content)):
            return
        part = path.with_name(f"{uuid.uuid4().hex}{_PART}")
        try:
            part.write_bytes(content)
            part.replace(path)
        except BaseException:
            _delete(part)
            raise
        self._total += len(content)
        self._unseen = (self._unseen or 0) + len(content)

    def _has_room(self, nbytes: int) -> bool:
        """See to it that so many bytes more are within the limit."""
        if nbytes > self.limit:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._unseen is None or self._unseen > _LOOK * self.limit or self._total + nbytes > self.limit:
            self._make_room(nbytes)
        return True

    def _make_room(self, nbytes: int) -> None:
        """Look at the folder, and delete what was used longest ago if it is too large."""
        kept = sorted(self._kept())
        self._total, self._unseen = sum(each.nbytes for each in kept), 0
        if self._total + nbytes <= self.limit:
            return
        for each in kept:
            if self._total + nbytes <= max(_LEFT * self.limit, nbytes):
                return
            _delete(each.path)
            self._total -= each.nbytes

    def _kept(self) -> Iterator[_Kept]:
        """List entries, and delete what a process that was killed has left half-written."""
        with os.scandir(self.folder) as files:
            for file in files:
                try:
                    status = file.stat()
                except FileNotFoundError:  # another process was faster
                    continue
                if file.name.endswith(_SUFFIX):
                    yield _Kept(status.st_mtime_ns, status.st_size, Path(file.path))
                elif file.name.endswith(_PART) and time.time() - status.st_mtime > _FORSAKEN:
                    _delete(Path(file.path))


def _read(path: Path) -> list[Tensor]:
    # In one go: another process may delete the file between two looks at it.
    named = load(path.read_bytes())
    said = named.pop(_SUM, None)
    tensors = [named[str(index)] for index in range(len(named))]
    if said is None or int(said) != _sum(tensors):
        raise ValueError(f"{path} is damaged")
    return tensors


def _sum(tensors: Sequence[Tensor]) -> int:
    total = 0
    for each in tensors:
        total = zlib.crc32(each.reshape(-1).view(torch.uint8).numpy().data, total)
    return total


def _delete(path: Path) -> None:
    """Delete a file; one that is gone, or in use, is left to others."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
