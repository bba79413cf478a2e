"""Where spatial memories lie: on the map of the frame that looks at them, or beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sam2._model.positions import moved_rotary_table, moved_sine_map, sine_map

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config
    from napari_sam2._model.results import Recall


@dataclass(frozen=True)
class MemoryPlaces:
    """Codes of the places of memories.

    Attributes
    ----------
    codes : tuple of Tensor
        Codes of the place and time of each memory's tokens, (1 or B, N, M).
    table : Tensor or None
        Rotary angles (B, 1, k N, C / 2, 2) of all of them; None where they are those of the frame.
    """

    codes: tuple[Tensor, ...]
    table: Tensor | None = None


def place_memories(memories: Recall, grid: int, config: Sam2Config, times: Tensor) -> MemoryPlaces:
    """Code where and when memories lie, seen from a frame.

    Codes of places are functions of a row and a column, so that a memory of a window that has moved since
    need not be made again: it says how far beside the new window it lies.

    Parameters
    ----------
    memories : Recall
        What the frame attends to.
    grid : int
        Side of its map.
    config : Sam2Config
        Widths.
    times : Tensor
        (R, 1, 1, M) codes of times, by row.
    """
    rows = [times[row] for row in memories.rows]
    if not memories.shifts:
        code = sine_map(config.memory_dim, grid, times.device).flatten(2).transpose(1, 2)
        return MemoryPlaces(tuple(code + row for row in rows))
    tables = [moved_rotary_table(config.model_dim, grid, shifts) for shifts in memories.shifts]
    codes = [moved_sine_map(config.memory_dim, grid, shifts) for shifts in memories.shifts]
    placed = tuple(code + row for code, row in zip(codes, rows, strict=True))
    return MemoryPlaces(placed, torch.cat(tables, dim=1)[:, None])
