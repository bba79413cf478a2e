"""What each worker process holds: one network, on a device and with threads of its own."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from distributed import WorkerPlugin, get_worker

from napari_sam2._model.errors import CheckpointError
from napari_sam2.batch.identity import model_digest
from napari_sam2.batch.sequence import Task, run_sequence
from napari_sam2.process import cores, keep_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.batch.outcome import Outcome
    from napari_sam2.batch.plan import ModelChoice

PLUGIN = "napari-sam2"


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
    """Name of a worker and address of its machine."""

    name: str
    machine: str


def whereabouts(dask_worker: Any) -> Whereabouts:  # noqa: ANN401 - distributed is not annotated
    """Tell where a worker is; distributed hands it in by the name of the argument."""
    return Whereabouts(str(dask_worker.name), str(dask_worker.ip))


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
    """

    def __init__(self, choice: ModelChoice, weights: str, known: Mapping[str, Place]) -> None:
        self._choice, self._weights, self._known = choice, weights, dict(known)
        self._lock: Any = None
        self._model: Sam2 | None = None

    def setup(self, worker: Any) -> None:  # noqa: ANN401 - distributed is not annotated
        """Settle threads and device; distributed calls it in each worker process."""
        import torch

        keep_memory()
        name = str(worker.name)
        place = self._known.get(name) or Place(_by_number(name)[1], max(len(self._known), 1))
        torch.set_num_threads(threads_of(place, cores()))
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        self._choice = replace(self._choice, device=device_of(self._choice.device, place.rank, count))
        if self._choice.device.startswith("cuda:"):
            torch.cuda.set_device(self._choice.device)
        self._lock = threading.Lock()

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


def work(task: Task) -> Outcome:
    """Do a sequence on the worker that this is called on."""
    worker = get_worker()
    holder = cast("ModelHolder", worker.plugins[PLUGIN])
    return run_sequence(task, holder.model, worker=str(worker.address))
