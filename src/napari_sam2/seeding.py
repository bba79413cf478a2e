"""The prompts that a run starts from: label images and saved sessions, joined and given to a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from napari_sam2._session.stored_prompts import read_prompts
from napari_sam2.prompts import MAX_OBJECT_ID, FramePrompts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.io import SessionDocument
    from napari_sam2.session import Session
    from napari_sam2.volume import Volume

_PLANES_TO_LOOK_AT = 16
_MANY_VALUES, _MANY_PIECES = 16, 8

Seeds = dict[tuple[int, int], FramePrompts]
"""Prompts by (object, frame)."""


def read_labels(path: Path) -> NDArray[np.integer]:
    """Read a label image whole, from any format that images come in, or from `labels` in an .npz file.

    Whole numbers may be stored as floating-point ones, as ImageJ does.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds no label image.
    """
    if path.suffix.lower() == ".npz":
        labels = _stored_labels(path)
    else:
        from napari_sam2.io import open_image

        labels = np.asarray(open_image(path).array)
    whole = labels if np.issubdtype(labels.dtype, np.integer) else _as_integers(labels)
    if whole is None:
        raise ValueError(
            f"{path} holds {labels.dtype}, not the whole numbers of a label image: give one in which each "
            "object has a number of its own, and the background 0."
        )
    if shows_intensities(whole):
        raise ValueError(
            f"{path} is no label image: its values change from pixel to pixel, as intensities do. Give one "
            "in which each object has a number of its own, and the background 0."
        )
    return whole


def shows_intensities(values: NDArray[np.integer]) -> bool:
    """Tell whether values are intensities rather than ids of objects.

    They are if most neighbours that are not 0 differ: of objects, however small and close, few do. And they
    are if many differ by little and most values lie in many pieces, as in smooth images: the ids of objects
    that touch are not so alike, or each is in one piece.

    Parameters
    ----------
    values : array of integers (..., H, W)
    """
    if values.ndim < 2 or not values.size:
        return False
    planes = values.reshape(-1, *values.shape[-2:])
    planes = planes[:: -(-len(planes) // _PLANES_TO_LOOK_AT) or 1]
    pairs, differing, alike = np.sum([_neighbours(plane) for plane in planes], axis=0).tolist()
    if 2 * differing > pairs:
        return True
    if 8 * differing <= pairs or 3 * alike < 2 * differing:
        return False
    return _is_in_pieces(max(planes, key=np.count_nonzero))


class _Neighbours(NamedTuple):
    """Pairs of neighbours that are not 0: how many there are, differ, and differ by little."""

    pairs: int
    differing: int
    alike: int


def _neighbours(plane: NDArray[np.integer]) -> _Neighbours:
    inside = plane[plane != 0]
    little = max(1, min(int(np.ptp(inside)), 255) // 32) if inside.size else 1
    pairs = differing = alike = 0
    for one, other in ((plane[:, 1:], plane[:, :-1]), (plane[1:], plane[:-1])):
        both = (one != 0) & (other != 0)
        apart = (np.maximum(one, other) - np.minimum(one, other))[both]
        pairs += apart.size
        differing += int(np.count_nonzero(apart))
        alike += int(np.count_nonzero((apart > 0) & (apart <= little)))
    return _Neighbours(pairs, differing, alike)


def _is_in_pieces(plane: NDArray[np.integer]) -> bool:
    """Tell whether there are many values, of most of which there are many pieces."""
    from skimage.measure import label

    pieces = label(plane.astype(np.int64), connectivity=2)
    _, first = np.unique(pieces, return_index=True)
    values = plane.ravel()[first]
    counts = np.unique(values[values != 0], return_counts=True)[1]
    return counts.size >= _MANY_VALUES and bool(np.median(counts) >= _MANY_PIECES)


def _as_integers(values: NDArray[Any]) -> NDArray[np.integer] | None:
    """Return whole numbers that are stored as floating-point ones; None if they are anything else."""
    if not np.issubdtype(values.dtype, np.floating):
        return None
    inside = (values >= 0) & (values < MAX_OBJECT_ID + 1)
    return values.astype(np.uint32) if inside.all() and not (values % 1).any() else None


def _stored_labels(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name == "labels"}
            names = ", ".join(stored.files)
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as labels: {error}.") from error
    if not arrays:
        raise ValueError(f"{path} has no array `labels`; it has {names}.")
    return np.asarray(arrays["labels"])


def shown_labels(labels: NDArray[np.integer], volume: Volume) -> NDArray[np.integer]:
    """Take of a label image what a sequence shows of its images.

    Parameters
    ----------
    labels : array of integers
        With the axes of the images. Those may be missing along which one position is shown, the colours, and
        in labels of one frame that of the frames; axes of length 1 do not count.
    volume : Volume
        The images as frames.

    Returns
    -------
    array of integers
        (frames, H, W), or (H, W) of one frame.

    Raises
    ------
    ValueError
        If the labels have other axes, or more than one way fits.
    """
    shown = {volume.shape, volume.frame_shape}
    short = labels.reshape([length for length in labels.shape if length != 1])
    for each in (labels, short):
        if each.shape in shown:
            return each
    frames, fixed = int(volume.options()["axis"]) % len(volume.data.shape), _shown_positions(volume)
    axes = _axes_of(labels.shape, volume, frames, fixed)
    taken = labels[tuple(_at(axis, n, fixed) for axis, n in zip(axes, labels.shape, strict=True))]
    left = [axis for axis in axes if axis not in fixed]
    return np.moveaxis(taken, left.index(frames), 0) if frames in left else taken


def _axes_of(
    lengths: Sequence[int], volume: Volume, frames: int, fixed: Mapping[int, int]
) -> tuple[int, ...]:
    """Tell which axes of the images labels have; that of the frames is missing only if nothing else fits."""
    shape = tuple(volume.data.shape)
    fitting = _fitting_axes(lengths, shape, fixed, set(fixed))
    fitting = fitting or _fitting_axes(lengths, shape, fixed, {frames, *fixed})
    if len(fitting) == 1:
        return fitting[0]
    verb = "fit, in more than one way," if fitting else "do not fit"
    raise ValueError(
        f"Labels of shape {tuple(lengths)} {verb} images of shape {shape}. Of those {volume.shape} is shown "
        "(frames, height, width): give labels of that, or of all."
    )


def _shown_positions(volume: Volume) -> dict[int, int]:
    """Positions that are shown of axes which are neither frames, rows nor columns."""
    colour = {len(volume.data.shape) - 1: 0} if volume.channels == 3 else {}
    return {int(axis): int(at) for axis, at in volume.options()["index"].items()} | colour


def _fitting_axes(
    lengths: Sequence[int], shape: Sequence[int], fixed: Mapping[int, int], missing: AbstractSet[int]
) -> list[tuple[int, ...]]:
    """Find the ways in which the axes of labels can be axes of images of which some may be missing."""
    every = range(len(shape))
    return [
        axes
        for axes in combinations(every, len(lengths))
        if set(every).difference(axes) <= missing
        and all(n == shape[axis] or (n == 1 and axis in fixed) for axis, n in zip(axes, lengths, strict=True))
    ]


def _at(axis: int, length: int, fixed: Mapping[int, int]) -> int | slice:
    if axis not in fixed:
        return slice(None)
    return fixed[axis] if length > 1 else 0


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
        raise ValueError(f"a label image holds whole numbers, not {labels.dtype}.")
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
    rows = saved.document["prompts"]
    return {(int(row["obj"]), int(row["frame"])): read_prompts(row, saved.arrays) for row in rows}


def check_level(said: Mapping[str, Any], images: Path, level: int | None) -> None:
    """Check that images are opened at the resolution that the prompts of a session were given at.

    Parameters
    ----------
    said : mapping
        What a saved session says of its images.
    images : Path
        To be opened.
    level : int or None
        That was chosen; None: that of the session.

    Raises
    ------
    ValueError
        If they are the images of the session at another level.
    """
    own = said.get("level", 0)
    if level not in {None, own} and said.get("location") == str(images.resolve()):
        raise ValueError(
            f"The prompts of the session are in pixels of level {own} of {images}: choose no other."
        )


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
                mask=new.packed if new.packed is not None else old.packed,
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
        if prompts.packed is not None and not prompts.points and prompts.box is None:
            # Its very pixels, not the network's coarser view of them.
            session.paint(obj, frame, prompts.packed)
        else:
            session.set_prompts(obj, frame, prompts)
