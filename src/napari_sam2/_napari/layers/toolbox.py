"""Tools: which layer and mode each of them is, and when they cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2._napari.state import Tool
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer, Points, Shapes

    from napari_sam2._napari.image.geometry import SequenceGeometry

MODES = {
    Tool.POINT: "add",
    Tool.BOX: "add_rectangle",
    Tool.OUTLINE: "add_polygon_lasso",
    Tool.BRUSH: "paint",
    Tool.ERASER: "erase",
    Tool.PAN: "pan_zoom",
}
_OF_MODE = {
    "add": Tool.POINT,
    "add_rectangle": Tool.BOX,
    "add_ellipse": Tool.OUTLINE,
    "add_polygon": Tool.OUTLINE,
    "add_polygon_lasso": Tool.OUTLINE,
    "paint": Tool.BRUSH,
    "fill": Tool.BRUSH,
    "polygon": Tool.BRUSH,
    "erase": Tool.ERASER,
}
FLAT_VIEW = "In the 3D view you can look around and review: switch to the 2D view (Ctrl+Y) to go on."
FRAMES_SHOWN = (
    "Boxes, outlines and brushes work on whole frames: "
    "roll the axes (Ctrl+E) until a slider moves through them."
)


class Toolbox:
    """Activates layers and modes, and follows the modes that are chosen in napari itself.

    Parameters
    ----------
    viewer : ViewerModel
        That holds the layers.
    geometry : SequenceGeometry
        Of the sequence that is worked on.
    points, shapes, labels : layers
        Of the plugin.
    """

    tool_changed = Signal(Tool)
    blocked_changed = Signal(str)
    switched = Signal()

    def __init__(
        self, viewer: ViewerModel, geometry: SequenceGeometry, points: Points, shapes: Shapes, labels: Labels
    ) -> None:
        self._viewer, self.geometry = viewer, geometry
        self._points, self._shapes, self._labels = points, shapes, labels
        self._tool, self._wanted = Tool.PAN, Tool.PAN
        self._choosing = False
        self._reason = self.blocked_reason()
        self._view_turn, self._mode_turn = Later(self._follow_view), Later(self._follow_modes)
        self._wires = Connections()
        for emitter in (viewer.dims.events.order, viewer.dims.events.ndisplay, viewer.dims.events.ndim):
            self._wires.connect(emitter, self._on_view)
        self._wires.connect(viewer.layers.selection.events.active, self._on_mode)
        for layer in self._layers:
            self._wires.connect(layer.events.mode, self._on_mode)
            # Other data make a layer editable again, whatever the view.
            self._wires.connect(layer.events.editable, self._on_view)
        self._view_turn.ask()

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return self._labels, self._shapes, self._points

    @property
    def tool(self) -> Tool:
        """The tool in use."""
        return self._tool

    def blocked_reason(self) -> str:
        """Say why boxes, outlines and strokes cannot be used, and how to return; empty if they can."""
        if self._viewer.dims.ndisplay == 3:
            return FLAT_VIEW
        return "" if self.geometry.frames_shown(self._viewer) else FRAMES_SHOWN

    def blocked_tools(self) -> frozenset[Tool]:
        """Return the tools that cannot be used now."""
        return frozenset(tool for tool in Tool if not self._usable(tool))

    def choose(self, tool: Tool) -> None:
        """Activate a tool's layer and mode; one that is blocked is kept for later."""
        self._wanted = tool
        self._choosing = True
        try:
            usable = tool if self._usable(tool) else Tool.PAN
            layer = self._layer_of(usable)
            if usable is not Tool.PAN:
                layer.visible = True
            layer.mode = MODES[usable]
            self._viewer.layers.selection.active = layer
        finally:
            self._choosing = False
        self._tell(usable)
        self.switched.emit()

    def _usable(self, tool: Tool) -> bool:
        if tool is Tool.POINT:
            return bool(self._viewer.dims.ndisplay == 2)
        return tool is Tool.PAN or not self.blocked_reason()

    def _layer_of(self, tool: Tool) -> Any:  # noqa: ANN401 - one of three kinds
        if tool is Tool.PAN:
            active = self._viewer.layers.selection.active
            return next((layer for layer in self._layers if layer is active), self._points)
        if tool is Tool.POINT:
            return self._points
        return self._shapes if tool in {Tool.BOX, Tool.OUTLINE} else self._labels

    def _tell(self, tool: Tool) -> None:
        if tool is not self._tool:
            self._tool = tool
            self.tool_changed.emit(tool)

    # --- what is chosen in napari itself

    def _on_mode(self, _event: object = None) -> None:
        if not self._choosing:
            self._mode_turn.ask()

    def _follow_modes(self) -> None:
        active = self._viewer.layers.selection.active
        ours = next((layer for layer in self._layers if layer is active), None)
        tool = Tool.PAN if ours is None else _OF_MODE.get(str(ours.mode), Tool.PAN)
        if not self.blocked_reason():
            self._wanted = tool
        self._tell(tool)
        self.switched.emit()

    def _on_view(self, _event: object = None) -> None:
        self._view_turn.ask()

    def _follow_view(self) -> None:
        """Disable what cannot be used in this view, and take up again what was in use before."""
        reason = self.blocked_reason()
        active = self._viewer.layers.selection.active
        ours = any(layer is active for layer in self._layers)
        wanted = self._wanted
        self._choosing = True
        try:
            self._shapes.editable = self._labels.editable = not reason
            if self._viewer.dims.ndisplay == 3:
                self._points.mode = MODES[Tool.PAN]
        finally:
            self._choosing = False
        if ours and wanted is not Tool.PAN:
            self.choose(wanted)
        if reason != self._reason:
            self._reason = reason
            self.blocked_changed.emit(reason)

    def close(self) -> None:
        """Let viewer and layers go."""
        self._view_turn.close()
        self._mode_turn.close()
        self._wires.close()
