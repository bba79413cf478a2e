"""Saving by itself, off the GUI thread, and bringing back what a crash has left."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from qtpy.QtCore import QTimer

from napari_sam2._napari.autosave import Autosave
from napari_sam2._napari.desk import Answer
from napari_sam2._napari.notices import tell
from napari_sam2._napari.worker import Origin, Priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._napari.autosave import Recovery
    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.controller_sequence import SequenceControl
    from napari_sam2._napari.desk import Desk
    from napari_sam2._napari.settings import Settings
    from napari_sam2._napari.workspace import Sequence, Workspace

# How often it is asked whether anything has to be saved, in milliseconds.
_LOOK_EVERY = 2000


class SavingControl:
    """Saves sessions by themselves.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    sequences : SequenceControl
        Tells when sessions were opened.
    prompts : PromptControl
        Draws the prompts of what was brought back.
    autosave : Autosave or None
        Saves; None: as the settings say.
    settings : Settings
        The user's preferences.
    """

    def __init__(
        self,
        workspace: Workspace,
        sequences: SequenceControl,
        prompts: PromptControl,
        autosave: Autosave | None,
        settings: Settings,
    ) -> None:
        self._space, self._sequences, self._prompts = workspace, sequences, prompts
        if autosave is None and settings.autosave:
            autosave = Autosave(every=settings.autosave_seconds)
        self._autosave = autosave
        self.offered: tuple[Recovery, ...] = ()
        self._told = False
        self._timer = QTimer()
        self._timer.setInterval(_LOOK_EVERY)
        self._timer.timeout.connect(self.save)
        if autosave is not None:
            sequences.session_opened = self._look_for_recoveries
            workspace.worker.submit(
                autosave.clean, origin=Origin(self, failed=self._failed), priority=Priority.AHEAD
            )
            self._timer.start()

    @property
    def _name(self) -> str:
        return "" if self._space.image is None else self._space.image.name

    def save(self) -> None:
        """Save what has changed, if the last time was long enough ago."""
        autosave, name = self._autosave, self._name
        if autosave is None:
            return
        for sequence in self._sequences.touched():
            self._space.worker.submit(
                partial(_save, autosave, sequence.desk, name),
                origin=Origin(sequence, failed=self._failed),
                priority=Priority.AHEAD,
                key="autosave",
            )

    def _failed(self, error: Exception) -> None:
        """Tell once: it will not get better by saying it every few seconds."""
        if not self._told:
            self._told = True
            self._space.fail(OSError(f"the session cannot be saved by itself ({error}): save it by hand"))

    def forget(self) -> None:
        """Drop what was saved by itself: the user has saved all sessions."""
        autosave = self._autosave
        if autosave is not None:
            for sequence in self._sequences.touched():
                self._space.ask(partial(_forget, autosave), label="Saving", sequence=sequence)

    def last_words(self) -> Callable[[], object] | None:
        """Return what has to be done before the thread ends."""
        autosave, name = self._autosave, self._name
        desks = [sequence.desk for sequence in self._sequences.touched()]
        if autosave is None:
            return None

        def last() -> None:
            for desk in desks:
                _save(autosave, desk, name, now=True)
            autosave.close()

        return last

    # --- bringing back

    def _look_for_recoveries(self, sequence: Sequence) -> None:
        autosave = self._autosave
        if autosave is not None and not sequence.is_touched:
            self._space.ask(
                partial(_recoveries, autosave), self._offer, priority=Priority.AHEAD, sequence=sequence
            )

    def _offer(self, answer: Answer) -> None:
        found = answer.value
        if not isinstance(found, tuple) or not found or self._sequences.is_touched:
            return
        self.offered = found
        newest = found[0]
        when = time.strftime("%d %B, %H:%M", time.localtime(newest.saved_at))
        count = f"{newest.objects} object{'' if newest.objects == 1 else 's'}"
        notification_manager.dispatch(
            Notification(
                f"Work on this image was not saved: {count}, {when}. It can be brought back.",
                severity=NotificationSeverity.INFO,
                actions=[
                    ("Bring it back", lambda _=None: self.recover(newest)),
                    ("Delete it", lambda _=None: self.discard(newest)),
                ],
            )
        )

    def recover(self, recovery: Recovery) -> None:
        """Bring a session back; nothing is computed."""
        autosave, sequence, model = self._autosave, self._space.sequence, self._space.model
        if autosave is None or sequence is None:
            return
        data = sequence.view.data
        self._space.interrupted.emit()
        self._space.ask(
            lambda desk: desk.recover(autosave, recovery, data, model.take()),
            self._recovered,
            label="Loading",
        )

    def _recovered(self, _answer: Answer) -> None:
        self._prompts.show()
        objects = self._space.picture.objects
        self._prompts.activate(objects[0] if objects else 1)
        tell("Your work is back.")

    def discard(self, recovery: Recovery) -> None:
        """Delete what an earlier program left."""
        if self._autosave is not None:
            self._autosave.discard(recovery)

    def close(self) -> None:
        """Save no more."""
        self._timer.stop()
        self._timer.timeout.disconnect()


def _save(autosave: Autosave, desk: Desk, name: str, *, now: bool = False) -> None:
    if desk.session is not None:
        autosave.save(desk.session, name=name, now=now)


def _forget(autosave: Autosave, desk: Desk) -> Answer:
    autosave.forget(desk.opened)
    return Answer()


def _recoveries(autosave: Autosave, desk: Desk) -> Answer:
    return Answer(value=autosave.recoveries(desk.opened.volume.checksum()))
