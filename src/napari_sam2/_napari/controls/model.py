"""Which network is used: loaded beside the inference thread while another one answers, and downloaded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_sam2._napari.download import Download, Fetched
from napari_sam2._napari.model_choices import (
    DEVICES,
    EMBEDDED,
    OTHER_FILE,
    ModelChoice,
    devices_here,
    listed,
    listed_devices,
    shown_name,
)
from napari_sam2._napari.notices import sentence, show_failure
from napari_sam2._napari.state import ModelState
from napari_sam2._napari.work.worker import Origin, Priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.work.answers import Answer
    from napari_sam2._napari.workspace import Sequence, Workspace


class ModelControl:
    """Chooses the network.

    Parameters
    ----------
    workspace : Workspace
        Its model box is filled.
    choice : ModelChoice
        What to begin with.
    loader : callable
        Loads a choice; called on the inference thread, or beside it while another network answers.
    replaced : callable
        Called with another network that was chosen and loaded, so that sessions are opened anew with it.
    in_use : callable
        Returns the network of what was said so far; None if nothing was.

    Attributes
    ----------
    loaded : callable
        Called when a network is there.
    """

    def __init__(
        self,
        workspace: Workspace,
        choice: ModelChoice,
        loader: Callable[[ModelChoice], Sam2],
        replaced: Callable[[Sam2], None],
        in_use: Callable[[], Sam2 | None],
    ) -> None:
        self._space = workspace
        self.choice = choice
        self._loader, self._replaced, self._in_use = loader, replaced, in_use
        # Undo may bring a network back.
        self._made: WeakKeyDictionary[Sam2, ModelChoice] = WeakKeyDictionary()
        self.loaded: Callable[[], None] = lambda: None
        self._loading: ModelChoice | None = None
        self._problem = ""
        self._present: tuple[str, ...] = DEVICES  # which of them are here is known once torch is loaded
        self._fetched: Fetched | None = None
        self._download: Download | None = None
        workspace.answered.connect(self._follow)

    def start(self, *, another: bool = False) -> None:
        """Load what was chosen, if it is on this computer; `another` takes the place of one that was used.

        Until it is, the one before answers, and the dock says so.
        """
        box = self._space.model
        self._problem = ""
        if not self.choice.is_here:
            box.problem = (
                f"{self.choice.name} has to be downloaded first: press Download under Model, or choose nano."
            )
            self._space.changed.emit()
            return
        choice = self._loading = replace(self.choice)  # another value each time it is asked for
        at_hand = (self._in_use(), box.model)
        known = next((each for each in at_hand if each is not None and self._made.get(each) == choice), None)
        work, take = partial(self._load, choice, known), partial(self._take, choice)
        done = partial(self._loaded, choice, another=another)
        origin = Origin(self, f"Loading {shown_name(choice.name)}", partial(self._failed, choice))
        if box.model is None:  # all that waits needs it
            first = partial(take, work)
            self._space.worker.submit(first, done, origin, priority=Priority.CLICK, key="model")
        else:
            self._space.worker.submit_beside(work, take, done, origin)
        self._space.changed.emit()

    def _load(self, choice: ModelChoice, known: Sam2 | None) -> Sam2:
        """Load a network, or take the one in use."""
        self._present = devices_here()
        return self._loader(choice) if known is None else known

    def _take(self, choice: ModelChoice, loaded: Callable[[], Sam2]) -> Sam2:
        """Put what was loaded into the box, on the inference thread: what waits behind it finds it there."""
        box = self._space.model
        try:
            model = loaded()
        except Exception as error:
            box.problem = sentence(error) or str(error)  # a network that was there before goes on answering
            raise
        self._made[model] = choice
        box.model, box.problem = model, ""
        return model

    def _loaded(self, choice: ModelChoice, model: Sam2, *, another: bool) -> None:
        if self._loading is not choice:  # the user has chosen again since
            return
        self._loading = None
        if another:
            self._replaced(model)
        self.loaded()
        self._space.changed.emit()

    def _failed(self, choice: ModelChoice, error: Exception) -> None:
        if self._loading is not choice:
            return
        self._loading = None
        self._problem = self._space.model.problem
        show_failure(error)
        self.stay()
        self._space.changed.emit()

    def stay(self) -> None:
        """Return to the network of what was said so far: another one cannot be had, or was given up."""
        model = self._in_use() or self._space.model.model
        choice = None if model is None else self._made.get(model)
        if choice is not None and not self._loading:
            self.choice, self._space.model.model = choice, model

    def _follow(self, _sequence: Sequence, answer: Answer) -> None:
        """Show the network of a session that took another one's place, or of the one that came back."""
        replaced = answer.replaced
        choice = None if replaced is None or replaced.step is None else self._made.get(replaced.model)
        if choice is not None and not self._loading and self.choice.is_here:
            self.choice, self._problem = choice, ""

    @property
    def is_quick(self) -> bool:
        """Whether frames may be tracked without being asked for; the name tells until a network is there."""
        model = self._space.model.model
        if model is None:
            return self.choice.name == EMBEDDED
        return model.config.is_narrow or model.runtime.device.type == "cuda"

    @property
    def _answering(self) -> str:
        """The name of the network that answers until the chosen one is downloaded and loaded."""
        model = self._space.model.model
        is_used = self.choice.is_here and self._loading is None
        choice = None if model is None or is_used else self._made.get(model)
        return "" if choice is None else shown_name(choice.name)

    def choose(self, index: int) -> None:
        """Take the network that the dock lists at this place."""
        name = listed(self.choice)[index]
        if name != OTHER_FILE:
            self._choose(self.choice.with_name(name))

    def choose_file(self, path: str) -> None:
        """Take a file of weights."""
        self._choose(self.choice.with_name(path))

    def choose_device(self, index: int) -> None:
        """Take another device."""
        self._choose(self.choice.with_device(self._devices[index]))

    @property
    def _devices(self) -> tuple[str, ...]:
        return listed_devices(self.choice, self._present)

    def _choose(self, choice: ModelChoice) -> None:
        is_there = self._space.model.model is not None or self._loading is not None
        if choice == self.choice and is_there:
            self._problem = ""  # of another one, which the user gives up with this
            self._space.changed.emit()
            return
        self.choice = choice
        self.start(another=True)

    def download(self) -> None:
        """Fetch the network that is chosen; what breaks off is fetched from the beginning."""
        checkpoint = self.choice.checkpoint
        if checkpoint is None or self._download is not None:
            return
        self._problem = ""
        self._download = Download(checkpoint)
        self._download.progress.connect(self._show_progress)
        self._download.finished.connect(self._downloaded)
        self._fetched = Fetched(total=checkpoint.size or 0)
        self._download.start()
        self._space.changed.emit()

    def cancel_download(self) -> None:
        """Fetch it no longer."""
        if self._download is not None:
            self._download.progress.disconnect(self._show_progress)
            self._download.finished.disconnect(self._downloaded)
            self._download.stop()
            self._download, self._fetched = None, None
            self._space.changed.emit()

    def _show_progress(self, fetched: Fetched) -> None:
        self._fetched = fetched
        self._space.changed.emit()

    def _downloaded(self, error: Exception | None) -> None:
        fetched = None if self._download is None else self._download.checkpoint
        if self._download is not None:
            self._download.close()
        self._download, self._fetched = None, None
        if error is not None:
            self._problem = sentence(error) or str(error)
            show_failure(error)
        elif self.choice.is_here and fetched is self.choice.checkpoint:  # the user may have gone on since
            self.start(another=True)
        self._space.changed.emit()

    def state(self) -> ModelState:
        """Return what the dock shows of the network."""
        names = listed(self.choice)
        return ModelState(
            names=tuple(shown_name(name) for name in names),
            chosen=names.index(self.choice.name),
            detail=self.choice.detail,
            needs_download=not self.choice.is_here,
            answered_by=self._answering,
            download=None if self._fetched is None else self._fetched.share,
            fetched="" if self._fetched is None else self._fetched.text,
            devices=self._devices,
            device=self._devices.index(self.choice.device),
            loading=self._loading is not None,
            problem=self._problem,
        )

    def close(self) -> None:
        """End a download."""
        if self._download is not None:
            self._download.close()
