"""What is saved again and again is the session, bit for bit, and little is written each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam2.io import LabelGeometry
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from tests.fakes import SHAPE, FakeModel, absent, click, noisy_frames, plain_frames, seeing_model
from tests.test_session_history import Snapshot, assert_same, snapshot

COUNT = 6
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def shot(session: Session) -> Snapshot:
    return snapshot(session)


def parts(folder: Path) -> dict[str, int]:
    """Files of a journal and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}


def square(side: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[3 : 3 + side, 4 : 4 + side] = True
    return mask


STEPS = (
    lambda session: session.set_prompts(1, 2, click(10, 8)),
    lambda session: list(session.propagate()),
    lambda session: session.set_prompts(1, 4, click(3, 3)),
    lambda session: session.paint(300, 1, square(5)),
    lambda session: session.lock(1, 3),
    lambda session: [session.divide(1, 5), session.rename(1, "mother"), session.lock_object(300)],
    lambda session: session.set_prompts(1, 2, FramePrompts()),
    lambda session: list(session.propagate(direction="backward")),
    lambda session: session.set_prompts(1, 1, absent()),
    lambda session: session.undo(),
    lambda session: session.remove_object(301),
)


def test_a_session_comes_back_after_every_step(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    for step in STEPS:
        step(session)
        assert session.autosave(tmp_path / "auto", name="cells")
        loaded = Session.load(tmp_path / "auto", IMAGES, REAL)
        assert_same(shot(loaded), shot(session))
        assert not session.autosave(tmp_path / "auto", name="cells")


def test_every_change_is_another_edition_and_a_look_is_none(tmp_path: Path) -> None:
    session, editions = Session(IMAGES, model=REAL), [0]
    for step in STEPS:
        step(session)
        editions.append(session.edition)
        session.autosave(tmp_path / "auto")
        session.summary()
        assert session.edition == editions[-1]
    assert editions == sorted(set(editions))


def test_nothing_is_computed_when_it_comes_back(tmp_path: Path, fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 2, click(10, 8))
    list(session.propagate())
    session.autosave(tmp_path)
    fake_model.encoded.clear()
    loaded = Session.load(tmp_path, plain_frames(COUNT), fake_model.as_model())
    np.testing.assert_array_equal(loaded.labels, session.labels)
    assert loaded.summary().rows[0].worst == session.summary().rows[0].worst
    assert not fake_model.encoded
    assert list(loaded.propagate()) == []


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    list(session.propagate())
    session.autosave(tmp_path)
    before = parts(tmp_path)
    assert len(before) == COUNT
    session.paint(2, 4, square(4))
    session.autosave(tmp_path)
    fresh = parts(tmp_path).keys() - before.keys()
    assert sorted(name.split(".")[0] for name in fresh) == ["frame-4", "prompts-2-4"]
    assert len(parts(tmp_path)) == COUNT + 1


def test_other_names_of_the_axes_are_written(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(4))
    assert session.autosave(tmp_path)
    session.geometry = LabelGeometry("tyx", (2.0, 1.0, 1.0))
    assert session.autosave(tmp_path)
    assert not session.autosave(tmp_path)
    assert Session.load(tmp_path, IMAGES, REAL).geometry.axes == "tyx"


def test_what_was_there_before_the_first_time_is_written(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(4))
    session.save(tmp_path / "cells.sam2.json")
    loaded = Session.load(tmp_path / "cells.sam2.json", IMAGES, REAL)
    assert loaded.autosave(tmp_path / "one")
    assert loaded.autosave(tmp_path / "two")
    assert not loaded.autosave(tmp_path / "two")
    assert_same(shot(Session.load(tmp_path / "two", IMAGES, REAL)), shot(session))


def test_what_could_not_be_written_is_written_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(4))
    session.autosave(tmp_path)
    before = shot(session)
    session.paint(1, 3, square(4))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="No space"):
            session.autosave(tmp_path)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), before)
    assert session.autosave(tmp_path)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), shot(session))


def test_other_images_are_refused(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(4))
    session.autosave(tmp_path)
    with pytest.raises(ValueError, match="other images than the session's"):
        Session.load(tmp_path, IMAGES[::-1], REAL)
    with pytest.raises(ValueError, match="does not say where its images are"):
        Session.load(tmp_path, model=REAL)


@pytest.mark.parametrize("what", ["*", "frame-2.*", "journal.json"])
def test_what_somebody_has_deleted_is_written_again(tmp_path: Path, fake_model: FakeModel, what: str) -> None:
    session, folder = Session(plain_frames(COUNT), model=fake_model.as_model()), tmp_path / "own"
    for frame in (2, 4):
        session.paint(1, frame, square(5))
    assert session.autosave(folder)
    for path in folder.glob(what):
        path.unlink()
    if what == "*":
        folder.rmdir()
    assert session.autosave(folder)
    assert not session.autosave(folder)
    again = Session.load(folder, plain_frames(COUNT), fake_model.as_model())
    np.testing.assert_array_equal(again.labels, session.labels)


def test_a_state_is_written_whole_whatever_is_said_meanwhile(tmp_path: Path) -> None:
    session = tracked_for_steps()
    before = shot(session)
    steps = session.autosave_steps(tmp_path)
    next(steps)
    session.remove_object(1)
    assert [*steps] == [None] * (len(parts(tmp_path)) - 1)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), before)
    assert session.autosave(tmp_path)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), shot(session))


def test_what_was_begun_gives_way_to_another_call(tmp_path: Path) -> None:
    session = tracked_for_steps()
    begun = session.autosave_steps(tmp_path)
    next(begun)
    session.set_prompts(2, 1, click(16, 12))
    assert session.autosave(tmp_path)
    written = parts(tmp_path)
    assert [*begun] == []
    assert parts(tmp_path) == written
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), shot(session))


def test_what_was_given_up_is_written_next_time(tmp_path: Path) -> None:
    session = tracked_for_steps()
    begun = session.autosave_steps(tmp_path)
    next(begun)
    begun.close()
    assert parts(tmp_path) == {}
    assert session.autosave(tmp_path)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), shot(session))


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_step_back_while_old_files_are_deleted_is_written(tmp_path: Path, steps: int) -> None:
    """Undo brings back the very record that was written before the one whose writing was left."""
    session = Session(IMAGES, model=REAL)
    session.paint(1, 2, square(5))
    session.autosave(tmp_path)
    before = shot(session)
    session.paint(1, 2, square(8))
    writing = session.autosave_steps(tmp_path)
    for _ in zip(range(steps), writing, strict=False):
        pass
    session.undo()
    session.autosave(tmp_path)
    assert_same(shot(Session.load(tmp_path, IMAGES, REAL)), before)


def tracked_for_steps() -> Session:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    list(session.propagate())
    return session


def test_a_folder_that_is_left_is_not_written_for_any_more(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    for number in range(3):
        assert session.autosave(tmp_path / str(number))
    assert len(session._state.labels._entry_watchers) == 1
    session.set_prompts(1, 0, click(3, 3))
    session.autosave(tmp_path / "0")
    assert Session.load(tmp_path / "0", IMAGES, REAL).prompts == session.prompts
