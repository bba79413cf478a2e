"""Saving, loading and exporting, all on the inference thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2._napari.notices import tell
from napari_sam2.tracks import Tracks

if TYPE_CHECKING:
    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.controller_saving import SavingControl
    from napari_sam2._napari.desk import Answer
    from napari_sam2._napari.workspace import Workspace

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
        Told what the user has saved.
    """

    def __init__(self, workspace: Workspace, prompts: PromptControl, saving: SavingControl) -> None:
        self._space = workspace
        self._prompts, self._saving = prompts, saving

    def save(self, path: str) -> None:
        """Save the session; the suffix may be left out."""
        target = path if path.endswith(SUFFIX) else f"{path.removesuffix('.json')}{SUFFIX}"

        def saved(_: Answer) -> None:
            self._saving.forget()
            tell(f"Saved as {target}.")

        self._space.ask(lambda desk: desk.edit(lambda session: session.save(target)), saved, label="Saving")

    def export(self, path: str) -> None:
        """Export labels, tracks or a table, as the name says."""
        self._space.ask(
            lambda desk: desk.edit(lambda session: session.export(path)),
            lambda _: tell(f"Exported to {path}."),
            label="Exporting",
        )

    def load(self, path: str) -> None:
        """Load a session of the image that is worked on; nothing is computed again."""
        space = self._space
        sequence, model = space.sequence, space.model
        if sequence is None:
            space.fail(RuntimeError("Choose the image layer that the session belongs to first."))
            return
        data = sequence.view.data
        space.interrupted.emit()
        space.ask(
            lambda desk: desk.load(path, data, model.take()),
            lambda _: self._loaded(Path(path).name),
            label="Loading",
        )

    def _loaded(self, name: str) -> None:
        self._prompts.show()
        objects = self._space.picture.objects
        self._prompts.activate(objects[0] if objects else 1)
        tell(f"Loaded {name}: {len(objects)} object{'' if len(objects) == 1 else 's'}.")

    def show_tracks(self) -> None:
        """Show the paths of the objects as a layer of napari's."""
        self._space.ask(
            lambda desk: desk.edit(lambda session: session.tracks()), self._add_tracks, label="Exporting"
        )

    def _add_tracks(self, answer: Answer) -> None:
        sequence, image, tracks = self._space.sequence, self._space.image, answer.value
        if sequence is None or image is None or not isinstance(tracks, Tracks):
            return
        if not len(tracks.data):
            tell("There are no masks yet, so there are no tracks.")
            return
        places = sequence.geometry.to_layers(tracks.data[:, 1], tracks.data[:, 2:])
        options = sequence.geometry.layer_kwargs(image)
        active = self._space.viewer.layers.selection.active
        self._space.viewer.add_tracks(
            np.column_stack([tracks.data[:, 0], places]),
            graph=tracks.graph,
            name=f"{image.name} tracks",
            **options,
        )
        self._space.viewer.layers.selection.active = active
