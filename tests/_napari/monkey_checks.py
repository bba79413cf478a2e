"""What holds for a dock at rest, whatever was done to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from napari_sam2._napari.layers.declared import same_prompts
from napari_sam2._napari.workspace import Sequence
from napari_sam2.session import Session
from tests._napari.dock import Dock, pause, until

REFUSALS = re.compile(
    "is locked|it cannot be on frame|would begin on frame|there is no object|have no prompts|"
    "there are no prompts|has no mask on frame|cannot be merged|it can divide on a later one|"
    "nothing to split off|these are other images|the saved session|the image ends before|"
    "The image is not open"
)
"""What the dock may say instead of doing something."""

Shot = dict[str, Any]
Shots = dict[object, Shot]


class MonkeyError(AssertionError):
    """Something that does not hold.

    Parameters
    ----------
    kind : str
        What, the same for each time that it is found.
    text : str
        Where and how.
    """

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


# --- rest


def _sleeps(dock: Dock) -> bool:
    """Whether nothing waits for a turn of the event loop."""
    layers = dock.controller.space.layers
    follows = dock.controller.image._follow.waiting
    if layers is None:
        return not follows
    labels = layers._labels
    waits = (layers._turn.waiting, labels._turn.waiting, labels.search.is_on)
    return not follows and not any(waits)


def _is_at_rest(dock: Dock) -> bool:
    controller = dock.controller
    if controller.worker.paused and controller.tracking.running:
        controller.tracking.toggle_pause()
    return controller.space.is_at_rest and _sleeps(dock)


def settle(dock: Dock) -> None:
    """Wait until nothing goes on."""
    for _ in range(2):
        pause(1)
        try:
            until(lambda: _is_at_rest(dock))
        except AssertionError as error:
            raise MonkeyError("it never rests", dock.activity) from error


# --- what holds then


def sequences(dock: Dock) -> Mapping[object, Sequence]:
    """Return all positions."""
    return {place: each for place, each in dock.controller.sequences._sequences.items()}  # noqa: C416


def check(dock: Dock) -> None:
    """Raise `MonkeyError` where something does not hold."""
    _check_failures(dock)
    _check_ended(dock)
    for place, sequence in sequences(dock).items():
        _check_sequence(dock, sequence, f"at {place}")
    if dock.controller.space.layers is not None:
        _check_shown(dock)


def _check_failures(dock: Dock) -> None:
    failures, dock.failures[:] = list(dock.failures), []
    for each in failures:
        if not (isinstance(each, (ValueError, RuntimeError)) and REFUSALS.search(str(each))):
            raise MonkeyError(f"an error, {type(each).__name__}", str(each)) from each


def _check_ended(dock: Dock) -> None:
    controller = dock.controller
    left = {
        "a propagation": controller.tracking.running,
        "seeding": controller.seeds.running,
        "reserved ids": controller.space.reserved,
        "a renewal": controller.sequences.renewals.is_busy,
        "the activity": dock.activity != "idle",
    }
    for name, value in left.items():
        if value:
            raise MonkeyError(f"{name} goes on at rest")


def _check_sequence(dock: Dock, sequence: Sequence, where: str) -> None:
    if sequence.waiting or sequence.paintings or sequence.is_seeded:
        raise MonkeyError("prompts, paintings or seeds wait", f"{where}: {sequence}")
    session = sequence.desk.session
    shown = sequence.geometry.frames_of(dock.labels)
    wanted = np.zeros_like(shown) if session is None else np.asarray(session.labels)
    if not np.array_equal(shown, wanted):
        frames = np.flatnonzero((shown != wanted).any(axis=(1, 2))).tolist()
        shows = [np.unique(each[frames]).tolist() for each in (shown, wanted)]
        raise MonkeyError(
            "the layer shows other labels", f"{where}, frames {frames}, {shows[0]} for {shows[1]}"
        )
    if session is not None:
        _check_picture(sequence, session, where)


def _check_picture(sequence: Sequence, session: Session, where: str) -> None:
    picture, known = sequence.picture, sequence.desk._versions
    if not sequence.is_touched and not session.objects:
        return
    if not same_prompts(dict(sequence.declared), session.prompts):
        raise MonkeyError(
            "other prompts are declared", f"{where}, {_keys(sequence.declared, session.prompts)}"
        )
    if picture.objects != session.objects or not same_prompts(dict(picture.prompts), session.prompts):
        raise MonkeyError("the picture has other objects", f"{where}, {picture.objects} {session.objects}")
    if known is not None and (known.undo_label, known.redo_label) != (picture.undo_label, picture.redo_label):
        labels = known.undo_label, known.redo_label, picture.undo_label, picture.redo_label
        raise MonkeyError("the picture names other steps", f"{where}, {labels}")
    fresh, told = session.summary(), picture.summary
    same = np.array_equal(fresh.cells.area, told.cells.area) and np.array_equal(
        fresh.cells.status, told.cells.status
    )
    if not same or fresh.rows != told.rows:
        raise MonkeyError("the picture has another summary", f"{where}: {fresh.rows} {told.rows}")


def _check_shown(dock: Dock) -> None:
    sequence = dock.controller.space.sequence
    session = None if sequence is None else sequence.desk.session
    said, objects = ({}, ()) if session is None else (session.prompts, session.objects)
    if not same_prompts(dock.layers.prompts, said):
        raise MonkeyError("the layers show other prompts", str(_keys(dock.layers.prompts, said)))
    state = dock.state.objects
    if {row.obj for row in state.rows} != {*objects, state.active}:
        raise MonkeyError("the table has other objects", f"{[row.obj for row in state.rows]} {objects}")
    for row in state.rows:
        if session is not None and row.obj in objects:
            known = session.names.get(row.obj, ""), row.obj in session.locked_objects
            if (row.name, row.locked) != known:
                raise MonkeyError("the table says something else", f"{row} {known}")


def _keys(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> list[tuple[object, ...]]:
    """Return what differs between two sets of prompts."""
    return [(key, a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


# --- what is compared


def shots(dock: Dock) -> Shots:
    """Return all that was said and is known, at all positions of which anything was said."""
    taken: Shots = {}
    for place, sequence in sequences(dock).items():
        session = sequence.desk.session
        if session is not None and session.objects:
            taken[place] = _shot(session)
    return taken


def depths(dock: Dock) -> dict[object, int]:
    """Return how many steps can be taken back in the session of each position."""
    opened = {place: each.desk.session for place, each in sequences(dock).items()}
    return {place: len(each._state.history._done) for place, each in opened.items() if each is not None}


def _shot(session: Session) -> Shot:
    frames = range(session.volume.num_frames)
    entries = {(obj, frame): session.entry(obj, frame) for obj in session.objects for frame in frames}
    return {
        "objects": session.objects,
        "labels": np.array(session.labels),
        "prompts": session.prompts,
        "names": session.names,
        "parents": session.parents,
        "locked objects": session.locked_objects,
        "locked masks": {key for key, entry in entries.items() if entry is not None and entry.locked},
        "lives": {obj: session.life(obj) for obj in session.objects},
        "contrast": session.volume.contrast,
    }


def _is_same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


def differences(a: Shots, b: Shots) -> list[str]:
    """Tell what differs."""
    told = [f"something at {place} only on one side" for place in a.keys() ^ b.keys()]
    for place in a.keys() & b.keys():
        told += [f"{what} at {place}" for what in a[place] if not _is_same(a[place][what], b[place][what])]
    return told


def compare(kind: str, a: Shots, b: Shots) -> None:
    """Raise `MonkeyError` if two states differ."""
    if told := differences(a, b):
        raise MonkeyError(kind, "; ".join(told))


def check_locked(before: Shots, after: Shots) -> None:
    """See that objects that are locked before and after have the same pixels."""
    for place in before.keys() & after.keys():
        old, new = before[place], after[place]
        for obj in old["locked objects"] & new["locked objects"]:
            if not np.array_equal(old["labels"] == obj, new["labels"] == obj):
                raise MonkeyError("a locked object has changed", f"object {obj} at {place}")


# --- back and forth


def step(dock: Dock, *, back: bool) -> None:
    """Undo or redo."""
    progress = dock.view.progress
    (progress.undo_requested if back else progress.redo_requested).emit()
    settle(dock)


def _everywhere(dock: Dock, act: Callable[[], None]) -> None:
    """Do something at each position."""
    dims = dock.viewer.dims
    for at in range(int(dims.nsteps[0])) if dims.ndim == 4 else [0]:
        if dims.ndim == 4:
            dims.set_current_step(0, at)
        settle(dock)
        act()


def step_to_the_end(dock: Dock, *, back: bool) -> None:
    """Undo or redo all, at all positions, and check there."""

    def steps() -> None:
        for _ in range(250):
            picture = dock.controller.space.picture
            if not (picture.undo_label if back else picture.redo_label):
                break
            step(dock, back=back)
        check(dock)

    _everywhere(dock, steps)


def check_everywhere(dock: Dock) -> None:
    """Check at each position."""
    _everywhere(dock, lambda: check(dock))
