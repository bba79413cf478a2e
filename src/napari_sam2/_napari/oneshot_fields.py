"""What the fields of the one-shot widget offer, and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Shapes
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QLabel

from napari_sam2._napari.image.source import Axes, read_axes
from napari_sam2._napari.layers.outline import is_preview

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

AUTOMATIC = -1
"""Stands for the axis that the image tells: a choice of None would be one more, which says nothing."""


def axis_choices(gui: Any) -> list[tuple[str, int]]:  # noqa: ANN401 - a widget of magicgui
    """List the axes that the frames of the chosen image may lie along."""
    image = getattr(getattr(gui, "parent", None), "image", None)
    layer = None if image is None else image.value
    axes = read_axes(layer) if isinstance(layer, Image) else Axes((), (), None, "")
    named = [(f"{axes.names[each]} (axis {each})", each) for each in axes.candidates]
    return [("as the image says", AUTOMATIC), *named]


def shape_choices(gui: Any) -> list[Shapes]:  # noqa: ANN401 - a widget of magicgui
    """List the layers of shapes that the user can have drawn."""
    viewer = getattr(getattr(gui, "parent", None), "viewer", None)
    layers = () if viewer is None or viewer.value is None else viewer.value.layers
    return [each for each in layers if isinstance(each, Shapes) and not is_preview(each)]


class LineUp(QObject):
    """Keeps all labels of a form as wide as the widest.

    magicgui measures them before they are in a window, whose style has larger letters, so that the widest
    pushed its field out of the column.

    Parameters
    ----------
    form : QWidget
        Owns this.
    """

    def __init__(self, form: QWidget) -> None:
        super().__init__(form)
        self._form = form
        form.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Measure the labels when the form is shown, or has got another style."""
        if event is not None and event.type() in {QEvent.Type.Show, QEvent.Type.StyleChange}:
            self._measure()
        return False

    def _measure(self) -> None:
        labels = [each for each in self._form.findChildren(QLabel) if each.text()]
        for each in labels:
            each.ensurePolished()
        widest = max((each.sizeHint().width() for each in labels), default=0)
        for each in labels:
            each.setFixedWidth(widest)
