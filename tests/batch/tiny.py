"""Small sequences on disk, and tasks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.batch.plan import ModelChoice, Options, SequencePlan
from napari_sam2.batch.sequence import Task
from tests.fakes import SHAPE, noisy_frames

Array = NDArray[Any]


def drawn() -> NDArray[np.uint16]:
    """Draw objects 1 and 2 on one frame."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[4:12, 4:12] = 1
    labels[14:20, 10:18] = 2
    return labels


def write_sequence(folder: Path, name: str = "a", *, frames: int = 8, seed: int = 0) -> SequencePlan:
    """Write images and the objects of their frame 0."""
    images, seeds = folder / f"{name}.npy", folder / f"{name}_seeds.npy"
    np.save(images, noisy_frames(frames, seed))
    np.save(seeds, drawn())
    return SequencePlan(name, images, seeds=seeds)


def task_of(sequence: SequencePlan, *, weights: str = "weights", **options: Any) -> Task:
    """Ask for a sequence, its labels beside its images, its state kept after every frame."""
    chosen = Options(**{"checkpoint_seconds": 0.0, **options})
    ending = {"zarr": "_labels.ome.zarr", "tif": "_labels.tif", "ctc": "_RES"}[chosen.format]
    labels = sequence.images.with_name(f"{sequence.name}{ending}")
    return Task(sequence, ModelChoice("small"), weights, chosen, labels)
