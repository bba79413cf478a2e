"""The whole plugin in a real viewer, with the mouse: from a click to labels at its place in the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dask.array as da
import napari
import numpy as np
import pytest
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

from napari_sam2._napari.layers.finding import Look
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, frames
from tests._napari.hand import Hand, settle
from tests.fakes import SHAPE, FakeModel

pytestmark = pytest.mark.gui
Y, X = 8, 10
Docked = Callable[[napari.Viewer], AbstractContextManager[Dock]]


@pytest.fixture
def docked(fake_model: FakeModel) -> Docked:
    """Return a context in which a dock works over what is in a viewer."""

    @contextmanager
    def context(viewer: napari.Viewer) -> Iterator[Dock]:
        dock = Dock(viewer, fake_model)
        viewer.window.add_dock_widget(dock.widget, name="SAM 2")
        dock.wait()
        try:
            yield dock
        finally:
            viewer.window.remove_dock_widget(dock.widget)
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    return context


class Work:
    """A person who clicks on one place of an image and propagates."""

    def __init__(self, dock: Dock, image: Image) -> None:
        self.dock, self.image = dock, image
        self.hand = Hand(dock.viewer)
        dock.controller.space.go_to(MIDDLE)
        dock.viewer.reset_view()
        dock.wait()

    def world(self, frame: int, y: float, x: float) -> NDArray[Any]:
        """Where a pixel of the image lies, told by the image alone."""
        place = self.dock.layers.geometry.to_layer(frame, y, x)
        return np.asarray(self.image.data_to_world(place), float)

    def shown(self, frame: int, y: float, x: float) -> int:
        """The label that lies where a pixel of the image lies."""
        layer = self.dock.layers.labels
        index = np.rint(layer.world_to_data(self.world(frame, y, x))).astype(int)
        return int(layer.data[tuple(index)])

    def seen(self, y: float, x: float) -> int:
        """The label that napari shows on the canvas at the place of a pixel of the image."""
        at = self.world(self.dock.controller.space.frame, y, x)
        return int(self.dock.layers.labels.get_value(at, world=True) or 0)

    def click(self, y: float, x: float) -> None:
        self.hand.click(self.world(self.dock.controller.space.frame, y, x))
        self.dock.wait()

    def propagate(self) -> None:
        self.hand.key(Qt.Key.Key_G)
        self.dock.wait()

    @property
    def labels(self) -> NDArray[Any]:
        return self.dock.layers.geometry.frames_of(self.dock.layers.labels.data)


def rolled(viewer: napari.Viewer) -> Image:
    image = viewer.add_image(np.moveaxis(frames(), 0, 1), contrast_limits=(0, 255))
    viewer.dims.order = (1, 0, 2)
    return image


def turned(viewer: napari.Viewer) -> Image:
    image = add_frames(viewer)
    viewer.dims.order = (0, 2, 1)
    return image


def colour(viewer: napari.Viewer) -> Image:
    return viewer.add_image(np.repeat(frames()[..., None], 3, axis=-1), rgb=True, scale=(3, 2, 1))


def pyramid(viewer: napari.Viewer) -> Image:
    whole = frames().repeat(8, axis=1).repeat(8, axis=2)
    levels = [whole[:, ::step, ::step] for step in (1, 4)]
    return viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255), scale=(4, 0.5, 0.5))


def lazy(viewer: napari.Viewer) -> Image:
    array: Any = da.zeros((COUNT, *SHAPE), np.uint8, chunks=(1, *SHAPE))
    array = array + frames()
    return viewer.add_image(array, contrast_limits=(0, 255), scale=(2, 1, 1))


def channels(viewer: napari.Viewer) -> Image:
    both = np.stack([frames(), np.zeros_like(frames())], axis=1)
    return viewer.add_image(both, contrast_limits=(0, 255), axis_labels=("t", "c", "y", "x"))


def placed(**options: Any) -> Callable[[napari.Viewer], Image]:
    return lambda viewer: add_frames(viewer, **options)


IMAGES = {
    "anisotropic and translated": placed(scale=(4, 0.5, 0.25), translate=(10, -3, 7)),
    "rotated": placed(rotate=30, scale=(4, 1, 2), translate=(1, 2, 3)),
    "sheared": placed(shear=(0, 0, 0.4), scale=(2, 1, 1)),
    "mirrored by an affine": placed(affine=[[2, 0, 0, 5], [0, 0, 1, 0], [0, 1, 0, -4], [0, 0, 0, 1]]),
    "rolled axes": rolled,
    "rows and columns exchanged": turned,
    "colour": colour,
    "multiscale": pyramid,
    "dask": lazy,
    "channels": channels,
}


@pytest.mark.parametrize("add", IMAGES.values(), ids=IMAGES)
def test_a_click_becomes_labels_where_it_was(
    clean: napari.Viewer, docked: Docked, add: Callable[[napari.Viewer], Image]
) -> None:
    image = add(clean)
    with docked(clean) as dock:
        work = Work(dock, image)
        height, width = dock.layers.geometry.frame_shape
        y, x = round(Y * height / SHAPE[0]), round(X * width / SHAPE[1])
        work.click(y, x)
        (key,) = dock.session.prompts
        (point,) = dock.session.prompts[key].points
        assert (key.obj, key.frame) == (1, MIDDLE)
        assert np.allclose(point, (y, x), atol=0.6 * max(height / SHAPE[0], 1))
        assert work.shown(MIDDLE, y, x) == work.seen(y, x) == 1
        work.propagate()
        assert len(np.flatnonzero(work.labels.any(axis=(1, 2)))) > 3
        np.testing.assert_array_equal(work.labels, dock.session.labels)
        inside = np.argwhere(work.labels)
        for frame, row, column in inside[:: max(len(inside) // 20, 1)].tolist():
            assert work.shown(frame, row, column) == 1
        assert work.shown(MIDDLE, 0, 0) == 0


def test_no_dot_is_drawn_where_there_are_no_points(clean: napari.Viewer, docked: Docked) -> None:
    image = add_frames(clean)
    with docked(clean) as dock:
        work = Work(dock, image)
        work.click(Y, X)

        def white() -> int:
            settle()
            picture = clean.screenshot(canvas_only=True, flash=False)[..., :3]
            return int((picture > 240).all(axis=-1).sum())

        dock.layers.points.border_color = dock.layers.points.face_color = "white"
        assert white() > 20
        dock.show(MIDDLE + 1)
        assert white() == 0


def test_a_double_click_in_the_volume_makes_an_object_active(clean: napari.Viewer, docked: Docked) -> None:
    image = add_frames(clean, scale=(3, 1, 1))
    with docked(clean) as dock:
        work = Work(dock, image)
        work.click(Y, X)
        work.propagate()
        work.hand.key(Qt.Key.Key_N)
        assert dock.state.objects.active == 2
        clean.dims.ndisplay = 3
        clean.reset_view()
        dock.wait()
        before = Look.of(clean)
        work.hand.double_click(work.world(MIDDLE, Y, X))
        assert dock.state.objects.active == 1
        assert Look.of(clean) == before


def test_the_first_image_of_a_viewer_is_shown_whole(clean: napari.Viewer, docked: Docked) -> None:
    with docked(clean) as dock:
        image = add_frames(clean, scale=(3, 2, 2), translate=(0, 500, 500))
        settle()
        assert dock.controller.space.frame == MIDDLE
        middle = image.data_to_world((MIDDLE, (SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2))
        assert np.allclose(clean.scene.camera.center[-2:], middle[-2:])


def test_a_second_image_of_another_shape(clean: napari.Viewer, docked: Docked) -> None:
    first = add_frames(clean)
    with docked(clean) as dock:
        work = Work(dock, first)
        work.click(Y, X)
        labels = dock.layers.labels
        before = labels.data.copy()
        second = clean.add_image(frames(5).repeat(2, axis=1), name="second", contrast_limits=(0, 255))
        settle()
        assert dock.controller.space.image is first  # there is work on it
        dock.view.image.image_chosen.emit(1)
        dock.wait()
        assert labels in clean.layers
        work = Work(dock, second)
        work.click(30, 12)
        assert work.shown(MIDDLE, 30, 12) == 1
        assert dock.session.volume.shape == (5, 2 * SHAPE[0], SHAPE[1])
        work.propagate()
        np.testing.assert_array_equal(labels.data, before)
        np.testing.assert_array_equal(work.labels, dock.session.labels)


def test_renamed_layers_and_an_image_that_is_deleted(clean: napari.Viewer, docked: Docked) -> None:
    image = add_frames(clean)
    with docked(clean) as dock:
        work = Work(dock, image)
        image.name, dock.layers.labels.name, dock.layers.points.name = "a", "b", "c"
        work.click(Y, X)
        assert work.shown(MIDDLE, Y, X) == 1
        dock.widget.propagate()
        labels = dock.layers.labels
        clean.layers.remove(image)
        dock.wait()
        assert labels in clean.layers
        assert labels.data.any()
        assert dock.widget.session is None
        assert dock.state.image.chosen is None
        image = add_frames(clean, 7)
        work = Work(dock, image)
        work.click(Y, X)
        assert work.shown(MIDDLE, Y, X) == 1
        assert dock.session.volume.shape == (7, *SHAPE)


@pytest.mark.parametrize("kind", ["points", "shapes", "labels"])
def test_a_layer_of_ours_that_is_deleted_begins_anew(clean: napari.Viewer, docked: Docked, kind: str) -> None:
    image = add_frames(clean)
    with docked(clean) as dock:
        work = Work(dock, image)
        work.click(Y, X)
        clean.layers.remove(getattr(dock.layers, kind))
        dock.wait()
        assert not dock.session.prompts
        work = Work(dock, image)
        work.click(Y + 4, X)
        assert work.shown(MIDDLE, Y + 4, X) == 1
