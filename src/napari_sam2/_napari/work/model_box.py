"""The network that is loaded, as the threads share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.work.answers import Answer


@dataclass(eq=False)
class ModelBox:
    """Where the inference thread puts the network that was loaded."""

    model: Sam2 | None = None
    problem: str = ""

    def follow(self, answer: Answer) -> Answer:
        """Take the network of a session that was put in place of another one; return the answer."""
        if answer.replaced is not None:
            self.model, self.problem = answer.replaced.model, ""
        return answer

    def take(self) -> Sam2:
        """Return the network; RuntimeError if none could be loaded."""
        if self.model is None:
            raise RuntimeError(self.problem or "No model is loaded: choose one under Model.")
        return self.model
