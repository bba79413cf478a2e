"""Prompts of layers in, a Labels layer out: one call for scripts and macros, and one button."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import napari.layers
import napari.qt.threading
import napari.types
import napari.viewer
import numpy as np
from magicgui import magic_factory
from qtpy.QtCore import QTimer

from napari_sam2._model.registry import RELEASED
from napari_sam2._napari.download import PARTS, Download
from napari_sam2._napari.image.geometry import spatial_shape
from napari_sam2._napari.image.network_view import View, freeze
from napari_sam2._napari.image.pixel_sizes import pixel_sizes
from napari_sam2._napari.image.source import Axes, geometry_of, read_axes, shown_channel, why_not
from napari_sam2._napari.layers.layer_prompts import LayerPrompts
from napari_sam2._napari.model_choices import EMBEDDED, ModelChoice, load
from napari_sam2._napari.notices import show_failure, tell
from napari_sam2._napari.oneshot_fields import AUTOMATIC, LineUp, axis_choices, shape_choices
from napari_sam2._napari.settings import read_settings
from napari_sam2.labels import blank_labels
from napari_sam2.passes import DIRECTIONS, Direction

if TYPE_CHECKING:
    from magicgui.widgets import PushButton
    from napari.layers import Image, Labels, Layer, Points, Shapes

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2.session import Session

_BUTTON = "Propagate"
_EACH = "Each is an object; equal numbers in a column “object” of its features are one."
LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer."""


@dataclass(frozen=True, eq=False)
class Request:
    """All that is asked of the layers; what follows touches none of them, and reads their pixels only.

    Attributes
    ----------
    name : str
        Of the image.
    geometry : SequenceGeometry
        Where the frames lie in the image.
    view : View
        What the network sees of it.
    prompts : LayerPrompts
        What the layers say.
    kwargs : dict
        Name and place of the Labels layer.
    aspect : float
        Height of a pixel over its width.
    """

    name: str
    geometry: SequenceGeometry
    view: View
    prompts: LayerPrompts
    kwargs: dict[str, Any] = field(default_factory=dict)
    aspect: float = 1.0

    @property
    def steps(self) -> int:
        """How many steps `run` takes at most."""
        return self.prompts.steps + self.geometry.num_frames


def propagate_prompts(
    image: Image,
    *,
    points: Points | None = None,
    boxes: Shapes | None = None,
    mask: Labels | None = None,
    axis: int | None = None,
    frame: int = 0,
    index: Mapping[int, int] | None = None,
    model: str | Sam2 = EMBEDDED,
    direction: Direction = "both",
) -> napari.types.LayerDataTuple:
    """Track the objects that layers point at through an image.

    Parameters
    ----------
    image : Image
        The image layer; its contrast limits say what the network sees.
    points, boxes, mask : Points, Shapes, Labels, optional
        What to track, at least one of them, read in world coordinates; see `read_seeds`. Each point and each
        shape is an object, unless their features have a column ``object``: equal numbers are one object.
    axis : int, optional
        Axis of the frames; by default z, or t, or the one with a slider.
    frame : int
        Where layers that lack the axis of the frames count.
    index : mapping of int to int, optional
        Positions along other axes, that of channels among them; 0 where nothing is said.
    model : str or Sam2
        As for `load_model`: a name, the path of a file, or a network that is loaded.
    direction : {"both", "forward", "backward"}
        As for `Session.propagate`.

    Returns
    -------
    LayerDataTuple
        Data, keyword arguments and type of the Labels layer.

    Raises
    ------
    ValueError
        If the image cannot be used, or no prompt lies in it.
    """
    request = read_layers(image, (mask, points, boxes), axis, frame, index)
    steps = run(request, ModelChoice(model) if isinstance(model, str) else model, direction)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return napari.types.LayerDataTuple(end.value)


def read_layers(
    image: Image,
    layers: Sequence[Layer | None],
    axis: int | None = None,
    frame: int = 0,
    index: Mapping[int, int] | None = None,
) -> Request:
    """Ask an image, and the layers that point at objects in it, on the GUI thread; masks are not read yet.

    Raises
    ------
    ValueError
        If the image cannot be used, or no prompt lies in it.
    """
    axes = _usable_axes(image)
    frames = axes.frames if axis is None else _checked_axis(image, axes, axis)
    geometry = geometry_of(image, axes, frames)
    places = dict(index or {})
    channel = 0 if axes.channels is None else _checked_channel(image, axes.channels, places)
    geometry = geometry.at({**geometry.index, **places})
    prompts = LayerPrompts(layers, image, geometry, frame)
    if not prompts.may_say_something:
        raise ValueError(_nothing_in(image.name))
    kwargs = {"name": f"{image.name} tracked", **geometry.layer_kwargs(image)}
    _, height, width = pixel_sizes(image, geometry)
    view = freeze(image, axes, channel, [image])
    return Request(image.name, geometry, view, prompts, kwargs, aspect=height / width)


