"""Fixtures for more than one module."""

from __future__ import annotations

import pytest

from tests.fakes import FakeModel


@pytest.fixture
def fake_model() -> FakeModel:
    """Return a network that tracks by simple arithmetic and notes what it attends to."""
    return FakeModel()
