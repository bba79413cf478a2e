"""Which image is worked on, along which axis, and which channels of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2._napari.image.geometry import spatial_shape
from napari_sam2._napari.image.network_view import channel_choices, freeze
from napari_sam2._napari.image.source import (
    Axes,
    base_level,
    displayed_axes,
    read_axes,
    shown_channel,
    why_not,
)
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import ImageState, Tool
from napari_sam2._napari.wiring import Connections, Later

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.controls.sequence import SequenceControl
    from napari_sam2._napari.workspace import Sequence, Workspace

# Contrast is looked at again so long after it was last moved, in milliseconds.
_REST = 300
# An image that fills less of what the network sees is dim: with limits three times as wide as its values, the
# built-in one outlines nuclei less well.
_LEAST_FILLED = 1 / 3


class ImageControl:
    """Chooses the image and opens its sequence.

    Parameters
    ----------
    workspace : Workspace
        Told of the choice.
    sequences : SequenceControl
        Opens what is chosen.

    Attributes
    ----------
    may_end : callable
        Asks whether what was said of the image may be given up for another one, or for another axis.
    """

    def __init__(self, workspace: Workspace, sequences: SequenceControl) -> None:
        self._space = workspace
        self._sequences = sequences
        self.may_end: Callable[[], bool] = lambda: True
        self._axes: Axes | None = None
        self._axes_read: Axes | None = None
        self._shape: tuple[int, ...] = ()
        self._pixels: Any = None
        self._frame_axis: int | None = None
        self._slid = 0
        self._problem = ""
        self._wires = Connections()
        self._image_wires = Connections()
        self._list_wires = Connections()
        self._follow = Later(self._follow_layers)
        self._review_view = Later(self._follow_view, _REST, restart=True)
        self._review_axes = Later(self._follow_axes)
        layers = workspace.viewer.layers
        events = layers.events
        self._wires.connect(events.removed, self._on_removed)
        self._wires.connect(workspace.viewer.dims.events.point, self._follow_channel)
        for emitter in (events.inserted, events.removed, events.reordered, layers.selection.events.active):
            self._wires.connect(emitter, self._follow_soon)
        self._wires.connect(workspace.loaded, self._adopt)

    def start(self) -> None:
        """Choose the active image layer, or the topmost one."""
        self._watch_list()
        active = self._space.viewer.layers.selection.active
        images = self.images()
        if isinstance(active, Image) and active in images:
            self.choose(active)
        elif images:
            self.choose(images[-1])

    def images(self) -> list[Image]:
        """Return the image layers of the viewer, in its order."""
        return [layer for layer in self._space.viewer.layers if type(layer) is Image]

    def _watch_list(self) -> None:
        """Offer images by the names that they have now, and a composite of those that are visible."""
        self._list_wires.close()
        for image in self.images():
            for emitter in (image.events.name, image.events.visible):
                self._list_wires.connect(emitter, self._say)

    def choose_index(self, index: int) -> None:
        """Work on the image layer that the dock lists at this place."""
        images = self.images()
        if 0 <= index < len(images) and (images[index] is self._space.image or self.may_end()):
            self.choose(images[index])
            if self._space.layers is not None:
                self._space.layers.set_tool(Tool.POINT)  # the next click counts, on the same image too

    def choose(self, image: Image) -> None:
        """Work on an image layer."""
        if image is self._space.image:
            return
        self.leave()
        axes = self._axes_read = self._read_axes(image)
        self._shape, self._pixels = spatial_shape(image), base_level(image)
        self._problem = why_not(image, axes)
        self._space.image = image
        self._watch(image)
        if not self._problem:
            self._axes, self._frame_axis = axes, axes.frames
            self._slid = shown_channel(self._space.viewer, image, axes)
            self._open(self._slid)
        self._say()

    def _read_axes(self, image: Image) -> Axes:
        return read_axes(image, displayed_axes(self._space.viewer, image))

    def _watch(self, image: Image) -> None:
        events = image.events
        for emitter in (events.contrast_limits, events.gamma, events.colormap, events.data):
            self._image_wires.connect(emitter, self._ask_view)
        for emitter in (events.axis_labels, events.metadata, events.units):
            self._image_wires.connect(emitter, self._ask_axes)
        for emitter in (events.scale, events.units):
            self._image_wires.connect(emitter, self._follow_sizes)

    def choose_axis(self, index: int) -> None:
        """Take another axis for the frames."""
        if self._axes is None or not 0 <= index < len(self._axes.candidates):
            return
        axis = self._axes.candidates[index]
        if axis != self._frame_axis and self.may_end():
            self._set_apart()
            self._frame_axis = axis
            self.begin_anew()

    def _set_apart(self) -> None:
        """Give layers of work that ends with its axis names of their own, and say how it is brought back."""
        layers, axes, frames = self._space.layers, self._axes, self._frame_axis
        if layers is None or axes is None or frames is None:
            return
        layers.flush()
        if self._sequences.has_objects:
            axis = axes.names[frames]
            for layer in (layers.labels, layers.shapes, layers.points):
                layer.name = f"{layer.name} (frames along {axis})"
            saved = (
                f" Choose {axis} again and it is under Recent." if self._sequences.sessions_closing else ""
            )
            tell(f"Work along {axis} has ended; its labels stay as “{layers.labels.name}”.{saved}")

    def choose_letter(self, index: int) -> None:
        """Call the axis of the frames z or t, where nothing tells; nothing is computed again."""
        axes, frames = self._axes, self._frame_axis
        letters = () if axes is None else axes.letters(frames)
        if axes is not None and frames is not None and 0 <= index < len(letters):
            self._axes = axes.called(frames, letters[index])
            self._sequences.call_axes(self._axes)
            self._say()

    def _adopt(self, sequence: Sequence) -> None:
        """Call the axis of the frames what a session that was loaded calls it, unless the image tells."""
        letter = sequence.picture.axes[:1]
        letters = () if self._axes is None else self._axes.letters(self._frame_axis)
        if letter == self._sequences.letter:
            return
        if letter in letters:
            self.choose_letter(letters.index(letter))
        elif self._axes is not None:
            self._sequences.call_axes(self._axes)

    def _follow_channel(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        """Until something was said of the image, the network sees the channel that the slider shows."""
        if not self._sequences.is_touched:
            self.choose_channel(self._take_slider())

    def _take_slider(self) -> int:
        """Return the channel that the slider shows, if it shows another one than when this was asked last.

        If it does not, or if more than one channel is seen, return what is seen.
        """
        image, axes = self._space.image, self._axes
        if image is None or axes is None or axes.channels is None:
            return self._channel
        before, self._slid = self._slid, shown_channel(self._space.viewer, image, axes)
        is_one = self._channel < spatial_shape(image)[axes.channels]
        return self._slid if is_one and self._slid != before else self._channel

    def choose_channel(self, index: int) -> None:
        """Show the network another channel, or the composite."""
        self._take_slider()  # it counts again when it is moved
        if index != self._channel:
            self._show_channel(index)
            self._say()

    @property
    def _channel(self) -> int:
        """Index into `channel_choices` of what the network is shown."""
        sequence = self._space.sequence
        return 0 if sequence is None else self._sequences.renewals.wanted(sequence).choice

    def begin_anew(self) -> None:
        """Begin anew on the same image: the user deleted a layer, or the frames lie along another axis."""
        channel = self._channel
        self._sequences.end()
        self._open(channel)
        self._say()

    def leave(self) -> None:
        """Give the image up; labels that hold something stay in the viewer."""
        self._image_wires.close()
        self._sequences.end()
        self._space.image, self._axes, self._frame_axis, self._pixels = None, None, None, None

    def _open(self, channel: int) -> None:
        image, axes = self._space.image, self._axes
        if image is not None and axes is not None:
            view = freeze(image, axes, channel, self.images())
            self._sequences.begin(image, axes, self._frame_axis, view)

    def use_current_view(self) -> None:
        """Let the network see what the viewer shows now."""
        self._show_channel(self._take_slider())

    def _show_channel(self, channel: int) -> None:
        image, axes = self._space.image, self._axes
        if image is not None and axes is not None:
            self._sequences.show_view(freeze(image, axes, channel, self.images()))

    def _follow_view(self) -> None:
        """Until something was said of the image, the network sees what the viewer shows."""
        image = self._space.image
        if image is not None and spatial_shape(image) != self._shape:
            self._choose_again(image)
            return
        if not self._sequences.is_touched:
            self.use_current_view()
        elif image is not None:
            self._tell_of_pixels(image)
        self._pixels = None if image is None else base_level(image)
        self._say()

    def _tell_of_pixels(self, image: Image) -> None:
        """Say where the viewer shows other pixels than the network sees."""
        if base_level(image) is not self._pixels:
            tell(
                f"“{image.name}” has other pixels now; the model still sees those of before. "
                "“Use current view” shows it these."
            )

    def _follow_axes(self) -> None:
        """Until something was said of the image, its axes are what they are called now."""
        image = self._space.image
        if image is None or self._sequences.is_touched or self._read_axes(image) == self._axes_read:
            return
        self.leave()
        self.choose(image)

    def _follow_sizes(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        """Whatever was said of the image, its pixels are as large as the layer says now."""
        self._sequences.measure()

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

    def _ask_axes(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        self._review_axes.ask()

    def _on_removed(self, event: Any) -> None:  # noqa: ANN401 - napari's events
        """End what goes on by itself with its image: on the next turn the other thread is further on."""
        if event.value is not None and event.value is self._space.image:
            self._space.interrupted.emit(None)

    def _follow_soon(self, _event: Any = None) -> None:  # noqa: ANN401 - napari's events
        """Follow on the next turn: layers must not be made while napari adds, removes or clears others."""
        self._follow.ask()

    def catch_up(self) -> None:
        """Follow and hear all now, for a script that does not wait for the next turn."""
        if self._follow.waiting:
            self._follow.cancel()
            self._follow_layers()
        self._space.catch_up()

    def _follow_layers(self) -> None:
        """While nothing was said of the image that is worked on, it is the active one."""
        layers = self._space.viewer.layers
        active = layers.selection.active
        self._watch_list()
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
        candidates, letters = axes.candidates, axes.letters(self._frame_axis)
        return ImageState(
            layers=names,
            chosen=chosen,
            axes=tuple(axes.names[axis] for axis in candidates),
            frame_axis=candidates.index(self._frame_axis) if self._frame_axis in candidates else None,
            axis_reason=axes.reason,
            letters=letters,
            letter=letters.index(self._sequences.letter) if letters else 0,
            channels=channel_choices(image, axes, images),
            channel=self._channel,
            seen=f"model sees {sequence.view.text}" if self._sequences.is_touched else "",
            dim=_dim(sequence.picture.filled) if self._sequences.is_touched else "",
            dim_advice=sequence.view.dim_advice,
            frames=sequence.geometry.num_frames,
            other_axis="" if other is None else axes.names[other],
            loading=self._sequences.loading,
        )

    def close(self) -> None:
        """Take back all connections and give the image up."""
        self._review_view.close()
        self._review_axes.close()
        self._follow.close()
        self._list_wires.close()
        self._wires.close()
        self.leave()


def _dim(filled: float | None) -> str:
    """Say that an image fills little of what the network sees; empty where it fills enough."""
    if filled is None or filled >= _LEAST_FILLED:
        return ""
    return f"The image fills {100 * filled:.0f} % of that: it looks dim."
