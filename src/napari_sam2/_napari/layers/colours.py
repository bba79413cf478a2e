"""Colours of objects, the same in all layers, and which objects are visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils import CyclicLabelColormap, DirectLabelColormap
from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2._napari.state import Colour

POSITIVE: Colour = (0.18, 0.8, 0.25, 1.0)
NEGATIVE: Colour = (0.95, 0.2, 0.2, 1.0)
_UNSEEN: Colour = (0.0, 0.0, 0.0, 0.0)
_OTHERS: Colour = (0.7, 0.7, 0.7, 1.0)

PALETTE = (
    "#ff9e18", "#55aaff", "#f3e755", "#ff55db", "#3ddbaa", "#ff4955", "#c2f392", "#61ffff", "#db6daa",
    "#61aa6d", "#e76d24", "#ffaa61", "#8679ff", "#9effb6", "#e7f318", "#00ceff", "#18aa86", "#ff9ece",
)  # fmt: skip
"""Colours of objects 1, 2, ..., then from the start. All are bright and far from grey, and told apart with
and without cones for red or for green; the first ones are farthest from one another."""


def _labels_colormap() -> CyclicLabelColormap:
    """Make a colormap of the palette, with nothing at 0."""
    colours = np.array([[0.0, 0.0, 0.0, 0.0], *(_rgba(each) for each in PALETTE)], np.float32)
    return CyclicLabelColormap(
        colors=colours,
        controls=np.linspace(0, 1, len(colours) + 1),
        interpolation="zero",
        background_value=0,
    )


def _rgba(code: str) -> Colour:
    red, green, blue = (int(code[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue, 1.0


class ObjectColours:
    """Which colour an object has, and whether it is shown.

    As long as nobody chose a colour or hid an object, they are those of `PALETTE`, or of what the user has
    shuffled it to.

    Attributes
    ----------
    changed : Signal(set[int])
        Objects look another way now, those among them.
    """

    changed = Signal(set)

    def __init__(self) -> None:
        self._base = _labels_colormap()
        self._known: dict[int, Colour] = {}
        self._own: dict[int, Colour] = {}
        self._hidden: set[int] = set()
        self._solo: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether all objects have the colours of the base colormap."""
        return not self._own and not self._hidden and self._solo is None

    def colour(self, obj: int) -> Colour:
        """Return an object's colour, hidden or not."""
        if obj in self._own:
            return self._own[obj]
        if obj not in self._known:
            r, g, b, a = np.ravel(self._base.map(obj)).tolist()
            self._known[obj] = (r, g, b, a)
        return self._known[obj]

    def is_shown(self, obj: int) -> bool:
        """Tell whether an object is visible."""
        return obj == self._solo if self._solo is not None else obj not in self._hidden

    def choose(self, obj: int, colour: Colour | None) -> None:
        """Give an object a colour; None gives back the one it had."""
        if colour is None:
            self._own.pop(obj, None)
        else:
            self._own[obj] = colour
        self.changed.emit({obj})

    def show(self, obj: int, *, visible: bool) -> None:
        """Show or hide an object."""
        (self._hidden.discard if visible else self._hidden.add)(obj)
        self.changed.emit({obj})

    def show_only(self, obj: int | None) -> None:
        """Show one object alone; None shows the others again."""
        self._solo = obj
        self.changed.emit(set())

    def take_base(self, colormap: object) -> bool:
        """Take a colormap that the user shuffled as base; return whether it is one."""
        if not isinstance(colormap, CyclicLabelColormap) or colormap is self._base:
            return False
        self._base = colormap
        self._known.clear()
        return True

    def colormap(self, objects: Iterable[int]) -> CyclicLabelColormap | DirectLabelColormap:
        """Return the colormap of a Labels layer that holds these objects."""
        if self.is_plain:
            return self._base
        if self._solo is not None:
            colours = {None: _UNSEEN, 0: _UNSEEN, self._solo: self.colour(self._solo)}
        else:
            colours = {None: _OTHERS, 0: _UNSEEN}
            colours |= {obj: self.colour(obj) if self.is_shown(obj) else _UNSEEN for obj in objects}
        return DirectLabelColormap(color_dict={key: np.array(value) for key, value in colours.items()})
