"""A real viewer, and the promise that nothing is left of it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import napari
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtWidgets import QApplication
from vispy.app import use_app

from napari_sam2._napari.layers import label_writer
from tests._napari.dock import MIDDLE, Dock, add_frames, four_axes
from tests._napari.hand import Hand, settle
from tests._napari.stage import Desk
from tests.fakes import FakeModel

# From here on vispy hears what Qt complains of; were it in a test, nobody would hear it there.
use_app("pyqt6")
SMALL = (560, 640)
"""Width and height of a viewer's window: without a graphics card, every pixel takes time."""


@pytest.fixture(autouse=True, scope="session")
def quick_collector(qapp: QApplication) -> None:
    """Let Python's collector pass over what stays anyway: most of all objects are parts of modules."""
    model = ViewerModel()
    add_frames(model)
    Dock(model, FakeModel()).end()
    del model
    qapp.processEvents()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is saved by itself out of the user's cache folder."""
    monkeypatch.setattr("napari_sam2._napari.work.autosave.autosave_folder", lambda: tmp_path / "autosave")


@pytest.fixture
def open_viewer(make_napari_viewer: Callable[..., napari.Viewer]) -> Iterator[Callable[[], napari.Viewer]]:
    """Return a function that opens a real viewer; widgets and threads that are left behind fail the test."""
    threads = set(threading.enumerate())

    def opened() -> napari.Viewer:
        return make_napari_viewer(show=True, strict_qt="raise")

    yield opened
    # Libraries keep threads of their own, such as zarr's.
    new = set(threading.enumerate()) - threads
    left = [thread for thread in new if thread.name.startswith("napari-sam2")]
    assert not left, f"threads are left: {left}"


@pytest.fixture
def viewer(open_viewer: Callable[[], napari.Viewer]) -> napari.Viewer:
    """Return a real viewer, shown."""
    return open_viewer()


@pytest.fixture(scope="module")
def own_application() -> Iterator[None]:
    """Give a module an application of its own, in which no plugin is registered yet.

    Napari has a public fixture of it for one test alone. What this one takes from napari instead is imported
    here, so that another napari can break no tests but those of a module with one viewer.
    """
    from napari._app_model._app import NapariApplication, _napari_names

    application = NapariApplication("module")
    application.injection_store.namespace = _napari_names
    _forget_registrations()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NapariApplication, "get_app_model", lambda *_: application)
        yield
        NapariApplication.destroy("module")
    _forget_registrations()


def _forget_registrations() -> None:
    from napari._qt._qapp_model.qactions import init_qactions
    from napari.plugins import _initialize_plugins

    _initialize_plugins.cache_clear()
    init_qactions.cache_clear()


@pytest.fixture(scope="module")
def shared_viewer(qapp: QApplication, own_application: None) -> Iterator[napari.Viewer]:
    """Return a real viewer that is opened once for a module, since that takes seconds."""
    before = {id(widget) for widget in qapp.topLevelWidgets()}
    with pytest.MonkeyPatch.context() as patch:
        _do_without(patch, "napari._qt.threads.status_checker.StatusChecker.start")
        _do_without(patch, "napari._qt.qt_main_window._QtMainWindow._save_current_window_settings")
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        viewer.window.resize(*SMALL)
        yield viewer
        viewer.close()
        del viewer
        qapp.processEvents()
        gc.collect()
        qapp.processEvents()
    left = [widget for widget in qapp.topLevelWidgets() if id(widget) not in before and widget.isVisible()]
    assert not left, f"widgets are left: {left}"


def _do_without(patch: pytest.MonkeyPatch, method: str) -> None:
    """Let a method of napari's do nothing: it only takes time, or changes the user's settings."""
    with suppress(ImportError, AttributeError):  # another napari may have none
        patch.setattr(method, lambda *_: None)


@pytest.fixture
def clean(shared_viewer: napari.Viewer) -> Iterator[napari.Viewer]:
    """Return the viewer of this module, empty before and after."""
    yield shared_viewer
    shared_viewer.dims.ndisplay = 2
    shared_viewer.layers.clear()
    shared_viewer.dims.order = tuple(range(shared_viewer.dims.ndim))
    settle()


@pytest.fixture(scope="module")
def stage(shared_viewer: napari.Viewer) -> Iterator[Desk]:
    """Open a viewer with prompt layers once for a module, since that takes seconds."""
    stage = Desk(shared_viewer)
    yield stage
    stage.layers.close(remove_layers=True)


@pytest.fixture
def desk(stage: Desk) -> Desk:
    """Return the stage, cleared."""
    stage.clear()
    return stage


@pytest.fixture
def hand(viewer: napari.Viewer) -> Hand:
    """Return mouse and keyboard of the viewer."""
    return Hand(viewer)


@pytest.fixture
def model(qapp: object) -> ViewerModel:
    """Return a viewer without a window: quick, for all that needs neither mouse nor pictures."""
    return ViewerModel()


@pytest.fixture
def dock(viewer: napari.Viewer, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over nine frames in a real viewer, with a network that answers at once."""
    add_frames(viewer)
    dock = Dock(viewer, fake_model)
    viewer.window.add_dock_widget(dock.widget, name="SAM 2")
    dock.show(MIDDLE)
    dock.wait()
    yield dock
    dock.widget.controller.close()


@pytest.fixture
def bench(model: ViewerModel, fake_model: FakeModel) -> Iterator[Dock]:
    """Return the same with a viewer that has no window: quick, for all that needs no mouse."""
    add_frames(model)
    dock = Dock(model, fake_model)
    dock.show(MIDDLE)
    dock.wait()
    yield dock
    dock.end()


@pytest.fixture
def four(model: ViewerModel, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (t, z, y, x), at t = 1, z = 2."""
    yield from four_axes(model, fake_model)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told of views and networks."""
    notes: list[str] = []
    for module in ("controls.sequence", "controls.renewal", "controls.seeds"):
        monkeypatch.setattr(f"napari_sam2._napari.{module}.tell", notes.append)
    return notes


@pytest.fixture
def notices() -> Iterator[list[str]]:
    """Collect what notifications say."""
    said: list[str] = []

    def note(notification: Notification) -> None:
        said.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield said
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one change of labels be written in each turn of the event loop."""
    monkeypatch.setattr(label_writer, "_SECONDS", 0.0)
    monkeypatch.setattr(label_writer, "_EACH", label_writer._AT_ONCE)
