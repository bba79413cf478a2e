"""What is typed on the command line, as values; errors repeat what came and show the form that is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Signed = Parameter(allow_leading_hyphen=True)
"""For values that may begin with a minus sign."""


DEFAULT_MODEL = "nano"


@dataclass(frozen=True)
class Click:
    """A click on an object, or beside it, in pixels."""

    obj: int
    frame: int
    point: tuple[float, float]
    positive: bool


@dataclass(frozen=True)
class BoxArgument:
    """A box (y0, x0, y1, x1) around an object, in pixels."""

    obj: int
    frame: int
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class ImageOptions:
    """How to read the images.

    Parameters
    ----------
    axis
        Axis that the frames lie along. By default what the file calls t, else z, else the first one.
    index
        AXIS:I, for images of four dimensions: the position on an axis that is neither frames nor picture.
    channel
        Number of a channel, or rgb, or grey if a last axis of 3 or 4 is not colour.
    contrast
        LOW,HIGH: the intensities shown black and white. By default 8-bit images stay as they are, others are
        stretched between their percentiles 0.5 and 99.8.
    level
        Resolution of an OME-Zarr or pyramidal TIFF, 0 is the finest.
    series
        Which image of a file that has several.
    """

    axis: Annotated[int | None, Signed] = None
    index: Annotated[tuple[str, ...], Signed] = ()
    channel: str | None = None
    contrast: Annotated[str | None, Signed] = None
    level: int | None = None
    series: int | None = None


@dataclass(frozen=True)
class KeepingOptions:
    """What is kept on disk while objects are tracked.

    Parameters
    ----------
    labels_on_disk
        Stream labels to the output, which is an .ome.zarr then: the memory does not grow with the sequence.
        Until it is complete it is called NAME.unfinished.ome.zarr.
    checkpoint_seconds
        With labels on disk: how often, at most, what is done is kept for the case that the run is killed. The
        next run of the same command goes on with it.
    feature_folder
        Folder that image features are kept in: the same images and network need not be encoded again.
    feature_gigabytes
        Size that this folder may have.
    """

    labels_on_disk: bool = False
    checkpoint_seconds: float = 20.0
    feature_folder: Path | None = None
    feature_gigabytes: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what would change nothing: who says it means something else."""
        if self.checkpoint_seconds != KeepingOptions.checkpoint_seconds and not self.labels_on_disk:
            raise ValueError("--checkpoint-seconds goes with --labels-on-disk: without it nothing is kept.")
        if self.feature_gigabytes != KeepingOptions.feature_gigabytes and self.feature_folder is None:
            raise no_feature_folder()

    @property
    def of_session(self) -> dict[str, Any]:
        """The options of `Session` that say so."""
        if self.feature_folder is None:
            return {}
        return {"feature_folder": self.feature_folder, "feature_bytes": int(self.feature_gigabytes * 2**30)}


@dataclass(frozen=True)
class ModelOptions:
    """Which network, and where it runs.

    Parameters
    ----------
    model
        nano (inside the package, the default), the name of a released checkpoint (see: models list), or a
        path to a .pt or .safetensors file.
    device
        auto, cpu, cuda or mps.
    image_size
        Side that frames are resized to, a multiple of 32; by default what the network was trained with.
    precision
        auto, or float32 for the reference's numbers.
    view
        What the network looks at: the whole frame, a window that follows each object, or auto, a window
        where it shows the object larger than the frame would.
    window_size
        Side that windows are resampled to, a multiple of 32; by default image_size, at most 256.
    memory
        Which tracked frames are remembered: plain, the last ones, or some of quality,motion,anchors,blinks;
        by default blinks for small networks such as nano, plain for released ones.
    """

    model: str | None = None
    device: str = "auto"
    image_size: int | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    view: Literal["auto", "frame", "window"] | None = None
    window_size: int | None = None
    memory: str | None = None

    @property
    def name(self) -> str:
        """The model that was named, or the default."""
        return self.model or DEFAULT_MODEL


def parse_click(text: str) -> Click:
    """Read ``OBJ:FRAME,Y,X`` (on the object) or ``OBJ:FRAME,Y,X,-`` (not on the object)."""
    form = "OBJ:FRAME,Y,X, or OBJ:FRAME,Y,X,- for a click beside the object"
    obj, rest = _object(text, form)
    positive = not rest.endswith(",-")
    frame, y, x = _numbers(text, rest.removesuffix(",-"), 3, form)
    return Click(obj, _whole(text, frame, form), (y, x), positive)


