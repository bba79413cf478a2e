"""What each worker process holds: one network, on a device and with threads of its own."""

from __future__ import annotations

import multiprocessing.util
import os
import re
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from distributed import WorkerPlugin, get_worker

from napari_sam2._model.errors import CheckpointError
from napari_sam2.batch.checking import lacks
from napari_sam2.batch.identity import model_digest
from napari_sam2.batch.sequence import Task, run_sequence
from napari_sam2.device import choose_device
from napari_sam2.process import cores, keep_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FrameType

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.batch.outcome import Outcome
    from napari_sam2.batch.plan import ModelChoice

THREADS = "OMP_NUM_THREADS"
"""By which users and schedulers say how many threads a process is to have."""


class Place(NamedTuple):
    """Which of the workers of its machine one is.

    Attributes
    ----------
    rank : int
        From 0.
    workers : int
        How many there are on the machine.
    """

    rank: int
    workers: int


class Whereabouts(NamedTuple):
    """Where a worker is, and what it has.

    Attributes
    ----------
    name, machine : str
        Its name, and the address of its machine.
    threads : int
        That it computes with; 0 where a GPU does that.
    cores : int
        That it may use.
    lacks : str
        Why it cannot use the device; empty if it can.
    """

    name: str
    machine: str
    threads: int = 0
    cores: int = 1
    lacks: str = ""


def whereabouts(device: str, dask_worker: Any) -> Whereabouts:  # noqa: ANN401 - distributed is not annotated
    """Tell where a worker is; distributed hands it in by the name of the argument."""
    import torch

    why = lacks(device)
    on_processor = not why and choose_device(device).type == "cpu"
    threads = (chosen_threads() or torch.get_num_threads()) if on_processor else 0
    return Whereabouts(str(dask_worker.name), str(dask_worker.ip), threads, cores(), why)


def chosen_threads() -> int | None:
    """Return how many threads were asked for when this process was started; None if nobody said."""
    number = re.match(r"\s*0*([1-9]\d*)", os.environ.get(THREADS, ""))
    return int(number[1]) if number else None


def places(workers: Iterable[Whereabouts]) -> dict[str, Place]:
    """Tell the place of each worker by name, which a worker that is started anew has again."""
    machines: dict[str, list[str]] = {}
    for worker in workers:
        machines.setdefault(worker.machine, []).append(worker.name)
    return {
        name: Place(rank, len(names))
        for names in machines.values()
        for rank, name in enumerate(sorted(names, key=_by_number))
    }


def _by_number(name: str) -> tuple[str, int]:
    number = re.search(r"(\d+)$", name)
    return (name[: number.start()], int(number[0])) if number else (name, 0)


def threads_of(place: Place, cores: int) -> int:
    """Share the cores of a machine among its workers: what all of them get adds up to all cores."""
    share, rest = divmod(cores, place.workers)
    return max(1, share + (place.rank < rest))


def device_of(name: str, rank: int, count: int) -> str:
    """Return the device of a worker: of `count` GPUs each worker takes the next one, unless one is named."""
    return f"cuda:{rank % count}" if name in {"auto", "cuda"} and count else name


class Start(NamedTuple):
    """How workers that a run has started itself are set up.

    Attributes
    ----------
    threads : int or None
        Of each; None: the cores of the machine are shared.
    """

    threads: int | None


class ModelHolder(WorkerPlugin):  # type: ignore[misc, unused-ignore]
    """Gives a worker its threads and its device when it starts, and loads its network when that is needed.

    Parameters
    ----------
    choice : ModelChoice
        The network.
    weights : str
        Checksum of its weights when the run began; others are refused.
    known : mapping of str to Place
        Workers by name. One that joins later counts on from the number at the end of its name.
    start : Start, optional
        Of workers that this run has started; others keep the threads that they were started with.
    """

    def __init__(
        self, choice: ModelChoice, weights: str, known: Mapping[str, Place], start: Start | None = None
    ) -> None:
        self._choice, self._weights, self._known = choice, weights, dict(known)
        self._start = start
        self._lock: Any = None
        self._ending: Any = None
        self._model: Sam2 | None = None

    def setup(self, worker: Any) -> None:  # noqa: ANN401 - distributed is not annotated
        """Settle threads and device; distributed calls it in each worker process."""
        import torch

        keep_memory()
        name = str(worker.name)
        place = self._known.get(name) or Place(_by_number(name)[1], max(len(self._known), 1))
        torch.set_num_threads(self._threads(place) or torch.get_num_threads())
        if self._start is not None:
            _leave_signals_to_the_run()
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        self._choice = replace(self._choice, device=device_of(self._choice.device, place.rank, count))
        if self._choice.device.startswith("cuda:"):
            torch.cuda.set_device(self._choice.device)
        self._lock, self._ending = threading.Lock(), threading.Event()

    def _threads(self, place: Place) -> int | None:
        # Always said aloud: dask lets other libraries have one, and torch would take the least of all.
        if self._start is None:
            return chosen_threads()
        return self._start.threads or threads_of(place, cores())

    def teardown(self, worker: Any) -> None:  # noqa: ANN401, ARG002 - distributed calls it so
        """Let the sequence at hand end after its frame at hand: the run or the worker does."""
        self._ending.set()

    def is_ending(self) -> bool:
        """Whether no more is to be done."""
        return bool(self._ending.is_set())

    def model(self) -> Sam2:
        """Return the network, loaded the first time.

        Raises
        ------
        CheckpointError
            If its file has changed since the run began.
        """
        from napari_sam2._model.weights import load_model

        with self._lock:
            if self._model is None:
                self._check_weights()
                choice = self._choice
                self._model = load_model(
                    choice.name or "nano",
                    device=choice.device,
                    image_size=choice.image_size,
                    precision=choice.precision,
                )
                self._check_weights()
            return self._model

    def _check_weights(self) -> None:
        if model_digest(self._choice) != self._weights:
            raise CheckpointError(
                f"the weights of {self._choice.name} have changed since the run began: start it again, "
                "and what was made with the others is made anew"
            )


def _leave_signals_to_the_run() -> None:
    """Let Ctrl-C, which a terminal tells to all processes, reach the run alone, which ends its workers."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _go_at_once)


def _go_at_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signals call it so
    """End this process, frame at hand or not, but for the semaphores of libraries, which would be left."""
    multiprocessing.util._exit_function()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
    os._exit(128 + number)


def plugin_of(run: str) -> str:
    """Return what the holder of a run is called: others may use the same workers."""
    return f"napari-sam2-{run}"


def work(task: Task) -> Outcome:
    """Do a sequence on the worker that this is called on."""
    worker = get_worker()
    holder = cast("ModelHolder", worker.plugins[plugin_of(task.run)])
    return run_sequence(task, holder.model, worker=str(worker.address), is_over=holder.is_ending)
