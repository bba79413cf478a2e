"""What a report tells of sequences that were complete before, and of those that a run has not come to."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from napari_sam2._model.sam2 import Sam2
from napari_sam2.batch.identity import Marker
from napari_sam2.batch.outcome import Outcome, one_line, waiting
from napari_sam2.batch.plan import Options, Plan
from napari_sam2.batch.sequence import Task, run_sequence
from tests.batch.tiny import task_of, write_sequence
from tests.fakes import seeing_model

model = cache(seeing_model)


def no_model() -> Sam2:
    raise AssertionError("the network was asked for")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return task_of(write_sequence(tmp_path))


def stopped_after(task: Task, results: int) -> Outcome:
    asked = iter(range(1, 99))
    return run_sequence(task, model, is_over=lambda: next(asked) >= results)


def test_what_was_complete_is_told_of_as_when_it_was_made(task: Task) -> None:
    stopped_after(task, 3)
    made = run_sequence(task, model, worker="tcp://here")
    assert (made.status, made.resumed > 0, made.encoded > 0) == ("done", True, True)
    assert made.seconds > 0
    again = run_sequence(task, no_model, worker="tcp://there")
    assert again == replace(made, status="skipped")


def test_notes_of_labels_stay_with_them(task: Task) -> None:
    run_sequence(task, model)
    changed = replace(task, weights="others")
    made = run_sequence(changed, model)
    assert made.notes == "its labels are made anew: the model changed"
    assert run_sequence(changed, no_model).notes == made.notes


def test_a_marker_of_an_earlier_version(task: Task) -> None:
    run_sequence(task, model)
    known = {"made_from", "labels", "frames", "objects", "run"}
    said = json.loads(task.marker.read_text())
    task.marker.write_text(json.dumps({name: said[name] for name in known}))
    again = run_sequence(task, no_model)
    assert (again.status, again.frames, again.objects, again.worker) == ("skipped", 8, 2, "")


def test_a_run_that_is_stopped_keeps_what_is_done(task: Task) -> None:
    task = replace(task, options=Options(checkpoint_seconds=1000))
    outcome = stopped_after(task, 3)
    assert (outcome.status, outcome.labels) == ("failed", "")
    assert "the same command goes on" in outcome.error
    assert not task.labels.exists()
    done = run_sequence(task, model)
    assert (done.status, done.resumed) == ("done", 2 * 2)  # the first frame is prompted


def test_sequences_that_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(tuple(write_sequence(tmp_path, name) for name in "abc"), tmp_path / "out")
    plan.output.mkdir()
    labels = [plan.result(name) for name in "ab"]
    for each in labels:
        marker = Marker({}, "", 8, 2, 4, "run", seconds=1.5, encoded=7, resumed=3, worker="me", notes="slow")
        marker.write(plan.output / f"{each.name[0]}.done.json")
    labels[0].mkdir()
    told = waiting(plan)
    assert list(told) == ["a", "b", "c"]
    assert told["a"] == Outcome("a", "waiting", 1.5, 8, 2, 4, 7, 3, "me", str(labels[0]), notes="slow")
    assert told["b"] == Outcome("b", "waiting")  # its labels are gone
    assert told["c"] == Outcome("c", "waiting")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_what_to_do(number: int) -> None:
    said = one_line(OSError(number, "no room", "a.zarr"))
    assert said.startswith("the disk is full: make room on it, and the same command goes on.")
    assert "no room: 'a.zarr'" in said
    assert one_line(OSError(errno.EIO, "broken")) == f"OSError: [Errno {errno.EIO}] broken"
