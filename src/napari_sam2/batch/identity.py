"""What a result depends on, as checksums, and the marker that says that it is complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from napari_sam2._model import registry
from napari_sam2.io import image_files
from napari_sam2.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam2.batch.plan import ModelChoice, Options, SequencePlan

MadeFrom: TypeAlias = Mapping[str, str]
"""Checksums of all that a result depends on, each under what people call it."""

WHOLE = 64 * 2**20
"""Files of up to so many bytes are summed up whole, larger ones by size, time of change and both ends."""
_END = 2**20
_VERSION = 1


def digest(path: Path, without: Sequence[Path] = ()) -> str:
    """Sum up a file or folder in a sha256.

    Of a folder, names, sizes and times of change of all files count; of an OME-TIFF, the files that it names.

    Parameters
    ----------
    path : Path
        The file or folder.
    without : sequence of Path
        Files and folders within it that do not count.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    sum_up = hashlib.sha256()
    for part in _folder_parts(path, without) if path.is_dir() else _file_parts(path):
        sum_up.update(part)
    return sum_up.hexdigest()


def extent(path: Path) -> str:
    """Sum up names and sizes alone, which stay the same in a copy."""
    sum_up = hashlib.sha256()
    for name, status in _files(path) if path.is_dir() else [("", path.stat())]:
        sum_up.update(f"{name} {status.st_size}\n".encode())
    return sum_up.hexdigest()


def _file_parts(path: Path) -> Iterator[bytes]:
    first, *others = image_files(path)
    yield from _parts_of_one(first)
    for each in others:
        yield each.name.encode()
        yield from _parts_of_one(each)


def _parts_of_one(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_size <= WHOLE:
            while part := file.read(_END):
                yield part
            return
        yield f"{status.st_size} {status.st_mtime_ns}".encode()
        yield file.read(_END)
        file.seek(-_END, os.SEEK_END)
        yield file.read(_END)


def _folder_parts(path: Path, without: Sequence[Path]) -> Iterator[bytes]:
    for name, status in _files(path, without):
        yield f"{name} {status.st_size} {status.st_mtime_ns}\n".encode()


def _files(path: Path, without: Sequence[Path] = ()) -> Iterator[tuple[str, os.stat_result]]:
    """List the files below a folder in an order that is the same everywhere."""
    left_out = {each.resolve() for each in without}
    for folder, folders, files in os.walk(path.resolve()):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here / name not in left_out)
        for name in sorted(files):
            if here / name not in left_out:
                yield (here / name).relative_to(path.resolve()).as_posix(), (here / name).stat()


def model_digest(choice: ModelChoice) -> str:
    """Sum up the weights that a name stands for, without loading them; released ones are known by theirs.

    Raises
    ------
    ValueError, CheckpointError
        If it is no model, or the path of a file that is not there.
    """
    from napari_sam2._model.weights import EMBEDDED, checkpoint_file, embedded_path

    name = choice.name or EMBEDDED
    if name == EMBEDDED:
        return digest(embedded_path())
    known = registry.RELEASED.get(name)
    return known.sha256 if known else digest(checkpoint_file(name))


def inputs_digest(sequence: SequencePlan) -> str:
    """Sum up images and prompts of a sequence.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    """
    files = {"images": sequence.images, "session": sequence.session, "seeds": sequence.seeds}
    sums = {name: digest(path) for name, path in files.items() if path is not None}
    if sequence.session is not None:
        arrays = sequence.session.with_suffix(".zarr")
        sums["arrays"] = digest(arrays) if arrays.exists() else ""
    return _of_json({**sums, "seeds_frame": sequence.seeds_frame})


def fingerprint(inputs: str, weights: str, choice: ModelChoice, options: Options) -> MadeFrom:
    """Sum up all that labels depend on: inputs, weights, options."""
    model = {"weights": weights, "image_size": choice.image_size, "precision": choice.precision}
    return made_from(inputs, model, options.matter())


def made_from(inputs: object, model: object, options: object) -> MadeFrom:
    """Sum up inputs, network and options, which are fit for JSON, each by itself."""
    said = {"images or prompts": inputs, "model": model, "options": options}
    return {name: _of_json([_VERSION, value]) for name, value in said.items()}


def difference(before: object, now: MadeFrom) -> str:
    """Say in what something that is stored was made from other things; empty if from the same."""
    if not isinstance(before, Mapping) or before.keys() != now.keys():
        return "it was made by another version of this program"
    names = [name for name, checksum in now.items() if before[name] != checksum]
    return " and ".join(f"the {name}" for name in names) + " changed" if names else ""


def _of_json(said: object) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Marker:
    """What is kept of a result that is complete.

    Parameters
    ----------
    made_from : mapping of str to str
        Checksums of what it was made from.
    labels : str
        `extent` of the labels.
    frames, objects, doubtful : int
        How many, and how many stretches of frames deserve a look.
    run : str
        The run that made it.
    seconds, encoded, resumed, worker, notes
        What its report said, see `napari_sam2.batch.Outcome`.
    """

    made_from: MadeFrom
    labels: str
    frames: int
    objects: int
    doubtful: int = 0
    run: str = ""
    seconds: float = 0.0
    encoded: int = 0
    resumed: int = 0
    worker: str = ""
    notes: str = ""

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Marker | None:
        """Read it; None if there is none, or it is no marker."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def marker_of(labels: Path, name: str) -> Path:
    """Return where the marker of a sequence is: beside its labels."""
    return labels.with_name(f"{name}.done.json")


def why_anew(found: Marker, labels: Path, made_from: MadeFrom) -> str:
    """Say why a result that was complete has to be made anew; empty if it need not."""
    if not labels.exists():
        return f"{labels.name} is gone"
    changed = difference(found.made_from, made_from)
    return changed or ("" if extent(labels) == found.labels else f"{labels.name} is not as it was written")
