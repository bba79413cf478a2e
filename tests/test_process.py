"""Memory that a process keeps and returns; in another one, since it is settled once and for all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from napari_sam2 import process

SCRIPT = """
import json
from pathlib import Path

import numpy as np

from napari_sam2.process import keep_memory, return_memory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


kept = keep_memory()
blocks = [np.ones(2**18, np.uint8) for _ in range(400)]
full = resident()
blocks[::2] = [None] * 200
freed = resident()
print(json.dumps([kept, full - freed, return_memory(), freed - resident()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked for it")
def test_what_is_free_between_what_is_held_is_kept_until_it_is_returned() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, by_itself, returned, megabytes = json.loads(ran.stdout)
    assert kept
    assert returned
    assert by_itself < 5
    assert megabytes == pytest.approx(50, abs=10)


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not process.keep_memory()
    assert not process.return_memory()
