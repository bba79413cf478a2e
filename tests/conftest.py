"""Fixtures for more than one module."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from napari_sam2.device import Runtime
from tests.fakes import FakeModel

# How fast examples are drawn tells of the machine's load, not of the program.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let objects go through the network one by one, as they go through large ones on a processor."""
    monkeypatch.setattr(Runtime, "group_size", lambda *_: 1)


@pytest.fixture
def fake_model() -> FakeModel:
    """Return a network that tracks by simple arithmetic and notes what it attends to."""
    return FakeModel()
