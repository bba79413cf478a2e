"""Sessions saved by themselves into the user's cache folder, and what is found there after a crash."""

from __future__ import annotations

import shutil
import time
import uuid
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pooch

from napari_sam2 import io
from napari_sam2._napari.work.presence import signature, still_runs
from napari_sam2.steps import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from napari_sam2.session import Session

    Steps = Generator[None, None, bool]

_DAY = 24 * 60 * 60
_CLOSED, _ALIVE = "closed", "alive"
# A session of which nobody said for so long that it is worked on was left by a crash, in seconds; on the same
# machine it is known whether the program is still there, which may be busy with something else for longer.
_SILENCE = 60.0


def autosave_folder() -> Path:
    """Return where sessions are saved by themselves."""
    return Path(pooch.os_cache("napari-sam2")) / "autosave"


@dataclass(frozen=True)
class Recovery:
    """A session that was saved by itself.

    Attributes
    ----------
    folder : Path
        `Session.load` reads it.
    saved_at : float
        When, in seconds since 1970.
    name : str
        Of the image, as it was called in the viewer.
    location : str or None
        Where the images were opened.
    checksum : str
        Of the images; `Volume.checksum` of the same ones gives the same.
    objects : frozenset of int
        Ids of its objects.
    frames : int
        On how many frames there are labels.
    image : str
        Tells whether an image is the same, whatever its position along other axes.
    group : str
        The same for all positions of an image on which somebody worked in one go.
    index : mapping of int to int
        Positions along the axes that are neither frames, rows nor columns.
    closed : bool
        Whether the program that saved it ended as it should.
    """

    folder: Path
    saved_at: float
    name: str
    location: str | None
    checksum: str
    objects: frozenset[int]
    frames: int
    image: str = ""
    group: str = ""
    index: Mapping[int, int] = field(default_factory=dict)
    closed: bool = False


@dataclass(frozen=True)
class Work:
    """All positions of an image on which somebody worked in one go.

    Attributes
    ----------
    parts : tuple of Recovery
        At least one, the newest first.
    """

    parts: tuple[Recovery, ...]

    @property
    def closed(self) -> bool:
        """Whether the program ended as it should."""
        return all(part.closed for part in self.parts)

    @property
    def text(self) -> str:
        """What it is in a few words, as in "3 objects, 12 March, 14:03": an id is one object at any place."""
        objects = len(frozenset[int]().union(*(part.objects for part in self.parts)))
        when = time.strftime("%d %B, %H:%M", time.localtime(self.parts[0].saved_at))
        return f"{objects} object{'' if objects == 1 else 's'}, {when.lstrip('0')}"


@dataclass(eq=False)
class WorkGroup:
    """What is worked on in one go, at all positions of an image.

    Attributes
    ----------
    name : str
        `Recovery.group` of what is saved now. The thread that saves changes it when other work comes.
    image : str
        `Recovery.image` of it, once it is known.
    file : str
        Where the user has it, or had it before it was changed; empty if nowhere.
    """

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    image: str = ""
    file: str = ""


@dataclass
class _Saved:
    """Where a session is saved, with which others, and when it was last."""

    folder: Path
    group: str = ""
    at: float = -float("inf")


@dataclass(frozen=True)
class About:
    """What is noted of an image; see `Recovery`."""

    name: str = ""
    image: str = ""
    group: str = ""


NOTHING = About()


