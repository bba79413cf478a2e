"""Plans on clusters: one in this process, and one of processes of which a worker is killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from distributed import Client, KilledWorker, LocalCluster

from napari_sam2 import batch
from napari_sam2._model.errors import CheckpointError
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.batch import running, workers
from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.identity import model_digest
from napari_sam2.batch.plan import ModelChoice, Options, Plan, SequencePlan
from napari_sam2.batch.resumable import ResumableSession
from napari_sam2.batch.running import chosen_model, run_plan, suggested_workers
from napari_sam2.batch.workers import THREADS, ModelHolder, Place, Start
from napari_sam2.io import open_image
from napari_sam2.io.claim import claimed
from napari_sam2.process import cores
from tests.batch.tiny import write_sequence
from tests.fakes import seeing_model


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    save_model(seeing_model(), tmp_path / "small.safetensors", half=False)
    good = [write_sequence(tmp_path, name, frames=5, seed=i) for i, name in enumerate("abc")]
    (tmp_path / "bad.npy").write_text("no array")
    bad = SequencePlan("bad", tmp_path / "bad.npy", seeds=good[0].seeds)
    options = Options(checkpoint_seconds=0)
    choice = ModelChoice(str(tmp_path / "small.safetensors"))
    return Plan((good[0], bad, *good[1:]), tmp_path / "results", choice, options)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Let workers be threads of this process, and leave its settings alone; gives the networks loaded."""
    loaded: list[object] = []

    def loading(*args: Any, **options: Any) -> object:
        loaded.append(load_model(*args, **options))
        return loaded[-1]

    threads = torch.get_num_threads()
    monkeypatch.setattr(running, "LocalCluster", partial(LocalCluster, processes=False))
    monkeypatch.setattr(workers, "keep_memory", lambda: False)
    monkeypatch.setattr(workers, "cores", lambda: 1)
    monkeypatch.setattr("napari_sam2._model.weights.load_model", loading)
    yield loaded
    torch.set_num_threads(threads)


def statuses(plan: Plan, **options: Any) -> dict[str, str]:
    return {each.name: each.status for each in run_plan(plan, **options)}


