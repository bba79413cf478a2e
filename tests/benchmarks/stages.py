"""The stages of a frame of this package's network, each a call that can be timed alone.

Image encoder, memory attention with a full bank, decoder up to the network's own resolution, memory encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from napari_sam2._model.results import ImageFeatures, Points, Recall
from napari_sam2._model.sam2 import Sam2

STAGES = (
    "image encoder",
    "memory attention",
    "memory attention, further object",
    "decoder",
    "memory encoder",
)
FRAMES, POINTERS = 7, 16
_CLICK_SHARE = 0.4


@dataclass(frozen=True)
class StageInputs:
    """What the stages are run on; their values make no difference to the time.

    Attributes
    ----------
    images : Tensor
        (1, 3, S, S).
    recall : Recall
        A full bank.
    click : Points
        One click.
    """

    images: Tensor
    recall: Recall
    click: Points

    @classmethod
    def make(cls, model: Sam2, size: int) -> StageInputs:
        """Draw them for a network and a side of its input."""
        config, grid = model.config, size // 16
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            memories = [torch.randn(1, config.memory_dim, grid, grid) for _ in range(FRAMES)]
            pointers = [torch.randn(1, config.model_dim) for _ in range(POINTERS)]
            images = torch.randn(1, 3, size, size)
        recall = Recall(
            tuple(memory.bfloat16() for memory in memories),
            tuple(range(FRAMES - 1, -1, -1)),
            tuple(pointers),
            (tuple(range(1, POINTERS + 1)),),
            POINTERS - 1,
        )
        place = torch.full((1, 1, 2), _CLICK_SHARE * size)
        return cls(images, recall, Points(place, torch.ones(1, 1, dtype=torch.int32)))


def stage_calls(model: Sam2, inputs: StageInputs) -> dict[str, Callable[[], Any]]:
    """Return a call for each of `STAGES`."""
    features = model.encode_image(inputs.images)
    conditioned = model.recall(features, inputs.recall)
    prediction = model.step(features, None, points=inputs.click)
    large = model.enlarge(prediction.low_res)

    def attend() -> Tensor:
        # What a frame sees of itself is kept for its other objects: another frame each time.
        fresh = ImageFeatures(features.embedding.clone(), features.high_res)
        return model.recall(fresh, inputs.recall)

    def decode() -> Tensor:
        answer = model.predict(
            conditioned, features.high_res, points=inputs.click, mask_logits=None, multimask=True
        )
        return model.enlarge(answer.low_res)

    def remember() -> Tensor:
        return model.encode_memory(features, large, prediction.object_logits, binarize=False)

    calls = (
        lambda: model.encode_image(inputs.images),
        attend,
        lambda: model.recall(features, inputs.recall),
        decode,
        remember,
    )
    return dict(zip(STAGES, calls, strict=True))


def multiply_adds(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Count the multiply-adds of matrix products and convolutions of each call, in units of 1e9."""
    counted = {}
    for name, call in calls.items():
        with FlopCounterMode(display=False, custom_mapping=_FUSED) as counter:
            call()
        counted[name] = counter.get_total_flops() / 2e9
    return counted


def _fused_attention(queries: Any, keys: Any, values: Any, *_: Any, **__: Any) -> int:
    batch, heads, n, width = queries
    return int(2 * batch * heads * n * keys[-2] * (width + values[-1]))


_FUSED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _fused_attention}


def published_multiply_adds(model: Sam2, inputs: StageInputs) -> dict[str, float]:
    """Count those of the network as it was published: where gradients could be wanted, nothing is folded."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        return multiply_adds(stage_calls(model, inputs))
