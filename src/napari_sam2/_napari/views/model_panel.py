"""Which network is used, whether it has to be downloaded, and where it runs."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_sam2._napari.state import ModelState
from napari_sam2._napari.views.buttons import GlyphButton
from napari_sam2._napari.views.forms import ChoiceBox, Note, form


class ModelPanel(QWidget):
    """Choice of the network and of the device.

    The last choice of models opens a file dialog; its answer is sent as `model_file_chosen`.
    """

    model_chosen = Signal(int)
    model_file_chosen = Signal(str)
    download_requested = Signal()
    cancel_requested = Signal()
    device_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ModelState()
        self._model = ChoiceBox("Model", "The network: small ones are fast, large ones are more exact.", "-")
        self._device = ChoiceBox(
            "Device", "Where the network runs; auto takes a graphics card if there is one.", "-"
        )
        self._detail = Note("info")
        self._problem = Note("warning", warns=True)
        self._download = GlyphButton(
            "download", "Download", tip="Fetch the weights of this model once and keep them."
        )
        self._bar = QProgressBar()
        self._bar.setAccessibleName("Progress of the download")
        self._bar.setToolTip("How much of the model has been fetched.")
        self._stop = GlyphButton(
            "cancel", tip="Fetch it no longer; what has come is deleted.", name="Cancel the download"
        )
        self._lay_out()
        self._model.activated.connect(self._choose)
        self._device.activated.connect(self.device_chosen)
        self._download.clicked.connect(self.download_requested)
        self._stop.clicked.connect(self.cancel_requested)
        self.show_state(ModelState())

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        fields = QWidget()
        layout = form(fields)
        layout.addRow("&Model", self._model)
        layout.addRow("&Device", self._device)
        column.addWidget(fields)
        for each in (self._problem, self._detail, self._download):
            column.addWidget(each)
        fetching = QHBoxLayout()
        fetching.addWidget(self._bar, 1)
        fetching.addWidget(self._stop)
        column.addLayout(fetching)
        column.setSpacing(3)

    def _choose(self, row: int) -> None:
        if row != self._model.count() - 1 or len(self._state.names) < 2:
            self.model_chosen.emit(row)
            return
        path = self.ask_for_file()
        self._model.show_choices(self._state.names, self._state.chosen)
        if path:
            self.model_file_chosen.emit(path)

    def ask_for_file(self) -> str:
        """Ask for a file of weights; empty if the user thought better of it."""
        kinds = "Models (*.pt *.pth *.safetensors);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", kinds)
        return str(path)

    def show_state(self, state: ModelState) -> None:
        """Draw a snapshot."""
        self._state = state
        self._model.show_choices(state.names, state.chosen)
        self._device.show_choices(state.devices, state.device)
        self._problem.say(state.problem)
        self._detail.say(
            "Reading the weights ..." if state.loading else _detail(state),
            "busy" if state.loading else "info",
        )
        loading = state.download is not None
        self._download.setVisible(state.needs_download and not loading)
        self._bar.setVisible(loading)
        self._stop.setVisible(loading)
        self._bar.setFormat(state.fetched)
        self._bar.setValue(round(100 * (state.download or 0.0)))
        self._model.setEnabled(not loading and not state.loading)


def _detail(state: ModelState) -> str:
    waits = f"Answered by {state.answered_by} until it is downloaded. " if state.answered_by else ""
    return f"{waits}{state.detail}"


def summary(state: ModelState) -> str:
    """Return the network in a few words, for the header of the closed part."""
    name = state.names[state.chosen] if state.names else "no model"
    device = state.devices[state.device] if state.devices else ""
    if state.download is not None:
        return f"{name} · downloading, {state.download:.0%}"
    if state.answered_by and not state.problem:
        return f"{state.answered_by} until {name} is {'loaded' if state.loading else 'downloaded'}"
    if state.problem or state.needs_download:
        return f"{name} · {'cannot be used' if state.problem else 'has to be downloaded'}"
    return " · ".join(each for each in (name, device) if each)