def _usable_axes(image: Image | None) -> Axes:
    """Return the axes of an image; ValueError if there is none, or it cannot be used."""
    if image is None:  # as in the widget where none is open
        raise ValueError("No image is chosen: open one, and choose it.")
    axes = read_axes(image)
    if problem := why_not(image, axes):
        raise ValueError(problem)
    return axes


def _checked_axis(image: Image, axes: Axes, axis: int) -> int:
    if not -image.ndim <= axis < image.ndim:
        raise ValueError(f"“{image.name}” has no axis {axis}: its axes are 0 to {image.ndim - 1}")
    chosen, usable = int(axis % image.ndim), axes.candidates
    if chosen not in usable:
        listed = " or ".join(map(str, usable)) or "none"
        raise ValueError(f"frames of “{image.name}” cannot lie along axis {chosen}: choose {listed}")
    return chosen


def _checked_channel(image: Image, axis: int, places: dict[int, int]) -> int:
    """Take the position along the axis of channels out of those along all axes."""
    channel, count = places.pop(axis, 0), spatial_shape(image)[axis]
    if not 0 <= channel < count:
        raise ValueError(f"“{image.name}” has no channel {channel}: its channels are 0 to {count - 1}")
    return channel


def _shown_channel(viewer: napari.viewer.Viewer, image: Image, axes: Axes) -> dict[int, int]:
    """Return the position along the axis of channels, if there is one."""
    return {} if axes.channels is None else {axes.channels: shown_channel(viewer, image, axes)}


def _nothing_in(image: str) -> str:
    return f"No prompt lies in “{image}”: choose a layer with points, boxes or a mask on the object."


def run(request: Request, model: ModelChoice | Sam2, direction: Direction) -> Generator[int, None, LayerData]:
    """Read masks and track, on any thread; return the Labels layer as data, keyword arguments and type.

    Yields
    ------
    int
        Frames or parts of layers as they are read, then each frame when it is done for the first time.

    Raises
    ------
    ValueError
        If no prompt lies in the image.
    """
    yield from request.prompts.read()
    if not request.prompts.highest:
        raise ValueError(_nothing_in(request.name))
    wide = request.prompts.highest > np.iinfo(np.uint16).max
    labels = blank_labels(request.geometry.shape, np.uint32 if wide else np.uint16)
    session = _open(request, model, labels)
    for key, prompts in request.prompts.items():
        session.set_prompts(key.obj, key.frame, prompts)
    done: set[int] = set()
    for result in session.propagate(direction=direction):
        if result.frame not in done:
            done.add(result.frame)
            yield result.frame
    return labels, request.kwargs, "labels"


def _open(request: Request, model: ModelChoice | Sam2, labels: Any) -> Session:  # noqa: ANN401 - whatever is written into
    from napari_sam2.session import Session
    from napari_sam2.window import WindowRules

    geometry, view = request.geometry, request.view
    fixed = {axis: at for axis, at in geometry.index.items() if axis != geometry.channel_axis}
    return Session(
        view.data,
        model=load(model) if isinstance(model, ModelChoice) else model,
        axis=geometry.frame_axis or 0,
        index={**view.index, **fixed},
        channel=view.channel,
        contrast=view.contrast,
        view=WindowRules("auto", aspect=request.aspect),
        labels=geometry.frames_of(labels),
    )


def _prepare(gui: Any) -> None:  # noqa: ANN401 - its fields are made from the function below
    """List the axes of the image that is chosen, and the layers that may hold boxes; press once at a time."""
    gui.boxes.choices = shape_choices  # those of the annotation would go before an option
    gui.image.changed.connect(lambda _: gui.axis.reset_choices())
    gui.axis.reset_choices()
    LineUp(gui.native)
    button = gui.call_button
    if button is None:
        return
    button.changed.disconnect()  # magicgui's own enables the button when the worker has only begun
    button.changed.connect(lambda _: _press(gui))
    under_way: set[Any] = set()
    gui.called.connect(lambda worker: _rest_while(worker, button, under_way))


def _press(gui: Any) -> None:  # noqa: ANN401 - as above
    try:
        gui()
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told in a sentence
        show_failure(error)


