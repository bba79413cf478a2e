"""Every module gives the released implementation's numbers on the card."""

from __future__ import annotations

import pytest
import torch

from tests._model import test_golden_modules as on_cpu
from tests._model.golden import CASES, Case, Golden, needs_shared

pytestmark = [pytest.mark.gpu, needs_shared]


@pytest.fixture(scope="module", params=CASES[::2], ids=lambda case: case.config)
def golden(request: pytest.FixtureRequest, device: torch.device, exact: None) -> Golden:
    case: Case = request.param
    return Golden(case, device)


model = on_cpu.model
test_image_encoder = on_cpu.test_image_encoder
test_position_codes = on_cpu.test_position_codes
test_rotary_positions = on_cpu.test_rotary_positions
test_prompt_encoder = on_cpu.test_prompt_encoder
test_mask_decoder = on_cpu.test_mask_decoder
test_memory_attention = on_cpu.test_memory_attention
test_memory_encoder = on_cpu.test_memory_encoder
test_mask_taken_as_output = on_cpu.test_mask_taken_as_output
