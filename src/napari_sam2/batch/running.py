"""A plan on the workers of a cluster, each sequence on one of them, outcomes as they come."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask
from distributed import Client, KilledWorker, LocalCluster, as_completed

from napari_sam2._model.weights import model_names
from napari_sam2.batch.checking import check_device, check_network, check_scheduler, check_workers
from napari_sam2.batch.ending import Ending
from napari_sam2.batch.identity import model_digest
from napari_sam2.batch.outcome import Outcome, one_line
from napari_sam2.batch.sequence import Task
from napari_sam2.batch.workers import (
    ModelHolder,
    Start,
    chosen_threads,
    places,
    plugin_of,
    whereabouts,
    work,
)
from napari_sam2.feature_store import check_feature_folder
from napari_sam2.process import cores

if TYPE_CHECKING:
    from napari_sam2.batch.plan import ModelChoice, Plan

WORKER_BYTES = 2 * 2**30
"""Memory that a worker is reckoned with when their number is chosen."""
DEATHS = 3
"""How many workers may die over a sequence before it is given up."""


def run_plan(plan: Plan, *, scheduler: str | None = None, workers: int | None = None) -> Generator[Outcome]:
    """Do all sequences of a plan; what cannot be done as asked is refused before the first is begun.

    Parameters
    ----------
    plan : Plan
        What to do.
    scheduler : str, optional
        Address of a dask scheduler whose workers do it; they must see the files under the same names and have
        this package. By default a cluster on this machine is started, and ended with the run.
    workers : int, optional
        Of the cluster on this machine: by default one for each GPU, or as many as cores and memory suggest.

    Returns
    -------
    generator of Outcome
        As they come, one for each sequence. A sequence that fails, or kills its worker time and again, keeps
        no other from being done. OSError where the output folder cannot be made, or the scheduler be reached.

    Raises
    ------
    ValueError
        If the sessions of the plan were made by different models and none is named, or the device is
        not there.
    OSError
        If the output is a file.
    """
    plan = located(replace(plan, model=chosen_model(plan)))
    _check(plan, scheduler)
    return _run(plan, scheduler, workers)


def _check(plan: Plan, scheduler: str | None) -> None:
    if plan.output.exists() and not plan.output.is_dir():
        raise NotADirectoryError(f"{plan.output} is a file, not a folder for results: choose another output")
    if plan.options.feature_folder is not None:
        check_feature_folder(plan.options.feature_folder)
    check_network(plan.model)
    if scheduler is None:
        check_device(plan.model.device)
    else:
        check_scheduler(scheduler)


def _run(plan: Plan, scheduler: str | None, workers: int | None) -> Generator[Outcome]:
    plan.output.mkdir(parents=True, exist_ok=True)
    weights, name = model_digest(plan.model), uuid4().hex
    tasks = [
        Task(each, plan.model, weights, plan.options, plan.result(each.name).resolve(), name)
        for each in plan.sequences
    ]
    start = None if scheduler is not None else Start(chosen_threads())
    with _connected(scheduler, workers or suggested_workers(len(tasks), plan.model)) as (client, ending):
        found = client.run(whereabouts, plan.model.device)
        if scheduler is not None:
            check_workers(found)
        holder = ModelHolder(plan.model, weights, places(found.values()), start)
        yield from _outcomes(client, tasks, holder, ending)


def located(plan: Plan) -> Plan:
    """Name all files of a plan in full: workers may have been started in another folder."""
    sequences = tuple(
        replace(
            each,
            images=each.images.absolute(),
            session=each.session and each.session.absolute(),
            seeds=each.seeds and each.seeds.absolute(),
        )
        for each in plan.sequences
    )
    name, features = plan.model.name, plan.options.feature_folder
    if name is not None and Path(name).is_file() and name not in model_names():
        name = str(Path(name).absolute())
    options = replace(plan.options, feature_folder=features and features.absolute())
    return replace(plan, sequences=sequences, model=replace(plan.model, name=name), options=options)


def _outcomes(client: Client, tasks: list[Task], holder: ModelHolder, ending: Ending) -> Generator[Outcome]:
    """Hand out tasks and give what became of them; those at hand end soon where no more is asked for."""
    plugin, at_hand = plugin_of(tasks[0].run), dict[Any, str]()
    client.register_plugin(holder, name=plugin)
    try:
        yield from _as_they_come(client, tasks, at_hand)
    finally:
        ending.begin()
        with suppress(OSError), client.as_current():  # the scheduler may be gone, and they with it
            client.unregister_worker_plugin(plugin)
            ending.wait(at_hand)


def _as_they_come(client: Client, tasks: list[Task], at_hand: dict[Any, str]) -> Generator[Outcome]:
    """Hand out no more tasks than there are workers: what waits on one is suspected of its death."""
    waiting = iter(tasks)
    running = as_completed(loop=client.loop)

    def submit() -> None:
        task = next(waiting, None)
        if task is not None:
            future = client.submit(work, task, key=f"{task.sequence.name}-{id(task):x}", pure=False)
            at_hand[future] = task.sequence.name
            running.add(future)

    for _ in range(max(1, len(client.nthreads()))):
        submit()
    for future in running:
        submit()
        yield _outcome(future, at_hand.pop(future))


def _outcome(future: Any, name: str) -> Outcome:  # noqa: ANN401 - distributed is not annotated
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    if isinstance(error, KilledWorker):
        return Outcome(name, "failed", error="the workers that did it died, one after the other")
    return Outcome(name, "failed", error=one_line(error))


@contextmanager
def _connected(scheduler: str | None, workers: int) -> Iterator[tuple[Client, Ending]]:
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}))
        ending = stack.enter_context(Ending())
        if scheduler is None:
            stack.enter_context(_environment_kept())
            with _interrupts_later():
                ending.cluster = stack.enter_context(_cluster(workers))
        client = stack.enter_context(Client(ending.cluster or scheduler, set_as_default=False))
        stack.callback(ending.begin)
        yield client, ending


def _cluster(workers: int) -> LocalCluster:
    """Start workers, without a limit of memory: a paused one would wait forever for its network to shrink."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
        silence_logs="ERROR",
    )


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Start processes that Ctrl-C, which a terminal tells to all, does not reach; this one hears it after."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    pressed: list[int] = []
    resource_tracker.ensure_running()  # which would let them through to the first process
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Take back what dask says to its workers through this process: one thread each, unasked."""
    names = [*dask.config.get("distributed.nanny.pre-spawn-environ"), "PYTHONHASHSEED"]
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def suggested_workers(sequences: int, choice: ModelChoice) -> int:
    """Return how many workers this machine should have: its GPUs, or what its cores and memory allow."""
    gpus = _gpus(choice.device)
    allowed = gpus or min(cores(), max(1, _memory() // WORKER_BYTES))
    return max(1, min(sequences, allowed))


def _gpus(device: str) -> int:
    if device not in {"auto", "cuda"}:
        return 1 if device != "cpu" else 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _memory() -> int:
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)


def chosen_model(plan: Plan) -> ModelChoice:
    """Return the model that is named, else the one that all sessions of the plan were made by, else nano.

    Raises
    ------
    ValueError
        If the sessions were made by different ones.
    """
    if plan.model.name is not None:
        return plan.model
    sessions = {each.session for each in plan.sequences if each.session is not None}
    made_by = {found for path in sorted(sessions) if (found := _made_by(path)) is not None}
    if len(made_by) > 1:
        names = ", ".join(f"{name} at {size} pixels" for name, size in sorted(made_by))
        raise ValueError(f"the sessions were made by different models ({names}): say which one to use")
    chosen = plan.model.image_size
    name, size = made_by.pop() if made_by else ("nano", None)
    return replace(plan.model, name=name, image_size=size if chosen is None else chosen)


def _made_by(session: Path) -> tuple[str, int] | None:
    """Name and image size of a session's model; None if it cannot be read, which its sequence will tell."""
    try:
        model = json.loads(session.read_text(encoding="utf-8"))["model"]
        return str(model["name"]), int(model["image_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