def _rest_while(
    worker: napari.qt.threading.FunctionWorker[Any], button: PushButton, under_way: set[Any]
) -> None:
    """Take no press, and say why, until a worker and all others that a script began have ended."""
    under_way.add(worker)
    button.text, button.enabled = "Propagating ...", False

    def wake() -> None:
        under_way.discard(worker)
        if not under_way:
            with suppress(RuntimeError):  # the widget may be gone with its viewer
                button.text, button.enabled = _BUTTON, True

    worker.finished.connect(wake)


# Annotations are evaluated by magicgui, which knows no names of this module: those of napari are written out.
@magic_factory(
    call_button=_BUTTON,
    widget_init=_prepare,
    image={"label": "Image", "tooltip": "Its contrast limits say what the model sees."},
    points={"label": "Points", "nullable": True, "tooltip": f"Clicks on objects. {_EACH}"},
    boxes={"label": "Shapes", "nullable": True, "tooltip": f"Boxes around objects, or outlines. {_EACH}"},
    mask={"label": "Masks", "nullable": True, "tooltip": "Labels: each is an object on the frames it is on."},
    axis={"label": "Frames along", "choices": axis_choices, "tooltip": "What objects are followed along."},
    model={"label": "Model", "choices": [EMBEDDED, *RELEASED], "tooltip": "Is downloaded first if need be."},
    model_file={
        "label": "or a file",
        "widget_type": "FileEdit",
        "nullable": True,
        "filter": "Models (*.pt *.pth *.safetensors);;All files (*)",
        "tooltip": "Weights of your own, in the place of the model above; empty for that one.",
    },
    direction={"label": "Direction", "choices": list(DIRECTIONS), "tooltip": "Which way from the prompts."},
)
def propagate_widget(
    viewer: napari.viewer.Viewer,
    image: napari.layers.Image,
    points: napari.layers.Points | None = None,
    boxes: napari.layers.Shapes | None = None,
    mask: napari.layers.Labels | None = None,
    axis: int = AUTOMATIC,
    model: str = EMBEDDED,
    model_file: pathlib.Path | None = None,
    direction: str = "both",
) -> napari.qt.threading.FunctionWorker[napari.types.LayerDataTuple]:
    """Track the objects that layers point at; the labels come as a new layer.

    Layers without the axis of the frames count on the frame that is shown. Of channels along a slider the one
    that is shown is seen. `model` is a name or a path; `model_file`, if there is one, goes before it. Device
    and precision are those of the Preferences.
    """
    axes = _usable_axes(image)
    frames = axes.frames if axis == AUTOMATIC else axis
    geometry = geometry_of(image, axes, frames)
    index = {**geometry.index_of(viewer.dims, image), **_shown_channel(viewer, image, axes)}
    request = read_layers(image, (mask, points, boxes), frames, geometry.frame_of(viewer.dims, image), index)
    chosen = next(each for each in DIRECTIONS if each == direction)
    settings = read_settings()
    choice = ModelChoice(str(model_file or model), settings.device, settings.precision)
    download = _download_of(choice)
    worker: Any = napari.qt.threading.create_worker(
        _run_in_worker,
        request,
        choice,
        chosen,
        download,
        lambda: worker.abort_requested,
        _progress={"total": request.steps + (PARTS if download else 0), "desc": _description(choice)},
        _connect={"errored": _fail, **({"aborted": download.stop} if download else {})},
        _start_thread=False,
    )
    # When this has returned, napari connects the worker's answer to the viewer; only then may it begin.
    QTimer.singleShot(0, worker.start)
    return worker


class _Failed(Exception):  # noqa: N818 - it only carries one
    """Carries an error out of a worker of napari, which takes any `RuntimeError` for its own end."""


def _run_in_worker(
    request: Request,
    choice: ModelChoice,
    direction: Direction,
    download: Download | None,
    is_over: Callable[[], bool],
) -> Generator[int, None, LayerData | None]:
    """Download what has to be, then track; None if nobody waits for it any more."""
    try:
        if download is not None:
            yield from download.parts(is_over)
        return None if is_over() else (yield from run(request, choice, direction))
    except RuntimeError as error:
        raise _Failed from error


def _fail(error: Exception) -> None:
    cause = error.__cause__ if isinstance(error, _Failed) else error
    show_failure(cause if isinstance(cause, Exception) else error)


def _description(choice: ModelChoice) -> str:
    return "Propagating prompts" if choice.is_here else f"Downloading {choice.name}, then propagating prompts"


def _download_of(choice: ModelChoice) -> Download | None:
    """Return the download that goes before, if there is one, and say that it takes its time."""
    if choice.is_here or choice.checkpoint is None:
        return None
    tell(f"{choice.name} is downloaded first, then the objects are tracked. {choice.detail}")
    return Download(choice.checkpoint)
