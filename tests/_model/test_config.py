"""Configurations: the released sizes, what is refused, and their JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS, Sam2Config
from napari_sam2._model.sam2 import Sam2
from tests._model.small import SMALL_CONFIG

# Parameters and tensors (one buffer among these) of each size, SAM 2.0 and 2.1.
COUNTS = {
    "tiny": ((38_945_986, 38_962_498), (468, 471)),
    "small": ((46_043_842, 46_060_354), (516, 519)),
    "base-plus": ((80_833_666, 80_850_178), (612, 615)),
    "large": ((224_430_130, 224_446_642), (900, 903)),
}


@pytest.mark.parametrize("size", COUNTS)
@pytest.mark.parametrize("version", [0, 1])
def test_parameters_of_released_networks(size: str, version: int) -> None:
    config = RELEASED_CONFIGS[f"{('sam2', 'sam2.1')[version]}-{size}"]
    with torch.device("meta"):
        model = Sam2(config)
    parameters, tensors = (counts[version] for counts in COUNTS[size])
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors


@pytest.mark.parametrize("size", COUNTS)
def test_versions_differ_in_four_options(size: str) -> None:
    older, newer = RELEASED_CONFIGS[f"sam2-{size}"], RELEASED_CONFIGS[f"sam2.1-{size}"]
    different = {f.name for f in fields(Sam2Config) if getattr(older, f.name) != getattr(newer, f.name)}
    options = {"no_object_spatial", "encode_pointer_time", "project_pointer_time", "sign_pointer_time"}
    assert different == options | {"name"}
    assert not any(getattr(older, name) for name in options)


def test_released_options() -> None:
    """Values that the released configurations and their builder set, where they are not a class's default."""
    config = RELEASED_CONFIGS["sam2.1-tiny"]
    assert (config.image_size, config.grid, config.model_dim, config.memory_dim) == (1024, 64, 256, 64)
    assert config.pointer_tokens == 4
    assert (config.memory_frames, config.memory_rows, config.memory_stride) == (7, 7, 1)
    assert (config.memory_scale, config.memory_bias) == (20, -10)
    assert (config.max_conditioning, config.max_pointers) == (-1, 16)
    assert (config.multimask_min_points, config.multimask_max_points) == (0, 1)
    assert (config.stability_delta, config.stability_threshold) == (0.05, 0.98)
    turned_off = {f.name for f in fields(Sam2Config) if getattr(config, f.name) is False}
    assert turned_off == {"attend_no_memory", "soft_no_object_pointer", "non_overlap_memory"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 100}, "multiple of 32; got 100"),
        ({"image_size": 0}, "multiple of 32; got 0"),
        ({"memory_dim": 7}, "model_dim 32 is not a multiple of memory_dim 7"),
        ({"attend_no_memory": True}, "needs memory_dim equal to model_dim"),
        ({"memory_frames": 8}, "memory_frames must be 0 to 7; got 8"),
        ({"memory_frames": -1}, "memory_frames must be 0 to 7; got -1"),
        ({"memory_stride": 0}, "memory_stride must be at least 1; got 0"),
        ({"max_conditioning": 1}, "at least 2; got 1"),
        ({"max_conditioning": 0}, "at least 2; got 0"),
    ],
)
def test_impossible_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL_CONFIG, **options)


@pytest.mark.parametrize("config", [*RELEASED_CONFIGS.values(), NANO_CONFIG], ids=lambda config: config.name)
def test_json(config: Sam2Config) -> None:
    assert Sam2Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_json_of_a_newer_version() -> None:
    with pytest.raises(ValueError, match=r"unknown fields \['colour'\].*newer version"):
        Sam2Config.from_json({**SMALL_CONFIG.to_json(), "colour": 1})
