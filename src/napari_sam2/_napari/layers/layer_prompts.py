"""Prompts of several layers together; masks and outlines among them are read bit by bit and kept as bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Labels, Points, Shapes

from napari_sam2._napari.layers.seeds import LabelSeeds, ShapeSeeds, owners_of, read_seeds
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari.layers import Layer

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.seeds import Seeds

    Said = tuple[PromptKey, FramePrompts]


@dataclass(frozen=True, eq=False)
class _Source:
    """What a layer holds, and whether its ids are its own or were only counted."""

    seeds: Seeds | LabelSeeds | ShapeSeeds
    tells_ids: bool

    @property
    def steps(self) -> int:
        if isinstance(self.seeds, ShapeSeeds):
            return self.seeds.count
        return len(self.seeds.frames) if isinstance(self.seeds, LabelSeeds) else 1

    def parts(self) -> Iterator[Iterable[Said]]:
        """Read what is there: masks a frame at a time, outlines an object on a frame at a time."""
        seeds = self.seeds
        if isinstance(seeds, LabelSeeds):
            for frame in seeds.frames:
                yield ((PromptKey(obj, frame), seeds.prompts(obj, frame)) for obj in seeds.look(frame))
        elif isinstance(seeds, ShapeSeeds):
            yield from ((said,) for said in seeds.read())
        else:
            yield (
                (PromptKey(obj, frame), said)
                for obj, by_frame in seeds.items()
                for frame, said in by_frame.items()
            )


def _joined(one: FramePrompts, two: FramePrompts) -> FramePrompts:
    """Say both; of two boxes or masks the later one."""
    return FramePrompts(
        (*one.points, *two.points),
        (*one.positive, *two.positive),
        one.box if two.box is None else two.box,
        one.packed if two.packed is None else two.packed,
    )


_NOTHING = FramePrompts()


class LayerPrompts:
    """What layers say together; they are touched on the GUI thread, when this is made, and never again.

    Parameters
    ----------
    layers : sequence of Layer or None
        As for `read_seeds`, or labels; ids that a layer does not tell go on from the highest before.
    target, geometry, frame
        As for `read_seeds`.

    Attributes
    ----------
    steps : int
        How many steps `read` takes at most.
    """

    def __init__(
        self, layers: Sequence[Layer | None], target: Layer, geometry: SequenceGeometry, frame: int
    ) -> None:
        self._sources = [_source(each, target, geometry, frame) for each in layers if each is not None]
        self._found: dict[PromptKey, FramePrompts] = {}
        self.steps = sum(source.steps for source in self._sources)

    @property
    def may_say_something(self) -> bool:
        """Whether there are prompts, or masks and outlines of which nobody knows before they are read."""
        return any(each.steps if isinstance(each.seeds, ShapeSeeds) else each.seeds for each in self._sources)

    @property
    def highest(self) -> int:
        """The highest id that was read; 0 without any."""
        return max((key.obj for key in self._found), default=0)

    def read(self) -> Iterator[int]:
        """Read all of it, on any thread.

        Yields
        ------
        int
            The number of each step, when it is done.
        """
        step = 0
        for source in self._sources:
            first = 0 if source.tells_ids else self.highest
            for part in source.parts():
                for key, prompts in part:
                    self._add(PromptKey(key.obj + first, key.frame), prompts)
                yield step
                step += 1

    def _add(self, key: PromptKey, prompts: FramePrompts) -> None:
        self._found[key] = _joined(self._found.get(key, _NOTHING), prompts)

    def items(self) -> Iterator[Said]:
        """Return what was read by object and frame, in this order."""
        for key in sorted(self._found):
            yield key, self._found[key]


def _source(layer: Layer, target: Layer, geometry: SequenceGeometry, frame: int) -> _Source:
    if isinstance(layer, Labels):
        return _Source(LabelSeeds(layer, target, geometry, frame), tells_ids=True)
    tells_ids = isinstance(layer, (Points, Shapes)) and owners_of(layer).are_given
    if isinstance(layer, Shapes):
        return _Source(ShapeSeeds(layer, target, geometry, frame), tells_ids)
    return _Source(read_seeds(layer, target, geometry, frame), tells_ids)
