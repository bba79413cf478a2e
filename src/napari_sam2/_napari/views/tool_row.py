"""The tools of the mouse, the sign of the next point, and the choice among candidate masks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QResizeEvent
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_sam2._napari.state import Tool, ToolState
from napari_sam2._napari.views.buttons import GlyphButton
from napari_sam2._napari.views.forms import Note, add_entry, menu_of, silent
from napari_sam2._napari.views.tips import with_key

POSITIVE = QColor("#2ea45f")
NEGATIVE = QColor("#e0455e")
NO_KEYS: Mapping[str, str] = MappingProxyType({})
TOOLS = {
    Tool.POINT: ("Point", "Click on an object: its mask appears at once. A further click refines it."),
    Tool.BOX: ("Box", "Drag a box around an object."),
    Tool.OUTLINE: ("Outline", "Draw around an object; what is inside becomes its mask."),
    Tool.BRUSH: ("Brush", "Paint over the active object; what is painted is taken as it is."),
    Tool.ERASER: (
        "Eraser",
        "Take pixels from the active object. Erased entirely, it is absent from this frame.",
    ),
    Tool.PAN: ("Pan", "Move and zoom the view; nothing is prompted."),
}


class ToolRow(QWidget):
    """Tools as buttons of which one is down, and what belongs to the next click.

    Parameters
    ----------
    keys : mapping of str to str
        Keys that are shown in the tooltips, by the name of what they do: ``toggle_sign``, ``next_candidate``,
        ``new_object``.
    """

    tool_chosen = Signal(Tool)
    positive_chosen = Signal(bool)
    each_click_new_toggled = Signal(bool)
    next_candidate = Signal()
    new_object = Signal()
    seed_requested = Signal()
    seed_next_t_requested = Signal()

    def __init__(self, keys: Mapping[str, str] = NO_KEYS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ToolState()
        self._group = QButtonGroup(self)
        self._tools = {tool: self._tool_button(tool) for tool in Tool}
        self._sign = GlyphButton("plus", "Positive", tip="", name="Sign of the next point")
        self._sign_key = keys.get("toggle_sign", "")
        self._new = GlyphButton(
            "new",
            "New object",
            tip=with_key("The next click begins a new object.", keys.get("new_object", "")),
        )
        tip = "The click was ambiguous: take the next of the candidate masks."
        self._candidate = GlyphButton("next", "1 of 1", tip=with_key(tip, keys.get("next_candidate", "")))
        self._each = QCheckBox("&Each click is a new object")
        self._seed = GlyphButton(
            "seed", "Seed ▾", tip="Take prompts from a layer: points, shapes or labels.", name="Seed"
        )
        self._blocked = Note("warning", warns=True)
        self._finish_controls()
        self._lay_out()
        self._connect()
        self.show_state(ToolState())

    def _tool_button(self, tool: Tool) -> GlyphButton:
        text, tip = TOOLS[tool]
        button = GlyphButton(tool.value, text, tip=tip, checkable=True, under=True)
        self._group.addButton(button)
        button.clicked.connect(lambda: self.tool_chosen.emit(tool))
        return button

    def _finish_controls(self) -> None:
        self._each.setToolTip(
            "For crowds: every click begins an object. A click inside the active object's mask, or with a "
            "modifier, refines it."
        )
        self._each.setAccessibleName("Each click is a new object")
        menu = menu_of(self._seed)
        tip = "Every point, shape or label of it becomes an object."
        add_entry(menu, "From the selected layer", tip, self.seed_requested.emit)
        self._next_t = add_entry(menu, "", "", self.seed_next_t_requested.emit)
        self._seed.setMenu(menu)
        self._seed.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._seed.setPopupMode(GlyphButton.ToolButtonPopupMode.InstantPopup)

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for button in self._tools.values():
            tools.addWidget(button, 1)
        click = QHBoxLayout()
        click.setSpacing(4)
        for each in (self._sign, self._new, self._candidate):
            click.addWidget(each, 1)
        crowd = QFlowLayout()
        crowd.setContentsMargins(0, 0, 0, 0)
        crowd.setHorizontalSpacing(8)
        crowd.setVerticalSpacing(4)
        crowd.addWidget(self._each)
        crowd.addWidget(self._seed)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        for row in (tools, click, crowd):
            column.addLayout(row)
        column.addWidget(self._blocked)

    def _connect(self) -> None:
        self._sign.clicked.connect(lambda: self.positive_chosen.emit(not self._state.positive))
        self._new.clicked.connect(self.new_object)
        self._candidate.clicked.connect(self.next_candidate)
        self._each.toggled.connect(self.each_click_new_toggled)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:  # noqa: N802
        """Keep the box for crowds as high as the button beside it, whatever the font."""
        super().resizeEvent(a0)
        self._each.setMinimumHeight(self._seed.sizeHint().height())

    def show_state(self, state: ToolState) -> None:
        """Draw a snapshot."""
        self._state = state
        self._tools[state.tool].setChecked(True)
        for tool, button in self._tools.items():
            is_blocked = tool in state.blocked_tools
            button.setEnabled(not is_blocked)
            button.setToolTip(state.blocked if is_blocked else TOOLS[tool][1])
        self._show_sign(positive=state.positive)
        self._candidate.setVisible(state.candidates > 1)
        self._candidate.set_full_text(f"{state.candidate + 1} of {state.candidates}")
        self._candidate.setAccessibleName(f"Candidate mask {state.candidate + 1} of {state.candidates}")
        with silent(self._each):
            self._each.setChecked(state.each_click_new)
        self._blocked.say(state.blocked)

    def _show_sign(self, *, positive: bool) -> None:
        self._sign.set_glyph("plus" if positive else "minus")
        self._sign.set_colour(POSITIVE if positive else NEGATIVE)
        self._sign.set_full_text("Positive" if positive else "Negative")
        tip = (
            "The next click belongs to the object; press for clicks that do not."
            if positive
            else "The next click does not belong to the object; press for clicks that do."
        )
        self._sign.setToolTip(with_key(tip, self._sign_key))

    def show_other_axis(self, name: str) -> None:
        """Offer to seed the next index of a second axis, such as "t"; an empty name takes the offer away."""
        called = "position" if " " in name else name  # as "axis 0", which nobody has given a name
        self._next_t.setVisible(bool(name))
        self._next_t.setText(f"Next {called} from this {called}")
        self._next_t.setToolTip(f"Copy the masks of this {called} to the next one as prompts.")
