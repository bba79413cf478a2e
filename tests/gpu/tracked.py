"""A phantom tracked by the embedded network, on whatever device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.metrics import jaccard
from napari_sam2.prompts import FramePrompts
from napari_sam2.samples import SampleSequence, drifting_cells
from napari_sam2.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.window import View

Logits = dict[tuple[int, int], "NDArray[np.float32]"]
FRAMES, CELLS = 5, 6
PHANTOM: SampleSequence = drifting_cells(frames=FRAMES, cells=CELLS)


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
    return float(rows[nearest]), float(columns[nearest])


def opened(model: Sam2, view: View = "frame", group_size: int | None = None) -> Session:
    """Open the phantom, one click on each cell."""
    session = Session(PHANTOM.images, model=model, view=view)
    if group_size is not None:
        session._tracker._advance._groups.size = group_size
    for obj in range(1, CELLS + 1):
        place = middle(PHANTOM.labels[0] == obj)
        session.set_prompts(obj, 0, FramePrompts(points=(place,), positive=(True,)))
    return session


def followed(session: Session) -> Logits:
    """Track to the last frame; logits by frame and object."""
    return {
        (result.frame, obj): logits
        for result in session.propagate(direction="forward")
        for obj, logits in zip(result.objects, result.logits, strict=True)
    }


def overlaps(found: Logits, wanted: Logits) -> list[float]:
    """J of all masks; of two empty ones it is 1."""
    assert found.keys() == wanted.keys()
    assert len(found) == FRAMES * CELLS
    return [_overlap(found[key] > 0, wanted[key] > 0) for key in wanted]


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(jaccard(a, b)) if a.any() or b.any() else 1.0


def distance(found: Logits, wanted: Logits) -> float:
    """Largest difference of logits, in units of the largest logit."""
    scale = max(float(np.abs(each).max()) for each in wanted.values())
    return max(float(np.abs(found[key] - wanted[key]).max()) for key in wanted) / scale


def tracked(model: Sam2, **options: Any) -> Logits:
    return followed(opened(model, **options))