class Autosave:
    """Saves sessions by themselves. Call it on the thread that works with them.

    Parameters
    ----------
    root : Path, optional
        A folder for all sessions; by default in the user's cache folder.
    every : float
        Seconds from one saving to the next, at least.
    clock : callable
        Tells the time in seconds.
    """

    def __init__(
        self, root: Path | None = None, *, every: float = 20.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.root = autosave_folder() if root is None else root
        self.every = every
        self._clock = clock
        self._saved: WeakKeyDictionary[Session, _Saved] = WeakKeyDictionary()
        self._settled: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._own: set[Path] = set()
        self._read: dict[Path, tuple[int, Recovery]] = {}

    def save(self, session: Session, *, about: About = NOTHING, now: bool = False) -> bool:
        """Do what `save_steps` does in one go."""
        return result_of(self.save_steps(session, about=about, now=now))

    def save_steps(self, session: Session, *, about: About = NOTHING, now: bool = False) -> Steps:
        """Save a session if it has changed and was not saved a moment ago; cheap when there is nothing to do.

        Parameters
        ----------
        session : Session
            One without objects that was never saved is left alone, and so is one that `is_settled`.
        about : About
            What is noted of the image.
        now : bool
            Save it whenever the last time was.

        Returns
        -------
        bool
            Whether anything was written.

        Raises
        ------
        OSError
            If it cannot be written; what was saved before is still there, and the next try is made after the
            same time.
        """
        saved = self._saved.get(session)
        if saved is None:
            if not session.objects or self.is_settled(session, about.group):
                return False
            saved = self._saved[session] = _Saved(self.root / uuid.uuid4().hex, about.group)
            self._own.add(saved.folder)
        if not now and self._clock() - saved.at < self.every:
            return False
        remarks: dict[str, str | float | None] = {
            **asdict(about),
            "saved_at": time.time(),
            "objects": " ".join(map(str, session.objects)),
        }
        before, saved.at = saved.at, self._clock()
        with closing(session.autosave_steps(saved.folder, **remarks)) as steps:
            written = yield from self._while_kept(session, steps)
        saved.at = saved.at if written else before  # the next change need not wait
        return written

    def _while_kept(self, session: Session, steps: Steps) -> Steps:
        """Take steps until they end, or what was saved of the session is wanted no more; whether it was."""
        saved = self._saved[session]
        while self._saved.get(session) is saved:
            try:
                next(steps)
            except StopIteration as end:
                return bool(end.value)
            yield
        return False

    def is_settled(self, session: Session, group: str = "") -> bool:
        """Whether the user has all in files: the session as it is now, and what is worked on with it.

        What belongs together comes back together: where one position has changed, all of them are saved.
        """
        changed = any(group == each.group and other.objects for other, each in self._saved.items())
        return self._settled.get(session) == session.edition and not (group and changed)

    def forget(self, session: Session) -> None:
        """Delete what was saved of a session as it is now: the user has it in a file."""
        self._settled[session] = session.edition
        self.withdraw(session)

    def withdraw(self, session: Session) -> None:
        """Delete what was saved of a session in whose place another one was saved."""
        saved = self._saved.pop(session, None)
        if saved is not None:
            self._delete(saved.folder)

    def beat(self) -> None:
        """Note that sessions are worked on, so that nobody takes them for left; call it every few seconds."""
        for folder in tuple(self._own):
            if folder.is_dir():
                # The disk may be full: whoever saves tells of that.
                with suppress(OSError):
                    _mark_alive(folder / _ALIVE)

    def release(self, session: Session) -> None:
        """Note that a session is worked on no longer: what was saved of it is kept for a while."""
        saved = self._saved.pop(session, None)
        if saved is not None:
            self._own.discard(saved.folder)
            _mark_closed(saved.folder)

    def close(self) -> None:
        """Note that the program ended as it should: what it saved is kept for a while."""
        for folder in self._own:
            with suppress(OSError):  # one that cannot be marked is taken for left by a crash, and offered
                _mark_closed(folder)

    def work(self, image: str | None = None) -> tuple[Work, ...]:
        """List what is left of earlier work that has objects, however it ended, the newest first.

        Parameters
        ----------
        image : str, optional
            Of `About`: only work on this image. Where nothing was noted, the checksum of the frames counts.
        """
        left = [each for each in self._left() if image in {None, each.image or each.checksum}]
        return tuple(each for each in _together(left) if any(part.objects for part in each.parts))

    def _left(self) -> list[Recovery]:
        """List all that earlier programs left, however they ended, the newest first."""
        if not self.root.is_dir():
            return []
        left = [each for each in self.root.iterdir() if each not in self._own and not _is_alive(each)]
        readable = [each for folder in left if (each := self._recovery(folder)) is not None]
        return sorted(readable, key=lambda each: each.saved_at, reverse=True)

    def _recovery(self, folder: Path) -> Recovery | None:
        """Say what a folder holds; the document, which may be long, is read again when it was replaced."""
        try:
            written = (folder / io.JOURNAL).stat().st_mtime_ns
        except OSError:
            return None
        known = self._read.get(folder)
        if known is not None and known[0] == written:
            return replace(known[1], closed=(folder / _CLOSED).exists())
        found = read_recovery(folder)
        if found is not None:
            self._read[folder] = written, found
        return found

    def take_over(self, recovery: Recovery, session: Session) -> None:
        """Save a session that was recovered as one's own, and delete what it came from."""
        self.save(session, about=About(recovery.name, recovery.image, recovery.group), now=True)
        self.beat()  # before it can be found in its new place
        self._delete(recovery.folder)

    def discard(self, work: Work) -> None:
        """Delete what is left of earlier work."""
        for part in work.parts:
            self._delete(part.folder)

    def clean(self, *, days: float = 30.0, most: int = 30) -> None:
        """Delete what earlier programs left too long ago, or too much of; all of a work or nothing.

        Parameters
        ----------
        days : float
            How old it may become, at the position where it is newest.
        most : int
            How many works may stay, of any number of positions each; the newest do.
        """
        now = time.time()
        for index, work in enumerate(_together(self._left())):
            if index >= most or now - work.parts[0].saved_at > days * _DAY:
                self.discard(work)

    def _delete(self, folder: Path) -> None:
        self._own.discard(folder)
        self._read.pop(folder, None)
        # Another program may have it open: what cannot be deleted now is deleted by a later `clean`.
        shutil.rmtree(folder, ignore_errors=True)


def _together(recoveries: Iterable[Recovery]) -> tuple[Work, ...]:
    """Put together what belongs to one work, in the order in which each is met first.

    Two programs may have gone on with the same work, or one was stopped while it moved it: what there is
    twice of a position is another work.
    """
    works: dict[tuple[str, int], list[Recovery]] = {}
    count = Counter[tuple[str, frozenset[tuple[int, int]]]]()
    for each in recoveries:
        group = each.group or each.folder.name
        place = (group, frozenset(each.index.items()))
        works.setdefault((group, count[place]), []).append(each)
        count[place] += 1
    return tuple(Work(tuple(parts)) for parts in works.values())


def _mark_closed(folder: Path) -> None:
    if folder.is_dir():
        (folder / _ALIVE).unlink(missing_ok=True)  # first: there may be no room for the other mark
        (folder / _CLOSED).touch()


def _mark_alive(path: Path) -> None:
    if path.exists():
        path.touch()
    else:
        path.write_text(signature(), encoding="utf-8")


def _is_alive(folder: Path) -> bool:
    path = folder / _ALIVE
    try:
        runs = still_runs(path.read_text(encoding="utf-8"))
        return time.time() - path.stat().st_mtime < _SILENCE if runs is None else runs
    except (OSError, UnicodeDecodeError):
        return False


def _ids(said: str | int) -> frozenset[int]:
    """Read ids of objects; older versions told their number only, which is that of the highest mostly."""
    return frozenset(range(1, said + 1) if isinstance(said, int) else map(int, said.split()))


def read_recovery(folder: Path) -> Recovery | None:
    """Say what a folder holds; None if that is no session."""
    try:
        content = io.read_journal_document(folder)
        document: dict[str, Any] = content["document"]
        images, remarks = document["images"], document["remarks"]
        return Recovery(
            folder=folder,
            saved_at=float(remarks["saved_at"]),
            name=str(remarks["name"]),
            location=images["location"],
            checksum=images["checksum"],
            objects=_ids(remarks["objects"]),
            frames=sum(part.startswith("frame-") for part in content["parts"]),
            image=str(remarks.get("image", "")),
            group=str(remarks.get("group", "")),
            index={int(axis): int(at) for axis, at in images["options"]["index"].items()},
            closed=(folder / _CLOSED).exists(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
