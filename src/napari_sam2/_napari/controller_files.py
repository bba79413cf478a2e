"""Saving, loading and exporting, all on the inference thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2._napari.notices import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.workspace import Workspace
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
    """

    def __init__(self, workspace: Workspace, prompts: PromptControl) -> None:
        self._space = workspace
        self._prompts = prompts

    def save(self, path: str) -> None:
        """Save the session; the suffix may be left out."""
        target = path if path.endswith(SUFFIX) else f"{path.removesuffix('.json')}{SUFFIX}"
        self._write(lambda session: session.save(target), "Saving", f"Saved as {target}.")

    def export(self, path: str) -> None:
        """Export labels, tracks or a table, as the name says."""
        self._write(lambda session: session.export(path), "Exporting", f"Exported to {path}.")

    def _write(self, call: Callable[[Session], None], doing: str, said: str) -> None:
        self._space.ask(lambda desk: desk.edit(call), lambda _: tell(said), label=doing)

    def load(self, path: str) -> None:
        """Load a session of the image that is worked on; nothing is computed again."""
        space = self._space
        sequence, model = space.sequence, space.model
        if sequence is None:
            space.fail(RuntimeError("Choose the image layer that the session belongs to first."))
            return
        data = sequence.view.data
        space.worker.cancel_streams(sequence)
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
