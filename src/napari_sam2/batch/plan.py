"""What a batch is to do: sequences, where their prompts come from, and options, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_sam2.cleanup import Cleanup
from napari_sam2.passes import Direction, check_direction

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["zarr", "tif", "ctc"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: Mapping[Format, str] = {"zarr": "_labels.ome.zarr", "tif": "_labels.tif", "ctc": "_RES"}
"""What the names of results end in."""

_TIFF = ("tif", "tiff", "btf", "tf8", "lsm", "stk")
_SUFFIXES = (
    ".companion.ome",
    *(f".ome.{each}" for each in (*_TIFF, "zarr")),
    *(f".{each}" for each in (*_TIFF, "zarr", "npy", "npz")),
)
# Options that change nothing in the labels.
_NO_MATTER = frozenset({"checkpoint_seconds", "feature_folder", "feature_gigabytes"})


@dataclass(frozen=True)
class SequencePlan:
    """One sequence, and what says which objects to track in it.

    Parameters
    ----------
    name : str
        What its results are called.
    images : Path
        File or folder that `napari_sam2.io.open_image` opens.
    session : Path or None
        Saved session whose prompts are taken. If it was made of these very images by this model, it goes on
        where it was saved.
    seeds : Path or None
        Label image of the sequence, or of one frame.
    seeds_frame : int
        The frame that a label image of one frame belongs to.
    """

    name: str
    images: Path
    session: Path | None = None
    seeds: Path | None = None
    seeds_frame: int = 0


@dataclass(frozen=True)
class ModelChoice:
    """Which network; see `napari_sam2.load_model`.

    Parameters
    ----------
    name : str or None
        A name, or the path of a file; None: the one that the sessions were made by, else ``"nano"``.
    device, precision : str
        Where and how precisely it runs; ``"auto"`` gives each worker of a machine a GPU of its own, as far as
        there are any.
    image_size : int or None
        Side that frames are resized to.
    """

    name: str | None = None
    device: str = "auto"
    image_size: int | None = None
    precision: str = "auto"


@dataclass(frozen=True)
class Options:
    """How sequences are read, tracked and written.

    Parameters
    ----------
    volume : mapping
        `axis`, `index`, `channel` and `contrast` as `Session` takes them, where they are chosen; else they
        are those of the saved session, or the axis that the file tells.
    series, level : int or None
        Which image of a file, and which resolution; None: that of the saved session, else the first, finest.
    frames : (int or None, int or None), optional
        First frame to track and the one to stop before.
    direction : {"both", "forward", "backward"}
        See `Session.propagate`.
    format : {"zarr", "tif", "ctc"}
        Of the labels.
    save_sessions : bool
        Save a session beside each result, to be looked at and corrected.
    cleanup : Cleanup
        What is mended in masks.
    checkpoint_seconds : float
        How often, at most, the state of an unfinished sequence goes to disk.
    feature_folder : Path or None
        Folder that image features are kept in, which all workers may share.
    feature_gigabytes : float
        Size that this folder may have.

    Raises
    ------
    ValueError
        If a direction, format or size is none.
    """

    volume: Mapping[str, Any] = field(default_factory=dict)
    series: int | None = None
    level: int | None = None
    frames: tuple[int | None, int | None] | None = None
    direction: Direction = "both"
    format: Format = "zarr"
    save_sessions: bool = False
    cleanup: Cleanup = field(default_factory=Cleanup)
    checkpoint_seconds: float = 20.0
    feature_folder: Path | None = None
    feature_gigabytes: float = 20.0

    def __post_init__(self) -> None:
        check_direction(self.direction)
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {self.format!r}")
        for name in ("feature_gigabytes", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more; got {getattr(self, name)}")

    @property
    def keeping(self) -> dict[str, Any]:
        """The options of `Session` that say what is kept on disk beside the labels."""
        if self.feature_folder is None:
            return {}
        return {"feature_folder": self.feature_folder, "feature_bytes": int(self.feature_gigabytes * 2**30)}

    def matter(self) -> dict[str, Any]:
        """Return what the labels depend on, fit for JSON."""
        said = {name: value for name, value in asdict(self).items() if name not in _NO_MATTER}
        index = {str(axis): at for axis, at in (self.volume.get("index") or {}).items()}
        return {**said, "volume": {**self.volume, "index": index}}

    def limits(self, count: int) -> range | None:
        """Return the frames to track of so many.

        Raises
        ------
        ValueError
            If the sequence has not all of them.
        """
        if self.frames is None:
            return None
        first, last = self.frames
        frames = range(first or 0, count if last is None else last)
        if not frames or frames.start < 0 or frames.stop > count:
            raise ValueError(f"frames {frames.start}:{frames.stop}: the sequence has the frames 0:{count}")
        return frames


@dataclass(frozen=True)
class Plan:
    """A batch.

    Parameters
    ----------
    sequences : tuple of SequencePlan
        In the order in which they begin; no two of one name.
    output : Path
        Folder of the results.
    model : ModelChoice
        One for all.
    options : Options
        The same for all.

    Raises
    ------
    ValueError
        If there is nothing to do, a name is none for a file, two sequences have one, or a result would
        replace an image.
    """

    sequences: tuple[SequencePlan, ...]
    output: Path
    model: ModelChoice = ModelChoice()
    options: Options = Options()

    def __post_init__(self) -> None:
        if not self.sequences:
            raise ValueError("there is nothing to do: the plan has no sequences")
        seen: dict[str, Path] = {}
        for each in self.sequences:
            if not each.name or each.name != Path(each.name).name or "\\" in each.name:
                raise ValueError(
                    f"{each.images} cannot be called {each.name!r}: its results are files of that name, "
                    "give it one without slashes"
                )
            if each.name in seen:
                raise ValueError(
                    f"{seen[each.name]} and {each.images} would both be called {each.name}: "
                    "give one of them a name of its own"
                )
            seen[each.name] = each.images
            if each.images.resolve() == self.result(each.name).resolve():
                raise ValueError(
                    f"{each.images} would be replaced by its labels: choose another output folder"
                )

    def result(self, name: str) -> Path:
        """Return where the labels of a sequence are written."""
        return self.output / f"{name}{ENDINGS[self.options.format]}"

    def with_prompts(self, *, session: Path | None = None, seeds: Path | None = None) -> Plan:
        """Give a session or label image to all sequences that have none of their own."""
        given = tuple(
            replace(each, session=session, seeds=seeds)
            if each.session is None and each.seeds is None
            else each
            for each in self.sequences
        )
        return replace(self, sequences=given)


def sequence_name(images: Path) -> str:
    """Return the name of a file without what tells its kind."""
    lower = images.name.lower()
    ending = next((each for each in _SUFFIXES if lower.endswith(each)), "")
    return images.name[: len(images.name) - len(ending)] or images.name


def is_image(path: Path) -> bool:
    """Tell by its name whether a file or folder may hold images to track in."""
    lower = path.name.lower()
    stem = sequence_name(path).lower()
    if lower.startswith(".") or lower.endswith(".sam2.zarr") or stem.endswith(("_seeds", "_labels", "_res")):
        return False
    if path.is_dir():
        return lower.endswith(".zarr") or any(
            each.suffix.lower() in {".tif", ".tiff"} and is_image(each) for each in path.iterdir()
        )
    return lower.endswith(_SUFFIXES)


def beside(images: Path, candidates: Sequence[str]) -> Path | None:
    """Return the first of these names that is there beside the images."""
    found = (images.with_name(name) for name in candidates)
    return next((each for each in found if each.exists()), None)
