"""The dock says where the image fills little of what the model sees."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sam2._napari.state import ImageState
from tests._napari.dock import MIDDLE, Dock, until

pytestmark = pytest.mark.gui


def ramp(high: int) -> np.ndarray:
    """Return frames, as large as those of the dock, with values up to this one."""
    return np.broadcast_to(np.linspace(0, high, 20), (9, 24, 20)).astype(np.uint16)


def shown(dock: Dock, image: Image) -> None:
    """Work on an image, of which an object is prompted."""
    dock.viewer.layers.selection.active = image
    dock.wait()
    dock.show(MIDDLE)
    assert said(dock).dim == "", "nobody has looked at it"
    dock.prompt(1, MIDDLE, 8, 10)


def said(dock: Dock) -> ImageState:
    return dock.state.image


def test_wide_limits_are_told_until_the_view_is_another(bench: Dock, notices: list[str]) -> None:
    image = bench.viewer.add_image(ramp(500), name="dim", contrast_limits=(0, 5000))
    shown(bench, image)
    assert said(bench).dim == "The image fills 10 % of that: it looks dim."
    assert "contrast limits" in bench.view.image._dim.toolTip()
    bench.propagate()
    image.contrast_limits = (0, 500)
    assert said(bench).dim
    bench.view.image.use_current_view.emit()
    bench.wait()
    assert said(bench).dim == ""
    until(lambda: bench.view.image._dim.text() == "")
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert said(bench).dim
    assert not [each for each in notices if "dim" in each]


def test_limits_that_fit_are_not_told(bench: Dock) -> None:
    shown(bench, bench.viewer.add_image(ramp(2000), contrast_limits=(0, 5000)))
    assert said(bench).dim == ""


def test_colour_is_to_be_brightened(bench: Dock) -> None:
    pixels = np.repeat((ramp(500) // 10).astype(np.uint8)[..., None], 3, axis=-1)
    shown(bench, bench.viewer.add_image(pixels, rgb=True))
    assert said(bench).dim == "The image fills 20 % of that: it looks dim."
    assert "brighten the pixels" in said(bench).dim_advice
