"""Labels entries as a few flat arrays, to be stored and read back bit for bit."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._labels.entries import PROVENANCES
from napari_sam2.labels import Box, Entry, PackedMask, PlacedLogits
from napari_sam2.passes import PassKey
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from napari_sam2.labels import LabelVolume

_PREFIX = "entries"
# obj, frame, provenance, locked, origin; crop: rows, columns, offset, grid; painted: bytes, box
_INTEGERS = 5 + 6 + 5
_FLOATS = 2 + 4  # score, presence; window
_NONE = -1


@dataclass(frozen=True, eq=False)
class StoredEntry:
    """An entry and where it belongs."""

    key: PromptKey
    entry: Entry


def pack_entries(entries: Iterable[StoredEntry], origins: Iterable[PassKey]) -> dict[str, npt.NDArray[Any]]:
    """Turn entries into arrays for `unpack_entries`.

    Parameters
    ----------
    entries : iterable of StoredEntry
        In any order.
    origins : iterable of PassKey
        Passes that entries come from, in order; an entry keeps its index, other origins are left out.
    """
    index: dict[Hashable, int] = {origin: i for i, origin in enumerate(origins)}
    integers, floats, logits, bits = [], [], [np.zeros(0, np.float32)], [np.zeros(0, np.uint8)]
    for stored in entries:
        entry = stored.entry
        origin = index.get(entry.origin, _NONE)
        head = [stored.key.obj, stored.key.frame, PROVENANCES.index(entry.provenance), entry.locked, origin]
        integers.append([*head, *_crop_row(entry.logits), *_painted_row(entry.painted)])
        window = entry.logits.window if entry.logits else (0.0,) * 4
        floats.append([entry.score, entry.presence, *window])
        logits += [entry.logits.logits.ravel()] if entry.logits else []
        bits += [entry.painted.bits] if entry.painted else []
    return {
        f"{_PREFIX}/integers": np.array(integers, np.int64).reshape(-1, _INTEGERS),
        f"{_PREFIX}/floats": np.array(floats, np.float64).reshape(-1, _FLOATS),
        f"{_PREFIX}/logits": np.concatenate(logits),
        f"{_PREFIX}/bits": np.concatenate(bits),
    }


class KnownEntries:
    """The entries of some frames as they are now, whatever is done later; logits are read when asked for.

    Parameters
    ----------
    labels : LabelVolume
        Whose.
    frames : iterable of int
        Which frames.

    Attributes
    ----------
    origins : tuple of PassKey
        Passes that they come from, each once.
    """

    def __init__(self, labels: LabelVolume, frames: Iterable[int]) -> None:
        self._labels = labels
        every = ((frame, labels.known_of(frame)) for frame in frames)
        self._known = {frame: known for frame, known in every if len(known.rows)}
        found = (origin for known in self._known.values() for origin in known.origins)
        self.origins = tuple(dict.fromkeys(each for each in found if isinstance(each, PassKey)))

    def __contains__(self, frame: int) -> bool:
        return frame in self._known

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames with an entry."""
        return tuple(self._known)

    def packed(self, frame: int, origins: Iterable[PassKey]) -> dict[str, npt.NDArray[Any]]:
        """Return the entries of a frame as `pack_entries` does, on any thread."""
        known = self._known[frame].records.items()
        stored = (StoredEntry(PromptKey(obj, frame), self._labels.entry_of(each)) for obj, each in known)
        return pack_entries(stored, origins)


def _crop_row(placed: PlacedLogits | None) -> list[int]:
    if placed is None:
        return [0] * 6
    return [*placed.logits.shape, *placed.offset, *(placed.grid or placed.logits.shape)]


def _painted_row(painted: PackedMask | None) -> list[int]:
    if painted is None:
        return [_NONE] * 5
    return [painted.bits.size, *(painted.box or (0, 0, 0, 0))]


@dataclass(frozen=True, eq=False)
class JoinedParts:
    """Arrays one behind the other along their first axis, put together as far as they are read.

    Attributes
    ----------
    parts : tuple of array
        At least one, alike but for their length.
    """

    parts: tuple[npt.NDArray[Any], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        return (self._ends[-1], *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of all of them."""
        return self.parts[0].dtype

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return some rows (a slice without a step); ``[:]`` is all of it."""
        start, stop, _ = rows.indices(self._ends[-1])
        first, last = bisect_right(self._ends, start), bisect_left(self._ends, stop)
        found = [self.parts[0][:0]]
        for part, end in zip(self.parts[first : last + 1], self._ends[first : last + 1], strict=True):
            begin = end - len(part)
            found.append(part[max(start - begin, 0) : max(stop - begin, 0)])
        return np.concatenate(found)

    @cached_property
    def _ends(self) -> list[int]:
        """Where each part ends, so that no read has to go through all of them."""
        return list(accumulate(len(part) for part in self.parts))


def entries_in_parts(parts: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, JoinedParts]:
    """Do what `join_entries` does with entries alone, and copy nothing until it is read."""
    every = (pack_entries((), ()), *parts)
    return {name: JoinedParts(tuple(part[name] for part in every)) for name in every[0]}


def join_entries(parts: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Put arrays of several `pack_entries` with the same origins together; other arrays are taken along."""
    names, entries = pack_entries((), ()).keys(), []
    others: dict[str, npt.NDArray[Any]] = {}
    for part in parts:
        others |= {name: array for name, array in part.items() if name not in names}
        if names <= part.keys():
            entries.append(part)
    return {**others, **{name: joined[:] for name, joined in entries_in_parts(entries).items()}}


def unpack_entries(
    arrays: Mapping[str, npt.NDArray[Any]], origins: Sequence[PassKey], frame_shape: tuple[int, int]
) -> Iterator[StoredEntry]:
    """Turn arrays of `pack_entries` into entries again."""
    logits, bits = arrays[f"{_PREFIX}/logits"], arrays[f"{_PREFIX}/bits"]
    at = bit_at = 0
    for integers, floats in zip(
        arrays[f"{_PREFIX}/integers"].tolist(), arrays[f"{_PREFIX}/floats"].tolist(), strict=True
    ):
        obj, frame, provenance, locked, origin, *rest = integers
        size, bit_size = rest[0] * rest[1], max(rest[6], 0)
        crop, painted_bits = logits[at : at + size], bits[bit_at : bit_at + bit_size]
        at, bit_at = at + size, bit_at + bit_size
        score, presence, *window = floats
        yield StoredEntry(
            PromptKey(obj, frame),
            Entry(
                logits=_placed(crop, rest[:6], window, frame_shape),
                painted=_painted(painted_bits, rest[6:], frame_shape),
                locked=bool(locked),
                provenance=PROVENANCES[provenance],
                score=score,
                presence=presence,
                origin=None if origin == _NONE else origins[origin],
            ),
        )


def _placed(
    crop: npt.NDArray[np.float32], row: list[int], window: list[float], frame_shape: tuple[int, int]
) -> PlacedLogits | None:
    height, width, i, j, rows, columns = row
    if not crop.size:
        return None
    y0, x0, y1, x1 = window
    return PlacedLogits(crop.reshape(height, width), (y0, x0, y1, x1), frame_shape, (i, j), (rows, columns))


def _painted(bits: npt.NDArray[np.uint8], row: list[int], frame_shape: tuple[int, int]) -> PackedMask | None:
    size, *corners = row
    if size == _NONE:
        return None
    return PackedMask(bits, Box(*corners) if size else None, frame_shape)
