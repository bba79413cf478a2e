"""Puts the plugin together: viewer, layers, inference thread and dock."""

from __future__ import annotations

import atexit
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2._napari.controls.ahead import AheadControl
from napari_sam2._napari.controls.files import FileControl
from napari_sam2._napari.controls.history import HistoryControl
from napari_sam2._napari.controls.image import ImageControl
from napari_sam2._napari.controls.model import ModelControl
from napari_sam2._napari.controls.objects import ObjectControl
from napari_sam2._napari.controls.prompts import PromptControl
from napari_sam2._napari.controls.review import ReviewControl
from napari_sam2._napari.controls.saving import SavingControl
from napari_sam2._napari.controls.seeds import SeedControl
from napari_sam2._napari.controls.sequence import SequenceControl
from napari_sam2._napari.controls.tracking import TrackingControl
from napari_sam2._napari.keys import Command
from napari_sam2._napari.model_choices import ModelChoice, load
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import DockState, ProgressState
from napari_sam2._napari.wiring import Connections, Later
from napari_sam2._napari.work.worker import InferenceWorker
from napari_sam2._napari.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.settings import Settings
    from napari_sam2._napari.views.dock_view import DockView
    from napari_sam2._napari.work.autosave import Autosave
    from napari_sam2.prompts import PromptKey

# The dock is drawn at most so often, in milliseconds: each time the whole window is put together anew, with
# the canvas in it, which takes long where that is done without a graphics card.
_DRAW_EVERY, _DRAW_WHILE_TRACKING = 30, 200


