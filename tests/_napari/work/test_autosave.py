"""Sessions are saved by themselves, now and then, and found again by whoever starts next."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from napari_sam2._napari.work.autosave import About, Autosave, Recovery, autosave_folder, read_recovery
from napari_sam2.session import Session
from tests.fakes import SHAPE, FakeModel, plain_frames

COUNT = 4


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def painted(*frames: int) -> Session:
    session = Session(plain_frames(COUNT), model=FakeModel().as_model())
    for frame in frames:
        session.paint(1, frame, np.ones(SHAPE, bool))
    return session


def painted_at(position: int, obj: int = 1) -> Session:
    """Paint at a position of another axis."""
    stacks = np.stack([plain_frames(COUNT)] * 4)
    session = Session(stacks, model=FakeModel().as_model(), axis=1, index={0: position})
    session.paint(obj, 0, np.ones(SHAPE, bool))
    return session


def crashed(autosave: Autosave) -> tuple[Recovery, ...]:
    """What earlier programs left that did not end as they should."""
    return tuple(part for work in autosave.work() for part in work.parts if not part.closed)


def test_a_crash_loses_nothing(tmp_path: Path) -> None:
    session = painted(0, 2)
    assert Autosave(tmp_path / "auto").save(session, about=About("embryo"))
    (found,) = crashed(Autosave(tmp_path / "auto"))
    assert (found.name, found.objects, found.frames) == ("embryo", frozenset({1}), 2)
    assert found.checksum == session.volume.checksum()
    assert abs(found.saved_at - time.time()) < 60
    loaded = Session.load(found.folder, plain_frames(COUNT), session.model)
    np.testing.assert_array_equal(loaded.labels, session.labels)


def test_a_beat_bears_that_a_session_is_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    autosave, session = Autosave(tmp_path), painted(0)
    autosave.save(session)
    is_dir = Path.is_dir

    def late(path: Path) -> bool:
        there = is_dir(path)
        autosave.forget(session)  # as another window does that has brought it back
        return there

    monkeypatch.setattr(Path, "is_dir", late)
    autosave.beat()
    assert not list(tmp_path.iterdir())


def test_what_was_closed_properly_is_kept_and_not_offered(tmp_path: Path) -> None:
    autosave, session = Autosave(tmp_path), painted(0)
    autosave.save(session)
    autosave.close()
    later = Autosave(tmp_path)
    assert crashed(later) == ()
    (folder,) = tmp_path.iterdir()
    assert [part.folder for work in later.work() for part in work.parts] == [folder]
    loaded = Session.load(folder, plain_frames(COUNT), session.model)
    np.testing.assert_array_equal(loaded.labels, session.labels)
    later.clean(most=0)
    assert not list(tmp_path.iterdir())


def test_only_sessions_of_these_images_are_found(tmp_path: Path) -> None:
    Autosave(tmp_path).save(painted(0), about=About("one"))
    later = Autosave(tmp_path)
    assert later.work("other") == ()
    (work,) = later.work(painted().volume.checksum())
    assert [part.name for part in work.parts] == ["one"]


def test_saving_rests_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    autosave = Autosave(tmp_path, every=20, clock=clock)
    session = painted(0)
    assert autosave.save(session)
    session.paint(1, 1, np.ones(SHAPE, bool))
    clock.now += 19
    assert not autosave.save(session)
    clock.now += 1
    assert autosave.save(session)
    clock.now += 50
    assert not autosave.save(session), "nothing has changed"
    session.undo()
    assert autosave.save(session)
    session.redo()
    assert not autosave.save(session)
    assert autosave.save(session, now=True)


def test_a_session_in_which_nothing_was_done_is_not_saved(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    session = painted(0)
    session.undo()
    assert not autosave.save(session)
    assert not any(tmp_path.iterdir())


def test_ones_own_sessions_are_no_recoveries(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    one, two = painted(0), painted(1)
    autosave.save(one)
    autosave.save(two)
    assert crashed(autosave) == ()
    assert len(crashed(Autosave(tmp_path))) == 2
    autosave.forget(one)
    assert len(crashed(Autosave(tmp_path))) == 1
    autosave.forget(one)
    one.paint(1, 3, np.ones(SHAPE, bool))
    assert autosave.save(one)
    assert len(crashed(Autosave(tmp_path))) == 2


def test_a_recovered_session_goes_on_as_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Autosave(tmp_path).save(painted(0), about=About("embryo"))
    autosave = Autosave(tmp_path)
    (found,) = crashed(autosave)
    loaded = Session.load(found.folder, plain_frames(COUNT), FakeModel().as_model())
    autosave.take_over(found, loaded)
    assert crashed(autosave) == ()
    assert crashed(Autosave(tmp_path)) == (), "it is worked on"
    monkeypatch.setattr("napari_sam2._napari.work.autosave.still_runs", lambda _text: False)
    (again,) = crashed(Autosave(tmp_path))
    assert again.folder != found.folder
    assert again.name == "embryo"
    (left,) = Autosave(tmp_path).work()
    autosave.discard(left)
    assert crashed(Autosave(tmp_path)) == ()


def test_all_positions_of_an_image_are_one_piece_of_work(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    for t in (0, 1, 2):
        autosave.save(painted_at(t), about=About("movie", image="same", group="one" if t else "two"))
    newest, other = Autosave(tmp_path).work("same")
    assert [len(newest.parts), len(other.parts)] == [2, 1]
    assert newest.text.startswith("1 object, "), "an id is one object at all positions"
    assert not newest.closed
    autosave.discard(newest)
    assert Autosave(tmp_path).work("same") == (other,)
    assert Autosave(tmp_path).work(painted().volume.checksum()) == ()


def test_objects_of_all_positions_are_counted_by_id(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    for t, obj in ((0, 1), (1, 1), (2, 7)):
        autosave.save(painted_at(t, obj), about=About("movie", group="one"))
    (work,) = Autosave(tmp_path).work()
    assert work.text.startswith("2 objects, ")


def test_of_older_savings_the_number_of_objects_is_known(tmp_path: Path) -> None:
    Autosave(tmp_path).save(painted(0))
    (path,) = tmp_path.glob("*/journal.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["document"]["remarks"]["objects"] = 3
    path.write_text(json.dumps(content), encoding="utf-8")
    (work,) = Autosave(tmp_path).work()
    assert work.text.startswith("3 objects, ")


def test_what_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, session = Autosave(tmp_path, every=0), painted(0)
    writer.save(session)
    reader, read = Autosave(tmp_path), list[Path]()

    def noted(folder: Path) -> Recovery | None:
        read.append(folder)
        return read_recovery(folder)

    monkeypatch.setattr("napari_sam2._napari.work.autosave.read_recovery", noted)
    assert [work.closed for _ in range(2) for work in reader.work()] == [False, False]
    assert len(read) == 1
    writer.close()
    assert [work.closed for work in reader.work()] == [True]
    session.paint(2, 1, np.ones(SHAPE, bool))
    writer.save(session)
    (work,) = reader.work()
    assert work.text.startswith("2 objects, ")
    assert len(read) == 2


def test_what_the_user_has_in_a_file_is_saved_again_when_it_changes(tmp_path: Path) -> None:
    autosave, session = Autosave(tmp_path, every=0), painted(0)
    autosave.save(session)
    autosave.forget(session)
    assert not autosave.save(session, now=True)
    assert not list(tmp_path.iterdir())
    session.paint(1, 2, np.ones(SHAPE, bool))
    assert autosave.save(session)
    (found,) = crashed(Autosave(tmp_path))
    assert found.frames == 2, "all of it, not only what has changed since"


def test_work_is_offered_as_soon_as_its_program_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    autosave = Autosave(tmp_path)
    autosave.save(painted(0))
    autosave.beat()
    autosave.beat()
    assert crashed(Autosave(tmp_path)) == (), "it is still worked on"
    (alive,) = tmp_path.glob("*/alive")
    os.utime(alive, (0, 0))
    assert crashed(Autosave(tmp_path)) == (), "it is busy with something else"
    monkeypatch.setattr("napari_sam2._napari.work.autosave.still_runs", lambda _text: False)
    assert len(crashed(Autosave(tmp_path))) == 1


def test_work_of_another_machine_is_offered_after_a_silence(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    autosave.save(painted(0))
    autosave.beat()
    (alive,) = tmp_path.glob("*/alive")
    alive.write_text("{}", encoding="utf-8")
    assert crashed(Autosave(tmp_path)) == ()
    os.utime(alive, (time.time() - 40,) * 2)
    assert crashed(Autosave(tmp_path)) == (), "it may be loading a large model"
    os.utime(alive, (time.time() - 70,) * 2)
    assert len(crashed(Autosave(tmp_path))) == 1


def test_a_session_that_is_left_is_kept_and_found(tmp_path: Path) -> None:
    autosave, session = Autosave(tmp_path), painted(0)
    autosave.save(session)
    assert autosave.work() == ()
    autosave.release(session)
    (work,) = autosave.work()
    assert work.closed
    autosave.release(session)
    assert autosave.save(session), "worked on again, it is another piece of work"
    assert len(Autosave(tmp_path).work()) == 2


def test_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for days in (40, 3, 2, 1):
        monkeypatch.setattr(time, "time", lambda days=days: now - days * 24 * 60 * 60)
        Autosave(tmp_path).save(painted(0), about=About(str(days)))
    monkeypatch.undo()
    autosave = Autosave(tmp_path)
    assert [each.name for each in crashed(autosave)] == ["1", "2", "3", "40"]
    autosave.clean()
    assert [each.name for each in crashed(autosave)] == ["1", "2", "3"]
    autosave.clean(most=2)
    assert [each.name for each in crashed(autosave)] == ["1", "2"]


def test_a_work_of_many_positions_is_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for t, days, group in ((0, 3, "older"), (0, 40, "movie"), (1, 1, "movie"), (2, 0.5, "movie")):
        monkeypatch.setattr(time, "time", lambda days=days: now - days * 24 * 60 * 60)
        Autosave(tmp_path).save(painted_at(t), about=About(group, group=group))
    monkeypatch.undo()
    autosave = Autosave(tmp_path)
    autosave.clean()
    assert [len(work.parts) for work in autosave.work()] == [3, 1]
    autosave.clean(most=1)
    assert [len(work.parts) for work in autosave.work()] == [3]
    autosave.clean(days=0.1)
    assert autosave.work() == ()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.json").write_text('{"format": "napari-sam2 journal", "version": 1}')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "journal.json").write_text(
        '{"format": "napari-sam2 journal", "version": 1, "parts": [1], "document": {"images": '
        '{"location": null, "checksum": ""}, "remarks": {"saved_at": 1, "name": "", "objects": 1}}}'
    )
    (tmp_path / "file").write_text("")
    autosave = Autosave(tmp_path)
    assert crashed(autosave) == ()
    assert read_recovery(tmp_path / "broken") is None
    autosave.clean(days=0, most=0)
    assert len(list(tmp_path.iterdir())) == 4
    assert Autosave(tmp_path / "missing").work() == ()


def test_sessions_go_to_the_cache_folder() -> None:
    assert autosave_folder().parts[-2:] == ("napari-sam2", "autosave")


def test_a_disk_that_is_full_stops_no_beat_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    autosave = Autosave(tmp_path, every=0)
    for frame in (0, 1):
        autosave.save(painted(frame))
    refused = list[Path]()

    def refuse(path: Path, *_args: object, **_options: object) -> int:
        refused.append(path)
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)
        patch.setattr(Path, "write_text", refuse)
        autosave.beat()
        autosave.close()
    assert len({path.parent for path in refused}) == 2
    assert len(Autosave(tmp_path).work()) == 2


def test_what_there_is_twice_of_a_position_is_another_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = About("movie", group="same")
    now = iter(range(1, 100))
    for _ in range(2):  # two programs go on with the same
        monkeypatch.setattr(time, "time", lambda: float(next(now)))
        Autosave(tmp_path, every=0).save(painted(1), about=about)
    assert [[part.saved_at for part in work.parts] for work in Autosave(tmp_path).work()] == [[2.0], [1.0]]


def test_what_is_wanted_no_more_is_not_written_on(tmp_path: Path) -> None:
    autosave, session = Autosave(tmp_path), painted(0, 1, 2)
    steps = autosave.save_steps(session, now=True)
    next(steps)
    autosave.withdraw(session)
    assert [*steps] == []
    assert not list(tmp_path.rglob("*.npz"))
