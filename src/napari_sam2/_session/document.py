"""A session as a JSON document and arrays; `saved` makes one of them again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._model.weights import checksum
from napari_sam2._session.entry_table import KnownEntries, entries_in_parts
from napari_sam2._session.stored_prompts import RECORD_FIELDS, array_name, mask_arrays

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from napari_sam2 import io
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._session.state import PromptRecord, SessionState
    from napari_sam2.cleanup import Cleanup
    from napari_sam2.passes import PassKey
    from napari_sam2.prompts import PromptKey
    from napari_sam2.selection import SelectionRules
    from napari_sam2.volume import Volume
    from napari_sam2.window import WindowRules


def describe_opening(
    model: Sam2,
    volume: Volume,
    cleanup: Cleanup,
    location: str | None,
    geometry: io.LabelGeometry,
    made_of: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Describe what a session was opened with, as JSON values; weights and images are read for it."""
    return {
        "program": version("napari-sam2"),
        "model": describe_model(model),
        "images": {
            "location": location,
            "checksum": volume.checksum(),
            "options": volume.options(),
            "axes": geometry.axes,
            "scale": geometry.scale,
            "series": geometry.series,
            "level": geometry.level,
            "made_of": list(made_of),
        },
        "cleanup": _plain(cleanup),
    }


def describe_state(state: SessionState, origins: Iterable[PassKey]) -> dict[str, Any]:
    """Describe what was said and done, less the arrays; `origins` are those that stored entries count."""
    return {
        "view": _plain(state.tracker.windows.rules),
        "memory": _plain(state.tracker.rules.selection),
        "revision": state.revision,
        "prompts": [_record_json(key, state.records[key]) for key in sorted(state.records)],
        "objects": [{"obj": obj, **facts.to_json()} for obj, facts in sorted(state.facts.items())],
        "passes": [asdict(origin) for origin in origins],
    }


@dataclass(frozen=True, eq=False)
class SessionContent:
    """What goes into a session file: a document fit for JSON, and arrays by name, numpy or read alike."""

    document: dict[str, Any]
    arrays: dict[str, Any]


def session_steps(
    state: SessionState, opening: Mapping[str, Any], remarks: Mapping[str, Any]
) -> Generator[None, None, SessionContent]:
    """Put together what `read_session` reads, a frame at a time; all of it is as it was at first."""
    with state.lock:
        entries = KnownEntries(state.labels, range(state.labels.shape[0]))
        records, labels = dict(state.records), state.labels.snapshot()
        noted = {"remarks": dict(remarks)} if remarks else {}
        document = {**opening, **describe_state(state, entries.origins), **noted}
    parts: list[dict[str, npt.NDArray[Any]]] = []
    try:
        for frame in entries.frames:
            parts.append(entries.packed(frame, entries.origins))
            yield
    except BaseException:
        labels.close()
        raise
    arrays: dict[str, Any] = {"labels": labels, **entries_in_parts(parts)}
    for key, record in records.items():
        arrays |= record_arrays(key, record)
    return SessionContent(document, arrays)


def describe_model(model: Sam2) -> dict[str, Any]:
    """Say which network it is; two of equal checksum, size and precision give the same answers."""
    return {
        "name": model.source or model.config.name,
        "checksum": checksum(model),
        "image_size": model.config.image_size,
        "precision": "float32" if model.runtime.dtype.itemsize == 4 else "bfloat16",
    }


def _plain(rules: Cleanup | WindowRules | SelectionRules) -> dict[str, Any]:
    """Return the fields of some rules as JSON values; their numbers may have come from arrays."""
    named = asdict(rules).items()
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in named}


def _record_json(key: PromptKey, record: PromptRecord) -> dict[str, Any]:
    values = (key.obj, key.frame, record.revision, record.source, record.base is not None, record.area)
    return {**dict(zip(RECORD_FIELDS, values, strict=True)), **record.prompts.to_json()}


def record_arrays(key: PromptKey, record: PromptRecord) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a confirmed frame by name: those of a mask, and the base of a correction."""
    packed, found = record.prompts.packed, dict[str, Any]()
    if record.base is not None:
        window = None if record.base.window is None else np.array(record.base.window, np.int64)
        scores = np.array((record.base.score, record.base.presence), np.float64)
        found = {"low_res": record.base.low_res, "embedding": record.base.embedding}
        found |= {"window": window, "scores": scores}
    named = {array_name(key, what): array for what, array in found.items() if array is not None}
    return named if packed is None else named | mask_arrays(array_name(key, "mask"), packed)
