"""``napari-sam2 batch`` from a shell: a worker that is killed, a file that vanishes, a disk that is full."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr

from napari_sam2._model.weights import save_model
from napari_sam2.io import open_image
from napari_sam2.io.claim import claimed
from tests.batch.tiny import drawn
from tests.fakes import SHAPE, noisy_frames, seeing_model
from tests.full_disk import SAID, resource

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="a disk cannot be filled from outside"
)

FRAMES = 16
Process = subprocess.Popen[str]
Report = dict[str, dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same images four times, that labels can be compared; those of c are a folder."""
    save_model(seeing_model(), tmp_path / "small.safetensors", half=False)
    images = noisy_frames(FRAMES)
    for name in "abd":
        np.save(tmp_path / f"{name}.npy", images)
    zarr.create_array(tmp_path / "c.zarr", data=images, chunks=(1, *SHAPE))
    for name in "abcd":
        np.save(tmp_path / f"{name}_seeds.npy", drawn())
    return tmp_path


def start(folder: Path, *images: str) -> Process:
    """Begin a batch of all images, or some, that keeps its state after every frame, on one worker."""
    images = images or ("a.npy", "b.npy", "c.zarr", "d.npy")
    listed = "".join(f'[[sequence]]\nimages = "{each}"\n' for each in images)
    network = '[model]\nname = "small.safetensors"\ndevice = "cpu"\n'
    (folder / "plan.toml").write_text(f"checkpoint_seconds = 0\n{network}{listed}")
    # Tests that run in the background do not hear Ctrl-C, and neither would what they start.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from napari_sam2 import cli; cli.main()"
    )
    line = [sys.executable, "-c", program, "batch", "plan.toml", "--workers", "1"]
    # A group of its own, as a shell makes it, of which Ctrl-C reaches every process.
    process = subprocess.Popen(
        line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    # Two threads for so small a network would wait for each other most of the time.
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    return process


def ended(process: Process, folder: Path) -> tuple[int, str, Report]:
    """Return the exit status, what was said, and the report."""
    out, err = process.communicate(timeout=200)
    with (folder / "results" / "report.csv").open(newline="") as file:
        return process.returncode, out + err, {row["name"]: row for row in csv.DictReader(file)}


def wait(process: Process, condition: Callable[[], object]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def kept(folder: Path, name: str, parts: int) -> bool:
    return (folder / "results" / f"{name}.unfinished" / f"entries-{parts:06d}.npz").exists()


def worker_of(process: Process) -> psutil.Process:
    """Find the worker among the processes of a batch."""
    (worker,) = (
        each
        for each in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(each.cmdline())
    )
    return worker


def statuses(report: Report) -> dict[str, str]:
    return {name: row["status"] for name, row in report.items()}


def labels(folder: Path, name: str) -> np.ndarray:
    return np.asarray(open_image(folder / "results" / f"{name}_labels.ome.zarr").array[...])


def test_a_batch_with_every_fault_and_the_next_one_that_does_what_is_missing(folder: Path) -> None:
    process = start(folder)
    wait(process, lambda: kept(folder, "b", 3))
    worker_of(process).kill()
    wait(process, lambda: kept(folder, "c", 3))
    (folder / "c.zarr").rename(folder / "elsewhere")
    wait(process, lambda: kept(folder, "d", 3))
    resource.prlimit(worker_of(process).pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    status, said, report = ended(process, folder)
    assert (status, statuses(report)) == (1, {"a": "done", "b": "done", "c": "failed", "d": "failed"})
    assert int(report["b"]["resumed"]) >= 2 * 2
    assert "c.zarr has vanished" in report["c"]["error"]
    assert SAID in report["d"]["error"]
    assert all(f"{name}: {report[name]['error']}" in said for name in "cd")
    assert "2 done, 2 failed" in said
    assert "Traceback" not in said
    assert not any((folder / "results" / f"{name}_labels.ome.zarr").exists() for name in "cd")
    # The folder is back, and there is room.
    (folder / "elsewhere").rename(folder / "c.zarr")
    status, said, report = ended(start(folder), folder)
    assert (status, statuses(report)) == (0, {"a": "skipped", "b": "skipped", "c": "done", "d": "done"})
    assert all(int(report[name]["resumed"]) >= 2 * 2 for name in "cd")
    assert labels(folder, "a")[-1].any()
    for name in "bcd":
        np.testing.assert_array_equal(labels(folder, name), labels(folder, "a"))


def test_ctrl_c_ends_all_processes_and_keeps_what_is_done(folder: Path) -> None:
    process = start(folder)
    wait(process, lambda: kept(folder, "b", 3))
    worker = worker_of(process)
    os.killpg(process.pid, signal.SIGINT)
    status, said, report = ended(process, folder)
    assert status == 130
    assert statuses(report) == {"a": "done", **dict.fromkeys("bcd", "waiting")}
    assert "Stopped by Ctrl-C; the same command goes on. 1 done" in said
    for noise in ("Traceback", "leaked", "ERROR", "Warning"):
        assert noise not in said
    assert not worker.is_running()
    with claimed(folder / "results" / "b.unfinished"):
        pass
    status, said, report = ended(start(folder), folder)
    assert (status, statuses(report)) == (0, {"a": "skipped", **dict.fromkeys("bcd", "done")})
    assert int(report["b"]["resumed"]) >= 2 * 3
    assert int(report["a"]["encoded"]) == FRAMES
    np.testing.assert_array_equal(labels(folder, "b"), labels(folder, "a"))


def is_read(pipe: Path, writers: list[int]) -> bool:
    """Whether somebody waits for what a pipe holds; its other end is kept then, or the wait would end."""
    with suppress(OSError):  # nobody reads
        writers.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(writers)


def test_a_second_ctrl_c_waits_for_no_frame(folder: Path) -> None:
    chunk = folder / "c.zarr" / "c" / "8" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)  # whoever reads it waits for ever
    process = start(folder, "c.zarr")
    wait(process, lambda: kept(folder, "c", 6))
    writers: list[int] = []
    wait(process, lambda: is_read(chunk, writers))
    worker = worker_of(process)
    os.killpg(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert time.monotonic() - begin < 4  # a little over one where nothing else is at work
    assert process.returncode == 130
    assert "Stopped by Ctrl-C; the same command goes on." in out
    for noise in ("Traceback", "leaked", "ERROR", "Warning"):
        assert noise not in err
    assert not worker.is_running()
    assert kept(folder, "c", 6)
    os.close(writers[0])
    with claimed(folder / "results" / "c.unfinished"):
        pass


def test_ctrl_c_while_processes_start(folder: Path) -> None:
    process = start(folder)
    wait(process, lambda: len(psutil.Process(process.pid).children()) >= 2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "Nothing was complete yet" in out
    for noise in ("Traceback", "leaked", "ERROR", "Warning"):
        assert noise not in err
