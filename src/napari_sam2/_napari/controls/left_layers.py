"""Layers that stay in the viewer when their image is left, and go once their work is back in new ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_sam2._napari.work.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    import numpy.typing as npt
    from napari.layers import Layer

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.work.autosave import WorkGroup
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Sequence, Workspace

_MARK = "napari-sam2 work"
_COUNT = 3  # labels, shapes and points


@dataclass(frozen=True)
class Left:
    """What is noted of a layer that stays.

    Attributes
    ----------
    layer : str
        The layer's own id: a copy that somebody made of it is not meant.
    group : str
        `WorkGroup.name` of the work that it shows.
    image, file : str
        `WorkGroup.image` and `WorkGroup.file` of it.
    frame_axis : int or None
        The axis of the frames.
    digest : int
        Tells whether points or shapes were changed since.
    """

    layer: str
    group: str
    image: str
    file: str
    frame_axis: int | None
    digest: int


def mark_left(layers: PromptLayers, work: WorkGroup) -> None:
    """Note in layers that stay in the viewer whose work they show."""
    axis = layers.geometry.frame_axis
    for layer in _each(layers):
        left = Left(str(layer.unique_id), work.name, work.image, work.file, axis, _digest(layer))
        layer.metadata[_MARK] = asdict(left)  # whoever saves layers may write this as JSON


def left_whole(layers: Iterable[Layer], image: str, frame_axis: int | None) -> tuple[Left, ...]:
    """Return the works on an image along an axis whose layers are all there: who deletes one is done."""
    noted = [left for layer in layers if (left := _noted(layer)) is not None]
    noted = [left for left in noted if (left.image, left.frame_axis) == (image, frame_axis)]
    works = {left.group: left for left in noted}
    return tuple(works[each] for each in works if sum(left.group == each for left in noted) == _COUNT)


@dataclass(frozen=True)
class LeftLayers:
    """Takes layers away whose work has come back in new ones, but those that were changed meanwhile.

    Parameters
    ----------
    workspace : Workspace
        Whose viewer.
    """

    workspace: Workspace

    def give_way(self, sequences: Collection[Sequence], group: str = "") -> None:
        """Take layers away that show the same as these sequences, as soon as that is certain.

        Parameters
        ----------
        sequences : collection of Sequence
            All that has come back.
        group : str
            `WorkGroup.name` of it, if it is known.
        """
        self._replace_drawn(group)
        shape = next(iter(sequences)).geometry.shape
        for layer in self._of(None):
            if isinstance(layer, Labels) and layer.data.shape == shape:
                _Comparison(self, layer, set(sequences)).begin()

    def has_same(self, labels: Labels) -> None:
        """Take masks away that have come back, with what was drawn of them."""
        left = _noted(labels)
        if left is not None and labels in self.workspace.viewer.layers:
            self._replace(labels)
            self._replace_drawn(left.group)

    def _replace_drawn(self, group: str) -> None:
        for layer in self._of(group):
            left = _noted(layer)
            if left is not None and not isinstance(layer, Labels) and left.digest == _digest(layer):
                self._replace(layer)

    def _of(self, group: str | None) -> list[Layer]:
        """Return the layers that were left of a work, or of any."""
        noted = [(layer, _noted(layer)) for layer in self.workspace.viewer.layers]
        return [layer for layer, left in noted if left is not None and group in {None, left.group}]

    def _replace(self, layer: Layer) -> None:
        """Take a layer away; the new one gets its name, which may be the user's."""
        self.workspace.viewer.layers.remove(layer)
        for each in _each(self.workspace.layers):
            if type(each) is type(layer):
                each.name = layer.name


@dataclass
class _Comparison:
    """Whether masks that were left are those of sequences, found out on the inference thread."""

    layers: LeftLayers
    labels: Labels
    waiting: set[Sequence]
    pixels: int = 0
    differs: bool = False

    def begin(self) -> None:
        ask = self.layers.workspace.ask
        for sequence in sorted(self.waiting, key=lambda each: each.geometry.position):
            compare = partial(_compare, self.labels.data, sequence.geometry)
            ask(compare, partial(self._compared, sequence), label="Loading", sequence=sequence)

    def _compared(self, sequence: Sequence, answer: Answer) -> None:
        self.waiting.discard(sequence)
        if isinstance(answer.value, int):
            self.pixels += answer.value
        else:
            self.differs = True
        # What was painted at positions of which the work knows nothing stays.
        if not self.waiting and not self.differs and self.pixels == np.count_nonzero(self.labels.data):
            self.layers.has_same(self.labels)


def _compare(
    labels: npt.NDArray[Any], geometry: SequenceGeometry, desk: Desk
) -> Generator[None, None, Answer]:
    """Count the pixels of objects in a sequence of a layer; nothing if the session has others."""
    pixels = 0
    for shown, frame in zip(geometry.frames_of(labels), desk.opened.labels, strict=True):
        if not np.array_equal(shown, frame):
            return Answer()
        pixels += int(np.count_nonzero(frame))
        yield
    return Answer(value=pixels)


def _each(layers: PromptLayers | None) -> tuple[Layer, ...]:
    return () if layers is None else (layers.labels, layers.shapes, layers.points)


def _noted(layer: Layer) -> Left | None:
    said = layer.metadata.get(_MARK)
    return Left(**said) if said and said["layer"] == str(layer.unique_id) else None


def _digest(layer: Layer) -> int:
    """Tell points and shapes from others; masks, of which there are gigabytes, are compared as they are."""
    if not isinstance(layer, (Points, Shapes)):
        return 0
    said = repr(layer.features.to_dict("list")).encode()
    for part in [layer.data] if isinstance(layer, Points) else layer.data:
        said += np.ascontiguousarray(part).tobytes()
    return crc32(said)
