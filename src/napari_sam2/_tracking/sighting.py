"""What a first click finds in windows of many sizes, and what of that is found again in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.placement import Box, PlacedLogits

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_sam2._model.results import Prediction
    from napari_sam2.window import Windows


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer and the window that it was seen in.

    Attributes
    ----------
    prediction : Prediction
        Of a batch of one.
    window : Box
        The part of the frame that its grid covers.
    """

    prediction: Prediction
    window: Box


@dataclass(frozen=True, eq=False)
class Sighting:
    """Candidates that a click has in one window.

    Attributes
    ----------
    placed : tuple of PlacedLogits
        Their logits.
    boxes : tuple of Box or None
        Where they lie; None where there is none or the window cuts it.
    scores : array (k,)
        Predicted intersections over union.
    """

    placed: tuple[PlacedLogits, ...]
    boxes: tuple[Box | None, ...]
    scores: npt.NDArray[np.float64]

    @classmethod
    def of(cls, answer: Answer, windows: Windows) -> Sighting:
        """Take the candidates of an answer."""
        logits = answer.prediction.masks[0].float().cpu().numpy()
        boxes = [windows.grid_box(each > 0, answer.window) for each in logits]
        return cls(
            tuple(PlacedLogits(each, answer.window, windows.frame_shape) for each in logits),
            tuple(None if b is None or windows.is_cut(answer.window, b) else b for b in boxes),
            answer.prediction.ious[0].double().cpu().numpy(),
        )

    def agreement(self, other: Sighting) -> npt.NDArray[np.float64]:
        """How well each candidate is found again among those of another window, (k,), squared IoU."""
        return _best(self.overlaps(other))

    def overlaps(self, other: Sighting) -> npt.NDArray[np.float64]:
        """IoU of each candidate with each of another window, on the grid of the wider one, (k, l)."""
        wider = self if self.window_area >= other.window_area else other
        grid, cells = Box(*(int(edge) for edge in wider.placed[0].window)), wider.placed[0].logits.shape
        own = np.stack([each.sample(grid, cells) > 0 for each in self.placed])[:, None]
        others = np.stack([each.sample(grid, cells) > 0 for each in other.placed])[None]
        union = (own | others).sum(axis=(2, 3))
        shared: npt.NDArray[np.float64] = (own & others).sum(axis=(2, 3)) / np.maximum(union, 1)
        return shared

    @property
    def window_area(self) -> float:
        """Pixels of the window."""
        y0, x0, y1, x1 = self.placed[0].window
        return (y1 - y0) * (x1 - x0)


def _best(overlaps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    best: npt.NDArray[np.float64] = overlaps.max(axis=1) ** 2
    return best


class Sightings:
    """Sightings in windows of many sizes, and how well what each of them shows is found again in others."""

    def __init__(self) -> None:
        self._all: list[Sighting] = []
        self._alike: list[list[npt.NDArray[np.float64]]] = []

    def add(self, sighting: Sighting) -> None:
        """Compare one more with those before."""
        overlaps = [before.overlaps(sighting) for before in self._all]
        for alike, shared in zip(self._alike, overlaps, strict=True):
            alike.append(_best(shared))
        self._alike.append([_best(shared.T) for shared in overlaps])
        self._all.append(sighting)

    def best(self) -> PlacedLogits | None:
        """Return the candidate that stands in most windows, of those that no window cuts."""
        best, chosen = 0.0, None
        for sighting, alike in zip(self._all, self._alike, strict=True):
            scored = np.sum(alike, axis=0) * sighting.scores
            for k, box in enumerate(sighting.boxes):
                if box is not None and scored[k] > best:
                    best, chosen = float(scored[k]), sighting.placed[k]
        return chosen
