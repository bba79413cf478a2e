"""Sessions on disks that are full, and in processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_sam2.session import Session
from tests.fakes import click, noisy_frames, seeing_model
from tests.full_disk import SAID, full_disk
from tests.test_session_history import assert_same, snapshot

COUNT = 24


@pytest.mark.parametrize("room", [0, 600])
@pytest.mark.parametrize("how", ["save", "autosave"])
def test_a_full_disk_leaves_what_was_saved_before(tmp_path: Path, how: str, room: int) -> None:
    images, model = noisy_frames(6), seeing_model()
    path = tmp_path / ("auto" if how == "autosave" else "cells.sam2.json")
    session = Session(images, model=model)
    session.set_prompts(1, 2, click(10, 8))
    getattr(session, how)(path)
    before = snapshot(session)
    list(session.propagate())
    session.set_prompts(2, 4, click(3, 3))
    with full_disk(room), pytest.raises(OSError, match=SAID):
        getattr(session, how)(path)
    assert_same(snapshot(Session.load(path, images, model)), before)
    getattr(session, how)(path)
    assert_same(snapshot(Session.load(path, images, model)), snapshot(session))
    assert not list(tmp_path.glob(".*"))


_PROPAGATION = """
import sys
from napari_sam2.session import Session
from tests.fakes import click, noisy_frames, seeing_model

session = Session(noisy_frames(int(sys.argv[2])), model=seeing_model())
session.set_prompts(1, 0, click(10, 8))
for _ in session.propagate():
    session.autosave(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")
def test_kill_9_in_the_middle_of_autosaves(tmp_path: Path) -> None:
    """What was saved last is whole, and a propagation from there ends as one that nothing disturbed."""
    images, model, folder = noisy_frames(COUNT), seeing_model(), tmp_path / "auto"
    process = subprocess.Popen([sys.executable, "-c", _PROPAGATION, str(folder), str(COUNT)])
    try:
        while len(list(folder.glob("frame-*.npz"))) < 5 and process.poll() is None:
            time.sleep(0.005)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    session = Session.load(folder, images, model)
    done = [bool(each.any()) for each in session.labels]
    assert done[:4] == [True] * 4
    assert not all(done)
    whole = Session(images, model=model)
    whole.set_prompts(1, 0, click(10, 8))
    for each in (session, whole):
        list(each.propagate())
    assert_same(snapshot(session), snapshot(whole))
    session.autosave(folder)
    assert_same(snapshot(Session.load(folder, images, model)), snapshot(whole))
