"""Saving by itself, off the GUI thread, and bringing back what a crash has left."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_sam2._napari.controls.left_layers import LeftLayers, left_whole
from napari_sam2._napari.controls.many_files import proposed_stem
from napari_sam2._napari.notices import offer, reason, tell
from napari_sam2._napari.state import FilesState
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.autosave import About, Autosave, WorkGroup, read_recovery
from napari_sam2._napari.work.autosave_jobs import keep, leave, save, save_all, save_open_one
from napari_sam2._napari.work.exchange import Exchange, Source
from napari_sam2._napari.work.worker import Fate, Origin, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping

    from napari_sam2._napari.controls.left_layers import Left
    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.controls.sequence import SequenceControl
    from napari_sam2._napari.settings import Settings
    from napari_sam2._napari.work.autosave import Recovery, Work
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.work.model_box import ModelBox
    from napari_sam2._napari.work.versions import Version
    from napari_sam2._napari.workspace import Sequence, Workspace
    from napari_sam2.session import Session

    Told = Callable[[], About]

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
    load_file : callable
        Loads what the user has in a file.
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
        self.load_file: Callable[[str], None] = lambda _: None
        self._told = self._has_looked = False
        self._run: Exchange | None = None
        self._awaiting: set[Sequence] = set()
        self._timer = QTimer()
        self._timer.setInterval(_LOOK_EVERY)
        self._timer.timeout.connect(self.save)
        if autosave is not None:
            sequences.session_opened = self._has_opened
            sequences.sessions_closing = self.keep
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
            self._submit(
                sequence, save, Origin(sequence, failed=self._failed), Priority.REGULAR, key="autosave"
            )
        if self._autosave is not None:
            self._space.worker.submit(
                self._autosave.beat, origin=Origin(self), priority=Priority.REGULAR, key="beat"
            )

    def keep(self, sequences: Collection[Sequence]) -> None:
        """Save sessions for the last time: their image is left."""
        desks, autosave = [each.desk for each in sequences if each.is_touched], self._autosave
        if autosave is not None and desks:
            self._space.worker.submit(
                partial(keep, autosave, desks, self._about),
                origin=Origin(self, failed=self._failed, fate=Fate.TOLD),
            )

    def _note_replaced(self, sequence: Sequence, answer: Answer) -> None:
        """Save a session that took the place of another one, and that one no longer."""
        if answer.replaced is not None:
            self._submit(sequence, save_open_one, Origin(sequence, failed=self._failed))

    def _submit(
        self,
        sequence: Sequence,
        work: Callable[[Autosave, Desk, Told], object],
        origin: Origin,
        priority: Priority = Priority.AHEAD,
        key: str | None = None,
    ) -> None:
        autosave = self._autosave
        if autosave is not None and sequence.is_touched:
            call = partial(work, autosave, sequence.desk, self._about)
            self._space.worker.submit(call, origin=origin, priority=priority, key=key)

    @property
    def _about(self) -> Told:
        """What tells of the image; to be called on the inference thread, which knows of other work."""
        name = "" if self._space.image is None else self._space.image.name
        group = self._sequences.group
        return lambda: About(name, group=group.name)

    def _failed(self, error: Exception) -> None:
        """Tell once: it will not get better by saying it every few seconds."""
        if not self._told:
            self._told = True
            self._space.fail(
                OSError(f"the session cannot be saved by itself ({reason(error)}): save it by hand")
            )

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
            try:
                save_all(autosave, desks, about)
            finally:
                autosave.close()

        return last

    # --- bringing back

    def _has_opened(self, sequence: Sequence) -> None:
        """Look once for each image: earlier work may have many files, and is of the whole image."""
        if not self._has_looked:
            self._has_looked = True
            self._sequences.group.image = sequence.desk.image
            self._look(sequence, self._offer)

    def _look(self, sequence: Sequence, done: Callable[[], None], key: str | None = None) -> None:
        """Look for earlier work on the image that is open."""
        autosave = self._autosave
        if autosave is not None:
            self._space.ask(
                partial(_work_on, autosave),
                lambda answer: self._found(answer, done),
                priority=Priority.AHEAD,
                key=key,
                sequence=sequence,
            )

    def look_again(self) -> None:
        """List what has come since, as from another window that was closed, and no longer what has gone."""
        if self._space.sequence is not None and self._has_looked:
            self._look(self._space.sequence, lambda: None, "recent")

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
        self.recent, self._has_looked, self._run = (), False, None
        self._awaiting.clear()

    def _offer(self) -> None:
        """Take up what the viewer still shows, and offer what a crash has left; the rest is listed."""
        if self._sequences.is_touched:
            return
        works, files = {each.parts[0].group: each for each in self.recent}, []
        for left in self._still_shown:
            if left.group in works:
                self.recover(works[left.group])
                return
            files += [left.file] * Path(left.file).is_file()
        crashed = [each for each in self.recent if not each.closed]
        if files:
            self.load_file(files[-1])
        elif crashed:
            self._offer_crashed(crashed[0])

    @property
    def _still_shown(self) -> tuple[Left, ...]:
        """Works whose layers were left in the viewer, as by turning to another image and back."""
        sequence = self._space.sequence
        axis = None if sequence is None else sequence.geometry.frame_axis
        return left_whole(self._space.viewer.layers, self._sequences.group.image, axis)

    def _offer_crashed(self, newest: Work) -> None:
        offer(
            f"Work on this image was not saved: {newest.text}. It can be brought back.",
            ("Bring it back", partial(self.recover, newest)),
            ("Delete it", partial(self.discard, newest)),
        )

    def choose_recent(self, index: int) -> None:
        """Bring back the work that the dock lists at this place; what is here now is listed then."""
        if 0 <= index < len(self.recent):
            self.recover(self.recent[index])

    def recover(self, work: Work) -> None:
        """Bring work back, at all its positions; nothing is computed."""
        autosave = self._autosave
        if autosave is None or self._space.sequence is None:
            return
        within = [part for part in work.parts if self._sequences.has(part.index)]
        if not within:
            self._space.fail(ValueError("the image ends before that work: open the one that it belongs to"))
            return
        if len(within) < len(work.parts):
            tell("The image ends before some of that work: it was left out, and is still listed.")
        # The newest last: channels may differ where a program was stopped while it changed them.
        sources = {
            self._sequences.at_index(part.index): self._source(autosave, part) for part in reversed(within)
        }
        self.exchange(sources, lambda: tell("Your work is back."), work.parts[0].group)

    def _source(self, autosave: Autosave, part: Recovery) -> Source:
        read = partial(_read_part, part, self._space.arrays(), self._space.model)
        return Source(read, lambda desk: autosave.take_over(part, desk.opened))

    def exchange(self, sources: Mapping[Sequence, Source], done: Callable[[], None], group: str = "") -> None:
        """Put other work in place of all that is here; where it cannot be read, change nothing.

        Parameters
        ----------
        sources : mapping of Sequence to Source
            Where it comes to; all other positions become empty.
        done : callable
            Called when it is there.
        group : str
            `About.group` of it, if it has one.
        """
        space = self._space
        space.catch_up()  # what was said until now belongs to the work that is left
        space.interrupted.emit(None)
        done = partial(self._is_back, tuple(sources), done, group)
        run = self._run = Exchange(self._sequences.group, group or WorkGroup().name, self._leaving())
        left = [each for each in self._sequences.touched() if each not in sources]
        self._awaiting.update(sources)
        for sequence, source in sources.items():
            sequence.is_coming = True  # or it may be closed, or opened anew, as one of which nothing was said
            self._ask(partial(run.read, source), sequence)
        for sequence in left:
            self._ask(run.clear, sequence)
        space.worker.submit(
            run.take,
            lambda answers: self._exchanged(run, answers, [*sources, *left], done),
            Origin(space.sequence, "Loading", partial(self._not_exchanged, run)),
        )

    def _is_back(self, sequences: tuple[Sequence, ...], done: Callable[[], None], group: str) -> None:
        self._sequences.group.file = ""
        done()
        LeftLayers(self._space).give_way(sequences, group)

    @property
    def is_exchanging(self) -> bool:
        """Whether other work is being read: which positions it has is not known yet."""
        return self._run is not None

    def _end(self, run: Exchange) -> None:
        if self._run is run:
            self._run = None
            for sequence in self._awaiting:
                sequence.is_coming = False
            self._awaiting.clear()
            self._sequences.close_unused()

    def _not_exchanged(self, run: Exchange, error: Exception) -> None:
        self._end(run)
        self._space.fail(error)

    def _ask(
        self, work: Callable[[Desk], Answer | Generator[None, None, Answer]], sequence: Sequence
    ) -> None:
        self._space.ask(work, label="Loading", sequence=sequence, failed=lambda _: self.look_again())

    def _leaving(self) -> Callable[[Collection[Desk]], None]:
        """Return what saves sessions for the last time; on the inference thread."""
        autosave, about = self._autosave, self._about
        return lambda desks: None if autosave is None else leave(autosave, desks, about)

    def _exchanged(
        self,
        run: Exchange,
        answers: Mapping[Desk, Answer],
        sequences: list[Sequence],
        done: Callable[[], None],
    ) -> None:
        """Show other work that has come."""
        for sequence in sequences:
            if sequence.desk in answers:
                shown = partial(self._shows_other, sequence, is_blank=not run.brings(sequence.desk))
                self._space.take(sequence, shown, answers[sequence.desk])
        self._end(run)
        if answers:
            done()
            self.look_again()
        if run.problem is not None:
            self._failed(run.problem)

    def _shows_other(self, sequence: Sequence, _answer: Answer, *, is_blank: bool) -> None:
        self._prompts.show(sequence)
        if not is_blank:
            self._space.loaded.emit(sequence)
        if sequence is self._space.sequence:
            objects = self._space.picture.objects
            self._prompts.activate(objects[0] if objects else 1)

    def discard(self, work: Work) -> None:
        """Delete what is left of earlier work, on the inference thread: it may be many files."""
        if self._autosave is not None:
            origin = Origin(self, failed=self._failed, fate=Fate.DONE)
            self._space.worker.submit(partial(self._autosave.discard, work), origin=origin)
            self.recent = tuple(each for each in self.recent if each is not work)
            self._space.changed.emit()

    def close(self) -> None:
        """Save no more."""
        self._timer.stop()
        self._timer.timeout.disconnect()


def _read_part(
    part: Recovery, images: Mapping[str, Any], model: ModelBox, desk: Desk
) -> Generator[None, None, Version]:
    if read_recovery(part.folder) is None:
        raise FileNotFoundError(
            "that work is not here any more: it was brought back in another window, or deleted"
        )
    return (yield from desk.read(str(part.folder), images, model.take()))


def _work_on(autosave: Autosave, desk: Desk) -> Answer:
    """Find work on the image; nothing is known of it at a position that was not opened yet."""
    return Answer(value=autosave.work(desk.image) if desk.image else None)
