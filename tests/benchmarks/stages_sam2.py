"""The released package's side of the table of stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.benchmarks.speed_sam2 import load
from tests.benchmarks.speed_worker import Task, serve

_FRAMES, _POINTER_TOKENS, _MEMORY = 7, 64, 64


def calls(model: Any, size: int) -> dict[str, Callable[[], Any]]:
    """Return a call for each stage, on inputs as `stages` makes them."""
    images, grid = torch.randn(1, 3, size, size), size // 16
    _, maps, codes, sizes = model._prepare_backbone_features(model.forward_image(images))
    tokens = _FRAMES * grid**2 + _POINTER_TOKENS
    memory, memory_code = torch.randn(tokens, 1, _MEMORY), torch.randn(tokens, 1, _MEMORY)
    fine = [
        each.permute(1, 2, 0).unflatten(2, shape) for each, shape in zip(maps[:-1], sizes[:-1], strict=True)
    ]
    embedding = maps[-1].permute(1, 2, 0).unflatten(2, sizes[-1])
    click = {
        "point_coords": torch.full((1, 1, 2), 0.4 * size),
        "point_labels": torch.ones(1, 1, dtype=torch.int32),
    }

    def attend() -> Any:
        return model.memory_attention(
            curr=[maps[-1]],
            curr_pos=[codes[-1]],
            memory=memory,
            memory_pos=memory_code,
            num_obj_ptr_tokens=_POINTER_TOKENS,
        )

    def decode() -> Any:
        return model._forward_sam_heads(embedding, click, None, fine, multimask_output=True)

    answer = decode()
    large, present = answer[4], answer[6]
    return {
        "image encoder": lambda: model.forward_image(images),
        "memory attention": attend,
        "decoder": decode,
        "memory encoder": lambda: model._encode_new_memory(
            maps, sizes, large, present, is_mask_from_pts=False
        ),
    }


def start(task: Task) -> Iterator[Any]:
    """Time all stages at each step."""
    timed = calls(load(task), task.size)
    while True:
        taken = {}
        for name, call in timed.items():
            begin = time.perf_counter()
            call()
            taken[name] = time.perf_counter() - begin
        yield {"seconds": taken}


if __name__ == "__main__":
    serve("sam2", start, lambda _task, _name, told: dict(told), autocast=True)
