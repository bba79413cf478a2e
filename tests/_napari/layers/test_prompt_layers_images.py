"""Prompt layers over images of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import SequenceGeometry
from napari_sam2._napari.layers.prompt_layers import PromptLayers
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._napari.hand import settle
from tests._napari.prompting import SHAPE, Desk, point, square


@pytest.fixture
def desk(model: ViewerModel) -> Iterator[Desk]:
    desk = Desk(model)
    yield desk
    desk.layers.close(remove_layers=True)


def test_a_single_image(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((40, 50), np.uint8))
    layers = PromptLayers(model, image, SequenceGeometry.of(image))
    layers.points.add([3, 4])
    settle()
    assert layers.prompts == {PromptKey(1, 0): point(3, 4)}
    layers.write([LabelChange(0, Box(0, 0, 1, 1), np.array([[2]], np.uint16))])
    assert layers.labels.data[0, 0] == 2
    layers.close(remove_layers=True)


@pytest.mark.parametrize(
    "options",
    [
        {"rgb": True, "data": np.zeros((*SHAPE, 3), np.uint8)},
        {"multiscale": True, "data": [np.zeros(SHAPE, np.uint8), np.zeros((6, 20, 25), np.uint8)]},
        {"rotate": 30, "data": np.zeros(SHAPE, np.uint8)},
        {"shear": (0.1, 0.2, 0.3), "data": np.zeros(SHAPE, np.uint8)},
    ],
    ids=["colour", "multiscale", "rotated", "sheared"],
)
def test_points_lie_in_the_pixels_of_the_image(model: ViewerModel, options: dict[str, Any]) -> None:
    image = model.add_image(**options)
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0))
    world = image.data_to_world((2, 10, 20))
    layers.points.add(layers.points.world_to_data(world))
    settle()
    ((key, prompts),) = layers.prompts.items()
    assert key == PromptKey(1, 2)
    assert np.allclose(prompts.points, [(10, 20)])
    assert layers.labels.data.shape == SHAPE
    layers.close(remove_layers=True)


def test_a_dask_image_is_not_computed(model: ViewerModel) -> None:
    da = pytest.importorskip("dask.array")
    image = model.add_image(da.zeros(SHAPE, np.uint8, chunks=(1, 40, 50)), contrast_limits=(0, 1))
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0))
    layers.points.add([2, 3, 4])
    settle()
    assert set(layers.prompts) == {PromptKey(1, 2)}
    layers.close(remove_layers=True)


def test_a_channel_axis_is_one_for_the_prompts(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((6, 3, 40, 50), np.uint8))
    layers = PromptLayers(model, image, SequenceGeometry.of(image, frame_axis=0, channel_axis=1))
    for channel in range(3):
        layers.points.add(layers.points.world_to_data((2, channel, 10, channel)))
    settle()
    assert layers.prompts == {PromptKey(1, 2): FramePrompts(((10, 0), (10, 1), (10, 2)), (True,) * 3)}
    layers.close(remove_layers=True)


def test_each_position_of_another_axis_has_its_own_prompts(model: ViewerModel) -> None:
    image = model.add_image(np.zeros((3, *SHAPE), np.uint8))
    geometry = SequenceGeometry.of(image, frame_axis=1, index={0: 0})
    layers = PromptLayers(model, image, geometry)
    told: list[dict[PromptKey, FramePrompts]] = []
    layers.prompts_changed.connect(told.append)
    layers.points.add([0, 2, 3, 4])
    settle()
    first = dict(told[-1])
    layers.set_geometry(geometry.at({0: 1}), {})
    layers.points.add([1, 5, 6, 7])
    settle()
    assert told[-1] == {PromptKey(1, 5): point(6, 7)}
    layers.set_geometry(geometry, first)
    settle()
    assert layers.prompts == first
    assert len(told) == 2
    assert len(layers.points.data) == 2
    layers.close(remove_layers=True)


def test_layers_follow_the_image(desk: Desk) -> None:
    desk.image.scale = (7, 2, 2)
    desk.image.translate = (1, 2, 3)
    for layer in (desk.layers.points, desk.layers.shapes, desk.layers.labels):
        assert np.allclose(layer.data_to_world((2, 3, 4)), desk.image.data_to_world((2, 3, 4)))


def test_colours_are_the_same_everywhere(desk: Desk) -> None:
    desk.layers.points.add([2, 1, 1])
    desk.layers.set_active(6)
    desk.layers.points.add([2, 5, 5])
    desk.layers.shapes.add(square(2, 4, 5, 10, 20))
    settle()
    colour = desk.layers.colours.colour(6)
    assert np.allclose(desk.layers.points.border_color[1], colour, atol=1e-6)
    assert np.allclose(desk.layers.shapes.edge_color[0], colour, atol=1e-6)
    assert np.allclose(np.ravel(desk.layers.labels.colormap.map(6)), colour, atol=1e-6)
    desk.layers.colours.show(6, visible=False)
    assert desk.layers.points.shown.tolist() == [True, False]
    assert np.ravel(desk.layers.labels.colormap.map(6))[3] == 0
    desk.layers.colours.show_only(6)
    assert desk.layers.points.shown.tolist() == [False, True]
    desk.layers.colours.show_only(None)
    desk.layers.colours.show(6, visible=True)
    desk.layers.colours.choose(6, (0.0, 1.0, 0.0, 1.0))
    assert np.allclose(desk.layers.points.border_color[1], (0, 1, 0, 1))
    settle()
    assert len(desk.told) == 1


@pytest.mark.parametrize("shape", [(40, 50), (3, *SHAPE)])
def test_labels_with_other_axes_are_put_back_in_their_place(desk: Desk, shape: tuple[int, ...]) -> None:
    labels = desk.layers.labels
    before = labels.data
    labels.data = np.zeros(shape, np.uint16)
    settle()
    assert labels.data is before
    assert np.allclose(labels.scale, desk.image.scale)
    assert labels.axis_labels == desk.image.axis_labels
    assert labels.units == desk.image.units
