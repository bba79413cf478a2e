"""Made-up microscopy with a known truth, for the demo, the sample menu and tests: numpy and scipy alone."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_sam2.samples._cells import drifting_cells
from napari_sam2.samples._nuclei import nuclei_stack
from napari_sam2.samples._rods import dividing_rods
from napari_sam2.samples._shared import SampleSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SAMPLES", "SampleSequence", "dividing_rods", "drifting_cells", "nuclei_stack", "sample"]

SAMPLES: Mapping[str, Callable[..., SampleSequence]] = MappingProxyType(
    {make.__name__: make for make in (drifting_cells, nuclei_stack, dividing_rods)}
)


def sample(name: str, *, seed: int = 0) -> SampleSequence:
    """Make a sample sequence by its name, one of `SAMPLES`.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in SAMPLES:
        raise ValueError(f"there is no sample {name!r}: choose one of {', '.join(SAMPLES)}")
    return SAMPLES[name](seed=seed)
