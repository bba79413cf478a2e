"""The prompts that a run starts from: clicks, boxes, label images and saved sessions, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2._cli.arguments import Box, Click
    from napari_sam2.io import SessionDocument
    from napari_sam2.session import Session

_SAID = ("points", "positive", "box", "mask", "candidate")

Seeds = dict[tuple[int, int], FramePrompts]
"""Prompts by (object, frame)."""


@dataclass
class _Draft:
    """The prompts of one object on one frame while they are collected."""

    points: list[tuple[float, float]] = field(default_factory=list)
    positive: list[bool] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None


def seeds_of(clicks: Iterable[Click], boxes: Iterable[Box]) -> Seeds:
    """Collect clicks and boxes by object and frame; clicks keep their order."""
    drafts: dict[tuple[int, int], _Draft] = {}
    for click in clicks:
        draft = drafts.setdefault((click.obj, click.frame), _Draft())
        draft.points.append(click.point)
        draft.positive.append(click.positive)
    for box in boxes:
        draft = drafts.setdefault((box.obj, box.frame), _Draft())
        if draft.box is not None:
            raise ValueError(f"Object {box.obj} has two boxes on frame {box.frame}: give one.")
        draft.box = box.corners
    return {key: FramePrompts(draft.points, draft.positive, draft.box) for key, draft in drafts.items()}


def mask_seeds(labels: NDArray[np.integer], shape: tuple[int, int, int], frame: int) -> Seeds:
    """Take every object of a label image as a drawn mask on the frames where it is.

    Parameters
    ----------
    labels : ndarray of integers
        (H, W), the labels of one frame, or (frames, H, W).
    shape : (int, int, int)
        Frames, height and width of the images.
    frame : int
        The frame that labels of one frame belong to.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"--mask needs a label image of whole numbers, not {labels.dtype}.")
    if labels.shape == shape[1:]:
        planes = {frame: labels}
    elif labels.shape == shape:
        planes = dict(enumerate(labels))
    else:
        raise ValueError(
            f"The label image has shape {labels.shape}, the images {shape}: it must cover the sequence, "
            "or one frame."
        )
    return {
        (int(obj), at): FramePrompts(mask=plane == obj)
        for at, plane in planes.items()
        for obj in np.unique(plane)
        if obj
    }


def session_seeds(saved: SessionDocument) -> Seeds:
    """Take the prompts of a saved session; what was painted or locked there counts as drawn masks."""
    seeds: Seeds = {}
    for row in saved.document["prompts"]:
        obj, frame = int(row["obj"]), int(row["frame"])
        said = {name: row[name] for name in _SAID if name in row}
        mask = saved.arrays.get(f"prompts/{obj}/{frame}/mask")
        seeds[obj, frame] = FramePrompts.from_json(said, mask)
    return seeds


def merged(*sources: Mapping[tuple[int, int], FramePrompts]) -> Seeds:
    """Join prompts; where two sources speak of the same object and frame, clicks and box refine the mask."""
    seeds: Seeds = {}
    for source in sources:
        for key, new in source.items():
            old = seeds.get(key, FramePrompts())
            seeds[key] = FramePrompts(
                points=old.points + new.points,
                positive=old.positive + new.positive,
                box=new.box if new.box is not None else old.box,
                mask=new.mask if new.mask is not None else old.mask,
                candidate=new.candidate if new.candidate is not None else old.candidate,
            )
    return seeds


def check_frames(seeds: Mapping[tuple[int, int], FramePrompts], count: int) -> None:
    """Check that all prompts lie in the sequence, before anything is computed."""
    for obj, frame in seeds:
        if not 0 <= frame < count:
            raise ValueError(f"Object {obj} has a prompt on frame {frame}: the frames are 0 to {count - 1}.")


def plant(session: Session, seeds: Mapping[tuple[int, int], FramePrompts]) -> None:
    """Give the prompts to a session, frame by frame, so that each frame is encoded once."""
    for obj, frame in sorted(seeds, key=lambda key: (key[1], key[0])):
        prompts = seeds[obj, frame]
        if prompts.mask is not None and not prompts.points and prompts.box is None:
            session.paint(obj, frame, prompts.mask)  # its very pixels, not the network's coarser view of them
        else:
            session.set_prompts(obj, frame, prompts)
