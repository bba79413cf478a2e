"""It is known at once when a program has ended, and nothing is said of what is not known."""

from __future__ import annotations

import json
import subprocess
import sys

import psutil
import pytest

from napari_sam2._napari.presence import has_ended, signature


def test_a_program_that_runs_has_not_ended() -> None:
    assert not has_ended(signature())


def test_a_program_that_was_killed_has_ended() -> None:
    script = (
        "from napari_sam2._napari.presence import signature\n"
        "import time; print(signature(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        signed = program.stdout.readline()
        assert not has_ended(signed)
        program.kill()
        program.wait()
        assert has_ended(signed)


def test_a_number_that_was_given_to_a_later_program_is_told() -> None:
    mine = json.loads(signature())
    assert has_ended(json.dumps({**mine, "began": mine["began"] - 3600}))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"machine": 4}', '{"process": "many"}'])
def test_of_what_cannot_be_read_nothing_is_known(text: str) -> None:
    assert not has_ended(text)


def test_of_other_machines_and_forbidden_processes_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = json.loads(signature())
    assert not has_ended(json.dumps({**mine, "machine": "elsewhere", "began": 0.0}))
    assert not has_ended(json.dumps({name: mine[name] for name in ("machine", "process")}))

    def denied(_number: int) -> psutil.Process:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", denied)
    assert not has_ended(json.dumps(mine))
