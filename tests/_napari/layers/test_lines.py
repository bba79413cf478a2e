"""Lines are two pixels wide on the screen, in a field of many pixels as well."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_sam2._napari.layers.finding import camera_of
from napari_sam2._napari.layers.lines import EvenLines, line_width
from tests._napari.dock import pause

pytestmark = pytest.mark.gui
SQUARE = np.array([[0, 2, 2], [0, 2, 9], [0, 9, 9], [0, 9, 2]], float)


class Bench:
    """A layer of shapes in a viewer, kept even."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer, self.busy, self.drawn = viewer, False, 0
        self.layer = Shapes(ndim=3, scale=(3, 0.5, 0.25))
        viewer.add_layer(self.layer)
        self.lines = EvenLines(viewer, self.layer, lambda: self.busy)
        self.layer.events.edge_width.connect(self._count)

    def _count(self) -> None:
        self.drawn += 1

    def zoom(self, zoom: float) -> None:
        camera_of(self.viewer).zoom = zoom
        pause(100)


@pytest.fixture
def bench(model: ViewerModel) -> Iterator[Bench]:
    bench = Bench(model)
    yield bench
    bench.lines.close()


def test_lines_follow_the_zoom_and_the_size_of_pixels(bench: Bench) -> None:
    bench.zoom(0.5)
    bench.layer.add(SQUARE)
    assert bench.layer.edge_width == [16.0], "two pixels are four of the world, and these 16 of the layer"
    bench.zoom(8.0)
    assert bench.layer.edge_width == [1.0]
    assert bench.drawn
    bench.layer.scale = (3, 1, 1)
    pause(100)
    assert bench.layer.edge_width == [0.25]
    assert bench.layer.current_edge_width == 0.25


def test_a_shape_that_is_being_drawn_is_left_alone_until_it_is_done(bench: Bench) -> None:
    bench.zoom(1.0)
    bench.layer.add(SQUARE)
    bench.busy = True
    bench.zoom(2.0)
    assert bench.layer.edge_width == [8.0]
    bench.busy = False
    pause(200)
    assert bench.layer.edge_width == [4.0]


def test_a_selected_shape_is_not_taken_for_the_next_one(bench: Bench) -> None:
    bench.layer.add(np.stack([SQUARE, SQUARE + 1]))
    bench.layer.selected_data = {1}
    bench.zoom(4.0)
    assert set(bench.layer.edge_width) == {2.0}
    assert bench.layer.selected_data == {1}


def test_without_lines_to_keep_nothing_is_held(bench: Bench) -> None:
    bench.layer.add(SQUARE)
    (before,) = bench.layer.edge_width
    bench.lines.close()
    bench.zoom(16.0)
    assert bench.layer.edge_width == [before]


def test_in_a_viewer_of_more_axes_the_last_ones_count(model: ViewerModel) -> None:
    model.add_image(np.zeros((2, 3, 8, 8), np.uint8))
    layer = model.add_shapes(ndim=3, scale=(9, 2, 2))
    camera_of(model).zoom = 1.0
    assert line_width(model, layer) == 1.0
