"""Saving by itself, off the GUI thread, and bringing back what a crash has left."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from qtpy.QtCore import QTimer

from napari_sam2._napari.answers import Answer
from napari_sam2._napari.autosave import About, Autosave
from napari_sam2._napari.many_files import proposed_stem
from napari_sam2._napari.notices import tell
from napari_sam2._napari.state import FilesState
from napari_sam2._napari.worker import Fate, Origin, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_sam2._napari.autosave import Recovery, Work
    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.controller_sequence import SequenceControl
    from napari_sam2._napari.desk import Desk
    from napari_sam2._napari.settings import Settings
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.session import Session

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

    Attributes
    ----------
    recent : tuple of Work
        Earlier work on the image that is open, the newest first.
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
        self.recent: tuple[Work, ...] = ()
        self._told = False
        # What comes next is other work, and must not be saved before it has come, after all that waits.
        self._turning: WeakSet[Sequence] = WeakSet()
        self._timer = QTimer()
        self._timer.setInterval(_LOOK_EVERY)
        self._timer.timeout.connect(self.save)
        if autosave is not None:
            sequences.session_opened = self._has_opened
            sequences.session_closing = self.keep
            workspace.answered.connect(self._note_replaced)
            workspace.worker.submit(
                autosave.clean, origin=Origin(self, failed=self._failed), priority=Priority.AHEAD
            )
            self._timer.start()

    @property
    def is_on(self) -> bool:
        """Whether anything is saved by itself."""
        return self._autosave is not None

    def save(self) -> None:
        """Save what has changed, if the last time was long enough ago."""
        for sequence in self._sequences.touched():
            origin = Origin(sequence, failed=self._failed)
            if sequence in self._turning:
                turned = partial(self._turned, sequence)
                self._submit(sequence, _save, origin, Priority.AHEAD, "autosave", turned)
            else:
                self._submit(sequence, _save, origin, Priority.REGULAR, "autosave")
        if self._autosave is not None:
            self._autosave.beat()

    def _turned(self, sequence: Sequence, _: object) -> None:
        self._turning.discard(sequence)

    def keep(self, sequence: Sequence) -> None:
        """Save a session for the last time: another one takes its place, or its image is left."""
        self._submit(sequence, _keep, Origin(self, failed=self._failed, fate=Fate.TOLD), Priority.EDIT)

    def _note_replaced(self, sequence: Sequence, answer: Answer) -> None:
        """Save a session that took the place of another one, and that one no longer."""
        if answer.replaced is not None:
            self._submit(sequence, _save_open_one, Origin(sequence, failed=self._failed))

    def turn_over(self, sequences: Iterable[Sequence]) -> None:
        """Save sessions for the last time; what comes in their place is other work."""
        for sequence in sequences:
            self.keep(sequence)
            self._turning.add(sequence)
        self._sequences.begin_group()

    def _submit(
        self,
        sequence: Sequence,
        work: Callable[[Autosave, Desk, About], object],
        origin: Origin,
        priority: Priority = Priority.AHEAD,
        key: str | None = None,
        done: Callable[[object], None] | None = None,
    ) -> None:
        autosave = self._autosave
        if autosave is not None and sequence.is_touched:
            call = partial(work, autosave, sequence.desk, self._about)
            self._space.worker.submit(call, done, origin, priority=priority, key=key)

    @property
    def _about(self) -> About:
        name = "" if self._space.image is None else self._space.image.name
        return About(name, group=self._sequences.group)

    def _failed(self, error: Exception) -> None:
        """Tell once: it will not get better by saying it every few seconds."""
        if not self._told:
            self._told = True
            self._space.fail(OSError(f"the session cannot be saved by itself ({error}): save it by hand"))

    def note_saved(self, session: Session) -> None:
        """Note that the user has a session in a file as it is now; called on the inference thread."""
        if self._autosave is not None:
            self._autosave.forget(session)

    def last_words(self) -> Callable[[], object] | None:
        """Return what has to be done before the thread ends."""
        autosave, about = self._autosave, self._about
        desks = [sequence.desk for sequence in self._sequences.touched()]
        if autosave is None:
            return None

        def last() -> None:
            for desk in desks:
                _save(autosave, desk, about, now=True)
            autosave.close()

        return last

    # --- bringing back

    def _has_opened(self, sequence: Sequence) -> None:
        self._look(sequence, self._offer)

    def _look(self, sequence: Sequence, done: Callable[[], None]) -> None:
        """Look for earlier work on the image that is open."""
        autosave = self._autosave
        if autosave is not None:
            self._space.ask(
                partial(_work_on, autosave),
                lambda answer: self._found(answer, done),
                priority=Priority.AHEAD,
                sequence=sequence,
            )

    def _found(self, answer: Answer, done: Callable[[], None]) -> None:
        if isinstance(answer.value, tuple):
            self.recent = answer.value
            done()

    def state(self) -> FilesState:
        """Return what the dock shows of earlier work."""
        image = self._space.image
        stem = "" if image is None else proposed_stem(image.name, image.source.path)
        return FilesState(tuple(each.text for each in self.recent), stem)

    def forget_image(self) -> None:
        """List no work: another image comes."""
        self.recent = ()

    def _offer(self) -> None:
        """Offer what a crash has left; what was closed as it should be is listed, and no more."""
        crashed = [each for each in self.recent if not each.closed]
        if not crashed or self._sequences.is_touched:
            return
        newest = crashed[0]
        notification_manager.dispatch(
            Notification(
                f"Work on this image was not saved: {newest.text}. It can be brought back.",
                severity=NotificationSeverity.INFO,
                actions=[
                    ("Bring it back", lambda _=None: self.recover(newest)),
                    ("Delete it", lambda _=None: self.discard(newest)),
                ],
            )
        )

    def choose_recent(self, index: int) -> None:
        """Bring back the work that the dock lists at this place; what is here now is listed then."""
        if 0 <= index < len(self.recent):
            self.recover(self.recent[index])

    def recover(self, work: Work) -> None:
        """Bring work back, at all its positions; nothing is computed."""
        shown = self._space.sequence
        if self._autosave is None or shown is None:
            return
        self._space.interrupted.emit()
        self.turn_over(self._sequences.touched())
        self._sequences.group = work.parts[0].group or self._sequences.group
        within = [part for part in work.parts if self._sequences.has(part.index)]
        if len(within) < len(work.parts):
            tell("The image ends before some of that work: it was left out, and is still listed.")
        for part in within:
            self._recover_part(part, self._sequences.at_index(part.index))
        self._look(shown, lambda: None)

    def _recover_part(self, part: Recovery, sequence: Sequence) -> None:
        autosave, images, model = self._autosave, self._space.arrays(), self._space.model
        if autosave is not None:
            self._space.ask(
                lambda desk: desk.recover(autosave, part, images, model.take()),
                lambda _: self._recovered(sequence),
                label="Loading",
                sequence=sequence,
            )

    def _recovered(self, sequence: Sequence) -> None:
        self._prompts.show(sequence)
        self._space.loaded.emit(sequence)
        if sequence is self._space.sequence:
            objects = self._space.picture.objects
            self._prompts.activate(objects[0] if objects else 1)
            tell("Your work is back.")

    def discard(self, work: Work) -> None:
        """Delete what is left of earlier work."""
        if self._autosave is not None:
            self._autosave.discard(work)
            self.recent = tuple(each for each in self.recent if each is not work)
            self._space.changed.emit()

    def close(self) -> None:
        """Save no more."""
        self._timer.stop()
        self._timer.timeout.disconnect()


def _save(autosave: Autosave, desk: Desk, about: About, *, now: bool = False) -> None:
    if desk.session is not None:
        autosave.save(desk.session, about=replace(about, image=desk.image), now=now)


def _save_open_one(autosave: Autosave, desk: Desk, about: About) -> None:
    if desk.others:
        _save(autosave, desk, about, now=True)
    for session in desk.others:
        autosave.withdraw(session)


def _keep(autosave: Autosave, desk: Desk, about: About) -> None:
    if desk.session is not None:
        _save(autosave, desk, about, now=True)
        autosave.release(desk.session)


def _work_on(autosave: Autosave, desk: Desk) -> Answer:
    return Answer(value=autosave.work(desk.image))
