"""What the inference thread does so that sessions are saved by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from napari_sam2._napari.work.autosave import About, Autosave
    from napari_sam2._napari.work.desk import Desk

    Told = Callable[[], About]


def save(autosave: Autosave, desk: Desk, about: Told, *, now: bool = False) -> Generator[None, None, None]:
    """Save the session of a desk in steps, if it has changed and was not saved a moment ago, or now."""
    session = desk.session
    if session is None:
        return
    if (yield from autosave.save_steps(session, about=replace(about(), image=desk.image), now=now)):
        autosave.beat()  # or another window takes it for left until the next beat


def save_open_one(autosave: Autosave, desk: Desk, about: Told) -> Generator[None, None, None]:
    """Save the session that took the place of others, which are not kept any more."""
    if desk.others:
        yield from save(autosave, desk, about, now=True)
    for session in desk.others:
        autosave.withdraw(session)


def save_all(autosave: Autosave, desks: Collection[Desk], about: Told) -> None:
    """Save all that can be saved, those first that bring others along; then raise what kept one from it."""
    problem: OSError | None = None
    for desk in sorted(desks, key=lambda each: each.session is None or autosave.is_settled(each.session)):
        try:
            for _ in save(autosave, desk, about, now=True):
                pass
        except OSError as error:
            problem = error
    if problem is not None:
        raise problem


def keep(autosave: Autosave, desks: Collection[Desk], about: Told) -> None:
    """Save all sessions for the last time; what was saved before is kept of one that cannot be saved now."""
    try:
        save_all(autosave, desks, about)
    finally:
        _release(autosave, desks)


def leave(autosave: Autosave, desks: Collection[Desk], about: Told) -> None:
    """Save all sessions for the last time; none is left if one cannot be saved."""
    save_all(autosave, desks, about)
    _release(autosave, desks)


def _release(autosave: Autosave, desks: Collection[Desk]) -> None:
    for desk in desks:
        if desk.session is not None:
            autosave.release(desk.session)
