"""A button that is held down while another layer is selected: it is released on the layer that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.interactions import mouse_release_callbacks

from napari_sam2._napari.wiring import Connections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Layer


class _Release:
    """An event of a drag, as that of its end."""

    type = "mouse_release"

    def __init__(self, event: Any) -> None:  # noqa: ANN401 - napari's mouse event
        self._event = event

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever napari's event has
        return getattr(self._event, name)


class HeldButton:
    """Ends what is dragged on a layer that is left.

    napari tells moves and the release to the layer that is selected. One that was left with the button down
    never hears of the release, and takes every later move over it for a part of the drag.

    Parameters
    ----------
    layers : sequence of Layer
        On which buttons are pressed.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layer: Layer | None = None
        self._event: Any = None
        self._wires = Connections()
        for layer in layers:
            self._wires.insert(layer.mouse_drag_callbacks, self._on_press)

    def _on_press(self, layer: Layer, event: Any) -> Iterator[None]:  # noqa: ANN401 - napari's mouse event
        self._layer, self._event = layer, event
        yield
        while event.type == "mouse_move":
            yield
        self._layer = self._event = None

    def release(self, selected: Layer | None = None) -> None:
        """Release the button where it was last, unless on the layer that is selected."""
        layer, event = self._layer, self._event
        if layer is not None and layer is not selected:
            self._layer = self._event = None
            # What napari handed out stands for whatever comes last, so that it cannot hold itself.
            mouse_release_callbacks(layer, _Release(getattr(event, "__wrapped__", event)))

    def close(self) -> None:
        """Let the layers go."""
        self._layer = self._event = None
        self._wires.close()
