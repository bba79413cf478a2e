"""A session of the document and arrays that `document` has made of one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2 import io
from napari_sam2._model.weights import load_model
from napari_sam2._session.document import describe_model
from napari_sam2._session.edits import write_tracked
from napari_sam2._session.entry_table import StoredEntry, join_entries, unpack_entries
from napari_sam2._session.state import PromptRecord
from napari_sam2._session.stored_prompts import array_name, read_prompts
from napari_sam2._tracking.conditioning import Base
from napari_sam2._tracking.state import Job
from napari_sam2.cleanup import Cleanup
from napari_sam2.lineage import ObjectFacts
from napari_sam2.passes import Anchor, Pass, PassKey, Seed
from napari_sam2.placement import Box
from napari_sam2.prompts import PromptKey
from napari_sam2.selection import SelectionRules
from napari_sam2.steps import result_of
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._session.state import SessionState

_PARTS = frozenset({"model", "images", "cleanup", "view", "revision", "prompts", "passes", "objects"})
_NO_SCORES = np.array((Base.score, Base.presence))
"""Score and presence of a base in files that do not tell them, as older ones."""
# So many stored masks are taken in one step.
_AT_A_TIME = 32


@dataclass(frozen=True, eq=False)
class SavedSession:
    """A session file that was read and not yet opened.

    Attributes
    ----------
    document : dict
        What the JSON file says.
    arrays : dict
        What lies in the Zarr folder.
    """

    document: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]

    @property
    def location(self) -> str | None:
        """Where the images were opened."""
        location: str | None = self.document["images"]["location"]
        return location

    @property
    def made_of(self) -> tuple[Mapping[str, Any], ...]:
        """What the images were put together from."""
        return tuple(self.document["images"].get("made_of", ()))

    @property
    def geometry(self) -> io.LabelGeometry:
        """What is known of axes and pixel sizes."""
        images = self.document["images"]
        scale = images["scale"]
        chosen = {name: images.get(name, 0) for name in ("series", "level")}
        return io.LabelGeometry(images["axes"], None if scale is None else tuple(scale), **chosen)

    @property
    def cleanup(self) -> Cleanup:
        """What is mended in masks."""
        return Cleanup(**self.document["cleanup"])

    @property
    def view(self) -> WindowRules:
        """What the network looks at."""
        return WindowRules(**self.document["view"])

    @property
    def memory(self) -> SelectionRules:
        """Which tracked frames are worth remembering."""
        return SelectionRules(**self.document.get("memory", {}))

    @property
    def options(self) -> dict[str, Any]:
        """The options of `Session` that are kept in the file."""
        return {"cleanup": self.cleanup, "view": self.view, "memory": self.memory}

    def open_volume(self, data: Any) -> Volume:  # noqa: ANN401 - numpy, dask, zarr, callable or None
        """Open the images, given, made, or at the stored location, and check that they are the same ones.

        Raises
        ------
        ValueError
            If no location is stored and none given, or the images are others.
        """
        if callable(data):
            data = data(self.made_of)
        if data is None:
            if self.made_of:
                raise ValueError("the session's images were put together from several: pass them as data")
            if self.location is None:
                raise ValueError("the session does not say where its images are: pass them as data")
            geometry = self.geometry
            data = io.open_image(self.location, series=geometry.series, level=geometry.level).array
        images = self.document["images"]
        volume = _opened(data, images["options"])
        found = volume.identity()
        if found.checksum != images["checksum"] and found.problem:
            raise ValueError(
                f"some of the session's images cannot be read now ({found.problem}): "
                "see that the files are there and whole, then load it again"
            )
        if found.checksum != images["checksum"]:
            raise ValueError(
                f"these are other images than the session's: {volume.shape} frames of {data.dtype} came, "
                "whose shape, type or sampled values differ; take those that it was made with"
            )
        return volume

    def open_model(self, model: Sam2 | None) -> Sam2:
        """Return the model that is given or named; warn where its weights are others."""
        stored = self.document["model"]
        if model is None:
            size, precision = stored["image_size"], stored["precision"]
            model = load_model(stored["name"], image_size=size, precision=precision)
        if not self._is_made_by(model):
            warnings.warn(
                f"the session was made with another model than this one ({stored['name']}, "
                f"{stored['image_size']} pixels, {stored['precision']}): its masks are kept, but what is "
                "computed from now on may differ",
                stacklevel=3,
            )
        return model

    def _is_made_by(self, model: Sam2) -> bool:
        """Whether the session was made by these weights at this size and precision."""
        stored, given = self.document["model"], describe_model(model)
        return all(given[name] == stored[name] for name in ("checksum", "image_size", "precision"))

    @property
    def origins(self) -> tuple[PassKey, ...]:
        """Passes that the stored masks come from."""
        return tuple(_read_pass(values) for values in self.document["passes"])

    def restore(self, state: SessionState, *, recompute: bool) -> None:
        """Do what `restore_steps` does in one go."""
        for _ in self.restore_steps(state, recompute=recompute):
            pass

    def restore_steps(self, state: SessionState, *, recompute: bool) -> Iterator[None]:
        """Put prompts and masks into an empty state, some at a time; nobody else may know it yet.

        Parameters
        ----------
        state : SessionState
            Of a new session.
        recompute : bool
            Track again what was tracked, instead of taking the stored masks.
        """
        state.revision = self.document["revision"]
        self._restore_prompts(state)
        with state.labels.gathered():
            again = yield from self._restore_entries(state, recompute=recompute)
            origins = {stored.key: stored.entry.origin for stored in again}
            for result in state.tracker.track(_replay(again)):
                write_tracked(state, result, only=origins)
                yield
            # Last: a locked object would take no masks.
            for row in self.document["objects"]:
                state.put_facts(row["obj"], ObjectFacts.from_json(row))
                yield
        yield from state.settle_steps()

    def _restore_entries(
        self, state: SessionState, *, recompute: bool
    ) -> Generator[None, None, list[StoredEntry]]:
        """Put masks into a state; return those that have to be tracked again."""
        again: list[StoredEntry] = []
        stored_entries = unpack_entries(self.arrays, self.origins, state.labels.shape[1:])
        for number, stored in enumerate(stored_entries, start=1):
            if recompute and _can_be_tracked(state, stored):
                again.append(stored)
            else:
                state.put_entry(stored.key, stored.entry)
            if number % _AT_A_TIME == 0:
                yield
        return again

    def _restore_prompts(self, state: SessionState) -> None:
        rows = self.document["prompts"]
        # Features of another network mean nothing to this one.
        keep_features = any(row["base"] for row in rows) and self._is_made_by(state.tracker.model)
        for row in rows:
            key = PromptKey(row["obj"], row["frame"])
            state.put_record(key, self._record(key, row, keep_features=keep_features))

    def _record(self, key: PromptKey, row: Mapping[str, Any], *, keep_features: bool) -> PromptRecord:
        base = None
        if row["base"]:
            features = self.arrays.get(array_name(key, "embedding")) if keep_features else None
            edges = self.arrays.get(array_name(key, "window"))
            window = None if edges is None else Box(*edges.tolist())
            scores = self.arrays.get(array_name(key, "scores"), _NO_SCORES)
            base = Base(self.arrays[array_name(key, "low_res")], features, window, *scores.tolist())
        prompts = read_prompts(row, self.arrays)
        older = None if row.get("seen", True) else 0
        return PromptRecord(prompts, row["revision"], base, row["source"], row.get("area", older))


def read_session(path: str | Path) -> SavedSession:
    """Read a session file, or the folder of an autosave.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is no session file of this version.
    """
    return result_of(reading_steps(path))


def reading_steps(path: str | Path) -> Generator[None, None, SavedSession]:
    """Do what `read_session` does, a part at a time."""
    if Path(path).is_dir():
        journal = io.read_journal(Path(path))
        content = io.SessionDocument(journal.document, join_entries(journal.parts.values()))
    else:  # labels are written anew from the entries
        content = yield from io.reading_steps(path, without=("labels",))
    missing = _PARTS - content.document.keys()
    if missing:
        raise ValueError(
            f"{path} is not a whole session file, {', '.join(sorted(missing))} missing: "
            "take another copy of it"
        )
    return SavedSession(content.document, content.arrays)


def _opened(data: Any, options: Mapping[str, Any]) -> Volume:  # noqa: ANN401 - an array
    try:
        return Volume.from_options(data, options)
    except (TypeError, ValueError) as error:
        shape = tuple(getattr(data, "shape", ()))
        raise ValueError(
            f"these are other images than the session's: data of shape {shape} came; "
            "take those that it was made with"
        ) from error


def _read_pass(values: Mapping[str, Any]) -> PassKey:
    seed = None if values["seed"] is None else Seed(**values["seed"])
    anchors = tuple(Anchor(**anchor) for anchor in values["anchors"])
    return PassKey(values["first"], values["reverse"], anchors, seed)


def _can_be_tracked(state: SessionState, stored: StoredEntry) -> bool:
    """Whether the mask is that of a pass whose confirmed frames are still the object's.

    It is not where a lock has kept pixels of others from it.
    """
    origin = stored.entry.origin
    return (
        stored.key not in state.records
        and stored.entry.painted is None
        and isinstance(origin, PassKey)
        and origin.reaches(stored.key.frame, state.tracker.anchors(stored.key.obj))
    )


def _replay(entries: Iterable[StoredEntry]) -> list[Job]:
    """Plan the passes again that the tracked masks came from, each as far as its masks go."""
    frames: dict[tuple[int, PassKey], list[int]] = {}
    for stored in entries:
        if isinstance(stored.entry.origin, PassKey):
            frames.setdefault((stored.key.obj, stored.entry.origin), []).append(stored.key.frame)
    starts = {
        (obj, PassKey(key.seed.first, reverse=False, anchors=key.anchors)): key.first
        for obj, key in frames
        if key.seed
    }
    jobs = []
    for (obj, key), at in frames.items():
        last = min(at) if key.reverse else max(at)
        returns = starts.get((obj, key))
        jobs.append(Job(obj, Pass(key.first, last, key.reverse, key.anchors, key.seed, returns)))
    return jobs
