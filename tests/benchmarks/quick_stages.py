"""Stages of a frame under pytest-benchmark: ``pytest tests/benchmarks --benchmark-only``.

Only this package's side, at 512 pixels, sam2.1-tiny with seeded weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from napari_sam2.device import Runtime
from tests.benchmarks.sides import released_weights
from tests.benchmarks.stages import STAGES, StageInputs, stage_calls

_MODEL, _SIZE = "sam2.1-tiny", 512


@cache
def model_of(dtype: torch.dtype) -> Sam2:
    """Make the network once for each precision."""
    model = Sam2(RELEASED_CONFIGS[_MODEL])
    model.load_state_dict(released_weights(_MODEL))
    model.runtime = Runtime(torch.device("cpu"), dtype)
    return model.eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("stage", STAGES)
def test_stage(benchmark: Callable[..., Any], stage: str, dtype: torch.dtype) -> None:
    """Time one stage."""
    model = model_of(dtype)
    with torch.inference_mode(), model.runtime.autocast():
        call = stage_calls(model, StageInputs.make(model, _SIZE))[stage]
        assert benchmark(call) is not None
