"""Sequences of actions: drawn, played, and made shorter while they still fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_sam2._napari.work.autosave import Autosave
from tests._napari.dock import Dock, frames, pause
from tests._napari.monkey_actions import ACTIONS, NO_STEP
from tests._napari.monkey_checks import (
    MonkeyError,
    check,
    check_everywhere,
    check_locked,
    compare,
    depths,
    differences,
    settle,
    shots,
    step,
    step_to_the_end,
)
from tests._napari.monkey_hands import THEN, Act, Monkey
from tests._napari.monkey_said import Promises
from tests.fakes import FakeModel

SETTINGS = ("four", "stack")
"""Over (t, z, y, x), and over (z, y, x)."""
_WAYS = (0.3, 0.22, 0.13, 0.15, 0.2)  # how often each of THEN


def draw(seed: int, count: int) -> tuple[Act, ...]:
    """Draw a sequence of actions."""
    rng = np.random.default_rng(seed)
    names, weights = list(ACTIONS), np.array([weight for weight, _ in ACTIONS.values()])
    chosen = rng.choice(names, count, p=weights / weights.sum())
    ways = rng.choice(THEN, count, p=_WAYS)
    draws = np.floor(1000 * rng.random((count, 3))) / 1000
    return tuple(
        Act(str(name), (float(a), float(b), float(c)), str(way))
        for name, (a, b, c), way in zip(chosen, draws, ways, strict=True)
    )


class SlowModel(FakeModel):
    """A network that takes a while to track, so that other things come between."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def step(self, *args: Any) -> Any:
        time.sleep(self.seconds)
        return super().step(*args)