def parse_box(text: str) -> BoxArgument:
    """Read ``OBJ:FRAME,Y0,X0,Y1,X1``."""
    form = "OBJ:FRAME,Y0,X0,Y1,X1"
    obj, rest = _object(text, form)
    frame, y0, x0, y1, x1 = _numbers(text, rest, 5, form)
    return BoxArgument(obj, _whole(text, frame, form), (y0, x0, y1, x1))


def parse_frames(text: str | None, count: int) -> range | None:
    """Read ``A:B``, the frames from A up to, not including, B; either may be left out."""
    if text is None:
        return None
    form = "A:B, the frames from A up to, not including, B"
    first, colon, last = text.partition(":")
    if not colon:
        raise _misread(text, form)
    try:
        frames = range(int(first or 0), int(last or count))
    except ValueError:
        raise _misread(text, form) from None
    if not frames or frames.start < 0 or frames.stop > count:
        raise ValueError(f"--frames {text}: the sequence has the frames 0:{count}, give a part of it.")
    return frames


def parse_index(texts: tuple[str, ...]) -> dict[int, int] | None:
    """Read any number of ``AXIS:I``."""
    form = "AXIS:I, such as 1:3 for position 3 on axis 1"
    index: dict[int, int] = {}
    for text in texts:
        axis, rest = _object(text, form)
        (number,) = _numbers(text, rest, 1, form)
        position = _whole(text, number, form)
        if index.setdefault(axis, position) != position:
            raise ValueError(
                f"--index: axis {axis} has two positions, {index[axis]} and {position}: give one."
            )
    return index or None


def parse_channel(text: str | None) -> int | Literal["rgb", "grey"] | None:
    """Read the number of a channel, or ``rgb`` or ``grey``."""
    if text is None or text in {"rgb", "grey"}:
        return text  # type: ignore[return-value]
    try:
        return int(text)
    except ValueError:
        raise _misread(text, "the number of a channel, or rgb or grey") from None


def parse_contrast(text: str | None) -> tuple[float, float] | None:
    """Read ``LOW,HIGH``."""
    if text is None:
        return None
    low, high = _numbers(text, text, 2, "LOW,HIGH")
    return low, high


def no_feature_folder() -> ValueError:
    """Return the error of a size that is given for no folder."""
    return ValueError("--feature-gigabytes goes with --feature-folder: without it no features are kept.")


def check_results(folder: Path) -> None:
    """Fail before the work, not after it, where results cannot be in a folder of that name."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder for results: choose another one.")


def check_output(path: Path) -> None:
    """Fail before the work, not after it, if labels cannot be written to a path."""
    if path.suffix.lower() not in {".tif", ".tiff", ".zarr"} and not path.name.endswith("_RES"):
        raise ValueError(
            f"Cannot tell the format of {path}: end the name in .tif or .ome.zarr, or in _RES for a folder "
            "of the Cell Tracking Challenge."
        )
    check_folder(path)
    from napari_sam2.io.exporting import check_target

    check_target(path)


def check_session(path: Path) -> None:
    """Fail before the work, not after it, if a session cannot be written to a path."""
    check_folder(path)
    from napari_sam2.io.session_file import check_place

    check_place(path)


def check_file(path: Path) -> None:
    """Fail early if a file cannot be written under a name."""
    check_folder(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the name of a file.")


def check_folder(path: Path) -> None:
    """Fail early if the folder that a file shall go to is not there, or takes no files."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder} to write {path.name} into: make it first.")
    if not os.access(folder, os.W_OK):
        raise ValueError(
            f"{path.name} cannot be written into {folder}, which is read-only: choose another one."
        )


def check_input(path: Path) -> None:
    """Fail with the name of a file that is not there."""
    if not path.exists():
        raise ValueError(f"There is no file {path}.")


def _object(text: str, form: str) -> tuple[int, str]:
    head, colon, rest = text.partition(":")
    if not colon:
        raise _misread(text, form)
    try:
        return int(head), rest
    except ValueError:
        raise _misread(text, form) from None


def _numbers(text: str, part: str, count: int, form: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in part.split(","))
    except ValueError:
        raise _misread(text, form) from None
    if len(numbers) != count:
        raise _misread(text, form)
    return numbers


def _whole(text: str, number: float, form: str) -> int:
    if not number.is_integer():
        raise _misread(text, form)
    return int(number)


def _misread(text: str, form: str) -> ValueError:
    return ValueError(f"Cannot read {text!r}: the form is {form}.")