class Controller:
    """Everything behind one dock.

    Parameters
    ----------
    viewer : Viewer
        Where it works.
    view : DockView
        What it shows and what asks it.
    settings : Settings
        The user's preferences.
    loader : callable
        Loads a network; see `ModelControl`.
    autosave : Autosave, optional
        Saves sessions by themselves; by default as the settings say.
    """

    def __init__(
        self,
        viewer: Viewer,
        view: DockView,
        settings: Settings,
        *,
        loader: Callable[[ModelChoice], Sam2] = load,
        autosave: Autosave | None = None,
    ) -> None:
        self.view = view
        self.worker = InferenceWorker()
        self.space = space = Workspace(viewer, self.worker)
        self.sequences = SequenceControl(
            space, self._attach, self._detach, cache_bytes=settings.cache_megabytes * 2**20
        )
        self.image = ImageControl(space, self.sequences)
        choice = ModelChoice(device=settings.device, precision=settings.precision)
        self.models = ModelControl(
            space, choice, loader, self.sequences.renew, lambda: self.sequences.model_in_use
        )
        self.sequences.renewals.given_up = self.models.stay
        self.prompts = PromptControl(space, self.image.freeze, self._answered)
        self.objects = ObjectControl(space, self.prompts)
        self.tracking = TrackingControl(space)
        self.ahead = AheadControl(
            space, self.prompts, self.tracking, self.sequences, lambda: self.models.is_quick
        )
        self.models.loaded = self.ahead.moved  # the user may rest where nothing could be opened yet
        self.review = ReviewControl(space, self.prompts, self.objects.reveal)
        self.seeds = SeedControl(space, self.prompts)
        self.sequences.renewals.before = self.seeds.cancel
        self.history = HistoryControl(
            space, self.sequences, self.prompts, self.objects, self.seeds, self.ahead
        )
        self.saving = SavingControl(space, self.sequences, self.prompts, autosave, settings)
        self.image.may_end = self._may_end
        self.files = FileControl(space, self.saving, self.sequences, view.files.ask_whether_to_replace)
        self._draw = Later(self._show, _DRAW_EVERY)
        self._deleted = Later(self._begin_anew)
        self._wires, self._closed = Connections(), False
        self._connect()
        # A script may end without closing its viewer, as after an error.
        atexit.register(self.close)
        self.models.start()
        self.image.start()
        self._show()

    def _connect(self) -> None:
        for signal, command in self._buttons():
            self._wires.connect(signal, partial(self._press, command))
        for signal, act in self._actions():
            self._wires.connect(signal, self.space.catch_up)  # what was said before counts before
            self._wires.connect(signal, act)
        self._wires.connect(self.space.changed, self._draw_soon)
        self._wires.connect(self.worker.activity_changed, self._draw_soon)
        self._wires.connect(self.space.viewer.dims.events.point, self._moved)

    def _actions(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        """Return the signals of the dock's parts, and what each of them does."""
        view, image, models, prompts = self.view, self.image, self.models, self.prompts
        objects, tracking, review, files = self.objects, self.tracking, self.review, self.files
        return (
            (view.image.image_chosen, image.choose_index),
            (view.image.axis_chosen, image.choose_axis),
            (view.image.letter_chosen, image.choose_letter),
            (view.image.channel_chosen, image.choose_channel),
            (view.image.use_current_view, image.use_current_view),
            (view.model.model_chosen, models.choose),
            (view.model.model_file_chosen, models.choose_file),
            (view.model.download_requested, models.download),
            (view.model.cancel_requested, models.cancel_download),
            (view.model.device_chosen, models.choose_device),
            (view.tools.tool_chosen, prompts.choose_tool),
            (view.tools.positive_chosen, prompts.choose_sign),
            (view.tools.each_click_new_toggled, prompts.choose_each_click_new),
            (view.objects.object_activated, prompts.activate),
            (view.objects.object_renamed, objects.rename),
            (view.objects.object_shown, objects.show),
            (view.objects.object_solo, objects.solo),
            (view.objects.object_locked, objects.lock),
            (view.objects.objects_deleted, objects.delete),
            (view.objects.object_visited, objects.visit),
            (view.objects.merge_requested, objects.merge),
            (view.objects.split_requested, objects.split),
            (view.progress.propagate_requested, self.propagate),
            (view.progress.propagate_range_requested, self.propagate_range),
            (view.objects.propagate_object_requested, self.propagate_object),
            (view.progress.propagate_active_requested, self.propagate_active),
            (view.progress.pause_toggled, tracking.toggle_pause),
            (view.progress.live_toggled, self.ahead.choose_live),
            (view.review.cell_visited, review.visit),
            (view.files.save_requested, files.save),
            (view.files.load_requested, self._load),
            (view.files.recent_requested, self.saving.choose_recent),
            (view.files.approached, self.saving.look_again),
            (view.files.export_requested, files.export),
            (view.files.tracks_layer_requested, files.show_tracks),
            (view.objects.divide_requested, objects.divide),
            (view.tools.seed_requested, self.seeds.seed),
            (view.tools.seed_next_t_requested, self.seeds.seed_next),
        )

    def _buttons(self) -> tuple[tuple[Any, Command], ...]:
        """Return the signals of the buttons for which there is a key as well."""
        tools, progress = self.view.tools, self.view.progress
        return (
            (tools.new_object, Command.NEW_OBJECT),
            (tools.next_candidate, Command.NEXT_CANDIDATE),
            (progress.cancel_requested, Command.CANCEL),
            (progress.begins_here, Command.BEGINS_HERE),
            (progress.ends_here, Command.ENDS_HERE),
            (progress.divides_here, Command.DIVIDES_HERE),
            (progress.lock_here, Command.LOCK),
            (progress.undo_requested, Command.UNDO),
            (progress.redo_requested, Command.REDO),
            (self.view.review.next_doubtful, Command.NEXT_DOUBTFUL),
        )

    def _commands(self) -> dict[Command, Callable[[], None]]:
        """Return what each key does, and the button beside it."""
        return {
            Command.NEW_OBJECT: self.prompts.new_object,
            Command.TOGGLE_SIGN: self.prompts.toggle_sign,
            Command.NEXT_CANDIDATE: self.prompts.candidates.next,
            Command.PROPAGATE: self.propagate,
            Command.CANCEL: self.cancel,
            Command.BEGINS_HERE: self.objects.begins_here,
            Command.ENDS_HERE: self.objects.ends_here,
            Command.DIVIDES_HERE: self.objects.divides_here,
            Command.NEXT_DOUBTFUL: self.review.next_doubtful,
            Command.LOCK: self.objects.lock_here,
            Command.UNDO: self.history.undo,
            Command.REDO: self.history.redo,
        }

    # --- layers come and go

    def _attach(self, layers: PromptLayers) -> None:
        self.objects.forget()
        self.saving.forget_image()
        self.prompts.attach(layers)
        self.ahead.attach(layers)
        layers.commanded.connect(self._command)
        layers.blocked_changed.connect(self._draw_soon)  # a function made here would keep the viewer for good
        layers.colours_changed.connect(self.space.changed.emit)
        layers.removed.connect(self._interrupt)  # at once: the other thread would go on
        layers.removed.connect(self._deleted.ask)

    def _interrupt(self) -> None:
        self.space.interrupted.emit(None)

    def _detach(self) -> None:
        self._deleted.cancel()
        self.sequences.renewals.stop()
        self.seeds.detach()
        self.tracking.forget()
        self.prompts.candidates.forget()
        self.ahead.detach()

    def _begin_anew(self) -> None:
        """Go on after layers were deleted: all of them when a viewer closes, one of ours by the user."""
        space = self.space
        if space.image is not None and space.image in space.viewer.layers:
            tell("A layer of SAM 2 was deleted: its work has ended, and new layers were made.")
            self.image.begin_anew()

    def _may_end(self) -> bool:
        """Ask, where nothing is saved by itself, whether what was said may be given up."""
        ends = self.saving.is_on or not self.sequences.has_objects or self.view.files.ask_whether_to_end()
        if not ends:
            self.view.image.show_state(self.image.state())  # the box shows what was chosen
        return ends

    def _load(self, path: str) -> None:
        if self._may_end():
            self.files.load(path)

    def _press(self, command: Command) -> None:
        """Do what a button asks for as its key does."""
        if self.space.layers is None:
            self._command(command)
        else:
            self.space.layers.command(command)

    def _command(self, command: Command) -> None:
        self._commands()[command]()

    def _draw_soon(self) -> None:
        self._draw.ask(_DRAW_WHILE_TRACKING if self.tracking.running else _DRAW_EVERY)

    def _moved(self, _event: object = None) -> None:
        self.sequences.follow_sliders()
        self.ahead.moved()
        self._draw.ask(_DRAW_EVERY)

    # --- work

    def propagate(self, direction: str = "both") -> None:
        """Propagate all objects."""
        if advice := self.tracking.advice_for_all():
            tell(advice)
        else:
            self.tracking.start(direction)

    def propagate_range(self, first: int, last: int) -> None:
        """Propagate all objects within frames `first` to `last`, both included."""
        self.tracking.start(frames=range(first, last + 1))

    def propagate_object(self, obj: int) -> None:
        """Propagate one object, or say what it lacks."""
        if advice := self.tracking.advice(obj):
            tell(advice)
        else:
            self.tracking.start(objects=(obj,))

    def propagate_active(self) -> None:
        """Propagate the active object."""
        self.propagate_object(self.space.active)

    def cancel(self) -> None:
        """End what is going on, and keep what it has done."""
        self.sequences.renewals.cancel()
        self.seeds.cancel()
        self.tracking.cancel()

    def _answered(self, key: PromptKey) -> None:
        self.ahead.answered(key)

    # --- the dock

    def _show(self) -> None:
        if not self._closed:
            self.view.show_state(self.state())

    def state(self) -> DockState:
        """Return all that the dock shows."""
        return DockState(
            image=self.image.state(),
            model=self.models.state(),
            tools=self.prompts.state(),
            objects=self.objects.state(),
            progress=self._progress(),
            review=self.review.state(),
            files=self.saving.state(),
        )

    def _progress(self) -> ProgressState:
        tracking = self.tracking.state(live=self.ahead.live)
        return self.sequences.renewals.shown_in(self.seeds.shown_in(tracking))

    def close(self) -> None:
        """End all work and let viewer and layers go; the labels stay if there are any."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._draw.close()
        self._deleted.close()
        self._wires.close()
        layers, image = self.space.layers, self.space.image
        if layers is not None and image in self.space.viewer.layers:
            layers.finish(everywhere=True)  # what was said last is not lost
        self.tracking.close()
        self.ahead.close()
        self.saving.close()
        self.models.close()
        self.worker.close(self.saving.last_words())
        self.image.close()
