"""What no sequence could be done with is told once, before a process is started or a folder made."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from distributed import LocalCluster

from napari_sam2._model.errors import CheckpointError
from napari_sam2.batch import running
from napari_sam2.batch.checking import check_workers
from napari_sam2.batch.plan import ModelChoice, Plan, SequencePlan
from napari_sam2.batch.running import run_plan
from napari_sam2.batch.workers import Whereabouts


def plan_of(folder: Path, choice: ModelChoice) -> Plan:
    return Plan((SequencePlan("a", folder / "a.tif"),), folder / "out", choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (ModelChoice("nano", "cuda:99"), r"'cuda:99' is not present.* device = \"auto\" .*--device auto"),
        (ModelChoice("nano", "gpu"), "'gpu' is no device"),
        (ModelChoice("nano", image_size=100), "image_size must be a positive multiple of 32; got 100"),
        (ModelChoice(image_size=0), "image_size must be a positive multiple of 32; got 0"),
        (ModelChoice("sam2.1-tiny", image_size=100), "image_size must be"),
    ],
)
def test_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: ModelChoice, message: str
) -> None:
    monkeypatch.setattr(running, "LocalCluster", None)
    with pytest.raises(ValueError, match=message):
        run_plan(plan_of(tmp_path, choice))  # before the first outcome is asked for
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LocalCluster", None)
    (tmp_path / "m.safetensors").write_text("none")
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        run_plan(plan_of(tmp_path, ModelChoice(str(tmp_path / "m.safetensors"))))


def test_a_device_that_workers_elsewhere_have_not(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ModelChoice("nano", "cuda:99"))
    options = {"dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as there,
        pytest.raises(ValueError, match=r"The worker at .*'cuda:99' is not present"),
    ):
        next(run_plan(plan, scheduler=there.scheduler_address))


def test_workers_that_leave_their_machine_idle() -> None:
    few = {f"tcp://there:{i}": Whereabouts(f"w-{i}", "there", threads=1, cores=16) for i in range(2)}
    with pytest.warns(
        UserWarning, match=r"at there use 2 of 16 cores: start them with OMP_NUM_THREADS=8, or"
    ):
        check_workers(few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_workers({name: worker._replace(threads=8) for name, worker in few.items()})
        check_workers({name: worker._replace(threads=0) for name, worker in few.items()})  # with a GPU
