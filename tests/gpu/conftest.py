"""The device of these tests: CUDA, or what `--device` names, so that they can be tried without a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known where this folder is named on the command line."""
    parser.addoption("--device", default="cuda", help="device of tests/gpu")


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> torch.device:
    """Return the device; tests that ask for it are skipped where it is not there."""
    device = torch.device(pytestconfig.getoption("device", default="cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    # What holds a card's memory short wants to know which one.
    return torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device


@pytest.fixture(scope="module")
def exact(device: torch.device) -> Iterator[None]:
    """Let products of float32 run in float32: convolutions are rounded to TF32 by default."""
    cudnn: Any = torch.backends.cudnn
    parts = (torch.backends.cuda.matmul, cudnn.conv)
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    yield
    for part, precision in zip(parts, before, strict=True):
        part.fp32_precision = precision
