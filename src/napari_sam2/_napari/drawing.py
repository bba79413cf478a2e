"""Shapes while they are drawn, and those that were begun only or not closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Shapes

_BY_VERTICES = frozenset({"add_polygon", "add_polygon_lasso"})
_FEW = 3  # corners make an outline; while it is drawn, one more follows the mouse
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
        self._before, self._mode = 0, ""
        self._empty: set[bytes] = set()  # by vertices, since rows may change
        self._open: set[bytes] = set()

    def follow(self, event: Any) -> None:  # noqa: ANN401 - napari's event
        """Napari tells that it begins to add a shape, and again when it is complete."""
        action = getattr(event, "action", None)
        was_on, self.is_on = self.is_on, str(getattr(action, "value", action)) == "adding"
        if self.is_on:
            self._before = len(self._layer.data)
            self._mode = str(self._layer.mode)
        elif was_on and self._mode in _BY_VERTICES and self._was_left():
            enough = len(self._layer.data[-1]) > _FEW
            (self._open if enough else self._empty).add(self._layer.data[-1].tobytes())

    def _was_left(self) -> bool:
        """Whether napari leaves an outline as it was drawn: another mode was taken, or it is a path still."""
        other = str(self._layer.mode) != self._mode
        return len(self._layer.data) > self._before and (other or self._last_is({"path"}))

    def end(self) -> None:
        """End the shape that is being drawn: napari goes on with it when the layer is selected again."""
        if self.is_on:
            mode = self._layer.mode
            self._layer.mode = "pan_zoom"
            self._layer.mode = mode

    def void_click(self) -> None:
        """Take what is being drawn for a click: napari makes a shape of it, though nothing was dragged."""
        if self.is_on and self._last_is(_BY_DRAGGING):
            self._empty.add(self._layer.data[-1].tobytes())

    def _last_is(self, kinds: set[str] | frozenset[str]) -> bool:
        return len(self._layer.data) > self._before and self._layer.shape_type[-1] in kinds

    def take_void(self) -> list[int]:
        """Return the rows of shapes that were begun only, and forget them."""
        empty, self._empty = self._empty, set()
        return self._rows(empty)

    def take_open(self) -> list[int]:
        """Return the rows of outlines that were left before they were closed, and forget them."""
        left, self._open = self._open, set()
        return self._rows(left)

    def _rows(self, vertices: set[bytes]) -> list[int]:
        shapes = enumerate(self._layer.data) if vertices else ()
        return [row for row, each in shapes if each.tobytes() in vertices]
