"""Saving, loading and exporting."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QWidget

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


class FilesPanel(QWidget):
    """Buttons that ask for a path and send it."""

    save_requested = Signal(str)
    load_requested = Signal(str)
    export_requested = Signal(str)
    tracks_layer_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._save = GlyphButton(
            "save", "Save ...", tip="Save prompts, labels and scores, to go on another day."
        )
        self._load = GlyphButton("load", "Load ...", tip="Open a saved session; nothing is computed again.")
        self._export = GlyphButton(
            "export", "Export ▾", tip="Write labels, tracks or a table for other programs.", name="Export"
        )
        self._tracks = GlyphButton(
            "tracks", "Tracks layer", tip="Show the paths of the objects as a napari layer."
        )
        self._build_menu()
        grid = QGridLayout(self)
        grid.setSpacing(4)
        for number, button in enumerate((self._save, self._load, self._export, self._tracks)):
            grid.addWidget(button, number // 2, number % 2)
        self._save.clicked.connect(
            lambda: self._ask_and_send(self.save_requested, "session.sam2.json", SESSION_FILTER)
        )
        self._load.clicked.connect(self._load_from)
        self._tracks.clicked.connect(self.tracks_layer_requested)

    def _build_menu(self) -> None:
        menu = menu_of(self._export)
        for text, name, kinds, tip in EXPORTS:
            add_entry(menu, text, tip, partial(self._ask_and_send, self.export_requested, name, kinds))
        self._export.setMenu(menu)
        self._export.setPopupMode(GlyphButton.ToolButtonPopupMode.InstantPopup)

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

    def show_usable(self, *, image: bool, objects: bool) -> None:
        """Enable what there is something for: loading needs an image, the rest needs objects."""
        self._load.setEnabled(image)
        for button in (self._save, self._export, self._tracks):
            button.setEnabled(objects)
