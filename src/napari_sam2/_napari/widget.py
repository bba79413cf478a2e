"""The dock, as napari opens it and as scripts use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari.viewer  # noqa: TC002 - napari evaluates no annotations, it compares them
from qtpy.QtCore import QEvent, QEventLoop, QTimer
from qtpy.QtWidgets import QApplication, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2._napari.controller import Controller
from napari_sam2._napari.keys import KEYS
from napari_sam2._napari.model_choices import load
from napari_sam2._napari.settings import read_settings
from napari_sam2._napari.views.dock_view import DockView
from napari_sam2.passes import check_direction

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.model_choices import ModelChoice
    from napari_sam2._napari.settings import Settings
    from napari_sam2._napari.work.autosave import Autosave
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.session import Session

# While a script waits, it looks so often whether all is done, in milliseconds.
_LOOK_EVERY = 10


class Sam2Widget(QWidget):
    """Segment and track objects from a few clicks.

    Parameters
    ----------
    viewer : Viewer
        The viewer that it works in.
    settings : Settings, optional
        By default what the user has set in napari's Preferences.
    loader : callable, optional
        Loads a network, never on the GUI thread.
    autosave : Autosave, optional
        Saves sessions by themselves; by default into the user's cache folder, if the settings say so.

    Notes
    -----
    In a script::

        dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
        widget.set_prompts(1, 30, FramePrompts(points=[(210, 155)], positive=[True]))
        widget.propagate(wait=True)
        widget.session.export("labels.tif")
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        settings: Settings | None = None,
        *,
        loader: Callable[[ModelChoice], Sam2] = load,
        autosave: Autosave | None = None,
    ) -> None:
        self._docked = False
        super().__init__()
        self.setObjectName("napari-sam2")
        # Layers are compared with `is`; the proxy that napari hands to plugins makes new ones each time.
        real: napari.viewer.Viewer = getattr(viewer, "__wrapped__", viewer)
        self.view = DockView({key.command.value: key.label for key in KEYS})
        # Without it napari puts a stretch below, and the dock gets half of the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        controller = Controller(
            real, self.view, settings or read_settings(), loader=loader, autosave=autosave
        )
        self.controller = controller
        self.destroyed.connect(controller.close)
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(controller.close)

    @property
    def session(self) -> Session | None:
        """The session, for reading, saving and exporting; None until an image is open.

        What has been asked for and is still under way is waited for.
        """
        self.wait()
        sequence = self.controller.space.sequence
        return None if sequence is None else sequence.desk.session

    def set_prompts(self, obj: int, frame: int, prompts: FramePrompts) -> None:
        """Say all that is said of an object on a frame; the layers show it, the mask follows.

        Parameters
        ----------
        obj : int
            Id of the object, its label value.
        frame : int
            Index of the frame.
        prompts : FramePrompts
            Replaces what was said before; ``FramePrompts()`` takes it back.

        Raises
        ------
        RuntimeError
            If no image is chosen.
        ValueError
            If a prompt lies outside the frame, or there is no such frame.
        """
        self.controller.image.catch_up()
        self.controller.prompts.set_prompts(obj, frame, prompts)

    def propagate(self, direction: str = "both", *, wait: bool = False) -> None:
        """Track all objects through all frames; labels appear as they are computed.

        Parameters
        ----------
        direction : {"both", "forward", "backward"}
            As for `Session.propagate`.
        wait : bool
            Whether to return only when all is done; the viewer stays alive meanwhile.

        Raises
        ------
        ValueError
            If there is no such direction.
        """
        check_direction(direction)
        self.controller.image.catch_up()
        if wait:
            self.wait()  # for the prompts
        self.controller.propagate(direction)
        if wait:
            tracking = self.controller.tracking
            self._wait_until(lambda: not tracking.running)  # also where the user pauses it meanwhile
            self.wait()

    def wait(self) -> None:
        """Return when all that was asked for is done and shown; the viewer stays alive meanwhile.

        What the user has paused is not waited for.
        """
        self.controller.image.catch_up()
        self._wait_until(lambda: self.controller.space.is_at_rest)

    def _wait_until(self, is_done: Callable[[], bool]) -> None:
        """Let the event loop turn until something is done, or the dock closed."""
        worker = self.controller.worker
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if is_done() or worker.is_closed else None)
        timer.start(_LOOK_EVERY)
        if not is_done() and not worker.is_closed:
            loop.exec()
        timer.stop()

    def event(self, event: QEvent | None) -> bool:
        """End all work when the dock lets the widget go."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.controller.close()
                self.deleteLater()
        return bool(super().event(event))
