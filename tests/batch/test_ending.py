"""How workers are ended that take long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from distributed import LocalCluster, Status

from napari_sam2.batch import ending
from napari_sam2.batch.ending import Ending

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such signals")

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
PLAIN = "import time; print(flush=True); time.sleep(60)"


class Nanny:
    """Looks after a process, and starts no other one once it is told not to."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it is up
        self.process.stdout.close()
        self.status = Status.running

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process.poll() is None else None

    def close_gracefully(self) -> None:
        self.status = Status.closing_gracefully


@contextmanager
def cluster_of(*programs: str) -> Iterator[tuple[LocalCluster, list[Nanny]]]:
    nannies = [Nanny(each) for each in programs]
    try:
        yield cast("LocalCluster", SimpleNamespace(workers=dict(enumerate(nannies)))), nannies
    finally:
        for each in nannies:
            each.process.kill()
            each.process.wait()


def busy(*, done: bool = False) -> Any:
    return SimpleNamespace(done=lambda: done)


def test_a_second_ctrl_c_ends_workers_and_those_that_are_deaf_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "GRACE", 0.3)
    before = signal.getsignal(signal.SIGINT)
    with cluster_of(PLAIN, DEAF) as (cluster, (plain, deaf)), Ending() as end:
        end.cluster = cluster
        end.begin()
        end.begin()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        end.wait([busy()])  # not at all
        assert plain.process.wait(timeout=20) == -signal.SIGTERM
        assert deaf.process.wait(timeout=20) == -signal.SIGKILL
        assert {plain.status, deaf.status} == {Status.closing_gracefully}
    assert signal.getsignal(signal.SIGINT) is before


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "PATIENCE", 0.1)
    with cluster_of(PLAIN) as (cluster, (plain,)), Ending() as end:
        end.cluster = cluster
        end.wait([busy(done=True)])
        assert plain.pid is not None
        end.wait([busy(done=True), busy()])
        assert plain.process.wait(timeout=20) == -signal.SIGTERM


def test_workers_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "PATIENCE", 0.1)
    before = signal.getsignal(signal.SIGINT)
    with Ending() as end:
        end.begin()
        assert signal.getsignal(signal.SIGINT) is before
        end.wait([busy()])
