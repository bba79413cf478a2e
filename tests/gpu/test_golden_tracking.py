"""The tracker gives the released video predictor's numbers on the card."""

from __future__ import annotations

import pytest
import torch

from tests._model import test_golden_tracking as on_cpu
from tests._model.golden import CASES, Case, Golden, needs_shared

pytestmark = [pytest.mark.gpu, needs_shared]


@pytest.fixture(scope="module", params=CASES[:1], ids=lambda case: case.config)
def golden(request: pytest.FixtureRequest, device: torch.device, exact: None) -> Golden:
    case: Case = request.param
    return Golden(case, device)


recording = on_cpu.recording
test_prompts = on_cpu.test_prompts
test_close_frames = on_cpu.test_close_frames
test_later_frames = on_cpu.test_later_frames
