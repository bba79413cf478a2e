"""Frames that are longer than twice what a network for frames sees: a part at a time is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.image.geometry import Place
from napari_sam2._napari.layers.finding import Look, camera_of, look_at, place_in_view
from tests._napari.dock import Dock, until
from tests.fakes import FakeModel

SIDE = 1200
CORNER = (1000.0, 1100.0)


@pytest.fixture
def large(model: ViewerModel) -> Iterator[Dock]:
    """Return a dock over three frames that a network of 320 pixels sees in fields of 640."""
    frames = np.broadcast_to(np.uint8(60), (3, SIDE, SIDE))
    model.add_image(frames, name="cells", contrast_limits=(0, 255), scale=(3, 0.5, 0.5), translate=(1, 7, 9))
    dock = Dock(model, FakeModel(image_size=320))
    dock.show(1)
    dock.wait()
    yield dock
    dock.end()


def outlined(dock: Dock) -> list[Any]:
    return [layer for layer in dock.viewer.layers if layer.name == "cells preview" and len(layer.data)]


def turn_to(dock: Dock, y: float, x: float) -> None:
    sequence = dock.controller.space.sequence
    assert sequence is not None
    look_at(dock.viewer, dock.layers.labels, sequence.geometry, Place(1, y, x))


def test_what_is_in_the_middle_of_the_canvas_is_prepared(large: Dock) -> None:
    turn_to(large, *CORNER)
    large.show(2)
    until(lambda: large.session.is_ready(2, CORNER))
    assert not large.session.is_ready(2, (100, 100))


def test_what_one_turns_to_is_prepared_after_a_rest_until_the_image_is_given_up(large: Dock) -> None:
    until(lambda: large.session.is_ready(1, (SIDE / 2, SIDE / 2)))
    before, session = large.session.frames_encoded, large.session
    turn_to(large, 100, 100)
    turn_to(large, *CORNER)
    until(lambda: session.is_ready(1, CORNER))
    assert session.frames_encoded == before + 1
    large.controller.close()
    camera_of(large.viewer).center = (0, 0, 0)
    assert not large.controller.ahead._rest_there.waiting


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_the_place_in_the_middle_of_the_canvas(large: Dock, ndisplay: int) -> None:
    large.viewer.dims.ndisplay = ndisplay
    turn_to(large, *CORNER)
    sequence = large.controller.space.sequence
    assert sequence is not None
    place = place_in_view(large.viewer, large.layers.labels, sequence.geometry)
    np.testing.assert_allclose(place, CORNER, atol=0.01)
    before = Look.of(large.viewer)
    camera_of(large.viewer).center = (0, 0, 0)
    assert place_in_view(large.viewer, large.layers.labels, sequence.geometry) == (-14, -18)
    before.restore(large.viewer)


def test_where_the_cursor_rests_is_prepared_then_outlined_and_a_click_encodes_nothing(large: Dock) -> None:
    until(lambda: large.session.is_ready(1, (SIDE / 2, SIDE / 2)))
    before = large.session.frames_encoded
    large.layers.hovered.emit(1, *CORNER)
    large.wait()
    assert not outlined(large)
    until(lambda: outlined(large))
    assert large.session.frames_encoded == before + 1
    large.prompt(1, 1, *CORNER)
    assert large.session.frames_encoded == before + 1
    assert large.labels[1, int(CORNER[0]), int(CORNER[1])] == 1


def test_nothing_is_prepared_for_a_cursor_that_has_gone_on(large: Dock) -> None:
    until(lambda: large.session.is_ready(1, (SIDE / 2, SIDE / 2)))
    before = large.session.frames_encoded
    large.layers.hovered.emit(1, *CORNER)
    large.wait()
    large.layers.unhovered.emit()
    assert not large.controller.ahead._rest_there.waiting
    large.wait()
    assert large.session.frames_encoded == before
