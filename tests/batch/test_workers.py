"""How machines are shared among workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.batch.workers import Place, Whereabouts, device_of, places, threads_of


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
