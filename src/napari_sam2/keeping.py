"""How much a session keeps beside its labels, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Keeping:
    """Bounds of what is kept.

    Parameters
    ----------
    features : int
        Bytes of image features in memory.
    most_frames : int or None
        Frames whose features are in memory at most, however little they take.
    answers : int
        Bytes of the network's answers in memory; older ones go to a temporary file.
    memories : int
        Bytes of memories of tracked frames, most of them in a temporary file, for corrections that come late.
    feature_folder : str, Path or None
        Folder in which image features are kept for other passes, sessions and processes.
    feature_bytes : int
        Bytes that this folder may take.
    """

    features: int = 512 * 2**20
    most_frames: int | None = None
    answers: int = 256 * 2**20
    memories: int = 2**30
    feature_folder: str | Path | None = None
    feature_bytes: int = 20 * 2**30

    def beside(self, labels: Any) -> Keeping:  # noqa: ANN401 - numpy, zarr or None
        """Return the bounds that suit these labels.

        Whoever has labels on disk has a sequence that is larger than the memory. Then nothing else may grow
        with it either: these bounds are reached after some thirty frames, and memory stays as it is then.
        """
        if labels is None or isinstance(labels, np.ndarray):
            return self
        return replace(self, most_frames=32, answers=2**20, memories=0)
