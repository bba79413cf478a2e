"""Prompts of layers in, a Labels layer out: one call for scripts and macros, and one button."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import napari.layers
import napari.qt.threading
import napari.types
import napari.viewer
import numpy as np
from magicgui import magic_factory
from napari.layers import Image, Labels, Layer, Points, Shapes
from qtpy.QtCore import QTimer

from napari_sam2._model.registry import RELEASED
from napari_sam2._napari.image_source import Axes, geometry_of, read_axes, why_not
from napari_sam2._napari.model_choices import EMBEDDED
from napari_sam2._napari.network_view import View, freeze
from napari_sam2._napari.outline import is_preview
from napari_sam2._napari.seeds import owners_of, read_seeds
from napari_sam2.labels import blank_labels
from napari_sam2.passes import DIRECTIONS, Direction
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.geometry import SequenceGeometry
    from napari_sam2._napari.seeds import Seeds

_AUTOMATIC = -1
"""Stands for the axis that the image tells: a choice of None would be one more, which says nothing."""

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer."""


@dataclass(frozen=True, eq=False)
class Request:
    """All that is read of the layers; what follows touches none of them.

    Attributes
    ----------
    geometry : SequenceGeometry
        Where the frames lie in the image.
    view : View
        What the network sees of it.
    prompts : dict
        By object and frame.
    kwargs : dict
        Name and place of the Labels layer.
    """

    geometry: SequenceGeometry
    view: View
    prompts: Mapping[PromptKey, FramePrompts]
    kwargs: dict[str, Any] = field(default_factory=dict)


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
        Positions along other axes; 0 where nothing is said.
    model : str or Sam2
        As for `load_model`.
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
    steps = run(request, model, direction)
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
    """Read an image and the layers that point at objects in it; on the GUI thread.

    Raises
    ------
    ValueError
        If the image cannot be used, or no prompt lies in it.
    """
    axes = _usable_axes(image)
    frames = axes.frames if axis is None else _checked_axis(image, axis)
    geometry = geometry_of(image, axes, frames)
    geometry = geometry.at({**geometry.index, **(index or {})})
    prompts = _prompts(layers, image, geometry, frame)
    if not prompts:
        raise ValueError(
            f"No prompt lies in “{image.name}”: choose a layer with points, boxes or a mask on the object."
        )
    kwargs = {"name": f"{image.name} tracked", **geometry.layer_kwargs(image)}
    return Request(geometry, freeze(image, axes, 0, [image]), prompts, kwargs)


def _usable_axes(image: Image) -> Axes:
    """Return the axes of an image; ValueError if it cannot be used."""
    axes = read_axes(image)
    if problem := why_not(image, axes):
        raise ValueError(problem)
    return axes


def _checked_axis(image: Image, axis: int) -> int:
    if not -image.ndim <= axis < image.ndim:
        raise ValueError(f"“{image.name}” has no axis {axis}: its axes are 0 to {image.ndim - 1}")
    return int(axis % image.ndim)


def _prompts(
    layers: Sequence[Layer | None], image: Image, geometry: SequenceGeometry, frame: int
) -> dict[PromptKey, FramePrompts]:
    """Put the prompts of all layers together; ids that a layer does not tell go on from the highest."""
    found: dict[PromptKey, FramePrompts] = {}
    for layer in layers:
        if layer is None:
            continue
        first = 0 if _tells_ids(layer) else max((key.obj for key in found), default=0)
        for key, prompts in _flat(read_seeds(layer, image, geometry, frame), first):
            found[key] = _joined(found.get(key, FramePrompts()), prompts)
    return dict(sorted(found.items()))


def _tells_ids(layer: Layer) -> bool:
    return isinstance(layer, Labels) or (isinstance(layer, (Points, Shapes)) and owners_of(layer).are_given)


def _flat(seeds: Seeds, first: int) -> Iterator[tuple[PromptKey, FramePrompts]]:
    for obj, by_frame in seeds.items():
        for frame, prompts in by_frame.items():
            yield PromptKey(obj + first, frame), prompts


def _joined(one: FramePrompts, two: FramePrompts) -> FramePrompts:
    """Say both; of two boxes or masks the later one."""
    return FramePrompts(
        points=(*one.points, *two.points),
        positive=(*one.positive, *two.positive),
        box=one.box if two.box is None else two.box,
        mask=one.mask if two.mask is None else two.mask,
    )


