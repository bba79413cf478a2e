"""Shapes while they are drawn, and those that were begun only and say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2._napari.notices import tell

if TYPE_CHECKING:
    from napari.layers import Shapes

_BY_VERTICES = frozenset({"add_polygon", "add_polygon_lasso"})
# An outline of so many corners was meant.
_FEW = 3
_BY_DRAGGING = frozenset({"rectangle", "ellipse"})


class Drawing:
    """Follows the shape that is drawn in a Shapes layer.

    Parameters
    ----------
    layer : Shapes

    Attributes
    ----------
    is_on : bool
        Whether a shape is being drawn.
    """

    def __init__(self, layer: Shapes) -> None:
        self._layer = layer
        self.is_on = False
        self._before, self._by_vertices = 0, False
        self._empty: set[bytes] = set()  # by vertices, since rows may change

    def follow(self, event: Any) -> None:  # noqa: ANN401 - napari's event
        """Napari tells that it begins to add a shape, and again when it is complete."""
        action = getattr(event, "action", None)
        was_on, self.is_on = self.is_on, str(getattr(action, "value", action)) == "adding"
        if self.is_on:
            self._before = len(self._layer.data)
            self._by_vertices = str(self._layer.mode) in _BY_VERTICES
        elif was_on and self._by_vertices and self._last_is({"path"}):
            if len(self._layer.data[-1]) > _FEW:
                tell("The outline was not complete and was taken out: close it before you take another tool.")
            self._void_last()  # an outline is an open path until it is complete

    def end(self) -> None:
        """End the shape that is being drawn: napari goes on with it when the layer is selected again."""
        if self.is_on:
            mode = self._layer.mode
            self._layer.mode = "pan_zoom"
            self._layer.mode = mode

    def void_click(self) -> None:
        """Take what is being drawn for a click: napari makes a shape of it, though nothing was dragged."""
        if self.is_on and self._last_is(_BY_DRAGGING):
            self._void_last()

    def _last_is(self, kinds: set[str] | frozenset[str]) -> bool:
        return len(self._layer.data) > self._before and self._layer.shape_type[-1] in kinds

    def _void_last(self) -> None:
        self._empty.add(self._layer.data[-1].tobytes())

    def take_void(self) -> list[int]:
        """Return the rows of shapes that were begun only, and forget them."""
        empty, self._empty = self._empty, set()
        return [row for row, each in enumerate(self._layer.data) if each.tobytes() in empty] if empty else []
