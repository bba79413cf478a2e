"""The whole dock: a sentence on top, and parts that open and close in a scroll area."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_sam2._napari.state import DockState, ReviewState
from napari_sam2._napari.views import image_panel, model_panel
from napari_sam2._napari.views.buttons import STYLE
from napari_sam2._napari.views.files_panel import FilesPanel
from napari_sam2._napari.views.forms import Note
from napari_sam2._napari.views.hints import HintKind, hint
from napari_sam2._napari.views.image_panel import ImagePanel
from napari_sam2._napari.views.model_panel import ModelPanel
from napari_sam2._napari.views.objects_table import ObjectsTable
from napari_sam2._napari.views.progress_panel import ProgressPanel
from napari_sam2._napari.views.review_panel import ReviewPanel
from napari_sam2._napari.views.section import Section
from napari_sam2._napari.views.tool_row import NO_KEYS, ToolRow
from napari_sam2.summary import CellStatus


class DockView(QWidget):
    """All that the dock shows; what the user asks for are the signals of its parts.

    Parameters
    ----------
    keys : mapping of str to str
        Keys for the tooltips, as in ``{"undo": "Ctrl+Z"}``: ``toggle_sign``, ``new_object``,
        ``next_candidate``, ``propagate``, ``cancel``, ``undo``, ``redo``, ``begins_here``, ``ends_here``,
        ``divides_here``, ``lock``, ``next_doubtful``.

    Notes
    -----
    `show_state` draws only the parts that differ from what is shown. Indices in the signals of parts are
    those of the lists in the state; frames are counted from 0.

    Attributes
    ----------
    image, model, tools, objects, progress, review, files : widgets
        The parts.
    sections : dict of str to Section
        What they are shown in, by name.
    """

    def __init__(self, keys: Mapping[str, str] = NO_KEYS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state: DockState | None = None
        self.image = ImagePanel()
        self.model = ModelPanel()
        self.tools = ToolRow(keys)
        self.objects = ObjectsTable()
        self.progress = ProgressPanel(keys)
        self.review = ReviewPanel(keys)
        self.files = FilesPanel()
        self._hint = Note("info")
        self.sections = {
            "Image": Section("Image", self.image),
            "Model": Section("Model", self.model, is_open=False),
            "Prompts": Section("Prompts", self.tools),
            "Objects": Section("Objects", self.objects),
            "Propagate": Section("Propagate and correct", self.progress),
            "Review": Section("Review", self.review),
            "Files": Section("Save and export", self.files, is_open=False),
        }
        self.setStyleSheet(STYLE)
        self._lay_out()
        self.show_state(DockState())

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(4)
        for section in self.sections.values():
            column.addWidget(section)
        column.addStretch(1)
        for panel in (self.image, self.model, self.tools, self.progress, self.review, self.files):
            layout = panel.layout()
            if layout is not None:
                layout.setContentsMargins(0, 0, 0, 0)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(4, 4, 0, 4)
        whole.setSpacing(4)
        self._hint.setContentsMargins(0, 0, 8, 0)
        whole.addWidget(self._hint)
        whole.addWidget(self._area, 1)

    def shown(self) -> DockState:
        """Return the snapshot that is shown."""
        return DockState() if self._state is None else self._state

    def hint(self) -> str:
        """Return the sentence on top."""
        return self._hint.text()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a size for a dock on the right."""
        return QSize(350, 760)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the least that is usable; the rest scrolls."""
        return QSize(300, 240)

    def show_state(self, state: DockState) -> None:
        """Draw a snapshot; parts that are as they were are left alone."""
        old, self._state = self._state, state
        if old is None or state.image != old.image:
            self.image.show_state(state.image)
            self.tools.show_other_axis(state.image.other_axis)
            if state.image.problem:
                self.sections["Image"].set_open(True)
        if old is None or state.model != old.model:
            self.model.show_state(state.model)
            if state.model.problem or state.model.needs_download:
                self.sections["Model"].set_open(True)
        if old is None or state.tools != old.tools:
            self.tools.show_state(state.tools)
        if old is None or state.objects != old.objects:
            self.objects.show_state(state.objects)
        if old is None or state.progress != old.progress:
            self.progress.show_state(state.progress)
        if old is None or state.files != old.files:
            self.files.show_state(state.files)
        if old is None or state.review is not old.review:
            self.review.show_state(state.review)
        self._show_whole(state)

    def _show_whole(self, state: DockState) -> None:
        """Draw what depends on more than one part."""
        said = hint(state)
        self._hint.say(said.text, said.kind.value, warns=said.kind is HintKind.PROBLEM)
        usable = state.image.chosen is not None and not state.image.problem and not state.image.loading
        for part in (self.tools, self.progress):
            part.setEnabled(usable)
        self.objects.setEnabled(usable)
        self.files.show_usable(image=usable, objects=bool(state.objects.rows))
        self.progress.show_place(
            state.image.frames,
            active=state.objects.active,
            locked=locked_here(state.review, state.objects.active),
        )
        count = len(state.objects.rows)
        for name, text in (
            ("Image", image_panel.summary(state.image)),
            ("Model", model_panel.summary(state.model)),
            ("Prompts", state.tools.tool.value),
            ("Objects", f"{count} object{'' if count == 1 else 's'}"),
            ("Propagate", state.progress.activity.value),
            ("Files", "there is recent work" if state.files.recent else ""),
        ):
            self.sections[name].set_summary(text)


def locked_here(review: ReviewState, active: int | None) -> bool:
    """Return whether the active object is locked on the frame that is shown."""
    if active not in review.objects or not 0 <= review.frame < review.status.shape[1]:
        return False
    return int(review.status[review.objects.index(active), review.frame]) == CellStatus.LOCKED
