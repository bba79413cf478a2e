"""`precision="float32"` gives the reference's numbers on the card as torch comes, nothing set by hand."""

from __future__ import annotations

import pytest
import torch

from tests._model import test_golden_tracking as on_cpu
from tests._model.golden import CASES, Golden, needs_shared

pytestmark = [pytest.mark.gpu, needs_shared]


@pytest.fixture(scope="module")
def golden(device: torch.device) -> Golden:
    return Golden(CASES[0], device)


recording = on_cpu.recording
test_prompts = on_cpu.test_prompts
test_close_frames = on_cpu.test_close_frames
