"""Saving, loading and exporting, all on the inference thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer

from napari_sam2._napari.exports import tracks_layer
from napari_sam2._napari.many_files import marked, siblings
from napari_sam2._napari.notices import tell
from napari_sam2.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.controller_saving import SavingControl
    from napari_sam2._napari.controller_sequence import SequenceControl
    from napari_sam2._napari.desk import Answer, Desk
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.session import Session

SUFFIX = ".sam2.json"


class FileControl:
    """Saves, loads and exports.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        Draws the prompts of a session that was loaded.
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
        prompts: PromptControl,
        saving: SavingControl,
        sequences: SequenceControl,
        may_replace: Callable[[tuple[str, ...]], bool],
    ) -> None:
        self._space = workspace
        self._may_replace = may_replace
        self._prompts, self._saving, self._sequences = prompts, saving, sequences

    def save(self, path: str) -> None:
        """Save the sessions of all positions; the suffix may be left out."""
        target = path if path.endswith(SUFFIX) else f"{path.removesuffix('.json')}{SUFFIX}"
        self._write(path, target, self._save, "Saving", lambda paths: tell(f"Saved as {_listed(paths)}."))

    def _save(self, session: Session, place: str) -> None:
        session.save(place)
        self._saving.note_saved(session)

    def export(self, path: str) -> None:
        """Export labels, tracks or tables of all positions, as the name says."""
        self._write(
            path,
            path,
            lambda session, place: session.export(place),
            "Exporting",
            lambda paths: tell(f"Exported to {_listed(paths)}."),
        )

    def _write(
        self,
        chosen: str,
        path: str,
        write: Callable[[Session, str], None],
        label: str,
        done: Callable[[tuple[str, ...]], None],
    ) -> None:
        """Write a file for each sequence of which something was said; the first that fails ends it.

        The dialog has asked about the very file that was chosen; of others, and of folders, it knows nothing.
        """
        sequences = self._sequences.touched() or (self._space.sequence,)
        marks = [self._sequences.mark(each) if len(sequences) > 1 and each else "" for each in sequences]
        jobs = [(each, marked(path, mark)) for each, mark in zip(sequences, marks, strict=True)]
        there = tuple(place for _, place in jobs if _is_there(Path(place), Path(chosen)))
        if there and not self._may_replace(there):
            return

        def go_on(number: int) -> None:
            if number == len(jobs):
                done(tuple(place for _, place in jobs))
                return
            sequence, place = jobs[number]
            self._space.ask(
                lambda desk: desk.edit(lambda session: write(session, place)),
                lambda _: go_on(number + 1),
                label=label,
                sequence=sequence,
            )

        go_on(0)

    def load(self, path: str) -> None:
        """Load a session, with those of other positions beside it; nothing is computed again."""
        shown = self._space.sequence
        if shown is None:
            self._space.fail(RuntimeError("Choose the image layer that the session belongs to first."))
            return
        self._space.interrupted.emit()
        self._sequences.ensure_open()
        mark = self._sequences.mark(shown)
        others = siblings(path, mark) if mark else {}
        places = {self._sequences.at(position): place for position, place in others.items()} or {shown: path}
        self._saving.turn_over(tuple(places))
        name = _listed(tuple(others.values())) if others else Path(path).name
        for sequence, place in places.items():
            self._load(sequence, place, name)

    def _load(self, sequence: Sequence, path: str, name: str) -> None:
        data, model, saving = sequence.view.data, self._space.model, self._saving

        def read(desk: Desk) -> Answer:
            answer = desk.load(path, data, model.take())
            saving.note_saved(desk.opened)
            return answer

        self._space.ask(
            read,
            lambda answer: self._loaded(sequence, name, answer),
            label="Loading",
            sequence=sequence,
        )

    def _loaded(self, sequence: Sequence, name: str, answer: Answer) -> None:
        sequence.take_loaded(answer)
        if sequence is self._space.sequence:
            self._prompts.show()
            objects = self._space.picture.objects
            self._prompts.activate(objects[0] if objects else 1)
            tell(f"Loaded {name}: {len(objects)} object{'' if len(objects) == 1 else 's'} here.")

    def show_tracks(self) -> None:
        """Show the paths of the objects as a layer of napari's."""
        self._space.ask(
            lambda desk: desk.edit(lambda session: session.tracks()), self._add_tracks, label="Exporting"
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


def _is_there(place: Path, chosen: Path) -> bool:
    return place.is_dir() or (place != chosen and place.exists())


def _listed(paths: tuple[str, ...]) -> str:
    """Name one file, or the first and the last of many."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} ... {Path(paths[-1]).name}"
