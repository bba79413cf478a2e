"""Results of the Cell Tracking Challenge: a mask for every time, and who comes from whom.

Its tracks have no gaps, and a parent ends before its children begin. So an object that was away goes on under
a new number, as its own child; and one that is still there when its first daughter begins is cut there: what
follows is one more child of the part before. A daughter that is there before her mother has no parent.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile

from napari_sam2.io.atomic import replacing
from napari_sam2.io.planes import check_replaceable, checked_plane

if TYPE_CHECKING:
    from napari_sam2.io.planes import LabelArray, LabelPlanes


_LARGEST = 65535  # a label image of the challenge has 16 bits


class _Span(NamedTuple):
    """A row of ``res_track.txt``: a label that is on every frame from begin to end, and what it continues."""

    label: int
    begin: int
    end: int
    parent: int


class _Piece(NamedTuple):
    """Frames without a gap, both ends included."""

    begin: int
    end: int


def write_ctc(path: Path, labels: LabelPlanes, parents: Mapping[int, int]) -> Iterator[None]:
    """Write ``mask000.tif`` ... and ``res_track.txt`` into a folder in steps; see `export_steps`."""
    if len(labels.array.shape) not in (3, 4):
        raise ValueError(
            f"a Cell Tracking Challenge result is (t, y, x) or (t, z, y, x), got {labels.axes}: "
            "export as OME-Zarr or TIFF"
        )
    check_ctc(path)
    frames = labels.array.shape[0]
    times = yield from _times(labels, frames)
    spans = _spans(_pieces(times), parents)
    digits = max(3, len(str(frames - 1)))
    with replacing(path) as temporary:
        temporary.mkdir()
        for t in range(frames):
            frame = _renamed(_frame(labels, t), t, spans)
            with (temporary / f"mask{t:0{digits}d}.tif").open("wb") as file:
                tifffile.imwrite(file, frame, photometric="minisblack", compression="zlib")
            yield
        rows = sorted(span for pieces in spans.values() for span in pieces)
        text = "".join(f"{row.label} {row.begin} {row.end} {row.parent}\n" for row in rows)
        (temporary / "res_track.txt").write_text(text, encoding="ascii")


def check_ctc(path: Path) -> None:
    """Raise FileExistsError where there is something else than such a result."""
    check_replaceable(path, _is_ctc(path), "a Cell Tracking Challenge result")


def check_ids(largest: int) -> None:
    """Raise ValueError where labels are too large for such a result."""
    if largest > _LARGEST:
        raise ValueError(
            f"a Cell Tracking Challenge result has labels up to {_LARGEST}, {largest} are needed: "
            "export as OME-Zarr or TIFF, or give the objects lower numbers"
        )


def _is_ctc(path: Path) -> bool:
    if not path.is_dir():
        return False
    ours = {"res_track.txt", *(each.name for each in path.glob("mask*.tif"))}
    return all(each.name in ours for each in path.iterdir())


def _frame(labels: LabelPlanes, t: int) -> LabelArray:
    return checked_plane(np.asarray(labels.array[t]), labels.dtype)


def _times(labels: LabelPlanes, frames: int) -> Generator[None, None, dict[int, list[int]]]:
    """List the frames of each label; a step for each frame."""
    seen: dict[int, list[int]] = {}
    for t in range(frames):
        for label in np.unique(_frame(labels, t)).tolist():
            if label:
                seen.setdefault(label, []).append(t)
        yield
    return seen


def _pieces(seen: Mapping[int, Sequence[int]]) -> dict[int, list[_Piece]]:
    """Cut the frames of each label at gaps."""
    pieces = {}
    for label, times in sorted(seen.items()):
        gaps = np.flatnonzero(np.diff(times) > 1) + 1
        pieces[label] = [_Piece(int(each[0]), int(each[-1])) for each in np.split(np.asarray(times), gaps)]
    return pieces


def _cut(pieces: Sequence[_Piece], begins: Sequence[int]) -> list[_Piece]:
    """Cut a mother's pieces where daughters begin."""
    cut = list(pieces)
    for begin in begins:
        cut = [
            part
            for piece in cut
            for part in (
                [_Piece(piece.begin, begin - 1), _Piece(begin, piece.end)]
                if piece.begin < begin <= piece.end
                else [piece]
            )
        ]
    return cut


def _spans(pieces: Mapping[int, list[_Piece]], parents: Mapping[int, int]) -> dict[int, list[_Span]]:
    """Give each piece of a label its number and its parent."""
    births: dict[int, list[int]] = {}
    for child, mother in parents.items():
        if child in pieces and mother in pieces:
            births.setdefault(mother, []).append(pieces[child][0].begin)
    numbered: dict[int, list[tuple[int, _Piece]]] = {}
    free = _free_labels(pieces)
    for label, whole in pieces.items():
        cut = _cut(whole, births.get(label, ()))
        numbered[label] = list(zip([label, *islice(free, len(cut) - 1)], cut, strict=True))
    check_ids(max((number for named in numbered.values() for number, _ in named), default=0))
    spans = {}
    for label, named in numbered.items():
        mothers = numbered.get(parents.get(label, 0), [])
        before = [number for number, piece in mothers if piece.end < named[0][1].begin]
        of = [before[-1] if before else 0, *(number for number, _ in named[:-1])]
        spans[label] = [_Span(n, *piece, parent) for (n, piece), parent in zip(named, of, strict=True)]
    return spans


def _free_labels(taken: Collection[int]) -> Iterator[int]:
    """Give labels that no object has: those above, once the format has no more those between them."""
    largest = max(taken, default=0)
    above = range(largest + 1, _LARGEST + 1)
    between = (label for label in range(1, largest) if label not in taken)
    return chain(above, between, count(max(largest, _LARGEST) + 1))


def _renamed(frame: LabelArray, t: int, spans: Mapping[int, Sequence[_Span]]) -> npt.NDArray[np.uint16]:
    renamed = frame.astype(np.uint16)
    for label, pieces in spans.items():
        for piece in pieces[1:]:
            if piece.begin <= t <= piece.end:
                renamed[frame == label] = piece.label
    return renamed
