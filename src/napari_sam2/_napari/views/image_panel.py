"""Which image is worked on, what its frames are, and what the network sees of it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2._napari.state import ImageState
from napari_sam2._napari.views.buttons import GlyphButton
from napari_sam2._napari.views.forms import ChoiceBox, Note, form
from napari_sam2._napari.views.tips import capitalised

_KINDS = {"z": "z, of a stack", "t": "t, of a movie"}


class ImagePanel(QWidget):
    """Choice of the image layer, of the frame axis and of the channel.

    The signals carry the index of what was chosen in the lists of `ImageState`.
    """

    image_chosen = Signal(int)
    axis_chosen = Signal(int)
    letter_chosen = Signal(int)
    channel_chosen = Signal(int)
    use_current_view = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer = ChoiceBox(
            "Image layer", "The image layer in which objects are tracked.", "no image is open"
        )
        self._axis = ChoiceBox(
            "Frames", "The axis along which objects are followed: z of a stack, t of a movie.", "-"
        )
        self._letter = ChoiceBox(
            "What the frames are",
            "The image does not say whether its frames are the z of a stack or the t of a movie. "
            "Exported files call the axis what is chosen here.",
            "-",
        )
        self._channel = ChoiceBox("Channel", "What of the image the model sees.", "-")
        self._seen = Note("eye")
        self._problem = Note("warning", warns=True)
        self._dim, self._reason = Note("warning", warns=True), Note("info")
        self._view = GlyphButton(
            "refresh",
            "Use current view",
            tip="Let the model see the image as it is shown now: contrast limits and channels. Otherwise"
            " those of the first prompt are kept. Prompts are answered again, and tracked masks go until you"
            " propagate again; undo works.",
        )
        self._lay_out()
        self._layer.activated.connect(self.image_chosen)
        self._axis.activated.connect(self.axis_chosen)
        self._letter.activated.connect(self.letter_chosen)
        self._channel.activated.connect(self.channel_chosen)
        self._view.clicked.connect(self.use_current_view)
        self.show_state(ImageState())

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        fields = QWidget()
        self._form = form(fields)
        self._form.addRow("&Image", self._layer)
        self._form.addRow("&Frames", self._axis)
        self._form.addRow("&Along", self._letter)
        self._form.addRow("C&hannel", self._channel)
        column.addWidget(fields)
        for each in (self._problem, self._reason, self._seen, self._dim):
            column.addWidget(each)
        column.addWidget(self._view, 0, Qt.AlignmentFlag.AlignLeft)
        column.setSpacing(3)

    def show_state(self, state: ImageState) -> None:
        """Draw a snapshot."""
        self._layer.show_choices(state.layers, state.chosen)
        self._axis.show_choices(state.axes, state.frame_axis)
        letters = tuple(_KINDS.get(letter, letter) for letter in state.letters)
        self._letter.show_choices(letters, state.letter if letters else None)
        self._channel.show_choices(state.channels, state.channel if state.channels else None)
        self._form.setRowVisible(self._channel, bool(state.channels))
        self._form.setRowVisible(self._axis, bool(state.axes))
        self._form.setRowVisible(self._letter, bool(letters))
        self._problem.say("" if state.loading else state.problem)
        self._reason.say("Opening the image ..." if state.loading else capitalised(state.axis_reason))
        self._seen.say(capitalised(state.seen))
        self._dim.say(state.dim, tip=state.dim_advice)
        self._view.setVisible(bool(state.seen))
        self._view.setEnabled(not state.loading)


def summary(state: ImageState) -> str:
    """Return the image in a few words, for the header of the closed part."""
    if state.chosen is None:
        return "no image"
    parts = [state.layers[state.chosen]]
    if state.frame_axis is not None:
        parts.append(f"{state.frames} frames along {state.axes[state.frame_axis]}")
    return " · ".join(parts)
