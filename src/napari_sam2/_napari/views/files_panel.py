"""Saving, loading and exporting."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QVBoxLayout, QWidget

from napari_sam2._napari.state import FilesState
from napari_sam2._napari.views.buttons import GlyphButton
from napari_sam2._napari.views.forms import add_entry, menu_of

SESSION_FILTER = "SAM 2 sessions (*.sam2.json);;All files (*)"
EXPORTS = (
    ("Labels as TIFF ...", "labels.tif", "TIFF (*.tif *.tiff)", "One integer image for every frame."),
    (
        "Labels as OME-Zarr ...",
        "labels.ome.zarr",
        "OME-Zarr (*.zarr)",
        "A folder that opens lazily, with scales.",
    ),
    (
        "Tracks for the Cell Tracking Challenge ...",
        "labels_RES",
        "CTC folder (*)",
        "Masks and res_track.txt.",
    ),
    (
        "Table as CSV ...",
        "objects.csv",
        "CSV (*.csv)",
        "Area, place and score of every object on every frame.",
    ),
)


# So many files are named when it is asked whether to replace them.
_NAMED = 8


class FilesPanel(QWidget):
    """Buttons that ask for a path and send it."""

    save_requested = Signal(str)
    load_requested = Signal(str)
    recent_requested = Signal(int)
    export_requested = Signal(str)
    tracks_layer_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._save = GlyphButton(
            "save", "Save ...", tip="Save prompts, labels and scores, to go on another day."
        )
        self._load = GlyphButton("load", "Load ...", tip="Open a saved session; nothing is computed again.")
        self._recent = GlyphButton("recent", "Recent ▾", tip="", name="Recent work")
        self._export = GlyphButton(
            "export", "Export ▾", tip="Write labels, tracks or a table for other programs.", name="Export"
        )
        self._tracks = GlyphButton(
            "tracks", "Tracks layer", tip="Show the paths of the objects as a napari layer."
        )
        self._build_menu()
        column = QVBoxLayout(self)
        column.setSpacing(4)
        for buttons in ((self._save, self._load, self._recent), (self._export, self._tracks)):
            row = QHBoxLayout()
            row.setSpacing(4)
            for button in buttons:
                row.addWidget(button, 1)
            column.addLayout(row)
        self._save.clicked.connect(
            lambda: self._ask_and_send(self.save_requested, "session.sam2.json", SESSION_FILTER)
        )
        self._load.clicked.connect(self._load_from)
        self._tracks.clicked.connect(self.tracks_layer_requested)

    def _build_menu(self) -> None:
        menu = menu_of(self._export)
        for text, name, kinds, tip in EXPORTS:
            add_entry(menu, text, tip, partial(self._ask_and_send, self.export_requested, name, kinds))
        self._earlier = menu_of(self._recent)
        for button, its in ((self._export, menu), (self._recent, self._earlier)):
            button.setMenu(its)
            button.setPopupMode(GlyphButton.ToolButtonPopupMode.InstantPopup)
        self.show_state(FilesState())

    def _ask_and_send(self, signal: Signal, name: str, kinds: str) -> None:
        path = self.ask_where_to_write(name, kinds)
        if path:
            signal.emit(path)

    def _load_from(self) -> None:
        path = self.ask_what_to_read()
        if path:
            self.load_requested.emit(path)

    def ask_where_to_write(self, name: str, kinds: str) -> str:
        """Ask for a path to write to; empty if the user thought better of it."""
        path, _ = QFileDialog.getSaveFileName(self, "Save", name, kinds)
        return str(path)

    def ask_what_to_read(self) -> str:
        """Ask for a saved session; empty if the user thought better of it."""
        path, _ = QFileDialog.getOpenFileName(self, "Load a session", "", SESSION_FILTER)
        return str(path)

    def ask_whether_to_replace(self, paths: tuple[str, ...]) -> bool:
        """Ask whether files that are there may be written anew."""
        names = [Path(path).name for path in paths[:_NAMED]]
        more = [f"and {len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
        text = "These are there already:\n\n" + "\n".join([*names, *more]) + "\n\nReplace them?"
        yes = QMessageBox.StandardButton.Yes
        return bool(QMessageBox.question(self, "Replace files", text) == yes)

    def show_state(self, state: FilesState) -> None:
        """List earlier work."""
        self._earlier.clear()
        for number, text in enumerate(state.recent):
            tip = "Bring this back, saved by itself; nothing is computed. What is here now is listed then."
            add_entry(self._earlier, text, tip, partial(self.recent_requested.emit, number))
        self._recent.setEnabled(bool(state.recent))
        self._recent.setToolTip(
            "Go on with earlier work on this image, which was saved by itself."
            if state.recent
            else "There is no earlier work on this image."
        )

    def show_usable(self, *, image: bool, objects: bool) -> None:
        """Enable what there is something for: loading needs an image, the rest needs objects."""
        self._load.setEnabled(image)
        for button in (self._save, self._export, self._tracks):
            button.setEnabled(objects)
