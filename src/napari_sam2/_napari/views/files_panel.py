"""Saving, loading and exporting."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from qtpy.QtCore import QEvent, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QVBoxLayout, QWidget

from napari_sam2._napari.state import FilesState
from napari_sam2._napari.views.buttons import GlyphButton
from napari_sam2._napari.views.forms import add_entry, menu_of

SESSION_FILTER = "SAM 2 sessions (*.sam2.json);;All files (*)"


class Kind(NamedTuple):
    """A kind of file that is written.

    Attributes
    ----------
    text, tip : str
        The entry of the menu.
    ending : str
        What is put behind the name of the image to propose a name.
    suffixes : tuple of str
        How such a file may end; the first is added where the user left it out.
    filter : str
        For the dialog.
    """

    text: str
    tip: str
    ending: str
    suffixes: tuple[str, ...]
    filter: str


# The session's suffix is added by whoever writes it.
SESSION = Kind("Save ...", "", ".sam2.json", ("",), SESSION_FILTER)
EXPORTS = (
    Kind(
        "Labels as TIFF ...",
        "One integer image for every frame.",
        "_labels.tif",
        (".tif", ".tiff"),
        "TIFF (*.tif *.tiff)",
    ),
    Kind(
        "Labels as OME-Zarr ...",
        "A folder that opens lazily, with scales.",
        "_labels.ome.zarr",
        (".ome.zarr", ".zarr"),
        "OME-Zarr (*.zarr)",
    ),
    Kind(
        "Tracks for the Cell Tracking Challenge ...",
        "A folder with masks and res_track.txt.",
        "_RES",
        ("_RES",),
        "CTC folder (*)",
    ),
    Kind(
        "Table as CSV ...",
        "Area, place and score of every object on every frame.",
        "_objects.csv",
        (".csv",),
        "CSV (*.csv)",
    ),
)


# So many files are named when it is asked whether to replace them.
_NAMED = 8


class FilesPanel(QWidget):
    """Buttons that ask for a path and send it.

    Attributes
    ----------
    approached : Signal
        The user comes to these buttons, or back to this window: what others have saved may have changed.
    """

    approached = Signal()
    save_requested = Signal(str)
    load_requested = Signal(str)
    recent_requested = Signal(int)
    export_requested = Signal(str)
    tracks_layer_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stem = ""
        self._folder: Path | None = None
        self._shown: tuple[str, ...] | None = None
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
        self._save.clicked.connect(lambda: self._ask_and_send(self.save_requested, SESSION))
        self._load.clicked.connect(self._load_from)
        self._tracks.clicked.connect(self.tracks_layer_requested)

    def _build_menu(self) -> None:
        menu = menu_of(self._export)
        for kind in EXPORTS:
            ask = partial(self._ask_and_send, self.export_requested, kind)
            add_entry(menu, kind.text, kind.tip, ask)
        self._earlier = menu_of(self._recent)
        for button, its in ((self._export, menu), (self._recent, self._earlier)):
            button.setMenu(its)
            button.setPopupMode(GlyphButton.ToolButtonPopupMode.InstantPopup)
        self.show_state(FilesState())

    def _ask_and_send(self, signal: Signal, kind: Kind) -> None:
        chosen = self.ask_where_to_write(self._proposed(kind.ending), kind.filter)
        if not chosen:
            return
        self._folder = Path(chosen).parent
        path = chosen if chosen.endswith(kind.suffixes) else f"{chosen}{kind.suffixes[0]}"
        # The dialog has asked about the name that was typed.
        if path == chosen or not Path(path).is_file() or self.ask_whether_to_replace((path,)):
            signal.emit(path)

    def _proposed(self, ending: str) -> str:
        """Name a file after its image, in the folder that was chosen last."""
        stem = Path(self._stem)
        return f"{stem if self._folder is None else self._folder / stem.name}{ending}"

    def _load_from(self) -> None:
        path = self.ask_what_to_read()
        if path:
            self._folder = Path(path).parent
            self.load_requested.emit(path)

    def ask_where_to_write(self, name: str, kinds: str) -> str:
        """Ask for a path to write to; empty if the user thought better of it."""
        path, _ = QFileDialog.getSaveFileName(self, "Save", name, kinds)
        return str(path)

    def ask_what_to_read(self) -> str:
        """Ask for a saved session; empty if the user thought better of it."""
        folder = Path(self._stem).parent if self._folder is None else self._folder
        path, _ = QFileDialog.getOpenFileName(self, "Load a session", str(folder), SESSION_FILTER)
        return str(path)

    def ask_whether_to_replace(self, paths: tuple[str, ...]) -> bool:
        """Ask whether files that are there may be written anew."""
        names = [Path(path).name for path in paths[:_NAMED]]
        more = [f"and {len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
        text = "These are there already:\n\n" + "\n".join([*names, *more]) + "\n\nReplace them?"
        yes = QMessageBox.StandardButton.Yes
        return bool(QMessageBox.question(self, "Replace files", text) == yes)

    def ask_whether_to_end(self) -> bool:
        """Ask whether work may end of which nothing is kept but what the user has saved."""
        text = (
            "Autosave is off. When this work ends, nothing is left of its prompts and scores but what you "
            "have saved as a session.\n\nEnd it?"
        )
        yes = QMessageBox.StandardButton.Yes
        return bool(QMessageBox.question(self, "End this work", text) == yes)

    def event(self, event: QEvent | None) -> bool:
        """Tell that the user comes; also over a button that is disabled, since it knew of nothing."""
        if event is not None and event.type() in {QEvent.Type.Enter, QEvent.Type.WindowActivate}:
            self.approached.emit()
        return bool(super().event(event))

    def show_state(self, state: FilesState) -> None:
        """List earlier work, and note what files are to be called after."""
        self._stem = state.stem or "image"
        if state.recent == self._shown:
            return  # the menu may be open
        self._shown = state.recent
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