class TestRun:
    def test_one_bad_file_keeps_none_from_being_done(self, plan: Plan, in_process: list[object]) -> None:
        outcomes = {each.name: each for each in run_plan(plan, workers=1)}
        assert {name: each.status for name, each in outcomes.items()} == {
            **dict.fromkeys("abc", "done"),
            "bad": "failed",
        }
        assert "bad.npy is not a .npy file" in outcomes["bad"].error
        assert len(in_process) == 1
        for name in "abc":
            assert outcomes[name].labels == str(plan.result(name))
            assert np.asarray(open_image(plan.result(name)).array[4]).any()
        assert outcomes["a"].worker == outcomes["b"].worker != ""
        # Once more: nothing is loaded for what is complete.
        in_process.clear()
        assert statuses(plan, workers=1) == {**dict.fromkeys("abc", "skipped"), "bad": "failed"}
        assert len(in_process) == 1  # for the bad one

    def test_a_model_file_that_changes_meanwhile(
        self, plan: Plan, in_process: list[object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weights = model_digest(plan.model)
        monkeypatch.setattr(running, "model_digest", lambda choice: weights)
        save_model(seeing_model(seed=6), Path(str(plan.model.name)), half=False)
        outcomes = list(run_plan(plan, workers=1))
        assert {each.status for each in outcomes} == {"failed"}
        assert "have changed since the run began" in outcomes[0].error
        assert not in_process

    def test_another_model_makes_everything_anew_and_says_so(
        self, plan: Plan, in_process: list[object]
    ) -> None:
        alone = replace(plan, sequences=plan.sequences[:1])
        assert statuses(alone, workers=1) == {"a": "done"}
        save_model(seeing_model(seed=6), Path(str(plan.model.name)), half=False)
        (outcome,) = run_plan(alone, workers=1)
        assert (outcome.status, outcome.resumed, outcome.encoded) == ("done", 0, 5)
        assert outcome.notes == "its labels are made anew: the model changed"
        assert statuses(alone, workers=1) == {"a": "skipped"}

    def test_without_distributed(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("napari_sam2.batch.running", "distributed"):
            monkeypatch.setitem(__import__("sys").modules, name, None)
        monkeypatch.delitem(__import__("sys").modules, "napari_sam2.batch.running")
        with pytest.raises(ImportError, match=r"napari-sam2\[batch\]"):
            batch.run(plan)


def test_beside_another_cluster(plan: Plan, in_process: list[object]) -> None:
    with socket.socket() as other:
        with suppress(OSError):  # somebody has it already
            other.bind(("127.0.0.1", 8787))
            other.listen()
        assert statuses(replace(plan, sequences=plan.sequences[:1]), workers=1) == {"a": "done"}


def test_what_workers_elsewhere_are_at_ends_with_the_run(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, in_process: list[object]
) -> None:
    keep = Checkpoint.keep

    def keep_slowly(checkpoint: Checkpoint, session: ResumableSession) -> None:
        time.sleep(0.3)
        keep(checkpoint, session)

    monkeypatch.setattr(Checkpoint, "keep", keep_slowly)
    long = write_sequence(plan.output.parent, "long", frames=60)
    plan = replace(plan, sequences=(long, *plan.sequences[:1]))
    options = {"dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, **options) as there:
        outcomes = run_plan(plan, scheduler=there.scheduler_address)
        assert next(outcomes).name == "a"
        outcomes.close()
        with claimed(plan.output / "long.unfinished"):
            assert 1 <= len(list(plan.output.glob("long.unfinished/entries-*.npz"))) < 40


def threads_there() -> int:
    return torch.get_num_threads()


@pytest.mark.parametrize(("said", "threads"), [(None, cores()), ("3", 3)])
def test_a_worker_of_this_run_has_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, said: str | None, threads: int
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    if said is not None:
        monkeypatch.setenv(THREADS, said)
    start = Start(workers.chosen_threads())
    with running._connected(None, 1) as (client, _):
        client.register_plugin(ModelHolder(ModelChoice(), "", {"0": Place(0, 1)}, start), name="holder")
        assert client.submit(threads_there).result() == threads
    # The next run in this process would take what dask says to workers for what the user says.
    assert os.environ.get(THREADS) == said


def die_once(name: str, parts: int, done: Path) -> None:
    """Let the worker that this is called on be killed after it has kept so many parts of a sequence."""
    keep = Checkpoint.keep

    def keep_and_die(checkpoint: Checkpoint, session: ResumableSession) -> None:
        keep(checkpoint, session)
        if checkpoint.folder.name.startswith(name) and len(checkpoint._parts) == parts:
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Checkpoint, "keep", keep_and_die)  # noqa: B010 - for the type checker


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")
def test_a_worker_that_is_killed(plan: Plan) -> None:
    folder = plan.output.parent
    long = write_sequence(folder, "long", frames=20)
    plan = replace(plan, sequences=(long, *plan.sequences))
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as cluster:
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            client.run(die_once, "long", 6, folder / "died")
        outcomes = {each.name: each for each in run_plan(plan, scheduler=cluster.scheduler_address)}
    assert (folder / "died").exists()
    assert {name: each.status for name, each in outcomes.items()} == {
        **dict.fromkeys(("long", "a", "b", "c"), "done"),
        "bad": "failed",
    }
    # Of six frames that were kept, the first one is prompted; it is encoded again, for its memory.
    assert outcomes["long"].resumed == 2 * 5
    assert outcomes["long"].encoded == 20 - 6 + 1
    assert np.asarray(open_image(plan.result("long")).array[19]).any()
    assert not list(plan.output.glob("*.unfinished/labels.ome.zarr/0/c/*/0/0.*"))


def test_workers_may_run_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.pt").touch()
    sequence = SequencePlan("a", Path("a.tif"), Path("a.sam2.json"), Path("s.tif"))
    said = Plan((sequence,), Path("out"), ModelChoice("m.pt"), Options(feature_folder=Path("features")))
    full = running.located(said)
    session, seeds = tmp_path / "a.sam2.json", tmp_path / "s.tif"
    assert full.sequences == (SequencePlan("a", tmp_path / "a.tif", session, seeds),)
    assert (full.model.name, full.options.feature_folder) == (str(tmp_path / "m.pt"), tmp_path / "features")
    plain = replace(said, model=ModelChoice("nano"), options=Options())
    assert (running.located(plain).model, running.located(plain).options) == (plain.model, plain.options)


@pytest.mark.parametrize(
    ("model", "output", "message"),
    [
        ("nope", "out", r"'nope' is neither a model \(nano, "),
        ("nope.pt", "out", "There is no checkpoint file .*nope.pt"),
        ("nano", "taken", "taken is a file, not a folder for results: choose another output"),
    ],
)
def test_what_cannot_be_done_is_told_at_once(tmp_path: Path, model: str, output: str, message: str) -> None:
    (tmp_path / "taken").touch()
    plan = Plan((SequencePlan("a", tmp_path / "a.tif"),), tmp_path / output, ModelChoice(model))
    with pytest.raises((ValueError, CheckpointError, OSError), match=message):
        next(run_plan(plan))


class DeadFuture:
    def exception(self) -> BaseException:
        return cast("BaseException", KilledWorker("a", cast("Any", None), 3))


def test_a_sequence_that_kills_all_its_workers() -> None:
    outcome = running._outcome(DeadFuture(), "a")
    assert (outcome.name, outcome.status) == ("a", "failed")
    assert "died" in outcome.error


class TestChoices:
    def plan(self, folder: Path, *models: tuple[str, int]) -> Plan:
        sequences = []
        for i, (name, size) in enumerate(models):
            path = folder / f"{i}.sam2.json"
            path.write_text(f'{{"model": {{"name": "{name}", "image_size": {size}}}}}')
            sequences.append(SequencePlan(str(i), folder / f"{i}.tif", session=path))
        sequences.append(SequencePlan("x", folder / "x.tif", session=folder / "missing.sam2.json"))
        return Plan(tuple(sequences), folder)

    def test_the_model_of_the_sessions(self, tmp_path: Path) -> None:
        assert chosen_model(self.plan(tmp_path)) == ModelChoice("nano")
        plan = self.plan(tmp_path, ("sam2.1-tiny", 512), ("sam2.1-tiny", 512))
        assert chosen_model(plan) == ModelChoice("sam2.1-tiny", image_size=512)
        assert chosen_model(replace(plan, model=ModelChoice("nano"))) == ModelChoice("nano")
        larger = replace(plan, model=ModelChoice(image_size=1024))
        assert chosen_model(larger) == ModelChoice("sam2.1-tiny", image_size=1024)

    def test_sessions_of_different_models(self, tmp_path: Path) -> None:
        plan = self.plan(tmp_path, ("sam2.1-tiny", 512), ("nano", 256))
        with pytest.raises(ValueError, match=r"nano at 256 pixels, sam2\.1-tiny at 512 .*say which"):
            chosen_model(plan)

    @pytest.mark.parametrize(
        ("sequences", "gpus", "cores", "memory", "expected"),
        [(9, 0, 4, 64, 4), (2, 0, 4, 64, 2), (9, 0, 16, 5, 2), (9, 2, 4, 1, 2), (9, 0, 4, 1, 1)],
    )
    def test_number_of_workers(
        self,
        monkeypatch: pytest.MonkeyPatch,
        sequences: int,
        gpus: int,
        cores: int,
        memory: int,
        expected: int,
    ) -> None:
        monkeypatch.setattr(running, "_gpus", lambda device: gpus)
        monkeypatch.setattr(running, "cores", lambda: cores)
        monkeypatch.setattr(running, "_memory", lambda: memory * 2**30)
        assert suggested_workers(sequences, ModelChoice()) == expected
