"""What the user says about one object on one frame, and how two sets of such statements differ."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2._labels.packed_mask import PackedMask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BoolArray = NDArray[np.bool_]
Point = tuple[float, float]
PromptBox = tuple[float, float, float, float]
"""(y0, x0, y1, x1) as the user drew it, between pixels too; a box of whole pixels is a `placement.Box`."""
MaskLike = ArrayLike | PackedMask
"""A mask (H, W): pixels, or packed."""

MAX_OBJECT_ID = 2**32 - 1
CANDIDATES = 3
_JSON_KEYS = frozenset({"points", "positive", "box", "mask", "candidate"})


@dataclass(frozen=True, eq=False, init=False, repr=False)
class FramePrompts:
    """The prompts of one object on one frame; a value that never changes.

    Parameters
    ----------
    points : array-like, shape (N, 2)
        Clicks (y, x) in pixels, pixel centres at integers, in the order they were given.
    positive : sequence of N bools
        For each click whether it is on the object (True) or on something else (False).
    box : 4 numbers, optional
        (y0, x0, y1, x1) in the same coordinates; the box of a mask is (min, max + 1).
    mask : array-like of bool, shape (H, W), or PackedMask, optional
        A drawn mask. An all-False mask without other prompts says that the object is not on the frame.
    candidate : int, optional
        0, 1 or 2: which of the network's three proposals the first step takes. None takes the best one.

    Attributes
    ----------
    packed : PackedMask or None
        The mask as it is kept.

    Raises
    ------
    ValueError
        If a value cannot be a prompt: another shape, not finite, a box without area, ...
    TypeError
        If a value is of the wrong kind, such as a mask of text.

    Notes
    -----
    Arrays are accepted and kept as tuples of Python numbers. Of the mask the bits of its box are kept:
    hundreds of whole frames would fill the memory. `mask` unpacks a new write-protected array each time that
    it is asked for; whether there is a mask, and where, `packed` tells at once.
    Two prompts are equal if all their values are; since masks are compared too, prompts are not hashable.
    """

    points: tuple[Point, ...]
    positive: tuple[bool, ...]
    box: PromptBox | None
    mask: BoolArray | None  # unpacked by the property below; a field too, so that `replace` takes it along
    candidate: int | None
    packed: PackedMask | None = field(init=False)

    def __init__(
        self,
        points: ArrayLike = (),
        positive: ArrayLike = (),
        box: ArrayLike | None = None,
        mask: MaskLike | None = None,
        candidate: int | None = None,
    ) -> None:
        values = {
            "points": _points(points),
            "positive": _flags(positive),
            "box": None if box is None else _box(box),
            "packed": None if mask is None else _mask(mask),
            "candidate": None if candidate is None else _candidate(candidate),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the class is frozen
        if len(self.points) != len(self.positive):
            raise ValueError(
                f"{len(self.points)} points came with {len(self.positive)} values of `positive`: "
                "give one True (on the object) or False (elsewhere) for each point"
            )

    @property  # type: ignore[no-redef]  # the field is declared above
    def mask(self) -> BoolArray | None:
        """The pixels of the mask (H, W), unpacked into a new write-protected array."""
        if self.packed is None:
            return None
        mask = self.packed.unpack()
        mask.setflags(write=False)
        return mask

    @property
    def is_empty(self) -> bool:
        """True if nothing is said: no point, no box, no mask."""
        return not self.points and self.box is None and self.packed is None

    @property
    def says_absent(self) -> bool:
        """True if an all-False mask alone says that the object is not on the frame."""
        return self.packed is not None and self.packed.box is None and not self.points and self.box is None

    @property
    def mask_area(self) -> int | None:
        """Pixels of the mask; None if none is given."""
        return None if self.packed is None else self.packed.area

    @property
    def place(self) -> Point | None:
        """Where the first click is, or else the middle of the box (y, x); None where there is neither."""
        if self.points or self.box is None:
            return self.points[0] if self.points else None
        y0, x0, y1, x1 = self.box
        return (y0 + y1) / 2, (x0 + x1) / 2

    def check_frame(self, shape: tuple[int, int]) -> None:
        """Check that all prompts fit a frame.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the frame in pixels.

        Raises
        ------
        ValueError
            If a point lies outside the frame's pixels, which reach from -0.5 to size - 0.5; if a box leaves
            them (it may end at `size`, as the box of a mask at the edge does); if the mask has another shape.
        """
        for point in self.points:
            _check_inside("point", point, shape, margin=-0.5)
        if self.box is not None:
            _check_inside("box corner", self.box[:2], shape, margin=0.0)
            _check_inside("box corner", self.box[2:], shape, margin=0.0)
        if self.packed is not None and self.packed.shape != tuple(shape):
            raise ValueError(
                f"the mask has shape {self.packed.shape}, the frame {tuple(shape)}: "
                "a mask prompt covers a whole frame"
            )

    def to_json(self) -> dict[str, object]:
        """Return the prompts as JSON values; of the mask only a mark that there is one (``"mask": true``)."""
        document: dict[str, object] = {
            "points": [list(point) for point in self.points],
            "positive": list(self.positive),
        }
        if self.box is not None:
            document["box"] = list(self.box)
        if self.packed is not None:
            document["mask"] = True
        if self.candidate is not None:
            document["candidate"] = self.candidate
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, object], mask: MaskLike | None = None) -> FramePrompts:
        """Build prompts from the values of `to_json`.

        Parameters
        ----------
        document : mapping
            What `to_json` returned.
        mask : array-like of bool, shape (H, W), or PackedMask, optional
            The mask, which is stored elsewhere. It must be given if, and only if, the document marks one.

        Raises
        ------
        ValueError
            If a key is unknown, the mask is missing or unexpected, or a value cannot be a prompt.
        """
        unknown = sorted(set(document) - _JSON_KEYS)
        if unknown:
            raise ValueError(f"unknown entries {unknown} in stored prompts: known are {sorted(_JSON_KEYS)}")
        marked = bool(document.get("mask", False))
        if marked != (mask is not None):
            told = "mark a mask, and none came" if marked else "mark no mask, and one came"
            raise ValueError(f"the stored prompts {told}: the session's files do not belong together")
        values: dict[str, object] = {**document, "mask": mask}
        return cls(**values)  # type: ignore[arg-type]  # foreign values, checked by the constructor

    __hash__ = None  # type: ignore[assignment]  # masks are compared by content

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FramePrompts):
            return NotImplemented
        return self is other or self._values() == other._values()

    def __repr__(self) -> str:
        parts = [f"points={self.points}, positive={self.positive}"] if self.points else []
        parts += [] if self.box is None else [f"box={self.box}"]
        packed = self.packed
        parts += [] if packed is None else [f"mask=<{packed.shape}, {packed.area} pixels>"]
        parts += [] if self.candidate is None else [f"candidate={self.candidate}"]
        return f"FramePrompts({', '.join(parts)})"

    def _values(self) -> tuple[object, ...]:
        return self.points, self.positive, self.box, self.candidate, self.packed


@dataclass(frozen=True, order=True, slots=True)
class PromptKey:
    """Where prompts belong: object id and frame."""

    obj: int
    frame: int


@dataclass(frozen=True)
class PromptDifference:
    """What to set and what to remove to get from one set of prompts to another."""

    changed: dict[PromptKey, FramePrompts]
    removed: tuple[PromptKey, ...]

    @property
    def is_empty(self) -> bool:
        """True if both sets say the same."""
        return not self.changed and not self.removed


def difference(
    old: Mapping[PromptKey, FramePrompts], new: Mapping[PromptKey, FramePrompts]
) -> PromptDifference:
    """Compare two sets of prompts.

    Empty prompts count as none, so that ``FramePrompts()`` in `new` removes what `old` has.

    Parameters
    ----------
    old, new : mapping of PromptKey to FramePrompts

    Returns
    -------
    PromptDifference
        Entries sorted by object, then frame.
    """
    before = {key: prompts for key, prompts in old.items() if not prompts.is_empty}
    after = {key: prompts for key, prompts in new.items() if not prompts.is_empty}
    changed = {key: after[key] for key in sorted(after) if before.get(key) != after[key]}
    return PromptDifference(changed=changed, removed=tuple(sorted(before.keys() - after.keys())))


def check_object_id(obj: object) -> int:
    """Return an object id as a Python int.

    Raises
    ------
    TypeError
        If it is not an integer (bools and floats are none).
    ValueError
        If it is below 1 or above 2**32 - 1, the largest label value that can be stored.
    """
    number = _integer(obj, "object id")
    if not 1 <= number <= MAX_OBJECT_ID:
        raise ValueError(f"the object id is {number}: give a whole number from 1 to {MAX_OBJECT_ID}")
    return number


def _integer(value: object, name: str) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"the {name} is {value!r}: give a whole number")
    try:
        return operator.index(value)  # type: ignore[arg-type]  # the error below is for what has no index
    except TypeError:
        raise TypeError(
            f"the {name} is {value!r} of type {type(value).__name__}: give a whole number"
        ) from None


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise ValueError(f"{name} must form a regular list of numbers, {values!r} came") from None
    if array.size and array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, {values!r} came")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, {array.tolist()} came")
    return array


def _points(values: ArrayLike) -> tuple[Point, ...]:
    array = _numbers(values, "points")
    if array.size == 0:
        return ()
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"points must be a list of (y, x), an array of shape (N, 2); shape {array.shape} came"
        )
    return tuple((float(y), float(x)) for y, x in array)


def _flags(values: ArrayLike) -> tuple[bool, ...]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"`positive` must be a list with one bool for each point, shape {array.shape} came")
    if not _is_bool_like(array):
        raise ValueError(f"`positive` must hold True and False, {array.tolist()} came")
    return tuple(bool(value) for value in array)


def _box(values: ArrayLike) -> PromptBox:
    array = _numbers(values, "the box")
    if array.shape != (4,):
        raise ValueError(f"a box is (y0, x0, y1, x1), an array of shape {array.shape} came")
    y0, x0, y1, x1 = (float(value) for value in array)
    for axis, low, high in (("y", y0, y1), ("x", x0, x1)):
        if low > high:
            raise ValueError(
                f"the box {(y0, x0, y1, x1)} has its {axis} corners swapped, "
                f"{axis}0 = {low} > {axis}1 = {high}: give (y0, x0, y1, x1), the smaller values first"
            )
        if low == high:
            raise ValueError(f"the box {(y0, x0, y1, x1)} has no area: {axis}0 and {axis}1 are both {low}")
    return y0, x0, y1, x1


def _mask(values: MaskLike) -> PackedMask:
    if isinstance(values, PackedMask) and 0 not in values.shape:
        return values
    array = values.unpack() if isinstance(values, PackedMask) else np.asarray(values)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"a mask is a two-dimensional array (H, W), shape {array.shape} came")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a mask holds True and False, an array of type {array.dtype} came")
    if not _is_bool_like(array):
        raise ValueError(
            f"a mask holds True and False (or 1 and 0), an array of {array.dtype} with other values came: "
            "compare it first, as in `labels == 3`"
        )
    return PackedMask.pack(array.astype(np.bool_, copy=False))


def _candidate(value: int) -> int:
    number = _integer(value, "candidate")
    if not 0 <= number < CANDIDATES:
        raise ValueError(f"the candidate is {number}: give 0, 1 or 2, or None for the best one")
    return number


def _is_bool_like(array: NDArray[np.generic]) -> bool:
    if array.dtype.kind == "b" or array.size == 0:
        return True
    return array.dtype.kind in "iuf" and bool(((array == 0) | (array == 1)).all())


def _check_inside(what: str, corner: Sequence[float], shape: tuple[int, int], margin: float) -> None:
    for axis, value, size in zip("yx", corner, shape, strict=True):
        if not -0.5 <= value <= size + margin:
            raise ValueError(
                f"a {what} has {axis} = {value:g}, outside the frame of {shape[0]} x {shape[1]} pixels: "
                f"{axis} must be from -0.5 to {size + margin:g}"
            )
