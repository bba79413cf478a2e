"""Saving, loading and exporting, all on the inference thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer

from napari_sam2._napari.controls.many_files import is_marked, listed, marked, saved_together, siblings
from napari_sam2._napari.controls.saves import PendingSaves, Saving
from napari_sam2._napari.layers.tracks import tracks_layer
from napari_sam2._napari.notices import tell, writing
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.exchange import Source
from napari_sam2._napari.work.worker import Fate, Priority
from napari_sam2.positions import Positions
from napari_sam2.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from napari_sam2._napari.controls.saving import SavingControl
    from napari_sam2._napari.controls.sequence import SequenceControl
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.session import Session

SUFFIX = ".sam2.json"


class FileControl:
    """Saves, loads and exports.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    saving : SavingControl
        Told what the user has in a file.
    sequences : SequenceControl
        All positions along the other axis.
    may_replace : callable
        Asks whether these files, which are there already, may be replaced.
    """

    def __init__(
        self,
        workspace: Workspace,
        saving: SavingControl,
        sequences: SequenceControl,
        may_replace: Callable[[tuple[str, ...]], bool],
    ) -> None:
        self._space = workspace
        self._may_replace = may_replace
        self._saving, self._sequences = saving, sequences
        self._pending = PendingSaves()
        saving.load_file = self.load

    def save(self, path: str) -> None:
        """Save the sessions of all positions, each into a file of its own; the suffix may be left out.

        The dialog has asked about the very file that was chosen; of others it knows nothing.
        """
        if self._has_to_wait():
            return
        self._catch_up()
        target = path if path.endswith(SUFFIX) else f"{path.removesuffix('.json')}{SUFFIX}"
        sequences = self._to_save(target) or (self._space.sequence,)
        marks = [self._sequences.mark(each) if len(sequences) > 1 and each else "" for each in sequences]
        jobs = [(each, marked(target, mark)) for each, mark in zip(sequences, marks, strict=True)]
        places = [place for _, place in jobs]
        # A session that was renamed still has its arrays under the old name.
        arrays = [str(Path(place).with_suffix(".zarr")) for place in places if not Path(place).exists()]
        # Whoever looks for this work under the name without a position must not find what it was before.
        older = [] if target in places or is_marked(target, marks[0]) else [target]
        if self._may_write([*places, *arrays, *older], path):
            self._save(jobs, older)

    def _has_to_wait(self) -> bool:
        """Whether it is not known yet which positions there are to be written, and say so."""
        if self._saving.is_exchanging:
            tell("Loading is under way: nothing was written. Wait for it, and try again.")
        return self._saving.is_exchanging

    def _catch_up(self) -> None:
        """Hear of all that was said, and open what is shown if nobody has rested there yet."""
        self._space.catch_up()
        self._sequences.open_ahead()

    def _to_save(self, target: str) -> tuple[Sequence, ...]:
        """Return sequences with objects, and those that have lost theirs since they were saved here."""
        control = self._sequences
        there = {each for each in control.touched() if Path(marked(target, control.mark(each))).exists()}
        return tuple(each for each in control.touched() if each.objects or each in there)

    def _save(self, jobs: list[tuple[Sequence | None, str]], older: list[str]) -> None:
        """Save one after the other; the first that fails ends it."""
        places = tuple(place for _, place in jobs)
        run = Saving(self._saving.note_saved, self._sequences.group, places, older)
        for sequence, place in jobs:
            self._pending.begin()
            self._space.ask(
                partial(run.save, place),
                partial(self._saved, run),
                label="Saving",
                failed=lambda _: self._pending.fail(),
                sequence=sequence,
                fate=Fate.TOLD,
            )

    def _saved(self, run: Saving, _answer: Answer) -> None:
        if run.is_last():
            tell(f"Saved as {listed(run.places)}.")
        self._pending.end()

    def _may_write(self, places: list[str], chosen: str) -> bool:
        there = tuple(place for place in places if _is_there(Path(place), Path(chosen)))
        return not there or self._may_replace(there)

    def export(self, path: str) -> None:
        """Export labels, tracks or a table of all positions into one file or folder, as the name says."""
        if self._has_to_wait() or not self._may_write([path], path):
            return
        self._catch_up()
        whole = self._sequences.whole()

        def write(desk: Desk) -> Generator[Priority | None, None, Answer]:
            with writing(path):
                yield from _export(desk.opened if whole is None else whole(), path)
            return Answer()

        self._space.ask(
            write,
            lambda _: tell(f"Exported to {path}."),
            label="Exporting",
            sequence=self._with_work(),
            fate=Fate.TOLD,
        )

    def _with_work(self) -> Sequence | None:
        """Return the sequence that is shown, or another one if nothing was said of it."""
        shown, touched = self._space.sequence, self._sequences.touched()
        return shown if shown in touched or not touched else touched[0]

    def load(self, path: str) -> None:
        """Load a session, with those of other positions beside it; nothing is computed again.

        What is being saved, perhaps into this very file, is saved first.
        """
        group = self._sequences.group
        self._pending.then(lambda: self._load(path) if self._sequences.group is group else None)

    def _load(self, path: str) -> None:
        try:
            self._load_all(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            self._space.fail(error)

    def _load_all(self, path: str) -> None:
        shown = self._space.sequence
        if shown is None:
            raise RuntimeError("Choose the image layer that the session belongs to first.")
        places = self._with_others(path, self._sequences.mark(shown))
        self._sequences.ensure_open()
        name = Path(path).name if len(places) == 1 else listed(tuple(sorted(places)))
        sources = {self._sequences.at_index(at): self._source(place) for place, at in places.items()}
        self._saving.exchange(sources, partial(self._loaded, path, name))

    def _with_others(self, path: str, mark: str) -> dict[str, Mapping[int, int]]:
        """Return a session and those saved with it, with their positions; say which lie beyond the image."""
        found = saved_together(path, siblings(path, mark) if mark else ())
        within = {place: at for place, at in found.items() if self._sequences.has(at)}
        beyond = tuple(sorted(place for place in found if place not in within))
        if beyond and not within:
            raise ValueError(f"the image ends before {listed(beyond)}: choose the one that it belongs to")
        if beyond:
            tell(f"The image ends before {listed(beyond)}: left out.")
        return within

    def _source(self, path: str) -> Source:
        images, model = self._space.arrays(), self._space.model
        return Source(
            lambda desk: desk.read(path, images, model.take()),
            lambda desk: self._saving.note_saved(desk.opened),
        )

    def _loaded(self, path: str, name: str) -> None:
        self._sequences.group.file = path
        count = len(self._space.picture.objects)
        elsewhere = "" if count or not self._space.objects_elsewhere() else " They are at other positions."
        tell(f"Loaded {name}: {count} object{'' if count == 1 else 's'} here.{elsewhere}")

    def show_tracks(self) -> None:
        """Show the paths of the objects as a layer; those of all positions if they lead through time."""
        if self._has_to_wait():
            return
        self._catch_up()
        whole = self._sequences.whole() if self._sequences.time_comes_first else None
        self._space.ask(
            lambda desk: desk.tracks(whole),
            self._add_tracks,
            label="Exporting",
            sequence=self._with_work(),
        )

    def _add_tracks(self, answer: Answer) -> None:
        sequence, image, tracks = self._space.sequence, self._space.image, answer.value
        if sequence is None or image is None or not isinstance(tracks, Tracks):
            return
        try:
            layer = Layer.create(*tracks_layer(tracks, sequence.geometry, image))
        except ValueError as error:
            self._space.fail(error)
            return
        active = self._space.viewer.layers.selection.active
        self._space.viewer.add_layer(layer)
        self._space.viewer.layers.selection.active = active


def _export(source: Session | Positions, path: str) -> Iterator[Priority | None]:
    """Export; as soon as it is certain what is written, edits and undo go before."""
    sessions = tuple(source.sessions.values()) if isinstance(source, Positions) else (source,)
    while not all(session.is_settled for session in sessions):  # a click may come between two of them
        for session in sessions:
            yield from session.settle_steps()
    for _ in source.export_steps(path):
        yield Priority.AHEAD


def _is_there(place: Path, chosen: Path) -> bool:
    return place.is_dir() or (place != chosen and place.exists())
