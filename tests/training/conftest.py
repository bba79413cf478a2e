"""A network small enough to train in a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sam2._model.config import NANO_CONFIG, Sam2Config, TrunkConfig


@pytest.fixture
def tiny_config() -> Sam2Config:
    """A few ten thousand parameters, 64 pixels."""
    trunk = TrunkConfig(8, 1, (1, 1, 1, 1), (2,), (4, 4, 4, 4), (3, 3))
    return replace(
        NANO_CONFIG,
        name="tiny-test",
        trunk=trunk,
        image_size=64,
        model_dim=32,
        memory_dim=16,
        attention_layers=1,
        attention_mlp_dim=32,
        decoder_mlp_dim=32,
    )
