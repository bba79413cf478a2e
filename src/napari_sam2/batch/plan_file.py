"""Plans as people write them: a TOML or JSON file, or just a folder of images."""

from __future__ import annotations

import glob
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_sam2.batch.plan import (
    ModelChoice,
    Options,
    Plan,
    SequencePlan,
    beside,
    is_image,
    sequence_name,
)
from napari_sam2.cleanup import Cleanup
from napari_sam2.device import PRECISIONS
from napari_sam2.io import image_files

_TOP = (
    *("output", "images", "session", "seeds", "seeds_frame", "sequence", "model", "image", "cleanup"),
    *("frames", "direction", "format", "save_sessions", "checkpoint_seconds"),
    *("feature_folder", "feature_gigabytes"),
)
_VOLUME = ("axis", "index", "channel", "contrast")
_SEQUENCE = ("name", "images", "session", "seeds", "seeds_frame")
_SEED_ENDINGS = (
    "_seeds.tif",
    "_seeds.tiff",
    "_seeds.ome.tif",
    "_seeds.zarr",
    "_seeds.ome.zarr",
    "_seeds.npy",
)
_NAME = "{name}"
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("save_sessions", "keep_largest"), ((bool,), "true or false")),
    **dict.fromkeys(("checkpoint_seconds", "feature_gigabytes"), ((int, float), "a number")),
    **dict.fromkeys(("axis", "image_size"), ((int,), "a whole number")),
    **dict.fromkeys(("name", "device", "precision"), ((str,), "a text in quotes")),
    "channel": ((int, str), "a number, 'rgb' or 'grey'"),
    "contrast": ((list,), "two numbers, such as [100, 4000]"),
}


def read_plan(path: str | Path, *, output: str | Path | None = None) -> Plan:
    """Read a plan.

    Parameters
    ----------
    path : str or Path
        ``.toml`` or ``.json`` file (docs: Many sequences), or a folder: each image in it, with
        ``NAME.sam2.json`` or ``NAME_seeds.tif`` beside it.
    output : str or Path, optional
        Folder of the results; by default what the plan says, else ``results`` beside the plan, or in the
        folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or says something that is not understood.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no plan {path}")
    if path.is_dir():
        return _folder_plan(path, Path(output) if output is not None else path / "results")
    said = _read(path)
    _check_keys(said, _TOP, str(path))
    _check_kinds(said)
    folder = path.absolute().parent
    target = Path(output) if output is not None else folder / str(said.get("output", "results"))
    return Plan(tuple(_sequences(said, folder)), target, _model(said, folder), _options(said, folder))


def _folder_plan(folder: Path, output: Path) -> Plan:
    found = [
        each for each in sorted(folder.iterdir()) if is_image(each) and each.resolve() != output.resolve()
    ]
    images = _first_files(found)
    if not images:
        raise ValueError(f"{folder} has no images; a batch is a folder of images, or a .toml or .json plan")
    return Plan(tuple(with_own_prompts(each) for each in images), output)


def _first_files(images: Iterable[Path]) -> list[Path]:
    """Leave out files that are a part of an image which an earlier one opens."""
    first: list[Path] = []
    parts: set[Path] = set()
    for each in images:
        if each not in parts:
            first.append(each)
            parts.update(image_files(each)[1:])
    return first


def with_own_prompts(images: Path) -> SequencePlan:
    """Look for a session, else a label image, of the same name beside the images."""
    name = sequence_name(images)
    session = beside(images, [f"{name}.sam2.json", f"{images.name}.sam2.json"])
    seeds = None if session else beside(images, [f"{name}{ending}" for ending in _SEED_ENDINGS])
    return SequencePlan(name, images, session, seeds)


def _read(path: Path) -> dict[str, Any]:
    readers = {".toml": tomllib.loads, ".json": json.loads}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path.name}: a plan is a .toml or .json file, or a folder of images")
    try:
        said = reader(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{path} is not a plan: it holds {type(said).__name__}, not keys and values")  # noqa: TRY004
    return said


def _check_keys(said: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)} is not understood; known are {', '.join(known)}")


def _check_kinds(said: Mapping[str, Any]) -> None:
    for name, (kinds, words) in _KINDS.items():
        value = said.get(name)
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            raise ValueError(f"{name} must be {words}; got {value!r}")


def _table(said: Mapping[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table of {', '.join(known)}; got {table!r}")  # noqa: TRY004
    _check_keys(table, known, name)
    _check_kinds(table)
    return table


def _sequences(said: Mapping[str, Any], folder: Path) -> Iterator[SequencePlan]:
    listed = said.get("sequence", [])
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) and "images" in each for each in listed
    ):
        raise ValueError("each [[sequence]] needs images, the name of a file or folder")
    told: set[tuple[Path, str]] = set()
    for each in listed:
        _check_keys(each, _SEQUENCE, "sequence")
        images = folder / str(each["images"])
        name = str(each.get("name", sequence_name(images)))
        told.add((images.resolve(), name))
        yield _sequence(_own(said, each), folder, images, name)
    for pattern in _patterns(said):
        for each in _matching(folder, pattern):
            name = sequence_name(each)
            if (each.resolve(), name) not in told:  # patterns may overlap
                told.add((each.resolve(), name))
                yield _sequence(said, folder, each, name)


def _own(said: Mapping[str, Any], sequence: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a sequence leaves open; where it has prompts of its own, those for all are not for it."""
    has_own = "session" in sequence or "seeds" in sequence
    general = {name: said[name] for name in said if not (has_own and name in {"session", "seeds"})}
    return {**general, **sequence}


