"""Scenes that are made for several steps at once, which on a GPU takes little longer than for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.training.synthetic import SyntheticBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.training.schedule import Stage


@dataclass
class ScenesAhead:
    """Sequences that wait for their step, by the stage that they were made for.

    Parameters
    ----------
    waiting
        Batches of each stage.
    """

    waiting: dict[Stage, list[SyntheticBatch]] = field(default_factory=dict)

    def take(self, stage: Stage, steps: int, make: Callable[[int], SyntheticBatch]) -> SyntheticBatch:
        """Return the sequences of a step.

        Parameters
        ----------
        stage
            Whose step it is.
        steps
            For how many steps sequences are made where none are waiting.
        make
            Makes so many sequences.
        """
        batches = self.waiting.setdefault(stage, [])
        if not batches:
            batches.extend(_deal(make(steps * stage.batch), steps))
        return batches.pop()

    def clear(self) -> None:
        """Forget what is waiting, so that a run that stops here and one that goes on do the same."""
        self.waiting.clear()


def _deal(made: SyntheticBatch, steps: int) -> list[SyntheticBatch]:
    return [SyntheticBatch(made.images[step::steps], made.labels[step::steps]) for step in range(steps)]
