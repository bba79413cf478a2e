"""Many sequences on one machine or many: plans, workers, results that survive a stop, a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.batch.outcome import Outcome, waiting, write_report
from napari_sam2.batch.plan import ModelChoice, Options, Plan, SequencePlan
from napari_sam2.batch.plan_file import read_plan

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "ModelChoice",
    "Options",
    "Outcome",
    "Plan",
    "SequencePlan",
    "read_plan",
    "run",
    "waiting",
    "write_report",
]


def run(plan: Plan, *, scheduler: str | None = None, workers: int | None = None) -> Generator[Outcome]:
    """Do all sequences of a plan; see `napari_sam2.batch.running.run_plan`.

    Raises
    ------
    ImportError
        If dask.distributed is not installed.
    """
    try:
        from napari_sam2.batch.running import run_plan
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"dask", "distributed"}:
            raise
        raise ImportError(
            'a batch needs dask.distributed: install it by pip install "napari-sam2[batch]"'
        ) from error
    return run_plan(plan, scheduler=scheduler, workers=workers)