def run(request: Request, model: str | Sam2, direction: Direction) -> Generator[int, None, LayerData]:
    """Track on any thread, and return the Labels layer as data, keyword arguments and type.

    Yields
    ------
    int
        Each frame, when it is done for the first time.
    """
    from napari_sam2._model.weights import load_model
    from napari_sam2.session import Session

    geometry, view = request.geometry, request.view
    network = load_model(model) if isinstance(model, str) else model
    highest = max(key.obj for key in request.prompts)
    labels = blank_labels(geometry.shape, np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32)
    fixed = {axis: at for axis, at in geometry.index.items() if axis != geometry.channel_axis}
    session = Session(
        view.data,
        model=network,
        axis=geometry.frame_axis or 0,
        index={**view.index, **fixed},
        channel=view.channel,
        contrast=view.contrast,
        labels=geometry.frames_of(labels),
    )
    for key, prompts in request.prompts.items():
        session.set_prompts(key.obj, key.frame, prompts)
    done: set[int] = set()
    for result in session.propagate(direction=direction):
        if result.frame not in done:
            done.add(result.frame)
            yield result.frame
    return labels, request.kwargs, "labels"


def axis_choices(gui: Any) -> list[tuple[str, int]]:  # noqa: ANN401 - a widget of magicgui
    """List the axes that the frames of the chosen image may lie along."""
    image = getattr(getattr(gui, "parent", None), "image", None)
    layer = None if image is None else image.value
    axes = read_axes(layer) if isinstance(layer, Image) else Axes((), (), None, "")
    named = [(f"{axes.names[each]} (axis {each})", each) for each in axes.candidates]
    return [("as the image says", _AUTOMATIC), *named]


def shape_choices(gui: Any) -> list[Shapes]:  # noqa: ANN401 - a widget of magicgui
    """List the layers of shapes that the user can have drawn."""
    viewer = getattr(getattr(gui, "parent", None), "viewer", None)
    layers = () if viewer is None or viewer.value is None else viewer.value.layers
    return [each for each in layers if isinstance(each, Shapes) and not is_preview(each)]


def _follow_image(gui: Any) -> None:  # noqa: ANN401 - its fields are made from the function below
    """List the axes of the image that is chosen, and the layers that may hold boxes."""
    gui.boxes.choices = shape_choices  # those of the annotation would go before an option
    gui.image.changed.connect(lambda _: gui.axis.reset_choices())
    gui.axis.reset_choices()


# Annotations are evaluated by magicgui, which knows no names of this module: those of napari are written out.
@magic_factory(
    call_button="Propagate",
    widget_init=_follow_image,
    image={"label": "Image"},
    points={"label": "Points", "nullable": True},
    boxes={"label": "Boxes or outlines", "nullable": True},
    mask={"label": "Masks", "nullable": True},
    axis={"label": "Frames along", "choices": axis_choices},
    model={"label": "Model", "choices": [EMBEDDED, *RELEASED]},
    direction={"label": "Direction", "choices": list(DIRECTIONS)},
)
def propagate_widget(
    viewer: napari.viewer.Viewer,
    image: napari.layers.Image,
    points: napari.layers.Points | None = None,
    boxes: napari.layers.Shapes | None = None,
    mask: napari.layers.Labels | None = None,
    axis: int = _AUTOMATIC,
    model: str = EMBEDDED,
    direction: str = "both",
) -> napari.qt.threading.FunctionWorker[napari.types.LayerDataTuple]:
    """Track the objects that layers point at; the labels come as a new layer.

    Layers without the axis of the frames count on the frame that is shown.
    """
    axes = _usable_axes(image)
    frames = axes.frames if axis == _AUTOMATIC else axis
    geometry = geometry_of(image, axes, frames)
    shown = geometry.frame_of(viewer.dims, image)
    index = geometry.index_of(viewer.dims, image)
    request = read_layers(image, (mask, points, boxes), frames, shown, index)
    chosen = next(each for each in DIRECTIONS if each == direction)
    progress = {"total": geometry.num_frames, "desc": "Propagating prompts"}
    worker = napari.qt.threading.create_worker(run, request, model, chosen, _progress=progress)
    # When this has returned, napari connects the worker's answer to the viewer; only then may it begin.
    QTimer.singleShot(0, worker.start)
    return worker
