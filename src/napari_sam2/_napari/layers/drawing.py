"""Shapes while they are drawn, and what becomes of those that cannot stay as they were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2._napari.keys import block_pan, unblock_pan
from napari_sam2._napari.wiring import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import numpy.typing as npt
    from napari.layers import Shapes

    Vertices = npt.NDArray[np.float64]

_BY_VERTICES = frozenset({"add_polygon", "add_polygon_lasso"})
_LINES = frozenset({"add_line", "add_path", "add_polyline"})
_BY_DRAGGING = frozenset({"add_rectangle", "add_ellipse", "add_line"})
_DRAGGED = frozenset({"rectangle", "ellipse"})
_FEWEST = 3  # corners of an outline

NO_LINES = "Lines and paths say nothing here: draw a box, an ellipse or a closed outline."
MOVED = "The shape was taken out: another frame came up while it was drawn."
CORNERS_MOVED = "The corners on other frames were left out: an outline lies on the frame of its first corner."


class Drawing:
    """Follows the shape that is drawn with the mouse in a Shapes layer; what scripts add stays as it is.

    Parameters
    ----------
    layer : Shapes
    with_first : callable
        Tells which vertices (n, ndim) lie on the frame of the first of them.

    Attributes
    ----------
    is_on : bool
        Whether a shape is being drawn.
    """

    def __init__(self, layer: Shapes, with_first: Callable[[Vertices], npt.NDArray[np.bool_]]) -> None:
        self._layer, self._with_first = layer, with_first
        self.is_on = False
        self._before, self._mode = 0, ""
        self._pressed = self._is_down = self._by_hand = self._given_up = False
        self._empty: set[bytes] = set()  # by vertices, since rows may change
        self._open: dict[bytes, Vertices] = {}
        self._words: list[str] = []
        self._wires = Connections()
        self._wires.insert(layer.mouse_drag_callbacks, self._on_press)
        self._wires.insert(layer.mouse_move_callbacks, self._on_move)

    # --- the mouse, before napari makes anything of it

    def _on_press(self, layer: Shapes, event: Any) -> Iterator[None]:  # noqa: ANN401 - napari's mouse event
        self._on_move(layer, event)
        self._pressed = not self.is_on and str(layer.mode).startswith("add_")
        self._is_down = True
        yield
        while event.type == "mouse_move":
            self._on_drag(layer, event)
            yield
        self._pressed = self._is_down = False

    def _on_move(self, layer: Shapes, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        """End an outline when the mouse comes back to a layer that shows another frame."""
        if self._mode in _BY_VERTICES and self._is_elsewhere(layer, event):
            self.end()

    def _on_drag(self, layer: Shapes, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        """End what is dragged when another frame is shown: napari fails where its shape is not seen."""
        if self._mode in _BY_DRAGGING and self._is_elsewhere(layer, event):
            if self._mode not in _LINES:
                self._drop(layer.data[-1], MOVED)
            self.end()

    def _is_elsewhere(self, layer: Shapes, event: Any) -> bool:  # noqa: ANN401 - napari's mouse event
        """Whether the mouse is on another frame than what is being drawn."""
        if not self.is_on or len(layer.data) <= self._before:
            return False
        here = np.asarray(layer.world_to_data(event.position), float)
        return not self._with_first(np.stack([layer.data[-1][0], here])).all()

    # --- the shape

    def follow(self, event: Any) -> None:  # noqa: ANN401 - napari's event
        """Napari tells that it begins to add a shape, and again when it is complete."""
        action = getattr(event, "action", None)
        was_on, self.is_on = self.is_on, str(getattr(action, "value", action)) == "adding"
        self._keep_mode()
        if self.is_on:
            self._before, self._mode = len(self._layer.data), str(self._layer.mode)
            self._by_hand, self._pressed = self._pressed, False
        elif was_on and self._by_hand and len(self._layer.data) > self._before:
            last = self._layer.data[-1]
            if self._given_up:
                self._empty.add(last.tobytes())
            else:
                self._judge(last)

    def _keep_mode(self) -> None:
        """Let the key that moves the view do nothing while an outline is drawn, which it would end."""
        if self.is_on and str(self._layer.mode) in _BY_VERTICES:
            block_pan(self._layer)
        else:
            unblock_pan(self._layer)

    def _judge(self, vertices: Vertices) -> None:
        """Note what is to become of a shape that is complete or was left."""
        if self._mode in _BY_VERTICES:
            self._judge_outline(vertices)
        elif self._mode in _LINES:
            self._drop(vertices, NO_LINES)

    def _judge_outline(self, vertices: Vertices) -> None:
        # While an outline is drawn its last corner follows the mouse: it is none if the outline was left.
        corners = vertices[:-1] if self._was_left() else vertices
        counted = corners[self._with_first(corners)]
        if len(counted) < len(corners):
            self._words.append(CORNERS_MOVED)
        if len(counted) < _FEWEST:
            self._empty.add(vertices.tobytes())
        elif len(counted) < len(vertices):
            self._open[vertices.tobytes()] = counted

    def _drop(self, vertices: Vertices, words: str) -> None:
        self._empty.add(vertices.tobytes())
        self._words.append(words)

    def _was_left(self) -> bool:
        """Whether napari leaves an outline as it was drawn: another mode was taken, or it is a path still."""
        return str(self._layer.mode) != self._mode or self._last_is({"path"})

    def end(self) -> None:
        """End the shape that is being drawn: napari goes on with it when the layer is selected again."""
        if self.is_on:
            mode = self._layer.mode
            self._layer.mode = "pan_zoom"
            self._layer.mode = mode

    def give_up(self) -> bool:
        """Take back the shape that is being drawn; tell whether there was one.

        With the button down nothing is taken back: napari goes on with the shape until it is released.
        """
        was_on, self._given_up = self.is_on, self.is_on and not self._is_down
        if self._given_up:
            self.end()
        self._given_up = False
        return was_on

    def void_click(self) -> None:
        """Take what is being drawn for a click: napari makes a shape of it, though nothing was dragged."""
        if self.is_on and self._last_is(_DRAGGED):
            self._empty.add(self._layer.data[-1].tobytes())

    def _last_is(self, kinds: set[str] | frozenset[str]) -> bool:
        return len(self._layer.data) > self._before and self._layer.shape_type[-1] in kinds

    # --- what became of it

    def take_void(self) -> list[int]:
        """Return the rows of shapes that cannot stay, and forget them."""
        empty, self._empty = self._empty, set()
        return list(self._rows(empty))

    def take_open(self) -> dict[int, Vertices]:
        """Return the corners that count of outlines that were left or lie on several frames, by row."""
        left, self._open = self._open, {}
        return {row: left[name] for row, name in self._rows(left.keys()).items()}

    def take_words(self) -> list[str]:
        """Return what the user is to be told, each sentence once, and forget it."""
        words, self._words = self._words, []
        return list(dict.fromkeys(words))

    def _rows(self, vertices: Collection[bytes]) -> dict[int, bytes]:
        shapes = enumerate(self._layer.data) if vertices else ()
        names = {row: each.tobytes() for row, each in shapes}
        return {row: name for row, name in names.items() if name in vertices}

    def close(self) -> None:
        """Let the layer go."""
        unblock_pan(self._layer)
        self._wires.close()
