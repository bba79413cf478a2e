"""The largest differences of each case, as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from tests.parity.drivers import Answer


@dataclass
class Row:
    """One case: differences relative to the released array's largest value, and the least overlap of masks.

    Attributes
    ----------
    prompts : float
        Logits and presence of prompted frames.
    close, later : float
        Logits, presence and pointers of the first tracked frames of a pass, and of the others.
    memory : float
        Spatial memories of the first tracked frames, beyond one place of the bfloat16 that both keep them in.
    overlap : float
        Of tracked masks.
    effect : float
        By how much the options change this package's answers, None without options.
    present : int
        Tracked frames on which the object is.
    """

    name: str
    case: str
    options: dict[str, Any]
    prompts: float = 0.0
    close: float = 0.0
    later: float = 0.0
    memory: float = 0.0
    overlap: float = 1.0
    effect: float | None = None
    present: int = 0
    tracked: int = 0

    def compare_prompt(self, ours: Answer, released: Answer) -> None:
        """Take in the answers to a frame's prompts."""
        self.prompts = max(self.prompts, difference_of(ours, released, pointers=False))

    def compare_tracked(self, ours: Answer, released: Answer, *, close: bool) -> None:
        """Take in a tracked frame."""
        difference = difference_of(ours, released, pointers=self.options.get("use_pointers", True))
        if close:
            self.close = max(self.close, difference)
            self.memory = max(self.memory, relative(ours.memory, released.memory, rounded=True))
        else:
            self.later = max(self.later, difference)
        self.overlap = min(self.overlap, _overlap(ours.low_res > 0, released.low_res > 0))
        self.present += released.presence > 0.5
        self.tracked += 1

    def __str__(self) -> str:
        numbers = [f"{value:8.1e}" for value in (self.prompts, self.close, self.later, self.memory)]
        changed = ", ".join(f"{key}={value}" for key, value in self.options.items())
        numbers.append(8 * " " if self.effect is None else f"{self.effect:8.1e}")
        cells = (f"{self.overlap:7.4f}", f"{self.present:3}/{self.tracked:<3}", changed)
        return " ".join((f"{self.name:16} {self.case:20}", *numbers, *cells))


Table: TypeAlias = list[Row]
_COLUMNS = ("prompts", "close", "later", "memory", "effect")
HEADER = f"{'network':16} {'case':20} {' '.join(f'{x:>8}' for x in _COLUMNS)} overlap present options"


def difference_of(ours: Answer, released: Answer, *, pointers: bool) -> float:
    """Return the largest difference of logits, presence and, where asked, pointers."""
    return max(
        relative(ours.pointer, released.pointer) if pointers else 0.0,
        relative(torch.tensor(ours.low_res), torch.tensor(released.low_res)),
        abs(ours.presence - released.presence),
    )


def relative(ours: torch.Tensor | None, released: torch.Tensor | None, *, rounded: bool = False) -> float:
    """Return the largest difference in units of the largest released value; 0 if neither is kept.

    Values that were `rounded` to bfloat16 may lie one place apart, however little they differed before.
    """
    if ours is None or released is None:
        return 0.0 if ours is released else np.inf
    difference = (ours - released).abs()
    if rounded:
        difference = (difference - _place(ours.abs().maximum(released.abs()))).clamp(min=0)
    return float(difference.max() / released.abs().max().clamp(min=1e-12))


def _place(values: torch.Tensor) -> torch.Tensor:
    """Return the distance of positive values to their next ones in bfloat16, which has eight digits."""
    return torch.ldexp(torch.ones_like(values), torch.frexp(values).exponent - 8)


def _overlap(ours: np.ndarray[Any, Any], released: np.ndarray[Any, Any]) -> float:
    union = (ours | released).sum()
    return float((ours & released).sum() / union) if union else 1.0
