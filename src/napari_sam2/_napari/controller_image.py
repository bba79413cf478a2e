"""Which image is worked on, along which axis, and which channels of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2._napari.image_source import (
    Axes,
    channel_choices,
    displayed_axes,
    freeze,
    geometry_of,
    read_axes,
    why_not,
)
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import ImageState
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from napari_sam2._napari.controller_sequence import SequenceControl
    from napari_sam2._napari.image_source import View
    from napari_sam2._napari.workspace import Workspace

# Contrast is looked at again so long after it was last moved, in milliseconds.
_REST = 300


class ImageControl:
    """Chooses the image and opens its sequence.

    Parameters
    ----------
    workspace : Workspace
        Told of the choice.
    sequences : SequenceControl
        Opens what is chosen.
    """

    def __init__(self, workspace: Workspace, sequences: SequenceControl) -> None:
        self._space = workspace
        self._sequences = sequences
        self._axes: Axes | None = None
        self._frame_axis: int | None = None
        self._channel = 0
        self._problem = ""
        self._wires = Connections()
        self._image_wires = Connections()
        self._follow = Later(self._follow_layers)
        self._review_view = Later(self._follow_view, _REST, restart=True)
        layers = workspace.viewer.layers
        events = layers.events
        self._wires.connect(events.removed, self._on_removed)
        for emitter in (events.inserted, events.removed, events.reordered, layers.selection.events.active):
            self._wires.connect(emitter, self._follow_soon)

    def start(self) -> None:
        """Choose the active image layer, or the topmost one."""
        active = self._space.viewer.layers.selection.active
        images = self.images()
        if isinstance(active, Image) and active in images:
            self.choose(active)
        elif images:
            self.choose(images[-1])

    def images(self) -> list[Image]:
        """Return the image layers of the viewer, in its order."""
        return [layer for layer in self._space.viewer.layers if type(layer) is Image]

    def choose_index(self, index: int) -> None:
        """Work on the image layer that the dock lists at this place."""
        images = self.images()
        if 0 <= index < len(images):
            self.choose(images[index])

    def choose(self, image: Image) -> None:
        """Work on an image layer."""
        if image is self._space.image:
            return
        self.leave()
        self._problem = why_not(image)
        self._space.image = image
        self._channel = 0
        self._image_wires.connect(image.events.name, self._say)
        if not self._problem:
            self._axes = read_axes(image, displayed_axes(self._space.viewer, image))
            self._frame_axis = self._axes.frames
            for emitter in (image.events.contrast_limits, image.events.colormap, image.events.data):
                self._image_wires.connect(emitter, self._ask_view)
            self._open()
        self._say()

    def choose_axis(self, index: int) -> None:
        """Take another axis for the frames."""
        if self._axes is None or not 0 <= index < len(self._axes.candidates):
            return
        axis = self._axes.candidates[index]
        if axis != self._frame_axis:
            self._frame_axis = axis
            self.begin_anew()

    def choose_channel(self, index: int) -> None:
        """Show the network another channel, or the composite."""
        if index != self._channel:
            self._channel = index
            self.use_current_view()

    def begin_anew(self) -> None:
        """Begin anew on the same image: the user deleted a layer, or the frames lie along another axis."""
        self._sequences.end()
        self._open()
        self._say()

    def leave(self) -> None:
        """Give the image up; labels that hold something stay in the viewer."""
        self._image_wires.close()
        self._sequences.end()
        self._space.image, self._axes, self._frame_axis = None, None, None

    def _open(self) -> None:
        image, axes = self._space.image, self._axes
        if image is not None and axes is not None:
            self._sequences.begin(image, axes, self._frame_axis, self._view(image, axes))

    def _view(self, image: Image, axes: Axes) -> View:
        return freeze(image, axes, self._channel, self.images())

    def use_current_view(self) -> None:
        """Let the network see what the viewer shows now."""
        if self._space.image is not None and self._axes is not None:
            self._sequences.show_view(self._view(self._space.image, self._axes))

    def _follow_view(self) -> None:
        """Until something was said of the image, the network sees what the viewer shows."""
        space = self._space
        if space.image is not None and space.sequence is not None and self._axes is not None:
            wanted = geometry_of(space.image, self._axes, self._frame_axis)
            if wanted.shape != space.sequence.geometry.shape:
                self._choose_again(space.image)
                return
        if not self._sequences.is_touched:
            self.use_current_view()
        self._say()

    def _choose_again(self, image: Image) -> None:
        """Begin anew with data of another shape."""
        tell(f"“{image.name}” has other data now: work begins anew.")
        self.leave()
        self.choose(image)

    def freeze(self) -> None:
        """Make sure that the network sees what the viewer shows, before the first prompt is sent."""
        if not self._sequences.is_touched:
            self._review_view.cancel()
            self.use_current_view()
        self._sequences.ensure_open()

    def _ask_view(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        self._review_view.ask()

    def _on_removed(self, event: Any) -> None:  # noqa: ANN401 - napari's events
        """End what goes on by itself with its image: on the next turn the other thread is further on."""
        if event.value is not None and event.value is self._space.image:
            self._space.interrupted.emit()

    def _follow_soon(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        """Follow on the next turn: layers must not be made while napari adds, removes or clears others."""
        self._follow.ask()

    def catch_up(self) -> None:
        """Follow now, for a script that does not wait for the next turn."""
        if self._follow.waiting:
            self._follow.cancel()
            self._follow_layers()

    def _follow_layers(self) -> None:
        """While nothing was said of the image that is worked on, it is the active one."""
        layers = self._space.viewer.layers
        active = layers.selection.active
        if self._space.image is not None and self._space.image not in layers:
            self.leave()
        if self._space.image is None:
            self.start()
        elif type(active) is Image and not self._sequences.is_touched:
            self.choose(active)
        self._say()

    def _say(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        self._space.changed.emit()

    def state(self) -> ImageState:
        """Return what the dock shows of the image."""
        images = self.images()
        names = tuple(image.name for image in images)
        image, axes, sequence = self._space.image, self._axes, self._space.sequence
        if image is None or image not in images:
            return ImageState(layers=names)
        chosen = images.index(image)
        if axes is None or sequence is None:
            return ImageState(layers=names, chosen=chosen, problem=self._problem)
        other = axes.other(self._frame_axis)
        candidates = tuple(axis for axis in axes.candidates)
        return ImageState(
            layers=names,
            chosen=chosen,
            axes=tuple(axes.names[axis] for axis in candidates),
            frame_axis=candidates.index(self._frame_axis) if self._frame_axis in candidates else None,
            axis_reason=axes.reason,
            channels=channel_choices(image, axes, images),
            channel=self._channel,
            seen=f"model sees {sequence.view.text}" if self._sequences.is_touched else "",
            frames=sequence.geometry.num_frames,
            other_axis="" if other is None else axes.names[other],
            loading=self._sequences.loading,
        )

    def close(self) -> None:
        """Take back all connections and give the image up."""
        self._review_view.close()
        self._follow.close()
        self._wires.close()
        self.leave()