def _matching(folder: Path, pattern: str) -> list[Path]:
    """List what a pattern means; it may take in seeds and labels beside the images, which are left out."""
    if (folder / pattern).exists():  # a name with brackets in it
        return [folder / pattern]
    # Path.glob takes no absolute pattern; the name of the folder is none.
    found = sorted(glob.glob(str(Path(glob.escape(str(folder))) / pattern)))  # noqa: PTH207
    images = _first_files(each for each in map(Path, found) if is_image(each))
    if not images:
        raise FileNotFoundError(f"images: nothing is called {pattern} that holds images")
    return images


def _patterns(said: Mapping[str, Any]) -> list[str]:
    patterns = said.get("images", [])
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
        raise ValueError(
            f"images must be a pattern such as 'images/*.tif', or a list of them; got {patterns!r}"
        )
    return patterns


def _sequence(said: Mapping[str, Any], folder: Path, images: Path, name: str) -> SequencePlan:
    """Fill in where prompts come from; without a word, they lie beside the images."""
    if "session" not in said and "seeds" not in said:
        found = with_own_prompts(images)
        return SequencePlan(name, images, found.session, found.seeds, _whole(said, "seeds_frame"))
    session, seeds = (
        folder / str(said[key]).replace(_NAME, name) if key in said else None for key in ("session", "seeds")
    )
    return SequencePlan(name, images, session, seeds, _whole(said, "seeds_frame"))


def _whole(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, got {value!r}")  # noqa: TRY004 - what a file says
    return value


def _model(said: Mapping[str, Any], folder: Path) -> ModelChoice:
    known = tuple(each.name for each in fields(ModelChoice))
    table = _table(said, "model", known)
    if "name" in table and (folder / str(table["name"])).is_file():
        table = {**table, "name": str(folder / str(table["name"]))}
    if table.get("precision", "auto") not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {table['precision']!r}")
    return ModelChoice(**table)


def _options(said: Mapping[str, Any], folder: Path) -> Options:
    image = _table(said, "image", (*_VOLUME, "series", "level"))
    volume = {name: image[name] for name in _VOLUME if name in image}
    if "index" in volume:
        volume["index"] = _index(volume["index"])
    if "contrast" in volume:
        volume["contrast"] = tuple(volume["contrast"])
    chosen = {
        name: said[name]
        for name in ("direction", "format", "save_sessions", "checkpoint_seconds", "feature_gigabytes")
        if name in said
    }
    if "feature_folder" in said:
        chosen["feature_folder"] = folder / str(said["feature_folder"])
    cleanup = Cleanup(**_table(said, "cleanup", tuple(each.name for each in fields(Cleanup))))
    series, level = (_whole(image, name) if name in image else None for name in ("series", "level"))
    frames = None if "frames" not in said else parse_frames(str(said["frames"]))
    return Options(volume, series, level, frames, cleanup=cleanup, **chosen)


def _index(said: object) -> dict[int, int]:
    """Read ``{"1" = 0}``: the keys of TOML and JSON are text."""
    try:
        return {int(axis): int(at) for axis, at in dict(said).items()}  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise ValueError(
            f"index must be a table such as {{1 = 3}}, axis and position; got {said!r}"
        ) from None


def parse_frames(text: str) -> tuple[int | None, int | None]:
    """Read ``A:B``, the frames from A up to, not including, B; either may be left out."""
    parts = re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", text)
    if parts is None:
        raise ValueError(f"frames must be A:B, from A up to, not including, B; got {text!r}")
    first, last = (int(each) if each else None for each in parts.groups())
    return first, last
