"""Objects that masks of another position are not given to, since something was said of them already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.summary import CellStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2._napari.workspace import Sequence
    from napari_sam2.prompts import PromptKey


def left_out(there: Sequence, keys: Iterable[PromptKey]) -> dict[int, str]:
    """Return which of these objects stay as they are at a position, and why, in a word or two."""
    locked, prompted = _locked(there), _prompted(there)
    lives = {row.obj: row.life for row in there.picture.summary.rows}
    reasons: dict[int, str] = {}
    for key in keys:
        if key.obj in locked:
            reasons[key.obj] = "locked"
        elif key.obj in prompted:
            reasons[key.obj] = "prompted"
        elif key.obj in lives and key.frame not in lives[key.obj]:
            reasons[key.obj] = "begins or ends elsewhere"
    return reasons


def _locked(there: Sequence) -> set[int]:
    """Return the objects that are locked, as a whole or on a frame."""
    summary = there.picture.summary
    on_frames = (summary.cells.status == CellStatus.LOCKED).any(axis=1)
    return {row.obj for row, locked in zip(summary.rows, on_frames, strict=True) if row.locked or locked}


def _prompted(there: Sequence) -> set[int]:
    """Return the objects with prompts and strokes, those among them that wait to be answered."""
    painted = (key for painting in there.paintings for key in painting.known)
    return {key.obj for key in (*there.picture.prompts, *there.declared, *painted)}


def sentence_of(reasons: dict[int, str]) -> str:
    """Tell the user of them; empty if there are none."""
    if not reasons:
        return ""
    told = ", ".join(f"object {obj} ({why})" for obj, why in sorted(reasons.items()))
    return f"Left as {'it is' if len(reasons) == 1 else 'they are'} there: {told}."
