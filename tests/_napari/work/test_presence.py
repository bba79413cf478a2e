"""It is known at once when a program has ended, and nothing is said of what is not known."""

from __future__ import annotations

import json
import subprocess
import sys

import psutil
import pytest

from napari_sam2._napari.work.presence import signature, still_runs


def test_a_program_that_runs_has_not_ended() -> None:
    assert still_runs(signature())


def test_a_program_that_was_killed_has_ended() -> None:
    script = (
        "from napari_sam2._napari.work.presence import signature\n"
        "import time; print(signature(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        signed = program.stdout.readline()
        assert still_runs(signed)
        program.kill()
        program.wait()
        assert still_runs(signed) is False


def test_a_program_of_which_only_the_number_is_left_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "status", lambda _process: psutil.STATUS_ZOMBIE)
    assert still_runs(signature()) is False


def test_a_number_that_was_given_to_a_later_program_is_told() -> None:
    mine = json.loads(signature())
    assert still_runs(json.dumps({**mine, "began": mine["began"] - 3600})) is False


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"machine": 4}', '{"process": "many"}'])
def test_of_what_cannot_be_read_nothing_is_known(text: str) -> None:
    assert still_runs(text) is None


def test_of_other_machines_and_forbidden_processes_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = json.loads(signature())
    assert still_runs(json.dumps({**mine, "machine": "elsewhere", "began": 0.0})) is None
    assert still_runs(json.dumps({name: mine[name] for name in ("machine", "process")})) is None

    def denied(_number: int) -> psutil.Process:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", denied)
    assert still_runs(json.dumps(mine)) is None
