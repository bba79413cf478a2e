"""Sessions over one image, one for each t of (t, z, y, x): their labels, tables and paths as a whole."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2 import io
from napari_sam2.tracks import TABLE_COLUMNS, Tracks, table_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from napari_sam2.session import Session


class StackedLabels:
    """Labels of all positions; where nothing is said of one, there are none.

    Parameters
    ----------
    labels : mapping of int to array (frames, H, W)
        By position, at least one.
    count : int
        How many positions there are.
    frames_first : bool
        Whether the axis of the frames comes before that of the positions.
    """

    def __init__(self, labels: Mapping[int, Any], count: int, *, frames_first: bool) -> None:
        self._labels, self._frames_first = labels, frames_first
        frames, height, width = next(iter(labels.values())).shape
        lengths = (frames, count) if frames_first else (count, frames)
        self.shape = (*lengths, height, width)
        self.dtype = np.result_type(*(each.dtype for each in labels.values()))

    def __getitem__(self, position: int | tuple[int, int]) -> npt.NDArray[Any]:
        """Return one plane, or all planes at a place along the first axis."""
        if isinstance(position, tuple):
            return self._plane(*position)
        return np.stack([self._plane(position, second) for second in range(self.shape[1])])

    def _plane(self, first: int, second: int) -> npt.NDArray[Any]:
        frame, at = (first, second) if self._frames_first else (second, first)
        labels = self._labels.get(at)
        if labels is None:
            return np.zeros(self.shape[2:], self.dtype)
        return np.asarray(labels[frame], self.dtype)


@dataclass(frozen=True, eq=False)
class Positions:
    """Sessions along one axis of an image whose frames lie along another: z at each t, or t at each z.

    Parameters
    ----------
    sessions : mapping of int to Session
        By position, at least one, all of the same shape and with the same axis of frames.
    count : int
        How many positions there are.
    step : float
        From one position to the next, in seconds or micrometres.
    name : str
        What the axis is called in tables; by default "t" or "z".
    """

    sessions: Mapping[int, Session]
    count: int
    step: float = 1.0
    name: str = ""

    @property
    def frames_are_times(self) -> bool:
        """Whether objects are followed in time; if not, the positions are the times."""
        return self._any.geometry.axes.startswith("t")

    @property
    def labels(self) -> StackedLabels:
        """Labels (t, z, y, x)."""
        return self._stacked({at: session.labels for at, session in self.sessions.items()})

    def _stacked(self, labels: Mapping[int, Any]) -> StackedLabels:
        return StackedLabels(labels, self.count, frames_first=self.frames_are_times)

    @property
    def scale(self) -> tuple[float, ...] | None:
        """Size of a step along t, z, y and x, if it is known."""
        if self._any.geometry.scale is None:
            return None
        frame, *pixel = self._any.geometry.scale
        first = (frame, self.step) if self.frames_are_times else (self.step, frame)
        return (*first, *pixel)

    @property
    def parents(self) -> dict[int, int]:
        """The object that each daughter comes from; of objects that are followed through a stack, none."""
        if not self.frames_are_times:
            return {}
        return {child: of for session in self.sessions.values() for child, of in session.parents.items()}

    @property
    def _any(self) -> Session:
        return next(iter(self.sessions.values()))

    def export(self, path: str | Path) -> None:
        """Write all positions into one file or folder, as the name says; see `Session.export`.

        A table has a column more, which comes first: the position.

        Raises
        ------
        ValueError, OSError
            As `Session.export`.
        """
        for _ in self.export_steps(path):
            pass

    def export_steps(self, path: str | Path) -> Iterator[None]:
        """Do what `export` does a frame at a time; what is written are the labels as they were at first.

        Yields
        ------
        None
            After each frame.
        """
        self._any.check_export(path)
        for session in self.sessions.values():
            yield from session.settle_steps()
        if Path(path).suffix.lower() == ".csv":
            name = self.name or ("z" if self.frames_are_times else "t")
            io.write_table(path, (name, *TABLE_COLUMNS), self._rows())
            return
        with ExitStack() as taken:
            labels = self._stacked(
                {
                    at: taken.enter_context(closing(each.label_snapshot()))
                    for at, each in self.sessions.items()
                }
            )
            yield from io.export_steps(path, labels, scale=self.scale, axes="tzyx", parents=self.parents)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for position, session in sorted(self.sessions.items()):
            for row in table_rows(session.summary()):
                yield position, *row

    def tracks(self) -> Tracks:
        """Return the paths of all objects in time, rows (id, t, z, y, x): the centre of all pixels at a t."""
        parts = [self._weighted(position) for position in sorted(self.sessions)]
        keys = np.concatenate([key for key, _, _ in parts])
        areas = np.concatenate([area for _, area, _ in parts])
        places = np.concatenate([place for _, _, place in parts])
        found, inverse = np.unique(keys, axis=0, return_inverse=True)

        def summed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.bincount(inverse.ravel(), weights=values, minlength=len(found))

        centres = np.column_stack([summed(areas * column) / summed(areas) for column in places.T])
        shown = set(found[:, 0].tolist())
        graph = {child: [of] for child, of in self.parents.items() if {child, of} <= shown}
        return Tracks(np.hstack([found, centres]), graph, self.scale)

    def _weighted(self, position: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Return (id, t), area, and (z, y, x) of the objects on the frames at a position."""
        summary = self.sessions[position].summary()
        rows, frames = np.nonzero(summary.cells.area)
        ids, at = np.asarray(summary.objects, np.float64)[rows], np.full(len(rows), position)
        t, z = (frames, at) if self.frames_are_times else (at, frames)
        place = np.column_stack([z, summary.cells.centroid[rows, frames].reshape(-1, 2)])
        keys = np.column_stack([ids, t])
        return keys, summary.cells.area[rows, frames].astype(np.float64), place
