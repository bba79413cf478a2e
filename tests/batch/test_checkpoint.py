"""What is kept of an unfinished sequence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.resumable import ResumableSession
from tests.fakes import click, noisy_frames, seeing_model

SAME = {"images or prompts": "these", "model": "this"}


def session() -> ResumableSession:
    made = ResumableSession(noisy_frames(6), model=seeing_model())
    made.set_prompts(1, 0, click(10, 10))
    made.set_prompts(2, 3, click(4, 14))
    return made


class _Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)


def test_memories_are_read_without_running_anything(tmp_path: Path) -> None:
    torch.save([_Runs(tmp_path / "made")], tmp_path / "passes-000000.pt")
    checkpoint = Checkpoint(tmp_path, SAME, 0)
    checkpoint._write_state([], "passes-000000.pt")
    with pytest.warns(UserWarning, match="damaged"):
        checkpoint.resume(session())
    assert not (tmp_path / "made").exists()


def test_a_session_goes_on_where_it_was(tmp_path: Path) -> None:
    first, whole, second = session(), session(), session()
    for _ in whole.go_on(None, "both"):
        pass
    kept = Checkpoint(tmp_path, SAME, 0)
    for count, result in enumerate(first.go_on(None, "both")):
        kept.note(first, result)
        if count == 3:
            break
    again = Checkpoint(tmp_path, SAME, 0)
    assert again.resume(second) > 0
    before = second.frames_encoded
    rest = list(second.go_on(None, "both"))
    assert 0 < len(rest) < len(list(session().go_on(None, "both")))
    assert second.frames_encoded - before <= 6 - 3 + 1
    np.testing.assert_array_equal(second.labels, whole.labels)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({**SAME, "model": "another"}, "anew: the model changed$"),
        ({"images or prompts": "others", "model": "another"}, "the images or prompts and the model changed"),
        ({**SAME, "more": ""}, "another version of this program"),
    ],
)
def test_what_was_made_from_other_things_is_not_taken_and_never_mixed(
    tmp_path: Path, other: dict[str, str], told: str
) -> None:
    """Not even when the run with the others is killed, and the first ones come back."""
    tracked = session()
    kept = Checkpoint(tmp_path, SAME, 0)
    for result in tracked.go_on(None, "both"):
        kept.note(tracked, result)
    with pytest.warns(UserWarning, match=told):
        assert Checkpoint(tmp_path, other, 0).resume(session()) == 0
    assert not list(tmp_path.iterdir())
    assert Checkpoint(tmp_path, SAME, 0).resume(session()) == 0


def test_one_file_of_memories_is_enough(tmp_path: Path) -> None:
    tracked = session()
    kept = Checkpoint(tmp_path, SAME, 0)
    for result in tracked.go_on(None, "both"):
        kept.note(tracked, result)
    assert len(list(tmp_path.glob("passes-*.pt"))) == 1
    parts = len(list(tmp_path.glob("entries-*.npz")))
    kept.finish(tracked)  # nothing has come since
    assert len(list(tmp_path.glob("entries-*.npz"))) == parts


def test_it_is_not_kept_too_often(tmp_path: Path) -> None:
    tracked = session()
    kept = Checkpoint(tmp_path / "state", SAME, 3600)
    for result in tracked.go_on(None, "both"):
        kept.note(tracked, result)
    assert not (tmp_path / "state").exists()
    kept.finish(tracked)
    assert len(list((tmp_path / "state").glob("entries-*.npz"))) == 1