def _images(setting: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the pixels of two images."""
    if setting == "stack":
        return frames(9), frames(9)[::-1].copy()
    movie = np.stack([frames(4)] * 3)
    return movie, movie[:, ::-1].copy()


def _open(setting: str, folder: Path, seconds: float) -> Monkey:
    viewer = ViewerModel()
    first, second = _images(setting)
    places = [(2, 4, 5), (2, 14, 12), (3, 8, 8)]
    seeds = [(at, *place) for at in (0, 1) for place in places] if first.ndim == 4 else places
    points: Any = viewer.add_points(seeds, name="nuclei")
    labels = ("t", "z", "y", "x")[-first.ndim :]
    viewer.add_image(second, name="other", axis_labels=labels, contrast_limits=(0, 255))
    viewer.add_image(first, name="cells", axis_labels=labels, contrast_limits=(0, 255))
    dock = Dock(viewer, SlowModel(seconds), Autosave(folder / "autosave", every=0))
    networks: dict[str, Any] = {}
    dock.controller.models._loader = lambda choice: networks.setdefault(
        choice.device, SlowModel(seconds).as_model()
    )
    dock.controller.files._may_replace = lambda _: True
    viewer.dims.set_current_step(tuple(range(first.ndim - 2)), (1, 2)[-(first.ndim - 2) :])
    dock.wait()
    return Monkey(dock, points, folder)


@contextmanager
def _errors_kept() -> Iterator[list[BaseException]]:
    """Collect errors that nobody takes, as those in answers to signals."""
    kept: list[BaseException] = []
    hook, sys.excepthook = sys.excepthook, lambda _kind, error, _trace: kept.append(error)
    try:
        yield kept
    finally:
        sys.excepthook = hook


def play(acts: Sequence[Act], setting: str, *, seconds: float = 0.001) -> MonkeyError | None:
    """Play a sequence in a dock of its own; return what does not hold.

    Parameters
    ----------
    acts : sequence of Act
        What is done.
    setting : str
        One of `SETTINGS`.
    seconds : float
        How long the network takes to track a frame.
    """
    with TemporaryDirectory() as folder, _errors_kept() as errors:
        monkey = _open(setting, Path(folder), seconds)
        try:
            promises = Promises(monkey)
            for number, act in enumerate(acts):
                _do(monkey, act, promises, number)
                _raise(errors)
            _finish(monkey, errors)
        except MonkeyError as failure:
            return failure
        finally:
            monkey.dock.end()
    return None


def _do(monkey: Monkey, act: Act, promises: Promises, number: int) -> None:
    try:
        if act.then == "undo" and act.name not in NO_STEP:
            _probe(monkey, act, promises)
        else:
            promises.note(act)
            ACTIONS[act.name][1](monkey, *act.draws)
            _go_on(monkey.dock, act.then, promises)
    except Exception as error:
        error.add_note(f"after action {number}, {act.name}")
        if isinstance(error, MonkeyError):
            raise
        raise MonkeyError(f"an exception, {type(error).__name__}", str(error)) from error


def _raise(errors: Sequence[BaseException]) -> None:
    for error in errors:
        raise MonkeyError(f"an exception, {type(error).__name__}", str(error)) from error


def _rest(dock: Dock, promises: Promises) -> None:
    """Wait, and see that all is well."""
    settle(dock)
    promises.check()
    check(dock)


def _go_on(dock: Dock, then: str, promises: Promises) -> None:
    if then in {"check", "undo"}:
        _rest(dock, promises)
    elif then != "now":
        pause(1 if then == "turn" else 15)


def _probe(monkey: Monkey, act: Act, promises: Promises) -> None:
    """Do something that one undo takes back, and one redo does again."""
    dock = monkey.dock
    _rest(dock, promises)
    before, depth = shots(dock), depths(dock)
    promises.note(act)
    ACTIONS[act.name][1](monkey, *act.draws)
    _rest(dock, promises)
    after = shots(dock)
    check_locked(before, after)
    if differences(before, after):
        step(dock, back=True)
        check(dock)
        compare(f"undo does not take back: {act.name}", before, shots(dock))
        step(dock, back=False)
        check(dock)
        compare(f"redo does not bring back: {act.name}", after, shots(dock))
    elif act.name != "propagate" and any(depths(dock).get(place, 0) > depth[place] for place in depth):
        raise MonkeyError(f"a step that changes nothing: {act.name}", dock.state.progress.undo_label)


def _finish(monkey: Monkey, errors: list[BaseException]) -> None:
    """Check all positions, go back to the beginning and forth again, save and load."""
    dock = monkey.dock
    settle(dock)
    check_everywhere(dock)
    if dock.controller.space.layers is None:
        return
    step_to_the_end(dock, back=False)
    before = shots(dock)
    step_to_the_end(dock, back=True)
    step_to_the_end(dock, back=False)
    compare("redoing all does not bring all back", before, shots(dock))
    if before:
        _load_again(monkey)
        compare("a saved session is another one", before, shots(dock))
    _raise(errors)


def _load_again(monkey: Monkey) -> None:
    dock = monkey.dock
    dock.view.files.save_requested.emit(str(monkey.folder / "last"))
    settle(dock)
    saved = sorted(monkey.folder.glob("last*.sam2.json"))
    dock.view.files.load_requested.emit(str(saved[0]))
    settle(dock)
    check(dock)


# --- shorter


def shrink(
    acts: Sequence[Act], fails: Callable[[Sequence[Act]], bool], *, seconds: float = 60.0
) -> tuple[Act, ...]:
    """Leave actions out while the sequence still fails."""
    end, left = time.monotonic() + seconds, tuple(acts)
    size = max(len(left) // 2, 1)
    while time.monotonic() < end:
        shorter = _without(left, size, fails, end)
        if shorter == left and size == 1:
            break
        left, size = shorter, max(size // 2, 1)
    return _calmer(left, fails, end)


def _without(
    acts: tuple[Act, ...], size: int, fails: Callable[[Sequence[Act]], bool], end: float
) -> tuple[Act, ...]:
    """Leave out so many actions at a time, the last ones first."""
    for start in range(len(acts) - size, -size, -size):
        shorter = acts[: max(start, 0)] + acts[max(start, 0) + size :]
        if time.monotonic() < end and len(shorter) < len(acts) and fails(shorter):
            acts = shorter
    return acts


def _calmer(acts: tuple[Act, ...], fails: Callable[[Sequence[Act]], bool], end: float) -> tuple[Act, ...]:
    """Wait after actions where the sequence still fails."""
    for number, act in enumerate(acts):
        calm = (*acts[:number], replace(act, then="check"), *acts[number + 1 :])
        if act.then != "check" and time.monotonic() < end and fails(calm):
            acts = calm
    return acts
