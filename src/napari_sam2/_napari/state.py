"""What the dock shows: frozen snapshots that the controller makes and the views draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Colour = tuple[float, float, float, float]
"""Red, green, blue, alpha, 0 to 1."""


class Tool(Enum):
    """What the mouse does in the viewer."""

    POINT = "point"
    BOX = "box"
    OUTLINE = "outline"
    BRUSH = "brush"
    ERASER = "eraser"
    PAN = "pan"


class Activity(Enum):
    """What the inference thread is at."""

    IDLE = "idle"
    PREPARING = "preparing"
    SEEDING = "seeding"
    RENEWING = "renewing"
    ANSWERING = "answering"
    PROPAGATING = "propagating"
    PAUSED = "paused"


@dataclass(frozen=True)
class ImageState:
    """The sequence that is worked on.

    Attributes
    ----------
    layers : tuple of str
        Names of the image layers that can be chosen, in the viewer's order.
    chosen : int or None
        Which of them.
    axes : tuple of str
        Names of the axes that may be frames, such as "z" and "t".
    frame_axis : int or None
        Index into `axes`.
    axis_reason : str
        Why this axis was taken, as a sentence.
    letters : tuple of str
        "z" and "t" where nothing tells which of them the axis of the frames is; else empty.
    letter : int
        Index into `letters`: what it is called in files.
    channels : tuple of str
        What the network may see: channels, "RGB", "composite of visible layers"; empty without a choice.
    channel : int
        Index into `channels`.
    seen : str
        What the model sees, as in "model sees 120-3400, channel 1"; empty before the first prompt.
    dim : str
        That the image fills little of what the model sees, as a sentence; empty if it fills enough of it.
    dim_advice : str
        What to do then.
    problem : str
        Why this image cannot be used, as a sentence; empty if it can.
    frames : int
        How many frames there are; 0 with no image.
    other_axis : str
        Name of the second axis with a slider, as in "t" of (t, z, y, x); empty if there is none.
    loading : bool
        Whether the image is being opened.
    """

    layers: tuple[str, ...] = ()
    chosen: int | None = None
    axes: tuple[str, ...] = ()
    frame_axis: int | None = None
    axis_reason: str = ""
    letters: tuple[str, ...] = ()
    letter: int = 0
    channels: tuple[str, ...] = ()
    channel: int = 0
    seen: str = ""
    dim: str = ""
    dim_advice: str = ""
    problem: str = ""
    frames: int = 0
    other_axis: str = ""
    loading: bool = False


@dataclass(frozen=True)
class ModelState:
    """The network.

    Attributes
    ----------
    names : tuple of str
        What can be chosen; the last one opens a file.
    chosen : int
        Index into `names`.
    detail : str
        Size, version, where it runs; or that it has to be downloaded.
    needs_download : bool
        Whether *Download* is offered.
    answered_by : str
        Name of the network that answers until it is downloaded and loaded; empty if none does.
    download : float or None
        Progress of the download, 0 to 1.
    fetched : str
        The same in words, as in "12 of 156 MB".
    devices : tuple of str
        Devices that can be chosen.
    device : int
        Index into `devices`.
    loading : bool
        Whether the weights are being read.
    problem : str
        Why the model cannot be used, as a sentence; empty if it can.
    """

    names: tuple[str, ...] = ("nano",)
    chosen: int = 0
    detail: str = ""
    needs_download: bool = False
    answered_by: str = ""
    download: float | None = None
    fetched: str = ""
    devices: tuple[str, ...] = ("auto",)
    device: int = 0
    loading: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ToolState:
    """The tool row.

    Attributes
    ----------
    tool : Tool
        The active one.
    positive : bool
        Whether the next point is positive.
    each_click_new : bool
        Whether each click makes an object.
    blocked : str
        Why boxes, outlines and strokes cannot be used now, as a sentence; empty if they can.
    blocked_tools : frozenset of Tool
        Those that cannot be used now, the points among them in the 3-D view.
    candidates : int
        How many candidate masks the last click has; 0 or 1 for no choice.
    candidate : int
        Which of them is shown.
    """

    tool: Tool = Tool.POINT
    positive: bool = True
    each_click_new: bool = False
    blocked: str = ""
    blocked_tools: frozenset[Tool] = frozenset()
    candidates: int = 0
    candidate: int = 0


@dataclass(frozen=True)
class ObjectRow:
    """A row of the objects table.

    Attributes
    ----------
    obj : int
        Id, the label value.
    colour : Colour
        Of the label.
    name : str
        Given by the user, or empty.
    prompts, frames : int
        Prompted frames, and frames with a mask.
    worst : float or None
        Lowest confidence of its tracked frames.
    shown, locked : bool
        Whether it is visible, and whether it is locked as a whole.
    parent : int or None
        Of whom it is a daughter.
    """

    obj: int
    colour: Colour
    name: str = ""
    prompts: int = 0
    frames: int = 0
    worst: float | None = None
    shown: bool = True
    locked: bool = False
    parent: int | None = None


@dataclass(frozen=True)
class ObjectsState:
    """The objects table; `active` and `solo` are ids."""

    rows: tuple[ObjectRow, ...] = ()
    active: int | None = None
    solo: int | None = None


@dataclass(frozen=True)
class ProgressState:
    """What is going on.

    Attributes
    ----------
    activity : Activity
        What the inference thread is at.
    message : str
        One sentence for the user, such as "Looking at frame 12 (a click waits for it)".
    done, total : int
        Steps of the propagation, of the seeding, or of answering prompts anew.
    frames_per_second : float or None
        Of the propagation.
    seconds_left : float or None
        Estimate.
    can_propagate, can_undo, can_redo : bool
        Whether the buttons do anything.
    undo_label, redo_label : str
        What would be undone or redone.
    live : bool
        Whether clicks spread by themselves.
    """

    activity: Activity = Activity.IDLE
    message: str = ""
    done: int = 0
    total: int = 0
    frames_per_second: float | None = None
    seconds_left: float | None = None
    can_propagate: bool = False
    can_undo: bool = False
    can_redo: bool = False
    undo_label: str = ""
    redo_label: str = ""
    live: bool = False


def _no_cells() -> npt.NDArray[np.uint8]:
    return np.zeros((0, 0), np.uint8)


def _no_values() -> npt.NDArray[np.float32]:
    return np.zeros((0, 0), np.float32)


def _no_marks() -> npt.NDArray[np.bool_]:
    return np.zeros((0, 0), np.bool_)


@dataclass(frozen=True, eq=False)
class ReviewState:
    """The review strip: objects x frames.

    Attributes
    ----------
    objects : tuple of int
        Ids of the rows.
    status : array (objects, frames) of uint8
        `napari_sam2.summary.CellStatus`.
    confidence : array (objects, frames) of float32
        0 to 1; NaN where nothing is known.
    jumps, lost : array (objects, frames) of bool
        Sudden changes of area or place; frames on which a tracked object has no mask.
    frame : int
        The frame that is shown.
    active : int or None
        The active object.
    """

    objects: tuple[int, ...] = ()
    status: npt.NDArray[np.uint8] = field(default_factory=_no_cells)
    confidence: npt.NDArray[np.float32] = field(default_factory=_no_values)
    jumps: npt.NDArray[np.bool_] = field(default_factory=_no_marks)
    lost: npt.NDArray[np.bool_] = field(default_factory=_no_marks)
    frame: int = 0
    active: int | None = None


@dataclass(frozen=True)
class FilesState:
    """Saving and loading.

    Attributes
    ----------
    recent : tuple of str
        Earlier work on the image in words, the newest first.
    stem : str
        Path of the image without a suffix, or its name: what files are proposed to be called after.
    """

    recent: tuple[str, ...] = ()
    stem: str = ""


@dataclass(frozen=True)
class DockState:
    """All that the dock shows; `hint` replaces the sentence on top that says what to do next."""

    image: ImageState = field(default_factory=ImageState)
    model: ModelState = field(default_factory=ModelState)
    tools: ToolState = field(default_factory=ToolState)
    objects: ObjectsState = field(default_factory=ObjectsState)
    progress: ProgressState = field(default_factory=ProgressState)
    review: ReviewState = field(default_factory=ReviewState)
    files: FilesState = field(default_factory=FilesState)
    hint: str = ""
