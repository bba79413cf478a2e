"""Memories of tracked frames, kept after their pass has gone on, for corrections that come late."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from napari_sam2._labels.spill import SpillStore
from napari_sam2._tracking.stepping import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from napari_sam2._tracking.state import Track
    from napari_sam2._tracking.stepping import Outcome
    from napari_sam2.passes import PassKey
    from napari_sam2.placement import Box, Jump
    from napari_sam2.selection import Merit

_IN_MEMORY = 32 * 2**20
"""Bytes that are not written to the temporary file."""
_PASSES = 2
"""Passes of an object over a frame in one direction whose memories are kept: the last, and one to undo to."""


class _Place(NamedTuple):
    """Whose memory of which frame, and the pass that made it."""

    obj: int
    key: PassKey
    frame: int


class _Way(NamedTuple):
    """An object on a frame, and whether it was tracked towards frame 0."""

    obj: int
    frame: int
    reverse: bool


class _Layout(NamedTuple):
    """Types and shapes of the tensors that are put together, and the device that they go back to."""

    dtypes: tuple[torch.dtype, ...]
    shapes: tuple[tuple[int, ...], ...]
    device: torch.device


class _Kept(NamedTuple):
    """What was remembered of a frame: spatial memory and pointer, and what they were made from.

    Attributes
    ----------
    store_key : int
        Of its bytes in the store.
    layout : _Layout
        How they are put together.
    nbytes : int
        How many there are.
    window : Box
        The part of the frame that was looked at.
    jumps : dict of int to Jump
        How far the field had jumped by this frame and by those that it was predicted from; empty where it
        had not.
    merit : Merit
        What was decided on the memory.
    distant : tuple of int
        Anchors that this frame was predicted from and that lie beyond the reach of all other memories: to
        predict it again, these have to be put back as well.
    attended : dict of int to Box
        Older memories that had been made again in another window when this frame was predicted, by their
        frames: to predict it again, they have to be made again in the same windows.
    """

    store_key: int
    layout: _Layout
    nbytes: int
    window: Box
    jumps: dict[int, Jump]
    merit: Merit
    distant: tuple[int, ...]
    attended: dict[int, Box]


class Looked(NamedTuple):
    """The window that a pass looked at on a frame, and how far the field had jumped, see `_Kept`."""

    window: Box
    jumps: dict[int, Jump]


class TrackedMemories:
    """What passes remembered of each frame; the oldest is let go beyond a limit.

    Parameters
    ----------
    limit : int
        Bytes to keep, most of them in a temporary file; 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._store = SpillStore(min(limit, _IN_MEMORY))
        self._kept: OrderedDict[_Place, _Kept] = OrderedDict()
        self._ways: dict[_Way, list[_Place]] = {}
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are kept, in memory and in the file."""
        return self._nbytes

    def note(self, track: Track, frame: int, outcome: Outcome) -> None:
        """Keep what a track has just remembered of a frame.

        Where the disk is full, that is said, and nothing is kept any more.
        """
        if self._limit == 0 or outcome.memory is None:
            return
        trace = track.traces.get(frame)
        tensors = [outcome.memory, outcome.prediction.pointer]
        tensors += [] if trace is None else [trace.low_res, trace.object_logits]
        try:
            self._put(track, frame, tensors)
        except OSError as error:
            self._limit = 0
            self._forget(list(self._kept))
            self._store.close()
            warnings.warn(
                f"memories of tracked frames are not kept any more ({error}): corrections that come late set "
                "out from the confirmed frames alone",
                stacklevel=2,
            )

    def recall(self, track: Track, key: PassKey, frames: Iterable[int]) -> None:
        """Put what a pass remembered of these frames into a track, as far as it is still kept."""
        for frame in frames:
            kept = self._kept.get(_Place(track.obj, key, frame))
            if kept is None or frame in track.bank.conditioning:
                continue
            memory, pointer, *rest = _unpacked(self._store.get(kept.store_key), kept.layout)
            track.bank.add_tracked(frame, memory, pointer, kept.merit)
            if rest:
                low_res, object_logits = rest
                track.note(frame, Trace(low_res, object_logits, kept.window, binarize=False), kept.window)

    def look(self, obj: int, key: PassKey, frame: int) -> Looked | None:
        """Tell where a pass looked on a frame; None if that is not kept any more."""
        kept = self._kept.get(_Place(obj, key, frame))
        return None if kept is None else Looked(kept.window, kept.jumps)

    def distant(self, obj: int, key: PassKey, frame: int) -> tuple[int, ...]:
        """List the anchors that a pass looked at on a frame beyond the reach of other memories."""
        kept = self._kept.get(_Place(obj, key, frame))
        return () if kept is None else kept.distant

    def attended(self, obj: int, key: PassKey, frame: int) -> dict[int, Box]:
        """Tell in which windows memories had been made again, by frame, when a pass stood at `frame`."""
        kept = self._kept.get(_Place(obj, key, frame))
        return {} if kept is None else kept.attended

    def _put(self, track: Track, frame: int, tensors: Sequence[Tensor]) -> None:
        place = _Place(track.obj, track.planned.key, frame)
        self._forget([place] if place in self._kept else [])
        packed = np.concatenate([_bytes(each) for each in tensors])
        layout = _layout_of(tensors)
        stored = self._store.put(packed)
        again = (t for t, window in track.encoded.items() if window != track.traces[t].window)
        attended = {t: track.encoded[t] for t in again}
        merit, distant = track.bank.merit(frame), _distant(track, frame)
        jumps = dict(track.jumps) if any(map(any, track.jumps.values())) else {}
        self._kept[place] = _Kept(
            stored, layout, packed.nbytes, track.window, jumps, merit, distant, attended
        )
        self._nbytes += packed.nbytes
        places = self._ways.setdefault(_way(place), [])
        places.append(place)
        self._forget(places[:-_PASSES])
        while self._nbytes > self._limit:
            self._forget([next(iter(self._kept))])

    def _forget(self, places: Sequence[_Place]) -> None:
        for place in places:
            kept = self._kept.pop(place)
            self._store.drop(kept.store_key)
            self._nbytes -= kept.nbytes
            way = _way(place)
            self._ways[way].remove(place)
            if not self._ways[way]:
                del self._ways[way]


def _distant(track: Track, frame: int) -> tuple[int, ...]:
    """Anchors that a frame was predicted from and that lie beyond the reach of other memories."""
    bank = track.bank
    if not bank.anchors:
        return ()
    reach = bank.rules.reach(bank.num_frames)
    looked_at = bank.select(frame, track.planned.reverse).spatial
    return tuple(m.frame for m in looked_at if not m.conditioning and abs(m.frame - frame) > reach)


def _way(place: _Place) -> _Way:
    return _Way(place.obj, place.frame, place.key.reverse)


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    flat: npt.NDArray[np.uint8] = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat


def _layout_of(tensors: Sequence[Tensor]) -> _Layout:
    shapes = tuple(tuple(each.shape) for each in tensors)
    return _Layout(tuple(each.dtype for each in tensors), shapes, tensors[0].device)


def _unpacked(packed: npt.NDArray[np.uint8], layout: _Layout) -> list[Tensor]:
    tensors, at = [], 0
    for dtype, shape in zip(layout.dtypes, layout.shapes, strict=True):
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        # Copied: the bytes of a file may not be written to, and begin anywhere.
        values = torch.from_numpy(packed[at : at + size].copy()).to(layout.device)
        tensors.append(values.view(dtype).reshape(shape))
        at += size
    return tensors
