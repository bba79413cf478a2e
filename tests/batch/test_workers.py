"""How machines are shared among workers."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.batch import workers
from napari_sam2.batch.plan import ModelChoice
from napari_sam2.batch.workers import (
    THREADS,
    ModelHolder,
    Place,
    Start,
    Whereabouts,
    chosen_threads,
    device_of,
    places,
    threads_of,
)


@given(st.integers(1, 64), st.integers(1, 128))
def test_threads_add_up_to_the_cores(workers: int, cores: int) -> None:
    threads = [threads_of(Place(rank, workers), cores) for rank in range(workers)]
    assert min(threads) >= 1
    assert max(threads) - min(threads) <= 1
    assert sum(threads) == max(workers, cores)


def test_workers_are_numbered_on_each_machine() -> None:
    workers = [Whereabouts(f"w-{i}", "here") for i in (10, 2, 1)] + [Whereabouts("x", "there")]
    assert places(workers) == {"w-1": (0, 3), "w-2": (1, 3), "w-10": (2, 3), "x": (0, 1)}
    assert places([]) == {}


def test_each_worker_takes_the_next_gpu() -> None:
    assert [device_of("auto", rank, 2) for rank in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of("cuda", 1, 4) == "cuda:1"
    assert device_of("cuda:3", 1, 4) == "cuda:3"
    assert device_of("cpu", 1, 4) == "cpu"
    assert device_of("auto", 1, 0) == "auto"


@pytest.mark.parametrize(
    ("said", "threads"),
    [(None, None), ("", None), ("4", 4), (" 08 ", 8), ("4,2", 4), ("0", None), ("many", None)],
)
def test_threads_that_somebody_has_asked_for(
    monkeypatch: pytest.MonkeyPatch, said: str | None, threads: int | None
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    if said is not None:
        monkeypatch.setenv(THREADS, said)
    assert chosen_threads() == threads


@pytest.mark.parametrize(
    ("start", "environment", "threads"),
    [
        (Start(None), "1", 4),  # dask says 1 to its workers
        (Start(3), "1", 3),
        (None, "2", 2),
        (None, None, 7),
    ],
)
def test_threads_of_a_worker(
    monkeypatch: pytest.MonkeyPatch, start: Start | None, environment: str | None, threads: int
) -> None:
    told: list[int] = []
    monkeypatch.setattr(workers, "keep_memory", lambda: False)
    monkeypatch.setattr(workers, "cores", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.delenv(THREADS, raising=False)
    if environment is not None:
        monkeypatch.setenv(THREADS, environment)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        holder = ModelHolder(ModelChoice(device="cpu"), "", {"0": Place(0, 2)}, start)
        holder.setup(SimpleNamespace(name="0"))
        # Those that others have started can be ended by Ctrl-C where they are.
        assert (signal.getsignal(signal.SIGINT) is signal.SIG_IGN) == (start is not None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == [threads]
