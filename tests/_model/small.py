"""A SAM 2 of 0.3 million seeded parameters: all parts and options of the large ones."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import torch

from napari_sam2._model.config import Sam2Config, TrunkConfig
from napari_sam2._model.results import ImageFeatures, Points, Recall
from napari_sam2._model.sam2 import Sam2

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 64
GRID = SIZE // 16
DIM = 32
MEMORY_DIM = 8

# The map of the third stage is 4 x 4 and its windows 6 x 6, so that padding is attended.
SMALL_CONFIG = Sam2Config(
    name="small",
    trunk=TrunkConfig(8, 1, (1, 1, 2, 1), (3,), (4, 2, 6, 2), (3, 3)),
    image_size=SIZE,
    model_dim=DIM,
    memory_dim=MEMORY_DIM,
    attention_layers=1,
    attention_mlp_dim=32,
    decoder_mlp_dim=32,
    decoder_depth=2,
    fuser_layers=1,
)


def small_model(seed: int = 5, **options: Any) -> Sam2:
    """Make the small network with other values of some fields of its configuration.

    Each tensor is drawn from its own stream, so that an option which adds parameters leaves the others alone.
    The seed is one whose answers differ from frame to frame: objects there or not, other best candidates.
    """
    config = replace(SMALL_CONFIG, **options)
    with torch.random.fork_rng(devices=[]):
        model = Sam2(config)
    model.load_state_dict({n: seeded_weights(n, tuple(t.shape), seed) for n, t in model.state_dict().items()})
    return model.requires_grad_(requires_grad=False).eval()


@cache
def seeded_weights(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw weights that keep activations near one, with codes, biases and scales large enough to matter."""
    values = normal(f"{seed}:{name}", *shape)
    leaf = name.rpartition(".")[2]
    if leaf == "gamma":
        return 0.5 + 0.1 * values
    if leaf == "bias":
        return 0.2 * values
    if len(shape) == 1:
        return 1 + 0.2 * values
    is_code = leaf.startswith(("pos_embed", "no_", "maskmem", "positional")) or "embed" in name.split(".")[-2]
    if is_code or "token" in name.split(".")[-2]:
        return 0.5 * values
    fan_in = shape[0] if "output_upscaling" in name else prod(shape[1:])
    # Memories of about one, since with larger ones a softmax over them has but one winner.
    gain = 0.15 if name == "memory_encoder.out_proj.weight" else 1.3
    return gain * values / sqrt(fan_in)


def normal(tag: str, *shape: int, scale: float = 1.0) -> Tensor:
    """Draw normal values from a stream named `tag`, without touching torch's global one."""
    generator = torch.Generator().manual_seed(zlib.crc32(tag.encode()))
    return scale * torch.randn(*shape, generator=generator)


def features(model: Sam2, *, count: int = 1, tag: str = "image") -> ImageFeatures:
    """Encode made-up frames."""
    side = model.config.image_size
    with torch.no_grad():
        return model.encode_image(normal(tag, count, 3, side, side))


def click(*places: tuple[float, float], label: int = 1) -> Points:
    """Make clicks at (x, y) in pixels of the network's input."""
    return Points(torch.tensor([places]), torch.full((1, len(places)), label, dtype=torch.int32))


def memories(model: Sam2, *, frames: int = 2, batch: int = 1, tag: str = "memory") -> Recall:
    """Make up the newest tracked memories of a frame and the conditioning one before them."""
    config = model.config
    side = config.grid
    return Recall(
        spatial=tuple(normal(f"{tag}{i}", batch, config.memory_dim, side, side) for i in range(frames)),
        rows=(config.memory_rows - 1, *range(frames - 1)),
        pointers=tuple(normal(f"{tag}p{i}", batch, config.model_dim) for i in range(frames)),
        distances=((frames, *range(1, frames)),),
        span=config.max_pointers - 1,
    )
